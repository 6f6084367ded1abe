"""How many wrong codes an account may have: consecutive ones, waits, the 30 days, the lock.

SP 800-63B-4 allows 100 wrong codes in a row at most (§3.2.2) and grants the owner ten tries
(§8.1): hence free ones, waits that double, and a lock. A success clears the consecutive count and
not that of 30 days: each login of the owner would otherwise give a guesser beside them fresh tries,
and at a login an hour up to 26 % a year, against 0.36 %.

Times are Unix seconds, days are whole UTC days since 1970. Nothing that did not change is made
again: an account without failures shares ``NO_FAILURES``, and its document does not mention it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from otp_enroll.policy import AttemptBudget

SECONDS_PER_DAY: Final = 86_400
DAYS: Final = 30
"""How many UTC days a wrong code is counted, today among them."""

Method = Literal["code", "recovery_code"]

Extra = Mapping[str, object]
"""What a newer version stored in an object of ours, carried along as long as the object lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Consecutive wrong answers and the wait that they earn (SP 800-63B-4 §3.2.2).

    Attributes:
        failures: Consecutive wrong answers.
        since: When the last one was recorded.
    """

    failures: int = 0
    since: int = 0
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    def until(self, now: int, budget: AttemptBudget) -> int | None:
        """Return the time at which the next answer is judged, or ``None`` if that is now.

        Seen from ``now``, no wait is longer than its length, so a clock that jumped back
        cannot lock the owner out; ``rewind`` lets such a wait run down.
        """
        if self.failures < budget.free_attempts:
            return None
        # The shift is capped: thousands of failures must not make a number of thousands of bits.
        doublings = min(self.failures - budget.free_attempts, 32)
        wait = min(budget.first_wait << doublings, budget.longest_wait)
        until = min(self.since, now) + wait  # a clock that was ahead must not lengthen it
        return until if now < until else None

    def fail(self, now: int) -> Waits:
        """Count one wrong answer at ``now``, from which the next wait runs."""
        return Waits(failures=self.failures + 1, since=now, extra=self.extra)

    def clear(self) -> Waits:
        """Forget the consecutive wrong answers after a right one."""
        if not self.failures and not self.since:
            return self
        # The shared object itself: a document leaves out the default that it knows by identity.
        return replace(self, failures=0, since=0) if self.extra else NO_WAITS

    def rewind(self, now: int) -> Waits:
        """Start the wait at ``now`` if it starts later: the clock was ahead when it was stored."""
        return self if self.since <= now else replace(self, since=now)


NO_WAITS: Final = Waits()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBudget:
    """The budget of codes: the waits, the count of 30 days that no success clears, the lock.

    Attributes:
        waits: The consecutive wrong codes.
        days: (day, wrong codes on it), oldest first; days that left the 30 are dropped.
        locked: Set by the last wrong code allowed; only a new authenticator lifts it.
    """

    waits: Waits = NO_WAITS
    days: tuple[tuple[int, int], ...] = ()
    locked: bool = False
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    @property
    def failures_in_30_days(self) -> int:
        """Wrong codes on the days that are kept, whatever succeeded between."""
        return sum(count for _, count in self.days)

    def fail(self, now: int, budget: AttemptBudget) -> CodeBudget:
        """Count one wrong code, and lock if it was the last one allowed.

        Days after today stand there because the clock was ahead; they count as today.
        """
        today = now // SECONDS_PER_DAY
        counts = {today: 1}  # by day, not by code: the row of a guessed account stays small
        for day, count in self.days:
            # What left the 30 days goes with a write that is made anyway; no job clears up.
            if day > today - DAYS:
                counts[min(day, today)] = counts.get(min(day, today), 0) + count
        counted = CodeBudget(
            waits=self.waits.fail(now),
            days=tuple(sorted(counts.items())),
            locked=self.locked,
            extra=self.extra,
        )
        if self.locked or counted.attempts_to_lock(budget) > 0:
            return counted
        return replace(counted, locked=True)

    def clear(self) -> CodeBudget:
        """Forget the consecutive wrong codes after a right one; days and lock stay.

        A lock is lifted by a new authenticator alone, as SP 800-63B-4 §3.2.2 demands: the
        subscriber has to bind again.
        """
        waits = self.waits.clear()
        return self if waits is self.waits else replace(self, waits=waits)

    def restart(self) -> CodeBudget:
        """Begin at zero, without a failure and without a lock."""
        waits = self.waits.clear()
        if waits is NO_WAITS and not self.extra:
            return NO_WRONG_CODES
        return CodeBudget(waits=waits, extra=self.extra)

    def attempts_to_lock(self, budget: AttemptBudget) -> int:
        """Wrong codes that are left until codes are locked.

        By the count that is nearer to its limit; zero or less where the policy was tightened
        after the failures.
        """
        return min(
            budget.lock_after - self.waits.failures,
            budget.lock_after_in_30_days - self.failures_in_30_days,
        )

    def attempts_left(self, budget: AttemptBudget) -> int:
        """Wrong codes that will be judged without a wait or a lock."""
        return max(  # never negative: a page shows it
            0, min(budget.free_attempts - self.waits.failures, self.attempts_to_lock(budget))
        )


NO_WRONG_CODES: Final = CodeBudget()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """An account's two budgets. A wait or lock of one leaves the other usable.

    They belong to the account, in its row, and not to an authenticator, a process or a login
    session: each of those would give a guesser a fresh one (RFC 4226 §7.3, CWE-307).

    Attributes:
        code: Shared by every verb that judges a code, but for confirm.
        recovery: Waits alone: 120 bits need no lock, and one would shut the owner's last door.
    """

    code: CodeBudget = NO_WRONG_CODES
    recovery: Waits = NO_WAITS
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    def waits(self, method: Method) -> Waits:
        """Return the waits of one kind of code."""
        return self.code.waits if method == "code" else self.recovery

    def with_waits(self, method: Method, waits: Waits) -> Budgets:
        """Replace the waits of one kind of code; days and lock stay."""
        if method == "code":
            return self.with_code(replace(self.code, waits=waits))
        return self.with_recovery(waits)

    def with_code(self, code: CodeBudget) -> Budgets:
        """Replace the budget of codes."""
        return self._with(code, self.recovery)

    def with_recovery(self, recovery: Waits) -> Budgets:
        """Replace the waits of recovery codes."""
        return self._with(self.code, recovery)

    def _with(self, code: CodeBudget, recovery: Waits) -> Budgets:
        # The shared object again, so that a document without failures has no budgets in it.
        if code is NO_WRONG_CODES and recovery is NO_WAITS and not self.extra:
            return NO_FAILURES
        return Budgets(code=code, recovery=recovery, extra=self.extra)

    def clear_code(self) -> Budgets:
        """Forget the consecutive wrong codes; the same budgets where there are none."""
        code = self.code.clear()
        return self if code is self.code else self.with_code(code)

    def clear_recovery(self) -> Budgets:
        """Forget the consecutive wrong recovery codes; the same budgets where there are none."""
        recovery = self.recovery.clear()
        return self if recovery is self.recovery else self.with_recovery(recovery)


NO_FAILURES: Final = Budgets()
"""The budgets of an account on which nobody has failed."""
