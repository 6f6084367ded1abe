"""The walk itself: it takes every order once, repeats itself, and finds what is wrong."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from math import comb
from typing import Any

import pytest

from proof.interleavings.__main__ import show
from proof.interleavings.invariants import LAWS
from proof.interleavings.planted import PLANTED
from proof.interleavings.prover import Prover, Violation, read, spelt
from proof.interleavings.starts import ALL, start_of
from proof.interleavings.walker import (
    BACK,
    CIPHER,
    FAILS,
    FORWARD,
    LOST,
    TICK,
    TWICE,
    Path,
    Scenario,
    Walker,
)
from proof.interleavings.world import START, USER, World, drive, enroller_over


def traces(text: str, **choices: Any) -> list[str]:
    """Return the steps of every run of a scenario, without the answers."""
    world = World()
    steps: list[str] = []
    told: list[str] = []
    walker = Walker(world, enroller_over(world), steps.append)
    for _ in walker.walk(Scenario.read(text), **choices):
        told.append("\n".join(step for step in steps if "return" not in step))
        steps.clear()
    return told


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("confirmed: status | status", comb(4, 2)),
        ("confirmed: status | status | status", 90),  # 6! / 2!³
        ("confirmed: status | verify/now", comb(5, 2)),
        ("confirmed: erase | status", comb(4, 2)),
    ],
)
def test_every_order_is_walked_once(text: str, count: int) -> None:
    """So many runs as two rows of steps can be merged, and no two are the same."""
    walked = traces(text)
    assert len(walked) == count
    assert len(set(walked)) == count


def test_time_moves_at_every_place_where_it_can_be_seen() -> None:
    """In each order the tick stands once at every place before the last reading of the clock."""
    walked = traces("confirmed: status | status", ticks=True)
    moved = [one for one in walked if TICK in one]
    places = 0
    for still in traces("confirmed: status | status"):
        read = [n for n, step in enumerate(still.splitlines()) if "reads the clock" in step]
        places += read[-1] + 1
    assert len(moved) == len(set(moved)) == places


def test_every_fault_is_walked_at_every_step() -> None:
    """Each kind of fault meets each step that it can meet, and none comes twice in a run."""
    met = set()
    for one in traces("confirmed: verify/now | erase", faults=True):
        faults = [step.strip() for step in one.splitlines() if "FAULT" in step]
        assert len(faults) <= 1
        met.update(faults)
    assert met == {
        f"FAULT: A calls load, which {FAILS}",
        *(f"FAULT: A calls save, which {what}" for what in (FAILS, LOST, TWICE)),
        *(f"FAULT: B calls delete, which {what}" for what in (FAILS, LOST, TWICE)),
        "FAULT: the cipher fails to open",
        "FAULT: the cipher fails to needs_reseal",
        f"FAULT: {BACK}",
        f"FAULT: {FORWARD}",
    }


def test_second_delivery_comes_at_once_or_after_the_other_ones_write() -> None:
    """Between the two deliveries of a save another request may write, or none."""
    between = set()
    for one in traces("confirmed: verify/now | verify/next", faults=True):
        steps = [step.strip() for step in one.splitlines()]
        first = [n for n, step in enumerate(steps) if step.startswith("FAULT: A calls save")]
        again = [n for n, step in enumerate(steps) if step == "A calls save once more"]
        if first and again:
            between.add("B calls save" in steps[first[0] : again[0]])
    assert between == {True, False}


def test_who_met_a_failure_asks_again() -> None:
    """A request whose reply was lost is asked once more, after all others."""
    prover = Prover()
    runs = prover.walker.walk(Scenario.read("confirmed: verify/now | status"), faults=True)
    for run in runs:
        failed = [one for one in run.answers if one.raised and one.fault in {FAILS, LOST, CIPHER}]
        assert len(run.answers) == 2 + len(failed)
        if failed:
            assert run.answers[2].asked is failed[0].asked
            assert run.answers[2].begun > max(one.ended for one in run.answers[:2])


@pytest.mark.parametrize("name", list(PLANTED))
def test_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk finds a planted bug by the laws that it breaks, and can run it again."""
    planted = PLANTED[name]
    scenario = Scenario.read(planted.scenario)
    with monkeypatch.context() as patch:
        prover = planted.plant(patch)
        tally = prover.prove([scenario], faults=planted.faults)
        found = {violation.law for violation in tally.violations}
        assert planted.laws <= found
        steps, again = prover.replay(tally.violations[0].replay)
        assert tally.violations[0].law in {violation.law for violation in again}
        assert any("reads the clock" in step for step in steps)


@pytest.mark.parametrize("name", list(PLANTED))
def test_nothing_is_found_where_nothing_is_planted(name: str) -> None:
    """The same walk over the library as it is breaks no law."""
    planted = PLANTED[name]
    tally = Prover().prove([Scenario.read(planted.scenario)], faults=planted.faults)
    assert tally.schedules > 0
    assert tally.violations == []


def test_every_law_is_broken_by_something() -> None:
    """No law is there that no planted bug breaks."""
    named = {law for planted in PLANTED.values() for law in planted.laws}
    assert named >= {law.__name__ for law in LAWS} | {"explains", "gets_in"}


@pytest.mark.parametrize("name", ALL)
def test_start_is_what_its_name_says(name: str) -> None:
    """Each start is in the state that its name says, by the library's own word."""
    world = World()
    world.reset(start_of(name).row, START)
    status = drive(world, enroller_over(world).status(USER))
    states = {"disabled": "disabled", "switched": "disabled", "pending": "pending"}
    expected = states.get(name.partition(" ")[0], "confirmed")
    assert status.state == ("disabled" if name == "pending expired" else expected)
    assert status.locked == (name in {"locked", "locked staged"})
    assert (status.retry_at is not None) == (name == "waiting")
    assert (len(status.authenticators) == 2) == (name in {"two authenticators", "locked staged"})
    assert (status.recovery_codes_left == 1) == (name == "one recovery code")
    staged = name in {"staged", "staged tablet", "locked staged", "old key"} or (
        status.state == "pending"
    )
    assert (status.setup_expires_at is not None) == staged


def test_a_run_is_written_down_and_read_again() -> None:
    """What a violation names as its replay is read as it was written."""
    scenario = Scenario("two authenticators", (("begin", "confirm/own"), ("verify/next",)))
    assert read(spelt(scenario, [0, 3, 1], faults=True, ticks=False)) == (
        scenario,
        [0, 3, 1],
        True,
        False,
    )


def test_command_that_a_violation_names_runs_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed with a violation can be pasted into a shell, and prints the same steps."""
    scenario = Scenario.read("confirmed: status | verify/now")
    replay = spelt(scenario, [1, 0, 1], faults=True, ticks=False)
    show(Violation("a_law", "What it says.", "how it broke", replay))
    shown = capsys.readouterr().out
    python, *arguments = shlex.split(shown.partition("  again: ")[2])
    again = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert python == "python"
    assert "FAULT" in again.stdout
    assert again.stdout in shown


def test_path_takes_every_choice() -> None:
    """A path goes through a tree of choices depth first, each leaf once."""
    path, leaves = Path(), []
    while True:
        first = path.choose(2)
        leaves.append((first, path.choose(3) if first else 0))
        if not path.advance():
            break
    assert leaves == [(0, 0), (1, 0), (1, 1), (1, 2)]
