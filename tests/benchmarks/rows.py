"""The rows of the table: what is held against what, the gate of each, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from benchmarks.results import Results
from benchmarks.rounds import Spread, ratios, spread

OURS: Final = "otp_enroll"
OFFSETS: Final = ("-1", "0", "+1")

_UNITS: Final = {"times": ("×", 2), "percent": ("%", 1), "bytes": ("bytes", 0)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row.

    Attributes:
        what: What is measured.
        part: The part of the run that has it.
        side: Whose time is divided.
        reference: By whose.
        unit: A ratio; how far apart the sides of the part are; or a size.
        gate: What must be reached; a row without one is there to compare.
        goal: What would be good.
    """

    what: str
    part: str
    side: str = OURS
    reference: str = ""
    unit: Literal["times", "percent", "bytes"] = "times"
    gate: float | None = None
    goal: float | None = None

    @property
    def title(self) -> str:
        """What the docs call the row."""
        return f"{self.what}, against {self.reference}" if self.reference else self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a row came to."""

    row: Row
    value: Spread

    @property
    def short_by(self) -> float | None:
        """By what part of the gate it is missed; ``None`` where it is not, or there is none."""
        gate = self.row.gate
        if gate is None or self.value.median <= gate:
            return None
        return self.value.median / gate - 1

    @property
    def word(self) -> str:
        """Pass, or short and by how much."""
        if self.row.gate is None:
            return ""
        if self.short_by is None:
            goal = self.row.goal
            return "pass, goal" if goal is not None and self.value.median <= goal else "pass"
        return f"short by {max(1, round(self.short_by * 100))} %"

    @property
    def measured(self) -> str:
        """The median, and the middle half of the rounds."""
        middle = write(self.row, self.value.median)
        if self.value.low == self.value.high:
            return middle
        digits = _UNITS[self.row.unit][1]
        return f"{middle} ({self.value.low:.{digits}f} to {self.value.high:.{digits}f})"


def write(row: Row, value: float | None) -> str:
    """Write a value of the row with its unit."""
    if value is None:
        return ""
    unit, digits = _UNITS[row.unit]
    return f"{value:.{digits}f} {unit}"


WRONG: Final = "verify, wrong code, in memory"
LIFE: Final = "whole life, SQLite NORMAL"
FULL: Final = "whole life, SQLite FULL"
POSTGRESQL: Final = "whole life, PostgreSQL"
SQLITE_FLOOR: Final = "raw sqlite3"
POSTGRESQL_FLOOR: Final = "raw psycopg"

ROWS: Final = (
    Row(what=WRONG, part="verify", reference="pyotp", gate=3.8, goal=2.5),
    Row(what=WRONG, part="verify", reference="allauth", gate=1.0),
    Row(what=WRONG, part="verify", reference="django-otp", gate=1.0),
    Row(what=WRONG, part="verify", reference="libpass"),
    Row(what=WRONG, part="verify", reference="Flask-Security"),
    Row(what=WRONG, part="verify", reference="its bare parts"),
    Row(
        what="right code at -1, 0, +1, against each other",
        part="right",
        unit="percent",
        gate=5.0,
        goal=5.0,
    ),
    Row(
        what="status, in memory",
        part="verify",
        side="status",
        reference="pyotp",
        gate=1.5,
        goal=1.0,
    ),
    Row(what=LIFE, part="life", reference=SQLITE_FLOOR, gate=10.0, goal=5.0),
    Row(what=LIFE, part="life", reference="django-otp", gate=0.30),
    Row(what=LIFE, part="life", reference="allauth", gate=0.22),
    Row(what=LIFE, part="life", reference="django-two-factor-auth"),
    Row(what=LIFE, part="life", reference="Flask-Security"),
    Row(what=FULL, part="full", reference=SQLITE_FLOOR, gate=2.8, goal=1.7),
    Row(what=POSTGRESQL, part="postgresql", reference=POSTGRESQL_FLOOR, gate=3.0, goal=2.5),
    Row(
        what="begin with an inline SVG",
        part="begin",
        side="SVG",
        reference="pyotp and segno, SVG",
        gate=0.45,
    ),
    Row(
        what="begin with a PNG",
        part="begin",
        side="PNG",
        reference="pyotp and segno, PNG",
        gate=0.40,
    ),
    Row(
        what="import otp_enroll",
        part="import",
        reference="import pyotp, segno",
        gate=1.75,
        goal=1.4,
    ),
    Row(what="document of a confirmed account", part="document", unit="bytes", gate=730.0),
    Row(
        what="login while 16 threads guess at another account",
        part="contention",
        side="guessed at",
        reference="alone",
    ),
)


def judge(row: Row, results: Results) -> Verdict | None:
    """Return what the row came to, or ``None`` if its part was not run."""
    part = results.samples.get(row.part)
    if part is None:
        return None
    if row.unit == "percent":
        return Verdict(row=row, value=_apart([ratios(part[one], part["0"]) for one in OFFSETS]))
    if row.unit == "bytes":
        return Verdict(row=row, value=spread(part[row.side]["bytes"]))
    return Verdict(row=row, value=spread(ratios(part[row.side], part[row.reference])))


def _apart(sides: list[list[float]]) -> Spread:
    """Return by how many percent the slowest median is above the quickest."""
    medians = [spread(one).median for one in sides]
    percent = (max(medians) / min(medians) - 1) * 100
    return Spread(median=percent, low=percent, high=percent)


def verdicts(results: Results) -> list[Verdict]:
    """Judge the rows whose parts were run."""
    judged = [judge(row, results) for row in ROWS]
    return [one for one in judged if one is not None]
