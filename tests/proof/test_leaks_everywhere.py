"""The hunt for leaks everywhere: adapters and drivers, dumps, printers, pytest, a web app."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import dataclasses
import http.cookiejar
import json
import logging
import os
import pickle
import pprint
import re
import reprlib
import secrets
import subprocess
import sys
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parents[1] / "django"))  # for django_site

import pytest
import sqlalchemy as sa
from django.db.backends.signals import connection_created
from django_site import CLOCK, site_of
from flask_app.app import create_app
from redis import Redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from werkzeug.serving import make_server

import otp_enroll
from helpers import servers
from helpers.flows import wrong_for
from helpers.leak_hunt import PACKAGE, TESTS, USER, VOUCHED, Hunt, printed, whole_flow
from otp_enroll import (
    AsyncEnroller,
    Enroller,
    Parameters,
    Policy,
    ProvisioningWarning,
    Unencrypted,
    errors,
)
from otp_enroll.core.secret import Secret, SetupId
from otp_enroll.core.typed_text import read_code, read_key
from otp_enroll.django.store import AsyncDjangoStore, DjangoStore
from otp_enroll.provisioning.uri import parse
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.storage.protocol import UNENCRYPTED_MARK
from otp_enroll.storage.redis import AsyncRedisStore, RedisStore
from otp_enroll.storage.sqlalchemy import (
    AsyncSQLAlchemyStore,
    SQLAlchemyStore,
    enrollment_table,
    own_async_engine,
    own_engine,
)
from otp_enroll.storage.sqlite import AsyncSQLiteStore, SQLiteStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

postgresql = servers.postgresql
mariadb = servers.mariadb
redis_server = servers.redis_server

SOURCE: Final = str(Path(otp_enroll.__file__).parents[1])
"""Where the library is imported from, for tests in a process of their own."""

METADATA: Final = sa.MetaData()
TABLE: Final = enrollment_table(METADATA)

STOPS: Final = {
    "sqlite": "CREATE TRIGGER stopped BEFORE UPDATE ON otp_enrollment "
    "BEGIN SELECT RAISE(ABORT, 'stopped'); END",
    # Its message has the whole row that failed.
    "postgresql": "ALTER TABLE otp_enrollment "
    "ADD CONSTRAINT stopped CHECK (changed_at < 0) NOT VALID",
    "mariadb": "CREATE TRIGGER stopped BEFORE UPDATE ON otp_enrollment FOR EACH ROW "
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'stopped'",
}
"""What makes every save fail in the driver."""

GONE: Final = "ALTER TABLE otp_enrollment RENAME TO gone"
"""What makes every call fail in the driver."""


# --- adapters ---


@dataclass
class Place:
    """A store of one kind, with the ways to make its driver fail.

    Attributes:
        store: The store.
        call: Makes an async enroller callable from here.
        stop_writes: Lets saves fail from now on, and loads not.
        stop: Lets everything fail from now on.
        files: What the database or its server writes.
    """

    store: Any
    call: Callable[[Any], Any] | None = None
    stop_writes: Callable[[], object] | None = None
    stop: Callable[[], object] | None = None
    files: list[Path] = field(default_factory=list)


Opener = Callable[[pytest.FixtureRequest, Path, ExitStack], Place]


def sqlite_files(path: Path) -> dict[str, Any]:
    """Return the ways to make a SQLite file fail."""

    def run(statement: str) -> None:
        engine = sa.create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    return {
        "stop_writes": lambda: run(STOPS["sqlite"]),
        "stop": lambda: run(GONE),
        "files": [path],
    }


def open_memory(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
    return Place(MemoryStore())


def open_async_memory(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
    return Place(AsyncMemoryStore(), partial(in_loop, stack.enter_context(servers.running_loop())))


def open_sqlite(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
    store = stack.enter_context(SQLiteStore(path / "otp.db"))
    return Place(store, **sqlite_files(path / "otp.db"))


def open_async_sqlite(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
    loop = stack.enter_context(servers.running_loop())
    store = AsyncSQLiteStore(path / "otp.db")
    stack.callback(lambda: servers.Blocking(store, loop).close())
    return Place(store, partial(in_loop, loop), **sqlite_files(path / "otp.db"))


def in_loop(loop: asyncio.AbstractEventLoop, enroller: Any) -> Any:
    """Let an async enroller be called from here, in the loop's thread."""
    return servers.Blocking(enroller, loop)


