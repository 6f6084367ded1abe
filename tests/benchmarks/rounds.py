"""Interleaved rounds: each side runs one batch a round, so that a busy moment meets all alike.

A ratio is taken within a round and the median over the rounds; medians of two runs that the
machine treated differently are never compared.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Steps: TypeAlias = dict[str, float]
"""Microseconds a call, by the name of the step."""

Samples: TypeAlias = dict[str, dict[str, list[float]]]
"""By side and step, one value a round."""

_DIGITS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of those that are compared.

    Attributes:
        name: What the table calls it.
        run: Runs one batch.
    """

    name: str
    run: Callable[[], Steps]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A median, and between which values the middle half of the rounds lies."""

    median: float
    low: float
    high: float


def per_call(act: Callable[..., object], arguments: Iterable[tuple[Any, ...]]) -> float:
    """Call once with each tuple of arguments, and return microseconds a call."""
    prepared = list(arguments)
    started = time.perf_counter()
    for one in prepared:
        act(*one)
    return (time.perf_counter() - started) * 1e6 / len(prepared)


@contextmanager
def without_collector() -> Generator[None]:
    """Collect garbage before a batch and not within: whose turn it is would be chance.

    What is left is no longer looked at, so that the next collection is a quick one.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def interleave(sides: Sequence[Side], *, rounds: int, warm_ups: int = 1) -> Samples:
    """Run the rounds, every second one in reverse order, and return what they took."""
    samples: Samples = {side.name: {} for side in sides}
    for number in range(-warm_ups, rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            with without_collector():
                steps = side.run()
            if number >= 0:
                for step, took in steps.items():
                    samples[side.name].setdefault(step, []).append(_rounded(took))
    return samples


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def totals(steps: dict[str, list[float]]) -> list[float]:
    """Return what all steps of a side took together, by round."""
    return [sum(one) for one in zip(*steps.values(), strict=True)]


def ratios(ours: dict[str, list[float]], reference: dict[str, list[float]]) -> list[float]:
    """Divide round by round."""
    pairs = zip(totals(ours), totals(reference), strict=True)
    return [one / other for one, other in pairs]


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles; of one value, that value."""
    if len(values) == 1:
        return Spread(median=values[0], low=values[0], high=values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median=median, low=low, high=high)
