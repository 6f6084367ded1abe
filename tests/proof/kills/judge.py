"""The judge: whether everything that was acknowledged holds, by a handle of its own.

What it finds wrong is a sentence in ``findings``. An account of one worker is compared with the
model, call by call, and its record with each of the accounts that may be there: the call in
flight was either done or not. Of an account that workers share it checks the promises: one code,
one success; what was spent is spent; no wrong code is lost.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from otp_enroll import Enroller, Policy, errors
from otp_enroll.policy import AttemptBudget
from otp_enroll.storage.protocol import EnrollmentStore
from otp_enroll.testing import FrozenClock
from proof.kills import codes
from proof.kills.calls import CIPHER, OUTSIDE
from proof.kills.flows import Shared
from proof.kills.journal import ACCEPTED, Op, Typed
from proof.kills.model import PERIOD, Account, possible
from proof.kills.stored import Stored, differences, fenced, read

PATIENT: Final = Policy(
    budget=AttemptBudget(free_attempts=10, lock_after=100, lock_after_in_30_days=1000)
)
"""The judge's: waits come later, so that it can ask what the workers had to wait for."""

DAMAGE: Final = {
    "AdapterError",
    "CorruptRecordError",
    "RecordTooNewError",
    "TransitionBrokenError",
    "UnreadableSecretError",
}
"""Errors that no flow makes: a caller that gets one found a damaged record, or a broken verb."""

_PAST_ALL_WAITS: Final = 7200


