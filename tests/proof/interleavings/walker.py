"""The walk: every order of the steps of some requests, depth first, each run driven by hand.

A coroutine cannot be copied, so each run begins again and follows the choices of the last one up
to the place where it branches off. What may be chosen: which request takes its next step (reads
the clock and goes on to its first call; loads; saves; …), that the time moves on, and, once in a
run, a fault in the place of a step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from otp_enroll import AsyncEnroller
from proof.interleavings.asked import REQUESTS, Asked, Asking
from proof.interleavings.starts import Start, start_of
from proof.interleavings.world import PERIOD, START, Call, Landed, Row, World

STEP: Final = "step"
TICK: Final = "the time moves on by a period"
FAILS: Final = "fails, and nothing has happened"
LOST: Final = "is done, and the reply is lost"
TWICE: Final = "is delivered twice: now and once more"
BACK: Final = "the clock jumps back"
FORWARD: Final = "the clock jumps forward"
CIPHER: Final = "the cipher fails"

FAULTS: Final = (FAILS, LOST, TWICE, BACK, FORWARD, CIPHER)
JUMPS: Final = {TICK: PERIOD, BACK: -2 * PERIOD, FORWARD: 3600}
_FAULTS_OF: Final[dict[str, tuple[str, ...]]] = {
    "clock": (),
    "load": (FAILS,),
    "list": (FAILS,),
    "save": (FAILS, LOST, TWICE),
    "delete": (FAILS, LOST, TWICE),
    "again": (),
}
_FAILURES: Final = (FAILS, LOST, CIPHER)
CipherCall = tuple[str, bytes, int]
"""What the cipher was asked for, about what, and for the how manyeth time in one try."""

_CLOCK: Final = Call("clock")
_AGAIN: Final = Call("again")
_READS_LATER: Final = {"clock", "list"}
"""Steps after which a request reads the clock: before the last of them a jump can be seen."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """From which state, and what each user asks, one request after the other.

    Attributes:
        start: The name of a start.
        users: For each of them the names of the requests.
    """

    start: str
    users: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return f"{self.start}: {' | '.join(' > '.join(asked) for asked in self.users)}"

    @classmethod
    def read(cls, text: str) -> Scenario:
        """Read what ``str`` writes."""
        start, _, users = text.partition(": ")
        return cls(start, tuple(tuple(user.split(" > ")) for user in users.split(" | ")))


@dataclass(slots=True)
class Path:
    """The choices of one run, and how many there were at each place."""

    taken: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    at: int = 0

    def choose(self, width: int) -> int:
        """Choose as the last run did, or the first of what is offered."""
        at = self.at
        self.at = at + 1
        if at < len(self.taken):
            assert at >= len(self.widths) or self.widths[at] == width, "a run did not repeat"
            if at >= len(self.widths):
                self.widths.append(width)
            return self.taken[at]
        self.taken.append(0)
        self.widths.append(width)
        return 0

    def advance(self) -> bool:
        """Turn to the next run; ``False`` when all were walked."""
        self.at = 0
        while self.taken and self.taken[-1] == self.widths[-1] - 1:
            self.taken.pop()
            self.widths.pop()
        if not self.taken:
            return False
        self.taken[-1] += 1
        return True


class Answer:
    """One request and its end: what it returned or raised, and when.

    Attributes:
        place: Its number, in the order of the users; also the stream of its randomness.
        asked: What was asked.
        of: The place whose arguments it has: its own, or that of the request that it retries.
        value: What it returned, or the error that it raised.
        raised: Whether it raised.
        fault: What went wrong in it.
        begun: The step in which it read the clock.
        ended: The step in which it ended.
    """

    __slots__ = ("asked", "begun", "ended", "fault", "of", "place", "raised", "value")

    def __init__(self, place: int, asked: Asked, of: int | None = None) -> None:
        self.place = place
        self.asked = asked
        self.of = place if of is None else of
        self.value: object = None
        self.raised = False
        self.fault: str | None = None
        self.begun = -1
        self.ended = -1


@dataclass(frozen=True, slots=True)
class Run:
    """What happened in one run.

    Attributes:
        scenario: From where, and who asked what.
        start: The start itself.
        answers: Every request, in the order of the places; a retried one has a second at the end.
        readings: What the clock said to each place.
        loaded: The rows that each place loaded.
        listings: The ids that each place was told of.
        history: Every write that landed.
        row: What is stored in the end.
        fault: What went wrong, if anything did.
        failed_call: Which call of the cipher failed, if one did.
    """

    scenario: Scenario
    start: Start
    answers: tuple[Answer, ...]
    readings: Mapping[int, list[int]]
    loaded: Mapping[int, list[Row]]
    listings: dict[int, list[str]]
    history: list[Landed]
    row: Row
    fault: str | None
    failed_call: CipherCall | None


class User:
    """Somebody who asks one request after the other; ``call`` is what the present one waits for."""

    __slots__ = ("answer", "call", "coroutine", "twice", "waiting")

    def __init__(self, answers: list[Answer]) -> None:
        self.waiting = answers[::-1]
        self.turn()

    def turn(self) -> None:
        """Turn to the next request, if there is one."""
        self.coroutine: Asking | None = None
        self.twice: Call | None = None
        self.answer: Answer | None = self.waiting.pop() if self.waiting else None
        self.call: Call | None = _CLOCK if self.answer else None


Option = tuple[str, User | None]


class Walker:
    """Runs scenarios over one world and one enroller, as an app would share it."""

    def __init__(
        self, world: World, enroller: AsyncEnroller, log: Callable[[str], None] | None = None
    ) -> None:
        self.world = world
        self.enroller = enroller
        self.log = log
        self.path = Path()
        self._fault: str | None = None
        self._faults = False
        self._ticks = False
        self._answer: Answer | None = None
        self._cipher_calls: Counter[tuple[str, bytes]] = Counter()
        self._failed_call: CipherCall | None = None
        world.cipher.fails = self._cipher_fails

    def walk(
        self, scenario: Scenario, *, faults: bool = False, ticks: bool = False
    ) -> Iterator[Run]:
        """Yield every run.

        Args:
            scenario: From where, and who asks what.
            faults: Whether one fault may happen in a run; runs without one are walked too.
            ticks: Whether the time may move on by a period, once in a run.
        """
        self.path = Path()
        while True:
            yield self.run(scenario, faults=faults, ticks=ticks)
            if not self.path.advance():
                return

    def run(self, scenario: Scenario, *, faults: bool = False, ticks: bool = False) -> Run:
        """Run once, along the path; what met a failure is asked once more, after all others."""
        start = self._start = start_of(scenario.start)
        self.world.reset(start.row, START)
        self._fault, self._faults, self._ticks = None, faults, ticks
        self._failed_call = None
        answers, users = _seated(scenario)
        while options := self._options(users):
            what, user = options[self.path.choose(len(options)) if len(options) > 1 else 0]
            self.world.step += 1
            self._do(what, user)
        failed = next((one for one in answers if one.raised and one.fault in _FAILURES), None)
        if failed is not None:
            answers.append(Answer(len(answers), failed.asked, failed.place))
            self._alone(answers[-1])
        world = self.world
        return Run(
            scenario=scenario,
            start=start,
            answers=tuple(answers),
            readings=world.readings,
            loaded=world.loaded,
            listings=world.listings,
            history=world.history,
            row=world.row,
            fault=self._fault,
            failed_call=self._failed_call,
        )

    def _options(self, users: list[User]) -> list[Option]:
        options: list[Option] = []
        may_fail = self._faults and self._fault is None
        reads = False
        for user in users:
            call = user.call
            if call is None:
                continue
            options.append((STEP, user))
            reads = reads or call.kind in _READS_LATER or bool(user.waiting)
            if may_fail:
                options += [(what, user) for what in _FAULTS_OF[call.kind]]
        if reads and self._ticks:
            options.append((TICK, None))
        if reads and may_fail:
            options += ((BACK, None), (FORWARD, None))
        return options

    def _do(self, what: str, user: User | None) -> None:
        if self.log is not None:
            self.log(_told(what, user))
        if user is None:
            self._jump(what)
            return
        assert user.answer is not None
        assert user.call is not None
        self.world.current, self._answer = user.answer.place, user.answer
        self._cipher_calls.clear()
        if what is STEP:
            self._step(user, user.answer, user.call)
            return
        self._fault = user.answer.fault = what
        if what is not FAILS:
            self.world.perform(user.call)
        if what is TWICE:
            user.twice, user.call = user.call, _AGAIN
        else:
            self._resume(user, None, OSError("the connection broke"))

    def _jump(self, what: str) -> None:
        self.world.now += JUMPS[what]
        if what is TICK:
            self._ticks = False
        else:
            self._fault = what

    def _step(self, user: User, answer: Answer, call: Call) -> None:
        if user.coroutine is None:
            answer.begun = self.world.step
            user.coroutine = answer.asked.make(self.enroller, self._start, answer.of)
            self._resume(user, None)
        else:
            self._resume(user, self.world.perform(user.twice or call))

    def _resume(self, user: User, result: object, failure: OSError | None = None) -> None:
        assert user.coroutine is not None
        user.twice = None
        try:
            if failure is None:
                user.call = user.coroutine.send(result)
            else:
                user.call = user.coroutine.throw(failure)
        except StopIteration as done:
            self._end(user, done.value, raised=False)
        except Exception as error:  # noqa: BLE001  # whatever is raised is the answer
            self._end(user, error.with_traceback(None), raised=True)

    def _end(self, user: User, value: object, *, raised: bool) -> None:
        assert user.answer is not None
        user.answer.value, user.answer.raised = value, raised
        user.answer.ended = self.world.step
        if self.log is not None:
            self.log(f"    {letter(user.answer)} {'raises' if raised else 'returns'} {value!r}")
        user.turn()

    def _alone(self, answer: Answer) -> None:
        user = User([answer])
        self._faults = self._ticks = False
        while user.call is not None:
            self.world.step += 1
            self._do(STEP, user)

    def _cipher_fails(self, what: str, about: bytes) -> bool:
        if not self._faults or self._fault is not None or self._answer is None:
            return False
        self._cipher_calls[what, about] += 1
        if self.path.choose(2) == 0:
            return False
        self._failed_call = what, about, self._cipher_calls[what, about]
        self._fault = self._answer.fault = CIPHER
        if self.log is not None:
            self.log(f"    FAULT: the cipher fails to {what}")
        return True


def _seated(scenario: Scenario) -> tuple[list[Answer], list[User]]:
    answers: list[Answer] = []
    users = []
    for asked in scenario.users:
        own = [Answer(len(answers) + n, REQUESTS[name]) for n, name in enumerate(asked)]
        answers += own
        users.append(User(own))
    return answers, users


def letter(answer: Answer) -> str:
    """Return what a trace calls a request: its letter, from A on."""
    return "ABCDEFGH"[answer.place]


def _told(what: str, user: User | None) -> str:
    if user is None or user.answer is None or user.call is None:
        return f"  {what}" if what is TICK else f"  FAULT: {what}"
    who, kind = letter(user.answer), (user.twice or user.call).kind
    again = " once more" if user.twice else ""
    call = "reads the clock" if kind == "clock" else f"calls {kind}{again}"
    return f"  {who} {call}" if what is STEP else f"  FAULT: {who} {call}, which {what}"
