"""Stores in the app's SQL database, through SQLAlchemy 2: PostgreSQL, MariaDB, MySQL or SQLite."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Connection,
    CursorResult,
    Engine,
    Insert,
    MetaData,
    Row,
    Select,
    String,
    Table,
    Text,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.dialects.mysql.base import MySQLTypeCompiler
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    create_async_engine,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from otp_enroll.errors import StorageError
from otp_enroll.storage.protocol import StoredEnrollment

LOCK_SECONDS: Final = 5
"""How long a call in own mode waits for a row or table that another transaction has locked."""

_FIELDS: Final = ("user_id", "revision", "state", "setup_expires_at", "changed_at", "document")
_LENGTHS: Final = {"user_id": 190, "revision": 32, "state": 9}
_MARK: Final = "otp_enroll_own"
_NO_ACCOUNT: Final = ""

# PostgreSQL: serialisation failure, deadlock. MySQL and MariaDB: deadlock, changed since read.
_LOST_RACES: Final = frozenset({"40001", "40P01", 1213, 1020})
_DUPLICATE_KEY: Final = 1062


class ExactString(String):
    """Text that the database compares byte for byte: no case folded, no trailing space ignored.

    A type of its own because MariaDB and MySQL have no such collation in common, and which of
    them answers is known when the table is created, not when it is declared.
    """


@compiles(ExactString, "postgresql")
def _in_order_of_bytes(kind: ExactString, *_: object, **__: object) -> str:
    return f'VARCHAR({kind.length}) COLLATE "C"'


@compiles(ExactString, "mysql", "mariadb")
def _without_padding(kind: ExactString, compiler: MySQLTypeCompiler, **_: object) -> str:
    # Of the older collations even utf8mb4_bin ignores spaces at the end.
    collation = "utf8mb4_nopad_bin" if compiler.dialect.is_mariadb else "utf8mb4_0900_bin"
    return f"VARCHAR({kind.length}) CHARACTER SET utf8mb4 COLLATE {collation}"


def enrollment_table(
    metadata: MetaData, *, name: str = "otp_enrollment", schema: str | None = None
) -> Table:
    """Declare the table, for ``metadata.create_all`` or a migration.

    Args:
        metadata: The app's.
        name: The table's name.
        schema: The schema that it is in, if not the connection's own.
    """
    document = Text().with_variant(
        mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )
    return Table(
        name,
        metadata,
        Column("user_id", ExactString(_LENGTHS["user_id"]), primary_key=True),
        Column("revision", ExactString(_LENGTHS["revision"]), nullable=False),
        Column("state", ExactString(_LENGTHS["state"]), nullable=False),
        Column("setup_expires_at", BigInteger, index=True),
        Column("changed_at", BigInteger, nullable=False),
        Column("document", document, nullable=False),
        schema=schema,
        # MyISAM, which an old server may make, knows no transaction.
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )


class _Waiting(NamedTuple):
    """How a call in own mode gets its lock timeout from a connection that the app uses too."""

    isolation_level: str | None = None
    before: str | None = None
    after: str | None = None


_MYSQL_WAITING: Final = _Waiting(
    before=(
        "SET @otp_enroll_row = @@SESSION.innodb_lock_wait_timeout,"
        " @otp_enroll_table = @@SESSION.lock_wait_timeout,"
        f" SESSION innodb_lock_wait_timeout = {LOCK_SECONDS},"
        f" SESSION lock_wait_timeout = {LOCK_SECONDS}"
    ),
    after=(
        "SET SESSION innodb_lock_wait_timeout = @otp_enroll_row,"
        " SESSION lock_wait_timeout = @otp_enroll_table"
    ),
)
_WAITING: Final = {
    # A transaction, whatever the engine's own level is, because SET LOCAL ends with it.
    "postgresql": _Waiting("READ COMMITTED", f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"),
    "mysql": _MYSQL_WAITING,
    "mariadb": _MYSQL_WAITING,
    # Python's driver waits five seconds by default, and a deferred transaction would not wait.
    "sqlite": _Waiting("AUTOCOMMIT"),
}
_MYSQL_CONNECTED: Final = (
    f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS},"
    f" SESSION lock_wait_timeout = {LOCK_SECONDS}"
)
_CONNECTED: Final = {
    "postgresql": f"SET lock_timeout = '{LOCK_SECONDS}s'",
    "mysql": _MYSQL_CONNECTED,
    "mariadb": _MYSQL_CONNECTED,
    "sqlite": f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000}",
}


def own_engine(url: str | URL, **options: Any) -> Engine:  # noqa: ANN401  # as create_engine
    """Make an engine for a store in own mode alone: one round trip a call, and its own pool.

    Its connections commit each statement by themselves and have the lock timeout from the
    start. A request whose transaction holds a connection of the app's pool does not wait for a
    second one of the same pool, which would stop all requests once each holds one. Dispose of
    it when the app ends.

    Args:
        url: As for ``create_engine``.
        options: As for ``create_engine``, without ``isolation_level``. Parameters are hidden in
            error messages unless ``hide_parameters`` says otherwise.

    Raises:
        ValueError: A database that the store does not know.
    """
    engine = create_engine(url, **_own_options(options))
    _set_on_connect(engine)
    return engine


def own_async_engine(
    url: str | URL,
    **options: Any,  # noqa: ANN401  # as create_async_engine
) -> AsyncEngine:
    """As ``own_engine``, for ``AsyncSQLAlchemyStore``."""
    engine = create_async_engine(url, **_own_options(options))
    _set_on_connect(engine.sync_engine)
    return engine


def _own_options(options: Mapping[str, Any]) -> dict[str, Any]:
    marked = {**options.get("execution_options", {}), _MARK: True}
    own = {"isolation_level": "AUTOCOMMIT", "execution_options": marked}
    return {"hide_parameters": True, **options, **own}


def _set_on_connect(engine: Engine) -> None:
    setting = _CONNECTED[_known(engine.dialect)]

    @event.listens_for(engine, "connect")
    def set_lock_timeout(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute(setting)
        finally:
            cursor.close()


def _known(dialect: Dialect) -> str:
    if dialect.name not in _WAITING:
        raise ValueError(f"no store for {dialect.name}: it is for {', '.join(_WAITING)}")
    return dialect.name


def _own(engine: Engine) -> tuple[_Waiting, dict[str, Any]]:
    """Return how calls get their lock timeout, and the options that a store's engine needs.

    Raises:
        ValueError: Its pool lends one connection to several at once.
    """
    name = _known(engine.dialect)
    if isinstance(engine.pool, (StaticPool, SingletonThreadPool)):
        raise ValueError(  # noqa: TRY004  # an engine it is
            "this engine lends its one connection to the app's transactions too,"
            " as those of SQLite in memory do: use a file, or MemoryStore"
        )
    if engine.get_execution_options().get(_MARK):
        return _Waiting(), {}
    waiting = _WAITING[name]
    level = waiting.isolation_level
    return waiting, {} if level is None else {"isolation_level": level}


class _Statements:
    """What both flavours send, built once a store, and how they read what comes back."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        columns = table.c
        account = columns.user_id == _whole("account")
        self._user_id = columns.user_id
        self._state = columns.state
        self._setup_expires_at = columns.setup_expires_at
        # Columns and no entity: an identity map would return what it read before.
        self.load = select(*(columns[name] for name in _FIELDS)).where(account)
        self.create = _insert(table, _known(dialect))
        self.replace = update(table).where(account, columns.revision == _whole("expected"))
        self.delete = delete(table).where(account)

    def save(
        self, record: StoredEnrollment, expected: str | None
    ) -> tuple[Any, dict[str, str | int | None]]:
        """Return the statement of a save, and its parameters.

        Raises:
            ValueError: A text that MySQL, if not strict, would cut.
        """
        values = {name: getattr(record, name) for name in _FIELDS}
        for name, longest in _LENGTHS.items():
            if len(values[name]) > longest:
                raise ValueError(f"{name} is longer than {longest} characters")
        if expected is None:
            return self.create, values
        account = values.pop("user_id")
        return self.replace, {**values, "account": account, "expected": expected}

    def listing(
        self, state: str | None, setup_expired_before: int | None, after: str | None, limit: int
    ) -> Select[str]:
        wanted = select(self._user_id).order_by(self._user_id).limit(limit)
        if state is not None:
            wanted = wanted.where(self._state == _whole("wanted", state))
        if setup_expired_before is not None:
            wanted = wanted.where(self._setup_expires_at < setup_expired_before)
        if after is not None:
            wanted = wanted.where(self._user_id > _whole("after", after))
        return wanted


