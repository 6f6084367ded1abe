"""Stores in a SQLite file, their own or the app's, through the standard library's sqlite3.

Each call is one statement in autocommit. A transaction that reads first and writes later dies
with "database is locked" as soon as another one has written in between, however long its timeout
is; a single statement takes its lock at once, and waits for it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar

from typing_extensions import Self

from otp_enroll.storage.protocol import FIELDS, StoredEnrollment, storage_errors
from otp_enroll.storage.sql import LOCK_SECONDS, record_of

SCHEMA_VERSION: Final = 1
"""Kept in the file as ``PRAGMA user_version``."""

_WAL_PATIENCE: Final = 2.0
"""Seconds for the switch to WAL at least, whatever timeout the app chose for its requests."""

_WAL_PAUSE: Final = 0.02

AnswerT = TypeVar("AnswerT")
ArgsP = ParamSpec("ArgsP")

# A table with rowid: without it, a row above some 1,000 bytes spills into pages of its own.
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS otp_enrollment (
    user_id TEXT NOT NULL PRIMARY KEY,
    revision TEXT NOT NULL,
    state TEXT NOT NULL,
    setup_expires_at INTEGER,
    changed_at INTEGER NOT NULL,
    document TEXT NOT NULL
)
"""
# For the purge alone. It is partial because most rows have no setup, and need no entry then.
_CREATE_INDEX: Final = """
CREATE INDEX IF NOT EXISTS otp_enrollment_setup ON otp_enrollment (setup_expires_at)
WHERE setup_expires_at IS NOT NULL
"""
_values_of: Final = attrgetter(*FIELDS)
_KEY, *_OTHERS = FIELDS
_COLUMNS: Final = ", ".join(FIELDS)
# Compared as BINARY, SQLite's default for TEXT: byte for byte, spaces at the end included.
_LOAD: Final = f"SELECT {_COLUMNS} FROM otp_enrollment WHERE {_KEY} = ?"  # noqa: S608  # our names
# A conflict is no error: inside a transaction of the app nothing has to be rolled back. Not
# OR IGNORE, which would also pass over a NULL where none may be.
_INSERT: Final = (
    f"INSERT INTO otp_enrollment ({_COLUMNS})"  # noqa: S608  # our names
    f" VALUES ({', '.join('?' * len(FIELDS))}) ON CONFLICT DO NOTHING"
)
_UPDATE: Final = (
    f"UPDATE otp_enrollment SET {', '.join(f'{name} = ?' for name in _OTHERS)}"  # noqa: S608  # ours
    f" WHERE {_KEY} = ? AND revision = ?"
)
_DELETE: Final = f"DELETE FROM otp_enrollment WHERE {_KEY} = ?"  # noqa: S608  # our names
_LIST: Final = """
SELECT user_id FROM otp_enrollment
WHERE (:state IS NULL OR state = :state)
AND (:before IS NULL OR setup_expires_at < :before)
AND (:after IS NULL OR user_id > :after)
ORDER BY user_id LIMIT :limit
"""


def create_table(connection: sqlite3.Connection) -> None:
    """Create the table in a database of the app's, where it is not there yet.

    For a migration of the app. It commits nothing, and leaves ``user_version`` to the app.

    Args:
        connection: The app's.
    """
    connection.execute(_CREATE)
    connection.execute(_CREATE_INDEX)


def _load(connection: sqlite3.Connection, user_id: str) -> StoredEnrollment | None:
    cursor = connection.cursor()
    cursor.row_factory = None  # the app's connection may have one
    # One row, or none: the id is the key. An open read would hold up the WAL's checkpoint, so
    # the cursor does not outlive the call.
    row = cursor.execute(_LOAD, (user_id,)).fetchone()
    return None if row is None else record_of(row)


def _save(connection: sqlite3.Connection, record: StoredEnrollment, expected: str | None) -> bool:
    key, *others = _values_of(record)
    if expected is None:
        cursor = connection.execute(_INSERT, (key, *others))
    else:
        cursor = connection.execute(_UPDATE, (*others, key, expected))
    return cursor.rowcount == 1


def _delete(connection: sqlite3.Connection, user_id: str) -> None:
    connection.execute(_DELETE, (user_id,))


def _list(connection: sqlite3.Connection, wanted: Mapping[str, Any]) -> list[str]:
    return [user_id for (user_id,) in connection.execute(_LIST, wanted)]


