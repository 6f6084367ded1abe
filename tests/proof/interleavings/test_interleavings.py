"""Every order of two requests, tried: each pair of verbs, from each state, and chosen triples."""

from __future__ import annotations

import pytest

from otp_enroll.core.transitions import TRANSITIONS
from proof.interleavings.asked import BASE, REQUESTS
from proof.interleavings.invariants import WRITES_TO_SUCCEED
from proof.interleavings.prover import Prover, Tally
from proof.interleavings.scenarios import (
    EDGES,
    FLOWS,
    RIVALS,
    TRIPLES,
    VERBS,
    flows,
    pairs,
    parts,
    verb_pairs,
)
from proof.interleavings.starts import MAIN
from proof.interleavings.walker import Scenario


def assert_nothing_broke(tally: Tally) -> None:
    """Fail with the first violations, each of which names how to run it again."""
    assert tally.schedules > tally.scenarios
    assert tally.broken == 0, "\n".join(str(one) for one in tally.violations)


def test_every_verb_is_walked() -> None:
    """Each verb of the table stands in the long form, the short one, and the law of writes."""
    assert {asked.verb for asked in REQUESTS.values()} == set(TRANSITIONS)
    assert {REQUESTS[name].verb for name in BASE} == set(TRANSITIONS)
    assert {REQUESTS[name].verb for name in VERBS} == set(TRANSITIONS)
    writes_nothing = {"resume", "check_key_copy", "status", "purge_expired", "reseal"}
    assert set(TRANSITIONS) == WRITES_TO_SUCCEED | writes_nothing


@pytest.mark.requirement("R-41", "R-64", "R-65")
@pytest.mark.regression_of("B-07", "B-19", "B-24", "B-28")
@pytest.mark.parametrize("start", MAIN)
def test_every_order_of_two_verbs(start: str) -> None:
    """In every order of every pair of verbs all promises hold, and a serial order explains it."""
    tally = Prover().prove(verb_pairs(start))
    assert tally.scenarios == len(VERBS) * (len(VERBS) + 1) // 2
    assert_nothing_broke(tally)


@pytest.mark.requirement("R-63", "R-65")
@pytest.mark.parametrize("start", [*MAIN, *EDGES])
def test_orders_in_which_the_time_moves_on(start: str) -> None:
    """The same while the time moves on by a period at any step: every 47th pair of requests."""
    chosen = list(pairs(start, more=True))[::47]
    assert_nothing_broke(Prover().prove(chosen, ticks=True))


@pytest.mark.requirement("R-64", "R-65")
@pytest.mark.regression_of("B-19", "B-24")
@pytest.mark.parametrize(
    ("start", "names"), [("confirmed", TRIPLES[0]), ("four wrong", TRIPLES[3])]
)
def test_every_order_of_three_requests(start: str, names: tuple[str, ...]) -> None:
    """Three requests with one code, or with three wrong ones before a wait: every order."""
    scenario = Scenario(start, tuple((name,) for name in names))
    assert_nothing_broke(Prover().prove([scenario]))


@pytest.mark.requirement("R-53")
@pytest.mark.regression_of("B-07")
@pytest.mark.parametrize("start", ["disabled", "pending", "confirmed"])
def test_two_sessions_interleaved_in_every_order(start: str) -> None:
    """Who begins and confirms proves the own setup alone, whatever another session does between."""
    assert_nothing_broke(Prover().prove(flows(start, FLOWS[:1])))


def test_whole_proof_has_every_pair_from_every_state() -> None:
    """The long form walks each pair with ticks and with faults, and some flows of two users."""
    for ticks, faults in ((True, False), (False, True)):
        walked = {
            scenario
            for part in parts()
            if (part.ticks, part.faults) == (ticks, faults)
            for scenario in part.scenarios
        }
        assert walked >= {one for start in MAIN for one in pairs(start, more=True)}
        assert walked >= {one for start in EDGES for one in pairs(start, more=False)}
    flowing = {scenario.users for part in parts() for scenario in part.scenarios}
    assert flowing >= {*FLOWS, *RIVALS}
