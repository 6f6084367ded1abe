"""The enroller: what it is built with, whom it tells, and the life of an account."""

from __future__ import annotations

import asyncio
import inspect
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, settled
from otp_enroll import (
    AsyncEnroller,
    AsyncJoinedEnroller,
    Enroller,
    JoinedEnroller,
    Policy,
    Unencrypted,
    errors,
)
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock


def test_life_of_an_account(flow: Any) -> None:
    """Begin, confirm, verify and disable lead from disabled to confirmed and back."""
    setup = flow.enroller.begin(USER, account_name="sara@example.com")
    assert flow.enroller.status(USER).state == "pending"
    phone = flow.phone(setup)
    confirmation = flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert confirmation.authenticator == "default"
    assert not confirmation.replaced
    assert len(confirmation.recovery_codes) == 10
    flow.clock.advance(30)
    verification = flow.enroller.verify(USER, phone.code())
    assert (verification.method, verification.authenticator) == ("code", "default")
    flow.clock.advance(30)
    flow.enroller.disable(USER, proof=phone.code())
    assert flow.enroller.status(USER).state == "disabled"


@pytest.mark.requirement("R-43", "R-59")
@pytest.mark.regression_of("B-12")
def test_no_request_brings_a_secret_or_a_time() -> None:
    """No verb takes a secret or a time of the caller's, so that a request can carry neither."""
    allowed = {
        "self", "user_id", "account_name", "authenticator", "proof", "context", "setup_id", "code",
        "backup_acknowledged", "text", "purpose", "accept", "new_name", "limit", "joined_store",
        "known_on", "on_event",
    }  # fmt: skip
    for flavour in (Enroller, AsyncEnroller, JoinedEnroller, AsyncJoinedEnroller):
        for name, verb in inspect.getmembers(flavour, inspect.isfunction):
            if not name.startswith("_"):
                assert set(inspect.signature(verb).parameters) <= allowed, name


@pytest.mark.requirement("R-92")
def test_enroller_refuses_what_cannot_serve() -> None:
    """A missing cipher, a joined store, a store of the other flavour: refused when it is built."""

    class NoJoined:
        load = save = delete = print

    good: dict[str, Any] = {"issuer": "Exir", "cipher": Unencrypted()}
    flavours: list[tuple[Any, Any]] = [(Enroller, MemoryStore), (AsyncEnroller, AsyncMemoryStore)]
    for flavour, store_type in flavours:
        with pytest.raises(TypeError, match="cipher"):
            flavour(store_type(), issuer="Exir")
        joined = store_type()
        joined.joined = True
        with pytest.raises(ValueError, match=r"pass this one to using\(\)"):
            flavour(joined, **good)
        for store in (None, object(), NoJoined()):
            with pytest.raises(TypeError, match="store"):
                flavour(store, **good)
        for wrong in (
            {"cipher": None},
            {"cipher": object()},
            {"policy": None},
            {"policy": {"digits": 8}},
            {"clock": None},
            {"random_bytes": 7},
            {"issuer": None},
            {"issuer": b"Exir"},
            {"on_event": "events.log"},
        ):
            with pytest.raises(TypeError, match=next(iter(wrong))):
                flavour(store_type(), **(good | wrong))
        for issuer in ("", "  ", "a:b", "a\nb", "u\u202eevil", "x" * 65, "\ud800"):
            with pytest.raises(ValueError, match="issuer"):
                flavour(store_type(), **(good | {"issuer": issuer}))
    with pytest.raises(TypeError, match="this store is for AsyncEnroller"):
        Enroller(AsyncMemoryStore(), **good)  # type: ignore[arg-type]  # refused at run time
    with pytest.raises(TypeError, match="this store is for Enroller"):
        AsyncEnroller(MemoryStore(), **good)  # type: ignore[arg-type]  # refused at run time


def plain(value: object) -> None: ...


async def awaited(value: object) -> None: ...


FLAVOURS: list[tuple[Any, Any]] = [(Enroller, MemoryStore), (AsyncEnroller, AsyncMemoryStore)]
PASS_A_FUNCTION = {
    "on_event": "on_event must be a coroutine function: async def on_event(...)",
    "sleep": "sleep must be a coroutine function: async def sleep(...)",
}


