"""Judging codes: one code one success, budgets, locks, recovery codes and proofs."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from otp_enroll import AttemptBudget, Override, Policy, Status, Verification, errors
from otp_enroll.core.budget import Waits
from otp_enroll.core.secret import Secret
from otp_enroll.core.states import Confirmed
from otp_enroll.storage import codec
from otp_enroll.testing import FakeAuthenticator

USER = "user-42"
VOUCHED = Override(actor="help desk", reason="re-authenticated")
Make = Callable[..., Any]
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


def wrong_for(*phones: FakeAuthenticator) -> str:
    """Return six digits that none of the phones shows these minutes."""
    near = {phone.code(offset) for phone in phones for offset in range(-12, 13)}
    return next(code for code in (f"{n:06d}" for n in range(100)) if code not in near)


def fail(flow: Any, *phones: FakeAuthenticator, times: int = 1) -> errors.WrongCodeError:
    """Have codes counted that are wrong, waiting before each as long as the library says."""
    error = errors.WrongCodeError()
    for _ in range(times):
        retry_at = flow.enroller.status(USER).retry_at
        if retry_at is not None:
            flow.clock.now = retry_at.timestamp()
        with pytest.raises(errors.WrongCodeError) as refusal:
            # A fresh one: over hours the same six digits may come to be right.
            flow.enroller.verify(USER, wrong_for(*phones))
        error = refusal.value
    return error


def seconds_until(error: errors.EnrollmentError, flow: Any) -> float:
    """Return how long a refusal says that one has to wait."""
    assert error.retry_at is not None
    return error.retry_at.timestamp() - float(flow.clock.now)


def confirmed_of(flow: Any) -> Confirmed:
    """Return the stored state of a confirmed account."""
    enrollment, _ = codec.decode(flow.store.load(USER))
    assert isinstance(enrollment, Confirmed)
    return enrollment


# --- one code, one success ---


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


@pytest.mark.requirement("R-63", "R-67")
@pytest.mark.regression_of("B-02")
def test_spent_code_is_never_accepted_again(flow: Any) -> None:
    """A code that was accepted is refused at +1, +31 and +61 seconds, at every entrance."""
    phone, _ = flow.enroll()
    code = phone.code(1)
    flow.enroller.verify(USER, code)
    entrances: list[Callable[[], object]] = [
        lambda: flow.enroller.verify(USER, code, purpose="withdraw"),
        lambda: flow.enroller.begin(USER, account_name="sara", proof=code),
        lambda: flow.enroller.disable(USER, proof=code),
        lambda: flow.enroller.regenerate_recovery_codes(USER, proof=code),
    ]
    for seconds in (1, 30):
        flow.clock.advance(seconds)
        for entrance in entrances:
            with pytest.raises(errors.CodeReusedError):
                entrance()
    flow.clock.advance(60)
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify(USER, code)


@pytest.mark.requirement("R-37")
@pytest.mark.regression_of("B-03", "B-30")
@pytest.mark.parametrize(
    "spell",
    [
        str,
        lambda code: f"{code[:3]} {code[3:]}",
        lambda code: code.translate(PERSIAN),
        lambda code: f"\u200f{code.translate(PERSIAN)[:3]} {code.translate(PERSIAN)[3:]}\u200f",
        lambda code: code.translate(FULL_WIDTH),
        "-".join,
    ],
    ids=["plain", "spaced", "Persian", "Persian with marks", "full width", "hyphens"],
)
def test_every_spelling_of_a_code_is_the_same_code(spell: Callable[[str], str], flow: Any) -> None:
    """A code is accepted in each spelling, and then refused in all of them."""
    setup = flow.enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    flow.enroller.confirm(USER, spell(phone.code()), setup_id=setup.id)
    flow.clock.advance(30)
    flow.enroller.verify(USER, spell(phone.code()))
    for other in (phone.code(), spell(phone.code()), phone.code().translate(PERSIAN)):
        with pytest.raises(errors.CodeReusedError):
            flow.enroller.verify(USER, other)


@pytest.mark.requirement("R-63")
@pytest.mark.regression_of("B-04", "B-28")
def test_counter_never_goes_back(flow: Any) -> None:
    """After the code of the next period, those of this and the last one are refused."""
    phone, _ = flow.enroll()
    flow.enroller.verify(USER, phone.code(1))
    for offset in (0, -1, 1):
        with pytest.raises(errors.CodeReusedError):
            flow.enroller.verify(USER, phone.code(offset))
    flow.clock.advance(60)
    flow.enroller.verify(USER, phone.code())


@pytest.mark.requirement("R-56")
@pytest.mark.parametrize(
    ("window", "accepted"),
    [((1, 1), {-1, 0, 1}), ((1, 0), {-1, 0}), ((0, 0), {0}), ((2, 2), {-2, -1, 0, 1, 2})],
)
def test_window_is_what_the_policy_says(
    window: tuple[int, int], accepted: set[int], make_flow: Make
) -> None:
    """Exactly the counters of the window are accepted, whatever the phone's last code was."""
    found = set()
    for offset in range(-4, 5):
        flow = make_flow(policy=Policy(window=window))
        phone, _ = flow.enroll()
        flow.clock.advance(600)
        try:
            flow.enroller.verify(USER, phone.code(offset))
            found.add(offset)
        except errors.WrongCodeError:
            pass
    assert found == accepted


