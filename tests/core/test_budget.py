"""The attempt budget: the waits, the thirty days, the lock, and clocks that jump."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.flows import USER, Make, fail, wrong_for
from otp_enroll import Policy, errors
from otp_enroll.core.budget import SECONDS_PER_DAY, Budgets, CodeBudget, Waits
from otp_enroll.policy import AttemptBudget

NOW = 1_800_000_000
BUDGET = AttemptBudget()
SCHEDULE = [0] * 5 + [30, 60, 120, 240, 480, 960, 1920] + [3600] * 20
"""Seconds before try number n + 1 is judged (the first tries at once, no wait above an hour)."""


def failed(times: int, since: int = NOW) -> Waits:
    waits = Waits()
    for _ in range(times):
        waits = waits.fail(since)
    return waits


@pytest.mark.requirement("R-69")
@pytest.mark.parametrize(("failures", "wait"), list(enumerate(SCHEDULE)))
def test_the_waits_double_from_thirty_seconds_to_an_hour(failures: int, wait: int) -> None:
    """Five tries are judged at once, then the wait doubles; at its end the next try is judged."""
    waits = failed(failures)

    if wait:
        assert waits.until(NOW, BUDGET) == NOW + wait
        assert waits.until(NOW + wait - 1, BUDGET) == NOW + wait
    assert waits.until(NOW + wait, BUDGET) is None


@pytest.mark.requirement("R-69")
def test_an_owner_who_errs_is_judged_again_in_time() -> None:
    """The 8th try comes after 3.5 minutes, the 10th after 15.5, the 50th after 39 hours."""
    now, at = NOW, {}
    budget = CodeBudget()
    for number in range(1, 51):
        now = budget.waits.until(now, BUDGET) or now
        at[number] = now - NOW
        budget = budget.fail(now, BUDGET)

    assert {n: at[n] for n in (5, 6, 8, 10, 12, 50)} == {
        5: 0,
        6: 30,
        8: 210,
        10: 930,
        12: 3810,
        50: 140_610,
    }


@pytest.mark.requirement("R-68", "R-69")
@pytest.mark.regression_of("B-26")
def test_ten_thousand_failures_are_finite_waits() -> None:
    """Nothing overflows: the wait stays an hour, the count stays a number, codes stay locked."""
    waits, budget = Waits(), CodeBudget()
    for n in range(10_000):
        waits, budget = waits.fail(NOW + n), budget.fail(NOW + n, BUDGET)
        until = waits.until(NOW + n, BUDGET)
        assert until is None or until <= NOW + n + 3600

    assert waits.until(NOW + 9_999, BUDGET) == NOW + 9_999 + 3600
    assert budget.locked
    assert (budget.waits.failures, budget.failures_in_30_days) == (10_000, 10_000)
    assert Waits(failures=10**12, since=NOW).until(NOW, BUDGET) == NOW + 3600


@pytest.mark.requirement("R-68")
def test_the_fiftieth_consecutive_failure_locks() -> None:
    """49 wrong codes leave codes usable, the 50th locks them."""
    budget = CodeBudget()
    for n in range(49):
        budget = budget.fail(NOW + 3600 * n, BUDGET)
    assert not budget.locked
    assert budget.attempts_to_lock(BUDGET) == 1

    assert budget.fail(NOW + 3600 * 49, BUDGET).locked


@pytest.mark.requirement("R-68")
def test_a_lock_outlives_further_failures() -> None:
    """No clock opens a lock: a failure long after it leaves it as it is."""
    budget = CodeBudget(days=((NOW // SECONDS_PER_DAY, 99),)).fail(NOW, BUDGET)
    assert budget.locked

    assert budget.fail(NOW + 400 * SECONDS_PER_DAY, BUDGET).locked


@pytest.mark.requirement("R-70", "R-71")
def test_successes_between_do_not_keep_an_account_from_the_lock() -> None:
    """With a right code after every wrong one, the 100th wrong code in 30 days locks."""
    budget = CodeBudget()
    for n in range(100):
        assert not budget.locked, n
        budget = budget.fail(NOW + n, BUDGET)
        budget = CodeBudget(waits=budget.waits.clear(), days=budget.days, locked=budget.locked)

    assert budget.locked
    assert budget.waits.failures == 0


@pytest.mark.requirement("R-70")
def test_failures_leave_the_count_after_thirty_days() -> None:
    """A day counts on itself and on the 29 after it; 99 failures then do not lock with one more."""
    day = NOW // SECONDS_PER_DAY
    start = day * SECONDS_PER_DAY
    old = CodeBudget(days=((day, 99),))

    kept = old.fail(start + 30 * SECONDS_PER_DAY - 1, BUDGET)
    gone = old.fail(start + 30 * SECONDS_PER_DAY, BUDGET)

    assert (kept.locked, kept.failures_in_30_days) == (True, 100)
    assert (gone.locked, gone.failures_in_30_days) == (False, 1)
    assert gone.days == ((day + 30, 1),)


@pytest.mark.requirement("R-70")
def test_failures_are_counted_per_utc_day() -> None:
    """A failure in the last second of a day and one in the next stand on two days, oldest first."""
    midnight = (NOW // SECONDS_PER_DAY) * SECONDS_PER_DAY
    budget = CodeBudget()
    for now in (midnight - 1, midnight, midnight + SECONDS_PER_DAY - 1):
        budget = budget.fail(now, BUDGET)

    today = midnight // SECONDS_PER_DAY
    assert budget.days == ((today - 1, 1), (today, 2))


@pytest.mark.requirement("R-69")
@pytest.mark.parametrize(("failures", "left"), [(0, 5), (1, 4), (4, 1), (5, 0), (30, 0), (60, 0)])
def test_the_tries_left_are_those_without_a_wait(failures: int, left: int) -> None:
    """What is told to the user counts down to the first wait and is never negative."""
    assert CodeBudget(waits=failed(failures)).attempts_left(BUDGET) == left


@pytest.mark.requirement("R-70")
def test_the_tries_left_end_with_the_thirty_days() -> None:
    """Close to the lock of 30 days, fewer tries are left than are free."""
    budget = CodeBudget(days=((NOW // SECONDS_PER_DAY, 98),))

    assert (budget.attempts_left(BUDGET), budget.attempts_to_lock(BUDGET)) == (2, 2)


@pytest.mark.requirement("R-69")
def test_a_clock_that_jumped_back_locks_nobody_out() -> None:
    """Seen from an earlier time, a wait is no longer than its length, and it runs down."""
    waits = failed(8, since=NOW + 10 * 365 * SECONDS_PER_DAY)

    assert waits.until(NOW, BUDGET) == NOW + 240
    rewound = waits.rewind(NOW)
    assert rewound.until(NOW, BUDGET) == NOW + 240
    assert rewound.until(NOW + 240, BUDGET) is None
    assert rewound.failures == 8


@pytest.mark.requirement("R-69")
def test_a_wait_that_runs_is_not_begun_anew() -> None:
    """Looking at a wait in its course leaves its end where it was."""
    waits = failed(8)

    assert waits.rewind(NOW + 100) == waits
    assert waits.rewind(NOW + 100).until(NOW + 100, BUDGET) == NOW + 240


@pytest.mark.requirement("R-70")
def test_failures_of_a_clock_that_was_ahead_count_as_today() -> None:
    """Days after today are not forgotten, and do not live longer than 30 days from now."""
    today = NOW // SECONDS_PER_DAY
    ahead = CodeBudget(days=((today + 4000, 60), (today + 5000, 38)))

    budget = ahead.fail(NOW, BUDGET)

    assert budget.days == ((today, 99),)
    assert budget.fail(NOW, BUDGET).locked
    assert budget.fail(NOW + 30 * SECONDS_PER_DAY, BUDGET).failures_in_30_days == 1


@pytest.mark.requirement("R-68", "R-70")
@given(
    st.lists(
        st.tuples(st.sampled_from(["wrong", "right"]), st.integers(-(10**7), 10**7)), max_size=150
    )
)
def test_a_budget_counts_whatever_the_clock_does(steps: list[tuple[str, int]]) -> None:
    """With any clock, the waits are finite, the days are the last 30 in order, the lock is due."""
    now, budget = NOW, CodeBudget()
    for outcome, jump in steps:
        now = max(0, now + jump)
        until = budget.waits.until(now, BUDGET)
        assert until is None or now < until <= now + BUDGET.longest_wait
        if budget.locked:
            break
        if outcome == "right":
            budget = CodeBudget(waits=budget.waits.clear(), days=budget.days)
            continue
        budget = budget.fail(now, BUDGET)
        days = [day for day, _ in budget.days]
        today = now // SECONDS_PER_DAY
        assert days == sorted(set(days))
        assert days[-1] == today
        assert days[0] > today - 30
        assert budget.locked == (
            budget.waits.failures >= 50 or sum(count for _, count in budget.days) >= 100
        )
        assert 0 <= budget.attempts_left(BUDGET) <= BUDGET.free_attempts


@pytest.mark.requirement("R-72")
def test_recovery_codes_wait_by_themselves_and_are_never_locked() -> None:
    """A wait of one kind of code leaves the other judged at once; recovery codes know no lock."""
    waiting = Budgets().with_waits("recovery_code", failed(10_000))

    assert waiting.waits("recovery_code").until(NOW, BUDGET) == NOW + 3600
    assert waiting.waits("recovery_code").until(NOW + 3600, BUDGET) is None
    assert waiting.waits("code").until(NOW, BUDGET) is None
    assert not waiting.code.locked
    other = Budgets().with_waits("code", failed(50))
    assert other.waits("code").until(NOW, BUDGET) == NOW + 3600
    assert other.waits("recovery_code").until(NOW, BUDGET) is None


def test_replacing_the_waits_keeps_the_rest() -> None:
    """The count of 30 days, the lock and what a newer version stored stay."""
    budgets = Budgets(
        code=CodeBudget(days=((1, 2),), locked=True, extra={"a": 1}),
        recovery=failed(3),
        extra={"b": 2},
    )

    changed = budgets.with_waits("code", failed(1))
    assert changed.code == CodeBudget(waits=failed(1), days=((1, 2),), locked=True, extra={"a": 1})
    assert (changed.recovery, changed.extra) == (failed(3), {"b": 2})
    cleared = budgets.with_recovery(budgets.recovery.clear())
    assert (cleared.recovery, cleared.code, cleared.extra) == (Waits(), budgets.code, {"b": 2})


@pytest.mark.parametrize("extra", [{}, {"newer": 1}])
@pytest.mark.parametrize(("failures", "since"), [(3, NOW), (3, 0), (0, NOW), (0, 0)])
def test_a_right_answer_leaves_no_failure_and_no_time(
    failures: int, since: int, extra: dict[str, object]
) -> None:
    """Cleared waits are those of an account that never failed; unknown keys are carried along."""
    assert Waits(failures=failures, since=since, extra=extra).clear() == Waits(extra=extra)


def test_clearing_what_is_clear_makes_nothing() -> None:
    """Where nobody failed, what a right answer leaves is the same object, of every budget."""
    waits = Waits(extra={"newer": 1})
    code = CodeBudget(days=((1, 2),))
    budgets = Budgets(code=code, extra={"newer": 1})
    assert waits.clear() is waits
    assert code.clear() is code
    assert budgets.clear_code() is budgets
    assert budgets.clear_recovery() is budgets


@pytest.mark.requirement("R-69")
def test_the_numbers_are_the_policys() -> None:
    """Another policy moves the first wait, the longest one and the lock."""
    budget = AttemptBudget(free_attempts=2, first_wait=60, longest_wait=100, lock_after=10)

    assert failed(1).until(NOW, budget) is None
    assert failed(2).until(NOW, budget) == NOW + 60
    assert failed(3).until(NOW, budget) == NOW + 100
    assert CodeBudget(waits=failed(9)).fail(NOW, budget).locked


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


def test_what_a_newer_version_stored_outlives_the_end_of_a_lock() -> None:
    """A budget begins again at zero, and carries unknown keys along; one without them is shared."""
    locked = CodeBudget(waits=failed(50), days=((NOW // SECONDS_PER_DAY, 50),), locked=True)
    assert locked.restart() is CodeBudget().restart()
    kept = replace(locked, extra={"newer": 1}).restart()
    assert kept == CodeBudget(extra={"newer": 1})
    of_waits = replace(locked, waits=replace(locked.waits, extra={"newer": 1})).restart()
    assert of_waits == CodeBudget(waits=Waits(extra={"newer": 1}))
