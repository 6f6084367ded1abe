"""Confirming a setup: the code, the backup, the swap, the recovery codes, and what it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, Make, confirmed_of, fail, wrong_for
from otp_enroll import STRICT, Policy, errors
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.testing import FakeAuthenticator

# --- which setup, and which code ---


@pytest.mark.requirement("R-44")
@pytest.mark.regression_of("B-10")
def test_wrong_code_keeps_the_key(flow: Any) -> None:
    """After a wrong code the same key is shown, and a right code still confirms."""
    setup = flow.enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    with pytest.raises(errors.WrongCodeError) as refusal:
        flow.enroller.confirm(USER, wrong_for(phone), setup_id=setup.id)
    assert (refusal.value.method, refusal.value.attempts_left) == ("code", 9)
    assert flow.enroller.resume(USER, setup_id=setup.id).key == setup.key
    flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)


@pytest.mark.requirement("R-53")
@pytest.mark.regression_of("B-13")
def test_setup_id_of_another_user_or_used_twice_confirms_nothing(flow: Any) -> None:
    """A setup id names one setup of one user, once."""
    mine = flow.enroller.begin("sara", account_name="sara")
    theirs = flow.enroller.begin("dara", account_name="dara")
    with pytest.raises(errors.SetupSupersededError):
        flow.enroller.confirm("sara", flow.phone(mine).code(), setup_id=theirs.id)
    flow.enroller.confirm("sara", flow.phone(mine).code(), setup_id=mine.id)
    flow.clock.advance(30)
    with pytest.raises(errors.NotPendingError):
        flow.enroller.confirm("sara", flow.phone(mine).code(), setup_id=mine.id)


@pytest.mark.requirement("R-53")
@pytest.mark.parametrize("text", ["", "x", "x" * 43, "x" * 100_000, "\ud800", "\0", "۱۲۳"])
def test_wrong_setup_id_costs_and_voids_nothing(text: str, flow: Any) -> None:
    """Any text that is not the live setup's id is superseded, even an eleventh time."""
    setup = flow.enroller.begin(USER, account_name="sara")
    stored = flow.store.load(USER)
    for _ in range(11):
        with pytest.raises(errors.SetupSupersededError):
            flow.enroller.confirm(USER, "000000", setup_id=text)
    assert flow.store.load(USER) == stored
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


@pytest.mark.requirement("R-53")
@pytest.mark.regression_of("B-07", "B-29")
def test_setup_id_of_an_erased_account_is_void(flow: Any) -> None:
    """After the row was deleted and begun anew, the old id confirms nothing."""
    old = flow.enroller.begin(USER, account_name="sara")
    flow.enroller.erase(USER, proof=VOUCHED)
    flow.enroller.begin(USER, account_name="sara")
    with pytest.raises(errors.SetupSupersededError):
        flow.enroller.confirm(USER, flow.phone(old).code(), setup_id=old.id)


@pytest.mark.requirement("R-38")
def test_code_of_a_length_that_no_authenticator_has_is_malformed(make_flow: Make) -> None:
    """Eight digits where six are shown, and the reverse, cost nothing and say what is expected."""
    flow = make_flow(policy=Policy(digits=8))
    setup = flow.enroller.begin(USER, account_name="sara")
    with pytest.raises(errors.MalformedCodeError) as refusal:
        flow.enroller.confirm(USER, "1234567", setup_id=setup.id)
    assert (refusal.value.expected, refusal.value.digits) == ("code", 8)
    phone = flow.phone(setup)
    flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    stored = flow.store.load(USER)
    for _ in range(12):
        with pytest.raises(errors.MalformedCodeError):
            flow.enroller.verify(USER, "123456")
    assert flow.store.load(USER) == stored


def test_length_of_a_code_is_judged_before_the_secret_is_opened(make_flow: Make) -> None:
    """Eight digits where every app shows six are malformed, whatever became of the key ring."""
    flow = make_flow(cipher=AESGCMKeyRing({"old": b"o" * 32}))
    setup = flow.enroller.begin(USER, account_name="sara")
    keyless = flow.another(cipher=AESGCMKeyRing({"new": b"n" * 32}))
    with pytest.raises(errors.MalformedCodeError):
        keyless.confirm(USER, "12345678", setup_id=setup.id)
    with pytest.raises(errors.UnreadableSecretError):
        keyless.confirm(USER, "123456", setup_id=setup.id)