def stored_as(flow: Any, enrollment: Confirmed) -> None:
    """Put another state of the account in the place of the stored one."""
    record = flow.store.load(USER)
    rewritten = codec.encode(
        enrollment,
        codec.decode(record)[1],
        user_id=USER,
        revision="f" * 32,
        replaces=record.revision,
        changed_at=record.changed_at,
    )
    assert flow.store.save(rewritten, expected=record.revision)


def with_secret(flow: Any, secret: Secret, *names: str) -> None:
    """Give the stored authenticators one known secret, as an import would."""
    enrollment = confirmed_of(flow)
    template = enrollment.authenticators[0]
    twins = tuple(
        replace(
            template,
            id=f"{number:032x}",
            name=name,
            sealed=flow.enroller._settings.seal(secret, USER, f"{number:032x}"),
            last_counter=-1,
        )
        for number, name in enumerate(names)
    )
    stored_as(flow, replace(enrollment, authenticators=twins))


RFC_SECRET = b"12345678901234567890"


@pytest.mark.requirement("R-58")
@pytest.mark.parametrize("first", [0, 1])
def test_code_of_two_adjacent_counters_is_spent_for_both(first: int, flow: Any) -> None:
    """911617 is the code of counters 910737 and 910738: once used at either, it is gone."""
    flow.enroll()
    with_secret(flow, Secret(RFC_SECRET), "default")
    flow.clock.now = 30 * (910737 + first)
    flow.enroller.verify(USER, "911617")
    assert confirmed_of(flow).authenticators[0].last_counter == 910738
    for later in range(3):
        flow.clock.now = 30 * (910737 + first + later)
        with pytest.raises((errors.CodeReusedError, errors.WrongCodeError)):
            flow.enroller.verify(USER, "911617")


@pytest.mark.requirement("R-58")
def test_code_with_a_spent_and_a_fresh_counter_is_reused(flow: Any) -> None:
    """When counter 910737 is spent, the same digits at 910738 are refused as reused."""
    flow.enroll()
    with_secret(flow, Secret(RFC_SECRET), "default")
    flow.clock.now = 30 * 910736
    flow.enroller.verify(USER, FakeAuthenticator(
        "otpauth://totp/a:b?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", flow.clock
    ).code(1))  # fmt: skip
    flow.clock.now = 30 * 910738
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, "911617")


@pytest.mark.requirement("R-58")
def test_one_secret_under_two_names_is_spent_once(flow: Any) -> None:
    """Two authenticators with one secret accept a code once between them."""
    flow.enroll()
    with_secret(flow, Secret(RFC_SECRET), "phone", "tablet")
    flow.clock.now = 30 * 37037036
    flow.enroller.verify(USER, "081804")
    assert {one.last_counter for one in confirmed_of(flow).authenticators} == {37037036}
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, "081804")


