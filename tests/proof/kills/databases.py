"""The databases, with all that makes an acknowledged write outlive the server's process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from typing_extensions import override

from helpers import servers
from otp_enroll.storage.protocol import EnrollmentStore

_PROC: Final = Path("/proc")

SECONDS: Final = 10
"""How long a client waits for a silent server."""


class PostgreSQL(servers.PostgreSQL):
    """PostgreSQL that syncs before it acknowledges, and whose every process is killed."""

    settings: ClassVar[tuple[str, ...]] = (
        "--fsync=on",
        "--synchronous_commit=on",
        "--full_page_writes=on",
    )

    @override
    def command(self) -> list[str]:
        return [*super().command(), *self.settings]

    @override
    def kill(self) -> None:
        """Kill the backends with the postmaster halted, so that it starts no other, and then it.

        Without /proc it is shut down at once, which does the same to the data.
        """
        if _PROC.exists() and self._process is not None and self._process.poll() is None:
            os.kill(self.pid, signal.SIGSTOP)
            # Again and again: it halts when it next looks, and may start one more before.
            while alive := [child for child in _children(self.pid) if _is_alive(child)]:
                for child in alive:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
                time.sleep(0.001)
            os.kill(self.pid, signal.SIGKILL)
        super().kill()


def _children(pid: int) -> list[int]:
    """Return the processes that one started and has not yet waited for."""
    found = []
    for stat in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which may have spaces and parentheses: state, parent.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def _is_alive(pid: int) -> bool:
    """Return whether a process still runs: a killed one stays as a zombie until waited for."""
    with suppress(OSError):
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


class MariaDB(servers.MariaDB):
    """MariaDB that syncs before it acknowledges."""

    @override
    def command(self) -> list[str]:
        return [*super().command(), "--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=1"]


class Redis(servers.Redis):
    """Redis that syncs before it acknowledges."""

    options = (*servers.Redis.options, "--appendonly", "yes", "--appendfsync", "always")


class ForgetfulRedis(servers.Redis):
    """Redis without an append-only file: what it acknowledged is gone when it is killed."""

    options = (*servers.Redis.options, "--appendonly", "no")


SERVERS: Final[dict[str, type[servers.Server]]] = {
    "postgresql": PostgreSQL,
    "mariadb": MariaDB,
    "redis": Redis,
}
_DRIVERS: Final = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql", "redis": "redis"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One empty database.

    Attributes:
        kind: ``"postgresql"``, ``"mariadb"``, ``"redis"`` or ``"sqlite"``.
        address: Its URL, or the path of its file.
        server: What serves it; SQLite is served by each process itself.
    """

    kind: str
    address: str
    server: servers.Server | None = None


def site_on(kind: str, server: servers.Server) -> Site:
    """Make an empty database on a server, with the table."""
    address = server.fresh_database().url(_DRIVERS[kind])
    if kind != "redis":
        with _engine_and_table(address) as (engine, table):
            table.metadata.create_all(engine)
    return Site(kind=kind, address=address, server=server)


def durability(site: Site, names: list[str]) -> dict[str, str]:
    """Ask a running server for settings."""
    server = site.server
    if isinstance(server, PostgreSQL):
        return {name: server.sql(f"SHOW {name}").strip() for name in names}
    if isinstance(server, MariaDB):
        return {name: server.sql(f"SELECT @@global.{name}").strip() for name in names}
    if server is None:
        return {}
    from redis import Redis as Client  # noqa: PLC0415  # one driver a process

    with Client.from_url(site.address, decode_responses=True) as client:
        return dict(client.config_get(*names))


@contextmanager
def site_of(kind: str, directory: Path) -> Generator[Site]:
    """Start what a kind of database needs, and make one."""
    if kind == "sqlite":
        yield Site(kind=kind, address=str(directory / "otp.sqlite3"))
        return
    with servers.running(SERVERS[kind]) as server:
        yield site_on(kind, server)


@contextmanager
def open_store(kind: str, address: str) -> Generator[EnrollmentStore]:
    """Open a new handle on a database."""
    if kind == "sqlite":
        from otp_enroll.storage.sqlite import SQLiteStore  # noqa: PLC0415  # one driver a process

        with SQLiteStore(address) as store:
            yield store
    elif kind == "redis":
        from redis import Redis as Client  # noqa: PLC0415  # the same

        from otp_enroll.storage.redis import RedisStore  # noqa: PLC0415  # the same

        with Client.from_url(address, socket_timeout=SECONDS) as client:
            yield RedisStore(client)
    else:
        from otp_enroll.storage.sqlalchemy import SQLAlchemyStore  # noqa: PLC0415  # the same

        with _engine_and_table(address) as (engine, table):
            yield SQLAlchemyStore(engine, table)


@contextmanager
def _engine_and_table(address: str) -> Generator[tuple[Any, Any]]:
    from sqlalchemy import MetaData  # noqa: PLC0415  # one driver a process

    from otp_enroll.storage.sqlalchemy import enrollment_table, own_engine  # noqa: PLC0415  # the same

    engine = own_engine(address, pool_size=1, max_overflow=0)
    try:
        yield engine, enrollment_table(MetaData())
    finally:
        engine.dispose()