@pytest.mark.requirement("R-48")
@pytest.mark.parametrize("offset", [-10, -4, -2, 2, 3, 10])
def test_confirm_tells_how_far_the_clock_is_off(offset: int, flow: Any) -> None:
    """A code up to ten periods away is wrong, and the error says by how many seconds."""
    setup = flow.enroller.begin(USER, account_name="sara")
    with pytest.raises(errors.ClockSkewError) as refusal:
        flow.enroller.confirm(USER, flow.phone(setup).code(offset), setup_id=setup.id)
    assert refusal.value.skew_seconds == 30 * offset
    assert refusal.value.attempts_left == 9
    assert flow.enroller.status(USER).state == "pending"


@pytest.mark.requirement("R-50")
@pytest.mark.parametrize(
    ("policy", "shown"),
    [
        (Policy(algorithm="SHA256"), "algorithm=SHA1&digits=6&period=30"),
        (Policy(algorithm="SHA512"), "algorithm=SHA1&digits=6&period=30"),
        (Policy(digits=8), "algorithm=SHA1&digits=6&period=30"),
        (Policy(algorithm="SHA256", digits=8), "algorithm=SHA1&digits=6&period=30"),
        (Policy(algorithm="SHA256", digits=8), "algorithm=SHA1&digits=8&period=30"),
        (Policy(period=60), "algorithm=SHA1&digits=6&period=30"),
    ],
)
def test_confirm_tells_that_the_app_ignores_parameters(
    policy: Policy, shown: str, make_flow: Make
) -> None:
    """The code of an app that ignores parameters is wrong, and the error says why."""
    flow = make_flow(policy=policy)
    flow.clock.advance(60 * 7_777)
    setup = flow.enroller.begin(USER, account_name="sara")
    careless = FakeAuthenticator(setup.uri.partition("&algorithm=")[0] + "&" + shown, flow.clock)
    with pytest.raises(errors.AppIgnoresParametersError) as refusal:
        flow.enroller.confirm(USER, careless.code(), setup_id=setup.id)
    assert refusal.value.attempts_left == 9
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


@pytest.mark.requirement("R-51")
@pytest.mark.regression_of("B-21")
def test_setup_bears_ten_wrong_codes(flow: Any) -> None:
    """Nine wrong codes count down, the tenth drops the setup, and the right code is too late."""
    setup = flow.enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    left = []
    for _ in range(9):
        with pytest.raises(errors.WrongCodeError) as refusal:
            flow.enroller.confirm(USER, wrong_for(phone), setup_id=setup.id)
        left.append(refusal.value.attempts_left)
    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    with pytest.raises(errors.SetupExhaustedError):
        flow.enroller.confirm(USER, wrong_for(phone), setup_id=setup.id)
    with pytest.raises(errors.NotPendingError):
        flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert "sealed" not in flow.store.load(USER).document


@pytest.mark.requirement("R-51")
def test_exhausted_setup_leaves_the_working_authenticator(flow: Any) -> None:
    """Ten wrong codes at a replacement cost the old authenticator and its budget nothing."""
    phone, _ = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    for expected in [errors.WrongCodeError] * 9 + [errors.SetupExhaustedError]:
        with pytest.raises(expected):
            flow.enroller.confirm(USER, wrong_for(flow.phone(setup)), setup_id=setup.id)
    flow.enroller.verify(USER, phone.code())
    assert flow.enroller.status(USER).retry_at is None


@pytest.mark.requirement("R-47", "R-63")
@pytest.mark.regression_of("B-01", "B-05")
def test_code_that_confirmed_does_not_log_in(flow: Any) -> None:
    """The code of the confirm is spent for the login right after it."""
    setup = flow.enroller.begin(USER, account_name="sara")
    code = flow.phone(setup).code()
    flow.enroller.confirm(USER, code, setup_id=setup.id)
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, code)


@pytest.mark.requirement("R-47")
def test_enrolling_again_within_one_period_works(flow: Any) -> None:
    """After disabling, a new secret is confirmed and used without waiting for the clock."""
    phone, _ = flow.enroll()
    flow.enroller.disable(USER, proof=phone.code())
    setup = flow.enroller.begin(USER, account_name="sara")
    again = flow.phone(setup)
    flow.enroller.confirm(USER, again.code(), setup_id=setup.id)
    flow.enroller.verify(USER, again.code(1))


