"""A store in parts, and stores with one wrong part each: here those of a wrong shape.

Each names the check of the contract that kills it.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from otp_enroll import StoredEnrollment
from otp_enroll.testing.kit import Inputs

Record = StoredEnrollment
Found = StoredEnrollment | None

PATIENCE = 20.0
"""Seconds that a caller waits for a rival in a race; none is so late."""


class Meeting:
    """Where callers wait for their rivals, so that each race is lost for certain.

    One meeting is enough. Out of a race, where threads do not take turns as quickly as the kit
    can make them, nobody will come.
    """

    def __init__(self) -> None:
        self._arrived: Counter[Hashable] = Counter()
        self._changed = threading.Condition()
        self._is_over = False

    def wait(self, place: Hashable, callers: int = 2) -> None:
        """Wait until so many callers have come to a place."""
        if sys.getswitchinterval() > 1e-3:
            return
        with self._changed:
            self._arrived[place] += 1
            self._changed.notify_all()
            met = self._changed.wait_for(
                lambda: self._is_over or self._arrived[place] >= callers, PATIENCE
            )
            self._is_over = self._is_over or met


@dataclass
class Table:
    """What all handles on one store share."""

    rows: dict[str, Record] = field(default_factory=dict)
    graves: dict[str, Record] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    meeting: Meeting = field(default_factory=Meeting)


class Correct:
    """A correct store, in parts that a broken one replaces."""

    killer: ClassVar[str] = ""
    joined: Any = False

    def __init__(self, table: Table) -> None:
        self.table = table
        self.is_broken = False
        self.is_read_only = False

    def key(self, user_id: str) -> str:
        return user_id

    def kept(self, record: Record, found: Found) -> Record:
        return record

    def shown(self, record: Record) -> Any:
        return record

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return (found and found.revision) == expected

    def bind(self, record: Record) -> None:
        """Refuse what a driver would refuse."""
        record.document.encode()
        if max(record.changed_at, record.setup_expires_at or 0) >= 2**63:
            raise OverflowError

    def connect(self) -> None:
        if self.is_broken:
            raise ConnectionResetError

    def found(self, user_id: str) -> Found:
        return self.table.rows.get(self.key(user_id))

    def put(self, record: Record) -> None:
        self.bind(record)
        self.table.rows[self.key(record.user_id)] = self.kept(record, self.found(record.user_id))

    def load(self, user_id: str) -> Any:
        self.connect()
        found = self.found(user_id)
        return None if found is None else self.shown(found)

    def save(self, record: Record, *, expected: str | None) -> Any:
        self.connect()
        if self.is_read_only:
            raise PermissionError
        with self.table.lock:
            if not self.matches(self.found(record.user_id), record, expected):
                return False
            self.put(record)
            return True

    def delete(self, user_id: str) -> Any:
        self.connect()
        with self.table.lock:
            found = self.table.rows.pop(self.key(user_id), None)
            if found is not None:
                self.table.graves[self.key(user_id)] = found

    def close(self) -> None:
        """Do what a handle does when it is closed."""


def opener(kind: Callable[[Table], Any], table: Table, **flags: bool) -> Any:
    """Return an open_store whose handles share a table."""

    @contextmanager
    def open_store() -> Iterator[Any]:
        handle = kind(table)
        for name, value in flags.items():
            setattr(handle, name, value)
        try:
            yield handle
        finally:
            handle.close()

    return open_store


def inputs_for(kind: Callable[[Table], Any]) -> Inputs:
    """Return what the kit is given for a store in memory: all but processes and joined mode."""
    table = Table()
    return Inputs(
        open_store=opener(kind, table),
        break_connection=lambda store: setattr(store, "is_broken", True),
        raw_count=lambda user_id: (
            (user_id in table.rows) + (user_id in table.graves and "tomb" in table.notes)
        ),
        open_read_only=opener(kind, table, is_read_only=True),
    )


class BlankForUnknown(Correct):
    """An unknown id loads a blank record."""

    killer = "01"

    def load(self, user_id: str) -> Any:
        blank = Record(
            user_id=user_id,
            revision="",
            state="disabled",
            setup_expires_at=None,
            changed_at=0,
            document="",
        )
        return super().load(user_id) or blank


class RaisesForUnknown(Correct):
    """An unknown id raises."""

    killer = "01"

    def found(self, user_id: str) -> Found:
        return self.table.rows[user_id]


class HiddenCoroutine(Correct):
    """A plain method returns a coroutine."""

    killer = "01"

    def load(self, user_id: str) -> Any:
        async def answer() -> None:
            """Do nothing."""

        return answer()


class ReturnsNone(Correct):
    """The result is forgotten."""

    killer = "02"

    def save(self, record: Record, *, expected: str | None) -> Any:
        super().save(record, expected=expected)


class ReturnsCount(Correct):
    """The result is a number of rows, which is true or not."""

    killer = "02"

    def save(self, record: Record, *, expected: str | None) -> Any:
        return int(super().save(record, expected=expected))


class RefusesWithNone(Correct):
    """A refusal is None."""

    killer = "03"

    def save(self, record: Record, *, expected: str | None) -> Any:
        return super().save(record, expected=expected) or None


class LoadsRow(Correct):
    """A load returns the driver's row."""

    killer = "03"

    def shown(self, record: Record) -> Any:
        return (record.user_id, record.revision)


class DeletesWithCount(Correct):
    """A delete returns a number of rows."""

    killer = "03"

    def delete(self, user_id: str) -> Any:
        super().delete(user_id)
        return 1


class OneCoroutine(Correct):
    """One method of a sync store is a coroutine function."""

    killer = "04"

    async def delete(self, user_id: str) -> Any:
        super().delete(user_id)


class JoinedIsANumber(Correct):
    """The attribute joined is 0."""

    killer = "05"
    joined = 0


class JoinedIsMissing(Correct):
    """The attribute joined is None."""

    killer = "05"
    joined = None


class JoinedIsTrue(Correct):
    """A store that commits by itself says that it is joined."""

    killer = "05"
    joined = True
