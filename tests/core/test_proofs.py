"""Proofs: typed codes, verifications and overrides, and the changes that each opens."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, wrong_for
from otp_enroll import Override, Verification, errors


@pytest.mark.requirement("R-52")
@pytest.mark.regression_of("B-17")
@pytest.mark.parametrize("verb", ["begin", "disable", "regenerate_recovery_codes"])
def test_typed_proof_is_spent_by_the_change(verb: str, flow: Any) -> None:
    """A code opens a verb once, in one write, and is spent at once for every other use."""
    phone, _ = flow.enroll()
    arguments = {"account_name": "sara"} if verb == "begin" else {}
    saves = flow.store.saves
    getattr(flow.enroller, verb)(USER, proof=phone.code(), **arguments)
    assert flow.store.saves == saves + 1
    spent = errors.NotEnrolledError if verb == "disable" else errors.CodeReusedError
    with pytest.raises(spent):
        flow.enroller.verify(USER, phone.code())


@pytest.mark.requirement("R-52", "R-63")
def test_proof_that_removes_one_authenticator_is_spent_for_those_that_stay(flow: Any) -> None:
    """A code or recovery code that removed another authenticator does not log in after that."""
    phone, confirmation = flow.enroll()
    for proof in (phone.code, lambda: confirmation.recovery_codes[0]):
        flow.add("tablet", phone.code())
        flow.enroller.disable(USER, proof=proof(), authenticator="tablet")
        with pytest.raises(errors.CodeReusedError):
            flow.enroller.verify(USER, proof())
        flow.clock.advance(60)


@pytest.mark.requirement("R-52")
@pytest.mark.parametrize("verb", ["begin", "disable", "regenerate_recovery_codes"])
def test_wrong_proof_is_counted_and_changes_nothing_else(verb: str, flow: Any) -> None:
    """A wrong proof costs the same budget as a wrong login, and the change is not made."""
    phone, _ = flow.enroll()
    arguments = {"account_name": "sara"} if verb == "begin" else {}
    for _ in range(5):
        with pytest.raises(errors.WrongCodeError):
            getattr(flow.enroller, verb)(USER, proof=wrong_for(phone), **arguments)
    with pytest.raises(errors.TooManyAttemptsError):
        flow.enroller.verify(USER, phone.code())
    status = flow.enroller.status(USER)
    assert (status.state, status.setup_expires_at) == ("confirmed", None)


@pytest.mark.requirement("R-52")
@pytest.mark.parametrize("verb", ["begin", "disable", "regenerate_recovery_codes"])
def test_verification_is_a_proof_for_its_verb_for_a_minute(verb: str, flow: Any) -> None:
    """A Verification of the verb's purpose opens it within 60 seconds, and not after."""
    phone, _ = flow.enroll()
    arguments = {"account_name": "sara"} if verb == "begin" else {}
    verification = flow.enroller.verify(USER, phone.code(), purpose=verb)
    flow.clock.advance(61)
    with pytest.raises(errors.ProofRequiredError) as refusal:
        getattr(flow.enroller, verb)(USER, proof=verification, **arguments)
    assert refusal.value.reason == "too old"
    flow.clock.advance(-1)
    getattr(flow.enroller, verb)(USER, proof=verification, **arguments)


@pytest.mark.requirement("R-52")
def test_verification_of_another_kind_opens_nothing(flow: Any) -> None:
    """Another user, another purpose, the future, or a recovery code at renewal: no proof."""
    phone, confirmation = flow.enroll()
    good = flow.enroller.verify(USER, phone.code(), purpose="disable")
    by_recovery = flow.enroller.verify(
        USER, confirmation.recovery_codes[0], purpose="regenerate_recovery_codes"
    )
    stored = flow.store.load(USER)
    for proof, reason in (
        (replace(good, user_id="another"), "other user"),
        (replace(good, purpose="login"), "other purpose"),
        (replace(good, at=good.at + timedelta(seconds=61)), "too old"),
    ):
        with pytest.raises(errors.ProofRequiredError) as refusal:
            flow.enroller.disable(USER, proof=proof)
        assert refusal.value.reason == reason
    with pytest.raises(errors.ProofRequiredError) as refusal:
        flow.enroller.regenerate_recovery_codes(USER, proof=by_recovery)
    assert refusal.value.reason == "recovery code"
    assert flow.store.load(USER) == stored


