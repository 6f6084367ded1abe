"""The hunt for leaks: no secret, key, URI, recovery code, setup id or typed text in any sink."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import gc
import json
import logging
import pickle
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.leak_hunt import PACKAGE, USER, VOUCHED, Hunt, bad_text, locals_of_ours, whole_flow
from otp_enroll import AsyncEnroller, Enroller, Override, Policy, Unencrypted, errors
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.storage.sqlite import AsyncSQLiteStore, SQLiteStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock


@pytest.mark.requirement("R-06", "R-25", "R-76", "R-95", "R-89")
@pytest.mark.regression_of("B-11", "B-36", "B-39")
def test_nothing_leaks_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Logs at DEBUG, errors with our frames' locals, events, reprs and the file show nothing."""
    caplog.set_level(logging.DEBUG)
    hunt = Hunt()
    clock = FrozenClock()
    key = secrets.token_bytes(32)
    hunt.hide_raw(key)

    def listener(event: Any) -> None:
        hunt.sinks += [repr(event), str(event), json.dumps(dataclasses.asdict(event), default=str)]
        raise RuntimeError("listeners fail, too")

    with SQLiteStore(tmp_path / "otp.db") as store:
        enroller = Enroller(
            store, issuer="Exir", cipher=AESGCMKeyRing({"k1": key}), clock=clock, on_event=listener
        )
        whole_flow(hunt, enroller, clock)
        record = store.load(USER)
        hunt.sinks += [repr(record), *(repr(value) for value in enroller.__slots__)]
    hunt.sinks += [caplog.text, *(repr(r.args) + str(r.exc_text) for r in caplog.records)]
    assert "listeners fail, too" in caplog.text
    assert len(hunt.sinks) > 100
    assert hunt.found(hunt.sinks) == []
    for file in tmp_path.iterdir():
        content = file.read_bytes().decode("latin-1")
        assert [needle for needle in hunt.needles if needle in content] == [], file.name


def test_hunt_finds_what_leaks() -> None:
    """The hunt itself is no blank: it finds a key, a code and a local in a frame of ours."""
    hunt = Hunt()
    hunt.hide("SECRETKEY")
    hunt.types("123456")
    assert hunt.found(["…SECRETKEY…"]) == ["SECRETKEY"]
    assert hunt.found(["code=123456 "]) == ["123456"]
    assert hunt.found(["1234567"]) == []
    with pytest.raises(TypeError) as refusal:
        Override(actor="SECRETKEY", reason=None)  # type: ignore[arg-type]
    assert hunt.found([locals_of_ours(refusal.value.__traceback__)]) == ["SECRETKEY"]


@pytest.mark.requirement("R-06")
@pytest.mark.regression_of("B-38")
def test_nothing_leaks_when_store_or_cipher_fails() -> None:
    """The frames of a request that a failing store or cipher ended show nothing either."""
    hunt = Hunt()
    clock = FrozenClock()
    fails: set[str] = set()

    class FailingStore(MemoryStore):
        def save(self, record: Any, *, expected: str | None) -> bool:
            if "save" in fails:
                raise ConnectionError
            return super().save(record, expected=expected)

    class FailingCipher(Unencrypted):
        def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
            if "seal" in fails:
                plaintext = b""
                raise ConnectionError
            return super().seal(plaintext, context=context)

        def open(self, sealed: bytes, *, context: bytes) -> bytes:
            if "open" in fails:
                return super().open(sealed, context=context)[:5]
            return super().open(sealed, context=context)

    enroller = Enroller(FailingStore(), issuer="Exir", cipher=FailingCipher(), clock=clock)
    setup = enroller.begin(USER, account_name="sara")
    hunt.hide_setup(setup)
    phone = FakeAuthenticator(setup.uri, clock)
    fails.add("save")
    code = hunt.types(phone.code())
    hunt.expect(errors.StorageError, lambda: enroller.confirm(USER, code, setup_id=setup.id))
    hunt.expect(errors.StorageError, lambda: enroller.begin("another", account_name="dara"))
    fails.clear()
    done = enroller.confirm(USER, code, setup_id=setup.id)
    hunt.hide_codes(done.recovery_codes or ())
    clock.advance(30)
    fails.add("save")
    hunt.expect(errors.StorageError, lambda: enroller.verify(USER, hunt.types(phone.code())))
    fails.clear()
    fails.add("open")
    hunt.expect(errors.UnreadableSecretError, lambda: enroller.verify(USER, phone.code()))
    fails.add("seal")
    hunt.expect(
        errors.UnreadableSecretError,
        lambda: enroller.begin(USER, account_name="sara", proof=VOUCHED),
    )
    assert hunt.found(hunt.sinks) == []