class SQLiteStore:
    """Enrollments in a SQLite file, which the store creates and keeps in WAL mode.

    Safe to use from several threads and processes: each call is one statement that commits by
    itself, on a connection that no other call uses at that time. (Threads that share one sqlite3
    connection get wrong row counts, and a race on it may have no winner at all.) Close it when
    the app ends.

    Args:
        path: The file. ``":memory:"`` is refused: each connection would have its own. Keep it on
            a local disk: WAL needs memory that the processes share, which a network has not.
        synchronous: ``"FULL"`` survives a power cut; ``"NORMAL"`` is quicker, and a power cut
            can then undo the last writes, so that a spent code is good again.
        timeout: Seconds to wait for another writer before a ``StorageError``.
        own_file: ``False`` for a file of the app's: the app makes the table with
            ``create_table``, and its journal mode and ``user_version`` stay as they are.

    Raises:
        ValueError: ``":memory:"``, or another value of ``synchronous``.
    """

    joined = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        timeout: float = LOCK_SECONDS,
        own_file: bool = True,
    ) -> None:
        self._path = os.fspath(path)
        if not self._path or self._path == ":memory:" or self._path.startswith("file:"):
            raise ValueError("a SQLiteStore needs the path of a file")
        if synchronous not in {"FULL", "NORMAL"}:
            raise ValueError('synchronous must be "FULL" or "NORMAL"')
        self._synchronous = synchronous
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        # Kept for ever: when the last reference goes, Python would close them in the child.
        self._inherited: list[sqlite3.Connection] = []
        self._pid = os.getpid()
        self._prepared = not own_file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections. The store opens new ones if it is used again.

        The last connection to a file folds its WAL into it: without this, a copy of the file
        alone may lack what was answered last.
        """
        while (connection := self._take()) is not None:
            connection.close()

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the latest committed record, or ``None``.

        Raises:
            StorageError: The database failed.
        """
        return self._call(_load, user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store with one conditional statement.

        Raises:
            StorageError: The database failed, its disk is full, or another writer held the file
                longer than ``timeout``.
        """
        return self._call(_save, record, expected)

    def delete(self, user_id: str) -> None:
        """Delete the record, whether there is one or not.

        Raises:
            StorageError: The database failed.
        """
        self._call(_delete, user_id)

    def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[str]:
        """Return ids in ascending order of their UTF-8 bytes.

        The arguments are those of ``ListingStore.user_ids``.

        Raises:
            StorageError: The database failed.
        """
        wanted = {"state": state, "before": setup_expired_before, "after": after, "limit": limit}
        return self._call(_list, wanted)

    def _call(
        self,
        act: Callable[Concatenate[sqlite3.Connection, ArgsP], AnswerT],
        *args: ArgsP.args,
        **kwargs: ArgsP.kwargs,
    ) -> AnswerT:
        """Act on a connection that no other call uses; a failed one is not used again."""
        with storage_errors():
            connection = self._take() or self._open()
            try:
                answer = act(connection, *args, **kwargs)
            except BaseException:  # a signal's handler, too, may have raised in mid-statement
                connection.close()
                raise
        with self._lock:
            self._idle.append(connection)
        return answer

    def _take(self) -> sqlite3.Connection | None:
        with self._lock:
            if self._pid != os.getpid():
                # A connection must not cross a fork, not even to be closed: the parent's locks
                # on the file would go with it.
                self._inherited += self._idle
                self._idle, self._pid = [], os.getpid()
            return self._idle.pop() if self._idle else None

    def _open(self) -> sqlite3.Connection:
        # Autocommit (isolation_level=None): else sqlite3 opens a transaction of its own before a
        # write and waits for a commit. Threads take turns with a connection and never share one,
        # so its check of the thread is in the way.
        connection = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            if not self._prepared:
                self._prepare(connection)
            # The file remembers its journal mode, but this belongs to the connection.
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        except BaseException:
            connection.close()
            raise
        self._prepared = True
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _switch_to_wal(connection, self._timeout)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        # Two processes may both find it old, and both create: each statement is IF NOT EXISTS.
        if version > SCHEMA_VERSION:
            raise sqlite3.DatabaseError("a newer version of the library made this file")
        if version < SCHEMA_VERSION:
            create_table(connection)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _switch_to_wal(connection: sqlite3.Connection, timeout: float) -> None:
    """Switch, again and again if need be: this is the one statement that waits for no other.

    SQLite's busy timeout does not cover it: of several processes that open a new file at once,
    one in some hundred dies with "database is locked".
    """
    deadline = time.monotonic() + max(timeout, _WAL_PATIENCE)
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_WAL_PAUSE)
        else:
            return


class JoinedSQLiteStore:
    """Enrollments through the app's own connection: statements only, and the app commits.

    For ``Enroller.using``. What sqlite3 raises passes unchanged, so that the app's own retry
    finds what it looks for. It is as thread-bound as the connection.

    Args:
        connection: The app's connection; ``create_table`` made the table.
    """

    joined = True

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the record as this transaction sees it, or ``None``."""
        return _load(self._connection, user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store with one conditional statement; the app commits it."""
        return _save(self._connection, record, expected)

    def delete(self, user_id: str) -> None:
        """Delete the record, whether there is one or not; the app commits it."""
        _delete(self._connection, user_id)


class AsyncSQLiteStore:
    """As ``SQLiteStore``, awaited: each call runs in a thread of asyncio's pool.

    Args:
        path: The file.
        synchronous: As for ``SQLiteStore``.
        timeout: As for ``SQLiteStore``.
        own_file: As for ``SQLiteStore``.
    """

    joined = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        timeout: float = LOCK_SECONDS,
        own_file: bool = True,
    ) -> None:
        self._store = SQLiteStore(path, synchronous=synchronous, timeout=timeout, own_file=own_file)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """As ``SQLiteStore.close``."""
        await asyncio.to_thread(self._store.close)

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """As ``SQLiteStore.load``."""
        return await asyncio.to_thread(self._store.load, user_id)

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """As ``SQLiteStore.save``."""
        return await asyncio.to_thread(self._store.save, record, expected=expected)

    async def delete(self, user_id: str) -> None:
        """As ``SQLiteStore.delete``."""
        await asyncio.to_thread(self._store.delete, user_id)

    async def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[str]:
        """As ``SQLiteStore.user_ids``."""
        return await asyncio.to_thread(
            self._store.user_ids,
            state=state,
            setup_expired_before=setup_expired_before,
            after=after,
            limit=limit,
        )