def test_policy_of_eight_digits_makes_such_codes(make_flow: Make) -> None:
    """A policy's parameters reach the URI, the app and the judgement."""
    flow = make_flow(policy=Policy(algorithm="SHA256", digits=8, period=60))
    phone, _ = flow.enroll()
    assert len(phone.code()) == 8
    flow.enroller.verify(USER, phone.code())


# --- the backup ---


@pytest.mark.requirement("R-54")
def test_policy_can_ask_for_an_acknowledged_backup(make_flow: Make) -> None:
    """Under STRICT confirm waits for the acknowledgement and judges nothing before it."""
    flow = make_flow(policy=STRICT)
    setup = flow.enroller.begin(USER, account_name="sara")
    code = flow.phone(setup).code()
    with pytest.raises(errors.BackupRequiredError) as refusal:
        flow.enroller.confirm(USER, code, setup_id=setup.id)
    assert refusal.value.needed == "acknowledged"
    flow.enroller.confirm(USER, code, setup_id=setup.id, backup_acknowledged=True)
    confirmed = next(e for e in flow.told if type(e).__name__ == "AuthenticatorConfirmed")
    assert confirmed.backup == "acknowledged"


@pytest.mark.requirement("R-54", "R-12")
def test_policy_can_ask_for_a_checked_copy(make_flow: Make) -> None:
    """Under "checked" no acknowledgement and no wrong copy suffices, and a right copy does."""
    flow = make_flow(policy=Policy(backup="checked"))
    setup = flow.enroller.begin(USER, account_name="sara")
    code = flow.phone(setup).code()
    wrong = ("B" if setup.key[8] == "A" else "A").join((setup.key[:8], setup.key[9:]))
    outcome = flow.enroller.check_key_copy(USER, wrong, setup_id=setup.id)
    assert (outcome.matches, outcome.differing_groups) == (False, (3,))
    with pytest.raises(errors.BackupRequiredError):
        flow.enroller.confirm(USER, code, setup_id=setup.id, backup_acknowledged=True)
    copy = " ".join(setup.key_groups).lower()
    assert flow.enroller.check_key_copy(USER, copy, setup_id=setup.id).matches
    flow.enroller.confirm(USER, code, setup_id=setup.id)
    confirmed = next(e for e in flow.told if type(e).__name__ == "AuthenticatorConfirmed")
    assert confirmed.backup == "checked"


def test_a_checked_copy_is_more_than_an_acknowledgement(make_flow: Make) -> None:
    """Where an acknowledgement is asked for, a copy that was checked satisfies it."""
    flow = make_flow(policy=STRICT)
    setup = flow.enroller.begin(USER, account_name="sara")
    flow.enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)


# --- the swap ---


@pytest.mark.requirement("R-45", "R-75")
@pytest.mark.regression_of("B-08", "B-09")
def test_old_secret_works_until_the_new_one_is_confirmed_and_not_after(flow: Any) -> None:
    """A replacement leaves the old codes good until its confirm, and required never wavers."""
    old, _ = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    new = flow.phone(setup)
    assert setup.replaces
    assert flow.enroller.status(USER).required
    flow.enroller.verify(USER, old.code())
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, new.code())
    confirmation = flow.enroller.confirm(USER, new.code(), setup_id=setup.id)
    assert (confirmation.replaced, confirmation.recovery_codes) == (True, None)
    assert flow.enroller.status(USER).required
    flow.clock.advance(30)
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, old.code())
    flow.enroller.verify(USER, new.code())


@pytest.mark.requirement("R-55")
def test_replacing_one_authenticator_leaves_the_others_alone(flow: Any) -> None:
    """Of several authenticators the one of that name has a new secret, and each its old place."""
    flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    before = flow.enroller.status(USER).authenticators
    phone = flow.add("default", VOUCHED)
    after = flow.enroller.status(USER).authenticators
    assert [one.name for one in after] == ["default", "tablet"]
    assert [one.id == old.id for one, old in zip(after, before, strict=True)] == [False, True]
    assert flow.enroller.verify(USER, phone.code()).authenticator == "default"
    assert flow.enroller.verify(USER, tablet.code()).authenticator == "tablet"


# --- the budget ---


