"""Engines, and how a call in own mode gets its lock timeout on their connections.

Without a timeout, a request that has changed the account's row in its own transaction, and then
lets a code be judged, waits for a lock that it holds itself: for ever on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from otp_enroll.storage.sql import LOCK_SECONDS

_MARK: Final = "otp_enroll_own"


class Waiting(NamedTuple):
    """How a call in own mode gets its lock timeout from a connection that the app uses too.

    Attributes:
        isolation_level: What the store's engine has, or ``None`` for the app's own.
        before: A statement before the store's, or ``None``.
        after: A statement that gives the app's settings back, or ``None`` where they come back
            by themselves.
    """

    isolation_level: str | None = None
    before: str | None = None
    after: str | None = None

    @contextmanager
    def on(self, connection: Connection) -> Generator[None]:
        """Set the timeout for the block, and what the app had after it.

        Args:
            connection: One from the app's pool, on which a transaction has begun.
        """
        if self.before is not None:
            connection.exec_driver_sql(self.before)
        try:
            yield
            if self.after is not None:
                connection.exec_driver_sql(self.after)
        except BaseException:
            if self.after is not None:
                # The app would get it back with our settings on it.
                connection.invalidate()
            raise

    @asynccontextmanager
    async def on_async(self, connection: AsyncConnection) -> AsyncGenerator[None]:
        """As ``on``, awaited."""
        if self.before is not None:
            await connection.exec_driver_sql(self.before)
        try:
            yield
            if self.after is not None:
                await connection.exec_driver_sql(self.after)
        except BaseException:
            if self.after is not None:
                await connection.invalidate()
            raise


# Kept in variables of the session, so that setting and keeping are one round trip. Both, because
# a row and a table (ALTER TABLE in a migration) are waited for by clocks of their own.
_MYSQL_WAITING: Final = Waiting(
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
    # A transaction, whatever the engine's own level is, because SET LOCAL ends with it. And READ
    # COMMITTED, in which a save that waited looks again at the row and is simply refused.
    "postgresql": Waiting("READ COMMITTED", f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"),
    "mysql": _MYSQL_WAITING,
    "mariadb": _MYSQL_WAITING,
    # Python's driver waits five seconds by default, and a deferred transaction would not wait.
    "sqlite": Waiting("AUTOCOMMIT"),
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
    """Make an engine for one store in own mode: one round trip a call, and a pool of its own.

    Its connections commit each statement and have the lock timeout from the start. A request
    whose transaction holds a connection of the app's pool does not wait for a second one of that
    pool, which would stop all requests once each holds one. Dispose of it when the app ends.

    Args:
        url: As for ``create_engine``.
        options: As for ``create_engine``, without ``isolation_level``. Parameters are hidden in
            error messages unless ``hide_parameters`` says otherwise: they hold the document,
            and an app logs such messages (CWE-532).

    Raises:
        ValueError: The stores were not tried on that database.
    """
    engine = create_engine(url, **_own_options(options))
    _set_on_connect(engine)
    return engine


def own_async_engine(
    url: str | URL,
    **options: Any,  # noqa: ANN401  # as create_async_engine
) -> AsyncEngine:
    """As ``own_engine``, for ``AsyncSQLAlchemyStore``. Keep it to one event loop."""
    engine = create_async_engine(url, **_own_options(options))
    _set_on_connect(engine.sync_engine)
    return engine


def _own_options(options: Mapping[str, Any]) -> dict[str, Any]:
    # The mark is how a store knows that this engine needs no statement before its own.
    marked = {**options.get("execution_options", {}), _MARK: True}
    own = {"isolation_level": "AUTOCOMMIT", "execution_options": marked}
    return {"hide_parameters": True, **options, **own}


def _set_on_connect(engine: Engine) -> None:
    """Give each new connection its lock timeout, once in its life.

    By an event and not by ``connect_args``, for which each driver has a spelling of its own.
    """
    setting = _CONNECTED[check_dialect(engine.dialect)]

    @event.listens_for(engine, "connect")
    def set_lock_timeout(connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        try:
            cursor.execute(setting)
        finally:
            cursor.close()


def check_dialect(dialect: Dialect) -> str:
    """Return the dialect's name.

    A database on which the stores were not tried may take ``Alice`` for ``alice``, or count rows
    otherwise, and nothing would say so.

    Raises:
        ValueError: The stores were not tried on that database.
    """
    if dialect.name not in _WAITING:
        raise ValueError(f"no store for {dialect.name}: it is for {', '.join(_WAITING)}")
    return dialect.name


def choose_waiting(engine: Engine) -> tuple[Waiting, dict[str, Any]]:
    """Return how calls get their lock timeout, and the options that a store's engine needs.

    Args:
        engine: The one that a store in own mode was given.

    Raises:
        ValueError: Its pool lends one connection to several at once.
    """
    name = check_dialect(engine.dialect)
    # On a connection that is the app's too, each call would commit the app's work in passing.
    if isinstance(engine.pool, (StaticPool, SingletonThreadPool)):
        raise ValueError(  # noqa: TRY004  # an engine it is
            "this engine lends its one connection to the app's transactions too,"
            " as those of SQLite in memory do: use a file, or MemoryStore"
        )
    if engine.get_execution_options().get(_MARK):
        return Waiting(), {}
    waiting = _WAITING[name]
    level = waiting.isolation_level
    return waiting, {} if level is None else {"isolation_level": level}
