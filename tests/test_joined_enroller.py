"""Views: the verbs that judge nothing, inside a transaction that the app commits or rolls back."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, wrong_for
from helpers.leak_hunt import locals_of_ours
from otp_enroll import (
    AsyncEnroller,
    AsyncJoinedEnroller,
    Enroller,
    JoinedEnroller,
    StoredEnrollment,
    Unencrypted,
    errors,
    events,
)
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.storage.sqlite import JoinedSQLiteStore, SQLiteStore, create_table
from otp_enroll.testing import FakeAuthenticator, FrozenClock


class Shop:
    """An app with a table of its own beside ours, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FrozenClock()
        self.told: list[str] = []
        with self.transaction() as connection:
            connection.execute("CREATE TABLE orders (what TEXT)")
            connection.execute("PRAGMA user_version = 7")
            create_table(connection)
        self.store = SQLiteStore(path, own_file=False, timeout=0.2)
        self.enroller = Enroller(
            self.store,
            issuer="Exir",
            cipher=Unencrypted(),
            clock=self.clock,
            on_event=lambda event: self.told.append(type(event).__name__),
        )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One request's transaction: committed at the end, rolled back if it raises."""
        with closing(sqlite3.connect(self.path, timeout=0.2)) as connection, connection:
            yield connection

    def view(self, connection: sqlite3.Connection) -> JoinedEnroller:
        """Join the request's transaction."""
        return self.enroller.using(JoinedSQLiteStore(connection))

    def orders(self) -> int:
        """Count the app's rows."""
        with self.transaction() as connection:
            (count,) = connection.execute("SELECT count(*) FROM orders").fetchone()
        return int(count)

    def enroll(self) -> tuple[FakeAuthenticator, list[str]]:
        """Go from disabled to confirmed."""
        setup = self.enroller.begin(USER, account_name="sara")
        phone = FakeAuthenticator(setup.uri, self.clock)
        done = self.enroller.confirm(USER, phone.code(), setup_id=setup.id)
        self.clock.advance(60)
        self.told.clear()
        return phone, list(done.recovery_codes or ())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path / "shop.db")
    yield shop
    shop.store.close()


VERIFY_FIRST = (
    "a joined enroller takes no typed code: call verify() first and pass its Verification"
)


TOLD = [
    "OverrideUsed", "SetupBegun", "SetupResumed", "SetupCancelled", "AuthenticatorRenamed",
    "OverrideUsed", "RecoveryCodesIssued", "OverrideUsed", "EnrollmentDisabled",
    "OverrideUsed", "EnrollmentErased",
]  # fmt: skip


class Rolled(Exception):  # noqa: N818  # no error of anybody's
    """What makes a transaction roll back."""


def test_change_commits_with_the_apps_own_row(shop: Shop) -> None:
    """What a view changes is there after the commit, with the app's row, and told then."""
    phone, _ = shop.enroll()
    verification = shop.enroller.verify(USER, phone.code(), purpose="disable")
    shop.told.clear()
    with shop.transaction() as connection:
        view = shop.view(connection)
        connection.execute("INSERT INTO orders VALUES ('switch off')")
        view.disable(USER, proof=verification)
        assert view.status(USER).state == "disabled"
        assert shop.told == []
        assert [type(event).__name__ for event in view.events] == ["EnrollmentDisabled"]
    view.deliver_events()
    assert shop.told == ["EnrollmentDisabled"]
    assert view.events == ()
    assert shop.enroller.status(USER).state == "disabled"
    assert shop.orders() == 1


def test_change_rolls_back_with_the_apps_own_row(shop: Shop) -> None:
    """After a rollback nothing of the view is stored, and nothing was told."""
    shop.enroll()
    with pytest.raises(Rolled), shop.transaction() as connection:
        connection.execute("INSERT INTO orders VALUES ('switch off')")
        shop.view(connection).disable(USER, proof=VOUCHED)
        raise Rolled
    assert shop.enroller.status(USER).state == "confirmed"
    assert (shop.orders(), shop.told) == (0, [])


