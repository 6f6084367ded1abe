"""Which requests are walked against each other, and from where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Final

from proof.interleavings.asked import BASE, requests_for
from proof.interleavings.starts import ALL, MAIN, start_of
from proof.interleavings.walker import Scenario

TRIPLES: Final = (
    ("verify/now", "verify/now", "verify/now"),
    ("verify/now", "verify/next", "disable/now"),
    ("verify/now", "begin/now", "regenerate/now"),
    ("verify/wrong", "verify/wrong", "verify/wrong"),
    ("verify/wrong", "verify/now", "verify/recovery"),
    ("verify/recovery", "disable/recovery", "regenerate/now"),
    ("confirm/staged", "verify/now", "begin/override"),
    ("confirm/staged", "confirm/staged", "cancel"),
    ("confirm/staged", "confirm/wrong", "begin"),
    ("begin", "begin", "erase"),
    ("erase", "begin/override", "verify/now"),
    ("disable/override", "begin", "confirm/staged"),
)
"""Three requests that fight for one thing: a code, a setup, a budget, the row itself."""

FLOWS: Final = (
    (("begin", "confirm/own"), ("begin",)),
    (("begin/override", "confirm/own"), ("verify/now",)),
    (("begin/now", "confirm/own"), ("disable/now",)),
    (("begin/override", "confirm/own"), ("begin/override",)),
    (("begin/override", "confirm/own"), ("erase",)),
)
"""A user who begins and then confirms his own setup, against one request of another one."""

RIVALS: Final = (
    (("begin", "confirm/own"), ("begin", "confirm/own")),
    (("begin/override", "confirm/own"), ("begin/override", "confirm/own")),
)
"""Two users who begin and confirm: each holds the id of the own setup alone."""


def pairs(start: str, *, more: bool) -> Iterator[Scenario]:
    """Yield every pair of requests from one start: of all of them, or of those in ``BASE``."""
    names = requests_for(start_of(start)) if more else BASE
    for one, other in combinations_with_replacement(names, 2):
        yield Scenario(start, ((one,), (other,)))


def triples(start: str) -> Iterator[Scenario]:
    """Yield the chosen triples from one start."""
    for names in TRIPLES:
        yield Scenario(start, tuple((name,) for name in names))


def flows(start: str, chosen: tuple[tuple[tuple[str, ...], ...], ...]) -> Iterator[Scenario]:
    """Yield chosen flows from one start."""
    for users in chosen:
        yield Scenario(start, users)


VERBS: Final = (
    "begin/override", "resume", "confirm/staged", "cancel", "check_key_copy", "verify/now",
    "disable/now", "regenerate/now", "rename", "erase", "status", "purge", "reseal",
)  # fmt: skip
"""One request of each verb: the short form sets these against each other."""


def verb_pairs(start: str) -> Iterator[Scenario]:
    """Yield every pair of verbs from one start."""
    for one, other in combinations_with_replacement(VERBS, 2):
        yield Scenario(start, ((one,), (other,)))


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the proof.

    Attributes:
        name: What the table calls it.
        scenarios: What is walked.
        faults: Whether a fault may happen; runs without one are then counted elsewhere.
        ticks: Whether the time may move on.
    """

    name: str
    scenarios: tuple[Scenario, ...]
    faults: bool = False
    ticks: bool = False


FLOWING: Final = ("disabled", "pending", "confirmed")
EDGES: Final = tuple(start for start in ALL if start not in MAIN)


def parts() -> tuple[Part, ...]:
    """Return the whole proof."""
    wide = tuple(one for start in MAIN for one in pairs(start, more=True))
    edges = tuple(one for start in EDGES for one in pairs(start, more=False))
    threes = tuple(one for start in ("confirmed", "staged", "pending") for one in triples(start))
    chains = tuple(one for start in FLOWING for one in flows(start, (*FLOWS, *RIVALS)))
    faulty = tuple(one for start in FLOWING for one in flows(start, FLOWS[:1]))
    return (
        Part("pairs, and the time moves on", wide, ticks=True),
        Part("pairs from edges, and the time moves on", edges, ticks=True),
        Part("triples", threes),
        Part("flows", chains),
        Part("pairs with a fault", wide, faults=True),
        Part("pairs from edges with a fault", edges, faults=True),
        Part("flows with a fault", faulty, faults=True),
    )
