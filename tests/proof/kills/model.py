"""What an account must be after each call: a model of one account with one authenticator.

It is written from the promises, without the library's rules, and knows what no caller can know:
after a call whose answer is lost there are two possible accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from proof.kills.journal import ACCEPTED, Call, Op, Reply, Typed

PERIOD: Final = 30
SETUP_SECONDS: Final = 900
SETUP_WRONG_CODES: Final = 10
FREE: Final = 5
FIRST_WAIT: Final = 30
LONGEST_WAIT: Final = 3600
FIRST_NAME: Final = "default"

UNSEEN: Final = frozenset(f"unseen {n}" for n in range(10))
"""Recovery codes that nobody saw, because the answer that showed them was lost."""

_SETUP_VERBS: Final = frozenset({"confirm", "resume", "cancel"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """The confirmed authenticator."""

    name: str
    key: str
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The setup under way; without key and id if the answer that showed them was lost."""

    key: str
    setup_id: str
    expires: int
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Failures:
    """Consecutive wrong answers, and when the last one was."""

    count: int = 0
    since: int = 0

    def wait(self, now: int) -> bool:
        """Return whether nothing is judged now."""
        if self.count < FREE:
            return False
        doubled: int = FIRST_WAIT * 2 ** (self.count - FREE)
        return now < self.since + min(doubled, LONGEST_WAIT)

    def failed(self, now: int) -> Failures:
        """Count one more."""
        return Failures(self.count + 1, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All that is promised of an account; ``total`` is the wrong codes in 30 days."""

    phone: Phone | None = None
    staged: Staged | None = None
    unspent: frozenset[str] = frozenset()
    spent: frozenset[str] = frozenset()
    codes: Failures = Failures()
    recovery: Failures = Failures()
    total: int = 0

    @property
    def state(self) -> str:
        """The word for it."""
        if self.phone is not None:
            return "confirmed"
        return "disabled" if self.staged is None else "pending"

    def at(self, now: int) -> Account:
        """Return what is left of it when the time of a setup is over."""
        if self.staged is None or now < self.staged.expires:
            return self
        return replace(self, staged=None)


Outcome = tuple[str, Account | None]
"""The verdict, and the account that is written; ``None`` if nothing is."""

NO_REPLY: Final = Reply(number=0, ended=0, micros=0, verdict="")


def step(account: Account, op: Op) -> tuple[str, Account]:
    """Return what a call must answer, and the account after it."""
    call = op.call
    seen = account if call.verb in _SETUP_VERBS else account.at(call.at)
    verdict, after = _VERBS[call.verb](seen, call, op.reply or NO_REPLY)
    return verdict, account if after is None else after


def possible(accounts: frozenset[Account], op: Op) -> frozenset[Account]:
    """Return the accounts that may be there after a call; none if its answer is a lie."""
    found: set[Account] = set()
    for account in accounts:
        verdict, after = step(account, op)
        if not op.acknowledged:
            found |= {account, after}
        elif op.reply and verdict == op.reply.verdict and _told(account, after, op.call, op.reply):
            found.add(after)
    return frozenset(found)


def _told(before: Account, after: Account, call: Call, reply: Reply) -> bool:
    """Compare what a call told with the account."""
    match call.verb if reply.verdict == ACCEPTED else "refused":
        case "verify":
            return reply.left == len(after.unspent)
        case "status":
            now = after.at(call.at)
            left = len(now.unspent) if now.phone else None
            return (reply.state, reply.left) == (now.state, left)
        case "resume":
            return after.staged is not None and reply.key == after.staged.key
        case "confirm" | "regenerate_recovery_codes":
            return frozenset(reply.codes) == after.unspent - before.unspent
        case _:
            return True


def matches(key: str, typed: Typed | None, now: int) -> bool:
    """Return whether a code is one of this key now."""
    if typed is None or not typed.key or typed.key != key:
        return False
    return abs(typed.counter - now // PERIOD) <= 1


def _judge(account: Account, phone: Phone, typed: Typed, now: int) -> Outcome:
    if typed.kind == "recovery code":
        return _judge_recovery_code(account, typed.text, now)
    if account.codes.wait(now):
        return "TooManyAttemptsError", None
    if not matches(phone.key, typed, now):
        wrong = replace(account, codes=account.codes.failed(now), total=account.total + 1)
        return "WrongCodeError", wrong
    if typed.counter <= phone.last:
        return "CodeReusedError", None
    moved = replace(phone, last=typed.counter)
    return ACCEPTED, replace(account, phone=moved, codes=Failures())


def _judge_recovery_code(account: Account, text: str, now: int) -> Outcome:
    if account.recovery.wait(now):
        return "TooManyAttemptsError", None
    if text in account.spent:
        return "CodeReusedError", None
    if text not in account.unspent:
        return "WrongCodeError", replace(account, recovery=account.recovery.failed(now))
    unspent, spent = account.unspent - {text}, account.spent | {text}
    return ACCEPTED, replace(account, unspent=unspent, spent=spent, recovery=Failures())


def _prove(account: Account, call: Call) -> Outcome:
    if account.phone is None:
        return "NotEnrolledError", None
    if call.typed is None:
        return "ProofRequiredError", None
    if call.typed.kind == "override":
        return ACCEPTED, account
    return _judge(account, account.phone, call.typed, call.at)


def _begin(account: Account, call: Call, reply: Reply) -> Outcome:
    if account.phone is not None or (call.typed and call.typed.kind != "override"):
        verdict, proved = _prove(account, call)
    else:
        verdict, proved = ACCEPTED, account
    if verdict != ACCEPTED or proved is None:
        return verdict, proved
    staged = Staged(key=reply.key, setup_id=reply.setup_id, expires=call.at + SETUP_SECONDS)
    return ACCEPTED, replace(proved, staged=staged)


def _live(account: Account, call: Call) -> Staged | str:
    if account.staged is None:
        return "NotPendingError"
    if account.staged.setup_id != call.setup_id:
        return "SetupSupersededError"
    return account.staged if call.at < account.staged.expires else "SetupExpiredError"


def _resume(account: Account, call: Call, _: Reply) -> Outcome:
    live = _live(account, call)
    return (live if isinstance(live, str) else ACCEPTED), None


def _cancel(account: Account, call: Call, _: Reply) -> Outcome:
    live = _live(account, call)
    return (live, None) if isinstance(live, str) else (ACCEPTED, replace(account, staged=None))


def _confirm(account: Account, call: Call, reply: Reply) -> Outcome:
    live = _live(account, call)
    if isinstance(live, str):
        return live, None
    if call.typed is None or not matches(live.key, call.typed, call.at):
        if live.wrong + 1 == SETUP_WRONG_CODES:
            return "SetupExhaustedError", replace(account, staged=None)
        return "WrongCodeError", replace(account, staged=replace(live, wrong=live.wrong + 1))
    name = account.phone.name if account.phone else FIRST_NAME
    phone = Phone(name=name, key=live.key, last=call.typed.counter)
    after = replace(account, phone=phone, staged=None, codes=Failures())
    return ACCEPTED, after if after.unspent else _with_new_codes(after, reply)


def _with_new_codes(account: Account, reply: Reply) -> Account:
    unspent = frozenset(reply.codes) or UNSEEN
    return replace(account, unspent=unspent, spent=frozenset(), recovery=Failures())


def _verify(account: Account, call: Call, _: Reply) -> Outcome:
    return _prove(account, call)


def _disable(account: Account, call: Call, _: Reply) -> Outcome:
    verdict, proved = _prove(account, call)
    return verdict, Account() if verdict == ACCEPTED else proved


def _regenerate(account: Account, call: Call, reply: Reply) -> Outcome:
    verdict, proved = _prove(account, call)
    if verdict != ACCEPTED or proved is None:
        return verdict, proved
    return ACCEPTED, _with_new_codes(proved, reply)


def _rename(account: Account, call: Call, _: Reply) -> Outcome:
    phone = account.phone
    if phone is None:
        return "NotEnrolledError", None
    if phone.name != call.name:
        return "UnknownAuthenticatorError", None
    if call.new_name == call.name:
        return ACCEPTED, None
    return ACCEPTED, replace(account, phone=replace(phone, name=call.new_name))


def _erase(_account: Account, _call: Call, _: Reply) -> Outcome:
    return ACCEPTED, Account()


def _status(_account: Account, _call: Call, _: Reply) -> Outcome:
    return ACCEPTED, None


_VERBS: Final[dict[str, Callable[[Account, Call, Reply], Outcome]]] = {
    "begin": _begin,
    "resume": _resume,
    "confirm": _confirm,
    "cancel": _cancel,
    "verify": _verify,
    "disable": _disable,
    "regenerate_recovery_codes": _regenerate,
    "rename": _rename,
    "erase": _erase,
    "status": _status,
}
