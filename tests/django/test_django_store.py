"""The Django stores on real servers: one statement, one winner, and never in the app's way."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

for folder in (Path(__file__).parent, Path(__file__).parent.parent):
    sys.path.insert(0, str(folder))  # for the modules beside this file, here and in other processes

import pytest  # noqa: E402
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, OperationalError, connections, transaction  # noqa: E402
from django.db.transaction import TransactionManagementError  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils.connection import ConnectionDoesNotExist  # noqa: E402
from django_site import (  # noqa: E402
    ACCOUNT,
    CLOCK,
    DATABASES,
    USER,
    Site,
    enroll,
    kinds,
    make_enroller,
    open_store,
    record,
)

from otp_enroll import Override, StoredEnrollment  # noqa: E402
from otp_enroll.django.store import (  # noqa: E402
    AsyncDjangoStore,
    AsyncJoinedDjangoStore,
    DjangoStore,
    JoinedDjangoStore,
)
from otp_enroll.errors import StorageError  # noqa: E402
from otp_enroll.storage.memory import MemoryStore  # noqa: E402
from otp_enroll.storage.protocol import (  # noqa: E402
    AsyncEnrollmentStore,
    AsyncListingStore,
    EnrollmentStore,
    ListingStore,
)
from otp_enroll.testing import FakeAuthenticator, run  # noqa: E402

pytest_plugins = ["django_servers"]

OWN = "otp_enroll"


# --- the contract ---


@pytest.fixture
def import_path(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tell other processes how to open a store."""
    monkeypatch.setenv(DATABASES, json.dumps(site.databases))
    return "django_site:open_store"


class Transaction:
    """A transaction of the app."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.block: Any = transaction.atomic()
        self.block.__enter__()

    def write_app_row(self, key: str) -> None:
        with connections["default"].cursor() as cursor:
            cursor.execute("INSERT INTO note VALUES (%s)", [key])

    def commit(self) -> None:
        block, self.block = self.block, None
        if block:
            block.__exit__(None, None, None)

    def rollback(self) -> None:
        if self.block:
            transaction.set_rollback(True)
        self.commit()

    def end(self) -> None:
        self.rollback()
        connections.close_all()


class App:
    """The app whose transactions the contract drives."""

    lock_timeout = 5.0
    retryable = (OperationalError,)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        begun = Transaction(JoinedDjangoStore())
        yield begun
        begun.end()

    def has_app_row(self, key: str) -> bool:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT name FROM note WHERE name = %s", [key])
            return cursor.fetchone() is not None


def count_rows(user_id: str) -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM otp_enrollment WHERE user_id = %s", [user_id])
        return int(cursor.fetchone()[0])


def break_connection(_: object) -> None:
    """Cut this thread's connection, and let it find the server no more."""
    connection = connections[OWN]
    connection.close()
    nowhere = {"NAME": "/nowhere/at/all"} if connection.vendor == "sqlite" else {"PORT": 1}
    connection.settings_dict = {**connection.settings_dict, **nowhere}


READ_ONLY: Final = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}


@contextmanager
def open_read_only() -> Iterator[DjangoStore]:
    """Open a store that the database lets read only."""
    with open_store() as store, connections[OWN].cursor() as cursor:
        cursor.execute(READ_ONLY[connections[OWN].vendor])
        yield store


def failures(report: Any) -> list[str]:
    return [str(result) for result in report.results if result.verdict == "failed"]


@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-28", "B-29")
def test_store_keeps_the_contract(site: Site, import_path: str) -> None:
    """The sync store keeps every rule, by itself and in the app's transaction."""
    if site.kind == "mariadb":
        # Its own default, which is stricter than Django's.
        site.set("default", OPTIONS={"isolation_level": "repeatable read"})
    report = run(
        open_store,
        import_path=import_path,
        joined=App(),
        break_connection=break_connection,
        raw_count=count_rows,
        open_read_only=open_read_only,
    )
    assert failures(report) == []
    assert report.level == "core+process+joined+fault"


