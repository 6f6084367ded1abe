"""The SQLAlchemy stores on real servers: one statement, one winner, and the app's transaction."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    scoped_session,
    sessionmaker,
)
from sqlalchemy.pool import NullPool, StaticPool
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from helpers import servers
from otp_enroll import Override, errors
from otp_enroll.errors import StorageError
from otp_enroll.storage.sqlalchemy import (
    AsyncSQLAlchemyStore,
    ExactString,
    SQLAlchemyStore,
    enrollment_table,
    own_async_engine,
    own_engine,
)
from otp_enroll.testing import FrozenClock, run

postgresql = servers.postgresql
mariadb = servers.mariadb
record = servers.record

SYNC: Final = {
    "psycopg": "postgresql+psycopg",
    "pymysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "sqlite": "sqlite",
}
ASYNC: Final = {
    "asyncpg": "postgresql+asyncpg",
    "psycopg-async": "postgresql+psycopg",
    "aiomysql": "mysql+aiomysql",
    "asyncmy": "mysql+asyncmy",
    "aiosqlite": "sqlite+aiosqlite",
}
DRIVERS: Final = {**SYNC, **ASYNC}
ON_SERVERS: Final = tuple(name for name in DRIVERS if "sqlite" not in name)
URL: Final = "OTP_ENROLL_TEST_URL"
LOCK_LIMIT: Final = 20.0
"""Seconds in which a call that waits five for a lock must have ended on a slow machine."""


class Base(DeclarativeBase):
    """The app's own models."""


class Note(Base):
    """A row of the app."""

    __tablename__ = "note"
    key: Mapped[str] = mapped_column(sa.String(100), primary_key=True)


NOTE: Final = Base.metadata.tables["note"]
TABLE: Final = enrollment_table(Base.metadata)


@dataclass
class Site:
    """An empty database with the tables in it, and the ways to open a store there.

    Attributes:
        driver: Of the store: one of DRIVERS.
        url: For that driver.
        app: The app's engine, sync whatever the store is.
    """

    driver: str
    url: str
    app: sa.Engine
    loop: asyncio.AbstractEventLoop
    port: int = 0
    exits: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def dialect(self) -> str:
        return self.app.dialect.name

    @property
    def is_async(self) -> bool:
        return self.driver in ASYNC

    def engine(self, url: str | None = None, *, own: bool = True, **options: Any) -> Any:
        """Make an engine, disposed of after the test."""
        url = url or self.url
        if self.is_async:
            engine: Any = (own_async_engine if own else create_async_engine)(url, **options)
            self.exits.callback(lambda: self.wait(engine.dispose()))
        else:
            engine = (own_engine if own else sa.create_engine)(url, **options)
            self.exits.callback(engine.dispose)
        return engine

    def store_on(self, engine: Any, table: sa.Table = TABLE) -> Any:
        """Open a store with plain methods on an engine."""
        if isinstance(engine, AsyncEngine):
            return servers.Blocking(AsyncSQLAlchemyStore(engine, table), self.loop)
        return SQLAlchemyStore(engine, table)

    def store(self, url: str | None = None, *, own: bool = True, **options: Any) -> Any:
        """Open a store with plain methods."""
        return self.store_on(self.engine(url, own=own, **options))

    def wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with servers.running_loop() as running:
        yield running


