"""A joined store over a sqlite3 connection, with a harness for it, and broken ones.

Each broken one names the check of the contract that kills it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from otp_enroll import StoredEnrollment
from otp_enroll.errors import StorageError
from otp_enroll.storage.sqlite import SQLiteStore

FIELDS = "revision, state, setup_expires_at, changed_at, document, user_id"
INSERT = f"INSERT INTO otp_enrollment ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608  # constant
UPDATE = (
    "UPDATE otp_enrollment SET revision = ?, state = ?, setup_expires_at = ?, changed_at = ?,"
    " document = ? WHERE user_id = ?"
)


class JoinedStore:
    """Statements only: whoever owns the connection commits."""

    killer: ClassVar[str] = ""
    joined = True

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    def load(self, user_id: str) -> Any:
        row = self.connection.execute(
            f"SELECT {FIELDS} FROM otp_enrollment WHERE user_id = ?",  # noqa: S608  # constant
            (user_id,),
        ).fetchone()
        return row and StoredEnrollment(**dict(zip(FIELDS.split(", "), row, strict=True)))

    def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        values = tuple(getattr(record, name) for name in FIELDS.split(", "))
        if expected is None:
            return self.run(INSERT + " ON CONFLICT DO NOTHING", values) == 1
        return self.run(UPDATE + " AND revision = ?", (*values, expected)) == 1

    def delete(self, user_id: str) -> None:
        self.run("DELETE FROM otp_enrollment WHERE user_id = ?", (user_id,))

    def run(self, statement: str, values: tuple[object, ...]) -> int:
        return self.connection.execute(statement, values).rowcount


class Transaction:
    """One transaction of an app."""

    def __init__(self, connection: sqlite3.Connection, store: JoinedStore) -> None:
        self.connection = connection
        self.store: Any = store

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        self.connection.execute("ROLLBACK")

    def write_app_row(self, key: str) -> None:
        self.connection.execute("INSERT INTO app VALUES (?)", (key,))


class Harness:
    """An app with a table of its own in the file of a SQLiteStore."""

    lock_timeout = 0.3
    retryable: tuple[type[BaseException], ...] = (sqlite3.OperationalError,)

    def __init__(self, path: Path, kind: type[JoinedStore], begin: str = "BEGIN") -> None:
        self.path = path
        self.kind = kind
        self.begin = begin
        with SQLiteStore(path) as store:
            store.load("nobody")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE app (key TEXT PRIMARY KEY)")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with closing(
            sqlite3.connect(self.path, isolation_level=None, timeout=self.lock_timeout)
        ) as connection:
            connection.execute(self.begin)
            yield Transaction(connection, self.kind(connection, self.path))
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def has_app_row(self, key: str) -> bool:
        with closing(sqlite3.connect(self.path)) as connection:
            return bool(connection.execute("SELECT 1 FROM app WHERE key = ?", (key,)).fetchall())


class CommitsTheApp(JoinedStore):
    """A save commits."""

    killer = "63"

    def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        stored = super().save(record, expected=expected)
        self.connection.executescript("COMMIT; BEGIN")
        return stored


class CommitsDeletes(JoinedStore):
    """A delete commits."""

    killer = "58"

    def delete(self, user_id: str) -> None:
        super().delete(user_id)
        self.connection.executescript("COMMIT; BEGIN")


class CommitsElsewhere(JoinedStore):
    """A save goes through a connection of its own."""

    killer = "59"

    def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        with SQLiteStore(self.path, timeout=0.2) as store:
            return store.save(record, expected=expected)


class CallsItselfOwn(JoinedStore):
    """A joined store says that it commits by itself."""

    killer = "58"
    joined = False


class RaisesOnDuplicate(JoinedStore):
    """A refused create raises the database's error."""

    killer = "60"

    def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        if expected is None:
            values = tuple(getattr(record, name) for name in FIELDS.split(", "))
            return self.run(INSERT, values) == 1
        return super().save(record, expected=expected)


class RollsBackRefusals(JoinedStore):
    """A refused save rolls the app's work back."""

    killer = "61"

    def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        stored = super().save(record, expected=expected)
        if not stored:
            self.connection.executescript("ROLLBACK; BEGIN")
        return stored


class LoadsElsewhere(JoinedStore):
    """A load goes through a connection of its own."""

    killer = "62"

    def load(self, user_id: str) -> Any:
        with SQLiteStore(self.path) as store:
            return store.load(user_id)


class ForgetsTheRevision(JoinedStore):
    """An update has no condition on the revision: the second writer wins too."""

    killer = "64"

    def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        values = tuple(getattr(record, name) for name in FIELDS.split(", "))
        return self.run(INSERT if expected is None else UPDATE, values) == 1


class ConflictIsTrue(JoinedStore):
    """A conflict is told as a success."""

    killer = "65"

    def run(self, statement: str, values: tuple[object, ...]) -> int:
        try:
            return super().run(statement, values)
        except sqlite3.OperationalError:
            return 1


class ConflictIsABug(JoinedStore):
    """A conflict becomes an error that no app retries."""

    killer = "65"

    def run(self, statement: str, values: tuple[object, ...]) -> int:
        try:
            return super().run(statement, values)
        except sqlite3.OperationalError:
            raise KeyError from None


class RetriesForLong(JoinedStore):
    """A conflict is tried again inside a transaction in which it cannot end."""

    killer = "65"

    def run(self, statement: str, values: tuple[object, ...]) -> int:
        for _ in range(100):
            try:
                return super().run(statement, values)
            except sqlite3.OperationalError:
                time.sleep(0.02)
        raise TimeoutError


class WrapsConflicts(JoinedStore):
    """A conflict is wrapped, and the app's own retry does not know it."""

    killer = "66"

    def run(self, statement: str, values: tuple[object, ...]) -> int:
        try:
            return super().run(statement, values)
        except sqlite3.OperationalError as cause:
            raise StorageError from cause