def sql_place(
    request: pytest.FixtureRequest, path: Path, stack: ExitStack, kind: str, driver: str
) -> tuple[str, dict[str, Any]]:
    """Make the table in a fresh database; return its URL and the ways to make it fail."""
    if kind == "sqlite":
        plain, url = f"sqlite:///{path / 'app.db'}", f"{driver}:///{path / 'app.db'}"
        files = [path / "app.db"]
    else:
        server = request.getfixturevalue(kind)
        database = server.fresh_database()
        sync = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[kind]
        plain, url = database.url(sync), database.url(driver)
        files = [server.directory / "server.log"]
    admin = sa.create_engine(plain, poolclass=sa.NullPool)
    METADATA.create_all(admin)

    def run(statement: str) -> None:
        with admin.begin() as connection:
            connection.exec_driver_sql(statement)

    ways = {"stop_writes": lambda: run(STOPS[kind]), "stop": lambda: run(GONE), "files": files}
    return url, ways


def sqlalchemy_on(kind: str, driver: str, *, hide: bool) -> Opener:
    """Open a store whose engine logs all that it does, rows included."""

    def opener(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
        url, ways = sql_place(request, path, stack, kind, driver)
        engine = own_engine(url, echo="debug", hide_parameters=hide)
        stack.callback(engine.dispose)
        return Place(SQLAlchemyStore(engine, TABLE), **ways)

    return opener


def open_asyncpg(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
    url, ways = sql_place(request, path, stack, "postgresql", "postgresql+asyncpg")
    loop = stack.enter_context(servers.running_loop())
    engine = own_async_engine(url, echo="debug")
    stack.callback(lambda: asyncio.run_coroutine_threadsafe(engine.dispose(), loop).result(60))
    return Place(AsyncSQLAlchemyStore(engine, TABLE), partial(in_loop, loop), **ways)


def redis_place(request: pytest.FixtureRequest, stack: ExitStack) -> tuple[Any, dict[str, Any]]:
    server = request.getfixturevalue("redis_server")
    database = server.fresh_database()
    where = {"host": database.host, "port": database.port, "db": int(database.name)}

    def stop() -> None:
        stack.callback(server.start)
        stack.callback(server.stop)

        server.call("CONFIG", "SET", "min-replicas-to-write", "0")
        server.stop()

    files = [server.directory / "server.log", *server.directory.rglob("*.aof")]
    return where, {
        "stop_writes": lambda: server.call("CONFIG", "SET", "min-replicas-to-write", "1"),
        "stop": stop,
        "files": files,
    }


def open_redis(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
    where, ways = redis_place(request, stack)
    client = stack.enter_context(contextlib.closing(Redis(**where, retry=Retry(NoBackoff(), 0))))
    return Place(RedisStore(client), **ways)


def open_async_redis(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
    where, ways = redis_place(request, stack)
    loop = stack.enter_context(servers.running_loop())
    client = aioredis.Redis(**where, retry=AsyncRetry(NoBackoff(), 0))
    close: Any = getattr(client, "aclose", client.close)  # redis-py 5.0.0 has the old name alone
    stack.callback(lambda: asyncio.run_coroutine_threadsafe(close(), loop).result(60))
    return Place(AsyncRedisStore(client), partial(in_loop, loop), **ways)


def log_all(connection: Any, **_: Any) -> None:
    """Let a connection of Django log its SQL, as DEBUG would."""
    connection.force_debug_cursor = True


def django_on(kind: str, *, awaited: bool = False) -> Opener:
    """Stand the project of Django's tests on a database, with its SQL in the log."""

    def opener(request: pytest.FixtureRequest, path: Path, stack: ExitStack) -> Place:
        connection_created.connect(log_all)
        stack.callback(connection_created.disconnect, log_all)
        site = stack.enter_context(site_of(kind, request, path))
        call = partial(in_loop, stack.enter_context(servers.running_loop())) if awaited else None
        files = [path / "app.sqlite3"]
        if kind != "sqlite":
            files = [request.getfixturevalue(kind).directory / "server.log"]
        return Place(
            AsyncDjangoStore() if awaited else DjangoStore(),
            call,
            stop_writes=lambda: site.sql(STOPS[kind]),
            stop=lambda: site.sql(GONE),
            files=files,
        )

    return opener


ADAPTERS: Final[dict[str, Opener]] = {
    "memory": open_memory,
    "memory, awaited": open_async_memory,
    "sqlite": open_sqlite,
    "sqlite, awaited": open_async_sqlite,
    "sqlalchemy on sqlite": sqlalchemy_on("sqlite", "sqlite", hide=False),
    "sqlalchemy on postgresql": sqlalchemy_on("postgresql", "postgresql+psycopg", hide=False),
    "sqlalchemy on mariadb": sqlalchemy_on("mariadb", "mysql+pymysql", hide=False),
    "sqlalchemy, parameters hidden": sqlalchemy_on("sqlite", "sqlite", hide=True),
    "sqlalchemy on asyncpg, awaited": open_asyncpg,
    "redis": open_redis,
    "redis, awaited": open_async_redis,
    "django on sqlite": django_on("sqlite"),
    "django on postgresql": django_on("postgresql"),
    "django on mariadb": django_on("mariadb"),
    "django on sqlite, awaited": django_on("sqlite", awaited=True),
}


@contextmanager
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Let every logger that there is log all it can; the list is what was logged."""
    shown: list[str] = []
    # SQLAlchemy's echo would put up a handler of its own, for good, where there is none.
    names = ("sqlalchemy.engine.Engine", "sqlalchemy.pool.impl.QueuePool")
    handlers = [(logging.getLogger(name), logging.NullHandler()) for name in names]
    for logger, handler in handlers:
        logger.addHandler(handler)
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    try:
        yield shown
    finally:
        for logger, handler in handlers:
            logger.removeHandler(handler)
        shown.append(caplog.text)
        shown += [repr(vars(record)) for record in caplog.records]


def driver_failures(hunt: Hunt, enroller: Any, phone: FakeAuthenticator, place: Place) -> None:
    """Let the driver fail below each verb, and collect what its exceptions show."""
    if place.stop_writes is None or place.stop is None:
        return
    wrong = hunt.types(wrong_for(phone))
    code = hunt.types(phone.code())
    verbs: list[Callable[[], object]] = [
        lambda: enroller.verify(USER, code),
        lambda: enroller.verify(USER, wrong),
        lambda: enroller.disable(USER, proof=code),
        lambda: enroller.begin(USER, account_name="sara", proof=VOUCHED),
        lambda: enroller.regenerate_recovery_codes(USER, proof=code),
    ]
    place.stop_writes()
    for verb in verbs:
        hunt.expect(errors.StorageError, verb)
    place.stop()
    for verb in [
        *verbs,
        lambda: enroller.status(USER),
        lambda: enroller.erase(USER, proof=VOUCHED),
    ]:
        hunt.expect(errors.StorageError, verb)


def check_files(hunt: Hunt, files: list[Path]) -> None:
    """See that no file, nor what SQLite keeps beside it, has anything."""
    for one in files:
        for file in filter(Path.is_file, one.parent.glob(f"{one.name}*")):
            content = file.read_bytes().decode("latin-1")
            assert [needle for needle in hunt.needles if needle in content] == [], file


@pytest.mark.requirement("R-06", "R-25", "R-90", "R-95")
@pytest.mark.regression_of("B-11", "B-36")
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_adapter_leaks(
    adapter: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A life and a failing driver: logs, errors with all locals, events and files show nothing."""
    hunt = Hunt()
    clock = CLOCK if "django" in adapter else FrozenClock()
    clock.now = FrozenClock().now
    key = secrets.token_bytes(32)
    hunt.hide_raw(key)

    def hear(event: Any) -> None:
        hunt.sinks += [repr(event), json.dumps(dataclasses.asdict(event), default=str)]
        raise RuntimeError("listeners fail, too")

    async def hear_awaited(event: Any) -> None:
        hear(event)

    settings: dict[str, Any] = {"issuer": "Exir", "cipher": AESGCMKeyRing({"k1": key})}
    with everything_logged(caplog) as logged, ExitStack() as stack:
        place = ADAPTERS[adapter](request, tmp_path, stack)
        enroller: Any
        if place.call is None:
            enroller = Enroller(place.store, clock=clock, on_event=hear, **settings)
        else:
            enroller = place.call(
                AsyncEnroller(place.store, clock=clock, on_event=hear_awaited, **settings)
            )
        phone = whole_flow(hunt, enroller, clock)
        driver_failures(hunt, enroller, phone, place)
        check_files(hunt, place.files)
    hunt.sinks += [*logged, *capfd.readouterr()]
    text = "\n".join(hunt.sinks)
    assert "listeners fail, too" in text
    assert PACKAGE in text
    assert ("memory" in adapter) is ("StorageError" not in text)
    assert hunt.found(hunt.sinks) == []


def test_the_hunt_sees_what_drivers_and_logs_show(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With nothing sealed the same hunt finds the key in the log of the engine and in the file."""
    hunt = Hunt()
    clock = FrozenClock()
    url = f"sqlite:///{tmp_path / 'app.db'}"
    engine = own_engine(url, echo="debug", hide_parameters=False)
    with everything_logged(caplog) as logged:
        METADATA.create_all(engine)
        store = SQLAlchemyStore(engine, TABLE)
        enroller = Enroller(store, issuer="Exir", cipher=Unencrypted(), clock=clock)
        raw = base64.b32decode(enroller.begin(USER, account_name="sara").key)
        enroller.status(USER)
        hunt.hide(base64.b64encode(UNENCRYPTED_MARK + raw).decode())
        engine.dispose()
    assert hunt.found(logged)
    with pytest.raises(AssertionError):
        check_files(hunt, [tmp_path / "app.db"])


def test_the_hunt_sees_what_locals_of_a_driver_show() -> None:
    """A frame of another module is looked into, behind a cause as well; a test's own is not."""

    def fails(text: str) -> None:
        try:
            json.loads(text)
        except ValueError as cause:
            raise LookupError from cause

    with pytest.raises(LookupError) as error:
        fails("SECRETKEY")
    shown = printed(error.value)
    assert "json/decoder.py" in shown
    assert "SECRETKEY" in shown
    assert TESTS not in shown


# --- whatever can be printed, copied or written down ---


@dataclass
class Things:
    """An object of each kind that the library hands out or is given, and what none may show."""

    hunt: Hunt
    all: list[Any]


@pytest.fixture
def things() -> Things:
    hunt = Hunt()
    clock = FrozenClock()
    key = secrets.token_bytes(32)
    hunt.hide_raw(key)
    told: list[Any] = []
    ring = AESGCMKeyRing({"k1": key})
    store = MemoryStore()
    enroller = Enroller(store, issuer="Exir", cipher=ring, clock=clock, on_event=told.append)
    setup = enroller.begin(USER, account_name="sara")
    hunt.hide_setup(setup)
    phone = FakeAuthenticator(setup.uri, clock)
    resumed = enroller.resume(USER, setup_id=setup.id)
    key_copy = enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
    pending = store.load(USER)
    done = enroller.confirm(USER, phone.code(), setup_id=setup.id)
    hunt.hide_codes(done.recovery_codes or ())
    clock.advance(60)
    verification = enroller.verify(USER, hunt.types(phone.code()))
    with pytest.raises(errors.CodeReusedError) as reused:
        enroller.verify(USER, phone.code())
    with pytest.raises(errors.WrongCodeError) as wrong:
        enroller.verify(USER, hunt.types(wrong_for(phone)))
    raw = base64.b32decode(setup.key)
    codes = done.recovery_codes
    assert codes is not None
    return Things(
        hunt,
        [
            *(setup, resumed, setup.qr, setup.sheet(), setup.sheet(private=True)),
            *(done, codes, codes.sheet(), key_copy, verification, enroller.status(USER)),
            *(enroller, enroller.reseal(), ring, store, pending, store.load(USER), phone, *told),
            *(reused.value, wrong.value, VOUCHED, Policy(), Parameters(), Policy().budget),
            *(enroller.status(USER).authenticators[0], parse(setup.uri)),
            *(Secret(raw), SetupId.from_text(setup.id), read_code(codes[0]), read_key(setup.key)),
            *(Unencrypted(), ProvisioningWarning(code="long_uri")),
            AsyncEnroller(AsyncMemoryStore(), issuer="Exir", cipher=ring, clock=clock),
        ],
    )


def as_dict(thing: Any) -> str:
    return repr(dataclasses.asdict(thing))


def as_tuple(thing: Any) -> str:
    return repr(dataclasses.astuple(thing))


def copied(thing: Any) -> str:
    return repr((copy.copy(thing), copy.deepcopy(thing)))


def in_a_container(thing: Any) -> str:
    return f"{[thing]} {(thing,)} { ({'x': thing})!r}"


def logged_at_debug(thing: Any) -> str:
    record = logging.LogRecord("x", logging.DEBUG, "x", 1, "%s %r %a", (thing,) * 3, None)
    return logging.Formatter("%(message)s").format(record) + repr(record.args)


PRINTERS: Final[dict[str, Callable[[Any], str]]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": lambda thing: f"{thing} {thing!r} {thing!s:>3}",
    "percent": lambda thing: "%s %r" % (thing, thing),  # noqa: UP031  # old code has it
    "bytes": lambda thing: bytes(thing).decode("latin-1"),
    "reprlib": reprlib.repr,
    "pprint": pprint.pformat,
    "container": in_a_container,
    "log": logged_at_debug,
    "asdict": as_dict,
    "astuple": as_tuple,
    "copies": copied,
    "vars": lambda thing: repr(vars(thing)),
    "json": json.dumps,
    "json, default=str": lambda thing: json.dumps(thing, default=str),
    "json of asdict": lambda thing: json.dumps(dataclasses.asdict(thing), default=str),
    **{
        f"pickle {n}": lambda thing, n=n: pickle.dumps(thing, n).decode("latin-1")  # type: ignore[misc]  # bound now
        for n in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.requirement("R-06", "R-25", "R-76")
@pytest.mark.regression_of("B-39")
@pytest.mark.parametrize("printer", PRINTERS)
def test_no_object_is_printed_or_serialised_with_its_secret(printer: str, things: Things) -> None:
    """Whatever the library hands out is refused by a printer or serialiser, or comes out clean."""
    shown = []
    for thing in things.all:
        try:
            shown.append(PRINTERS[printer](thing))
        except (TypeError, ValueError, AttributeError, pickle.PicklingError) as refusal:
            shown.append(repr(refusal))
            shown.append(printed(refusal))
    assert things.hunt.found(shown) == []
    assert any(len(one) > 20 for one in shown)


def test_objects_are_of_every_public_kind(things: Things) -> None:
    """The list above has an object of each class that the library exports, protocols apart."""
    there = {kind.__name__ for thing in things.all for kind in type(thing).__mro__}
    exported = {name for name in otp_enroll.__all__ if isinstance(getattr(otp_enroll, name), type)}
    protocols = {name for name in exported if getattr(vars(otp_enroll)[name], "_is_protocol", 0)}
    assert exported - protocols - there == {
        "JoinedEnroller",
        "AsyncJoinedEnroller",
    }  # they hold a store


def test_printers_see_what_is_not_redacted() -> None:
    """Nothing is wrong with the printers: each that takes a plain object shows what it holds."""

    @dataclass
    class Plain:
        key: str = "SECRETKEY"

    for name in ("repr", "log", "asdict", "astuple", "copies", "vars", "container", "pprint"):
        assert "SECRETKEY" in PRINTERS[name](Plain()), name
    for name in ("json", "json, default=str", "pickle 0", "pickle 5"):
        assert "SECRETKEY" in PRINTERS[name](["SECRETKEY"]), name


# --- dumps of a crash ---

CRASHES: Final = """
import faulthandler, json, os, sys
from otp_enroll import Enroller
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

faulthandler.enable()
how, needles = sys.argv[1:]


class Store(MemoryStore):
    crashes = False

    def save(self, record, *, expected):
        if self.crashes and how == "abort":
            os.abort()
        if self.crashes:
            raise MemoryError
        return super().save(record, expected=expected)


def main():
    store, clock = Store(), FrozenClock()
    cipher = AESGCMKeyRing({"k1": os.urandom(32)})
    enroller = Enroller(store, issuer="Exir", cipher=cipher, clock=clock)
    setup = enroller.begin("user-42", account_name="sara")
    phone = FakeAuthenticator(setup.uri, clock)
    with open(needles, "w") as file:
        json.dump({"key": setup.key, "id": setup.id, "code": phone.code()}, file)
    store.crashes = True
    enroller.confirm("user-42", phone.code(), setup_id=setup.id)


main()
"""


@pytest.mark.requirement("R-06")
@pytest.mark.parametrize(
    ("how", "seen"), [("abort", "Fatal Python error"), ("raise", "StorageError")]
)
def test_a_dying_process_shows_nothing(how: str, seen: str, tmp_path: Path) -> None:
    """The dump of a crash in the middle of a confirm, and the last traceback, have no secret."""
    needles = tmp_path / "needles"
    died = subprocess.run(  # noqa: S603  # our own interpreter and script
        [sys.executable, "-X", "dev", "-c", CRASHES, how, str(needles)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert died.returncode != 0
    assert seen in died.stderr
    assert "enroller.py" in died.stderr
    assert needles_in(needles, died.stdout + died.stderr) == []


def needles_in(file: Path, text: str) -> list[str]:
    """Hunt for what a process has written down of its own secrets."""
    hidden = json.loads(file.read_text())
    hunt = Hunt()
    hunt.hide_raw(base64.b32decode(hidden["key"]))
    hunt.hide(hidden["key"], hidden["id"])
    hunt.hide_codes(hidden.get("codes", []))
    for code in hidden.get("typed", [hidden.get("code")]):
        hunt.types(code)
    return hunt.found([text])


# --- pytest's own failure output ---

FAILING: Final = '''
"""Tests of an app that fail, each inside a call of the library."""
import json, os, pathlib
import pytest
from helpers.flows import wrong_for
from otp_enroll import Enroller
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

HIDDEN = {"typed": [], "codes": []}


def types(code):
    HIDDEN["typed"].append(code)
    return code


@pytest.fixture
def clock():
    return FrozenClock()


@pytest.fixture
def enroller(clock):
    cipher = AESGCMKeyRing({"k1": os.urandom(32)})
    yield Enroller(MemoryStore(), issuer="Exir", cipher=cipher, clock=clock)
    pathlib.Path(f"needles-{len(list(pathlib.Path().glob('needles-*')))}").write_text(
        json.dumps(HIDDEN)
    )


@pytest.fixture
def setup(enroller):
    made = enroller.begin("user-42", account_name="sara")
    HIDDEN.update(key=made.key, id=made.id)
    return made


@pytest.fixture
def phone(setup, clock):
    return FakeAuthenticator(setup.uri, clock)


@pytest.fixture
def done(enroller, setup, phone, clock):
    confirmation = enroller.confirm("user-42", types(phone.code()), setup_id=setup.id)
    HIDDEN["codes"] += confirmation.recovery_codes
    clock.advance(60)
    return confirmation


def test_wrong_code_at_confirm(enroller, setup, phone):
    enroller.confirm("user-42", types(wrong_for(phone)), setup_id=setup.id)


def test_clock_skew(enroller, setup, phone):
    enroller.confirm("user-42", types(phone.code(-5)), setup_id=setup.id)


def test_reused(enroller, done, phone):
    enroller.verify("user-42", types(phone.code()))
    enroller.verify("user-42", types(phone.code()))


def test_wrong_recovery_code(enroller, done):
    enroller.verify("user-42", "Z" * 24)


def test_nothing_is_pending(enroller, done, setup):
    enroller.check_key_copy("user-42", setup.key, setup_id=setup.id)


def test_bad_context(enroller, done, phone):
    enroller.verify("user-42", types(phone.code()), context={"ip": 7})


def test_bad_proof(enroller, done, phone):
    enroller.erase("user-42", proof=types(phone.code()))


def test_failing_store(enroller, done, phone, monkeypatch):
    monkeypatch.setattr(MemoryStore, "save", lambda *args, **kwargs: 1 / 0)
    enroller.verify("user-42", types(phone.code()))


def test_lost_key(enroller, done, phone, monkeypatch):
    monkeypatch.setattr(AESGCMKeyRing, "open", lambda *args, **kwargs: b"")
    enroller.verify("user-42", types(phone.code()))


def test_objects_that_differ(enroller, setup, phone, done):
    assert (setup, done, phone) == (enroller, done.recovery_codes, None)


def test_number_of_codes(done):
    assert len(done.recovery_codes) == 9
'''


@pytest.mark.requirement("R-06", "R-95")
def test_output_of_failing_tests_shows_nothing(tmp_path: Path) -> None:
    """Pytest's longest report of an app's failing tests, locals and arguments, has no secret."""
    (tmp_path / "test_app.py").write_text(FAILING)
    options = ("-p", "no:cacheprovider", "--showlocals", "--tb=long", "-vv", "-rA")
    report = subprocess.run(  # noqa: S603  # our own interpreter and options
        [sys.executable, "-m", "pytest", *options, "test_app.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([TESTS, SOURCE])},
    ).stdout
    failing = re.findall(r"^def (test_\w+)", FAILING, re.MULTILINE)
    assert f"{len(failing)} failed" in report
    assert "'(hidden)'" in report
    assert "verb       = <otp_enroll.core.confirm.Confirm object at " in report
    kept = sorted(tmp_path.glob("needles-*"))
    assert len(kept) == len(failing)
    assert [needles_in(file, report) for file in kept] == [[]] * len(kept)


# --- a web app ---


class Web:
    """The Flask app behind a real server, and a browser that keeps all that it is sent."""

    def __init__(self, path: Path, clock: FrozenClock) -> None:
        self.app = create_app(database=f"sqlite:///{path / 'app.db'}", clock=clock)
        self.server = make_server("127.0.0.1", 0, self.app)
        self.answers: list[str] = []
        self.headers: list[str] = []
        self.cookies: list[str] = []
        self.page = ""
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._open = urllib.request.build_opener(jar, Redirects(self)).open

    def get(self, path: str, data: bytes | None = None) -> None:
        """Go to a page and keep what came: the page, its headers, its cookies."""
        try:
            answer = self._open(f"http://127.0.0.1:{self.server.port}{path}", data)
        except urllib.error.HTTPError as refused:
            answer = refused
        with contextlib.closing(answer):
            self.keep(answer.headers, answer.url)
            self.page = answer.read().decode()
        self.answers.append(self.page)

    def keep(self, headers: Any, url: str) -> None:
        """Keep the headers of an answer, also of one that leads on."""
        self.headers += [str(headers), url]
        self.cookies += headers.get_all("Set-Cookie") or []

    def send(self, form: str, **fields: str) -> None:
        """Send a form of the page with its hidden fields and what was typed."""
        (action, inner) = re.findall(
            rf'<form[^>]*id="{form}"[^>]*action="([^"]+)"(.*?)</form>', self.page, re.DOTALL
        )[0]
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', inner)
        data = {**{name: unescape(value) for name, value in hidden}, **fields}
        self.get(action, urlencode(data).encode())

    @property
    def key(self) -> str:
        return self.page.split('id="key-raw">')[1].split("<")[0]

    @property
    def uri(self) -> str:
        return unescape(self.page.split('href="otpauth:')[1].split('"')[0])

    @property
    def codes(self) -> list[str]:
        shown = re.search(r'<ol id="recovery-codes".*?</ol>', self.page, re.DOTALL)
        return re.findall(r"<code>([^<]+)</code>", shown[0]) if shown else []


class Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects whose headers are kept before they are followed."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def redirect_request(self, *args: Any) -> Any:
        *_, headers, to = args
        self._web.keep(headers, to)
        return super().redirect_request(*args)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def web(tmp_path: Path, clock: FrozenClock) -> Iterator[Web]:
    web = Web(tmp_path, clock)
    thread = threading.Thread(target=web.server.serve_forever, daemon=True)
    thread.start()
    yield web
    web.server.shutdown()
    thread.join()
    web.server.server_close()
    web.app.extensions["site"].database.close()


PASSWORD: Final = "correct horse"


def set_up(web: Web, hunt: Hunt, clock: FrozenClock) -> tuple[FakeAuthenticator, Hunt, list[str]]:
    """Confirm the setup on the page; return its phone, what is secret from now on, the codes."""
    key, uri = web.key, "otpauth:" + web.uri
    setup_id = re.findall(r'name="setup_id" value="([^"]+)"', web.page)[0]
    phone = FakeAuthenticator(uri, clock)
    web.send("sheet")
    web.get("/security/setup")
    web.send("check", copy=key[:-1] + ("A" if key[-1] != "A" else "B"))
    web.send("confirm", code=hunt.types(phone.code(-5)), backup_acknowledged="yes")
    web.send("confirm", code=hunt.types(wrong_for(phone)), backup_acknowledged="yes")
    web.send("confirm", code=hunt.types(phone.code()), backup_acknowledged="yes")
    secret = Hunt()
    secret.hide_raw(base64.b32decode(key))
    secret.hide(setup_id, "secret=" + key)
    hunt.needles |= secret.needles
    hunt.hide_codes(web.codes)
    return phone, secret, web.codes


def life(web: Web, hunt: Hunt, clock: FrozenClock) -> list[tuple[Hunt, int, list[str]]]:
    """Live through what the pages offer; return what was secret after which answer, with codes."""

    def waited(phone: FakeAuthenticator) -> str:
        clock.advance(60)
        return hunt.types(phone.code())

    web.get("/sign-in")
    web.send("sign-in", username="sara", password=PASSWORD)
    web.send("begin", password=PASSWORD)
    first, secret, codes = set_up(web, hunt, clock)
    parts = [(secret, len(web.answers) - 1, codes)]
    web.get("/security")
    web.send("sign-out")
    web.send("sign-in", username="sara", password=PASSWORD)
    web.send("code-form", code=hunt.types(wrong_for(first)))
    web.send("recovery-form", code="ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ")
    code = waited(first)
    web.send("code-form", code=code)
    web.send("change", proof=code)
    web.send("change", proof=waited(first))
    second, secret, none = set_up(web, hunt, clock)
    assert none == []
    parts.append((secret, len(web.answers) - 1, []))
    web.get("/security")
    web.send("renew", proof=waited(second))
    hunt.hide_codes(web.codes)
    parts.append((Hunt(), len(web.answers) - 1, web.codes))
    web.get("/security")
    web.send("disable", proof=hunt.types(wrong_for(second)))
    web.send("disable", proof=waited(second))
    web.get("/nowhere")
    return parts


@pytest.mark.requirement("R-25", "R-76", "R-84", "R-89", "R-95", "R-98")
@pytest.mark.regression_of("B-11", "B-39")
def test_no_page_cookie_or_log_of_an_app_leaks(
    web: Web, clock: FrozenClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a confirm no answer has the key; codes are in one; cookies and logs have nothing."""
    hunt = Hunt()
    with everything_logged(caplog) as logged:
        parts = life(web, hunt, clock)
    assert 'data-state="disabled"' in web.answers[-2]
    for secret, last, codes in parts:
        assert secret.found(web.answers[last:]) == []
        for code in codes:
            assert [n for n, answer in enumerate(web.answers) if code in answer] == [last]
    assert [len(codes) for _, _, codes in parts] == [10, 0, 10]
    assert hunt.found(web.headers) == []
    assert hunt.found(plain(cookie) for cookie in web.cookies) == []
    assert "POST /security/setup/confirm" in "".join(logged)
    assert "to sara@example.com" in "".join(logged)
    assert hunt.found(logged) == []
    check_files(hunt, [tmp_path / "app.db"])


def plain(cookie: str) -> str:
    """Return a cookie with all that can be read in it: signed ones are Base64, some packed."""
    texts = [cookie]
    for piece in re.split(r"[.=;, ]", cookie):
        with suppress(ValueError):
            raw = base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
            texts.append(raw.decode("latin-1"))
            with suppress(zlib.error):
                texts.append(zlib.decompress(raw).decode("latin-1"))
    return "\n".join(texts)


def test_a_cookie_is_looked_into() -> None:
    """What a signed cookie carries is seen, packed or not."""
    text = b'{"setup": "SECRETKEY"}'
    for raw in (text, zlib.compress(text)):
        assert "SECRETKEY" in plain("session=." + base64.urlsafe_b64encode(raw).decode() + ".sig")
