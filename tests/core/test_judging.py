"""Judging codes: one code one success, clocks, waits and locks, recovery codes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, Make, confirmed_of, fail, stored_as, wrong_for
from otp_enroll import Policy, errors
from otp_enroll.core.budget import Waits
from otp_enroll.core.secret import Secret
from otp_enroll.testing import FakeAuthenticator

PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
RFC_SECRET = b"12345678901234567890"

# --- one code, one success ---


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


def with_secret(flow: Any, secret: Secret, *names: str) -> None:
    """Give the stored authenticators one known secret, as an import would."""
    enrollment = confirmed_of(flow)
    template = enrollment.authenticators[0]
    twins = tuple(
        replace(
            template,
            id=f"{number:032x}",
            name=name,
            sealed=flow.enroller._vault.seal(secret, USER, f"{number:032x}"),
            last_counter=-1,
        )
        for number, name in enumerate(names)
    )
    stored_as(flow, replace(enrollment, authenticators=twins))


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
    assert (refusal.value.expected, refusal.value.digits) == ("code", 6)


@pytest.mark.requirement("R-48", "R-61")
def test_login_never_tells_why_a_code_is_wrong(flow: Any) -> None:
    """At login a late code, a foreign code and a removed authenticator's code are one error."""
    phone, _ = flow.enroll()
    removed = flow.add("tablet", VOUCHED)
    flow.enroller.disable(USER, proof=VOUCHED, authenticator="tablet")
    other, _ = flow.enroll("another")
    for code in (phone.code(-4), other.code(), removed.code()):
        with pytest.raises(errors.WrongCodeError) as refusal:
            flow.enroller.verify(USER, code)
        assert type(refusal.value) is errors.WrongCodeError
        assert str(refusal.value) == "the code is wrong"


# --- clocks ---


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


def seconds_until(error: errors.EnrollmentError, flow: Any) -> float:
    """Return how long a refusal says that one has to wait."""
    assert error.retry_at is not None
    return error.retry_at.timestamp() - float(flow.clock.now)


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


# --- waits and locks ---


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


def test_what_a_newer_version_stored_outlives_every_verdict(flow: Any) -> None:
    """Right and wrong codes of both kinds leave alone what they do not know, each in its place."""
    phone, confirmation = flow.enroll()
    account = confirmed_of(flow)
    code = replace(account.budgets.code, waits=Waits(extra={"of": "codes"}), extra={"of": "lock"})
    budgets = replace(account.budgets, code=code, recovery=Waits(extra={"of": "paper"}))
    only = replace(account.authenticators[0], extra={"of": "phone"})
    budgets = replace(budgets, extra={"of": "both"})
    stored_as(flow, replace(account, authenticators=(only,), budgets=budgets))
    right, papers = (phone.code(), phone.code(1)), confirmation.recovery_codes
    for typed in (right[0], papers[0], wrong_for(phone), "0" * 24, right[1], papers[1]):
        with suppress(errors.WrongCodeError):
            flow.enroller.verify(USER, typed)
        stored = confirmed_of(flow)
        kept = stored.budgets
        assert stored.authenticators[0].extra == {"of": "phone"}
        assert (kept.code.waits.extra, kept.recovery.extra) == ({"of": "codes"}, {"of": "paper"})
        assert (kept.code.extra, kept.extra) == ({"of": "lock"}, {"of": "both"})


def test_a_code_changes_the_counter_and_the_time_of_its_authenticator_alone(flow: Any) -> None:
    """A login leaves all else as it was stored, such as the number of the replacement."""
    flow.enroll()
    phone = flow.add("default", VOUCHED)
    before = confirmed_of(flow).authenticators[0]
    assert before.generation == 2
    flow.enroller.verify(USER, phone.code())
    after = confirmed_of(flow).authenticators[0]
    assert (after.last_counter, after.last_used_at) == (flow.clock.now // 30, flow.clock.now)
    counter, used_at = before.last_counter, before.last_used_at
    assert replace(after, last_counter=counter, last_used_at=used_at) == before


# --- recovery codes ---


@pytest.mark.requirement("R-72")
def test_a_recovery_code_where_no_set_was_issued_is_wrong(flow: Any) -> None:
    """It is counted and answered as any wrong one: nothing says that there is none to guess."""
    flow.enroll()
    stored_as(flow, replace(confirmed_of(flow), recovery=None))
    with pytest.raises(errors.WrongCodeError) as refusal:
        flow.enroller.verify(USER, "0" * 24)
    assert (refusal.value.method, refusal.value.attempts_left) == ("recovery_code", 4)
    status = flow.enroller.status(USER)
    assert (status.recovery_codes_left, status.recovery_sheet_number) == (0, None)


@pytest.mark.requirement("R-63", "R-82")
def test_a_spent_code_says_of_which_kind_it_is(flow: Any) -> None:
    """The refusal and the event name the kind, so that a page says which one to take instead."""
    phone, confirmation = flow.enroll()
    for method, typed in (
        ("code", phone.code()),
        ("recovery_code", confirmation.recovery_codes[0]),
    ):
        flow.enroller.verify(USER, typed)
        with pytest.raises(errors.CodeReusedError) as refusal:
            flow.enroller.verify(USER, typed)
        assert refusal.value.method == flow.told[-1].method == method


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