@pytest.mark.requirement("R-92")
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"cipher": Unencrypted}, "the cipher is a class: pass an instance, Unencrypted(...)"),
        ({"cipher": AESGCMKeyRing}, "the cipher is a class: pass an instance, AESGCMKeyRing(...)"),
        ({"cipher": b"key"}, "the cipher has no method seal"),
        ({"policy": Policy}, "policy must be a Policy, such as Policy() or STRICT"),
        ({"policy": None}, "policy must be a Policy, such as Policy() or STRICT"),
        ({"random_bytes": b"7"}, "random_bytes must be a function that takes a number of bytes"),
        ({"clock": 1.8e9}, "clock must be a function without arguments, such as time.time"),
        *[
            (
                {"clock": lambda reading=reading: reading},
                "clock must return Unix seconds as a number, as time.time does",
            )
            for reading in (datetime.now(timezone.utc), True, None, "1800000000")
        ],
        ({"clock": FrozenClock}, "clock must return Unix seconds as a number, as time.time does"),
    ],
)
def test_wrong_arguments_are_refused_with_what_to_pass(wrong: dict[str, Any], told: str) -> None:
    """A class for an instance, a datetime for seconds and the like: refused when it is built."""
    settings: dict[str, Any] = {"issuer": "Exir", "cipher": Unencrypted()} | wrong
    for flavour, store_type in FLAVOURS:
        with pytest.raises(TypeError) as refusal:
            flavour(store_type(), **settings)
        assert str(refusal.value) == told


@pytest.mark.requirement("R-92")
def test_store_class_is_refused_with_what_to_pass() -> None:
    """A store's class has all its methods, and every call of one would fail at a login."""

    class Joined(MemoryStore):
        joined = True

    for flavour, store_type in FLAVOURS:
        with pytest.raises(TypeError) as refusal:
            flavour(store_type, issuer="Exir", cipher=Unencrypted())
        name = store_type.__name__
        assert str(refusal.value) == f"the store is a class: pass an instance, {name}(...)"
    enroller = Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted())
    with pytest.raises(TypeError) as refusal:
        enroller.using(Joined)  # type: ignore[arg-type]  # refused at run time
    assert str(refusal.value) == "the store is a class: pass an instance, Joined(...)"


@pytest.mark.parametrize("hook", ["on_event", "sleep"])
def test_hooks_of_the_other_flavour_are_refused_with_what_to_pass(hook: str) -> None:
    """A coroutine function would never be awaited, and what a plain one returns cannot be."""
    settings: dict[str, Any] = {"issuer": "Exir", "cipher": Unencrypted()}
    with pytest.raises(TypeError) as refusal:
        Enroller(MemoryStore(), **(settings | {hook: awaited}))
    sentence = f"{hook} is a coroutine function, which AsyncEnroller alone awaits"
    assert str(refusal.value) == sentence
    with pytest.raises(TypeError) as refusal:
        AsyncEnroller(AsyncMemoryStore(), **(settings | {hook: plain}))
    assert str(refusal.value) == PASS_A_FUNCTION[hook]
    Enroller(MemoryStore(), **(settings | {hook: plain}))
    AsyncEnroller(AsyncMemoryStore(), **(settings | {hook: awaited}))
    AsyncEnroller(AsyncMemoryStore(), **(settings | {hook: partial(awaited)}))


def test_clock_that_tells_whole_seconds_serves() -> None:
    """An int of seconds is a number, and so is a float that is ahead or behind."""
    for reading in (0, 1_800_000_000, 1.8e9, -1.0, float("nan")):
        clock = partial(float, reading) if isinstance(reading, float) else partial(int, reading)
        Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted(), clock=clock)


def test_what_an_enroller_was_built_with_can_be_read_and_not_changed() -> None:
    """Store, cipher, policy and issuer stand on all four, and nothing can be set on any."""
    cipher, policy = Unencrypted(), Policy(digits=8)
    for flavour, store_type in FLAVOURS:
        store, joined_store = store_type(), store_type()
        joined_store.joined = True
        enroller = flavour(store, issuer="  Exir ", cipher=cipher, policy=policy)
        joined = enroller.using(joined_store)
        for one, its_store in ((enroller, store), (joined, joined_store)):
            assert one.store is its_store
            assert one.cipher is cipher
            assert one.policy is policy
            assert one.issuer == "Exir"
            for name in ("store", "cipher", "policy", "issuer", "another"):
                with pytest.raises(AttributeError):
                    setattr(one, name, None)
            assert not hasattr(one, "__dict__")


