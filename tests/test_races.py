"""Requests that arrive at once: one code, one success; and no more guesses than the budget has."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import pytest

from otp_enroll import AsyncEnroller, Enroller, StoredEnrollment, Unencrypted, errors, events
from otp_enroll.core.oath import code_at, counter_at
from otp_enroll.core.secret import Secret
from otp_enroll.policy import Parameters
from otp_enroll.storage import codec
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.storage.protocol import AsyncEnrollmentStore, EnrollmentStore
from otp_enroll.storage.sqlite import AsyncSQLiteStore, SQLiteStore

USER: Final = "user-42"
NOW: Final = 1_800_000_000
ROUNDS: Final = 25
THREADS: Final = 16
PROCESSES: Final = 8

LATE: Final = {"CodeReusedError", "StoreContentionError"}
"""What the losers of a race for one code are told, and nothing else."""

OVER_BUDGET: Final = {"TooManyAttemptsError", "StoreContentionError"}

Call = Callable[[], object]


def outcome(call: Call) -> str:
    """Name what a call did: "accepted" or the error of the library that it raised."""
    try:
        call()
    except errors.EnrollmentError as error:
        return type(error).__name__
    return "accepted"


def at_once(calls: list[Call]) -> list[str]:
    """Run each call in a thread of its own, all from one gate."""
    gate = threading.Barrier(len(calls))

    def run(call: Call) -> str:
        gate.wait()
        return outcome(call)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def only_one_accepted(outcomes: list[str]) -> None:
    counted = Counter(outcomes)
    assert counted.pop("accepted") == 1
    assert set(counted) <= LATE


class Account:
    """A confirmed account in a store, whose clock goes on when told."""

    def __init__(self, store: EnrollmentStore) -> None:
        self.store = store
        self.now = NOW
        self.told: list[events.Event] = []
        self.enroller = self.another()
        setup = self.enroller.begin(USER, account_name="sara@example.com")
        self.secret = Secret.from_base32(setup.key)
        confirmation = self.enroller.confirm(USER, self.code(), setup_id=setup.id)
        assert confirmation.recovery_codes is not None
        self.recovery_codes = list(confirmation.recovery_codes)
        self.now += 60

    def another(self, store: EnrollmentStore | None = None) -> Enroller:
        """Build an enroller as another request, or another process, would have it."""
        return Enroller(
            store or self.store,
            issuer="Exir",
            cipher=Unencrypted(),
            clock=lambda: float(self.now),
            on_event=self.told.append,
        )

    def code(self, offset: int = 0) -> str:
        return code_at(self.secret, Parameters(), counter_at(self.now, 30) + offset)

    def wrong_codes(self, count: int) -> list[str]:
        near = {self.code(offset) for offset in range(-12, 13)}
        return [code for code in (f"{n:06d}" for n in range(10**4)) if code not in near][:count]

    def renew_recovery_codes(self) -> None:
        self.recovery_codes = list(self.enroller.regenerate_recovery_codes(USER, proof=self.code()))
        self.now += 60

    def failures(self) -> tuple[int, int]:
        """Return the recorded wrong codes: the consecutive ones, and those of 30 days."""
        record = self.store.load(USER)
        assert record is not None
        budget = codec.decode(record)[0].budgets.code  # type: ignore[union-attr]  # confirmed
        return budget.waits.failures, budget.failures_in_30_days

    def last_counter(self) -> int:
        record = self.store.load(USER)
        assert record is not None
        counter: int = json.loads(record.document)["authenticators"][0]["last_counter"]
        return counter


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "otp.sqlite3"


@pytest.fixture
def account(path: Path) -> Iterator[Account]:
    with SQLiteStore(path) as store:
        yield Account(store)


# --- threads ---


@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-02")
def test_one_code_from_sixteen_threads(account: Account) -> None:
    """In each of 25 rounds one thread of sixteen gets the code accepted, and the rest do not."""
    for _ in range(ROUNDS):
        code = account.code()
        calls: list[Call] = [partial(account.enroller.verify, USER, code)] * THREADS
        only_one_accepted(at_once(calls))
        account.now += 30
    assert account.failures() == (0, 0)


@pytest.mark.requirement("R-64")
def test_one_code_at_every_entrance(account: Account) -> None:
    """One code, typed at once as a login and as the proof of three other verbs, opens one door."""
    for _ in range(ROUNDS):
        code = account.code()
        one = account.another()
        doors: list[Call] = [
            partial(one.verify, USER, code),
            partial(one.verify, USER, code, purpose="withdraw"),
            partial(one.begin, USER, account_name="sara@example.com", proof=code),
            partial(one.regenerate_recovery_codes, USER, proof=code),
        ]
        only_one_accepted(at_once(doors * 2))
        account.now += 30


@pytest.mark.requirement("R-82")
@pytest.mark.regression_of("B-19")
def test_one_recovery_code_from_sixteen_threads(account: Account) -> None:
    """In each of 25 rounds one recovery code lets one thread of sixteen in; the rest stay good."""
    for number in range(ROUNDS):
        if number % 10 == 0 and number:
            account.renew_recovery_codes()
        code = account.recovery_codes[number % 10]
        calls: list[Call] = [partial(account.enroller.verify, USER, code)] * THREADS
        only_one_accepted(at_once(calls))
        assert account.enroller.status(USER).recovery_codes_left == 9 - number % 10


@pytest.mark.requirement("R-82")
@pytest.mark.regression_of("B-19")
def test_all_recovery_codes_at_once(account: Account) -> None:
    """Ten different recovery codes, each typed twice at once, are spent once each."""
    codes = account.recovery_codes * 2
    calls: list[Call] = [partial(account.enroller.verify, USER, code) for code in codes]
    outcomes = at_once(calls)
    accepted = outcomes.count("accepted")
    assert set(outcomes) <= LATE | {"accepted"}
    assert accepted >= 1
    assert account.enroller.status(USER).recovery_codes_left == 10 - accepted
    for code in account.recovery_codes:
        outcome(partial(account.enroller.verify, USER, code))
    assert account.enroller.status(USER).recovery_codes_left == 0


@pytest.mark.requirement("R-65")
@pytest.mark.regression_of("B-24")
def test_sixty_four_wrong_codes_at_once(account: Account) -> None:
    """Exactly five of 64 wrong codes are called wrong, and exactly five are recorded."""
    calls: list[Call] = [
        partial(account.enroller.verify, USER, code) for code in account.wrong_codes(64)
    ]
    counted = Counter(at_once(calls))
    assert counted.pop("WrongCodeError") == 5
    assert set(counted) <= OVER_BUDGET
    assert account.failures() == (5, 5)
    assert outcome(partial(account.enroller.verify, USER, account.code())) == "TooManyAttemptsError"


@pytest.mark.requirement("R-65")
@pytest.mark.regression_of("B-24", "B-23")
def test_two_hundred_guesses_at_once(account: Account) -> None:
    """Of 200 guesses, each by an enroller of its own, as many are answered as are recorded."""
    calls: list[Call] = [
        partial(account.another().verify, USER, code) for code in account.wrong_codes(200)
    ]
    counted = Counter(at_once(calls))
    assert counted.pop("WrongCodeError") == 5
    assert set(counted) <= OVER_BUDGET
    assert account.failures() == (5, 5)
    told = Counter(type(event) for event in account.told)
    assert told[events.CodeRejected] == 5


@pytest.mark.requirement("R-65")
@pytest.mark.regression_of("B-24")
def test_the_right_code_among_guesses(account: Account) -> None:
    """A right code among a burst of guesses succeeds once at most, and hides no failure."""
    right = account.code()
    codes = [right, *account.wrong_codes(30), right]
    calls: list[Call] = [partial(account.enroller.verify, USER, code) for code in codes]
    counted = Counter(at_once(calls))
    accepted, wrong = counted.pop("accepted", 0), counted.pop("WrongCodeError")
    assert accepted <= 1
    assert 5 <= wrong <= 5 + 5 * accepted
    assert set(counted) <= OVER_BUDGET | LATE
    assert account.failures()[1] == wrong


@pytest.mark.requirement("R-65")
@pytest.mark.regression_of("B-21")
def test_wrong_codes_at_confirm_at_once(path: Path) -> None:
    """Of 32 wrong codes at confirm ten are judged, the tenth drops the setup."""
    with SQLiteStore(path) as store:
        enroller = Enroller(
            store,
            issuer="Exir",
            cipher=Unencrypted(),
            clock=lambda: float(NOW),
            sleep=lambda _: None,
        )
        setup = enroller.begin(USER, account_name="sara@example.com")
        secret = Secret.from_base32(setup.key)
        near = {code_at(secret, Parameters(), NOW // 30 + offset) for offset in range(-12, 13)}
        codes = [code for code in (f"{n:06d}" for n in range(100)) if code not in near][:32]
        calls: list[Call] = [
            partial(enroller.confirm, USER, code, setup_id=setup.id) for code in codes
        ]
        counted = Counter(at_once(calls))
        contended = counted.pop("StoreContentionError", 0)
        if not contended:
            assert counted.pop("SetupExhaustedError") == 1
            assert counted.pop("WrongCodeError") == 9
            assert set(counted) <= {"NotPendingError"}
        assert counted["WrongCodeError"] <= 9
        assert counted["SetupExhaustedError"] <= 1


@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-28")
def test_the_counter_never_goes_down(account: Account) -> None:
    """Codes of three counters at once: whatever order they land in, the counter only rises."""
    for _ in range(ROUNDS):
        before = account.last_counter()
        codes = [account.code(offset) for offset in (-1, 0, 1)] * 3
        seen: list[int] = []

        def call(code: str, seen: list[int] = seen) -> None:
            account.enroller.verify(USER, code)
            seen.append(account.last_counter())

        calls: list[Call] = [partial(call, code) for code in codes]
        outcomes = at_once(calls)
        accepted = {code for code, told in zip(codes, outcomes, strict=True) if told == "accepted"}
        assert outcomes.count("accepted") == len(accepted) >= 1
        assert set(outcomes) <= LATE | {"accepted"}
        highest = max(codes.index(code) for code in accepted) - 1
        assert account.last_counter() == counter_at(account.now, 30) + highest > before
        assert all(before < one <= account.last_counter() for one in seen)
        account.now += 120


@pytest.mark.requirement("R-64", "R-96")
@pytest.mark.regression_of("B-07")
def test_one_confirm_of_eight(path: Path) -> None:
    """Of eight confirms at once one succeeds, tells it once, and its recovery codes are stored."""
    with SQLiteStore(path) as store:
        for number in range(10):
            user_id = f"user-{number}"
            told: list[events.Event] = []
            answers: list[Any] = []
            enroller = Enroller(
                store,
                issuer="Exir",
                cipher=Unencrypted(),
                clock=lambda: float(NOW),
                on_event=told.append,
            )
            setup = enroller.begin(user_id, account_name="sara@example.com")
            code = code_at(Secret.from_base32(setup.key), Parameters(), NOW // 30)

            def confirm(call: Call, answers: list[Any] = answers) -> None:
                answers.append(call())

            calls: list[Call] = [
                partial(confirm, partial(enroller.confirm, user_id, code, setup_id=setup.id))
            ] * 8
            counted = Counter(at_once(calls))
            assert counted.pop("accepted") == 1
            assert set(counted) <= {"NotPendingError", "StoreContentionError"}
            names = Counter(type(event) for event in told)
            assert names[events.AuthenticatorConfirmed] == 1
            assert names[events.RecoveryCodesIssued] == 1
            (answer,) = answers
            assert enroller.verify(user_id, answer.recovery_codes[0]).recovery_codes_left == 9
            assert outcome(partial(enroller.verify, user_id, code)) == "CodeReusedError"


class Slow(MemoryStore):
    """A store that lets every other request load before it saves: each save but one is late."""

    def __init__(self, parties: int) -> None:
        super().__init__()
        self.gate: threading.Barrier | None = None
        self.parties = parties

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        gate = self.gate
        if gate is not None and not gate.broken:
            try:
                gate.wait(timeout=5)
            except threading.BrokenBarrierError:
                pass
            else:
                self.gate = None
        return super().save(record, expected=expected)


@pytest.mark.requirement("R-64")
def test_every_request_saw_the_same_record() -> None:
    """Also when all of sixteen requests loaded before the first one saved, one succeeds."""
    store = Slow(THREADS)
    account = Account(store)
    code = account.code()
    store.gate = threading.Barrier(THREADS)
    calls: list[Call] = [partial(account.enroller.verify, USER, code)] * THREADS
    only_one_accepted(at_once(calls))


# --- processes ---


def worker(path: str) -> None:
    """Serve as one process of an app: build an enroller, then verify when told to."""
    with SQLiteStore(path) as store:
        now = NOW
        enroller = Enroller(store, issuer="Exir", cipher=Unencrypted(), clock=lambda: float(now))
        for line in sys.stdin:
            now, code = json.loads(line)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            sys.stdin.readline()
            told = outcome(partial(enroller.verify, USER, code))
            sys.stdout.write(told + "\n")
            sys.stdout.flush()


class Processes:
    """Processes that verify the same code at the same time, kept in step by pipes."""

    def __init__(self, path: Path) -> None:
        self.running = [
            subprocess.Popen(  # noqa: S603  # our own interpreter and this file
                [sys.executable, __file__, str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(PROCESSES)
        ]
        self.pipes: list[tuple[IO[str], IO[str]]] = [
            (one.stdin, one.stdout) for one in self.running if one.stdin and one.stdout
        ]

    def tell(self, line: str) -> None:
        for into, _ in self.pipes:
            into.write(line + "\n")
            into.flush()

    def hear(self) -> list[str]:
        return [out.readline().strip() for _, out in self.pipes]

    def verify(self, now: int, codes: list[str]) -> list[str]:
        """Let each process verify a code; none begins before all are ready."""
        for (into, _), code in zip(self.pipes, codes, strict=True):
            into.write(json.dumps([now, code]) + "\n")
            into.flush()
        assert self.hear() == ["ready"] * PROCESSES
        self.tell("go")
        return self.hear()

    def stop(self) -> None:
        for one in self.running:
            one.communicate(timeout=30)
        assert [one.returncode for one in self.running] == [0] * PROCESSES


@pytest.fixture
def processes(
    path: Path,
    account: Account,
) -> Iterator[Processes]:
    started = Processes(path)
    try:
        yield started
    finally:
        started.stop()


@pytest.mark.requirement("R-64", "R-66", "R-82", "R-65")
@pytest.mark.regression_of("B-02", "B-19", "B-24", "B-23")
def test_one_code_from_eight_processes(account: Account, processes: Processes) -> None:
    """One process of eight gets a code, or a recovery code, accepted; and five guesses are judged.

    The processes live through 25 rounds with codes, 25 with recovery codes, and the guesses.
    """
    for _ in range(ROUNDS):
        only_one_accepted(processes.verify(account.now, [account.code()] * PROCESSES))
        account.now += 30
    for number in range(ROUNDS):
        if number % 10 == 0 and number:
            account.renew_recovery_codes()
        code = account.recovery_codes[number % 10]
        only_one_accepted(processes.verify(account.now, [code] * PROCESSES))
        assert account.enroller.status(USER).recovery_codes_left == 9 - number % 10
    assert account.failures() == (0, 0)
    counted: Counter[str] = Counter()
    codes = account.wrong_codes(3 * PROCESSES)
    for start in range(0, len(codes), PROCESSES):
        counted.update(processes.verify(account.now, codes[start : start + PROCESSES]))
    assert counted.pop("WrongCodeError") == 5
    assert set(counted) <= OVER_BUDGET
    assert account.failures() == (5, 5)


# --- tasks ---


async def async_outcome(enroller: AsyncEnroller, code: str) -> str:
    try:
        await enroller.verify(USER, code)
    except errors.EnrollmentError as error:
        return type(error).__name__
    return "accepted"


async def race_of_tasks(store: AsyncEnrollmentStore) -> None:
    now = NOW
    enroller = AsyncEnroller(store, issuer="Exir", cipher=Unencrypted(), clock=lambda: float(now))
    setup = await enroller.begin(USER, account_name="sara@example.com")
    secret = Secret.from_base32(setup.key)
    confirmation = await enroller.confirm(
        USER, code_at(secret, Parameters(), now // 30), setup_id=setup.id
    )
    assert confirmation.recovery_codes is not None
    for number in range(10):
        now += 60
        for code in (
            code_at(secret, Parameters(), now // 30),
            confirmation.recovery_codes[number],
        ):
            tasks = [async_outcome(enroller, code) for _ in range(16)]
            only_one_accepted(await asyncio.gather(*tasks))
    now += 60
    near = {code_at(secret, Parameters(), now // 30 + offset) for offset in range(-12, 13)}
    wrong = [code for code in (f"{n:06d}" for n in range(200)) if code not in near][:64]
    counted = Counter(await asyncio.gather(*(async_outcome(enroller, code) for code in wrong)))
    assert counted.pop("WrongCodeError") == 5
    assert set(counted) <= OVER_BUDGET


@pytest.mark.requirement("R-64", "R-65", "R-82")
@pytest.mark.regression_of("B-19", "B-24")
def test_tasks_over_sqlite(path: Path) -> None:
    """Of sixteen tasks over a SQLite file one gets a code accepted, and five guesses are judged."""

    async def scenario() -> None:
        async with AsyncSQLiteStore(path) as store:
            await race_of_tasks(store)

    asyncio.run(scenario())


class Yielding(AsyncMemoryStore):
    """A memory store that lets other tasks run before each call, as a database does."""

    async def load(self, user_id: str) -> StoredEnrollment | None:
        found = await super().load(user_id)
        await asyncio.sleep(0)
        return found

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        await asyncio.sleep(0)
        return await super().save(record, expected=expected)


@pytest.mark.requirement("R-64", "R-65", "R-82")
@pytest.mark.parametrize("kind", [AsyncMemoryStore, Yielding])
def test_tasks_over_memory(kind: type[AsyncMemoryStore]) -> None:
    """The same over the memory store, also when every call lets the other tasks go first."""
    asyncio.run(race_of_tasks(kind()))


if __name__ == "__main__":
    worker(sys.argv[1])
