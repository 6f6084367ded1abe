"""What a run left behind, made readable: each row decoded once, each request with its writes."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from otp_enroll.core.budget import Waits
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    Disabled,
    EnrollmentState,
    StoredSetup,
    is_confirmed,
    setup_of,
)
from otp_enroll.core.typed_text import read_code
from otp_enroll.errors import SetupExhaustedError, WrongCodeError
from otp_enroll.storage import codec
from proof.interleavings.starts import Start, secrets_in, window_of
from proof.interleavings.walker import Answer, Run
from proof.interleavings.world import START, USER, Landed, Row

RECOVERY_CODE_LENGTH: Final = 24


class Seen:
    """One stored row, decoded and opened."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.enrollment: EnrollmentState = Disabled() if row is None else codec.decode(row)[0]
        self.confirmed: Confirmed | None = (
            self.enrollment if is_confirmed(self.enrollment) else None
        )
        self.setup: StoredSetup | None = setup_of(self.enrollment)
        self.secrets = {} if row is None else dict(secrets_in(row.document, USER))
        self.authenticators: dict[str, Authenticator] = (
            {one.id: one for one in self.confirmed.authenticators} if self.confirmed else {}
        )
        self.ids = frozenset(self.authenticators)

    @cached_property
    def facts(self) -> tuple[object, ...]:
        """The live authenticators, without what the cipher made of their secrets."""
        return tuple(
            (one.id, one.name, one.last_counter, one.confirmed_at, one.last_used_at, one.generation)
            for one in self.authenticators.values()
        )

    @cached_property
    def failures(self) -> tuple[int, int, int]:
        """Wrong codes that the account has: in 30 days, of recovery codes, of the setup."""
        setup = self.setup.failures if self.setup else 0
        if self.confirmed is None:
            return 0, 0, setup
        budgets = self.confirmed.budgets
        return budgets.code.failures_in_30_days, budgets.recovery.failures, setup

    @cached_property
    def waits(self) -> tuple[Waits, Waits] | None:
        """The consecutive wrong codes and when the last of them was, of both kinds."""
        if self.confirmed is None:
            return None
        return self.confirmed.budgets.code.waits, self.confirmed.budgets.recovery

    def shown_by(self, typed: str, now: int) -> frozenset[tuple[str, int]]:
        """Return which authenticators show this code now, and at which counters."""
        return frozenset(
            (name, counter)
            for name in self.ids
            for counter in window_of(self.secrets[name], now).get(typed, ())
        )

    def is_fresh(self, typed: str, now: int) -> bool:
        """Return whether this code would be right: shown now, never before; or unspent."""
        if self.confirmed is None:
            return False
        if len(typed) == RECOVERY_CODE_LENGTH:
            return self.is_unspent(typed)
        shown = self.shown_by(typed, now)
        return bool(shown) and all(
            counter > self.authenticators[name].last_counter for name, counter in shown
        )

    def is_unspent(self, typed: str) -> bool:
        """Return whether a recovery code stands in the set and is not spent."""
        recovery = self.confirmed.recovery if self.confirmed else None
        place = recovery.find(USER, read_code(typed)) if recovery else None
        return recovery is not None and place is not None and not recovery.spent[place]


class Rows:
    """Every row that was seen, decoded once."""

    MOST = 20_000

    def __init__(self) -> None:
        self._seen: dict[object, Seen] = {}

    def seen(self, row: Row) -> Seen:
        """Return a row decoded; one that the library cannot read raises what decoding raises."""
        key = row and (row.document, row.state, row.setup_expires_at, row.changed_at)
        found = self._seen.get(key)
        if found is None:
            if len(self._seen) >= self.MOST:
                self._seen.clear()
            found = self._seen[key] = Seen(row)
        return found


class Write:
    """A write that landed, with the request that made it and both rows decoded."""

    __slots__ = ("after", "before", "landed", "now", "typed", "writer")

    def __init__(self, landed: Landed, happened: Happened) -> None:
        self.landed = landed
        self.before = happened.rows.seen(landed.before)
        self.after = happened.rows.seen(landed.after)
        self.writer = happened.run.answers[landed.by]
        self.typed = happened.typed(self.writer)
        self.now = happened.now(self.writer)

    @property
    def counts(self) -> bool:
        """Whether it records a wrong code: a budget is charged, or the setup's last try is gone."""
        before, after = self.before.failures, self.after.failures
        if any(more > less for more, less in zip(after, before, strict=True)):
            return True
        exhausted = self.before.setup is not None and self.after.setup is None
        return self.writer.asked.verb == "confirm" and exhausted and not self._confirms

    @property
    def rewinds(self) -> bool:
        """Whether it only moves a wait that a clock ahead had stored."""
        before, after = self.before, self.after
        if before.confirmed is None or after.confirmed is None or before.waits == after.waits:
            return False
        return before.failures == after.failures and self._same_but_waits

    @property
    def _confirms(self) -> bool:
        return bool(self.after.ids - self.before.ids)

    @property
    def _same_but_waits(self) -> bool:
        before, after = self.before.waits, self.after.waits
        assert before is not None
        assert after is not None
        same = [one.failures for one in before] == [one.failures for one in after]
        return same and all(new.since <= old.since for new, old in zip(after, before, strict=True))


class Happened:
    """A run as the invariants look at it."""

    def __init__(self, run: Run, rows: Rows) -> None:
        self.run = run
        self.rows = rows
        self.start: Start = run.start
        self.writes = [Write(landed, self) for landed in run.history]
        self.by: dict[int, list[Write]] = {one.place: [] for one in run.answers}
        for write in self.writes:
            self.by[write.landed.by].append(write)

    def now(self, answer: Answer) -> int:
        """Return what the clock said to a request: its last reading."""
        return self.run.readings.get(answer.place, [START])[-1]

    def typed(self, answer: Answer) -> str | None:
        """Return the code that a request typed."""
        return answer.asked.typed(self.start, answer.of)

    def standing(self, answer: Answer) -> list[Write]:
        """Return the writes of a request that no erasure took back."""
        erased = max((w.landed.step for w in self.writes if w.landed.after is None), default=-1)
        return [write for write in self.by[answer.place] if write.landed.step >= erased]

    def last_loaded(self, answer: Answer) -> Seen | None:
        """Return the row that a request loaded last, if it loaded one."""
        loaded = self.run.loaded.get(answer.place)
        return self.rows.seen(loaded[-1]) if loaded else None

    def row_at(self, step: int) -> Seen:
        """Return the row that stood there after a step."""
        row = self.start.row
        for landed in self.run.history:
            if landed.step > step:
                break
            row = landed.after
        return self.rows.seen(row)

    def accepted(self, answer: Answer) -> bool:
        """Return whether the code that a request typed was taken, told or not."""
        if answer.asked.code is None and not answer.asked.own:
            return False
        if not answer.raised:
            return True
        landed = answer.fault is not None and self.standing(answer)
        return bool(landed) and not any(one.counts or one.rewinds for one in landed or ())

    def told_wrong(self, answer: Answer) -> bool:
        """Return whether a request was told that its code is wrong."""
        return answer.raised and isinstance(answer.value, (WrongCodeError, SetupExhaustedError))
