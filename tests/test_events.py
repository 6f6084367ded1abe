"""What is told: an event per change, with what an audit needs and nothing secret."""

from __future__ import annotations

import dataclasses
import inspect
from datetime import timezone
from typing import Any

import pytest

from otp_enroll import Override, errors, events

USER = "user-42"
VOUCHED = Override(actor="help desk", reason="re-authenticated")


@pytest.mark.requirement("R-94", "R-96")
def test_every_change_is_told_once_and_in_order(flow: Any) -> None:
    """Each verb tells what it did after it did it, and tells it once."""
    setup = flow.enroller.begin(USER, account_name="sara")
    assert flow.names_of_events() == ["SetupBegun"]
    flow.enroller.resume(USER, setup_id=setup.id)
    assert flow.names_of_events() == ["SetupResumed"]
    flow.enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
    assert flow.names_of_events() == ["KeyCopyChecked"]
    phone = flow.phone(setup)
    with pytest.raises(errors.ClockSkewError):
        flow.enroller.confirm(USER, phone.code(5), setup_id=setup.id)
    assert flow.names_of_events() == ["CodeRejected"]
    confirmation = flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert flow.names_of_events() == ["AuthenticatorConfirmed", "RecoveryCodesIssued"]
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, phone.code())
    assert flow.names_of_events() == ["CodeReused"]
    flow.clock.advance(30)
    flow.enroller.verify(USER, phone.code())
    assert flow.names_of_events() == ["CodeVerified"]
    flow.enroller.verify(USER, confirmation.recovery_codes[0])
    assert flow.names_of_events() == ["RecoveryCodeUsed"]
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, confirmation.recovery_codes[0])
    assert flow.names_of_events() == ["CodeReused"]
    flow.enroller.rename(USER, "default", "phone")
    assert flow.names_of_events() == ["AuthenticatorRenamed"]
    second = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    assert flow.names_of_events() == ["OverrideUsed", "SetupBegun"]
    flow.enroller.cancel(USER, setup_id=second.id)
    assert flow.names_of_events() == ["SetupCancelled"]
    third = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.told.clear()
    flow.enroller.confirm(USER, flow.phone(third).code(), setup_id=third.id)
    assert flow.names_of_events() == ["AuthenticatorConfirmed", "AuthenticatorReplaced"]
    flow.add("tablet", VOUCHED)
    flow.told.clear()
    flow.enroller.disable(USER, proof=VOUCHED, authenticator="tablet")
    assert flow.names_of_events() == ["OverrideUsed", "AuthenticatorRemoved"]
    flow.enroller.disable(USER, proof=VOUCHED)
    assert flow.names_of_events() == ["OverrideUsed", "EnrollmentDisabled"]
    flow.enroller.status(USER)
    assert flow.names_of_events() == []


@pytest.mark.requirement("R-69", "R-94")
def test_refused_guesses_are_told(flow: Any) -> None:
    """Wrong codes, waits and the guesses during a lock each tell the account, and when to retry."""
    phone, _ = flow.enroll()
    near = {phone.code(n) for n in range(-3, 4)}
    wrong = next(f"{n:06d}" for n in range(100) if f"{n:06d}" not in near)
    flow.told.clear()
    for _ in range(5):
        with pytest.raises(errors.WrongCodeError):
            flow.enroller.verify(USER, wrong, context={"ip": "192.0.2.7"})
    with pytest.raises(errors.TooManyAttemptsError) as refusal:
        flow.enroller.verify(USER, wrong)
    *rejected, throttled = flow.told
    assert {type(event) for event in rejected} == {events.CodeRejected}
    assert {event.context["ip"] for event in rejected} == {"192.0.2.7"}
    assert isinstance(throttled, events.Throttled)
    assert throttled.retry_at == refusal.value.retry_at


@pytest.mark.requirement("R-94")
def test_event_tells_when_who_what_and_for_what(flow: Any) -> None:
    """An event has UTC time, user, authenticator and id, purpose, actor and the app's context."""
    phone, _ = flow.enroll()
    flow.told.clear()
    context = {"ip": "192.0.2.7", "agent": "Firefox", "actor": "sara"}
    flow.enroller.verify(USER, phone.code(), purpose="withdraw", context=context)
    (event,) = flow.told
    assert event.time.timestamp() == flow.clock.now
    assert event.time.tzinfo is timezone.utc
    assert (event.user_id, event.authenticator) == (USER, "default")
    assert event.authenticator_id == flow.enroller.status(USER).authenticators[0].id
    assert (event.purpose, event.actor) == ("withdraw", "sara")
    assert event.context == context
    context["ip"] = "changed later"
    assert event.context["ip"] == "192.0.2.7"


@pytest.mark.requirement("R-47")
def test_replacement_has_an_id_of_its_own(flow: Any) -> None:
    """The event of a replacement names the new id and the one that it replaced."""
    flow.enroll()
    old = flow.enroller.status(USER).authenticators[0].id
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    replaced = next(e for e in flow.told if isinstance(e, events.AuthenticatorReplaced))
    assert replaced.replaced_id == old
    assert replaced.authenticator_id == flow.enroller.status(USER).authenticators[0].id != old


@pytest.mark.requirement("R-95", "R-97")
def test_events_are_plain_values_with_codes_of_their_own() -> None:
    """Each event class is frozen, has a stable code that no other has, and is exported."""
    kinds: list[Any] = [getattr(events, name) for name in events.__all__]
    made_here = [kind for _, kind in inspect.getmembers(events, inspect.isclass)]
    assert {kind for kind in made_here if kind.__module__ == events.__name__} == set(kinds)
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    for kind in kinds:
        assert kind.__dataclass_params__.frozen


def test_event_of_a_listener_can_be_stored(flow: Any) -> None:
    """An event turns into a dict, as a listener that logs it needs."""
    flow.enroller.begin(USER, account_name="sara", context={"ip": "192.0.2.7"})
    stored = dataclasses.asdict(flow.told[0])
    assert stored["user_id"] == USER
    assert stored["context"] == {"ip": "192.0.2.7"}
