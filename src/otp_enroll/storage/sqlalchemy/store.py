"""The stores, both flavours side by side.

Side by side, so that they can be compared: where they differ in more than ``await``, they must.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from sqlalchemy import Connection, Engine, Table, delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from otp_enroll.errors import StorageError
from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.storage.sql import LOCK_SECONDS, is_duplicate
from otp_enroll.storage.sqlalchemy.account_locks import AccountLocks
from otp_enroll.storage.sqlalchemy.binds import check_async_bind, check_bind
from otp_enroll.storage.sqlalchemy.engines import choose_waiting
from otp_enroll.storage.sqlalchemy.statements import (
    Statements,
    has_stored,
    means_lost_race,
    read_row,
    statement_errors,
)

_NO_ACCOUNT: Final = ""  # no account has it for an id, so a listing waits for no account's lock


class SQLAlchemyStore:
    """Enrollments in the table that ``enrollment_table`` declares.

    Over an engine it is in own mode: each call takes a connection from the pool, and what it
    did is committed when it returns; it waits ``LOCK_SECONDS`` for a lock. Safe to use from
    several threads. Make the engine with ``own_engine``; over any other the lock timeout costs
    further statements a call, and a request that holds a connection of that pool needs a second.

    Over a session or connection it is joined: statements only, in the app's transaction. The
    app commits. It is as thread-bound as what it was given. The driver's exceptions pass
    unchanged.

    Args:
        bind: An engine, or the app's session or connection.
        table: What ``enrollment_table`` returned.

    Raises:
        TypeError: Something else to bind to; the text says what to pass.
        ValueError: A database on which the stores were not tried, or an engine whose one
            connection the app's transactions use too.

    Attributes:
        joined: Whether the app commits.
    """

    def __init__(
        self, bind: Engine | Connection | Session | scoped_session[Session], table: Table
    ) -> None:
        bind = check_bind(bind)
        self.joined: bool = not isinstance(bind, Engine)
        if isinstance(bind, Engine):
            self._waiting, options = choose_waiting(bind)
            self._locks = AccountLocks(threading.Lock)
            bind = bind.execution_options(**options)  # a view of it: the app's stays as it was
        self._bind = bind
        # Asked for a write: a session may send reads elsewhere, or have no bind for all tables.
        writer = bind.get_bind(clause=delete(table)) if isinstance(bind, Session) else bind
        self._statements = Statements(table, writer.dialect)

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the latest record, or ``None``.

        Raises:
            StorageError: In own mode: the database failed.
        """
        with self._connection(user_id) as connection:
            found = connection.execute(self._statements.load, {"account": user_id})
            return read_row(found.one_or_none())

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store with one conditional statement.

        Raises:
            StorageError: In own mode: the database failed, or a lock was not free in time.
            ValueError: A text that is longer than its column.
        """
        statement, values = self._statements.save(record, expected)
        try:
            with self._connection(record.user_id) as connection:
                try:
                    return has_stored(connection.execute(statement, values))
                except IntegrityError as error:  # MySQL's; it undid the statement alone
                    if is_duplicate(error.orig):
                        return False
                    raise
        # Out here, because a commit may lose the race as well (Galera compares only then: 1213).
        # Joined, the driver's own error passes by: the app has to repeat its transaction.
        except StorageError as error:
            if means_lost_race(error):
                return False
            raise

    def delete(self, user_id: str) -> None:
        """Delete the record, whether there is one or not.

        Raises:
            StorageError: In own mode: the database failed.
        """
        with self._connection(user_id) as connection:
            connection.execute(self._statements.delete, {"account": user_id})

    def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[str]:
        """Return ids in ascending order of their UTF-8 bytes.

        The arguments are those of ``ListingStore.user_ids``.

        Raises:
            StorageError: In own mode: the database failed.
        """
        wanted = self._statements.listing(state, setup_expired_before, after, limit)
        with self._connection(_NO_ACCOUNT) as connection:
            return connection.execute(wanted).scalars().all()

    @contextmanager
    def _connection(self, user_id: str) -> Generator[Connection]:
        """Lend a connection: the app's as it is, or one of the pool for a transaction."""
        if isinstance(self._bind, Connection):
            yield self._bind
        elif isinstance(self._bind, Session):
            # Ask for the connection of a write: some sessions send reads to a replica.
            yield self._bind.connection(bind_arguments={"clause": self._statements.delete})
        else:
            # First the account's lock and then a connection: the other way round a crowd would
            # hold the pool while it waits.
            with (
                statement_errors(),
                self._lock(user_id),
                self._bind.connect() as connection,
                connection.begin(),
                self._waiting.on(connection),
            ):
                yield connection

    @contextmanager
    def _lock(self, user_id: str) -> Generator[None]:
        with self._locks.lend(user_id) as lock:
            if not lock.acquire(timeout=LOCK_SECONDS):
                raise TimeoutError("other calls for this account take too long")
            try:
                yield
            finally:
                lock.release()