def test_sign_in_by_recovery_code_opens_begin(flow: Any) -> None:
    """Who signed in with a recovery code may set up a new phone with that verification."""
    _, confirmation = flow.enroll()
    verification = flow.enroller.verify(USER, confirmation.recovery_codes[0], purpose="login")
    assert flow.enroller.begin(USER, account_name="sara", proof=verification).replaces
    with pytest.raises(errors.ProofRequiredError):
        flow.enroller.disable(USER, proof=verification)


def test_recovery_code_is_no_typed_proof_for_renewal(flow: Any) -> None:
    """Renewal calls a recovery code malformed, and the code stays good."""
    _, confirmation = flow.enroll()
    with pytest.raises(errors.MalformedCodeError):
        flow.enroller.regenerate_recovery_codes(USER, proof=confirmation.recovery_codes[0])
    flow.enroller.disable(USER, proof=confirmation.recovery_codes[0])


@pytest.mark.requirement("R-52")
def test_code_where_there_is_nothing_to_prove_is_refused(flow: Any) -> None:
    """A typed code does not go unjudged into begin on an account that is not confirmed."""
    with pytest.raises(errors.NotEnrolledError):
        flow.enroller.begin(USER, account_name="sara", proof="123456")
    flow.enroller.begin(USER, account_name="sara")
    with pytest.raises(errors.NotEnrolledError):
        flow.enroller.begin(USER, account_name="sara", proof="123456")
    moment = datetime(2027, 1, 15, 8, tzinfo=timezone.utc)
    stale = Verification(
        user_id=USER, purpose="begin", method="code", authenticator="default",
        recovery_codes_left=1, locked=False, at=moment,
    )  # fmt: skip
    flow.enroller.begin(USER, account_name="sara", proof=stale)


@pytest.mark.requirement("R-78")
def test_override_is_told_with_actor_and_reason(flow: Any) -> None:
    """The help desk's acts need no code, show no secret, and stand in the events by name."""
    flow.enroll()
    flow.told.clear()
    flow.enroller.disable(USER, proof=VOUCHED, context={"ip": "192.0.2.7", "actor": "nobody"})
    override, disabled = flow.told
    assert (override.verb, override.reason) == ("disable", "re-authenticated")
    assert {override.actor, disabled.actor} == {"help desk"}
    assert disabled.context["ip"] == "192.0.2.7"
    assert disabled.names == ("default",)


def test_override_is_told_where_nothing_was_to_prove(flow: Any) -> None:
    """An Override at a first begin is accepted, and told all the same."""
    flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    assert (flow.told[0].verb, flow.told[0].actor) == ("begin", "help desk")
    assert flow.names_of_events() == ["OverrideUsed", "SetupBegun"]


@pytest.mark.parametrize(
    ("actor", "reason", "raised"),
    [
        ("", "why", ValueError),
        ("who", "", ValueError),
        ("  ", "why", ValueError),
        (None, "why", TypeError),
        ("who", 7, TypeError),
        ("who", "x" * 257, ValueError),
    ],
)
def test_override_names_an_actor_and_a_reason(
    actor: Any, reason: Any, raised: type[Exception]
) -> None:
    """Nobody vouches without saying who and why, and a mistake says which of them is missing."""
    with pytest.raises(raised) as mistake:
        Override(actor=actor, reason=reason)
    wanted = "must be a str" if raised is TypeError else "must have 1 to 256 characters"
    wrong = "reason" if actor == "who" else "actor"
    assert str(mistake.value) == f"{wrong} {wanted}"


def test_override_may_be_as_long_as_is_said() -> None:
    """An actor and a reason of 256 characters are enough to vouch."""
    longest = Override(actor="a" * 256, reason="r" * 256)
    assert (len(longest.actor), len(longest.reason)) == (256, 256)