@pytest.mark.requirement("R-70")
def test_new_authenticator_clears_the_consecutive_count_alone(flow: Any) -> None:
    """A confirm ends the wait of an account that is not locked, and keeps the count of 30 days."""
    phone, _ = flow.enroll()
    fail(flow, phone, times=5)
    assert flow.enroller.status(USER).retry_at is not None
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    assert flow.enroller.status(USER).retry_at is None
    budget = confirmed_of(flow).budgets.code
    assert (budget.waits.failures, budget.failures_in_30_days) == (0, 5)


@pytest.mark.requirement("R-68")
def test_confirm_ends_the_lock_and_leaves_one_authenticator(flow: Any) -> None:
    """On a locked account the confirmed setup stays alone, and both counts start at zero."""
    phone, confirmation = flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    fail(flow, phone, tablet, times=50)
    verification = flow.enroller.verify(USER, confirmation.recovery_codes[0])
    assert verification.locked
    setup = flow.enroller.begin(
        USER, account_name="sara", authenticator="default", proof=verification
    )
    with pytest.raises(errors.LockedError):
        flow.enroller.verify(USER, tablet.code())
    new = flow.phone(setup)
    flow.told.clear()
    ended = flow.enroller.confirm(USER, new.code(), setup_id=setup.id)
    assert (ended.replaced, ended.removed) == (True, ("tablet",))
    assert "AuthenticatorRemoved" in flow.names_of_events()
    assert [one.name for one in flow.enroller.status(USER).authenticators] == ["default"]
    assert not flow.enroller.status(USER).locked
    assert "budgets" not in json.loads(flow.store.load(USER).document)
    flow.clock.advance(30)
    flow.enroller.verify(USER, new.code())


def test_confirm_works_during_a_wait_and_ends_it(flow: Any) -> None:
    """A wait of the account does not stop the confirm of its replacement, which ends the wait."""
    phone, _ = flow.enroll()
    fail(flow, phone, times=7)
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    new = flow.phone(setup)
    flow.enroller.confirm(USER, new.code(), setup_id=setup.id)
    flow.enroller.verify(USER, new.code(1))


# --- recovery codes ---


@pytest.mark.requirement("R-84")
@pytest.mark.regression_of("B-18")
def test_recovery_codes_exist_only_after_confirm(flow: Any) -> None:
    """Before confirm the account has no recovery codes, and after disable none is left."""
    setup = flow.enroller.begin(USER, account_name="sara")
    assert flow.enroller.status(USER).recovery_codes_left is None
    assert "recovery" not in flow.store.load(USER).document
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    assert flow.enroller.status(USER).recovery_codes_left == 10
    flow.enroller.disable(USER, proof=VOUCHED)
    assert "recovery" not in flow.store.load(USER).document


@pytest.mark.requirement("R-84")
def test_paper_of_new_codes_says_whose_they_are(make_flow: Make) -> None:
    """Issuer and account as at begin, date, number and policy; a renewal knows no account name."""
    flow = make_flow(policy=Policy(recovery_codes=7))
    setup = flow.enroller.begin(USER, account_name="sara")
    flow.clock.advance(60)
    renamed = flow.another(issuer="Another name")
    done = renamed.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    sheet = done.recovery_codes.sheet().text()
    number = flow.enroller.status(USER).recovery_sheet_number
    for line in ("Exir", f"Sheet number: {number}", "Made on: 15 January 2027", "Account: sara"):
        assert line in sheet.splitlines()
    assert "You get 7 recovery codes." in sheet
    flow.clock.advance(86_400)
    renewed = renamed.regenerate_recovery_codes(USER, proof=VOUCHED).sheet().text()
    number = flow.enroller.status(USER).recovery_sheet_number
    for line in ("Another name", f"Sheet number: {number}", "Made on: 16 January 2027"):
        assert line in renewed.splitlines()
    assert "Account:" not in renewed


def test_confirm_makes_a_new_set_when_none_is_left(flow: Any) -> None:
    """A rotation keeps the old paper while one code is left, and prints a new one after that."""
    _, confirmation = flow.enroll()
    *most, last = confirmation.recovery_codes
    for code in most:
        flow.enroller.verify(USER, code)
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    kept = flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    assert kept.recovery_codes is None
    setup = flow.enroller.begin(USER, account_name="sara", proof=last)
    issued = flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    assert len(issued.recovery_codes) == 10