def test_authenticators_keep_the_parameters_that_they_were_set_up_with(flow: Any) -> None:
    """After a change of policy old and new authenticators each verify by codes of their length."""
    six, _ = flow.enroll()
    flow.policy = Policy(digits=8, period=60)
    flow.enroller = flow.another(policy=flow.policy)
    eight = flow.add("tablet", VOUCHED)
    assert (len(six.code()), len(eight.code())) == (6, 8)
    assert flow.enroller.verify(USER, six.code()).authenticator == "default"
    assert flow.enroller.verify(USER, eight.code()).authenticator == "tablet"
    with pytest.raises(errors.MalformedCodeError) as refusal:
        flow.enroller.verify(USER, "1234567")
    assert refusal.value.expected_digits == 6


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


@pytest.mark.requirement("R-62")
def test_clock_behind_an_accepted_code_judges_nothing(flow: Any) -> None:
    """With the clock turned back neither a right nor a wrong code is answered, and none counted."""
    phone, _ = flow.enroll()
    flow.enroller.verify(USER, phone.code())
    flow.clock.advance(-3600)
    stored = flow.store.load(USER)
    for code in (phone.code(), wrong_for(phone)):
        with pytest.raises(errors.ServerClockError):
            flow.enroller.verify(USER, code)
    assert flow.store.load(USER) == stored


@pytest.mark.requirement("R-62")
def test_clock_is_behind_when_the_window_ends_before_the_last_counter(flow: Any) -> None:
    """One period back the last counter is out of the window; a second back it is reused."""
    phone, _ = flow.enroll()
    flow.clock.advance(5)
    code = phone.code(1)
    flow.enroller.verify(USER, code)
    flow.clock.advance(-1)
    with pytest.raises(errors.CodeReusedError):
        flow.enroller.verify(USER, code)
    flow.clock.advance(-30)
    with pytest.raises(errors.ServerClockError):
        flow.enroller.verify(USER, code)


@pytest.mark.requirement("R-62")
def test_clock_behind_one_of_two_authenticators_compares_nothing(flow: Any) -> None:
    """The last code of the one stops the judging of both: neither is told apart."""
    flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    flow.enroller.verify(USER, tablet.code(1))
    flow.clock.advance(-60)
    with pytest.raises(errors.ServerClockError):
        flow.enroller.verify(USER, "000000")


@pytest.mark.requirement("R-62")
@pytest.mark.parametrize("reading", [float("nan"), float("inf"), -1.0, 1e18])
def test_clock_that_tells_no_time_judges_nothing(reading: float, flow: Any) -> None:
    """A reading that is no time of this era is an error before anything is loaded."""
    phone, _ = flow.enroll()
    code = phone.code()
    flow.clock.now = reading
    loads = flow.store.loads
    with pytest.raises(errors.ServerClockError):
        flow.enroller.verify(USER, code)
    assert flow.store.loads == loads


# --- the budget of codes ---


@pytest.mark.requirement("R-69")
@pytest.mark.regression_of("B-21", "B-22")
def test_waits_grow_as_the_schedule_says(flow: Any) -> None:
    """Five wrong codes are free, then each one waits 30 s, doubling to an hour."""
    phone, _ = flow.enroll()
    waits = []
    left = []
    for _ in range(15):
        error = fail(flow, phone)
        assert error.method == "code"
        left.append(error.attempts_left)
        waits.append(error.retry_at and error.retry_at.timestamp() - flow.clock.now)
    assert left[:6] == [4, 3, 2, 1, 0, 0]
    assert waits == [None] * 4 + [30, 60, 120, 240, 480, 960, 1920] + [3600] * 4