def test_every_verb_of_a_view(shop: Shop) -> None:
    """begin, resume, cancel, rename, new recovery codes, disable, erase and status work joined."""
    _, codes = shop.enroll()
    with shop.transaction() as connection:
        view = shop.view(connection)
        setup = view.begin(USER, account_name="sara", proof=VOUCHED)
        assert view.resume(USER, setup_id=setup.id).key == setup.key
        view.cancel(USER, setup_id=setup.id)
        view.rename(USER, "default", "phone")
        renewed = view.regenerate_recovery_codes(USER, proof=VOUCHED)
        assert not set(renewed) & set(codes)
        view.disable(USER, proof=VOUCHED)
        view.erase(USER, proof=VOUCHED)
        assert view.status(USER).changed_at is None
    view.deliver_events()
    assert shop.told == TOLD
    assert shop.store.load(USER) is None


def test_every_verb_of_an_awaited_view() -> None:
    """The same, awaited."""

    async def run() -> None:
        clock, store = FrozenClock(), AsyncJoined()
        own = AsyncEnroller(AsyncMemoryStore(), issuer="Exir", cipher=Unencrypted(), clock=clock)
        setup = await own.begin(USER, account_name="sara")
        code = FakeAuthenticator(setup.uri, clock).code()
        done = await own.confirm(USER, code, setup_id=setup.id)
        record = await own.store.load(USER)
        assert record is not None
        assert await store.save(record, expected=None)
        view = own.using(store)
        setup = await view.begin(USER, account_name="sara", proof=VOUCHED)
        assert (await view.resume(USER, setup_id=setup.id)).key == setup.key
        await view.cancel(USER, setup_id=setup.id)
        await view.rename(USER, "default", "phone")
        renewed = await view.regenerate_recovery_codes(USER, proof=VOUCHED)
        assert not set(renewed) & set(done.recovery_codes or ())
        await view.disable(USER, proof=VOUCHED)
        await view.erase(USER, proof=VOUCHED)
        assert (await view.status(USER)).changed_at is None
        assert [type(event).__name__ for event in view.events] == TOLD
        assert await store.load(USER) is None
        assert (await own.status(USER)).required

    asyncio.run(run())


@pytest.mark.parametrize(
    ("own", "joined"), [(Enroller, JoinedEnroller), (AsyncEnroller, AsyncJoinedEnroller)]
)
def test_no_verb_of_a_joined_enroller_judges(own: type, joined: type) -> None:
    """It has all that an enroller has, but for what judges or compares, and for maintenance."""
    names, others = (
        {name for name in dir(kind) if not name.startswith("_")} for kind in (own, joined)
    )
    judging = {"confirm", "verify", "check_key_copy"}
    assert names - others == judging | {"purge_expired", "reseal", "using"}
    assert others - names == {"events", "deliver_events"}


@pytest.mark.requirement("R-52")
@pytest.mark.regression_of("B-25")
@pytest.mark.parametrize("typed", ["271828", "", "never shown", "Z" * 24])
def test_view_given_typed_text_raises_before_anything_is_loaded(typed: Any, shop: Shop) -> None:
    """A code typed where a rollback could give it back is a mistake; no frame of ours shows it."""

    class Unreachable(JoinedSQLiteStore):
        def load(self, user_id: str) -> StoredEnrollment | None:
            raise AssertionError("loaded")

    with shop.transaction() as connection:
        view = shop.enroller.using(Unreachable(connection))
        calls: list[Callable[[], object]] = [
            lambda: view.begin(USER, account_name="sara", proof=typed),
            lambda: view.disable(USER, proof=typed),
            lambda: view.regenerate_recovery_codes(USER, proof=typed),
            lambda: view.erase(USER, proof=typed),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="typed") as refusal:
                call()
            assert str(refusal.value) == VERIFY_FIRST
            if typed:
                assert typed not in locals_of_ours(refusal.value.__traceback__)


@pytest.mark.requirement("R-52")
@pytest.mark.regression_of("B-25")
@pytest.mark.parametrize("typed", ["271828", "", "never shown", "Z" * 24])
def test_awaited_view_given_typed_text_raises_before_anything_is_loaded(typed: Any) -> None:
    """The same, awaited."""

    class Unreachable(AsyncMemoryStore):
        joined = True

        async def load(self, user_id: str) -> StoredEnrollment | None:
            raise AssertionError("loaded")

    async def run() -> None:
        own = AsyncEnroller(AsyncMemoryStore(), issuer="Exir", cipher=Unencrypted())
        view = own.using(Unreachable())
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: view.begin(USER, account_name="sara", proof=typed),
            lambda: view.disable(USER, proof=typed),
            lambda: view.regenerate_recovery_codes(USER, proof=typed),
            lambda: view.erase(USER, proof=typed),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="typed") as refusal:
                await call()
            assert str(refusal.value) == VERIFY_FIRST
            if typed:
                assert typed not in locals_of_ours(refusal.value.__traceback__)

    asyncio.run(run())


