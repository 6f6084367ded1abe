"""The plot for the docs: each ratio as a bar on a logarithmic scale, with its gate and its goal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from benchmarks.rows import Verdict, write

_LEFT: Final = 396
_WIDTH: Final = 400
_RIGHT: Final = 100
_TOP: Final = 56
_ROW: Final = 26
_BAR: Final = 14
_TICKS: Final = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)

_TEXT: Final = "#1f2933"
_PALE: Final = "#cbd2d9"
_COLOURS: Final = {"pass": "#2a7f62", "short": "#c2571a", "": "#7b8794"}
"""Readable for people who see no difference of red and green, and each beside its word."""

_STYLE: Final = f'font-family="system-ui, sans-serif" font-size="12" fill="{_TEXT}"'
_DESCRIPTION: Final = (
    "Each bar goes from 1, as quick as the reference, to the measured ratio; left of 1 otp_enroll "
    "is quicker. A line marks the gate, a dot the goal. The table below has the figures."
)


def draw(verdicts: Sequence[Verdict]) -> str:
    """Draw the rows that are ratios.

    Raises:
        ValueError: There is none.
    """
    rows = [one for one in verdicts if one.row.unit == "times"]
    if not rows:
        raise ValueError("nothing to draw")
    scale = _Scale(rows)
    height = _TOP + _ROW * len(rows) + 16
    width = _LEFT + _WIDTH + _RIGHT
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
            f' width="{width}" height="{height}" role="img" aria-labelledby="title about">',
            '<title id="title">otp_enroll in ratios to other libraries and to raw drivers</title>',
            f'<desc id="about">{escape(_DESCRIPTION)}</desc>',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            f"<g {_STYLE}>",
            *_axis(scale, height),
            *(line for number, one in enumerate(rows) for line in _bar(scale, number, one)),
            "</g>",
            "</svg>\n",
        )
    )


class _Scale:
    """Ratios on a line, from the lowest to the highest tick that is needed."""

    def __init__(self, rows: Iterable[Verdict]) -> None:
        values = [
            value
            for one in rows
            for value in (one.value.low, one.value.high, one.row.gate, one.row.goal, 1.0)
            if value is not None
        ]
        low = max((tick for tick in _TICKS if tick <= min(values)), default=min(values))
        high = min((tick for tick in _TICKS if tick >= max(values)), default=max(values))
        self.ticks = [tick for tick in _TICKS if low <= tick <= high]
        self._low = math.log(low)
        self._unit = _WIDTH / ((math.log(high) - self._low) or 1)

    def at(self, ratio: float) -> float:
        """Return where a ratio stands."""
        return round(_LEFT + (math.log(ratio) - self._low) * self._unit, 1)


def _axis(scale: _Scale, height: int) -> Iterable[str]:
    for tick in scale.ticks:
        x = scale.at(tick)
        colour, width = (_TEXT, 1.5) if tick == 1 else (_PALE, 1)
        yield (
            f'<line x1="{x}" y1="{_TOP - 12}" x2="{x}" y2="{height - 12}" '
            f'stroke="{colour}" stroke-width="{width}"/>'
        )
        yield f'<text x="{x}" y="{_TOP - 18}" text-anchor="middle">{tick:g} ×</text>'
    one = scale.at(1)
    yield f'<text x="{one - 8}" y="16" text-anchor="end">← quicker than the reference</text>'
    yield f'<text x="{one + 8}" y="16">slower →</text>'


def _bar(scale: _Scale, number: int, verdict: Verdict) -> Iterable[str]:
    row, value = verdict.row, verdict.value
    top = _TOP + _ROW * number
    middle = top + _BAR / 2
    ends = sorted((scale.at(1), scale.at(value.median)))
    word = "" if row.gate is None else "short" if verdict.short_by else "pass"
    yield f'<text x="{_LEFT - 10}" y="{middle + 4}" text-anchor="end">{escape(row.title)}</text>'
    yield (
        f'<rect x="{ends[0]}" y="{top}" width="{round(ends[1] - ends[0], 1)}" height="{_BAR}" '
        f'fill="{_COLOURS[word]}">'
    )
    yield f"<title>{escape(f'{row.title}: {verdict.measured}')}</title></rect>"
    low, high = scale.at(value.low), scale.at(value.high)
    yield (f'<line x1="{low}" y1="{middle}" x2="{high}" y2="{middle}" stroke="{_TEXT}"/>')
    if row.gate is not None:
        gate = scale.at(row.gate)
        yield (
            f'<line x1="{gate}" y1="{top - 3}" x2="{gate}" y2="{top + _BAR + 3}" '
            f'stroke="{_TEXT}" stroke-width="2.5"/>'
        )
    if row.goal is not None:
        yield f'<circle cx="{scale.at(row.goal)}" cy="{middle}" r="3.5" fill="{_TEXT}"/>'
    label = f"{write(row, value.median)} {word}".rstrip()
    yield f'<text x="{_LEFT + _WIDTH + 8}" y="{middle + 4}">{label}</text>'