@pytest.mark.requirement("R-69", "R-65")
@pytest.mark.regression_of("B-06", "B-23", "B-24")
def test_nothing_is_compared_or_counted_during_a_wait(flow: Any) -> None:
    """During a wait even the right code is not judged, and a new enroller knows of the wait."""
    phone, _ = flow.enroll()
    error = fail(flow, phone, times=5)
    stored = flow.store.load(USER)
    for enroller in (flow.enroller, flow.another()):
        for code in (phone.code(), wrong_for(phone)):
            with pytest.raises(errors.TooManyAttemptsError) as refusal:
                enroller.verify(USER, code)
            assert refusal.value.retry_at == error.retry_at
            assert refusal.value.method == "code"
    assert flow.store.load(USER) == stored
    flow.clock.advance(30)
    flow.enroller.verify(USER, phone.code())
    assert flow.enroller.status(USER).retry_at is None


@pytest.mark.requirement("R-66")
@pytest.mark.regression_of("B-23")
def test_budget_and_spent_codes_live_in_the_store(flow: Any) -> None:
    """An enroller made anew refuses what the old one refused."""
    phone, _ = flow.enroll()
    code = phone.code()
    flow.enroller.verify(USER, code)
    with pytest.raises(errors.CodeReusedError):
        flow.another().verify(USER, code)


@pytest.mark.requirement("R-68")
@pytest.mark.regression_of("B-42")
def test_fiftieth_wrong_code_locks_and_no_clock_opens(flow: Any) -> None:
    """The fiftieth is answered as wrong, later ones as locked, and a year later still."""
    phone, _ = flow.enroll()
    flow.told.clear()
    fail(flow, phone, times=49)
    assert not flow.enroller.status(USER).locked
    error = fail(flow, phone)
    assert (error.attempts_left, error.retry_at) == (0, None)
    assert flow.names_of_events()[-1] == "Locked"
    status = flow.enroller.status(USER)
    assert (status.locked, status.retry_at) == (True, None)
    for seconds in (0, 3600, 366 * 86_400):
        flow.clock.advance(seconds)
        with pytest.raises(errors.LockedError) as refusal:
            flow.enroller.verify(USER, phone.code())
        assert refusal.value.recovery_codes_left == 10


@pytest.mark.requirement("R-70", "R-71")
def test_success_clears_the_consecutive_count_alone(flow: Any) -> None:
    """With four failures before each success the account still locks at a hundred in 30 days."""
    phone, _ = flow.enroll()
    for turn in range(25):
        for _ in range(4):
            with pytest.raises(errors.WrongCodeError):
                flow.enroller.verify(USER, wrong_for(phone))
        if turn < 24:
            flow.enroller.verify(USER, phone.code())
            flow.clock.advance(60)
    with pytest.raises(errors.LockedError):
        flow.enroller.verify(USER, phone.code())


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


@pytest.mark.requirement("R-70")
def test_failures_older_than_30_days_do_not_count(flow: Any) -> None:
    """Three wrong codes a day never lock, and an event tells of the eightieth in 30 days."""
    phone, _ = flow.enroll()
    for _ in range(60):
        for _ in range(3):
            with pytest.raises(errors.WrongCodeError):
                flow.enroller.verify(USER, wrong_for(phone))
        flow.enroller.verify(USER, phone.code())
        flow.clock.advance(86_400)
    names = flow.names_of_events()
    assert "Locked" not in names
    assert names.count("ManyFailures") >= 1
    assert not flow.enroller.status(USER).locked


def test_eightieth_failure_is_told_once(flow: Any) -> None:
    """The event of many failures comes with the eightieth in 30 days, and says so."""
    phone, _ = flow.enroll()
    for _ in range(20):
        for _ in range(4):
            with pytest.raises(errors.WrongCodeError):
                flow.enroller.verify(USER, wrong_for(phone))
        flow.enroller.verify(USER, phone.code())
        flow.clock.advance(60)
    told = [event for event in flow.told if type(event).__name__ == "ManyFailures"]
    assert [event.failures for event in told] == [80]


