"""What tests on real servers share: PostgreSQL, MariaDB, Redis, lost replies, and races.

Each fixture starts a server of its own on a free loopback port, with a data directory that is
deleted when the session ends, and stops it by its process id. A server that is not installed
skips the test; on CI its absence is a failure. Workers of pytest-xdist start one each. To use
the fixtures, bind them in a conftest or test module: ``postgresql = servers.postgresql``.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

import pytest
from typing_extensions import Self, override

from otp_enroll import AsyncEnroller, Enroller, StoredEnrollment, Unencrypted, errors
from otp_enroll.storage.protocol import AsyncEnrollmentStore, EnrollmentStore, ListingStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

HOST: Final = "127.0.0.1"

_START_TRIES: Final = 3
_START_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.05
_RUN_SECONDS: Final = 60


class NotInstalledError(Exception):
    """A program of the server is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where one empty database is, and who may use it."""

    host: str
    port: int
    user: str
    password: str
    name: str

    def url(self, driver: str, *, port: int | None = None) -> str:
        """Write it as a URL, for SQLAlchemy (``postgresql+psycopg``) or redis-py (``redis``)."""
        login = f"{quote(self.user)}:{quote(self.password)}@" if self.user else ""
        # The server has no TLS, and PyMySQL would read all certificates for each connection.
        query = "?ssl_disabled=true" if driver.endswith("pymysql") else ""
        return f"{driver}://{login}{self.host}:{port or self.port}/{self.name}{query}"


def free_port() -> int:
    """Return a loopback port that nobody uses just now."""
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def program(*names: str) -> str:
    """Return the path of the first program that is there.

    Raises:
        NotInstalledError: None is.
    """
    debian = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    path = os.pathsep.join([*debian, os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"])
    for name in names:
        if (found := shutil.which(name, path=path)) is not None:
            return found
    raise NotInstalledError(f"{names[0]} is not installed")


class Server(ABC):
    """A server process. It serves when the constructor returns.

    Attributes:
        port: Its port on 127.0.0.1, the same after a restart.
        user: Who may do everything there.
        password: That user's password.
        directory: Its data.
    """

    user: ClassVar[str] = ""
    password: ClassVar[str] = ""
    account: ClassVar[str | None] = None
    """The Unix account that runs it if the tests run as root: some servers refuse root."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    kill_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self) -> None:
        self.host = HOST
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, str | int] = {}
        self.directory = Path(tempfile.mkdtemp(prefix="otp_enroll_"))
        try:
            self._give_to_account()
            self.prepare()
            for attempt in itertools.count(1):
                # Another process may take the port between the look and the start.
                self.port = free_port()
                try:
                    self.start()
                    break
                except TimeoutError:
                    if attempt == _START_TRIES:
                        raise
        except BaseException:
            self.close()
            raise

    @abstractmethod
    def prepare(self) -> None:
        """Fill the data directory."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return what to run in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether it answers."""

    @abstractmethod
    def fresh_database(self) -> Database:
        """Make an empty database that no other test uses."""

    @property
    def pid(self) -> int:
        """The id of its process.

        Raises:
            RuntimeError: It does not run.
        """
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it, on the same port and data, and wait until it answers.

        Raises:
            TimeoutError: It ended, or did not answer; with the end of its log.
        """
        log = self.directory / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                self.command(),
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **self._as,  # type: ignore[call-overload]  # user and group, or neither
            )
        deadline = time.monotonic() + _START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self.is_ready():
                return
            time.sleep(_POLL_SECONDS)
        self.kill()
        tail = log.read_text(errors="replace")[-2000:]
        raise TimeoutError(f"{type(self).__name__} did not start:\n{tail}")

    def stop(self) -> None:
        """Shut it down in good order, if it runs."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End it as a crash would, if it runs."""
        self._end(self.kill_signal)

    def close(self) -> None:
        """End it and delete its data."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, *command: str) -> str:
        """Run one of its programs to the end and return what it printed.

        Raises:
            RuntimeError: It failed, with what it said; or it did not end.
        """
        try:
            done = subprocess.run(  # noqa: S603  # our own command line
                command,
                cwd=self.directory,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_RUN_SECONDS,
                check=False,
                **self._as,  # type: ignore[call-overload]  # user and group, or neither
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{command[0]} did not end") from None
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace')}")
        return str(done.stdout.decode())

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            # A MariaDB that starts deletes the temporary tables there, whosever they are.
            "TMPDIR": str(self.directory),
        }

    def _give_to_account(self) -> None:
        if self.account is None or os.geteuid() != 0:
            return
        try:
            account = pwd.getpwnam(self.account)
        except KeyError:
            raise NotInstalledError(f"there is no Unix account {self.account}") from None
        os.chown(self.directory, account.pw_uid, account.pw_gid)
        self._as = {"user": account.pw_uid, "group": account.pw_gid}

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.send_signal(number)
            process.wait()


class PostgreSQL(Server):
    """PostgreSQL whose databases sort by a language, as they do in most places."""

    user = "postgres"
    account = "postgres"
    stop_signal = signal.SIGINT
    # "Immediate shutdown": backends end at once and the next start recovers from the log. A
    # SIGKILL would do the same to the data, and leave backends that hold the shared memory.
    kill_signal = signal.SIGQUIT

    @override
    def prepare(self) -> None:
        locale = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en")
        self.run(
            program("initdb"),
            *("--no-sync", "--auth=trust", f"--username={self.user}", "--encoding=UTF8"),
            *locale,
            f"--pgdata={self.directory / 'data'}",
        )

    @override
    def command(self) -> list[str]:
        settings = {
            "listen_addresses": self.host,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [program("postgres"), "-D", str(self.directory / "data"), *options]

    @override
    def is_ready(self) -> bool:
        try:
            self.sql("SELECT 1")
        except RuntimeError:
            return False
        return True

    def sql(self, statement: str) -> str:
        """Run a statement as the superuser and return its rows as text."""
        login = (f"--host={self.host}", f"--port={self.port}", f"--username={self.user}")
        return self.run(program("psql"), "-XAtq", *login, "--dbname=postgres", "-c", statement)

    @override
    def fresh_database(self) -> Database:
        name = f"fresh_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return Database(
            host=self.host, port=self.port, user=self.user, password=self.password, name=name
        )


class MariaDB(Server):
    """MariaDB with Debian's default collation, which takes ``Alice`` for ``alice``."""

    user = "otp"
    password = "otp"
    account = "mysql"

    @override
    def prepare(self) -> None:
        # One statement a line, or the server leaves the rest out without a word.
        (self.directory / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{self.user}'@'%' IDENTIFIED BY '{self.password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{self.user}'@'%' WITH GRANT OPTION;\n"
        )
        self.run(
            program("mariadb-install-db"),
            *("--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"),
            *("--skip-name-resolve", "--innodb-log-file-size=16M", "--skip-innodb-use-native-aio"),
            f"--datadir={self.directory / 'data'}",
        )

    @override
    def command(self) -> list[str]:
        return [
            program("mariadbd"),
            "--no-defaults",
            f"--datadir={self.directory / 'data'}",
            f"--socket={self.directory / 'socket'}",
            f"--pid-file={self.directory / 'pid'}",
            f"--init-file={self.directory / 'init.sql'}",
            f"--bind-address={self.host}",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--skip-innodb-use-native-aio",  # some kernels' io_uring hung it (MDEV-26674)
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M",
            "--max-connections=200",
        ]

    @override
    def is_ready(self) -> bool:
        try:
            self.sql("SELECT 1")
        except RuntimeError:
            return False
        return True

    def sql(self, statement: str) -> str:
        """Run a statement as the superuser and return its rows as text."""
        login = (f"--host={self.host}", f"--port={self.port}", f"--user={self.user}")
        client = (program("mariadb"), "--no-defaults", "--skip-ssl", "--protocol=tcp")
        secret = f"--password={self.password}"
        return self.run(*client, *login, secret, "-N", "-B", "-e", statement)

    @override
    def fresh_database(self) -> Database:
        name = f"fresh_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name}")
        return Database(
            host=self.host, port=self.port, user=self.user, password=self.password, name=name
        )


