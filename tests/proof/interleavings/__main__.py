"""Walk everything on two processes, print what was walked, and exit 1 if it broke.

``--replay`` runs one schedule again, as a violation names it, and prints its steps.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache

from proof.interleavings.prover import Prover, Tally, Violation
from proof.interleavings.scenarios import Part, parts
from proof.interleavings.walker import FAULTS, Scenario

COMMAND = "python -m proof.interleavings"
"""How this is run, with the folder of the tests on the path."""

SLICE = 12
"""Scenarios that one process takes at a time."""


def say(line: str) -> None:
    """Print, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@cache
def prover() -> Prover:
    """Return this process's prover."""
    return Prover()


def settle() -> None:
    """Begin the work of a process: what is made by now is never garbage."""
    prover()
    gc.collect()
    gc.freeze()


def work(task: tuple[tuple[Scenario, ...], bool, bool]) -> Tally:
    """Walk a slice, in a process of its own."""
    scenarios, faults, ticks = task
    started = time.process_time()
    tally = prover().prove(scenarios, faults=faults, ticks=ticks)
    tally.seconds = time.process_time() - started
    return tally


def slices(part: Part) -> Iterator[tuple[tuple[Scenario, ...], bool, bool]]:
    """Cut a part into tasks."""
    for start in range(0, len(part.scenarios), SLICE):
        yield part.scenarios[start : start + SLICE], part.faults, part.ticks


def walk(part: Part, pool: ProcessPoolExecutor) -> Tally:
    """Walk one part and print its line."""
    started, total = time.monotonic(), Tally()
    for tally in pool.map(work, slices(part)):
        total.add(tally)
    if part.faults:
        total.schedules = 0  # walked and held against the laws here too, but counted once
    say(
        f"{part.name:<42}{total.scenarios:>10,}{total.schedules:>12,}{total.combinations:>14,}"
        f"{total.broken:>12,}{time.monotonic() - started:>9.0f}{total.seconds:>9.0f}"
    )
    return total


def prove(jobs: int) -> int:
    """Walk everything."""
    say(
        f"{'part':<42}{'scenarios':>10}{'schedules':>12}{'with a fault':>14}"
        f"{'violations':>12}{'seconds':>9}{'of CPU':>9}"
    )
    started, total = time.monotonic(), Tally()
    with ProcessPoolExecutor(jobs, initializer=settle) as pool:
        for part in parts():
            total.add(walk(part, pool))
    say(
        f"{'all':<42}{total.scenarios:>10,}{total.schedules:>12,}{total.combinations:>14,}"
        f"{total.broken:>12,}{time.monotonic() - started:>9.0f}{total.seconds:>9.0f}"
    )
    for what in FAULTS:
        say(f"  {what:<52}{total.faults[what]:>24,}")
    for violation in total.violations[:10]:
        show(violation)
    return 1 if total.broken else 0


def show(violation: Violation) -> None:
    """Print a violation with its steps."""
    steps, _ = prover().replay(violation.replay)
    say(f"\n{violation.law}: {violation.promise}\n  broken: {violation.fault}")
    say("\n".join(steps))
    say(f"  again: {COMMAND} --replay '{violation.replay}'")


def replay(text: str) -> int:
    """Run one schedule again, and print its steps and what it breaks."""
    steps, violations = prover().replay(text)
    say("\n".join(steps))
    for violation in violations:
        say(f"{violation.law}: {violation.fault}\n  {violation.promise}")
    return 1 if violations else 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--replay", metavar="SCHEDULE", help="run one schedule again")
    asked = parser.parse_args()
    return replay(asked.replay) if asked.replay else prove(asked.jobs)


if __name__ == "__main__":
    sys.exit(main())