@pytest.mark.requirement("R-62")
@pytest.mark.parametrize(("flavour", "store_type"), FLAVOURS)
def test_app_that_knows_better_is_told_that_the_enrollment_is_missing(
    flavour: Any, store_type: Any
) -> None:
    """``known_on`` turns "not confirmed" into a failure, in all four, and changes nothing else."""

    async def run() -> None:
        clock = FrozenClock()
        own = flavour(store_type(), issuer="Exir", cipher=Unencrypted(), clock=clock)
        joined_store = store_type()
        joined_store.joined = True
        joined = own.using(joined_store)

        async def assert_missing(enroller: Any) -> None:
            assert not (await settled(enroller.status(USER))).required
            with pytest.raises(errors.EnrollmentMissingError):
                await settled(enroller.status(USER, known_on=True))

        for enroller in (own, joined):
            await assert_missing(enroller)
            with pytest.raises(TypeError, match="known_on must be a bool"):
                await settled(enroller.status(USER, known_on=1))
        setup = await settled(own.begin(USER, account_name="sara"))
        await assert_missing(own)
        code = FakeAuthenticator(setup.uri, clock).code()
        await settled(own.confirm(USER, code, setup_id=setup.id))
        record = await settled(own.store.load(USER))
        assert await settled(joined_store.save(record, expected=None))
        for enroller in (own, joined):
            status = await settled(enroller.status(USER, known_on=True))
            assert status.required
            assert status == await settled(enroller.status(USER))
            await settled(enroller.disable(USER, proof=VOUCHED))
            await assert_missing(enroller)

    asyncio.run(run())


def test_status_has_no_truth(flow: Any) -> None:
    """``if status`` would ask everybody for a code, so it raises and says what to look at."""
    for enroll in (lambda: None, flow.enroll):
        enroll()
        with pytest.raises(TypeError, match="look at required"):
            bool(flow.enroller.status(USER))


@pytest.mark.requirement("R-96")
def test_listener_that_raises_undoes_nothing(flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What a listener raises is logged on otp_enroll, and the change and the answer stand."""

    def listener(event: object) -> None:
        raise RuntimeError("mail server is down")

    enroller = flow.another(on_event=listener)
    setup = enroller.begin(USER, account_name="sara")
    assert enroller.resume(USER, setup_id=setup.id).key == setup.key
    assert {record.name for record in caplog.records} == {"otp_enroll"}
    assert "mail server is down" in caplog.text


def test_no_listener_is_needed(flow: Any) -> None:
    """Without on_event everything works and nothing is told."""
    enroller = flow.another(on_event=None)
    enroller.begin(USER, account_name="sara")
    assert flow.told == []


def make(flavour: Any, store: Any, **changes: Any) -> Any:
    """Build an enroller of either flavour."""
    return flavour(store, **({"issuer": "Exir", "cipher": Unencrypted()} | changes))


class Later:
    """An object whose call gives a coroutine."""

    async def __call__(self, told: object) -> None: ...


def test_hook_is_looked_at_by_how_it_is_called() -> None:
    """An object with an async call is one to await, and a class is called to make an object."""
    make(AsyncEnroller, AsyncMemoryStore(), on_event=Later(), sleep=Later())
    for hook in ("on_event", "sleep"):
        with pytest.raises(TypeError, match="AsyncEnroller alone awaits"):
            make(Enroller, MemoryStore(), **{hook: Later()})
        with pytest.raises(TypeError, match="must be a coroutine function"):
            make(AsyncEnroller, AsyncMemoryStore(), **{hook: Later})


class HalfAwaited(MemoryStore):
    """A sync store with one method that nobody would await."""

    async def delete(self, user_id: str) -> None:  # type: ignore[override]  # wrong on purpose
        super().delete(user_id)


def test_every_method_of_a_store_is_of_its_flavour() -> None:
    """A store of two flavours is refused when the enroller is built: erase would do nothing."""
    with pytest.raises(TypeError, match="method delete must not be a coroutine function"):
        make(Enroller, HalfAwaited())


@pytest.mark.parametrize("reading", [10**400, float("nan"), float("inf"), -1])
def test_time_that_is_none_is_the_servers_clock(reading: float) -> None:
    """A number of seconds that no clock shows is a failure of the clock, and nothing else."""
    enroller = make(Enroller, MemoryStore(), clock=lambda: reading)
    with pytest.raises(errors.ServerClockError):
        enroller.status(USER)