@dataclass(slots=True)
class Judge:
    """Judges after the fact.

    Attributes:
        store: A handle of its own.
        rng: For wrong codes.
        answers: How many acknowledged answers were checked.
        landed: Calls in flight at a kill that had been written.
        lost: Calls in flight at a kill that would have written, and had not.
        errors: What the workers were told, by name.
        findings: What is wrong.
    """

    store: EnrollmentStore
    rng: random.Random
    answers: int = 0
    landed: int = 0
    lost: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])
    findings: list[str] = field(default_factory=list[str])
    clock: FrozenClock = field(default_factory=FrozenClock)
    enroller: Enroller = field(init=False)

    def __post_init__(self) -> None:
        self.enroller = Enroller(
            self.store, issuer="Exir", cipher=CIPHER, policy=PATIENT, clock=self.clock
        )

    def count(self, ops: Iterable[Op]) -> None:
        """Count answers, and find those that nobody may ever get."""
        for op in ops:
            self.answers += op.acknowledged
            verdict = op.reply.verdict if op.reply else "in flight"
            cause = op.reply.cause if op.reply else ""
            self.errors[f"{verdict} ({cause})" if cause else verdict] += 1
            if verdict.startswith(OUTSIDE) or verdict in DAMAGE:
                self._find(op.call.user, f"call {op.call.number}, {op.call.verb}: {verdict}")

    def own(self, ops: Iterable[Op]) -> None:
        """Judge the accounts that one worker had to itself, when it is dead."""
        by_user: defaultdict[str, list[Op]] = defaultdict(list)
        for op in ops:
            if op.call.user.startswith("own-"):
                by_user[op.call.user].append(op)
        for user, its in by_user.items():
            self._guarded(user, partial(self._own, user, its))

    def shared(self, accounts: Iterable[Shared], ops: Iterable[Op], *, probe: bool = True) -> None:
        """Judge the accounts of all workers, when all are dead.

        Args:
            accounts: Which ones.
            ops: The calls of all workers.
            probe: Whether to present spent codes again, which writes. Without, nothing may be
                in flight.
        """
        by_user: defaultdict[str, list[Op]] = defaultdict(list)
        for op in ops:
            by_user[op.call.user].append(op)
        for account in accounts:
            its = by_user[account.user]
            self._guarded(account.user, partial(self._shared, account, its, probe=probe))

    def _guarded(self, user: str, judge: Callable[[], None]) -> None:
        try:
            judge()
        except Exception as error:  # noqa: BLE001  # whatever a broken record makes the judge trip on
            self._find(user, f"the judge met {type(error).__name__}: {error}")

    def _find(self, user: str, fault: str) -> None:
        self.findings.append(f"{user}: {fault}")

    # --- an account of one worker ---

    def _own(self, user: str, ops: list[Op]) -> None:
        before = accounts = frozenset({Account()})
        for op in ops:
            if not op.acknowledged:
                before = accounts
            accounts = possible(accounts, op)
            if not accounts:
                said = op.reply.verdict if op.reply else "nothing"
                self._find(user, f"call {op.call.number}, {op.call.verb}, was told {said}")
                return
        stored = read(fenced(self.store, user))
        told = {account: differences(stored, account) for account in accounts}
        found = [account for account, faults in told.items() if not faults]
        if not found:
            nearest = min(told.values(), key=len)
            self._find(user, f"after {_tale(ops)}: {'; '.join(nearest)}")
            return
        if not ops[-1].acknowledged and len(accounts) > 1:
            self.lost += found[0] in before
            self.landed += found[0] not in before
        if ops[-1].acknowledged or (stored.record and ops[-1].call.verb != "erase"):
            # An erase or a first save in flight may still come, and no revision stops it.
            self._ask(user, found[0], stored, ops)

    def _ask(self, user: str, account: Account, stored: Stored, ops: list[Op]) -> None:
        """Present what was spent and what is void, and then what must work."""
        now = max(ops[-1].call.at, account.phone.last * PERIOD if account.phone else 0)
        keys = sorted({op.reply.key for op in ops if op.reply and op.reply.key})
        status = self._status(user, now)
        if status != account.at(now).state:
            self._find(user, f"status says {status}")
        if account.phone is None:
            for key in keys[-2:]:
                typed = codes.code_of(key, now // PERIOD, keys, now)
                self._expect(user, typed, now, "NotEnrolledError")
            return
        key, last = account.phone.key, account.phone.last
        spent = codes.code_of(key, last, keys, last * PERIOD)
        self._expect(user, spent, last * PERIOD, "CodeReusedError", "TooManyAttemptsError")
        for text in sorted(account.spent)[:3]:
            typed = codes.recovery_code(text)
            self._expect(user, typed, now, "CodeReusedError", "TooManyAttemptsError")
        later = now + _PAST_ALL_WAITS
        for void in [one for one in keys if one != key][-2:]:
            typed = codes.code_of(void, later // PERIOD, keys, later)
            self._expect(user, typed, later, "WrongCodeError")
            later += _PAST_ALL_WAITS
        typed = codes.code_of(key, later // PERIOD, keys, later)
        self._expect(user, typed, later, ACCEPTED)
        for text in sorted(one for one in account.unspent if stored.is_spent(one) is False)[:1]:
            self._expect(user, codes.recovery_code(text), later, ACCEPTED)
            self._expect(user, codes.recovery_code(text), later, "CodeReusedError")

    def _status(self, user: str, now: int) -> str:
        self.clock.now = now
        return self.enroller.status(user).state

    def _expect(self, user: str, typed: Typed | None, now: int, *due: str) -> None:
        """Present a code; ``None`` is one that is by chance ambiguous, and is left out."""
        if typed is None:
            return
        self.clock.now = now
        try:
            self.enroller.verify(user, typed.text)
            verdict = ACCEPTED
        except errors.EnrollmentError as error:
            verdict = type(error).__name__
        if verdict not in due:
            which = f"counter {typed.counter}" if typed.key else typed.kind
            self._find(user, f"asked again with {which}, it says {verdict} and not {due[0]}")

    # --- an account of all workers ---

    def _shared(self, account: Shared, ops: list[Op], *, probe: bool) -> None:
        user = account.user
        accepted = [op for op in ops if op.accepted and op.call.typed is not None]
        maybe = [op for op in ops if not op.acknowledged and op.call.typed is not None]
        for fault in (*_twice(accepted), *_too_late(accepted), *_groundless(ops)):
            self._find(user, fault)
        stored = read(fenced(self.store, user) if probe else self.store.load(user))
        for fault in _not_stored(account, stored, accepted, maybe):
            self._find(user, fault)
        for fault in _failures(stored, ops):
            self._find(user, fault)
        if probe and not self.findings:
            self._ask_shared(account, stored, ops)

    def _ask_shared(self, account: Shared, stored: Stored, ops: list[Op]) -> None:
        last = stored.phones[0].last
        typed = codes.code_of(account.key, last, (), last * PERIOD)
        patience = "TooManyAttemptsError"
        self._expect(account.user, typed, last * PERIOD, "CodeReusedError", patience)
        now = max([last * PERIOD, *(op.call.at for op in ops)]) + _PAST_ALL_WAITS
        for text in account.codes:
            due = "CodeReusedError" if stored.is_spent(text) else ACCEPTED
            self._expect(account.user, codes.recovery_code(text), now, due)
        typed = codes.code_of(account.key, now // PERIOD, (), now)
        self._expect(account.user, typed, now, ACCEPTED)


def _tale(ops: list[Op]) -> str:
    last = [f"{op.call.verb} {op.reply.verdict if op.reply else 'in flight'}" for op in ops[-4:]]
    return ", ".join(last)


def _meaning(typed: Typed) -> tuple[str, object]:
    return (typed.key, typed.counter) if typed.key else (typed.kind, typed.text)


def _twice(accepted: list[Op]) -> list[str]:
    counted = Counter(_meaning(op.call.typed) for op in accepted if op.call.typed)
    return [f"{what} succeeded {n} times" for (_, what), n in counted.items() if n > 1]


def _too_late(accepted: list[Op]) -> list[str]:
    """Find a code accepted after the answer to a later one was given (RFC 6238 §5.2)."""
    faults = []
    shown = [op for op in accepted if op.call.typed and op.call.typed.key]
    ends = sorted(
        (op.reply.ended, op.call.typed.counter) for op in shown if op.reply and op.call.typed
    )
    highest = -1
    for op in sorted(shown, key=lambda op: op.call.began):
        while ends and ends[0][0] < op.call.began:
            highest = max(highest, ends.pop(0)[1])
        if op.call.typed and op.call.typed.counter <= highest:
            faults.append(f"counter {op.call.typed.counter} succeeded after {highest}")
    return faults


def _groundless(ops: list[Op]) -> list[str]:
    """Find a code called used before any call could have used it, or a later one."""
    faults = []
    uses = [op for op in ops if op.call.typed and (op.accepted or not op.acknowledged)]
    for op in ops:
        typed = op.call.typed
        if typed is None or op.reply is None or op.reply.verdict != "CodeReusedError":
            continue
        ended = op.reply.ended
        if not any(_explains(use, typed, ended) for use in uses):
            faults.append(f"{typed.kind} {typed.counter} was called used, and nobody used it")
    return faults


def _explains(use: Op, typed: Typed, ended: int) -> bool:
    used = use.call.typed
    if used is None or use.call.began > ended:
        return False
    if typed.key:
        return used.key == typed.key and used.counter >= typed.counter
    return used.text == typed.text


def _not_stored(account: Shared, stored: Stored, accepted: list[Op], maybe: list[Op]) -> list[str]:
    if len(stored.phones) != 1 or stored.phones[0].key != account.key:
        return ["it is not confirmed with its key"]
    faults = []
    last = stored.phones[0].last
    sure = [op.call.typed for op in accepted if op.call.typed]
    open_ = [op.call.typed for op in maybe if op.call.typed]
    highest = max([account.last, *(one.counter for one in sure if one.key)])
    if last not in {highest, *(one.counter for one in open_ if one.key and one.counter > highest)}:
        faults.append(f"the last counter is {last}, and {highest} succeeded")
    spent = {text for text in account.codes if stored.is_spent(text)}
    used = {one.text for one in sure if one.kind == "recovery code"}
    may_be = {one.text for one in open_ if one.kind == "recovery code"}
    if not used <= spent <= used | may_be:
        faults.append(f"{len(spent)} recovery codes are spent, and {len(used)} were used")
    return faults


def _failures(stored: Stored, ops: list[Op]) -> list[str]:
    """Compare the wrong codes that were told with those that are counted."""
    guesses = [op for op in ops if op.call.typed and op.call.typed.kind == "code"]
    told = sum(op.reply is not None and op.reply.verdict == "WrongCodeError" for op in guesses)
    open_ = sum(
        not op.acknowledged and op.call.typed is not None and not op.call.typed.key
        for op in guesses
    )
    if told <= stored.wrong_codes <= told + open_:
        return []
    return [f"{stored.wrong_codes} wrong codes are counted, {told} were told, {open_} are open"]
