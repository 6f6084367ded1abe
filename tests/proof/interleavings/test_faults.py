"""Every place to fail between two requests, tried: a chosen part of what the long form walks."""

from __future__ import annotations

import pytest

from proof.interleavings.prover import Prover
from proof.interleavings.scenarios import EDGES, pairs
from proof.interleavings.starts import MAIN
from proof.interleavings.walker import CIPHER, FAULTS, Scenario


@pytest.mark.requirement("R-62", "R-64", "R-65")
@pytest.mark.parametrize("start", MAIN)
def test_one_fault_in_two_requests(start: str) -> None:
    """With one fault at any step no promise breaks, and the user who asks again ends well."""
    chosen = list(pairs(start, more=True))[7::151]
    tally = Prover().prove(chosen, faults=True)
    assert tally.combinations > tally.schedules
    assert tally.broken == 0, "\n".join(str(one) for one in tally.violations)


@pytest.mark.requirement("R-62")
@pytest.mark.parametrize("start", EDGES)
def test_one_fault_from_an_edge(start: str) -> None:
    """The same from the edges of the states: the last wrong code, the last second, an old key."""
    tally = Prover().prove(list(pairs(start, more=False))[5::151], faults=True)
    assert tally.broken == 0, "\n".join(str(one) for one in tally.violations)


@pytest.mark.requirement("R-62", "R-64")
@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("confirmed: verify/now | verify/now", set()),
        ("staged: confirm/staged | verify/now", set()),
        ("one recovery code: verify/recovery | disable/recovery", {CIPHER}),  # opens no secret
        ("pending: confirm/staged | cancel", set()),
        ("old key: begin/now | rename", set()),  # what is drawn is sealed in the first try alone
    ],
)
def test_every_fault_in_requests_that_fight(text: str, missing: set[str]) -> None:
    """Every kind of fault at every step of two requests that fight for one code or one setup."""
    tally = Prover().prove([Scenario.read(text)], faults=True)
    assert set(tally.faults) == {*FAULTS} - missing
    assert tally.broken == 0, "\n".join(str(one) for one in tally.violations)
