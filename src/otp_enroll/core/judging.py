"""Judging a code or a recovery code, by the budget of its kind: once, for every entrance.

Malformed, locked, waiting, unreadable, clock, reused, wrong: what comes first in this order costs
nothing and says nothing about what comes later. A second entrance with rules of its own is how
others lost their limit (CWE-307; Zitadel CVE-2025-64102: the newer login had no lockout).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from typing_extensions import Never

from otp_enroll import events
from otp_enroll.core import oath, recovery
from otp_enroll.core.budget import Budgets, Method
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    EnrollmentState,
    aware,
    aware_or_none,
)
from otp_enroll.core.typed_text import TypedCode
from otp_enroll.core.verb import Decision, Verb, World
from otp_enroll.errors import (
    CodeReusedError,
    LockedError,
    MalformedCodeError,
    ServerClockError,
    TooManyAttemptsError,
    WrongCodeError,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Judged:
    """A proof that holds, and the account after it was spent.

    Attributes:
        account: What to go on with; the state before would make the code good again.
        events: What happened, for the listener.
        changed: Whether this moves ``changed_at``: a recovery code does, a code does not.
        method: Which kind of code it was.
        authenticator: The name of the one that shows the code, or ``None``.
    """

    account: Confirmed
    events: tuple[events.Event, ...] = ()
    changed: bool = False
    method: Method = "code"
    authenticator: str | None = None


Judgement = Judged | Decision[Never]


def secrets_for(typed: TypedCode | None, state: EnrollmentState) -> Iterable[tuple[str, Sealed]]:
    """Return (authenticator id, sealed secret) of each that a typed code is judged against.

    A recovery code opens none: a lost key of the cipher must not shut the owner's last way in.
    """
    if typed is None or typed.kind != "code" or not isinstance(state, Confirmed):
        return ()
    return [(found.id, found.sealed) for found in state.authenticators]


def judge(account: Confirmed, typed: TypedCode, verb: Verb[Any], world: World) -> Judgement:
    """Judge a code or a recovery code, by the budget of its kind.

    Returns:
        A ``Judged`` if it was right; else a ``Decision`` whose outcome is the refusal, to be
        raised once what it counts is committed.

    Raises:
        MalformedCodeError: No authenticator has codes of that length.
        UnreadableSecretError: A secret cannot be opened.
        ServerClockError: The clock is behind an accepted code.
    """
    # Their lengths distinguish the kinds, so a text is never tried as both.
    if typed.kind == "recovery_code":
        return _judge_recovery_code(account, typed, verb, world)
    length = typed.length
    # Eight digits where every app shows six can never be right, so they cost no attempt.
    if all(found.parameters.digits != length for found in account.authenticators):
        raise MalformedCodeError("code", account.authenticators[0].parameters.digits)
    # The lock before the wait: a time to wait until would promise that waiting helps.
    if account.budgets.code.locked:
        return _refuse_by_lock(account, verb, world)
    waiting = _refuse_by_wait(account, "code", verb, world)
    return waiting or _compare(account, typed, length, verb, world)


def _compare(
    account: Confirmed, typed: TypedCode, length: int, verb: Verb[Any], world: World
) -> Judgement:
    # All or none: beside an unreadable secret, its owner's right code would be counted as wrong.
    secrets = world.require_keys()
    matched: dict[str, tuple[int, ...]] = {}
    for found in account.authenticators:
        window = oath.window_at(world.now, found.parameters.period, world.policy.window)
        # The clock went back past the window: every right code would be called reused, and the
        # owner blamed. Fail closed, and say whose fault it is (ASVS 16.5.3).
        if found.last_counter >= window.stop:
            raise ServerClockError
        if found.parameters.digits == length:
            matched[found.id] = oath.matching_counters(
                secrets[found.id], found.parameters, window, typed.reveal()
            )
    # After the loop, not in it: how long it takes must not say which authenticator matched.
    shown = [found for found in account.authenticators if matched.get(found.id)]
    for found in shown:
        # RFC 6238 §5.2: one success for a counter, and none for an earlier one. A text that is
        # also another authenticator's fresh code is refused all the same: it was seen before.
        if matched[found.id][0] <= found.last_counter:
            reused = events.CodeReused(**verb.stamp(world, found), method="code")
            return Decision(CodeReusedError("code"), events=(reused,))
    if not shown:
        return _count_wrong_code(account, verb, world)
    return _accept_code(account, shown, matched, verb, world)


def _accept_code(
    account: Confirmed,
    shown: list[Authenticator],
    matched: Mapping[str, tuple[int, ...]],
    verb: Verb[Any],
    world: World,
) -> Judged:
    return Judged(
        account=Confirmed(
            authenticators=tuple(
                # The last match: where two counters have one code, it is spent for both.
                found.use(matched[found.id][-1], world.now) if found in shown else found
                for found in account.authenticators
            ),
            recovery=account.recovery,
            budgets=account.budgets.clear_code(),
            setup=account.setup,
        ),
        events=(events.CodeVerified(**verb.stamp(world, shown[0])),),
        authenticator=shown[0].name,
    )


def _count_wrong_code(account: Confirmed, verb: Verb[Any], world: World) -> Decision[Never]:
    limits = world.policy.budget
    budget = account.budgets.code.fail(world.now, limits)
    # The stamp names no authenticator: a wrong code belongs to none.
    happened: list[events.Event] = [events.CodeRejected(**verb.stamp(world), method="code")]
    # Equal, not at least: the owner is warned once, and not by every further guess.
    if budget.failures_in_30_days == limits.warn_after_in_30_days:
        happened.append(
            events.ManyFailures(**verb.stamp(world), failures=budget.failures_in_30_days)
        )
    if budget.locked:
        happened.append(events.Locked(**verb.stamp(world)))
    retry_at = None if budget.locked else budget.waits.until(world.now, limits)
    return Decision(
        WrongCodeError("code", budget.attempts_left(limits), aware_or_none(retry_at)),
        state=account.charge(account.budgets.with_code(budget)),
        events=tuple(happened),
    )


def _judge_recovery_code(
    account: Confirmed, typed: TypedCode, verb: Verb[Any], world: World
) -> Judgement:
    waiting = _refuse_by_wait(account, "recovery_code", verb, world)
    if waiting is not None:
        return waiting
    codes = account.recovery
    # Without a set the answer is the same: it must not say that there is nothing to guess at.
    index = None if codes is None else codes.find(verb.user_id, typed)
    if codes is None or index is None:
        return _count_wrong_recovery_code(account, verb, world)
    # Free of charge: a double submit, or a line that was not crossed off, must start no wait.
    if codes.spent[index]:
        reused = events.CodeReused(**verb.stamp(world), method="recovery_code")
        return Decision(CodeReusedError("recovery_code"), events=(reused,))
    spent = codes.spend(index)
    happened: list[events.Event] = [events.RecoveryCodeUsed(**verb.stamp(world), left=spent.left)]
    if spent.left <= recovery.LOW:
        happened.append(events.RecoveryCodesLow(**verb.stamp(world), left=spent.left))
    return Judged(
        account=replace(account, recovery=spent, budgets=account.budgets.clear_recovery()),
        events=tuple(happened),
        changed=True,  # it may be a thief with the paper: the app can hold withdrawals
        method="recovery_code",
    )


def _count_wrong_recovery_code(
    account: Confirmed, verb: Verb[Any], world: World
) -> Decision[Never]:
    limits = world.policy.budget
    waits = account.budgets.recovery.fail(world.now)
    left = max(0, limits.free_attempts - waits.failures)
    retry_at = aware_or_none(waits.until(world.now, limits))
    return Decision(
        WrongCodeError("recovery_code", left, retry_at),
        state=account.charge(account.budgets.with_recovery(waits)),
        events=(events.CodeRejected(**verb.stamp(world), method="recovery_code"),),
    )


def _refuse_by_lock(account: Confirmed, verb: Verb[Any], world: World) -> Decision[Never]:
    # Nothing was compared: "right, but locked" would let the guessing go on under the lock.
    return Decision(
        LockedError(account.recovery_codes_left),
        events=(events.Throttled(**verb.stamp(world), method="code", retry_at=None),),
    )


def _refuse_by_wait(
    account: Confirmed, method: Method, verb: Verb[Any], world: World
) -> Decision[Never] | None:
    budgets: Budgets = account.budgets
    waits = budgets.waits(method)
    until = waits.until(world.now, world.policy.budget)
    if until is None:
        return None
    retry_at = aware(until)
    # The one refusal that writes without a wrong code: when the clock was ahead at the last
    # failure, its time is moved to now, once; else the wait would begin again at every attempt.
    rewound = waits.rewind(world.now)
    return Decision(
        TooManyAttemptsError(method, retry_at),
        state=None if rewound is waits else account.charge(budgets.with_waits(method, rewound)),
        events=(events.Throttled(**verb.stamp(world), method=method, retry_at=retry_at),),
    )