class Request:
    """One async request: what it calls runs in a thread of its own, as under ASGI."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[tuple[asyncio.Future[Any], Any] | None] = asyncio.Queue()
        self._serving = asyncio.ensure_future(self._serve())

    async def _serve(self) -> None:
        async with ThreadSensitiveContext():
            while (call := await self._calls.get()) is not None:
                future, function = call
                try:
                    future.set_result(await function())
                except Exception as error:  # noqa: BLE001  # whoever called gets it
                    future.set_exception(error)
            await sync_to_async(connections.close_all)()

    async def call(self, function: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        future = asyncio.get_running_loop().create_future()
        await self._calls.put((future, function))
        return await future

    async def plain(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self.call(lambda: sync_to_async(function)(*args))

    async def end(self) -> None:
        await self._calls.put(None)
        await self._serving


class StoreInRequest:
    """An async store as a request has it."""

    def __init__(self, request: Request, store: AsyncEnrollmentStore) -> None:
        self.request = request
        self.store = store
        self.joined = store.joined

    async def load(self, user_id: str) -> Any:
        return await self.request.call(lambda: self.store.load(user_id))

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        return await self.request.call(lambda: self.store.save(record, expected=expected))

    async def delete(self, user_id: str) -> None:
        await self.request.call(lambda: self.store.delete(user_id))


@asynccontextmanager
async def open_async_store() -> AsyncIterator[StoreInRequest]:
    request = Request()
    yield StoreInRequest(request, AsyncDjangoStore())
    await request.end()


class AsyncTransaction:
    """A transaction that sync code has begun, and that awaits the store."""

    def __init__(self, request: Request, begun: Transaction) -> None:
        self.request = request
        self.begun = begun
        self.store = begun.store

    async def write_app_row(self, key: str) -> None:
        await self.request.plain(self.begun.write_app_row, key)

    async def commit(self) -> None:
        await self.request.plain(self.begun.commit)

    async def rollback(self) -> None:
        await self.request.plain(self.begun.rollback)


class AsyncApp(App):
    """The same app, awaited."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:  # type: ignore[override]  # awaited
        request = Request()
        store = StoreInRequest(request, AsyncJoinedDjangoStore())
        begun = await request.plain(Transaction, store)
        yield AsyncTransaction(request, begun)
        await request.plain(begun.end)
        await request.end()


@kinds("sqlite", "postgresql")
@pytest.mark.requirement("R-64")
def test_async_store_keeps_the_contract(site: Site) -> None:
    """The async store keeps every rule, by itself and in the app's transaction."""
    report = run(open_async_store, joined=AsyncApp(), raw_count=count_rows)
    assert failures(report) == []
    assert report.level == "core+joined"


# --- one statement ---


def sent(alias: str, call: Callable[[], object]) -> list[str]:
    """Return the first words of what a call sends."""
    words: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        words.append(sql.split(maxsplit=1)[0])
        return execute(sql, *args)

    connection = connections[alias]
    with connection.execute_wrapper(note), CaptureQueriesContext(connection) as queries:
        call()
    assert len(queries) == len(words)  # no BEGIN and no COMMIT, which the wrapper does not see
    return words


@pytest.mark.requirement("R-64")
def test_each_verb_reads_once_and_writes_once(site: Site) -> None:
    """A verb is one SELECT and one write that commits by itself, without a transaction around."""
    enroller = make_enroller()
    setup = enroller.begin("other", account_name=ACCOUNT)
    phone = FakeAuthenticator(setup.uri, CLOCK)
    override = Override(actor="desk", reason="lost phone")
    calls: list[tuple[list[str], Callable[[], object]]] = [
        (["SELECT", "INSERT"], lambda: enroller.begin(USER, account_name=ACCOUNT)),
        (["SELECT", "UPDATE"], lambda: enroller.begin(USER, account_name=ACCOUNT)),
        (["SELECT", "UPDATE"], lambda: enroller.confirm("other", phone.code(), setup_id=setup.id)),
        (["SELECT"], lambda: enroller.status(USER)),
        (["SELECT", "UPDATE"], lambda: enroller.verify("other", phone.code(1))),
        (["SELECT", "UPDATE"], lambda: enroller.disable("other", proof=override)),
        (["DELETE"], lambda: enroller.erase("other", proof=override)),
    ]
    for statements, call in calls:
        assert sent(OWN, call) == statements


