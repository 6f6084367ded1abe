"""AsyncEnroller: the same flow, awaited, over both bundled async stores."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, settled
from otp_enroll import (
    AsyncEnroller,
    AsyncJoinedEnroller,
    Confirmation,
    Enroller,
    JoinedEnroller,
    Policy,
    RecoveryCodes,
    Setup,
    StoredEnrollment,
    Unencrypted,
    errors,
    events,
)
from otp_enroll.enroller import EnrollerBase
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.storage.sqlite import AsyncSQLiteStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock


class Awaited:
    """An async enroller with its clock and what it told."""

    def __init__(self, store: Any, **changes: Any) -> None:
        self.clock = FrozenClock()
        self.told: list[events.Event] = []
        self.slept: list[float] = []
        self.store = store
        settings: dict[str, Any] = {
            "issuer": "Exir",
            "cipher": Unencrypted(),
            "clock": self.clock,
            "on_event": self.listen,
            "sleep": self.sleep,
        }
        self.enroller = AsyncEnroller(store, **(settings | changes))

    async def listen(self, event: events.Event) -> None:
        self.told.append(event)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def enroll(self) -> tuple[FakeAuthenticator, list[str]]:
        setup = await self.enroller.begin(USER, account_name="sara")
        phone = FakeAuthenticator(setup.uri, self.clock)
        done = await self.enroller.confirm(USER, phone.code(), setup_id=setup.id)
        self.clock.advance(60)
        return phone, list(done.recovery_codes or ())


@asynccontextmanager
async def opened(kind: str, directory: Path) -> AsyncIterator[Any]:
    """Open a store of one kind."""
    if kind == "memory":
        yield AsyncMemoryStore()
    else:
        async with AsyncSQLiteStore(directory / "otp.db") as store:
            yield store


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_every_verb_works_awaited(kind: str, tmp_path: Path) -> None:
    """Each verb of the flow does over an async store what its twin does."""

    async def life() -> None:
        async with opened(kind, tmp_path) as store:
            it = Awaited(store)
            enroller = it.enroller
            setup = await enroller.begin(USER, account_name="sara")
            assert (await enroller.resume(USER, setup_id=setup.id)).key == setup.key
            copy = await enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
            assert copy.matches
            await enroller.cancel(USER, setup_id=setup.id)
            phone, codes = await it.enroll()
            with pytest.raises(errors.WrongCodeError):
                await enroller.verify(USER, phone.code(-4))
            await enroller.verify(USER, phone.code())
            renewed = await enroller.regenerate_recovery_codes(USER, proof=VOUCHED)
            assert not set(renewed) & set(codes)
            await enroller.rename(USER, "default", "phone")
            assert (await enroller.status(USER)).authenticators[0].name == "phone"
            await enroller.disable(USER, proof=renewed[0])
            await enroller.begin(USER, account_name="sara")
            it.clock.advance(900)
            assert await enroller.purge_expired(limit=5) == 1
            report = await enroller.reseal()
            assert (report.examined, report.resealed, report.complete) == (1, 0, True)
            await enroller.erase(USER, proof=VOUCHED)
            assert await store.load(USER) is None
            assert type(it.told[-1]).__name__ == "EnrollmentErased"

    asyncio.run(life())


def functions_of(flavour: type) -> dict[str, Any]:
    return dict(inspect.getmembers(flavour, inspect.isfunction))


def arguments_of(function: Any) -> list[tuple[str, Any]]:
    """Return the names of a function's arguments, and how each is passed."""
    return [(one.name, one.kind) for one in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(
    ("plain", "awaited"), [(Enroller, AsyncEnroller), (JoinedEnroller, AsyncJoinedEnroller)]
)
def test_flavours_have_the_same_verbs_and_signatures(plain: type, awaited: type) -> None:
    """Each plain enroller and its twin differ in the awaiting alone."""
    verbs, twins = functions_of(plain), functions_of(awaited)
    assert set(verbs) == set(twins)
    shared = functions_of(EnrollerBase)
    for name, function in verbs.items():
        if name == "__init__" or shared.get(name) is function:
            continue
        assert inspect.iscoroutinefunction(function) is False, name
        assert arguments_of(function) == arguments_of(twins[name]), name
        if name == "using":  # what it takes and returns is of the flavour
            assert not inspect.iscoroutinefunction(twins[name])
            continue
        assert inspect.iscoroutinefunction(twins[name]), name
        assert inspect.signature(function) == inspect.signature(twins[name]), name
    parameters = [inspect.signature(flavour).parameters for flavour in (plain, awaited)]
    assert arguments_of(plain) == arguments_of(awaited)
    for name, parameter in parameters[0].items():
        if name != "sleep":
            assert parameter.default == parameters[1][name].default, name
    properties = [
        {name for name, _ in inspect.getmembers(flavour, lambda one: isinstance(one, property))}
        for flavour in (plain, awaited)
    ]
    assert properties[0] == properties[1]
    assert properties[0] >= {"store", "cipher", "policy", "issuer"}


def test_joined_verbs_are_those_of_the_enroller() -> None:
    """A joined enroller has the enroller's verbs under the same names, but takes no typed proof."""
    for own, joined in ((Enroller, JoinedEnroller), (AsyncEnroller, AsyncJoinedEnroller)):
        verbs = functions_of(own)
        for name, function in functions_of(joined).items():
            if name.startswith("_") or name == "deliver_events":
                continue
            mine, theirs = inspect.signature(function), inspect.signature(verbs[name])
            assert list(mine.parameters) == list(theirs.parameters), name
            for one in mine.parameters.values():
                given = theirs.parameters[one.name]
                typed = given.annotation == "TypedProof"
                assert one == (given.replace(annotation="GivenProof") if typed else given), name
            assert mine.return_annotation == theirs.return_annotation


def test_refused_save_waits_without_a_block(tmp_path: Path) -> None:
    """A refused save awaits the injected sleep, and the default one sleeps in the loop."""

    class Rival(AsyncMemoryStore):
        rivals = 1

        async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
            if self.rivals:
                self.rivals -= 1
                await super().save(replace(record, revision="0" * 32), expected=expected)
            return await super().save(record, expected=expected)

    async def both() -> None:
        it = Awaited(Rival())
        await it.enroller.begin(USER, account_name="sara")
        assert len(it.slept) == 1
        by_default = AsyncEnroller(Rival(), issuer="Exir", cipher=Unencrypted())
        await by_default.begin(USER, account_name="sara")

    asyncio.run(both())


def test_failing_store_and_listener_behave_as_in_the_other_flavour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A store that raises is a StorageError, and a listener that raises is logged and no more."""

    class Failing(AsyncMemoryStore):
        async def load(self, user_id: str) -> StoredEnrollment | None:
            raise ConnectionError

    async def listener(event: events.Event) -> None:
        raise RuntimeError("mail server is down")

    async def run() -> None:
        with pytest.raises(errors.StorageError):
            await Awaited(Failing()).enroller.status(USER)
        await Awaited(AsyncMemoryStore(), on_event=listener).enroller.begin(
            USER, account_name="sara"
        )
        await Awaited(AsyncMemoryStore(), on_event=None).enroller.begin(USER, account_name="sara")

    asyncio.run(run())
    assert "mail server is down" in caplog.text


def damaged(record: StoredEnrollment) -> StoredEnrollment:
    """Return a record whose document is cut off."""
    return replace(record, document="{", revision="0" * 32)


def test_maintenance_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With limits and small pages every row is reached, and damaged ones are passed over."""
    monkeypatch.setattr("otp_enroll.maintenance.PAGE", 2)

    class Stale(Unencrypted):
        newest = 0

        def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
            return b"\0" + bytes([self.newest]) + plaintext

        def open(self, sealed: bytes, *, context: bytes) -> bytes:
            return sealed[2:]

        def needs_reseal(self, sealed: bytes) -> bool:
            return sealed[1] != self.newest

    async def run() -> None:
        cipher = Stale()
        it = Awaited(AsyncMemoryStore(), cipher=cipher)
        for number in range(6):
            await it.enroller.begin(f"user-{number}", account_name="sara")
        record = await it.store.load("user-3")
        assert await it.store.save(damaged(record), expected=record.revision)
        cipher.newest = 1
        report = await it.enroller.reseal(limit=2)
        assert (report.resealed, report.complete) == (2, False)
        report = await it.enroller.reseal()
        assert (report.examined, report.resealed, report.unreadable) == (6, 3, 1)
        assert report.complete
        it.clock.advance(900)
        assert await it.enroller.purge_expired(limit=1) == 1
        assert await it.enroller.purge_expired() == 4

    asyncio.run(run())
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert len(told) == 2  # by each reseal that came to the row
    assert {level for level, _ in told} == {"ERROR"}
    assert all(line.startswith("CorruptRecordError for 'user-3'") for _, line in told)


def test_maintenance_ends_on_a_store_that_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the other flavour: a listing that does not look at where to start is an error."""
    monkeypatch.setattr("otp_enroll.maintenance.PAGE", 1)

    class Anew(AsyncMemoryStore):
        async def user_ids(self, *, after: str | None = None, **wanted: Any) -> list[str]:
            return await super().user_ids(**wanted)

    async def run() -> None:
        it = Awaited(Anew())
        await it.enroller.begin(USER, account_name="sara")
        with pytest.raises(errors.AdapterError):
            await it.enroller.reseal()

    asyncio.run(run())


def test_resealing_counts_busy_and_unreadable_rows(caplog: pytest.LogCaptureFixture) -> None:
    """Awaited, too, a row in motion or under a lost key keeps the report from being clean."""

    class Busy(AsyncMemoryStore):
        async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
            resealing = expected is not None and record.user_id == "busy"
            return not resealing and await super().save(record, expected=expected)

    async def run() -> None:
        it = Awaited(Busy())
        for user_id in ("busy", "fine"):
            await it.enroller.begin(user_id, account_name="sara")
        lost = Awaited(it.store, cipher=AESGCMKeyRing({"lost": bytes(32)}))
        await lost.enroller.begin("lost", account_name="sara")
        ring = AESGCMKeyRing({"2026": bytes(32)}, accept_unencrypted=True)
        report = await Awaited(it.store, cipher=ring).enroller.reseal()
        assert (report.examined, report.resealed, report.unreadable) == (3, 1, 1)
        assert not report.complete

    asyncio.run(run())
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"StoreContentionError for 'busy': {errors.StoreContentionError.message}"),
        ("WARNING", "reseal found a secret of 'lost' that no key opens"),
    ]


class Trace:
    """One flavour on a life of its own: what each call answered, told and stored."""

    def __init__(self, flavour: Any, store: Any, listener: Any) -> None:
        self.clock = FrozenClock()
        self.told: list[events.Event] = []
        self.seen: list[object] = []
        self.store = store
        self.enroller = flavour(
            store,
            issuer="Exir",
            cipher=Unencrypted(),
            clock=self.clock,
            on_event=listener(self.told),
            random_bytes=random.Random(7).randbytes,  # noqa: S311  # the same twice
        )

    async def call(self, verb: str, *args: Any, **named: Any) -> Any:
        """Call a verb of either flavour, and write down what can be seen of it."""
        answer: Any = None
        try:
            answer = await settled(getattr(self.enroller, verb)(*args, **named))
            shown: object = answer
        except (errors.EnrollmentError, TypeError, ValueError) as error:
            shown = (type(error), str(error), vars(error))
        if isinstance(answer, Setup):
            shown = (answer.id, answer.uri, answer.warnings, answer.sheet(locale="en").text())
        elif isinstance(answer, Confirmation):
            codes = answer.recovery_codes
            paper = codes and codes.sheet(locale="en").text()
            shown = (answer.authenticator, answer.replaced, answer.removed, paper)
        elif isinstance(answer, RecoveryCodes):
            shown = answer.sheet(locale="en").text()
        self.seen.append((verb, shown, list(self.told), await settled(self.store.load(USER))))
        return answer


async def life_of(trace: Trace) -> list[object]:
    """Call every verb with every argument, and with none that may be left out."""
    call, context = trace.call, {"ip": "192.0.2.7", "actor": "sara"}
    setup = await call("begin", USER, account_name="sara", context=context)
    await call("resume", USER, setup_id=setup.id, context=context)
    await call("check_key_copy", USER, "AAAA", setup_id=setup.id)
    await call("check_key_copy", USER, setup.key, setup_id=setup.id, context=context)
    await call("check_key_copy", USER, None, setup_id=None)
    await call("cancel", USER, setup_id=setup.id, context=context)
    setup = await call("begin", USER, account_name="sara", authenticator="phone")
    phone = FakeAuthenticator(setup.uri, trace.clock)
    await call("confirm", USER, "12345", setup_id=setup.id)
    await call("confirm", USER, phone.code(), setup_id="another", context=context)
    done = await call("confirm", USER, phone.code(), setup_id=setup.id, context=context)
    codes = list(done.recovery_codes)
    setup = await call("begin", USER, account_name="sara", authenticator="tablet", proof=VOUCHED)
    tablet = FakeAuthenticator(setup.uri, trace.clock)
    await call("confirm", USER, tablet.code(), setup_id=setup.id, backup_acknowledged=True)
    trace.clock.advance(60)
    await call("verify", USER, phone.code())
    await call("verify", USER, tablet.code(), purpose="withdraw", accept=["code"], context=context)
    await call("verify", USER, codes[0], accept=["code"])
    await call("verify", USER, codes[0], accept=["recovery_code"], context=context)
    await call("verify", USER, codes[1], purpose="begin")
    await call("verify", USER, codes[1], accept=[])
    await call("rename", USER, "tablet", "slate", context=context)
    await call("regenerate_recovery_codes", USER, proof=VOUCHED, context=context)
    await call("disable", USER, proof=VOUCHED, authenticator="slate", context=context)
    await call("disable", USER, proof=VOUCHED)
    await call("status", USER)
    await call("erase", USER, proof=VOUCHED, context=context)
    return trace.seen


def awaited_listener(told: list[events.Event]) -> Any:
    """Make a listener that is awaited."""

    async def listen(event: events.Event) -> None:
        told.append(event)

    return listen


def test_both_flavours_do_the_same() -> None:
    """With the same time and randomness both answer, tell, refuse and store the same."""
    plain = Trace(Enroller, MemoryStore(), lambda told: told.append)
    awaited = Trace(AsyncEnroller, AsyncMemoryStore(), awaited_listener)
    by_plain, by_awaited = asyncio.run(life_of(plain)), asyncio.run(life_of(awaited))
    assert len(by_plain) == len(by_awaited)
    for mine, theirs in zip(by_plain, by_awaited, strict=True):
        assert mine == theirs


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"on_event": 7}, None),
        ({"sleep": None}, None),
        ({"issuer": "a:b"}, "issuer must not contain a colon"),
        ({"cipher": None}, "the cipher has no method seal"),
        ({"policy": Policy}, "policy must be a Policy, such as Policy() or STRICT"),
    ],
)
def test_both_flavours_refuse_the_same_arguments(wrong: dict[str, Any], told: str | None) -> None:
    """What one flavour cannot be built with, the other refuses, in words that fit both."""
    settings: dict[str, Any] = {"issuer": "Exir", "cipher": Unencrypted()} | wrong
    with pytest.raises((TypeError, ValueError)) as plain:
        Enroller(MemoryStore(), **settings)
    with pytest.raises(plain.type) as awaited:
        AsyncEnroller(AsyncMemoryStore(), **settings)
    if told is not None:
        assert str(awaited.value) == str(plain.value) == told
    else:
        (hook,) = wrong
        assert str(plain.value) == f"{hook} must be a function"
        sentence = f"{hook} must be a coroutine function: async def {hook}(...)"
        assert str(awaited.value) == sentence


@pytest.mark.parametrize("hook", ["on_event", "sleep"])
def test_plain_flavour_refuses_what_it_would_never_await(hook: str) -> None:
    """A coroutine function would be called and never run: no event told, no pause made."""

    async def awaited(_: object) -> None: ...

    hooks: dict[str, Any] = {hook: awaited}
    AsyncEnroller(AsyncMemoryStore(), issuer="Exir", cipher=Unencrypted(), **hooks)
    with pytest.raises(TypeError, match=f"{hook} is a coroutine function"):
        Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted(), **hooks)


def test_both_flavours_log_a_listener_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """One sentence on the logger otp_enroll, with the traceback, says that the change stands."""

    def plain(event: events.Event) -> None:
        raise RuntimeError("mail server is down")

    async def awaited(event: events.Event) -> None:
        plain(event)

    flavours: list[tuple[Any, Any, Any]] = [
        (Enroller, MemoryStore(), plain),
        (AsyncEnroller, AsyncMemoryStore(), awaited),
    ]
    for flavour, store, listener in flavours:
        caplog.clear()
        trace = Trace(flavour, store, lambda told, listener=listener: listener)
        asyncio.run(trace.call("begin", USER, account_name="sara"))
        (record,) = caplog.records
        assert record.name == "otp_enroll"
        assert (
            record.getMessage() == f"on_event raised at setup_begun of {USER!r}; the change stands"
        )
        assert record.exc_info is not None


def test_awaited_view_does_what_its_twin_does() -> None:
    """Begin to erase over an async joined store, with the events told on demand."""

    class Joined(AsyncMemoryStore):
        joined = True

    told: list[str] = []

    async def listen(event: Any) -> None:
        told.append(type(event).__name__)

    async def run() -> None:
        enroller = AsyncEnroller(
            AsyncMemoryStore(), issuer="Exir", cipher=Unencrypted(), on_event=listen
        )
        view = enroller.using(Joined())
        setup = await view.begin(USER, account_name="sara")
        assert (await view.status(USER)).state == "pending"
        assert (await view.resume(USER, setup_id=setup.id)).key == setup.key
        await view.cancel(USER, setup_id=setup.id)
        with pytest.raises(errors.NotEnrolledError):
            await view.rename(USER, "default", "phone")
        with pytest.raises(ValueError, match=r"call verify\(\) first and pass its Verification"):
            await view.begin(USER, account_name="sara", proof="123456")  # type: ignore[arg-type]  # refused at run time
        await view.erase(USER, proof=VOUCHED)
        assert told == []
        assert len(view.events) == 5
        await view.deliver_events()
        assert told == [
            "SetupBegun", "SetupResumed", "SetupCancelled", "OverrideUsed", "EnrollmentErased",
        ]  # fmt: skip
        with pytest.raises(ValueError, match="joined one"):
            enroller.using(AsyncMemoryStore())

    asyncio.run(run())


def test_answer_of_an_awaited_delete_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delete that returns something is no success in this flavour either."""

    async def delete(user_id: str) -> str:
        return "later"

    store = AsyncMemoryStore()
    monkeypatch.setattr(store, "delete", delete)
    enroller = AsyncEnroller(store, issuer="Exir", cipher=Unencrypted())
    with pytest.raises(errors.AdapterError) as failed:
        asyncio.run(enroller.erase(USER, proof=VOUCHED))
    assert failed.value.fault == "delete returned something"


@pytest.mark.requirement("R-62")
@pytest.mark.parametrize("call", ["load", "save", "delete"])
def test_refusal_of_an_awaited_store_is_a_failure(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter that says "not enrolled" is not believed in this flavour either."""

    async def refuse(*args: object, **named: object) -> None:
        raise errors.NotEnrolledError

    it = Awaited(AsyncMemoryStore())
    monkeypatch.setattr(it.store, call, refuse)
    with pytest.raises(errors.AdapterError) as failed:
        if call == "delete":
            asyncio.run(it.enroller.erase(USER, proof=VOUCHED))
        else:
            asyncio.run(it.enroller.begin(USER, account_name="sara"))
    assert failed.value.fault == "it raised a refusal"
    assert isinstance(failed.value.__cause__, errors.NotEnrolledError)


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(
    ("flavour", "store_type"), [(Enroller, MemoryStore), (AsyncEnroller, AsyncMemoryStore)]
)
def test_erase_takes_a_row_that_nobody_can_read(
    flavour: Any, store_type: Any, *, joined: bool
) -> None:
    """It loads nothing: an account whose record is damaged must be erasable, too."""
    store = store_type()
    enroller = flavour(store, issuer="Exir", cipher=Unencrypted())

    async def run() -> None:
        await settled(enroller.begin(USER, account_name="sara"))
        record = await settled(store.load(USER))
        assert await settled(store.save(damaged(record), expected=record.revision))
        with pytest.raises(errors.CorruptRecordError):
            await settled(enroller.status(USER))
        store.joined = joined
        eraser = enroller.using(store) if joined else enroller
        await settled(eraser.erase(USER, proof=VOUCHED))
        assert await settled(store.load(USER)) is None

    asyncio.run(run())