@pytest.mark.requirement("R-06")
def test_nothing_leaks_from_the_awaited_flavour(tmp_path: Path) -> None:
    """AsyncEnroller's frames hide what was typed as its twin's do."""
    hunt = Hunt()
    clock = FrozenClock()

    async def run() -> None:
        async with AsyncSQLiteStore(tmp_path / "otp.db") as store:
            enroller = AsyncEnroller(store, issuer="Exir", cipher=Unencrypted(), clock=clock)
            setup = await enroller.begin(USER, account_name="sara")
            hunt.hide_setup(setup)
            phone = FakeAuthenticator(setup.uri, clock)
            code = hunt.types(phone.code(-5))
            refusals: list[tuple[type[Exception], Callable[[], Any]]] = [
                (errors.ClockSkewError, lambda: enroller.confirm(USER, code, setup_id=setup.id)),
                (
                    errors.SetupSupersededError,
                    lambda: enroller.cancel(USER, setup_id=bad_text(hunt)),
                ),
                (
                    errors.SetupSupersededError,
                    lambda: enroller.resume(USER, setup_id=bad_text(hunt)),
                ),
                (errors.NotEnrolledError, lambda: enroller.verify(USER, code)),
                (errors.NotEnrolledError, lambda: enroller.disable(USER, proof=code)),
                (
                    errors.NotEnrolledError,
                    lambda: enroller.regenerate_recovery_codes(USER, proof=code),
                ),
                (
                    errors.NotEnrolledError,
                    lambda: enroller.begin(USER, account_name="s", proof=code),
                ),
                (
                    errors.SetupSupersededError,
                    lambda: enroller.check_key_copy(USER, setup.key, setup_id=bad_text(hunt)),
                ),
                (TypeError, lambda: enroller.erase(USER, proof=bad_text(hunt))),  # type: ignore[arg-type]
            ]
            for kind, act in refusals:
                with pytest.raises(kind) as refusal:
                    await act()
                hunt.collect(refusal.value)

    asyncio.run(run())
    assert hunt.found(hunt.sinks) == []


def refusals(enroller: Enroller, phone: FakeAuthenticator, code: str) -> list[Callable[[], object]]:
    """List calls that are refused, for as many reasons as one state can have."""
    return [
        lambda: enroller.verify(USER, code),
        lambda: enroller.verify(USER, "12345"),
        lambda: enroller.verify("nobody", "123456"),
        lambda: enroller.verify(USER, phone.code(-7)),
        lambda: enroller.disable(USER),
        lambda: enroller.disable(USER, proof="Z" * 24),
        lambda: enroller.confirm(USER, "123456", setup_id="x"),
        lambda: enroller.rename(USER, "tablet", "phone"),
        lambda: enroller.begin(USER, account_name="sara", proof=code),
    ]


@pytest.mark.requirement("R-06")
def test_refusals_leave_no_garbage() -> None:
    """After a thousand refusals nothing of ours waits for the collector: there is no cycle."""
    clock = FrozenClock()
    enroller = Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted(), clock=clock)
    setup = enroller.begin(USER, account_name="sara")
    phone = FakeAuthenticator(setup.uri, clock)
    enroller.confirm(USER, phone.code(), setup_id=setup.id)
    broken = Enroller(enroller._store, issuer="Exir", cipher=_Lost(), clock=clock)
    calls = refusals(enroller, phone, phone.code())
    calls.append(lambda: broken.verify(USER, "123456"))
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for number in range(1000):
            try:
                calls[number % len(calls)]()
            except errors.EnrollmentError:
                clock.advance(7)
            else:
                raise AssertionError("a call was not refused")
        gc.collect()
        ours = [
            item
            for item in gc.garbage
            if type(item).__module__.startswith("otp_enroll")
            or PACKAGE in str(getattr(getattr(item, "f_code", None), "co_filename", ""))
        ]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert ours == []


class _Lost(Unencrypted):
    """A cipher whose key is lost."""

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        raise KeyError("2025")


@pytest.mark.requirement("R-06", "R-76")
@pytest.mark.regression_of("B-39")
def test_no_way_back_to_the_secret_after_confirm(flow: Any) -> None:
    """After confirm no call shows the key: resume has nothing to show, and status has no secret."""
    setup = flow.enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    with pytest.raises(errors.NotPendingError):
        flow.enroller.resume(USER, setup_id=setup.id)
    with pytest.raises(errors.NotPendingError):
        flow.enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
    status = json.dumps(dataclasses.asdict(flow.enroller.status(USER)), default=str)
    assert setup.key not in status
    assert not hasattr(flow.enroller, "secret")


def test_states_and_requests_hide_their_secrets(flow: Any) -> None:
    """asdict, repr and pickle of the library's own values give no secret away, even unsealed."""
    from otp_enroll.storage import codec  # noqa: PLC0415  # looked into here alone

    setup = flow.enroller.begin(USER, account_name="sara")
    enrollment, _ = codec.decode(flow.store.load(USER))
    raw = base64.b32decode(setup.key)
    shown = repr(enrollment) + repr(dataclasses.asdict(enrollment))
    assert repr(raw)[2:-1] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(enrollment)


@dataclasses.dataclass
class ShowingCipher(Unencrypted):
    """A cipher of an app's own, which fails and whose repr has its key."""

    key: str

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        raise RuntimeError("no connection")


def test_repr_of_a_cipher_stands_in_no_frame_of_ours() -> None:
    """A cipher that shows its keys shows them in its own frames alone."""
    enroller = Enroller(MemoryStore(), issuer="Exir", cipher=ShowingCipher(key="k-e-y"))
    with pytest.raises(errors.UnreadableSecretError) as failure:
        enroller.begin(USER, account_name="sara")
    shown = locals_of_ours(failure.value.__traceback__)
    assert "Enroller object" in shown
    assert "k-e-y" not in shown + repr(enroller._vault)


def test_policy_is_no_secret() -> None:
    """A policy may be logged."""
    assert "digits=6" in repr(Policy())
