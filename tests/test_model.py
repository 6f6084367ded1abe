"""The whole API against a simple model: random orders of verbs, users, codes, times and setups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from otp_enroll import Enroller, Override, Setup, Unencrypted, errors
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

USERS = ["sara", "dara"]
NAMES = ["default", "tablet", "laptop", "watch"]
VOUCHED = Override(actor="model", reason="test")
SETUP_LIFETIME = 900


@dataclass
class Phone:
    """What the model knows of an authenticator: its codes, and the last counter it spent."""

    app: FakeAuthenticator
    last: int


@dataclass
class Staged:
    """What the model knows of a setup."""

    setup: Setup
    name: str
    app: FakeAuthenticator
    expires_at: float
    wrong: int = 0


@dataclass
class Account:
    """The model of one account: a few lines instead of a library."""

    phones: dict[str, Phone] = field(default_factory=dict)
    staged: Staged | None = None
    unspent: set[str] = field(default_factory=set)
    spent: set[str] = field(default_factory=set)
    failures: int = 0
    since: float = 0
    total: int = 0
    locked: bool = False
    recovery_failures: int = 0
    recovery_since: float = 0

    @property
    def on(self) -> bool:
        return bool(self.phones)

    def off(self) -> None:
        self.__init__()  # type: ignore[misc]  # a new life


def wait_of(failures: int) -> float:
    """The schedule, as a reader of the promise would write it."""
    return 0 if failures < 5 else min(30 * 2 ** (failures - 5), 3600)


class Model(RuleBasedStateMachine):
    """Every answer of the library is foretold by the model."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FrozenClock()
        self.enroller = Enroller(
            MemoryStore(), issuer="Exir", cipher=Unencrypted(), clock=self.clock
        )
        self.accounts = {user: Account() for user in USERS}
        self.old_setups: list[Setup] = []

    @initialize(enrolled=st.sampled_from([(), ("sara",), ("sara", "dara")]))
    def enroll(self, enrolled: tuple[str, ...]) -> None:
        """Most of what can go wrong begins on a confirmed account."""
        for user in enrolled:
            self.begin(user, None, vouched=False)
            self.confirm(user, 0, old=False)
            self.clock.advance(60)

    # --- the model's judgement ---

    def counter(self) -> int:
        return int(self.clock.now) // 30

    def alive(self, account: Account) -> Staged | None:
        staged = account.staged
        return staged if staged and self.clock.now < staged.expires_at else None

    def judge(self, account: Account, code: str) -> type[Exception] | None:
        """Foretell what judging a code does, and do it to the model."""
        if account.locked:
            return errors.LockedError
        if account.failures >= 5 and self.clock.now < account.since + wait_of(account.failures):
            return errors.TooManyAttemptsError
        now = self.counter()
        shown = {
            name: [c for c in (now - 1, now, now + 1) if phone.app.code(c - now) == code]
            for name, phone in account.phones.items()
        }
        if any(min(hits) <= account.phones[name].last for name, hits in shown.items() if hits):
            return errors.CodeReusedError
        if not any(shown.values()):
            account.failures += 1
            account.total += 1
            account.since = self.clock.now
            account.locked = account.failures >= 50 or account.total >= 100
            return errors.WrongCodeError
        for name, hits in shown.items():
            if hits:
                account.phones[name].last = max(hits)
        account.failures = 0
        return None

    def judge_recovery(self, account: Account, code: str) -> type[Exception] | None:
        """The same for a recovery code."""
        if account.recovery_failures >= 5 and self.clock.now < account.recovery_since + wait_of(
            account.recovery_failures
        ):
            return errors.TooManyAttemptsError
        if code in account.spent:
            return errors.CodeReusedError
        if code not in account.unspent:
            account.recovery_failures += 1
            account.recovery_since = self.clock.now
            return errors.WrongCodeError
        account.unspent.remove(code)
        account.spent.add(code)
        account.recovery_failures = 0
        return None

    def happens(self, expected: type[Exception] | None, act: Any) -> Any:
        """Run a call and hold it against what was foretold."""
        answer, raised = None, None
        try:
            answer = act()
        except errors.EnrollmentError as error:
            raised = error
        if expected is errors.WrongCodeError:
            assert isinstance(raised, expected), f"foretold a wrong code, got {raised!r}"
        else:
            foretold = expected or type(None)
            assert type(raised) is foretold, f"foretold {foretold.__name__}, got {raised!r}"
        return answer

    # --- what people do ---

    @rule(
        user=st.sampled_from(USERS),
        name=st.sampled_from([None, *NAMES]),
        vouched=st.booleans(),
    )
    def begin(self, user: str, name: str | None, vouched: bool) -> None:
        account = self.accounts[user]
        expected: type[Exception] | None = None
        chosen = name or (next(iter(account.phones)) if len(account.phones) == 1 else "default")
        if account.on and name is None and len(account.phones) > 1:
            expected = errors.AmbiguousAuthenticatorError
        elif account.on and chosen not in account.phones and len(account.phones) >= 3:
            expected = errors.TooManyAuthenticatorsError
        elif account.on and not vouched:
            expected = errors.ProofRequiredError
        proof = VOUCHED if vouched else None
        setup = self.happens(
            expected,
            lambda: self.enroller.begin(user, account_name="x", authenticator=name, proof=proof),
        )
        if setup is not None:
            if account.staged:
                self.old_setups.append(account.staged.setup)
            app = FakeAuthenticator(setup.uri, self.clock)
            account.staged = Staged(setup, chosen, app, self.clock.now + SETUP_LIFETIME)

    @rule(user=st.sampled_from(USERS), offset=st.integers(-3, 3), old=st.booleans())
    def confirm(self, user: str, offset: int, old: bool) -> None:
        account = self.accounts[user]
        staged = account.staged
        code = staged.app.code(offset) if staged else "123456"
        setup_id = staged.setup.id if staged else "x" * 43
        if old and self.old_setups:
            setup_id = self.old_setups[-1].id
        expected: type[Exception] | None = None
        if staged is None:
            expected = errors.NotPendingError
        elif setup_id != staged.setup.id:
            expected = errors.SetupSupersededError
        elif self.alive(account) is None:
            expected = errors.SetupExpiredError
        elif code not in {staged.app.code(n) for n in (-1, 0, 1)}:
            staged.wrong += 1
            expected = errors.WrongCodeError
            if staged.wrong == 10:
                expected = errors.SetupExhaustedError
                account.staged = None
        done = self.happens(expected, lambda: self.enroller.confirm(user, code, setup_id=setup_id))
        if done is not None:
            assert staged is not None
            self.confirmed(account, staged, done, code)

    def confirmed(self, account: Account, staged: Staged, done: Any, code: str) -> None:
        """Swap the model's secret and compare the answer."""
        now = self.counter()
        last = max(c for c in (now - 1, now, now + 1) if staged.app.code(c - now) == code)
        others = [name for name in account.phones if name != staged.name]
        assert done.replaced == (staged.name in account.phones)
        assert sorted(done.removed) == (sorted(others) if account.locked else [])
        if account.locked:
            account.phones = {}
            account.locked, account.total = False, 0
        account.failures = 0
        account.phones[staged.name] = Phone(staged.app, last)
        account.staged = None
        assert (done.recovery_codes is None) == bool(account.unspent)
        if done.recovery_codes is not None:
            account.unspent, account.spent = set(done.recovery_codes), set()
            account.recovery_failures = 0

    @rule(user=st.sampled_from(USERS), right=st.booleans())
    def cancel(self, user: str, right: bool) -> None:
        account = self.accounts[user]
        expected: type[Exception] | None = None
        setup_id = account.staged.setup.id if account.staged and right else "y" * 43
        if account.staged is None:
            expected = errors.NotPendingError
        elif not right:
            expected = errors.SetupSupersededError
        elif self.alive(account) is None:
            expected = errors.SetupExpiredError
        self.happens(expected, lambda: self.enroller.cancel(user, setup_id=setup_id))
        if expected is None:
            account.staged = None

    @rule(user=st.sampled_from(USERS))
    def resume(self, user: str) -> None:
        account = self.accounts[user]
        staged = account.staged
        if staged is None:
            self.happens(
                errors.NotPendingError, lambda: self.enroller.resume(user, setup_id="z" * 43)
            )
            return
        expected = None if self.alive(account) else errors.SetupExpiredError
        shown = self.happens(expected, lambda: self.enroller.resume(user, setup_id=staged.setup.id))
        assert shown is None or shown.key == staged.setup.key

    @rule(
        user=st.sampled_from(USERS),
        which=st.integers(0, 3),
        offset=st.sampled_from([-2, -1, 0, 0, 0, 1, 2]),
        verb=st.sampled_from(["verify", "disable one", "disable", "regenerate"]),
    )
    def use_code(self, user: str, which: int, offset: int, verb: str) -> None:
        """Type a code of a confirmed, a staged or somebody else's authenticator."""
        account = self.accounts[user]
        apps = [phone.app for phone in account.phones.values()]
        if account.staged:
            apps.append(account.staged.app)
        apps += [p.app for other in self.accounts.values() for p in other.phones.values()]
        code = apps[which % len(apps)].code(offset) if apps else "123456"
        expected = self.judge(account, code) if account.on else errors.NotEnrolledError
        name = next(iter(account.phones), "default")
        calls = {
            "verify": lambda: self.enroller.verify(user, code),
            "disable one": lambda: self.enroller.disable(user, proof=code, authenticator=name),
            "disable": lambda: self.enroller.disable(user, proof=code),
            "regenerate": lambda: self.enroller.regenerate_recovery_codes(user, proof=code),
        }
        before = account.staged
        answer = self.happens(expected, calls[verb])
        if expected is None:
            self.after_use(account, verb, name, answer)
        elif (
            before is not None and self.alive(account) is None and expected is errors.WrongCodeError
        ):
            account.staged = None  # the write that counted the failure dropped the expired setup

    def after_use(self, account: Account, verb: str, name: str, answer: Any) -> None:
        """Do to the model what an accepted code did."""
        if self.alive(account) is None:
            account.staged = None
        if verb == "disable" or (verb == "disable one" and len(account.phones) == 1):
            account.off()
        elif verb == "disable one":
            del account.phones[name]
            if account.staged and account.staged.name == name:
                account.staged = None
        elif verb == "regenerate":
            account.unspent, account.spent = set(answer), set()
            account.recovery_failures = 0

    @precondition(lambda self: any(account.on for account in self.accounts.values()))
    @rule(data=st.data())
    def use_recovery_code(self, data: Any) -> None:
        user = data.draw(st.sampled_from([u for u in USERS if self.accounts[u].on]))
        account = self.accounts[user]
        pool = [*sorted(account.unspent), *sorted(account.spent), "ZZZZ" * 6]
        code = data.draw(st.sampled_from(pool))
        staged_alive = self.alive(account)
        expected = self.judge_recovery(account, code)
        answer = self.happens(expected, lambda: self.enroller.verify(user, code))
        if answer is not None:
            assert answer.recovery_codes_left == len(account.unspent)
            assert answer.locked == account.locked
        if expected in {None, errors.WrongCodeError} and staged_alive is None:
            account.staged = None

    @rule(user=st.sampled_from(USERS))
    def erase(self, user: str) -> None:
        self.enroller.erase(user, proof=VOUCHED)
        self.accounts[user].off()

    @rule()
    def purge(self) -> None:
        expired = [a for a in self.accounts.values() if a.staged and self.alive(a) is None]
        assert self.enroller.purge_expired() == len(expired)
        for account in expired:
            account.staged = None

    @rule(seconds=st.sampled_from([1, 29, 30, 31, 60, 600, 900, 3600]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def status_is_the_models(self) -> None:
        for user, account in self.accounts.items():
            status = self.enroller.status(user)
            assert status.required == account.on
            assert [one.name for one in status.authenticators] == list(account.phones)
            alive = self.alive(account)
            assert (status.setup_expires_at is not None) == (alive is not None)
            assert status.locked == account.locked
            if account.on:
                assert status.recovery_codes_left == len(account.unspent)
            else:
                assert status.state == ("pending" if alive else "disabled")


Model.TestCase.settings = settings(
    max_examples=500,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class TestModel(Model.TestCase):  # type: ignore[misc, valid-type]  # hypothesis makes the class
    """Five hundred random lives of two accounts, each answer foretold by the model."""