@pytest.mark.regression_of("B-25")
def test_code_judged_beside_a_transaction_stays_judged(shop: Shop) -> None:
    """A wrong code is counted and a right one spent although the request rolls back."""
    phone, _ = shop.enroll()
    with pytest.raises(Rolled), shop.transaction():
        with pytest.raises(errors.WrongCodeError) as refusal:
            shop.enroller.verify(USER, wrong_for(phone))
        assert refusal.value.attempts_left == 4
        shop.enroller.verify(USER, phone.code())
        raise Rolled
    with pytest.raises(errors.CodeReusedError):
        shop.enroller.verify(USER, phone.code())


@pytest.mark.regression_of("B-25")
def test_code_is_not_judged_while_the_request_holds_the_write_lock(shop: Shop) -> None:
    """SQLite has one writer: inside a writing request a code is an error, and not spent."""
    phone, _ = shop.enroll()
    code = phone.code()
    with pytest.raises(Rolled), shop.transaction() as connection:
        connection.execute("INSERT INTO orders VALUES ('first')")
        for typed in (code, "000000"):
            with pytest.raises(errors.StorageError):
                shop.enroller.verify(USER, typed)
        raise Rolled
    shop.enroller.verify(USER, code)


def test_refused_save_in_a_view_is_contention_at_once(shop: Shop) -> None:
    """A view does not retry: the app repeats its transaction, which then sees the newer row."""
    shop.enroll()

    class Stale(JoinedSQLiteStore):
        def load(self, user_id: str) -> StoredEnrollment | None:
            record = super().load(user_id)
            return record and replace(record, revision="0" * 32)

    with shop.transaction() as connection:
        view = shop.enroller.using(Stale(connection))
        with pytest.raises(errors.StoreContentionError):
            view.disable(USER, proof=VOUCHED)
        assert view.events == ()
    with shop.transaction() as connection:
        shop.view(connection).disable(USER, proof=VOUCHED)
    assert shop.enroller.status(USER).state == "disabled"


def test_exceptions_of_the_driver_pass_a_view_unchanged(shop: Shop) -> None:
    """The app's own retry needs to see what its driver raised."""
    with shop.transaction() as connection:
        view = shop.view(connection)
    with pytest.raises(sqlite3.ProgrammingError):
        view.status(USER)
    with pytest.raises(sqlite3.ProgrammingError):
        view.erase(USER, proof=VOUCHED)


def test_using_wants_a_joined_store_and_an_enroller_does_not(shop: Shop) -> None:
    """Each refuses the other's store, and says which one it wants."""
    with pytest.raises(ValueError, match=r"using\(\) takes a joined one"):
        shop.enroller.using(shop.store)
    with pytest.raises(TypeError):
        shop.enroller.using(object())  # type: ignore[arg-type]  # refused at run time
    with (
        shop.transaction() as connection,
        pytest.raises(ValueError, match=r"pass this one to using"),
    ):
        Enroller(JoinedSQLiteStore(connection), issuer="Exir", cipher=Unencrypted())


class Heard:
    """A listener that has heard nothing yet is false, as an empty list is."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []

    def __call__(self, event: events.Event) -> None:
        self.events.append(event)

    def __len__(self) -> int:
        return len(self.events)


class Awaiting(Heard):
    """The same, awaited."""

    async def __call__(self, event: events.Event) -> None:  # type: ignore[override]  # of the other flavour
        self.events.append(event)


class Joined(MemoryStore):
    """A joined store of which nobody rolls anything back."""

    joined = True


class AsyncJoined(AsyncMemoryStore):
    """The same, awaited."""

    joined = True


def test_events_of_a_view_go_to_the_listener_that_it_was_given() -> None:
    """None is the enroller's own listener; another one is called instead of it, and alone."""
    mine, theirs = Heard(), Heard()
    enroller = Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted(), on_event=mine)
    for given, heard in ((None, mine), (theirs, theirs)):
        view = enroller.using(Joined(), on_event=given)
        view.erase(USER, proof=VOUCHED)
        view.status(USER)
        assert (len(mine), len(theirs)) == ((0, 0) if given is None else (2, 0))
        happened = view.events
        view.deliver_events()
        assert heard.events[-2:] == list(happened)
        view.deliver_events()
        assert len(heard) == 2
    silent = Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted()).using(Joined())
    silent.erase(USER, proof=VOUCHED)
    silent.deliver_events()
    assert silent.events == ()