class Redis(Server):
    """Redis that writes every command to disk before it answers."""

    options: ClassVar[tuple[str, ...]] = ("--databases", "10000")

    @override
    def prepare(self) -> None:
        program("redis-server")

    @override
    def command(self) -> list[str]:
        return [
            program("redis-server"),
            *("--bind", self.host, "--port", str(self.port), "--dir", str(self.directory)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            *self.options,
        ]

    @override
    def is_ready(self) -> bool:
        try:
            return self.call("PING") == "+PONG"
        except OSError:
            return False

    def call(self, *command: str) -> str:
        """Send one command and return the first line of the answer."""
        parts = [f"*{len(command)}", *(f"${len(part)}\r\n{part}" for part in command)]
        with socket.create_connection((self.host, self.port), timeout=5) as connection:
            connection.sendall("".join(part + "\r\n" for part in parts).encode())
            return connection.makefile("r", newline="\r\n").readline().rstrip("\r\n")

    @override
    def fresh_database(self) -> Database:
        number = str(next(self._numbers))
        return Database(host=self.host, port=self.port, user="", password="", name=number)


class RedisCluster(Redis):
    """A cluster of one node, which has every slot and no numbered databases."""

    options = ("--cluster-enabled", "yes")

    @override
    def is_ready(self) -> bool:
        if not super().is_ready():
            return False
        self.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        return self.call("SET", "otp_enroll_probe", "1") == "+OK"

    @override
    def fresh_database(self) -> Database:
        self.call("FLUSHALL")
        return Database(host=self.host, port=self.port, user="", password="", name="0")


class Proxy:
    """A TCP proxy in front of a server: it relays until it is told to cut.

    Args:
        port: The server's port on 127.0.0.1.

    Attributes:
        port: Its own port.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._mark = b""
        self._deliver = False
        self.cuts = 0
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def cut_at(self, mark: bytes, *, deliver: bool) -> None:
        """Cut the connection whose client sends these bytes, once.

        Args:
            mark: What to wait for, in one packet.
            deliver: The server still gets the request, and its reply is lost; else the request
                is lost.
        """
        with self._lock:
            self._mark, self._deliver = mark, deliver

    def close(self) -> None:
        """Cut everything and take no new connection."""
        _shut(self._listener)
        self._acceptor.join()  # from here on there is no other connection
        self._listener.close()
        with self._lock:
            for one in self._open:
                _shut(one)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self._target), timeout=30)
            except OSError:
                client.close()
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            relay = threading.Thread(target=self._relay, args=(client, server), daemon=True)
            self._threads.append(relay)
            relay.start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        muted = threading.Event()
        back = threading.Thread(target=self._back, args=(server, client, muted), daemon=True)
        back.start()
        with suppress(OSError):
            while data := client.recv(65536):
                with self._lock:
                    cut, deliver = bool(self._mark) and self._mark in data, self._deliver
                    if cut:
                        self._mark = b""
                        self.cuts += 1
                if cut:
                    # The client hears nothing more, and of its loss when the server is done: what
                    # it does next must not overtake what was delivered.
                    muted.set()
                if not cut or deliver:
                    server.sendall(data)
                if cut:
                    if deliver:
                        # The end of input makes the server finish what it was sent, and hang up.
                        server.shutdown(socket.SHUT_WR)
                        back.join(5)
                    break
        _shut(client)
        _shut(server)
        back.join()
        # Closed while the other thread is at it, a number would be another connection's soon.
        with self._lock:
            self._open -= {client, server}
            client.close()
            server.close()

    @staticmethod
    def _back(server: socket.socket, client: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                with suppress(OSError):
                    if not muted.is_set():
                        client.sendall(data)
        _shut(client)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


ServerT = TypeVar("ServerT", bound=Server)


def missing(what: object) -> None:
    """Skip because something is not installed; on CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(what))
    pytest.skip(str(what))


