"""Making one call of an enroller, and telling its answer as a reply."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from otp_enroll import Enroller, Override, Policy, StoredEnrollment, errors
from otp_enroll.policy import AttemptBudget
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.protocol import EnrollmentStore
from otp_enroll.testing import FrozenClock
from proof.kills.journal import ACCEPTED, Call, Reply, Typed, line_of

CIPHER: Final = AESGCMKeyRing({"test": bytes(range(32))})

POLICY: Final = Policy(budget=AttemptBudget(lock_after=100, lock_after_in_30_days=1000))
"""Waits as by default, and a lock that no run reaches: a locked account would be idle."""

OUTSIDE: Final = "outside the tree: "
"""How the verdict begins when an error was raised that is none of the library's."""

VOUCHED: Final = Override(actor="tests", reason="a proof of its own")


def proof_of(typed: Typed | None) -> Any:
    """Return what is passed as ``proof``."""
    if typed is None:
        return None
    return VOUCHED if typed.kind == "override" else typed.text


def _text(call: Call) -> str:
    return call.typed.text if call.typed else ""


_PERFORM: Final[dict[str, Callable[[Enroller, Call], Any]]] = {
    "begin": lambda e, c: e.begin(c.user, account_name=c.user, proof=proof_of(c.typed)),
    "resume": lambda e, c: e.resume(c.user, setup_id=c.setup_id),
    "confirm": lambda e, c: e.confirm(c.user, _text(c), setup_id=c.setup_id),
    "cancel": lambda e, c: e.cancel(c.user, setup_id=c.setup_id),
    "verify": lambda e, c: e.verify(c.user, _text(c)),
    "disable": lambda e, c: e.disable(c.user, proof=proof_of(c.typed)),
    "regenerate_recovery_codes": lambda e, c: e.regenerate_recovery_codes(
        c.user, proof=proof_of(c.typed)
    ),
    "rename": lambda e, c: e.rename(c.user, c.name, c.new_name),
    "erase": lambda e, c: e.erase(c.user, proof=VOUCHED),
    "status": lambda e, c: e.status(c.user),
}

_FACTS: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "begin": lambda setup: {"key": setup.key, "setup_id": setup.id},
    "resume": lambda setup: {"key": setup.key, "setup_id": setup.id},
    "confirm": lambda confirmed: {"codes": tuple(confirmed.recovery_codes or ())},
    "regenerate_recovery_codes": lambda codes: {"codes": tuple(codes)},
    "verify": lambda verified: {"left": verified.recovery_codes_left},
    "status": lambda status: {"left": status.recovery_codes_left, "state": status.state},
}


def _spelt(facts: dict[str, Any]) -> dict[str, Any]:
    """Spell recovery codes as the journal has them: without what is there for the eye."""
    if "codes" in facts:
        facts["codes"] = tuple(one.replace("-", "").replace(" ", "") for one in facts["codes"])
    return facts


def _answer(enroller: Enroller, call: Call) -> tuple[str, str, dict[str, Any]]:
    try:
        given = _PERFORM[call.verb](enroller, call)
    except errors.WrongCodeError:
        return "WrongCodeError", "", {}  # confirm has two more, which say why
    except errors.EnrollmentError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else ""
        return type(error).__name__, cause, {}
    except Exception as error:  # noqa: BLE001  # to be judged, and not to end the worker
        return OUTSIDE + type(error).__name__, "", {}
    return ACCEPTED, "", _spelt(_FACTS.get(call.verb, lambda _: {})(given))


@dataclass(slots=True)
class Caller:
    """Makes calls through one enroller, and journals each.

    Attributes:
        say: What a line is written with.
        made: How many calls were made.
    """

    enroller: Enroller
    clock: FrozenClock
    say: Callable[[str], None]
    made: int = 0

    def call(self, user: str, verb: str, at: int, **facts: Any) -> tuple[Call, Reply]:
        """Announce a call, make it, and write its answer down."""
        self.made += 1
        began = time.monotonic_ns()
        call = Call(number=self.made, began=began, user=user, verb=verb, at=at, **facts)
        self.say(line_of(call))
        self.clock.now = at
        started = time.perf_counter_ns()
        verdict, cause, told = _answer(self.enroller, call)
        ended = time.perf_counter_ns()
        reply = Reply(
            number=self.made,
            ended=time.monotonic_ns(),
            micros=(ended - started) // 1000,
            verdict=verdict,
            cause=cause,
            **told,
        )
        self.say(line_of(reply))
        return call, reply


def caller_over(store: EnrollmentStore, say: Callable[[str], None]) -> Caller:
    """Return a caller with an enroller and a clock of its own."""
    clock = FrozenClock()
    enroller = Enroller(store, issuer="Exir", cipher=CIPHER, policy=POLICY, clock=clock)
    return Caller(enroller, clock, say)


class ForgetfulStore:
    """A store that lies: it acknowledges a save and keeps it in its own memory for a while.

    Args:
        store: Where the saves go in the end.
        behind: How many saves it keeps to itself.
    """

    joined = False

    def __init__(self, store: EnrollmentStore, behind: int) -> None:
        self._store = store
        self._behind = behind
        self._kept: list[tuple[StoredEnrollment, str | None]] = []

    def load(self, user_id: str) -> StoredEnrollment | None:
        for record, _ in reversed(self._kept):
            if record.user_id == user_id:
                return record
        return self._store.load(user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        before = self.load(record.user_id)
        if (before and before.revision) != expected:
            return False
        self._kept.append((record, expected))
        self._flush(self._behind)
        return True

    def delete(self, user_id: str) -> None:
        self._flush(0)
        self._store.delete(user_id)

    def _flush(self, most: int) -> None:
        while len(self._kept) > most:
            record, expected = self._kept.pop(0)
            self._store.save(record, expected=expected)
