"""A prover: walks scenarios, holds each run against all laws, and says what broke and how."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from otp_enroll import AsyncEnroller
from proof.interleavings.invariants import LAWS, Broken, Law
from proof.interleavings.owner import Owner
from proof.interleavings.seen import Happened, Rows
from proof.interleavings.serial import Serial
from proof.interleavings.walker import Path, Run, Scenario, Walker
from proof.interleavings.world import World, enroller_over

MOST_VIOLATIONS: Final = 20
"""Traces that are kept of one part; the rest are counted."""


@contextmanager
def silence() -> Iterator[None]:
    """Keep the library's warnings of rows that it passed over from filling the output."""
    logger = logging.getLogger("otp_enroll")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True, slots=True)
class Violation:
    """A run that broke a law, with what is needed to run it again.

    Attributes:
        law: The law's name.
        promise: What it says.
        fault: How it was broken.
        replay: The argument of ``--replay``.
    """

    law: str
    promise: str
    fault: str
    replay: str


@dataclass(slots=True)
class Tally:
    """What was walked: runs without a fault, runs with each fault, and what broke."""

    scenarios: int = 0
    schedules: int = 0
    faults: Counter[str] = field(default_factory=Counter[str])
    broken: int = 0
    violations: list[Violation] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def combinations(self) -> int:
        """Schedules with one fault in them."""
        return sum(self.faults.values())

    def add(self, other: Tally) -> None:
        """Add what another process walked."""
        self.scenarios += other.scenarios
        self.schedules += other.schedules
        self.faults += other.faults
        self.broken += other.broken
        self.violations += other.violations
        self.seconds += other.seconds


class Prover:
    """Walks scenarios over an enroller, which a test may replace by a broken one."""

    def __init__(
        self,
        world: World | None = None,
        kind: type[AsyncEnroller] = AsyncEnroller,
        store: Any = None,
    ) -> None:
        self.world = world or World()
        self.walker = Walker(self.world, enroller_over(self.world, kind, store))
        self.rows = Rows()
        self.laws: tuple[Law, ...] = (*LAWS, Serial().explains, Owner().gets_in)

    def prove(
        self, scenarios: Iterable[Scenario], *, faults: bool = False, ticks: bool = False
    ) -> Tally:
        """Walk scenarios and count; see ``Walker.walk`` for the arguments.

        Untraced: a coverage tool would take five times as long, and other tests cover the lines.
        """
        tally, tracer = Tally(), sys.gettrace()
        sys.settrace(None)
        try:
            with silence():
                for scenario in scenarios:
                    tally.scenarios += 1
                    for run in self.walker.walk(scenario, faults=faults, ticks=ticks):
                        self._count(tally, run, self.broken(run, faults=faults, ticks=ticks))
        finally:
            sys.settrace(tracer)  # in the frame that took it away, as tracers demand
        return tally

    def _count(self, tally: Tally, run: Run, violations: Iterable[Violation]) -> None:
        if run.fault is None:
            tally.schedules += 1
        else:
            tally.faults[run.fault] += 1
        for violation in violations:
            tally.broken += 1
            if len(tally.violations) < MOST_VIOLATIONS:
                tally.violations.append(violation)

    def broken(self, run: Run, *, faults: bool, ticks: bool) -> Iterator[Violation]:
        """Yield each law that a run breaks."""
        again = spelt(run.scenario, self.walker.path.taken, faults=faults, ticks=ticks)
        try:
            happened = Happened(run, self.rows)
        except Exception as broken:  # noqa: BLE001  # whatever makes a row unreadable
            yield Violation(
                "Happened", "Every row can be read, by the library.", repr(broken), again
            )
            return
        for law in self.laws:
            try:
                law(happened)
            except Broken as broken:
                promise = (law.__doc__ or "").partition("\n")[0]
                yield Violation(law.__name__, promise, str(broken), again)

    def replay(self, text: str) -> tuple[list[str], list[Violation]]:
        """Run once what a violation names, and return the steps and what they break."""
        scenario, taken, faults, ticks = read(text)
        steps: list[str] = []
        self.walker.log = steps.append
        self.walker.path = Path(taken)
        run = self.walker.run(scenario, faults=faults, ticks=ticks)
        self.walker.log = None
        return steps, list(self.broken(run, faults=faults, ticks=ticks))


def spelt(scenario: Scenario, taken: list[int], *, faults: bool, ticks: bool) -> str:
    """Write down a run so that it can be run again."""
    kinds = "".join(("f" if faults else "", "t" if ticks else "")) or "-"
    return f"{scenario} ; {kinds} ; {','.join(map(str, taken))}"


def read(text: str) -> tuple[Scenario, list[int], bool, bool]:
    """Read what ``spelt`` wrote."""
    scenario, kinds, taken = text.split(" ; ")
    path = [int(one) for one in taken.split(",") if one]
    return Scenario.read(scenario), path, "f" in kinds, "t" in kinds