@pytest.mark.requirement("R-38")
@pytest.mark.regression_of("B-27", "B-06")
def test_only_a_wrong_code_costs_budget(flow: Any) -> None:
    """Malformed, reused and superseded requests, a hundred of each, change nothing stored."""
    phone, _ = flow.enroll()
    code = phone.code()
    flow.enroller.verify(USER, code)
    stored = flow.store.load(USER)
    for _ in range(100):
        with pytest.raises(errors.CodeReusedError):
            flow.enroller.verify(USER, code)
        with pytest.raises(errors.MalformedCodeError):
            flow.enroller.verify(USER, "12345")
        with pytest.raises(errors.NotPendingError):
            flow.enroller.confirm(USER, "123456", setup_id="x" * 43)
        with pytest.raises(errors.ProofRequiredError):
            flow.enroller.disable(USER)
    assert flow.store.load(USER) == stored


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
    assert json.loads(flow.store.load(USER).document)["budgets"]["code"]["days"] == {}
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


@pytest.mark.regression_of("B-26")
@pytest.mark.parametrize("method", ["code", "recovery_code"])
def test_clock_that_jumped_back_ends_a_wait_in_its_own_length(method: str, flow: Any) -> None:
    """A failure stored by a clock a day ahead costs one wait, not a day, of its own kind alone."""
    phone, confirmation = flow.enroll()

    def verify(*, right: bool) -> None:
        if method == "code":
            flow.enroller.verify(USER, phone.code() if right else wrong_for(phone))
        else:
            flow.enroller.verify(USER, confirmation.recovery_codes[0] if right else "0" * 24)

    flow.clock.advance(86_400)
    for _ in range(5):
        with pytest.raises(errors.WrongCodeError):
            verify(right=False)
    flow.clock.advance(-86_400)
    with pytest.raises(errors.TooManyAttemptsError) as refusal:
        verify(right=True)
    assert seconds_until(refusal.value, flow) == 30
    flow.clock.advance(15)
    with pytest.raises(errors.TooManyAttemptsError) as refusal:
        verify(right=True)
    assert seconds_until(refusal.value, flow) == 15
    status = flow.enroller.status(USER)
    other = status.recovery_retry_at if method == "code" else status.retry_at
    assert other is None
    flow.clock.advance(15)
    verify(right=True)


def test_budget_of_the_policy_is_used(make_flow: Make) -> None:
    """An app can lock earlier and wait longer, within the bounds of the standards."""
    budget = AttemptBudget(free_attempts=2, first_wait=60, longest_wait=60, lock_after=10)
    flow = make_flow(policy=Policy(budget=budget))
    phone, _ = flow.enroll()
    fail(flow, phone)
    error = fail(flow, phone)
    assert error.retry_at is not None
    assert error.retry_at.timestamp() == flow.clock.now + 60
    fail(flow, phone, times=8)
    assert flow.enroller.status(USER).locked


# --- recovery codes ---


@pytest.mark.requirement("R-82", "R-83")
@pytest.mark.regression_of("B-18")
def test_recovery_code_signs_in_once_and_leaves_otp_on(flow: Any) -> None:
    """A recovery code verifies once in any spelling, is told of, and switches nothing off."""
    _, confirmation = flow.enroll()
    code = confirmation.recovery_codes[0]
    flow.told.clear()
    verification = flow.enroller.verify(USER, code.lower().replace("-", " "))
    assert (verification.method, verification.authenticator) == ("recovery_code", None)
    assert verification.recovery_codes_left == 9
    assert flow.names_of_events() == ["RecoveryCodeUsed"]
    for spelling in (code, code.lower(), code.replace("-", "")):
        with pytest.raises(errors.CodeReusedError):
            flow.enroller.verify(USER, spelling)
    assert flow.enroller.status(USER).state == "confirmed"


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


@pytest.mark.requirement("R-84")
def test_low_recovery_codes_are_told(flow: Any) -> None:
    """At two codes left, and at one and none, an event asks for a new set."""
    _, confirmation = flow.enroll()
    flow.told.clear()
    for code in confirmation.recovery_codes:
        flow.enroller.verify(USER, code)
    low = [event.left for event in flow.told if type(event).__name__ == "RecoveryCodesLow"]
    assert low == [2, 1, 0]


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


