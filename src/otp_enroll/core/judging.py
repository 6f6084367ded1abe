"""Judging a code or a recovery code, by the budget of its kind: once, for every entrance.

Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from typing_extensions import Never

from otp_enroll import events
from otp_enroll.core import oath, recovery
from otp_enroll.core.budget import Method, Waits
from otp_enroll.core.decision import Decision, Facts, aware, aware_or_none
from otp_enroll.core.states import Authenticator, Confirmed
from otp_enroll.core.typed_text import TypedCode
from otp_enroll.errors import (
    CodeReusedError,
    LockedError,
    MalformedCodeError,
    ServerClockError,
    TooManyAttemptsError,
    WrongCodeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A proof that holds, and the account after it was spent."""

    confirmed: Confirmed
    events: tuple[events.Event, ...] = ()
    changed: bool = False
    method: Method = "code"
    authenticator: str | None = None


Judgement = Judged | Decision[Never]


def judge(confirmed: Confirmed, typed: TypedCode, facts: Facts) -> Judgement:
    """Judge a code or a recovery code, by the budget of its kind.

    Raises:
        MalformedCodeError: No authenticator has codes of that length.
        UnreadableSecretError: A secret cannot be opened.
        ServerClockError: The clock is behind an accepted code.
    """
    if typed.kind == "recovery_code":
        return _judge_recovery_code(confirmed, typed, facts)
    if all(one.parameters.digits != typed.length for one in confirmed.authenticators):
        raise MalformedCodeError("code", confirmed.authenticators[0].parameters.digits)
    budget = confirmed.budgets.code
    if budget.locked:
        return _refused_by_lock(confirmed, facts)
    waiting = _refused_by_wait(confirmed, "code", facts)
    return waiting or _compare(confirmed, typed, facts)


def _compare(confirmed: Confirmed, typed: TypedCode, facts: Facts) -> Judgement:
    secrets = {one.id: facts.secret(one.id) for one in confirmed.authenticators}
    windows = {
        one.id: oath.window_at(facts.now, one.parameters.period, facts.policy.window)
        for one in confirmed.authenticators
    }
    if any(one.last_counter >= windows[one.id].stop for one in confirmed.authenticators):
        raise ServerClockError
    matched = {
        one.id: oath.matching_counters(
            secrets[one.id], one.parameters, windows[one.id], typed.reveal()
        )
        for one in confirmed.authenticators
        if one.parameters.digits == typed.length
    }
    shown = [one for one in confirmed.authenticators if matched.get(one.id)]
    for one in shown:
        # RFC 6238 §5.2: one success for a counter, and none for an earlier one. A text that is
        # also another authenticator's fresh code is refused all the same: it was seen before.
        if matched[one.id][0] <= one.last_counter:
            return Decision(
                CodeReusedError(), events=(facts.event(events.CodeReused, one, method="code"),)
            )
    if not shown:
        return _count_wrong_code(confirmed, facts)
    return _accept_code(confirmed, shown, matched, facts)


def _accept_code(
    confirmed: Confirmed,
    shown: list[Authenticator],
    matched: Mapping[str, tuple[int, ...]],
    facts: Facts,
) -> Judged:
    moved = tuple(
        replace(one, last_counter=matched[one.id][-1], last_used_at=facts.now)
        if one in shown
        else one
        for one in confirmed.authenticators
    )
    return Judged(
        confirmed=_cleared(replace(confirmed, authenticators=moved), "code"),
        events=(facts.event(events.CodeVerified, shown[0]),),
        authenticator=shown[0].name,
    )


def _count_wrong_code(confirmed: Confirmed, facts: Facts) -> Decision[Never]:
    limits = facts.policy.budget
    budget = confirmed.budgets.code.failed(facts.now, limits)
    told: list[events.Event] = [facts.event(events.CodeRejected, method="code")]
    if budget.failures_in_30_days == limits.warn_after_in_30_days:
        told.append(facts.event(events.ManyFailures, failures=budget.failures_in_30_days))
    if budget.locked:
        told.append(facts.event(events.Locked))
    retry_at = None if budget.locked else budget.waits.until(facts.now, limits)
    return Decision(
        WrongCodeError("code", budget.attempts_left(limits), aware_or_none(retry_at)),
        enrollment=replace(confirmed, budgets=replace(confirmed.budgets, code=budget)),
        events=tuple(told),
    )


def _judge_recovery_code(confirmed: Confirmed, typed: TypedCode, facts: Facts) -> Judgement:
    waiting = _refused_by_wait(confirmed, "recovery_code", facts)
    if waiting is not None:
        return waiting
    place = confirmed.recovery.find(facts.user_id, typed)
    if place is None:
        return _count_wrong_recovery_code(confirmed, facts)
    if confirmed.recovery.spent[place]:
        return Decision(
            CodeReusedError("recovery_code"),
            events=(facts.event(events.CodeReused, method="recovery_code"),),
        )
    spent = confirmed.recovery.spend(place)
    told: list[events.Event] = [facts.event(events.RecoveryCodeUsed, left=spent.left)]
    if spent.left <= recovery.LOW:
        told.append(facts.event(events.RecoveryCodesLow, left=spent.left))
    return Judged(
        confirmed=_cleared(replace(confirmed, recovery=spent), "recovery_code"),
        events=tuple(told),
        changed=True,
        method="recovery_code",
    )


def _count_wrong_recovery_code(confirmed: Confirmed, facts: Facts) -> Decision[Never]:
    limits = facts.policy.budget
    waits = confirmed.budgets.recovery.failed(facts.now)
    left = max(0, limits.free_attempts - waits.failures)
    retry_at = aware_or_none(waits.until(facts.now, limits))
    return Decision(
        WrongCodeError("recovery_code", left, retry_at),
        enrollment=_with_waits(confirmed, "recovery_code", waits),
        events=(facts.event(events.CodeRejected, method="recovery_code"),),
    )


def _refused_by_lock(confirmed: Confirmed, facts: Facts) -> Decision[Never]:
    return Decision(
        LockedError(confirmed.recovery.left),
        events=(facts.event(events.Throttled, method="code", retry_at=None),),
    )


def _refused_by_wait(confirmed: Confirmed, method: Method, facts: Facts) -> Decision[Never] | None:
    waits = confirmed.budgets.waits(method)
    until = waits.until(facts.now, facts.policy.budget)
    if until is None:
        return None
    retry_at = aware(until)
    # The one refusal that writes without a wrong code: when the clock was ahead at the last
    # failure, its time is moved to now, once; else the wait would begin anew at every attempt.
    rewound = waits.rewound(facts.now)
    return Decision(
        TooManyAttemptsError(method, retry_at),
        enrollment=None if rewound is waits else _with_waits(confirmed, method, rewound),
        events=(facts.event(events.Throttled, method=method, retry_at=retry_at),),
    )


def _with_waits(confirmed: Confirmed, method: Method, waits: Waits) -> Confirmed:
    return replace(confirmed, budgets=confirmed.budgets.with_waits(method, waits))


def _cleared(confirmed: Confirmed, method: Method) -> Confirmed:
    return _with_waits(confirmed, method, confirmed.budgets.waits(method).cleared())