def test_joined_store_sends_the_same_statements(site: Site) -> None:
    """In the app's transaction too a call is one statement, and no savepoint."""
    with transaction.atomic():
        store = JoinedDjangoStore()
        calls: list[tuple[str, Callable[[], object]]] = [
            ("INSERT", lambda: store.save(record(), expected=None)),
            ("INSERT", lambda: store.save(record(), expected=None)),
            ("UPDATE", lambda: store.save(record(), expected="1" * 32)),
            ("UPDATE", lambda: store.save(record(), expected="2" * 32)),
            ("SELECT", lambda: store.load(USER)),
            ("DELETE", lambda: store.delete(USER)),
        ]
        for statement, call in calls:
            assert sent("default", call) == [statement]


def test_equal_row_counts_as_stored(site: Site) -> None:
    """A save that changes no byte is stored all the same: rows are counted as found."""
    store = DjangoStore()
    store.save(record(), expected=None)
    assert store.save(record(), expected="1" * 32) is True


def test_ids_are_listed_in_the_order_of_their_bytes(site: Site) -> None:
    """Pages of ids are those of the memory store, in its order, in both flavours."""
    store, model, awaited = DjangoStore(), MemoryStore(), AsyncDjangoStore()
    for number, user_id in enumerate(["b", "B", "a ", "a", "é", "e", "ﬀ", "😀", "_", "10", "9"]):
        expires = None if number % 2 else number
        one = record(
            user_id, state="pending" if number % 3 else "disabled", setup_expires_at=expires
        )
        assert store.save(one, expected=None)
        model.save(one, expected=None)
    for wanted in (
        {},
        {"limit": 3},
        {"after": "a"},
        {"state": "pending"},
        {"setup_expired_before": 5},
        {"setup_expired_before": 9, "state": "pending", "after": "_", "limit": 2},
    ):
        page = model.user_ids(**wanted)
        assert page
        assert store.user_ids(**wanted) == page
        assert async_to_sync(awaited.user_ids)(**wanted) == page


def test_columns_compare_bytes(site: Site) -> None:
    """The database itself tells texts apart that differ in case, accent or a trailing space."""
    DjangoStore().save(record("alice", "a" * 32, state="pending"), expected=None)
    for column, other in [
        ("user_id", "Alice"),
        ("user_id", "alicé"),
        ("user_id", "alice "),
        ("revision", "A" * 32),
        ("revision", "a" * 32 + " "),
        ("state", "Pending"),
    ]:
        found = site.sql(f"SELECT 1 FROM otp_enrollment WHERE {column} = %s", other)  # noqa: S608  # ours
        assert found == []
    assert len(site.sql("SELECT 1 FROM otp_enrollment WHERE user_id = %s", "alice")) == 1


@kinds("mariadb")
def test_text_is_kept_whatever_the_database_was_made_for(site: Site) -> None:
    """The table keeps every character also in a database that was made for Latin-1."""
    name = site.databases["default"]["NAME"]
    site.sql(f"ALTER DATABASE {name} CHARACTER SET latin1")
    for target in ("zero", "0001"):
        call_command("migrate", "otp_enroll", target, verbosity=0)
    stored = record("سارا😀", document='"سارا😀"')
    store = DjangoStore()
    assert store.save(stored, expected=None)
    assert store.load("سارا😀") == stored


@pytest.mark.parametrize("name", ["user_id", "revision", "state"])
def test_longer_text_than_its_column_is_refused(name: str) -> None:
    """A text that a lenient database would cut raises before anything is sent."""
    with pytest.raises(ValueError, match=f"{name} is longer than"):
        DjangoStore("no such alias").save(record(**{name: "x" * 191}), expected=None)


# --- own mode ---


def test_stores_are_what_an_enroller_wants() -> None:
    """Own and joined stores say so by ``joined``, and each has the alias of its kind."""
    own: ListingStore = DjangoStore()
    awaited: AsyncListingStore = AsyncDjangoStore()
    joined: EnrollmentStore = JoinedDjangoStore()
    awaited_joined: AsyncEnrollmentStore = AsyncJoinedDjangoStore()
    assert (own.joined, awaited.joined) == (False, False)
    assert (joined.joined, awaited_joined.joined) == (True, True)
    for kind, alias in (
        (DjangoStore, OWN),
        (AsyncDjangoStore, OWN),
        (JoinedDjangoStore, "default"),
        (AsyncJoinedDjangoStore, "default"),
    ):
        assert (kind().alias, kind("shop").alias) == (alias, "shop")
    with pytest.raises(ValueError, match="joined"):
        make_enroller(joined)


