"""The parts of a run: which sides meet, over which store, in how many rounds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Engine, MetaData

from benchmarks import ours, peers_plain
from benchmarks.contention import Contention
from benchmarks.floors import BareVerify, PostgreSQLFloor, SQLiteFloor
from benchmarks.ours import ConfirmedAccounts, Lives
from benchmarks.results import Results
from benchmarks.rounds import Side, Steps, interleave
from benchmarks.rows import OURS
from benchmarks.workers import Worker
from helpers import servers
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.storage.sqlalchemy import SQLAlchemyStore, enrollment_table, own_engine
from otp_enroll.storage.sqlite import SQLiteStore

_LIVES: Final = 20
_FULL_WAL: Final = 32 + 1000 * (24 + 4096)
"""Bytes at SQLite's first checkpoint, after 1,000 pages: from then on the file does not grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part.

    Attributes:
        sides: Opens what the sides need, in a folder, and closes it.
        rounds: How many rounds a whole run has.
        short: How many a short one has.
    """

    sides: Callable[[Path, Results], AbstractContextManager[list[Side]]]
    rounds: int
    short: int

    def run(
        self, folder: Path, results: Results, *, short: bool
    ) -> dict[str, dict[str, list[float]]]:
        """Run the rounds."""
        with self.sides(folder, results) as sides:
            return interleave(sides, rounds=self.short if short else self.rounds)


@contextmanager
def _verify(folder: Path, _: Results) -> Generator[list[Side]]:
    accounts = ConfirmedAccounts()
    path = str(folder / "verify.db")
    with (
        Worker("benchmarks.peers_django", path, "NORMAL") as django,
        Worker("benchmarks.peers_flask", path, "NORMAL") as flask,
    ):
        yield [
            *accounts.sides(),
            *peers_plain.verify_sides(200),
            BareVerify(accounts, 100).side(),
            django.side("allauth", "allauth, wrong code", 100),
            django.side("django-otp", "django-otp, wrong code", 25),
            flask.side("Flask-Security", "Flask-Security, wrong code", 1),
        ]


@contextmanager
def _right(_: Path, __: Results) -> Generator[list[Side]]:
    yield ConfirmedAccounts().right_sides()


@contextmanager
def _life(folder: Path, _: Results) -> Generator[list[Side]]:
    path = folder / "life.db"
    with (
        _sqlite(path, "NORMAL") as (store, floor),
        Worker("benchmarks.peers_django", str(path), "NORMAL") as django,
        Worker("benchmarks.peers_flask", str(path), "NORMAL") as flask,
    ):
        yield [
            Lives(store, _LIVES).side(),
            floor.side(),
            Lives(MemoryStore(), _LIVES).side("otp_enroll, in memory"),
            django.side("django-otp", "django-otp", _LIVES),
            django.side("allauth", "allauth", _LIVES),
            django.side("django-two-factor-auth", "django-two-factor-auth", _LIVES // 2),
            flask.side("Flask-Security", "Flask-Security", 1),
        ]


@contextmanager
def _full(folder: Path, _: Results) -> Generator[list[Side]]:
    path = folder / "full.db"
    with _sqlite(path, "FULL") as (store, floor):
        sides = [Lives(store, _LIVES).side(), floor.side()]
        while _size_of_wal(path) < _FULL_WAL:
            for side in sides:
                side.run()
        yield sides


@contextmanager
def _sqlite(
    path: Path, synchronous: Literal["NORMAL", "FULL"]
) -> Generator[tuple[SQLiteStore, SQLiteFloor]]:
    with SQLiteStore(path, synchronous=synchronous) as store:
        store.load("nobody")  # makes the file
        with closing(SQLiteFloor(path, synchronous, _LIVES)) as floor:
            yield store, floor


def _size_of_wal(path: Path) -> int:
    return path.with_name(f"{path.name}-wal").stat().st_size


@contextmanager
def _postgresql(_: Path, results: Results) -> Generator[list[Side]]:
    with _pool() as (store, address), closing(PostgreSQLFloor(address, _LIVES)) as floor:
        results.versions["PostgreSQL"] = floor.version
        yield [Lives(store, _LIVES).side(), floor.side()]


@contextmanager
def _contention(_: Path, __: Results) -> Generator[list[Side]]:
    with _pool() as (store, _address):
        yield Contention(store, 20).sides()


@contextmanager
def _pool() -> Generator[tuple[SQLAlchemyStore, str]]:
    with servers.running(servers.PostgreSQL) as server:
        database = server.fresh_database()
        engine: Engine = own_engine(database.url("postgresql+psycopg"), pool_size=5, max_overflow=0)
        table = enrollment_table(MetaData())
        table.metadata.create_all(engine)
        try:
            yield SQLAlchemyStore(engine, table), database.url("postgresql")
        finally:
            engine.dispose()


@contextmanager
def _begin(_: Path, __: Results) -> Generator[list[Side]]:
    yield [*ours.begin_sides(5), *peers_plain.begin_sides(5)]


@contextmanager
def _import(folder: Path, _: Results) -> Generator[list[Side]]:
    # The round before the first leaves the compiled modules there, whatever the environment says.
    cache = {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    yield [
        Side(name=OURS, run=partial(_import_of, "otp_enroll", cache)),
        Side(name="import pyotp, segno", run=partial(_import_of, "pyotp, segno", cache)),
    ]


def _import_of(modules: str, environment: Mapping[str, str]) -> Steps:
    """Import in a fresh interpreter, which was started before the clock is read."""
    script = (
        "import time; started = time.perf_counter();"
        f"import {modules}; print(time.perf_counter() - started)"
    )
    done = subprocess.run(  # noqa: S603  # our own interpreter and script
        (sys.executable, "-c", script),
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return {"import": float(done.stdout) * 1e6}


@contextmanager
def _document(_: Path, __: Results) -> Generator[list[Side]]:
    size = len(ConfirmedAccounts().document.encode())
    yield [Side(name=OURS, run=lambda: {"bytes": size})]


PARTS: Final[Mapping[str, Part]] = {
    "verify": Part(sides=_verify, rounds=150, short=20),
    "right": Part(sides=_right, rounds=150, short=50),
    "life": Part(sides=_life, rounds=100, short=8),
    "full": Part(sides=_full, rounds=200, short=12),
    "postgresql": Part(sides=_postgresql, rounds=120, short=10),
    "begin": Part(sides=_begin, rounds=80, short=10),
    "import": Part(sides=_import, rounds=50, short=8),
    "document": Part(sides=_document, rounds=1, short=1),
    "contention": Part(sides=_contention, rounds=30, short=5),
}