def _whole(name: str, value: str | None = None) -> BindParameter[str]:
    """Return a text to compare with, which no cast to the column's type cuts to its length."""
    return bindparam(name, value, String(), required=value is None)


def _insert(table: Table, dialect: str) -> Insert:
    """Build the INSERT that a duplicate neither overwrites nor, on PostgreSQL, makes fail.

    There a failed statement would end the app's transaction. MySQL undoes the statement alone,
    and its INSERT IGNORE would let cut text pass.
    """
    if dialect == "postgresql":
        # RETURNING, because psycopg's row count is gone when SQLAlchemy has closed the cursor.
        return postgresql.insert(table).on_conflict_do_nothing().returning(table.c.user_id)
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return insert(table)


def _stored(result: CursorResult[Any]) -> bool:
    return result.first() is not None if result.returns_rows else result.rowcount == 1


def _record(row: Row[Any] | None) -> StoredEnrollment | None:
    return None if row is None else StoredEnrollment(**dict(zip(_FIELDS, row, strict=True)))


def _codes(error: BaseException | None) -> tuple[object, ...]:
    """Return every code that one of the drivers may have put on its exception."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return ()
    names = ("sqlstate", "pgcode", "errno")
    return (*(getattr(error.orig, name, None) for name in names), *error.orig.args[:1])


def _is_duplicate(error: IntegrityError) -> bool:
    return _DUPLICATE_KEY in _codes(error)


def _lost_a_race(error: StorageError) -> bool:
    return any(code in _LOST_RACES for code in _codes(error.__cause__))


@contextmanager
def _storage_errors() -> Generator[None]:
    try:
        yield
    except Exception as cause:
        if isinstance(cause, StatementError):
            # Its text would show the document to whatever logs the chain.
            cause.hide_parameters = True
        raise StorageError from cause


LockT = TypeVar("LockT", threading.Lock, asyncio.Lock)


class _Turns(Generic[LockT]):
    """One call at a time for one account, in this process.

    A pool is not fair: without this, a crowd that guesses at one account would hold all its
    connections, and the logins of everybody else would wait for one.
    """

    def __init__(self, make: Callable[[], LockT]) -> None:
        self._make: Callable[[], LockT] = make
        self._guard = threading.Lock()
        self._turns: dict[str, tuple[LockT, int]] = {}

    @contextmanager
    def of(self, user_id: str) -> Generator[LockT]:
        """Lend the lock of an account, which exists while somebody has it or waits for it."""
        with self._guard:
            turn, users = self._turns.get(user_id) or (self._make(), 0)
            self._turns[user_id] = turn, users + 1
        try:
            yield turn
        finally:
            with self._guard:
                turn, users = self._turns.pop(user_id)
                if users > 1:
                    self._turns[user_id] = turn, users - 1


class SQLAlchemyStore:
    """Enrollments in the table that ``enrollment_table`` declares.

    Over an engine it is in own mode: each call takes a connection from the pool, and what it
    did is committed when it returns; it waits ``LOCK_SECONDS`` for a lock. Safe to use from
    several threads. Make the engine with ``own_engine``; over any other the lock timeout costs
    further statements a call, and a request that holds a connection of that pool needs a second.

    Over a session or connection it is joined: statements only, in the app's transaction. The
    app commits. It is as thread-bound as what it was given. What the driver raises comes through
    unchanged.

    Args:
        bind: An engine, or the app's session or connection.
        table: What ``enrollment_table`` returned.

    Raises:
        ValueError: A database that it does not know, or an engine whose one connection the
            app's transactions use too.

    Attributes:
        joined: Whether the app commits.
    """

    def __init__(
        self, bind: Engine | Connection | Session | scoped_session[Session], table: Table
    ) -> None:
        bind = bind() if isinstance(bind, scoped_session) else bind
        self.joined: bool = not isinstance(bind, Engine)
        if isinstance(bind, Engine):
            self._waiting, options = _own(bind)
            self._turns = _Turns(threading.Lock)
            bind = bind.execution_options(**options)
        self._bind = bind
        writer = bind.get_bind(clause=delete(table)) if isinstance(bind, Session) else bind
        self._statements = _Statements(table, writer.dialect)

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the latest record, or ``None``.

        Raises:
            StorageError: In own mode: the database failed.
        """
        with self._connection(user_id) as connection:
            found = connection.execute(self._statements.load, {"account": user_id})
            return _record(found.one_or_none())

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store with one conditional statement.

        Raises:
            StorageError: In own mode: the database failed.
            ValueError: A text that is longer than its column.
        """
        statement, values = self._statements.save(record, expected)
        try:
            with self._connection(record.user_id) as connection:
                try:
                    return _stored(connection.execute(statement, values))
                except IntegrityError as error:
                    if _is_duplicate(error):
                        return False
                    raise
        except StorageError as error:
            if _lost_a_race(error):
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
        """Return ids in rising order of their UTF-8 bytes.

        Raises:
            StorageError: In own mode: the database failed.
        """
        wanted = self._statements.listing(state, setup_expired_before, after, limit)
        with self._connection(_NO_ACCOUNT) as connection:
            return connection.execute(wanted).scalars().all()

    @contextmanager
    def _connection(self, user_id: str) -> Generator[Connection]:
        if isinstance(self._bind, Connection):
            yield self._bind
        elif isinstance(self._bind, Session):
            # Ask for the connection of a write: some sessions send reads to a replica.
            yield self._bind.connection(bind_arguments={"clause": self._statements.delete})
        else:
            with (
                _storage_errors(),
                self._turn(user_id),
                self._bind.connect() as connection,
                connection.begin(),
                self._lock_timeout(connection),
            ):
                yield connection

    @contextmanager
    def _turn(self, user_id: str) -> Generator[None]:
        with self._turns.of(user_id) as turn:
            if not turn.acquire(timeout=LOCK_SECONDS):
                raise TimeoutError("other calls for this account take too long")
            try:
                yield
            finally:
                turn.release()

    @contextmanager
    def _lock_timeout(self, connection: Connection) -> Generator[None]:
        before, after = self._waiting.before, self._waiting.after
        if before is not None:
            connection.exec_driver_sql(before)
        try:
            yield
            if after is not None:
                connection.exec_driver_sql(after)
        except BaseException:
            if after is not None:
                # The app would get it back with our settings on it.
                connection.invalidate()
            raise


class AsyncSQLAlchemyStore:
    """As ``SQLAlchemyStore``, awaited, over an async engine, session or connection.

    In own mode it is safe to use from several tasks. Make the engine with ``own_async_engine``.

    Args:
        bind: An engine, or the app's session or connection.
        table: What ``enrollment_table`` returned.

    Raises:
        ValueError: As for ``SQLAlchemyStore``.

    Attributes:
        joined: Whether the app commits.
    """

    def __init__(
        self,
        bind: AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[AsyncSession],
        table: Table,
    ) -> None:
        bind = bind() if isinstance(bind, async_scoped_session) else bind
        self.joined: bool = not isinstance(bind, AsyncEngine)
        if isinstance(bind, AsyncEngine):
            self._waiting, options = _own(bind.sync_engine)
            self._turns = _Turns(asyncio.Lock)
            bind = bind.execution_options(**options)
        self._bind = bind
        writer = bind.get_bind(clause=delete(table)) if isinstance(bind, AsyncSession) else bind
        self._statements = _Statements(table, writer.dialect)

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """As ``SQLAlchemyStore.load``."""
        async with self._connection(user_id) as connection:
            found = await connection.execute(self._statements.load, {"account": user_id})
            return _record(found.one_or_none())

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """As ``SQLAlchemyStore.save``."""
        statement, values = self._statements.save(record, expected)
        try:
            async with self._connection(record.user_id) as connection:
                try:
                    return _stored(await connection.execute(statement, values))
                except IntegrityError as error:
                    if _is_duplicate(error):
                        return False
                    raise
        except StorageError as error:
            if _lost_a_race(error):
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
            with _storage_errors():
                async with (
                    self._turn(user_id),
                    self._bind.connect() as connection,
                    connection.begin(),
                    self._lock_timeout(connection),
                ):
                    yield connection

    @asynccontextmanager
    async def _turn(self, user_id: str) -> AsyncGenerator[None]:
        with self._turns.of(user_id) as turn:
            await asyncio.wait_for(turn.acquire(), LOCK_SECONDS)
            try:
                yield
            finally:
                turn.release()

    @asynccontextmanager
    async def _lock_timeout(self, connection: AsyncConnection) -> AsyncGenerator[None]:
        before, after = self._waiting.before, self._waiting.after
        if before is not None:
            await connection.exec_driver_sql(before)
        try:
            yield
            if after is not None:
                await connection.exec_driver_sql(after)
        except BaseException:
            if after is not None:
                await connection.invalidate()
            raise