@contextlib.contextmanager
def site_of(
    driver: str, request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop
) -> Iterator[Site]:
    prefix = DRIVERS[driver]
    port = 0
    if "sqlite" in driver:
        path = request.getfixturevalue("tmp_path") / "app.db"
        url, app_url = f"{prefix}:///{path}", f"sqlite:///{path}"
    else:
        name = "postgresql" if "postgresql" in prefix else "mariadb"
        database = request.getfixturevalue(name).fresh_database()
        port = database.port
        same = driver in SYNC
        sync = (
            prefix
            if same
            else {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[name]
        )
        url, app_url = database.url(prefix), database.url(sync)
    app = sa.create_engine(app_url, poolclass=NullPool)
    Base.metadata.create_all(app)
    site = Site(driver, url, app, loop, port)
    with site.exits:
        yield site


@pytest.fixture(params=DRIVERS)
def site(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Iterator[Site]:
    """Each driver's database in turn."""
    with site_of(request.param, request, loop) as opened:
        yield opened


@pytest.fixture(params=[True, False], ids=["own-engine", "app-engine"])
def own(request: pytest.FixtureRequest) -> bool:
    """Whether the store's engine is ``own_engine``'s, or any engine of the app."""
    return bool(request.param)


def drivers(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("site", names, indirect=True)


# --- the contract ---


@contextlib.contextmanager
def open_store() -> Iterator[SQLAlchemyStore]:
    """Open a store where the environment says: other processes call this."""
    engine = own_engine(os.environ[URL])
    yield SQLAlchemyStore(engine, TABLE)
    engine.dispose()


@pytest.fixture
def import_path(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let other processes import this file, and tell them where the database is."""
    for folder in (Path(__file__).parent.parent, Path(__file__).parent):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(URL, site.url)
    return f"{Path(__file__).stem}:open_store"


class Transaction:
    """A transaction of the app, over a connection or a session."""

    def __init__(self, bind: Any) -> None:
        self.bind = bind
        self.store = SQLAlchemyStore(bind, TABLE)

    def write_app_row(self, key: str) -> None:
        self.bind.execute(sa.insert(NOTE), {"key": key})

    def commit(self) -> None:
        self.bind.commit()

    def rollback(self) -> None:
        self.bind.rollback()


class App:
    """The app whose transactions the contract's joined checks drive."""

    lock_timeout = 5.0
    retryable = (OperationalError,)

    def __init__(self, site: Site, open_bind: Callable[..., Any]) -> None:
        self.site = site
        self.open_bind = open_bind

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self.open_bind() as bind:
            yield Transaction(bind)

    def has_app_row(self, key: str) -> bool:
        with self.site.app.connect() as connection:
            return connection.scalar(sa.select(Note.key).where(Note.key == key)) is not None


class AsyncTransaction:
    """The same, awaited."""

    def __init__(self, bind: AsyncConnection | AsyncSession) -> None:
        self.bind = bind
        self.store = AsyncSQLAlchemyStore(bind, TABLE)

    async def write_app_row(self, key: str) -> None:
        await self.bind.execute(sa.insert(NOTE), {"key": key})

    async def commit(self) -> None:
        await self.bind.commit()

    async def rollback(self) -> None:
        await self.bind.rollback()


class AsyncApp(App):
    """The same, awaited."""

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:  # type: ignore[override]  # awaited
        # An engine belongs to one loop, and the kit makes its own.
        engine = create_async_engine(self.site.url, poolclass=NullPool)
        async with self.open_bind(engine) as bind:
            yield AsyncTransaction(bind)


def count_rows(site: Site, user_id: str) -> int:
    found = sa.select(sa.func.count()).where(TABLE.c.user_id == user_id)
    with site.app.connect() as connection:
        return int(connection.scalar(found) or 0)


def break_connection(store: Any) -> None:
    """Take a store's network away for good."""
    sa.event.listen(store._bind, "do_connect", refuse)
    store._bind.dispose()


def refuse(*_: object) -> None:
    raise OSError("no network")


def failures(report: Any) -> list[str]:
    return [str(result) for result in report.results if result.verdict == "failed"]


@pytest.mark.parametrize(
    ("site", "own"),
    [("psycopg", True), ("pymysql", True), ("sqlite", False)],
    indirect=["site"],
    ids=str,
)
@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-19", "B-28", "B-29")
def test_store_keeps_the_contract(site: Site, own: bool, import_path: str) -> None:
    """The sync store keeps every rule, by itself and in the app's transaction."""

    @contextlib.contextmanager
    def open_handle() -> Iterator[SQLAlchemyStore]:
        engine = own_engine(site.url) if own else sa.create_engine(site.url)
        yield SQLAlchemyStore(engine, TABLE)
        engine.dispose()

    app_engine = site.app
    if site.dialect == "mysql":
        # The app's own transactions wait 50 s by default, which is no fault of the store.
        wait = {"init_command": "SET SESSION innodb_lock_wait_timeout = 5"}
        app_engine = sa.create_engine(site.url, poolclass=NullPool, connect_args=wait)
    report = run(
        open_handle,
        import_path=import_path,
        joined=App(site, sessionmaker(app_engine) if own else app_engine.connect),
        break_connection=break_connection,
        raw_count=partial(count_rows, site),
    )
    assert failures(report) == []
    assert report.level == "core+process+joined+fault"


@pytest.mark.parametrize(
    ("site", "own"),
    [("asyncpg", True), ("aiomysql", False), ("aiosqlite", True)],
    indirect=["site"],
    ids=str,
)
@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-19", "B-28", "B-29")
def test_async_store_keeps_the_contract(site: Site, own: bool) -> None:
    """The async store keeps every rule, by itself and in the app's transaction."""
    make = own_async_engine if own else create_async_engine

    @contextlib.asynccontextmanager
    async def open_handle() -> AsyncIterator[AsyncSQLAlchemyStore]:
        engine = make(site.url)
        yield AsyncSQLAlchemyStore(engine, TABLE)
        await engine.dispose()

    open_bind: Any = AsyncSession if own else AsyncEngine.connect
    report = run(open_handle, joined=AsyncApp(site, open_bind))
    assert failures(report) == []
    assert report.level == "core+joined"


# --- one code, one success ---


@drivers("psycopg", "pymysql")
@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-02", "B-19")
def test_one_code_from_sixteen_threads(site: Site) -> None:
    """In each of 25 rounds one thread of sixteen gets the code accepted, and the rest do not."""
    servers.race_threads(site.store(pool_size=servers.RIVALS))


@drivers("asyncpg", "aiomysql")
@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-02", "B-19")
def test_one_code_from_sixteen_tasks(site: Site) -> None:
    """In each of 25 rounds one task of sixteen gets the code accepted, and the rest do not."""
    engine = site.engine(pool_size=servers.RIVALS)
    site.wait(servers.race_tasks(AsyncSQLAlchemyStore(engine, TABLE)))


@drivers("psycopg", "pymysql")
@pytest.mark.requirement("R-64", "R-66")
@pytest.mark.regression_of("B-02", "B-19")
def test_one_code_from_eight_processes(site: Site, import_path: str) -> None:
    """In each of 25 rounds one process of eight gets the code accepted, and the rest do not."""
    servers.race_processes(site.store(), import_path)


# --- statements ---


def statements_of(engine: Any) -> list[str]:
    """Return a list that grows by the first word of each statement, SETs excepted."""
    sent: list[str] = []
    sync = engine.sync_engine if isinstance(engine, AsyncEngine) else engine

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not statement.startswith("SET "):
            sent.append(statement.split(maxsplit=1)[0])

    sa.event.listen(sync, "before_cursor_execute", note)
    return sent


def test_one_statement_a_call(site: Site, own: bool) -> None:
    """A load is one SELECT, a save one INSERT or UPDATE, and nothing is asked before or after."""
    engine = site.engine(own=own)
    store = site.store_on(engine)
    store.load("user-42")
    sent = statements_of(engine)
    first, second = record(), record(revision="2" * 32)
    assert store.save(first, expected=None) is True
    assert store.save(first, expected=None) is False
    assert store.load("user-42") == first
    assert store.save(second, expected=first.revision) is True
    assert store.save(second, expected=first.revision) is False
    store.user_ids(state="disabled", setup_expired_before=1, after="a")
    store.delete("user-42")
    store.delete("user-42")
    assert store.load("user-42") is None
    assert sent == ["INSERT", "INSERT", "SELECT", "UPDATE", "UPDATE", "SELECT", "DELETE", "DELETE",
                    "SELECT"]  # fmt: skip


@drivers("psycopg", "pymysql", "sqlite")
def test_own_engine_sends_nothing_else(site: Site) -> None:
    """Over ``own_engine`` not even the lock timeout is a statement of its own."""
    engine = site.engine()
    store = site.store_on(engine)
    store.load("user-42")
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    store.save(record(), expected=None)
    store.load("user-42")
    assert [statement.split(maxsplit=1)[0] for statement in sent] == ["INSERT", "SELECT"]


@drivers("psycopg", "pymysql", "sqlite")
def test_whole_life_is_four_writes(site: Site) -> None:
    """Begin, confirm, verify and disable are four reads and four writes."""
    engine, clock = site.engine(), FrozenClock()
    sent = statements_of(engine)
    enroller = servers.enroller_over(site.store_on(engine), clock)
    phone = servers.enroll(enroller, clock)
    enroller.verify(servers.RACER, phone.code())
    clock.advance(30)
    enroller.disable(servers.RACER, proof=phone.code())
    assert sent == ["SELECT", "INSERT", *["SELECT", "UPDATE"] * 3]


# --- ids and columns ---


@drivers("pymysql", "mariadb")
def test_table_is_stricter_than_the_server(site: Site) -> None:
    """Where the server's own collation takes five ids for one, the table keeps them apart."""
    ids = ["alice", "Alice", "alicé", "alice ", "ALICE"]
    with site.app.begin() as connection:
        for index, key in enumerate(ids):
            same = connection.scalar(sa.select(sa.func.count()).where(Note.key == key))
            assert same == (1 if index else 0), "the server's collation is not a trap any more"
            if not index:
                connection.execute(sa.insert(NOTE), {"key": key})
    store = site.store()
    for index, user_id in enumerate(ids):
        assert store.save(record(user_id, revision=f"{index:032x}"), expected=None) is True
    for index, user_id in enumerate(ids):
        found = store.load(user_id)
        assert (found.user_id, found.revision) == (user_id, f"{index:032x}")


def test_revision_is_compared_exactly(site: Site) -> None:
    """A revision in another case, padded or cut is another revision."""
    store = site.store()
    first = record(revision="ab" * 16)
    store.save(first, expected=None)
    for near in ("AB" * 16, first.revision + " ", first.revision[:-1], "", " " + first.revision):
        assert store.save(record(revision="c" * 32), expected=near) is False
    assert store.load("user-42") == first


@pytest.mark.parametrize(
    "changes",
    [{"user_id": "x" * 191}, {"revision": "1" * 33}, {"state": "x" * 10}],
    ids=lambda changes: next(iter(changes)),
)
@drivers("pymysql", "aiomysql")
def test_nothing_is_cut(site: Site, changes: dict[str, str]) -> None:
    """A text longer than its column is refused, where the server would cut it and say nothing."""
    loose = {"init_command": "SET SESSION sql_mode = ''"}
    store = site.store(connect_args=loose)
    (name,) = changes
    with pytest.raises(ValueError, match=f"^{name} is longer than"):
        store.save(record(**changes), expected=None)
    assert store.user_ids() == []


def test_ids_come_in_the_order_of_their_bytes(site: Site) -> None:
    """Pages of ids follow one another in byte order, whatever language the server sorts by."""
    servers.list_in_order_of_bytes(site.store())


def test_ids_are_filtered(site: Site) -> None:
    """Only records of the state, and whose setup expires before the second, are listed."""
    servers.list_filtered(site.store())


@drivers("psycopg", "pymysql", "sqlite")
def test_table_of_another_name(site: Site) -> None:
    """The table's name and schema are the app's choice, and copies of it work as well."""
    schema = None
    if site.dialect == "postgresql":
        schema = "security"
        with site.app.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA security")
    table = enrollment_table(sa.MetaData(), name="second_factor", schema=schema)
    copy = table.to_metadata(sa.MetaData())
    copy.create(site.app)
    store = site.store_on(site.engine(), copy)
    assert store.save(record(), expected=None) is True
    assert site.store_on(site.engine(), table).load("user-42") == record()
    assert site.store().load("user-42") is None


# --- locks ---


@contextlib.contextmanager
def held(site: Site, statement: str) -> Iterator[sa.Connection]:
    """Run a statement in a transaction of the app that stays open for the block."""
    with site.app.connect() as connection:
        connection.exec_driver_sql(statement)
        yield connection


BLOCKED: Final = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity"
    " WHERE wait_event_type = 'Lock' AND datname = current_database()",
    "mysql": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


def wait_until_blocked(site: Site) -> None:
    """Wait until some statement waits for a lock."""
    deadline = time.monotonic() + LOCK_LIMIT
    with site.app.connect() as connection:
        while time.monotonic() < deadline:
            # Before the first look, too: MariaDB refreshes that table only after 0.1 s without
            # one, and may still show what an earlier test waited for.
            time.sleep(0.15)
            if connection.exec_driver_sql(BLOCKED[site.dialect]).scalar():
                return
            connection.rollback()
    raise TimeoutError("nothing waits for a lock")


LOCK_ROW: Final = "UPDATE otp_enrollment SET changed_at = 8 WHERE user_id = 'user-42'"
LOCK_TABLE: Final = {
    "postgresql": "LOCK TABLE otp_enrollment IN ACCESS EXCLUSIVE MODE",
    "mysql": "LOCK TABLES otp_enrollment WRITE",
}


def timed_out(call: Callable[[], object]) -> float:
    """Return how long a call waited before its StorageError."""
    begun = time.monotonic()
    with pytest.raises(StorageError) as caught:
        call()
    assert isinstance(caught.value.__cause__, OperationalError | DBAPIError)
    return time.monotonic() - begun


@drivers("psycopg", "asyncpg", "pymysql", "asyncmy", "sqlite", "aiosqlite")
@pytest.mark.regression_of("B-25")
def test_locked_row_is_an_error_within_the_limit(site: Site) -> None:
    """While another transaction holds the row, every write fails after about five seconds."""
    stores = [site.store(), site.store(own=False)]
    calls: list[Callable[[], object]] = []
    for number, store in enumerate(stores * 2):
        user_id = f"user-{number}"
        store.save(record(user_id), expected=None)
        later = record(user_id, revision="2" * 32)
        save = partial(store.save, later, expected=record().revision)
        calls.append(save if number < len(stores) else partial(store.delete, user_id))
    # A row each: PostgreSQL counts the time anew for each lock, and a queue has several.
    with (
        held(site, "UPDATE otp_enrollment SET changed_at = 8"),
        ThreadPoolExecutor(len(calls)) as pool,
    ):
        waits = list(pool.map(timed_out, calls))
        assert [store.load("user-0") for store in stores] == [record("user-0")] * 2
    assert all(4 < wait < LOCK_LIMIT for wait in waits), waits
    assert stores[0].load("user-1") == record("user-1")


@drivers("psycopg", "asyncpg")
@pytest.mark.regression_of("B-25")
def test_crowd_at_one_account_leaves_the_pool_to_the_others(site: Site) -> None:
    """Six writes that wait for one locked row hold one connection of two, and none waits long."""
    store = site.store(pool_size=2, max_overflow=0, pool_timeout=0.5)
    for user_id in ("user-42", "another"):
        store.save(record(user_id), expected=None)
    later = record("user-42", revision="2" * 32)
    save = partial(store.save, later, expected=record().revision)

    def wait_in_vain(_: int) -> float:
        begun = time.monotonic()
        with pytest.raises(StorageError):
            save()
        return time.monotonic() - begun

    with held(site, LOCK_ROW), ThreadPoolExecutor(6) as pool:
        crowd = [pool.submit(wait_in_vain, number) for number in range(6)]
        wait_until_blocked(site)
        for number in range(20):
            changed = record("another", revision=f"{number + 2:032x}")
            found = store.load("another")
            assert store.save(changed, expected=found.revision) is True
        waits = [one.result() for one in crowd]
    assert all(4 < wait < 2 * LOCK_LIMIT for wait in waits), waits


@drivers("psycopg", "pymysql")
def test_locked_table_is_an_error_within_the_limit(site: Site) -> None:
    """While a migration holds the table, a load fails after about five seconds, and never hangs."""
    stores = [
        site.store(),
        site.store(own=False),
        site.store(own=False, isolation_level="AUTOCOMMIT"),
    ]
    for store in stores:
        store.load("user-42")
    calls = [partial(store.load, "user-42") for store in stores]
    with held(site, LOCK_TABLE[site.dialect]), ThreadPoolExecutor(len(calls)) as pool:
        waits = list(pool.map(timed_out, calls))
    assert all(4 < wait < LOCK_LIMIT for wait in waits), waits


def waits_of(connection: sa.Connection) -> object:
    """Return what the app's connection is set to."""
    if connection.dialect.name == "postgresql":
        return connection.exec_driver_sql("SHOW lock_timeout").scalar()
    return tuple(
        connection.exec_driver_sql(
            "SELECT @@innodb_lock_wait_timeout, @@lock_wait_timeout, @@autocommit"
        ).one()
    )


@drivers("psycopg", "pymysql")
def test_connections_of_the_app_keep_their_settings(site: Site) -> None:
    """What a call sets on the app's connection is gone when the app has it back."""
    engine = site.engine(own=False, pool_size=1, max_overflow=0)
    store = site.store_on(engine)
    with engine.connect() as connection:
        before = waits_of(connection)
        level = connection.get_isolation_level()
    store.save(record(), expected=None)
    store.save(record(), expected=None)
    store.load("user-42")
    with engine.connect() as connection:
        assert waits_of(connection) == before
        assert connection.get_isolation_level() == level
    with held(site, LOCK_TABLE[site.dialect]):
        timed_out(partial(store.load, "user-42"))
    with engine.connect() as connection:
        assert waits_of(connection) == before


@drivers("psycopg", "pymysql")
@pytest.mark.regression_of("B-25")
def test_busy_pool_of_the_app(site: Site) -> None:
    """With the app's pool empty a store over it gives no verdict, and one of its own does."""
    busy = site.engine(own=False, pool_size=1, max_overflow=0, pool_timeout=0.2)
    clock = FrozenClock()
    enroller = servers.enroller_over(site.store(), clock)
    phone = servers.enroll(enroller, clock)
    wrong = f"{(int(phone.code()) + 1) % 10**6:06d}"
    with busy.connect() as connection:
        connection.execute(sa.insert(NOTE), {"key": "of the request"})
        with pytest.raises(StorageError):
            servers.enroller_over(site.store_on(busy), clock).verify(servers.RACER, wrong)
        with pytest.raises(errors.WrongCodeError) as told:
            enroller.verify(servers.RACER, wrong)
        connection.rollback()
    assert told.value.attempts_left == 4
    with pytest.raises(errors.WrongCodeError) as told:
        enroller.verify(servers.RACER, wrong)
    assert told.value.attempts_left == 3


# --- races that the database ends ---


@drivers("psycopg", "asyncpg")
def test_serialisation_failure_is_a_refusal(site: Site) -> None:
    """At REPEATABLE READ a save that waited for another one's commit is refused, not an error."""
    level = "default_transaction_isolation"
    arguments: dict[str, Any] = {"options": f"-c {level}=repeatable\\ read"}
    if site.is_async:
        arguments = {"server_settings": {level: "repeatable read"}}
    store = site.store(connect_args=arguments)
    store.save(record(), expected=None)
    with ThreadPoolExecutor(1) as pool, held(site, LOCK_ROW) as connection:
        waiting = pool.submit(store.save, record(revision="2" * 32), expected="1" * 32)
        wait_until_blocked(site)
        connection.commit()
        assert waiting.result(LOCK_LIMIT) is False
    assert store.load("user-42") == record(changed_at=8)


READ_ROW: Final = "SELECT 1 FROM otp_enrollment WHERE user_id = 'user-42'"
DEADLOCK: Final = {
    # What a transaction does before a save waits for it, and then waits for the save itself.
    "postgresql": (LOCK_ROW, "LOCK TABLE otp_enrollment IN SHARE MODE"),
    "mysql": (f"{READ_ROW} LOCK IN SHARE MODE", LOCK_ROW),
}


@drivers("psycopg", "asyncpg", "pymysql", "asyncmy")
def test_deadlock_is_a_refusal(site: Site, own: bool) -> None:
    """A save that the database gives up to end a deadlock is refused, and changed nothing."""
    if site.dialect == "postgresql":
        # Whoever looks for a cycle first gives up, and looks once.
        with site.app.begin() as connection:
            name = site.app.url.database
            connection.exec_driver_sql(f"ALTER DATABASE {name} SET deadlock_timeout = '2s'")
    store = site.store(own=own)
    store.save(record(), expected=None)
    first, then = DEADLOCK[site.dialect]
    with ThreadPoolExecutor(2) as pool, held(site, first) as connection:
        if site.dialect == "postgresql":
            connection.exec_driver_sql("SET deadlock_timeout = '1min'")
        # MariaDB gives up whoever has written less.
        for number in range(20):
            connection.execute(sa.insert(NOTE), {"key": str(number)})
        waiting = pool.submit(store.save, record(revision="2" * 32), expected="1" * 32)
        wait_until_blocked(site)
        writing = pool.submit(connection.exec_driver_sql, then)
        assert waiting.result(LOCK_LIMIT) is False
        writing.result(LOCK_LIMIT)
        connection.commit()
    assert store.load("user-42") == record(changed_at=8)


# --- lost connections ---


@pytest.fixture
def proxied(site: Site) -> Iterator[tuple[servers.Proxy, Any]]:
    """A store whose way to the server can be cut, connected already."""
    with servers.Proxy(site.port) as proxy:
        store = site.store(site.url.replace(f":{site.port}/", f":{proxy.port}/"))
        store.load("nobody")
        yield proxy, store


@drivers("psycopg", "asyncpg", "pymysql", "aiomysql", "asyncmy")
@pytest.mark.requirement("R-62")
@pytest.mark.parametrize("delivered", [True, False], ids=["after", "before"])
def test_connection_lost_around_a_save(
    site: Site, proxied: tuple[servers.Proxy, Any], delivered: bool
) -> None:
    """A reply that is lost is an error, whether the write landed or not, and nothing is half."""
    servers.cut_around_a_save(*proxied, delivered=delivered)


@drivers("psycopg", "asyncpg", "pymysql", "aiomysql", "asyncmy")
@pytest.mark.requirement("R-62")
def test_connection_lost_at_a_load(site: Site, proxied: tuple[servers.Proxy, Any]) -> None:
    """A load whose connection breaks is an error and never "not enrolled"."""
    servers.cut_at_a_load(*proxied, site.store())


@drivers("psycopg", "pymysql")
@pytest.mark.requirement("R-64")
@pytest.mark.parametrize("delivered", [True, False], ids=["after", "before"])
def test_code_whose_reply_was_lost(
    site: Site, proxied: tuple[servers.Proxy, Any], delivered: bool
) -> None:
    """The user who tries again after an error is told "used" if the code was spent, or gets in."""
    proxy, store = proxied
    clock = FrozenClock()
    enroller = servers.enroller_over(store, clock)
    phone = servers.enroll(enroller, clock)
    proxy.cut_at(b"UPDATE", deliver=delivered)
    with pytest.raises(StorageError):
        enroller.verify(servers.RACER, phone.code())
    second = servers.outcome_of(partial(enroller.verify, servers.RACER, phone.code()))
    assert second == ("CodeReusedError" if delivered else "accepted")


@drivers("psycopg", "pymysql")
@pytest.mark.requirement("R-62")
def test_server_that_crashes(site: Site, request: pytest.FixtureRequest) -> None:
    """What a save stored is there after a crash of the server, and meanwhile calls are errors."""
    server = request.getfixturevalue("postgresql" if site.dialect == "postgresql" else "mariadb")
    servers.crash(server, site.store(pool_pre_ping=True))


def test_error_shows_no_document(site: Site, own: bool) -> None:
    """The text of a storage error and of its causes has nothing of the record."""
    store = site.store(own=own)
    with site.app.begin() as connection:
        TABLE.drop(connection)
    with pytest.raises(StorageError) as caught:
        store.save(record(document="unmistakable"), expected=None)
    assert str(caught.value) == "the store failed"
    error: BaseException | None = caught.value
    while error is not None:
        assert "unmistakable" not in str(error)
        error = error.__cause__


# --- in the app's transaction ---


async def connected(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


def test_flavours_and_modes(site: Site) -> None:
    """An engine makes a store that commits by itself; all else makes one that never does."""
    assert site.store().joined is False
    if site.is_async:
        engine = site.engine(own=False)
        sessions = async_sessionmaker(engine)
        scoped = async_scoped_session(sessions, scopefunc=lambda: 1)
        connection = site.wait(connected(engine))
        for bind in (sessions(), connection, scoped):
            assert AsyncSQLAlchemyStore(bind, TABLE).joined is True
        site.wait(connection.close())
    else:
        with site.app.connect() as connection, Session(site.app) as session:
            for bind in (connection, session, scoped_session(sessionmaker(site.app))):
                assert SQLAlchemyStore(bind, TABLE).joined is True


def in_session(site: Site, work: Callable[[Any, Any], None]) -> None:
    """Run work on a session and its store, plain or awaited, and close without a commit."""
    if not site.is_async:
        with Session(site.app) as session:
            work(session, SQLAlchemyStore(session, TABLE))
        return

    awaited = AsyncSession(site.engine(own=False))
    try:
        store = AsyncSQLAlchemyStore(awaited, TABLE)
        work(servers.Blocking(awaited, site.loop), servers.Blocking(store, site.loop))
    finally:
        site.wait(awaited.close())


def test_refused_create_spares_the_session(site: Site) -> None:
    """After a create that was refused, the app's work goes on and is committed."""
    site.store().save(record(), expected=None)

    def work(session: Any, store: Any) -> None:
        session.execute(sa.insert(NOTE), {"key": "before"})
        assert store.save(record(revision="2" * 32), expected=None) is False
        assert store.load("user-42") == record()
        assert store.user_ids() == ["user-42"]
        session.execute(sa.insert(NOTE), {"key": "after"})
        session.commit()

    in_session(site, work)
    with site.app.connect() as connection:
        assert set(connection.scalars(sa.select(Note.key))) == {"before", "after"}


def test_rollback_takes_everything_back(site: Site) -> None:
    """What the store saved and deleted in a transaction is undone with it."""
    site.store().save(record("kept"), expected=None)

    def work(session: Any, store: Any) -> None:
        store.save(record(), expected=None)
        store.delete("kept")
        assert store.load("kept") is None
        session.rollback()

    in_session(site, work)
    assert site.store().load("kept") == record("kept")
    assert site.store().load("user-42") is None


def test_errors_of_the_app_stay_as_they_are(site: Site) -> None:
    """In the app's transaction the driver's error comes through, for the app's own handling."""
    with site.app.begin() as connection:
        TABLE.drop(connection)

    def work(_: Any, store: Any) -> None:
        with pytest.raises(DBAPIError):
            store.load("user-42")

    in_session(site, work)


@drivers("psycopg", "sqlite", "asyncpg")
def test_constraint_of_the_app_is_no_refusal(site: Site) -> None:
    """A row that breaks another constraint of the table is an error and not a refusal."""
    metadata = sa.MetaData()
    table = enrollment_table(metadata, name="strict")
    table.append_constraint(sa.CheckConstraint("state <> 'disabled'"))
    metadata.create_all(site.app)
    store = site.store_on(site.engine(), table)
    with pytest.raises(StorageError):
        store.save(record(), expected=None)


@drivers("pymysql", "aiomysql")
def test_constraint_on_mariadb_is_no_refusal(site: Site) -> None:
    """Of the errors of integrity only a duplicate is a refusal."""
    metadata = sa.MetaData()
    table = enrollment_table(metadata, name="strict")
    owner = sa.Table(
        "owner",
        metadata,
        sa.Column("id", ExactString(190), primary_key=True),
        mysql_engine="InnoDB",
    )
    table.append_constraint(sa.ForeignKeyConstraint([table.c.user_id], [owner.c.id]))
    metadata.create_all(site.app)
    store = site.store_on(site.engine(), table)
    with pytest.raises(StorageError):
        store.save(record(), expected=None)


@drivers("psycopg", "sqlite")
def test_load_flushes_nothing(site: Site) -> None:
    """A load in a session sends no row of the app that waits to be flushed."""
    with Session(site.app) as session:
        note = Note(key="x")
        session.add(note)
        SQLAlchemyStore(session, TABLE).load("user-42")
        assert note in session.new


@drivers("psycopg", "sqlite")
def test_load_goes_to_the_writer(site: Site) -> None:
    """A session that sends reads to a replica reads the record where it would write it."""
    replica = sa.create_engine("sqlite://")

    class Routing(Session):
        def get_bind(self, mapper: Any = None, *, clause: Any = None, **_: Any) -> Any:
            writes = self._flushing or isinstance(clause, sa.Update | sa.Delete)
            return site.app if writes else replica

    site.store().save(record(), expected=None)
    with Routing() as session:
        assert SQLAlchemyStore(session, TABLE).load("user-42") == record()
    replica.dispose()


@drivers("pymysql")
def test_changed_since_read_reaches_the_app(site: Site) -> None:
    """MariaDB's error 1020 in the app's transaction comes through, and the repetition wins."""
    own_store = site.store()
    own_store.save(record(), expected=None)
    second, third = record(revision="2" * 32), record(revision="3" * 32)
    with Session(site.app) as session:
        session.execute(sa.text("SET SESSION innodb_snapshot_isolation = ON"))
        store = SQLAlchemyStore(session, TABLE)
        assert store.load("user-42") == record()
        assert own_store.save(second, expected=record().revision) is True
        with pytest.raises(OperationalError) as caught:
            store.save(third, expected=record().revision)
        assert caught.value.orig is not None
        assert caught.value.orig.args[0] == 1020
        session.rollback()
        assert store.load("user-42") == second
        assert store.save(third, expected=second.revision) is True
        session.commit()
    assert own_store.load("user-42") == third


@drivers("psycopg", "pymysql", "sqlite")
def test_view_in_the_transaction_of_the_app(site: Site) -> None:
    """A disable in a view is undone with the app's transaction, and lasts with its commit."""
    clock = FrozenClock()
    enroller = servers.enroller_over(site.store(), clock)
    servers.enroll(enroller, clock)
    for commits in (False, True):
        with Session(site.app) as session:
            view = enroller.using(SQLAlchemyStore(session, TABLE))
            view.disable(servers.RACER, proof=Override(actor="help desk", reason="lost phone"))
            assert view.status(servers.RACER).required is False
            if commits:
                session.commit()
        assert enroller.status(servers.RACER).required is not commits


# --- what is refused ---


def test_engine_with_one_connection_is_refused() -> None:
    """An engine that lends its one connection to everybody cannot commit by itself."""
    for engine in (
        sa.create_engine("sqlite://"),
        sa.create_engine("sqlite:///x", poolclass=StaticPool),
    ):
        with pytest.raises(ValueError, match="use a file, or MemoryStore"):
            SQLAlchemyStore(engine, TABLE)
    with pytest.raises(ValueError, match="use a file, or MemoryStore"):
        AsyncSQLAlchemyStore(create_async_engine("sqlite+aiosqlite://"), TABLE)


def test_a_bind_of_the_other_flavour_is_refused(tmp_path: Path) -> None:
    """What a store cannot be bound to is refused in words that say what to pass instead."""
    plain = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    awaited = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    sessions, async_sessions = sessionmaker(plain), async_sessionmaker(awaited)
    async_scoped = async_scoped_session(async_sessions, scopefunc=lambda: 1)
    other = "use AsyncSQLAlchemyStore, or make the engine with own_engine$"
    of_the_app = "session or connection of the app$"
    wrong: Any
    for wrong, advice in (
        (awaited, other),
        (awaited.connect(), other),
        (async_sessions(), other),
        (async_scoped, other),
        (awaited.sync_engine, "use AsyncSQLAlchemyStore over own_async_engine$"),
        (sessions, "call it, and pass the session$"),
        (str(plain.url), f"pass what own_engine returns, or a {of_the_app}"),
        (None, f"this NoneType: pass what own_engine returns, or a {of_the_app}"),
    ):
        with pytest.raises(TypeError, match=advice):
            SQLAlchemyStore(wrong, TABLE)
    other = "use SQLAlchemyStore, or make the engine with own_async_engine$"
    with plain.connect() as connection, sessions() as session:
        for wrong, advice in (
            (plain, other),
            (connection, other),
            (session, other),
            (scoped_session(sessions), other),
            (async_sessions, "call it, and pass the session$"),
            (None, f"this NoneType: pass what own_async_engine returns, or an async {of_the_app}"),
        ):
            with pytest.raises(TypeError, match=advice):
                AsyncSQLAlchemyStore(wrong, TABLE)
    plain.dispose()


def test_other_databases_are_refused(tmp_path: Path) -> None:
    """A database that nobody tried is a ValueError in every mode, before the first user."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    engine.dialect.name = "other"
    with pytest.raises(ValueError, match="no store for other"):
        SQLAlchemyStore(engine, TABLE)
    with engine.connect() as connection, pytest.raises(ValueError, match="no store for other"):
        SQLAlchemyStore(connection, TABLE)
    engine.dispose()


def test_options_of_an_own_engine() -> None:
    """The app's own options of an engine are kept beside the store's."""
    options = {"execution_options": {"logging_token": "otp"}, "hide_parameters": False}
    engine = own_engine("sqlite:///x", **options)
    assert engine.get_execution_options()["logging_token"] == "otp"
    assert engine.hide_parameters is False
    assert own_engine("sqlite:///x").hide_parameters is True


# --- migrations ---


@drivers("psycopg", "pymysql", "mariadb", "sqlite")
def test_migration_of_the_docs(site: Site) -> None:
    """The migration of the docs makes the table that autogenerate expects, and takes it away."""
    with site.app.begin() as connection:
        TABLE.drop(connection)
    code = block_of("def upgrade")
    with site.app.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            namespace: dict[str, Any] = {}
            exec(code, namespace)  # noqa: S102  # the docs' own code
            namespace["upgrade"]()
        assert compare_metadata(context, Base.metadata) == []
    store = site.store()
    assert store.save(record(), expected=None) is True
    site.exits.close()
    with site.app.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            namespace["downgrade"]()
        assert not sa.inspect(connection).has_table("otp_enrollment")
    TABLE.create(site.app)


DOCS: Final = Path(__file__).parent.parent.parent / "docs" / "sqlalchemy.md"


def block_of(mark: str) -> str:
    """Return the block of the docs that has a text in it."""
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(DOCS)
    (found,) = [str(one.parsed) for one in document.examples() if mark in one.parsed]
    return found