def test_events_of_an_awaited_view_go_to_the_listener_that_it_was_given() -> None:
    """The same, awaited."""

    async def run() -> None:
        mine, theirs = Awaiting(), Awaiting()
        enroller = AsyncEnroller(
            AsyncMemoryStore(), issuer="Exir", cipher=Unencrypted(), on_event=mine
        )
        for given, heard in ((None, mine), (theirs, theirs)):
            view = enroller.using(AsyncJoined(), on_event=given)
            await view.erase(USER, proof=VOUCHED)
            assert (len(mine), len(theirs)) == ((0, 0) if given is None else (2, 0))
            happened = view.events
            await view.deliver_events()
            assert heard.events == list(happened)
        silent = AsyncEnroller(AsyncMemoryStore(), issuer="Exir", cipher=Unencrypted())
        view = silent.using(AsyncJoined())
        await view.erase(USER, proof=VOUCHED)
        await view.deliver_events()
        assert view.events == ()

    asyncio.run(run())


def test_a_view_refuses_a_listener_that_it_could_not_call() -> None:
    """What could not be called, or would never be awaited, is refused before the transaction."""

    async def awaited(event: events.Event) -> None: ...

    def plain(event: events.Event) -> None: ...

    own = Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted())
    wrong: Any
    for wrong, told in ((7, "must be a function"), (awaited, "is a coroutine function")):
        with pytest.raises(TypeError, match=f"on_event {told}"):
            own.using(Joined(), on_event=wrong)
    twin = AsyncEnroller(AsyncMemoryStore(), issuer="Exir", cipher=Unencrypted())
    for wrong in (7, plain):
        with pytest.raises(TypeError, match=r"on_event must be a coroutine function"):
            twin.using(AsyncJoined(), on_event=wrong)
    with pytest.raises(ValueError, match=r"using\(\) takes a joined one"):
        twin.using(AsyncMemoryStore())
    with pytest.raises(TypeError, match="this store is for AsyncEnroller"):
        own.using(AsyncJoined())  # type: ignore[arg-type]  # the same
    with pytest.raises(TypeError, match="this store is for Enroller"):
        twin.using(Joined())  # type: ignore[arg-type]  # the same


def test_the_apps_file_stays_the_apps(shop: Shop) -> None:
    """A store on a file of the app's touches neither its user_version nor its journal mode."""
    shop.enroll()
    with shop.transaction() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_pending_setup_begun_in_a_view_is_confirmed_by_the_enroller(shop: Shop) -> None:
    """A setup that a committed transaction began is confirmed outside of it."""
    with shop.transaction() as connection:
        setup = shop.view(connection).begin(USER, account_name="sara")
    phone = FakeAuthenticator(setup.uri, shop.clock)
    shop.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert shop.enroller.status(USER).required


class Refusing(JoinedSQLiteStore):
    """A joined store that takes it on itself to refuse."""

    def load(self, user_id: str) -> StoredEnrollment | None:
        raise errors.NotEnrolledError

    def delete(self, user_id: str) -> None:
        raise errors.NotPendingError


class AsyncRefusing(AsyncMemoryStore):
    """The same, awaited."""

    joined = True

    async def load(self, user_id: str) -> StoredEnrollment | None:
        raise errors.NotEnrolledError

    async def delete(self, user_id: str) -> None:
        raise errors.NotPendingError