@pytest.mark.parametrize(
    "kind", [DjangoStore, AsyncDjangoStore, JoinedDjangoStore, AsyncJoinedDjangoStore]
)
def test_a_connection_is_no_alias(site: Site, kind: Any) -> None:
    """A store that is given a connection, or nothing, says that it takes an alias."""
    for wrong in (connections["default"], None):
        with pytest.raises(TypeError, match="pass the alias of an entry of DATABASES"):
            kind(wrong)


@contextmanager
def atomic_block() -> Iterator[None]:
    with transaction.atomic(using=OWN):
        yield


@contextmanager
def no_autocommit() -> Iterator[None]:
    connections[OWN].set_autocommit(False)
    yield
    connections[OWN].rollback()
    connections[OWN].set_autocommit(True)


@pytest.mark.requirement("R-62", "R-65")
@pytest.mark.parametrize("block", [atomic_block, no_autocommit])
def test_own_mode_refuses_a_transaction(site: Site, block: Callable[[], Any]) -> None:
    """In a transaction on its alias the store reads nothing, so that no code is judged there."""
    store, enroller = DjangoStore(), make_enroller()
    phone = enroll(enroller)
    before = store.load(USER)
    calls: list[Callable[[], object]] = [
        lambda: store.load(USER),
        lambda: store.save(record(), expected=None),
        lambda: store.delete(USER),
        store.user_ids,
        lambda: enroller.verify(USER, phone.code()),
        lambda: async_to_sync(AsyncDjangoStore().load)(USER),
    ]
    with block():
        for call in calls:
            with CaptureQueriesContext(connections[OWN]) as queries:
                with pytest.raises(StorageError) as refused:
                    call()
                assert len(queries) == 0
            assert isinstance(refused.value.__cause__, TransactionManagementError)
    assert store.load(USER) == before
    assert enroller.verify(USER, phone.code()).method == "code"


def test_transaction_on_another_alias_is_no_hindrance(site: Site) -> None:
    """While the app's transaction runs on its own alias, each call commits, and outlives it."""
    store = DjangoStore()
    with transaction.atomic():
        assert store.save(record(), expected=None)
        transaction.set_rollback(True)
    assert store.load(USER) == record()


def test_missing_alias_is_a_storage_error() -> None:
    """Without the entry in ``DATABASES`` nothing is read, and the cause says why."""
    with pytest.raises(StorageError) as failed:
        DjangoStore("no such alias").load(USER)
    assert isinstance(failed.value.__cause__, ConnectionDoesNotExist)


def test_database_errors_are_storage_errors(site: Site) -> None:
    """In own mode whatever the database raises is a ``StorageError`` without its text."""
    store = DjangoStore()
    site.sql("DROP TABLE otp_enrollment")
    for call in (
        lambda: store.load(USER),
        lambda: store.save(record(), expected=None),
        lambda: store.save(record(), expected="1" * 32),
        lambda: store.delete(USER),
        store.user_ids,
    ):
        with pytest.raises(StorageError) as failed:
            call()
        assert failed.value.__cause__ is not None
        assert str(failed.value) == "the store failed"


@kinds("postgresql", "mariadb")
def test_call_after_a_lost_connection_connects_anew(site: Site) -> None:
    """The call that finds its connection cut fails; the next one gets a new connection."""
    store = DjangoStore()
    store.save(record(), expected=None)
    kill = {"postgresql": "SELECT pg_terminate_backend({})", "mariadb": "KILL {}"}[site.kind]
    mine = {"postgresql": "SELECT pg_backend_pid()", "mariadb": "SELECT CONNECTION_ID()"}[site.kind]
    ((number,),) = site.sql(mine, alias=OWN)
    site.sql(kill.format(number))
    with pytest.raises(StorageError):
        store.load(USER)
    assert store.load(USER) == record()