@pytest.mark.requirement("R-72")
@pytest.mark.regression_of("B-21", "B-26")
def test_recovery_codes_wait_and_never_lock(flow: Any) -> None:
    """Two hundred wrong recovery codes earn waits of an hour at most; then a right one opens."""
    phone, confirmation = flow.enroll()
    for number in range(200):
        retry_at = flow.enroller.status(USER).recovery_retry_at
        if retry_at is not None:
            assert (retry_at.timestamp() - flow.clock.now) <= 3600
            flow.clock.now = retry_at.timestamp()
        with pytest.raises(errors.WrongCodeError) as refusal:
            flow.enroller.verify(USER, f"{number:024d}")
        assert refusal.value.method == "recovery_code"
    assert not flow.enroller.status(USER).locked
    flow.enroller.verify(USER, phone.code())
    with pytest.raises(errors.TooManyAttemptsError) as waiting:
        flow.enroller.verify(USER, confirmation.recovery_codes[0])
    assert waiting.value.method == "recovery_code"
    flow.clock.advance(3600)
    flow.enroller.verify(USER, confirmation.recovery_codes[0])


@pytest.mark.requirement("R-72")
def test_wait_and_lock_of_codes_leave_recovery_codes_usable(flow: Any) -> None:
    """While codes wait, and while they are locked, a recovery code signs in."""
    phone, confirmation = flow.enroll()
    fail(flow, phone, times=6)
    flow.enroller.verify(USER, confirmation.recovery_codes[0])
    assert flow.enroller.status(USER).retry_at is not None
    fail(flow, phone, times=44)
    assert flow.enroller.verify(USER, confirmation.recovery_codes[1]).locked


@pytest.mark.requirement("R-72")
def test_wrong_recovery_code_tells_the_tries_left_and_the_wait(flow: Any) -> None:
    """Four, three, two, one and no tries are left; with the last comes the end of the wait."""
    flow.enroll()
    seen = []
    for _ in range(5):
        with pytest.raises(errors.WrongCodeError) as refusal:
            flow.enroller.verify(USER, "0" * 24)
        seen.append((refusal.value.attempts_left, refusal.value.retry_at))
    wait = datetime.fromtimestamp(flow.clock.now + 30, timezone.utc)
    assert seen == [(4, None), (3, None), (2, None), (1, None), (0, wait)]
    assert flow.enroller.status(USER).recovery_retry_at == wait
    flow.clock.advance(30)
    with pytest.raises(errors.WrongCodeError) as refusal:
        flow.enroller.verify(USER, "0" * 24)
    assert refusal.value.attempts_left == 0


@pytest.mark.requirement("R-72", "R-82")
def test_right_recovery_code_ends_the_waits_of_its_kind_alone(flow: Any) -> None:
    """After a recovery code the next wrong one has all its tries; codes wait as before."""
    phone, confirmation = flow.enroll()
    fail(flow, phone, times=5)
    waiting = flow.enroller.status(USER).retry_at
    for _ in range(4):
        with pytest.raises(errors.WrongCodeError):
            flow.enroller.verify(USER, "0" * 24)
    flow.enroller.verify(USER, confirmation.recovery_codes[0])
    assert flow.enroller.status(USER).retry_at == waiting
    with pytest.raises(errors.WrongCodeError) as refusal:
        flow.enroller.verify(USER, "0" * 24)
    assert refusal.value.attempts_left == 4


