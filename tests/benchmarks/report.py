"""The table for the terminal, and the part of docs/benchmarks.md that a run writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.results import Results
from benchmarks.rounds import spread, totals
from benchmarks.rows import FULL, LIFE, POSTGRESQL, Verdict, verdicts, write

PROJECT: Final = Path(__file__).parents[2]
KEPT: Final = PROJECT / "docs" / "benchmarks.json"
PAGE: Final = PROJECT / "docs" / "benchmarks.md"
PLOT: Final = PROJECT / "docs" / "images" / "benchmarks.svg"

BEGIN: Final = "<!-- made by make bench -->"
END: Final = "<!-- end of what make bench made -->"

_HEAD: Final = ("what", "against", "measured", "gate", "goal", "")
_LIVES: Final = {"life": LIFE, "full": FULL, "postgresql": POSTGRESQL}
_STEPS: Final = ("begin", "confirm", "verify", "disable")


def _cells(verdict: Verdict) -> tuple[str, ...]:
    row = verdict.row
    reference = row.reference or "—"
    gate, goal = (write(row, value) or "—" for value in (row.gate, row.goal))
    return (row.what, reference, verdict.measured, gate, goal, verdict.word)


def terminal_table(results: Results) -> str:
    """Write the rows in columns."""
    rows = [_HEAD, *map(_cells, verdicts(results))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def versions(results: Results) -> str:
    """Write on what it ran, and with what, in one sentence."""
    named = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return f"{results.machine}; {named}."


def generated(results: Results) -> str:
    """Write what stands between the marks: the table, the steps of the lives, the versions."""
    rows = [_cells(verdict) for verdict in verdicts(results)]
    return "\n\n".join(
        (
            BEGIN,
            f"Measured on {versions(results)}",
            _markdown(_HEAD, rows),
            "Microseconds a step of a life, medians:",
            _markdown(("", *_STEPS, "together"), _steps(results)),
            END,
        )
    )


def renew(page: str, results: Results) -> str:
    """Put that into the page.

    Raises:
        ValueError: The page has not the two marks.
    """
    marked = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    if len(marked.findall(page)) != 1:
        raise ValueError("the page must have the two marks, once")
    return marked.sub(lambda _: generated(results), page)


def _steps(results: Results) -> Iterable[tuple[str, ...]]:
    for part, name in _LIVES.items():
        for side, steps in results.samples.get(part, {}).items():
            columns = [steps[step] for step in _STEPS] + [totals(steps)]
            yield f"{name}: {side}", *(f"{spread(one).median:,.0f}" for one in columns)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