class AsyncSQLAlchemyStore:
    """As ``SQLAlchemyStore``, awaited, over an async engine, session or connection.

    In own mode it is safe to use from several tasks of one event loop: drivers bind a connection
    to the loop that made it. Make the engine with ``own_async_engine``.

    Args:
        bind: An engine, or the app's session or connection.
        table: What ``enrollment_table`` returned.

    Raises:
        TypeError: As for ``SQLAlchemyStore``.
        ValueError: As for ``SQLAlchemyStore``.

    Attributes:
        joined: Whether the app commits.
    """

    def __init__(
        self,
        bind: AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[AsyncSession],
        table: Table,
    ) -> None:
        bind = check_async_bind(bind)
        self.joined: bool = not isinstance(bind, AsyncEngine)
        if isinstance(bind, AsyncEngine):
            self._waiting, options = choose_waiting(bind.sync_engine)
            self._locks = AccountLocks(asyncio.Lock)
            bind = bind.execution_options(**options)
        self._bind = bind
        writer = bind.get_bind(clause=delete(table)) if isinstance(bind, AsyncSession) else bind
        self._statements = Statements(table, writer.dialect)

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """As ``SQLAlchemyStore.load``."""
        async with self._connection(user_id) as connection:
            found = await connection.execute(self._statements.load, {"account": user_id})
            return read_row(found.one_or_none())

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """As ``SQLAlchemyStore.save``."""
        statement, values = self._statements.save(record, expected)
        try:
            async with self._connection(record.user_id) as connection:
                try:
                    return has_stored(await connection.execute(statement, values))
                except IntegrityError as error:
                    if is_duplicate(error.orig):
                        return False
                    raise
        except StorageError as error:
            if means_lost_race(error):
                return False
            raise

    async def delete(self, user_id: str) -> None:
        """As ``SQLAlchemyStore.delete``."""
        async with self._connection(user_id) as connection:
            await connection.execute(self._statements.delete, {"account": user_id})

    async def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[str]:
        """As ``SQLAlchemyStore.user_ids``."""
        wanted = self._statements.listing(state, setup_expired_before, after, limit)
        async with self._connection(_NO_ACCOUNT) as connection:
            return (await connection.execute(wanted)).scalars().all()

    @asynccontextmanager
    async def _connection(self, user_id: str) -> AsyncGenerator[AsyncConnection]:
        if isinstance(self._bind, AsyncConnection):
            yield self._bind
        elif isinstance(self._bind, AsyncSession):
            yield await self._bind.connection(bind_arguments={"clause": self._statements.delete})
        else:
            with statement_errors():
                async with (
                    self._lock(user_id),
                    self._bind.connect() as connection,
                    connection.begin(),
                    self._waiting.on_async(connection),
                ):
                    yield connection

    @asynccontextmanager
    async def _lock(self, user_id: str) -> AsyncGenerator[None]:
        with self._locks.lend(user_id) as lock:
            # asyncio's lock has no timeout of its own.
            await asyncio.wait_for(lock.acquire(), LOCK_SECONDS)
            try:
                yield
            finally:
                lock.release()