def test_status_tells_all_that_may_be_told(flow: Any) -> None:
    """Each authenticator with its times, the codes left, the waits, the setup and the change."""
    now = flow.clock.now
    phone, confirmation = flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    flow.enroller.verify(USER, tablet.code())
    flow.enroller.verify(USER, confirmation.recovery_codes[0])
    fail(flow, phone, tablet, times=5)
    for _ in range(5):
        with pytest.raises(errors.WrongCodeError):
            flow.enroller.verify(USER, "0" * 24)
    flow.enroller.begin(USER, account_name="sara", authenticator="laptop", proof=VOUCHED)
    flow.clock.advance(10)

    def at(seconds: float) -> datetime:
        return datetime.fromtimestamp(now + seconds, timezone.utc)

    status = flow.enroller.status(USER)
    stored = confirmed_of(flow)
    assert (status.user_id, status.state, status.required) == (USER, "confirmed", True)
    assert [
        (one.name, one.id, one.type, one.confirmed_at, one.last_used_at)
        for one in status.authenticators
    ] == [
        ("default", stored.authenticators[0].id, "totp", at(0), None),
        ("tablet", stored.authenticators[1].id, "totp", at(60), at(120)),
    ]
    assert (status.recovery_codes_left, status.locked) == (9, False)
    assert (status.retry_at, status.recovery_retry_at) == (at(150), at(150))
    assert status.setup_expires_at == at(120 + 900)
    assert status.changed_at == at(120)


def test_status_before_anything_is_confirmed(flow: Any) -> None:
    """Nothing is asked of a login, and a setup under way tells its end and no more."""
    assert flow.enroller.status(USER) == Status(user_id=USER, state="disabled", required=False)
    setup = flow.enroller.begin(USER, account_name="sara")
    assert flow.enroller.status(USER) == Status(
        user_id=USER, state="pending", required=False, setup_expires_at=setup.expires_at
    )


def test_what_a_newer_version_stored_outlives_every_verdict(flow: Any) -> None:
    """Right and wrong codes of both kinds leave alone what they do not know, each in its place."""
    phone, confirmation = flow.enroll()
    account = confirmed_of(flow)
    code = replace(account.budgets.code, waits=Waits(extra={"of": "codes"}), extra={"of": "lock"})
    budgets = replace(account.budgets, code=code, recovery=Waits(extra={"of": "paper"}))
    stored_as(flow, replace(account, budgets=replace(budgets, extra={"of": "both"})))
    for typed in (phone.code(), confirmation.recovery_codes[0], wrong_for(phone), "0" * 24):
        with suppress(errors.WrongCodeError):
            flow.enroller.verify(USER, typed)
        kept = confirmed_of(flow).budgets
        assert (kept.code.waits.extra, kept.recovery.extra) == ({"of": "codes"}, {"of": "paper"})
        assert (kept.code.extra, kept.extra) == ({"of": "lock"}, {"of": "both"})


def test_renewal_ends_the_wait_of_recovery_codes(flow: Any) -> None:
    """New codes are good at once, whatever was typed before."""
    phone, _ = flow.enroll()
    for number in range(5):
        with pytest.raises(errors.WrongCodeError):
            flow.enroller.verify(USER, f"{number:024d}")
    renewed = flow.enroller.regenerate_recovery_codes(USER, proof=phone.code())
    flow.enroller.verify(USER, renewed[0])


def test_accept_lets_a_page_refuse_recovery_codes(flow: Any) -> None:
    """A page that accepts codes alone calls a recovery code malformed, and the reverse."""
    phone, confirmation = flow.enroll()
    stored = flow.store.load(USER)
    with pytest.raises(errors.MalformedCodeError):
        flow.enroller.verify(USER, confirmation.recovery_codes[0], accept=("code",))
    with pytest.raises(errors.MalformedCodeError):
        flow.enroller.verify(USER, phone.code(), accept=["recovery_code"])
    assert flow.store.load(USER) == stored


# --- proofs ---


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


@pytest.mark.requirement("R-74", "R-79")
def test_disable_leaves_nothing_but_the_time_of_the_change(flow: Any) -> None:
    """After disable the row has no secret, no codes and no budgets, and changed_at is now."""
    phone, _ = flow.enroll()
    fail(flow, phone)
    code = phone.code()
    flow.enroller.disable(USER, proof=code)
    record = flow.store.load(USER)
    assert set(json.loads(record.document)) == {"schema", "min_reader", "trail"}
    assert (record.state, record.changed_at) == ("disabled", int(flow.clock.now))
    assert flow.enroller.status(USER).changed_at.timestamp() == flow.clock.now
    with pytest.raises(errors.NotEnrolledError):
        flow.enroller.verify(USER, code)


