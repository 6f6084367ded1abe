"""Stores that lose or change what they are given, and stores that confuse accounts.

Each names the check of the contract that kills it.
"""

from __future__ import annotations

import fnmatch
import json
import unicodedata
from dataclasses import replace
from typing import Any

from helpers.broken_stores import Correct, Found, Record, Table


class LosesColumn(Correct):
    """A column is not written."""

    killer = "06"

    def kept(self, record: Record, found: Found) -> Record:
        return replace(record, setup_expires_at=None)


class TimesAreText(Correct):
    """A number comes back as text."""

    killer = "06"

    def shown(self, record: Record) -> Any:
        return replace(record, changed_at=str(record.changed_at))  # type: ignore[arg-type]  # the mistake


class CommitsTooLate(Correct):
    """A write is visible when its handle makes the next call."""

    killer = "06"

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.waiting: Found = None

    def found(self, user_id: str) -> Found:
        if self.waiting is not None:
            self.table.rows[self.waiting.user_id] = self.waiting
        return super().found(user_id)

    def put(self, record: Record) -> None:
        self.waiting = record


class NeverCommits(Correct):
    """A write is seen by its own handle alone."""

    killer = "06"

    def __init__(self, table: Table) -> None:
        super().__init__(replace(table, rows=dict(table.rows)))


class DropsState(Correct):
    """The state is not stored, but guessed."""

    killer = "07"

    def shown(self, record: Record) -> Any:
        return replace(record, state="pending" if record.setup_expires_at else "confirmed")


class ZeroIsNone(Correct):
    """A time of 0 becomes None."""

    killer = "08"

    def kept(self, record: Record, found: Found) -> Record:
        return replace(record, setup_expires_at=record.setup_expires_at or None)


class NoneIsZero(Correct):
    """A time of None becomes 0."""

    killer = "08"

    def kept(self, record: Record, found: Found) -> Record:
        return replace(record, setup_expires_at=record.setup_expires_at or 0)


class EmptyIsNone(Correct):
    """Empty text becomes None."""

    killer = "09"

    def shown(self, record: Record) -> Any:
        return replace(record, document=record.document or None)  # type: ignore[arg-type]  # the mistake


class TimesAreFloats(Correct):
    """A number goes through a double."""

    killer = "10"

    def shown(self, record: Record) -> Any:
        return replace(record, changed_at=int(float(record.changed_at)))


class TruncatesDocuments(Correct):
    """A long document is cut."""

    killer = "11"

    def kept(self, record: Record, found: Found) -> Record:
        return replace(record, document=record.document[:65_535])


class NormalisesDocuments(Correct):
    """A document is composed anew."""

    killer = "12"

    def kept(self, record: Record, found: Found) -> Record:
        return replace(record, document=unicodedata.normalize("NFC", record.document))


class TrimsDocuments(Correct):
    """A document loses the spaces around it."""

    killer = "12"

    def shown(self, record: Record) -> Any:
        return replace(record, document=record.document.strip())


class ParsesDocuments(Correct):
    """A document is stored as JSON and written anew."""

    killer = "13"

    def shown(self, record: Record) -> Any:
        try:
            parsed = json.loads(record.document)
        except ValueError:
            return record
        return replace(record, document=json.dumps(parsed))


class NoneKeeps(Correct):
    """A None leaves the column as it was."""

    killer = "14"

    def kept(self, record: Record, found: Found) -> Record:
        before = found.setup_expires_at if found else None
        return replace(record, setup_expires_at=record.setup_expires_at or before)


class EditsDocuments(Correct):
    """A key of the document is taken out."""

    killer = "15"

    def shown(self, record: Record) -> Any:
        return replace(record, document=record.document.replace('"recovery":', '"codes":'))


class FoldsIds(Correct):
    """Ids in another case are one."""

    killer = "18"

    def key(self, user_id: str) -> str:
        return user_id.casefold()


class TrimsIds(Correct):
    """Ids lose the spaces around them."""

    killer = "18"

    def key(self, user_id: str) -> str:
        return user_id.strip()


class NormalisesIds(Correct):
    """Ids are composed anew."""

    killer = "18"

    def key(self, user_id: str) -> str:
        return unicodedata.normalize("NFC", user_id)


class CountsWithIds(Correct):
    """Ids of digits become numbers."""

    killer = "18"

    def key(self, user_id: str) -> str:
        return str(int(user_id)) if user_id.strip().isdigit() else user_id


class CutsIds(Correct):
    """Long ids are cut."""

    killer = "19"

    def key(self, user_id: str) -> str:
        return user_id[:128]


class CarriesAnotherId(Correct):
    """A record carries its id in lower case."""

    killer = "20"

    def shown(self, record: Record) -> Any:
        return replace(record, user_id=record.user_id.lower())


class OneRevisionForAll(Correct):
    """The revision belongs to the table, not to the account."""

    killer = "21"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        if found is None or expected is None:
            return super().matches(found, record, expected)
        return bool(self.table.notes["revision"] == expected)

    def put(self, record: Record) -> None:
        super().put(record)
        self.table.notes["revision"] = record.revision


class DeletesAll(Correct):
    """A delete forgets its condition."""

    killer = "21"

    def delete(self, user_id: str) -> Any:
        self.table.rows.clear()


class DeletesForItself(Correct):
    """A delete is seen by its own handle alone."""

    killer = "33"

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.gone: set[str] = set()

    def found(self, user_id: str) -> Found:
        return None if user_id in self.gone else super().found(user_id)

    def delete(self, user_id: str) -> Any:
        self.gone.add(user_id)


class KeepsTombstone(Correct):
    """A deleted row stays and is hidden."""

    killer = "33b"

    def delete(self, user_id: str) -> Any:
        super().delete(user_id)
        self.table.notes["tomb"] = True


class MissingIsAnError(Correct):
    """A delete of what is not there raises."""

    killer = "34"

    def delete(self, user_id: str) -> Any:
        del self.table.rows[user_id]


class RevivesDeleted(Correct):
    """A save finds the deleted row and takes it up again."""

    killer = "35"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        grave = self.table.graves.get(record.user_id)
        return super().matches(found, record, expected) or (
            found is None and grave is not None and grave.revision == expected
        )


class IdsAreUsedUp(Correct):
    """A deleted id cannot be created again."""

    killer = "36"

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return record.user_id not in self.table.graves and super().matches(found, record, expected)


class SecondLifeInherits(Correct):
    """A record made after a delete takes over what its own leaves empty."""

    killer = "36"

    def kept(self, record: Record, found: Found) -> Record:
        grave = self.table.graves.get(record.user_id)
        inherited = grave.setup_expires_at if grave else None
        return replace(record, setup_expires_at=record.setup_expires_at or inherited)


class DeletesByPattern(Correct):
    """A delete takes its id for a pattern."""

    killer = "37"

    def delete(self, user_id: str) -> Any:
        for one in fnmatch.filter(self.table.rows, user_id.replace("%", "*").replace("_", "?")):
            del self.table.rows[one]


class DeletesByPrefix(Correct):
    """A delete takes all keys that begin with its id."""

    killer = "37"

    def delete(self, user_id: str) -> Any:
        for one in [key for key in self.table.rows if key.startswith(user_id)]:
            del self.table.rows[one]


class DeletesFolded(Correct):
    """A delete does not look at case."""

    killer = "37"

    def delete(self, user_id: str) -> Any:
        for one in [key for key in self.table.rows if key.lower() == user_id.lower()]:
            del self.table.rows[one]
