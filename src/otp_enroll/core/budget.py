"""How many wrong codes an account bears: the consecutive ones, the waits, the 30 days, the lock.

Pure: no I/O, no clock, no randomness. Times are Unix seconds, days are whole UTC days since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from otp_enroll.policy import AttemptBudget

SECONDS_A_DAY: Final = 86_400
DAYS: Final = 30

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
        cannot lock the owner out; ``rewound`` lets such a wait run down.
        """
        if self.failures < budget.free_attempts:
            return None
        # The shift is capped: thousands of failures must not make a number of thousands of bits.
        wait = min(
            budget.first_wait << min(self.failures - budget.free_attempts, 32), budget.longest_wait
        )
        until = min(self.since, now) + wait
        return until if now < until else None

    def failed(self, now: int) -> Waits:
        """Count one wrong answer."""
        return replace(self, failures=self.failures + 1, since=now)

    def cleared(self) -> Waits:
        """Forget the consecutive wrong answers after a right one."""
        return replace(self, failures=0, since=0)

    def rewound(self, now: int) -> Waits:
        """Start the wait at ``now`` if it starts later: the clock was ahead when it was stored."""
        return self if self.since <= now else replace(self, since=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBudget:
    """The budget of codes: the waits, the count of 30 days that no success clears, the lock.

    Attributes:
        waits: The consecutive wrong codes.
        days: (day, wrong codes on it), oldest first; days that left the 30 are dropped.
        locked: Set by the last wrong code allowed; only a new authenticator lifts it.
    """

    waits: Waits = Waits()
    days: tuple[tuple[int, int], ...] = ()
    locked: bool = False
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    @property
    def failures_in_30_days(self) -> int:
        """Wrong codes on the days that are kept."""
        return sum(count for _, count in self.days)

    def failed(self, now: int, budget: AttemptBudget) -> CodeBudget:
        """Count one wrong code, and lock if it was the last one allowed.

        Days after today stand there because the clock was ahead; they count as today.
        """
        today = now // SECONDS_A_DAY
        counts = {today: 1}
        for day, count in self.days:
            if day > today - DAYS:
                counts[min(day, today)] = counts.get(min(day, today), 0) + count
        counted = replace(self, waits=self.waits.failed(now), days=tuple(sorted(counts.items())))
        return replace(counted, locked=self.locked or counted.attempts_to_lock(budget) <= 0)

    def attempts_to_lock(self, budget: AttemptBudget) -> int:
        """Wrong codes that are left until codes are locked."""
        return min(
            budget.lock_after - self.waits.failures,
            budget.lock_after_in_30_days - self.failures_in_30_days,
        )

    def attempts_left(self, budget: AttemptBudget) -> int:
        """Wrong codes that will be judged without a wait or a lock."""
        return max(
            0, min(budget.free_attempts - self.waits.failures, self.attempts_to_lock(budget))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """An account's two budgets. A wait or lock of one leaves the other usable.

    Attributes:
        code: Shared by every verb that judges a code, but for confirm.
        recovery: Waits alone: 120 bits need no lock, and one would shut the owner's last door.
    """

    code: CodeBudget = CodeBudget()
    recovery: Waits = Waits()
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    def waits(self, method: Method) -> Waits:
        """Return the waits of one kind of code."""
        return self.code.waits if method == "code" else self.recovery

    def with_waits(self, method: Method, waits: Waits) -> Budgets:
        """Replace the waits of one kind of code."""
        if method == "code":
            return replace(self, code=replace(self.code, waits=waits))
        return replace(self, recovery=waits)
