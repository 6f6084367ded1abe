"""Stores that are right alone and wrong in company, and two that stand in a file.

Each names the check of the contract that kills it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from helpers.broken_stores import Correct, Found, Record, Table
from otp_enroll.storage.sqlite import AsyncSQLiteStore, SQLiteStore
from otp_enroll.testing.races import WORKERS

PATH = "STORE_CONTRACT_PATH"
"""The variable that tells processes which file to open."""


class LooksThenCreates(Correct):
    """A create looks whether there is a record, and then writes."""

    killer = "43"

    def save(self, record: Record, *, expected: str | None) -> Any:
        if expected is not None:
            return super().save(record, expected=expected)
        if self.found(record.user_id) is not None:
            return False
        self.put(record)
        return True


class LooksThenUpdates(Correct):
    """An update compares in the application, and then writes."""

    killer = "44"

    def save(self, record: Record, *, expected: str | None) -> Any:
        if not self.matches(self.found(record.user_id), record, expected):
            return False
        self.put(record)
        return True


class LooksTogether(LooksThenUpdates):
    """Two callers have looked before one of them writes."""

    killer = ""

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        if not super().matches(found, record, expected):
            return False
        self.table.meeting.wait((record.user_id, expected))
        return True


class LocksItsHandle(LooksThenUpdates):
    """The lock around the two steps belongs to the handle, not to the data."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.own = threading.Lock()

    def save(self, record: Record, *, expected: str | None) -> Any:
        with self.own:
            return super().save(record, expected=expected)


class WritesThenLooks(Correct):
    """A save is called a success if its record is there a moment later."""

    killer = "44"

    def save(self, record: Record, *, expected: str | None) -> Any:
        if not self.matches(self.found(record.user_id), record, expected):
            return False
        self.put(record)
        found = self.found(record.user_id)
        return found is not None and found.revision == record.revision


class SharesItsAnswer(Correct):
    """The number of changed rows stands in the handle, where another thread overwrites it."""

    killer = "45"
    count = 0

    def save(self, record: Record, *, expected: str | None) -> Any:
        self.count = int(super().save(record, expected=expected))
        self.table.meeting.wait((record.user_id, expected), WORKERS)
        return self.count == 1


class ComparesInTheApplication(Correct):
    """The two steps are so close together that only a slow comparison parts them."""

    killer = "46"

    def save(self, record: Record, *, expected: str | None) -> Any:
        if not self.matches(self.found(record.user_id), record, expected):
            return False
        with self.table.lock:
            self.put(record)
            return True


class DeletesBetween(Correct):
    """A delete does not wait for a save that has compared already."""

    killer = "49"

    def delete(self, user_id: str) -> Any:
        self.table.rows.pop(user_id, None)


class OneLockForAll(Correct):
    """Whoever finds the table busy is refused."""

    killer = "50"

    def save(self, record: Record, *, expected: str | None) -> Any:
        busy = self.table.notes.setdefault("busy", threading.Lock())
        if not busy.acquire(blocking=False):
            self.table.meeting.wait("busy")
            return self.refused()
        try:
            self.table.meeting.wait("busy")
            return super().save(record, expected=expected)
        finally:
            busy.release()

    def refused(self) -> Any:
        return False


class LosersDeadlock(OneLockForAll):
    """Whoever finds the table busy gets the database's error."""

    killer = "52"

    def refused(self) -> Any:
        raise InterruptedError


class Hangs(Correct):
    """A refused save waits for a lock that it holds itself."""

    def matches(self, found: Found, record: Record, expected: str | None) -> bool:
        return super().matches(found, record, expected) or self.table.lock.acquire(timeout=2)


class AsyncCorrect:
    """The correct store, awaited."""

    killer = ""
    joined = False
    kind: type[Correct] = Correct

    def __init__(self, table: Table) -> None:
        self.store = self.kind(table)

    async def load(self, user_id: str) -> Any:
        return self.store.load(user_id)

    async def save(self, record: Record, *, expected: str | None) -> Any:
        return self.store.save(record, expected=expected)

    async def delete(self, user_id: str) -> Any:
        self.store.delete(user_id)

    def close(self) -> None:
        """Nothing is open."""


class AsyncLooksThenActs(AsyncCorrect):
    """Between the comparison and the write other tasks run."""

    killer = "44"

    async def save(self, record: Record, *, expected: str | None) -> Any:
        if not self.store.matches(await self.load(record.user_id), record, expected):
            return False
        await asyncio.sleep(0)
        self.store.put(record)
        return True


class AsyncReturnsNone(AsyncCorrect):
    """The result is forgotten."""

    killer = "02"

    async def save(self, record: Record, *, expected: str | None) -> Any:
        await super().save(record, expected=expected)


class AsyncWithAPlainLoad(AsyncCorrect):
    """One method of an async store is plain."""

    killer = "04"

    def load(self, user_id: str) -> Any:
        return self.store.load(user_id)


class LocksItsThreads(SQLiteStore):
    """The lock around the two steps holds threads back, and no other process."""

    guard = threading.Lock()

    def save(self, record: Record, *, expected: str | None) -> bool:
        with self.guard:
            found = self.load(record.user_id)
            if (found and found.revision) != expected:
                return False
            self.delete(record.user_id)
            return super().save(record, expected=None)


def open_sqlite() -> SQLiteStore:
    """Open the correct store in the file of the variable."""
    return SQLiteStore(os.environ[PATH], synchronous="NORMAL")


def open_async_sqlite() -> AsyncSQLiteStore:
    """Open the correct async store in the file of the variable."""
    return AsyncSQLiteStore(os.environ[PATH], synchronous="NORMAL")


def open_locks_its_threads() -> LocksItsThreads:
    """Open the broken store in the file of the variable."""
    return LocksItsThreads(os.environ[PATH])


class RefusesAloud(SQLiteStore):
    """A refusal is raised."""

    def save(self, record: Record, *, expected: str | None) -> bool:
        if not super().save(record, expected=expected):
            raise InterruptedError
        return True


class ReadsOnly(SQLiteStore):
    """The correct store on connections that cannot write."""

    def _open(self) -> sqlite3.Connection:
        connection = super()._open()
        connection.execute("PRAGMA query_only = ON")
        return connection


def open_refuses_aloud() -> RefusesAloud:
    """Open the store whose refusals raise."""
    return RefusesAloud(os.environ[PATH])


def open_reads_only() -> ReadsOnly:
    """Open the store that cannot write."""
    return ReadsOnly(os.environ[PATH])


def count_rows(user_id: str) -> int:
    """Count the rows of an id in the file of the variable, past the store."""
    with closing(sqlite3.connect(os.environ[PATH])) as connection:
        rows = connection.execute("SELECT 1 FROM otp_enrollment WHERE user_id = ?", (user_id,))
        return len(rows.fetchall())


def break_for_good(store: Any) -> None:
    """Let a SQLite store find no file any more."""
    store.close()
    store._path = "/nonexistent/kit.db"


async def break_async_for_good(store: Any) -> None:
    """The same for the async store."""
    break_for_good(store._store)


@contextmanager
def open_never_closes() -> Iterator[Any]:
    """Open the correct store, and never come to an end."""
    with open_sqlite() as store:
        yield store
    time.sleep(60)


@contextmanager
def open_chatters() -> Iterator[Any]:
    """Open the correct store, and talk in between."""
    print("0", file=sys.__stdout__, flush=True)  # the mistake
    with open_sqlite() as store:
        yield store


@contextmanager
def open_nothing() -> Iterator[Any]:
    """Fail, as a server does that is not there."""
    raise ConnectionRefusedError
    yield
