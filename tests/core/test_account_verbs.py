"""Verify, disable, new recovery codes and rename, as the app calls them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, fail
from otp_enroll import errors


@pytest.mark.requirement("R-67")
def test_purpose_travels_and_a_code_serves_one(flow: Any) -> None:
    """The verification and its event name the purpose, and another purpose needs another code."""
    phone, _ = flow.enroll()
    flow.told.clear()
    verification = flow.enroller.verify(USER, phone.code(), purpose="withdraw")
    assert verification.purpose == "withdraw"
    assert flow.told[0].purpose == "withdraw"
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, phone.code(), purpose="login")


def test_accept_lets_a_page_refuse_recovery_codes(flow: Any) -> None:
    """A page that accepts codes alone calls a recovery code malformed, and the reverse."""
    phone, confirmation = flow.enroll()
    stored = flow.store.load(USER)
    with pytest.raises(errors.MalformedCodeError):
        flow.enroller.verify(USER, confirmation.recovery_codes[0], accept=("code",))
    with pytest.raises(errors.MalformedCodeError):
        flow.enroller.verify(USER, phone.code(), accept=["recovery_code"])
    assert flow.store.load(USER) == stored


@pytest.mark.requirement("R-55")
def test_several_authenticators_each_verify_and_each_can_go(flow: Any) -> None:
    """Two authenticators verify by their own codes, and removing one leaves the other."""
    phone, _ = flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    assert flow.enroller.verify(USER, phone.code()).authenticator == "default"
    assert flow.enroller.verify(USER, tablet.code()).authenticator == "tablet"
    names = [one.name for one in flow.enroller.status(USER).authenticators]
    assert names == ["default", "tablet"]
    flow.clock.advance(30)
    flow.enroller.disable(USER, proof=phone.code(), authenticator="default")
    flow.enroller.verify(USER, tablet.code())
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, phone.code())


@pytest.mark.requirement("R-74", "R-79")
def test_disable_leaves_nothing_but_the_time_of_the_change(flow: Any) -> None:
    """After disable the row has no secret, no codes and no budgets, and changed_at is now."""
    phone, _ = flow.enroll()
    fail(flow, phone)
    code = phone.code()
    flow.enroller.disable(USER, proof=code)
    record = flow.store.load(USER)
    assert set(json.loads(record.document)) == {"schema", "trail"}
    assert (record.state, record.changed_at) == ("disabled", int(flow.clock.now))
    assert flow.enroller.status(USER).changed_at.timestamp() == flow.clock.now
    with pytest.raises(errors.NotEnrolledError):
        flow.enroller.verify(USER, code)


def test_removing_one_authenticator_drops_the_setup_of_its_name_alone(flow: Any) -> None:
    """A staged replacement goes with what it replaces, and any other staged setup stays."""
    flow.enroll()
    flow.add("tablet", VOUCHED)
    staged = flow.enroller.begin(USER, account_name="sara", authenticator="laptop", proof=VOUCHED)
    flow.enroller.disable(USER, proof=VOUCHED, authenticator="tablet")
    assert flow.enroller.resume(USER, setup_id=staged.id).authenticator == "laptop"
    flow.add("tablet", VOUCHED)
    for name in ("tablet", "default"):
        replacement = flow.enroller.begin(
            USER, account_name="sara", authenticator=name, proof=VOUCHED
        )
        flow.enroller.disable(USER, proof=VOUCHED, authenticator=name)
        with pytest.raises(errors.NotPendingError):
            flow.enroller.resume(USER, setup_id=replacement.id)
    assert flow.enroller.status(USER).state == "disabled"


@pytest.mark.requirement("R-84")
def test_renewed_set_voids_the_old_one(flow: Any) -> None:
    """After a renewal no old code signs in, each new one does, and the event tells how many."""
    phone, confirmation = flow.enroll()
    flow.told.clear()
    renewed = flow.enroller.regenerate_recovery_codes(USER, proof=phone.code())
    assert flow.names_of_events() == ["CodeVerified", "RecoveryCodesIssued"]
    assert not set(renewed) & set(confirmation.recovery_codes)
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, confirmation.recovery_codes[0])
    for code in renewed:
        flow.enroller.verify(USER, code)


def test_renewal_ends_the_wait_of_recovery_codes(flow: Any) -> None:
    """New codes are good at once, whatever was typed before."""
    phone, _ = flow.enroll()
    for number in range(5):
        with pytest.raises(errors.WrongCodeError):
            flow.enroller.verify(USER, f"{number:024d}")
    renewed = flow.enroller.regenerate_recovery_codes(USER, proof=phone.code())
    flow.enroller.verify(USER, renewed[0])


def test_rename_keeps_everything_but_the_name(flow: Any) -> None:
    """A renamed authenticator verifies as before, and a staged replacement still replaces it."""
    phone, _ = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.enroller.rename(USER, "default", "گوشی")
    assert flow.enroller.verify(USER, phone.code()).authenticator == "گوشی"
    assert flow.enroller.resume(USER, setup_id=setup.id).replaces
    confirmation = flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    assert (confirmation.authenticator, confirmation.replaced) == ("گوشی", True)


def test_rename_refuses_unknown_and_taken_names(flow: Any) -> None:
    """No two authenticators, staged ones included, come to bear one name."""
    flow.enroll()
    flow.add("tablet", VOUCHED)
    flow.enroller.begin(USER, account_name="sara", authenticator="laptop", proof=VOUCHED)
    stored = flow.store.load(USER)
    with pytest.raises(errors.UnknownAuthenticatorError):
        flow.enroller.rename(USER, "phone", "mobile")
    for taken in ("tablet", "laptop"):
        with pytest.raises(errors.NameTakenError) as refusal:
            flow.enroller.rename(USER, "default", taken)
        assert refusal.value.names == ("default", "tablet")
    flow.enroller.rename(USER, "default", "default")
    assert flow.store.load(USER) == stored


def test_rename_leaves_the_other_authenticators_alone(flow: Any) -> None:
    """Of several authenticators the renamed one has the new name, and each its own secret."""
    phone, _ = flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    before = [one.id for one in flow.enroller.status(USER).authenticators]
    flow.enroller.rename(USER, "tablet", "slate")
    after = flow.enroller.status(USER).authenticators
    assert [(one.name, one.id) for one in after] == [("default", before[0]), ("slate", before[1])]
    assert flow.enroller.verify(USER, phone.code()).authenticator == "default"
    assert flow.enroller.verify(USER, tablet.code()).authenticator == "slate"