@contextmanager
def running(kind: type[ServerT]) -> Generator[ServerT]:
    """Start a server for the length of a block, or skip."""
    with ExitStack() as stack:
        try:
            server = kind()
        except NotInstalledError as error:
            missing(error)
            raise
        stack.callback(server.close)
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Generator[PostgreSQL]:
    """A PostgreSQL server."""
    with running(PostgreSQL) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Generator[MariaDB]:
    """A MariaDB server."""
    with running(MariaDB) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Generator[Redis]:
    """A Redis server."""
    with running(Redis) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Generator[RedisCluster]:
    """A Redis server in cluster mode."""
    with running(RedisCluster) as server:
        yield server


class Blocking:
    """An async store with plain methods, so that one test body serves both flavours.

    Args:
        store: The async store.
        loop: A loop that runs in another thread.
    """

    def __init__(self, store: object, loop: asyncio.AbstractEventLoop) -> None:
        self.store = store
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        return partial(self._wait, found) if callable(found) else found

    def _wait(self, method: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kw: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(method(*args, **kw), self._loop).result(60)


@contextmanager
def running_loop() -> Generator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def record(user_id: str = "user-42", **changes: Any) -> StoredEnrollment:
    """Make a record for a store, plain but for the changes."""
    plain = StoredEnrollment(
        user_id=user_id,
        revision="1" * 32,
        state="disabled",
        setup_expires_at=None,
        changed_at=7,
        document="{}",
    )
    return replace(plain, **changes)


def list_in_order_of_bytes(store: ListingStore) -> None:
    """Assert that ids come in the order of their UTF-8 bytes, at once and page after page."""
    ids = ["b", "B", "a", "é", "z", "Z", "a ", "ab", "_", "٣", "😀", "ｚ"]
    for user_id in ids:
        store.save(record(user_id), expected=None)
    in_order = sorted(ids, key=str.encode)
    assert store.user_ids() == in_order
    pages: list[str] = []
    while page := store.user_ids(after=pages[-1] if pages else None, limit=5):
        pages += page
    assert pages == in_order


def list_filtered(store: ListingStore) -> None:
    """Assert that each filter of ids does what it says, and all of them do together."""
    for user_id, state, expires_at in (
        ("a", "pending", 100), ("b", "pending", 200), ("c", "confirmed", 100),
        ("d", "confirmed", None), ("e", "disabled", None),
    ):  # fmt: skip
        store.save(record(user_id, state=state, setup_expires_at=expires_at), expected=None)
    assert store.user_ids(state="pending") == ["a", "b"]
    assert store.user_ids(setup_expired_before=200) == ["a", "c"]
    assert store.user_ids(setup_expired_before=201, after="a", limit=1) == ["b"]
    assert store.user_ids(state="confirmed", setup_expired_before=101) == ["c"]


def all_fail(store: ListingStore) -> None:
    """Assert that every call is an error: the server is out of reach."""
    for call in (
        partial(store.load, "user-42"),
        partial(store.save, record(revision="2" * 32), expected="1" * 32),
        partial(store.delete, "user-42"),
        store.user_ids,
    ):
        with pytest.raises(errors.StorageError):
            call()


def cut_around_a_save(proxy: Proxy, store: EnrollmentStore, *, delivered: bool) -> None:
    """Lose the reply of a save, or the save itself, and try again.

    Args:
        proxy: The way to the server.
        store: On that way, connected already; its client sends everything once.
        delivered: Whether the write lands.
    """
    first, second = record(), record(revision="2" * 32, document='"unmistakable"')
    store.save(first, expected=None)
    proxy.cut_at(b"unmistakable", deliver=delivered)
    with pytest.raises(errors.StorageError):
        store.save(second, expected=first.revision)
    assert proxy.cuts == 1
    assert store.load("user-42") == (second if delivered else first)
    assert store.save(second, expected=first.revision) is not delivered


def cut_at_a_load(proxy: Proxy, store: ListingStore, direct: EnrollmentStore) -> None:
    """Lose a load and its reply, and then the way to the server; ``direct`` has another one."""
    store.save(record("unmistakable"), expected=None)
    for deliver in (True, False):
        proxy.cut_at(b"unmistakable", deliver=deliver)
        with pytest.raises(errors.StorageError):
            store.load("unmistakable")
    proxy.close()
    all_fail(store)
    assert direct.load("unmistakable") == record("unmistakable")


def crash(server: Server, store: ListingStore) -> None:
    """Let the server crash after a save, and start it again."""
    assert store.save(record(), expected=None) is True
    server.kill()
    all_fail(store)
    server.start()
    assert store.load("user-42") == record()


ROUNDS: Final = 25
RIVALS: Final = 16
PROCESSES: Final = 8
RACER: Final = "racer"

_LATE: Final = {"CodeReusedError", "StoreContentionError"}


def enroller_over(store: EnrollmentStore, clock: Callable[[], float]) -> Enroller:
    """Build an enroller as each request, thread or process would have it."""
    return Enroller(store, issuer="Exir", cipher=Unencrypted(), clock=clock)


def enroll(enroller: Enroller, clock: FrozenClock, user_id: str = RACER) -> FakeAuthenticator:
    """Confirm an account and return its phone, two periods later."""
    setup = enroller.begin(user_id, account_name="sara@example.com")
    phone = FakeAuthenticator(setup.uri, clock)
    enroller.confirm(user_id, phone.code(), setup_id=setup.id)
    clock.advance(60)
    return phone


def outcome_of(call: Callable[[], object]) -> str:
    """Name what a call did: "accepted", or the library's error that it raised."""
    try:
        call()
    except errors.EnrollmentError as error:
        return type(error).__name__
    return "accepted"


def assert_one_accepted(outcomes: Iterable[str]) -> None:
    """Assert that one of a race got in, and that the others were told why they did not."""
    counted = Counter(outcomes)
    assert counted.pop("accepted", 0) == 1, counted
    assert set(counted) <= _LATE, counted


def race_threads(store: EnrollmentStore) -> None:
    """Let sixteen threads type one code at once, in each of 25 rounds."""
    clock, gate = FrozenClock(), threading.Barrier(RIVALS)
    enroller = enroller_over(store, clock)
    phone = enroll(enroller, clock)

    def verify(code: str) -> str:
        gate.wait(30)
        return outcome_of(lambda: enroller.verify(RACER, code))

    with ThreadPoolExecutor(RIVALS) as pool:
        for _ in range(ROUNDS):
            assert_one_accepted(pool.map(verify, [phone.code()] * RIVALS))
            clock.advance(30)


async def race_tasks(store: AsyncEnrollmentStore) -> None:
    """Let sixteen tasks type one code at once, in each of 25 rounds."""
    clock = FrozenClock()
    enroller = AsyncEnroller(store, issuer="Exir", cipher=Unencrypted(), clock=clock)
    setup = await enroller.begin(RACER, account_name="sara@example.com")
    phone = FakeAuthenticator(setup.uri, clock)
    await enroller.confirm(RACER, phone.code(), setup_id=setup.id)

    async def verify(code: str) -> str:
        try:
            await enroller.verify(RACER, code)
        except errors.EnrollmentError as error:
            return type(error).__name__
        return "accepted"

    for _ in range(ROUNDS):
        clock.advance(30)
        code = phone.code()
        assert_one_accepted(await asyncio.gather(*(verify(code) for _ in range(RIVALS))))


def race_processes(store: EnrollmentStore, import_path: str) -> None:
    """Let eight processes type one code at once, in each of 25 rounds.

    Args:
        store: Where the account is made.
        import_path: ``"module:open_store"`` for the processes, which see ``sys.path`` and the
            environment of this one.
    """
    clock = FrozenClock()
    phone = enroll(enroller_over(store, clock), clock)
    command = (sys.executable, "-c", f"from helpers import servers; servers.rival({import_path!r})")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with ExitStack() as stack:
        rivals = [
            stack.enter_context(
                subprocess.Popen(  # noqa: S603  # our own interpreter and script
                    command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(PROCESSES)
        ]
        assert [_heard(one) for one in rivals] == ["ready"] * PROCESSES
        for _ in range(ROUNDS):
            for one in rivals:
                _say(one, f"{clock.now} {phone.code()}")
            assert_one_accepted([_heard(one) for one in rivals])
            clock.advance(30)
        for one in rivals:
            one.communicate(timeout=30)


def rival(import_path: str) -> None:
    """Verify each code that comes in, until the input ends: one process of the race."""
    module, _, name = import_path.partition(":")
    open_store: Callable[[], AbstractContextManager[EnrollmentStore]]
    open_store = getattr(importlib.import_module(module), name)
    clock = FrozenClock()
    with open_store() as store:
        enroller = enroller_over(store, clock)
        enroller.status(RACER)
        print("ready", flush=True)  # noqa: T201  # what the parent waits for
        for line in sys.stdin:
            now, code = line.split()
            clock.now = float(now)
            answer = outcome_of(lambda code=code: enroller.verify(RACER, code))  # type: ignore[misc]  # bound now
            print(answer, flush=True)  # noqa: T201  # the same


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