@pytest.mark.requirement("R-79")
def test_changed_at_moves_with_changes_alone(flow: Any) -> None:
    """Confirm, removal, renewal and a recovery code move changed_at; begin and login do not."""
    assert flow.enroller.status(USER).changed_at is None
    setup = flow.enroller.begin(USER, account_name="sara")
    assert flow.enroller.status(USER).changed_at is None
    phone = flow.phone(setup)

    def moves(act: Callable[[], object]) -> bool:
        flow.clock.advance(60)
        act()
        changed_at = flow.enroller.status(USER).changed_at
        return bool(changed_at and changed_at.timestamp() == flow.clock.now)

    confirmation: Any = None

    def confirm() -> None:
        nonlocal confirmation
        confirmation = flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)

    assert moves(confirm)
    assert not moves(lambda: flow.enroller.verify(USER, phone.code()))
    assert not moves(lambda: fail(flow, phone))
    assert not moves(lambda: flow.enroller.begin(USER, account_name="sara", proof=VOUCHED))
    assert not moves(lambda: flow.enroller.rename(USER, "default", "phone"))
    assert moves(lambda: flow.enroller.verify(USER, confirmation.recovery_codes[0]))
    assert moves(
        lambda: flow.enroller.begin(USER, account_name="sara", proof=confirmation.recovery_codes[1])
    )
    assert moves(lambda: flow.enroller.regenerate_recovery_codes(USER, proof=VOUCHED))
    flow.add("tablet", VOUCHED)
    assert moves(lambda: flow.enroller.disable(USER, proof=VOUCHED, authenticator="tablet"))
    assert moves(lambda: flow.enroller.disable(USER, proof=VOUCHED))


def test_erase_deletes_the_row_and_takes_an_override_alone(flow: Any) -> None:
    """Without an Override nothing is deleted; with one the row is gone, also if it was damaged."""
    phone, _ = flow.enroll()
    with pytest.raises(errors.ProofRequiredError):
        flow.enroller.erase(USER, proof=None)
    with pytest.raises(TypeError):
        flow.enroller.erase(USER, proof=phone.code())
    assert flow.store.deletes == 0
    record = flow.store.load(USER)
    damaged = replace(record, document="{", revision="0" * 32)
    assert flow.store.save(damaged, expected=record.revision)
    flow.told.clear()
    flow.enroller.erase(USER, proof=VOUCHED)
    assert flow.store.load(USER) is None
    assert flow.names_of_events() == ["OverrideUsed", "EnrollmentErased"]
    flow.enroller.erase(USER, proof=VOUCHED)


@pytest.mark.requirement("R-62")
@pytest.mark.regression_of("B-38", "B-39")
def test_lost_key_is_an_error_and_never_shuts_the_way_back(flow: Any) -> None:
    """With the key lost no code is judged or counted, and recovery code, begin and confirm work."""
    phone, confirmation = flow.enroll()
    lost = {confirmed_of(flow).authenticators[0].sealed.reveal()}

    class LosingCipher:
        def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
            return b"\0" + plaintext

        def open(self, sealed: bytes, *, context: bytes) -> bytes:
            if sealed in lost:
                raise KeyError("2025")
            return sealed[1:]

        def needs_reseal(self, sealed: bytes) -> bool:
            return False

    enroller = flow.another(cipher=LosingCipher())
    stored = flow.store.load(USER)
    for code in (phone.code(), wrong_for(phone)):
        with pytest.raises(errors.UnreadableSecretError) as refusal:
            enroller.verify(USER, code)
        assert isinstance(refusal.value.__cause__, KeyError)
    assert flow.store.load(USER) == stored
    assert enroller.status(USER).state == "confirmed"
    verification = enroller.verify(USER, confirmation.recovery_codes[0])
    setup = enroller.begin(USER, account_name="sara", proof=verification)
    new = flow.phone(setup)
    enroller.confirm(USER, new.code(), setup_id=setup.id)
    enroller.verify(USER, new.code(1))
