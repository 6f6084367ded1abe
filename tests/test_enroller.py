"""The enroller: what it is built with, whom it tells, and the life of an account."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from helpers.flows import USER
from otp_enroll import AsyncEnroller, Enroller, Unencrypted
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore


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
    }  # fmt: skip
    for flavour in (Enroller, AsyncEnroller):
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
