"""Random flows of a worker: on accounts of its own, and on those that all workers share."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from proof.kills import codes
from proof.kills.calls import Caller
from proof.kills.journal import ACCEPTED, UNKNOWN, Call, Reply, Typed
from proof.kills.model import FIRST_NAME, PERIOD

START: Final = 1_800_000_000
OWN: Final = 3
LONGEST_LIFE: Final = 40
HOT_PART: Final = 0.2

Answered = tuple[Call, Reply]

Choice = tuple[str, str]
"""A verb, and what is typed with it."""

_OFF: Final[Mapping[Choice, int]] = {
    ("begin", ""): 10,
    ("verify", "wrong code"): 1,
    ("status", ""): 1,
    ("erase", ""): 1,
}
_STAGED: Final[Mapping[Choice, int]] = {
    ("confirm", "code"): 10,
    ("confirm", "wrong code"): 4,
    ("resume", ""): 2,
    ("cancel", ""): 2,
}
_ON: Final[Mapping[Choice, int]] = {
    ("verify", "code"): 14,
    ("verify", "wrong code"): 7,
    ("verify", "spent code"): 4,
    ("verify", "recovery code"): 4,
    ("verify", "spent recovery code"): 2,
    ("verify", "wrong recovery code"): 2,
    ("begin", ""): 1,
    ("begin", "code"): 5,
    ("begin", "recovery code"): 2,
    ("begin", "override"): 2,
    ("begin", "wrong code"): 1,
    ("regenerate_recovery_codes", "code"): 2,
    ("rename", ""): 2,
    ("disable", "code"): 1,
    ("disable", "recovery code"): 1,
    ("disable", "wrong code"): 1,
    ("status", ""): 2,
    ("erase", ""): 1,
}
_SHARED: Final[Mapping[Choice, int]] = {
    ("verify", "code"): 60,
    ("verify", "wrong code"): 14,
    ("verify", "recovery code"): 4,
    ("verify", "wrong recovery code"): 2,
    ("status", ""): 6,
}


def _chosen(choices: Mapping[Choice, int], rng: random.Random) -> Choice:
    return rng.choices(list(choices), list(choices.values()))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """An account that all workers use.

    Attributes:
        user: Its id.
        key: Its setup key, which stays.
        codes: Its recovery codes, which stay.
        last: The counter that confirmed it.
    """

    user: str
    key: str
    codes: tuple[str, ...]
    last: int

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Fast:
    """A clock that all processes of the machine share and that goes faster than time.

    Attributes:
        origin: Nanoseconds of the machine's monotonic clock at ``START``.
        speed: Seconds that it goes in one.
    """

    origin: int
    speed: int

    def now(self) -> int:
        """Return whole Unix seconds."""
        return START + PERIOD * 4 + (time.monotonic_ns() - self.origin) * self.speed // 10**9


@dataclass(slots=True)
class Life:
    """What a worker believes of an account of its own. It only chooses by it."""

    user: str
    now: int
    calls: int = 0
    keys: list[str] = field(default_factory=list)
    working: list[str] = field(default_factory=list)
    staged: tuple[str, str] | None = None
    last: tuple[str, int] | None = None
    codes: list[str] = field(default_factory=list)
    spent: list[str] = field(default_factory=list)
    name: str = FIRST_NAME

    def choices(self, rng: random.Random) -> Mapping[Choice, int]:
        """Return what makes sense next, mostly."""
        if self.staged is not None and rng.random() < 0.75:
            return _STAGED
        return _ON if self.working else _OFF

    def typed(self, verb: str, kind: str, rng: random.Random) -> Typed | None:
        """Return what to type, or something wrong where there is nothing better."""
        if kind == "override":
            return codes.OVERRIDE
        if not kind:
            return None
        found: Typed | None = None
        if kind == "code":
            found = self._fresh(verb, rng)
        elif kind == "spent code" and self.last is not None:
            found = codes.code_of(*self.last, self.keys, self.now)
        elif kind == "recovery code" and self.codes:
            found = codes.recovery_code(rng.choice(self.codes))
        elif kind == "spent recovery code" and self.spent:
            found = codes.recovery_code(rng.choice(self.spent))
        elif kind == "wrong recovery code":
            found = codes.wrong_recovery_code(rng)
        return found or codes.wrong_code(self.keys, self.now, rng)

    def _fresh(self, verb: str, rng: random.Random) -> Typed | None:
        keys = [self.staged[1]] if verb == "confirm" and self.staged else self.working
        counter = self.now // PERIOD + rng.choice((-1, 0, 0, 0, 1))
        return codes.code_of(rng.choice(keys), counter, self.keys, self.now) if keys else None

    def learn(self, call: Call, reply: Reply) -> None:
        """Take in an answer, or that there was none."""
        if reply.verdict == ACCEPTED:
            self._spend(call.typed)
            self._done(call, reply)
        elif reply.verdict == UNKNOWN and call.verb == "confirm" and self.staged:
            self.working.append(self.staged[1])
        elif reply.verdict == "TooManyAttemptsError":
            self.now += 3600
        elif reply.verdict == "NotEnrolledError":
            self.working = []
        elif reply.verdict in {"NotPendingError", "SetupExpiredError", "SetupSupersededError"}:
            self.staged = None
        elif reply.verdict == "ProofRequiredError" and not self.working:
            self.working = self.keys[-2:]

    def _spend(self, typed: Typed | None) -> None:
        if typed is None:
            return
        if typed.key:
            self.last = (typed.key, typed.counter)
            self.working = [typed.key]
        elif typed.text in self.codes:
            self.codes.remove(typed.text)
            self.spent.append(typed.text)

    def _done(self, call: Call, reply: Reply) -> None:
        if reply.codes:
            self.codes, self.spent = list(reply.codes), []
        match call.verb:
            case "begin":
                self.staged = (reply.setup_id, reply.key)
                self.keys.append(reply.key)
            case "confirm" | "cancel":
                self.staged = None
            case "disable" | "erase":
                self.working, self.staged, self.name = [], None, FIRST_NAME
                self.codes, self.spent = [], []
            case "rename":
                self.name = call.new_name
            case "status" if reply.state == "disabled":
                self.working, self.staged = [], None


@dataclass(slots=True)
class Flows:
    """A worker's flows.

    Attributes:
        caller: Makes the calls.
        rng: Chooses.
        name: The worker's, for the ids of its accounts.
        shared: The accounts of all workers.
        fast: Their clock.
        part: How many calls of 1 go to them.
        hot: How many of the first of them get ``HOT_PART`` of those calls to themselves.
        pause: Seconds after a ``StorageError``: a server may be down.
        lives: Its accounts.
        born: How many it had.
        unsure: The account and time of a call whose outcome is unknown.
    """

    caller: Caller
    rng: random.Random
    name: str
    shared: list[Shared]
    fast: Fast
    part: float
    hot: int = 0
    pause: float = 0.02
    lives: list[Life] = field(default_factory=list)
    born: int = 0
    unsure: tuple[str, int] | None = None

    def step(self) -> None:
        """Make one call; after one with an unknown outcome, ask until there is an answer."""
        if self.unsure:
            user, now = self.unsure
            call, reply = self.caller.call(user, "status", now)
        elif self.shared and self.rng.random() < self.part:
            call, reply = self._on_shared(self._one_of_all())
        else:
            call, reply = self._on_own()
        if reply.verdict != UNKNOWN:
            self.unsure = None
            return
        self.unsure = call.user, call.at
        time.sleep(self.pause)

    def _one_of_all(self) -> Shared:
        if self.hot and self.rng.random() < HOT_PART:
            return self.rng.choice(self.shared[: self.hot])
        return self.rng.choice(self.shared)

    def _on_shared(self, account: Shared) -> Answered:
        verb, kind = _chosen(_SHARED, self.rng)
        now = self.fast.now()
        typed: Typed | None = None
        if kind == "code":
            counter = now // PERIOD + self.rng.choice((-1, 0, 0, 0, 1))
            typed = codes.code_of(account.key, counter, (), now)
        elif kind == "recovery code":
            typed = codes.recovery_code(self.rng.choice(account.codes))
        elif kind == "wrong recovery code":
            typed = codes.wrong_recovery_code(self.rng)
        if verb == "verify":
            typed = typed or codes.wrong_code([account.key], now, self.rng)
        return self.caller.call(account.user, verb, now, typed=typed)

    def _on_own(self) -> Answered:
        while len(self.lives) < OWN:
            self.born += 1
            start = START + self.rng.randrange(10**6)
            self.lives.append(Life(f"own-{self.name}-{self.born}", start))
        life = self.rng.choice(self.lives)
        answered = self._live(life)
        if life.calls >= LONGEST_LIFE:
            self.lives.remove(life)
        return answered

    def _live(self, life: Life) -> Answered:
        verb, kind = _chosen(life.choices(self.rng), self.rng)
        life.now += self.rng.choice((0, 0, 5, 30, 30, 60, 60, 90))
        if self.rng.random() < 0.01:
            life.now += 1000
        return self.do(life, verb, kind)

    def do(self, life: Life, verb: str, kind: str) -> Answered:
        """Make this call on an account of its own."""
        life.calls += 1
        facts: dict[str, Any] = {"typed": life.typed(verb, kind, self.rng)}
        if verb in {"confirm", "resume", "cancel"}:
            facts["setup_id"] = life.staged[0] if life.staged else "none"
        if verb == "rename":
            names = [one for one in (FIRST_NAME, "a", "b") if one != life.name]
            facts |= {"name": life.name, "new_name": self.rng.choice(names)}
        call, reply = self.caller.call(life.user, verb, life.now, **facts)
        life.learn(call, reply)
        return call, reply