@contextmanager
def other_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(connections.close_all).result()


def wait_for_a_waiter(site: Site) -> None:
    """Wait until a statement waits for a lock."""
    waiting = {
        "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
        "mariadb": (
            "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        ),
    }[site.kind]
    deadline = time.monotonic() + 10
    with other_thread() as pool:
        while time.monotonic() < deadline:
            # Before the first look, too: MariaDB refreshes that table only after 0.1 s without
            # one, and may still show what an earlier test waited for.
            time.sleep(0.15)
            if pool.submit(site.sql, waiting).result()[0][0]:
                return
    raise TimeoutError("no statement waits for a lock")


@kinds("postgresql")
def test_serialisation_failure_is_a_refusal(site: Site) -> None:
    """Where the alias isolates strictly, a lost race is ``False`` and not an error."""
    site.set(OWN, OPTIONS={"options": "-c default_transaction_isolation=serializable"})
    store = DjangoStore()
    store.save(record(), expected=None)
    with other_thread() as pool:
        with transaction.atomic():
            site.sql("UPDATE otp_enrollment SET changed_at = 8")
            late = pool.submit(store.save, record(revision="2" * 32), expected="1" * 32)
            wait_for_a_waiter(site)
        assert late.result() is False


@kinds("mariadb")
def test_deadlock_is_a_refusal(site: Site) -> None:
    """Where the database ends a save to resolve a deadlock, it is ``False`` and not an error."""
    store = DjangoStore()
    store.save(record(), expected=None)
    with other_thread() as pool:
        with transaction.atomic():
            # With more rows written, the app's transaction is the one that survives.
            for number in range(20):
                site.sql("INSERT INTO note VALUES (%s)", str(number))
            site.sql("SELECT * FROM otp_enrollment LOCK IN SHARE MODE")
            late = pool.submit(store.save, record(revision="2" * 32), expected="1" * 32)
            wait_for_a_waiter(site)
            site.sql("UPDATE otp_enrollment SET changed_at = 8")
        assert late.result() is False


LOCK_TIMEOUTS: Final[dict[str, dict[str, Any]]] = {
    "sqlite": {"timeout": 0.2},
    "postgresql": {"options": "-c lock_timeout=200ms"},
    "mariadb": {"init_command": "SET SESSION innodb_lock_wait_timeout=1"},
}


def test_lock_timeout_of_the_alias_ends_a_wait(site: Site) -> None:
    """A save that finds the row locked waits as long as the alias says, and raises."""
    site.set(OWN, OPTIONS=LOCK_TIMEOUTS[site.kind])
    store = DjangoStore()
    store.save(record(), expected=None)
    with transaction.atomic():
        site.sql("UPDATE otp_enrollment SET changed_at = 8")
        began = time.monotonic()
        with pytest.raises(StorageError):
            store.save(record(revision="2" * 32), expected="1" * 32)
        assert time.monotonic() - began < 4
        transaction.set_rollback(True)
    assert store.load(USER) == record()


# --- joined mode ---


class Elsewhere:
    """A router that sends every read to a replica that is not there."""

    def db_for_read(self, model: object, **hints: object) -> str:
        return "replica"

    db_for_write = db_for_read


@override_settings(DATABASE_ROUTERS=[Elsewhere()])
def test_routers_are_not_asked(site: Site) -> None:
    """Reads go where writes go, whatever a router says."""
    for store in (DjangoStore(), JoinedDjangoStore()):
        assert store.save(record(store.alias), expected=None)
        assert store.load(store.alias) == record(store.alias)
    assert set(DjangoStore().user_ids()) == {OWN, "default"}


def test_joined_mode_lets_errors_through(site: Site) -> None:
    """In the app's transaction the database's own error arrives, and the transaction is over."""
    DjangoStore().save(record(), expected=None)
    bad = record("other", document=None), record(document=None)
    calls: list[Callable[[], object]] = [
        lambda: JoinedDjangoStore().save(bad[0], expected=None),
        lambda: JoinedDjangoStore().save(bad[1], expected="1" * 32),
    ]
    for call in calls:
        with transaction.atomic():
            with pytest.raises(IntegrityError):
                call()
            assert transaction.get_rollback()