@pytest.mark.requirement("R-62")
def test_refusal_of_a_joined_store_is_a_failure(shop: Shop) -> None:
    """In a transaction, too, only the rules refuse; what a driver raises passes as it is."""
    with shop.transaction() as connection:
        joined = shop.enroller.using(Refusing(connection))
        for call in (lambda: joined.status(USER), lambda: joined.erase(USER, proof=VOUCHED)):
            with pytest.raises(errors.AdapterError):
                call()

    async def awaited() -> None:
        enroller = AsyncEnroller(AsyncMemoryStore(), issuer="Exir", cipher=Unencrypted())
        other = enroller.using(AsyncRefusing())
        with pytest.raises(errors.AdapterError):
            await other.status(USER)
        with pytest.raises(errors.AdapterError):
            await other.erase(USER, proof=VOUCHED)

    asyncio.run(awaited())


def test_what_is_no_proof_at_all_is_a_type_error(shop: Shop) -> None:
    """A number is no typed code, and no proof either."""
    with shop.transaction() as connection:
        joined = shop.enroller.using(JoinedSQLiteStore(connection))
        wrong: Any = 5
        with pytest.raises(TypeError, match=r"^a proof must be a Verification or an Override$"):
            joined.disable(USER, proof=wrong)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "begin": {
        "account_name": "sara", "authenticator": "tablet", "proof": VOUCHED,
        "context": {"ip": "::1"},
    },
    "resume": {"setup_id": "of-a-setup", "context": {"ip": "::1"}},
    "cancel": {"setup_id": "of-a-setup", "context": {"ip": "::1"}},
    "disable": {"proof": VOUCHED, "authenticator": "tablet", "context": {"ip": "::1"}},
    "regenerate_recovery_codes": {"proof": VOUCHED, "context": {"ip": "::1"}},
    "rename": {"authenticator": "tablet", "new_name": "phone", "context": {"ip": "::1"}},
    "erase": {"proof": VOUCHED, "context": {"ip": "::1"}},
    "status": {"known_on": True},
    "confirm": {
        "code": "123456", "setup_id": "of-a-setup", "backup_acknowledged": True,
        "context": {"ip": "::1"},
    },
    "check_key_copy": {"text": "ABCD", "setup_id": "of-a-setup", "context": {"ip": "::1"}},
    "verify": {
        "code": "123456", "purpose": "withdraw", "accept": ("code",), "context": {"ip": "::1"},
    },
}  # fmt: skip


class Asked(Exception):  # noqa: N818  # how the verb gets out, and no error
    """The verb that an enroller made of its arguments."""


def asked_of(enroller: Any, verb: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the fields of the verb that an enroller makes of the arguments."""

    def ask(self: Any, made: Any) -> Any:
        raise Asked(made)

    async def ask_awaited(self: Any, made: Any) -> Any:
        raise Asked(made)

    awaited = inspect.iscoroutinefunction(getattr(enroller, verb))
    monkeypatch.setattr(type(enroller), "_apply", ask_awaited if awaited else ask)
    with pytest.raises(Asked) as asked:
        answer = getattr(enroller, verb)(USER, **ARGUMENTS[verb])
        if awaited:
            asyncio.run(answer)
    (made,) = asked.value.args
    names = {name for kind in type(made).__mro__ for name in getattr(kind, "__slots__", ())}
    return {"verb": made.name} | {name: getattr(made, name) for name in names}


@pytest.mark.parametrize("verb", ARGUMENTS)
def test_every_argument_reaches_the_verb(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All four enrollers make the same verb of the same arguments, and pass every one on."""
    settings: Any = {"issuer": "Exir", "cipher": Unencrypted()}
    own = Enroller(MemoryStore(), **settings)
    awaited = AsyncEnroller(AsyncMemoryStore(), **settings)
    made = asked_of(own, verb, monkeypatch)
    assert (made["verb"], made["user_id"]) == (verb, USER)
    for name, value in ARGUMENTS[verb].items():
        if name in {"code", "text", "setup_id"}:
            redacted = made["copy" if name == "text" else name]
            assert redacted.reveal() == value.encode()
        else:
            assert made[name] == value
    assert asked_of(awaited, verb, monkeypatch) == made
    if hasattr(JoinedEnroller, verb):
        joined = own.using(type("Joined", (MemoryStore,), {"joined": True})())
        twin = awaited.using(type("Joined", (AsyncMemoryStore,), {"joined": True})())
        assert asked_of(joined, verb, monkeypatch) == made
        assert asked_of(twin, verb, monkeypatch) == made
