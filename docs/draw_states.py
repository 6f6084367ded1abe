"""Draws the states of an enrollment and the verbs between them, from the table that runs.

``PYTHONPATH=src python docs/draw_states.py`` writes the picture, and so does the build of the docs.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import svg
from otp_enroll.core.states import Phase
from otp_enroll.core.transitions import TRANSITIONS

PICTURE: Final = Path(__file__).parent / "images" / "states.svg"

_PHASES: Final = tuple(Phase)
_FILLS: Final = dict(zip(_PHASES, ("#e5e7eb", "#fde9b8", "#c6efd9", "#cfe3ff"), strict=True))
_WIDTH: Final = 176
_HEIGHT: Final = 44
_LOOP: Final = 34
_SPACE: Final = 12
_GAP: Final = 52

Arrow = tuple[Phase, Phase]


def find_arrows() -> dict[Arrow, list[str]]:
    """Return what leads from one phase to another, in the order of the table."""
    found: dict[Arrow, list[str]] = {}
    staying = find_stayers()
    for verb, row in TRANSITIONS.items():
        for phase, cell in row.items():
            for to in cell.to if verb not in staying else ():
                label = f"{verb} (proof)" if cell.proof else verb
                found.setdefault((phase, to), []).append(label)
    for phase, cell in TRANSITIONS["confirm"].items():
        if cell.exhausted:
            found.setdefault((phase, cell.exhausted), []).append("tenth wrong code")
    return found


def find_stayers() -> list[str]:
    """Return the verbs that leave every phase as it is."""
    return [
        verb
        for verb, row in TRANSITIONS.items()
        if all(cell.to == (phase,) for phase, cell in row.items())
    ]


def find_enders() -> list[str]:
    """Return the verbs that leave no row, whatever the phase."""
    return [
        verb
        for verb, row in TRANSITIONS.items()
        if not any(cell.to or cell.refuses for cell in row.values())
    ]


def draw() -> ET.Element:
    """Draw the phases one below the other, with the arrows around them."""
    arrows, heights = find_arrows(), _place_phases(find_arrows())
    lanes, left, right = _place_lanes(arrows)
    bottom = heights[_PHASES[-1]] + _row_height(arrows, _PHASES[-1]) / 2 + 3 * svg.LINE_HEIGHT
    root = svg.start_picture(
        left,
        -_HEIGHT / 2 - 2 * _SPACE,
        right,
        bottom,
        title="The states of an enrollment",
        description=_describe(arrows),
    )
    svg.add_dot(root, 0, -_HEIGHT / 2 - 2 * _SPACE)
    svg.add_line(root, f"M0 {-_HEIGHT / 2 - 2 * _SPACE:.1f} V{-_HEIGHT / 2:.1f}", head=True)
    for arrow, labels in arrows.items():
        if arrow in lanes:
            _draw_lane(root, arrow, labels, lanes, heights)
        elif arrow[0] is arrow[1]:
            _draw_loop(root, arrow[0], arrows, heights)
        else:
            _draw_step(root, arrow, arrows, heights)
    for phase in _PHASES:
        centre, size = (0.0, heights[phase]), (_WIDTH, _HEIGHT)
        svg.add_box(root, centre, size, [phase.value], fill=_FILLS[phase])
    notes = [
        f"{', '.join(find_stayers())}: the same state, in every state",
        f"{', '.join(find_enders())}: no row is left, in every state",
    ]
    svg.add_text(root, 0, bottom - svg.LINE_HEIGHT, notes, anchor="middle")
    return root


def _describe(arrows: dict[Arrow, list[str]]) -> str:
    """Say what the picture shows."""
    return " ".join(
        f"From {source.value} to {to.value}: {', '.join(labels)}."
        for (source, to), labels in arrows.items()
    )


def _row_height(arrows: dict[Arrow, list[str]], phase: Phase) -> float:
    """Return the height of a box with what stands beside it."""
    return max(_HEIGHT, len(arrows.get((phase, phase), ())) * svg.LINE_HEIGHT)


def _place_phases(arrows: dict[Arrow, list[str]]) -> dict[Phase, float]:
    """Return the height of each box's centre."""
    heights = {_PHASES[0]: 0.0}
    for upper, lower in pairwise(_PHASES):
        lines = max(len(arrows.get(step, ())) for step in ((upper, lower), (lower, upper)))
        rows = (_row_height(arrows, upper) + _row_height(arrows, lower)) / 2
        between = max(_GAP, lines * svg.LINE_HEIGHT + 2 * _SPACE)
        heights[lower] = heights[upper] + rows + between
    return heights


def _span(arrow: Arrow) -> int:
    """Return how many boxes an arrow goes down, or up if it is negative."""
    return _PHASES.index(arrow[1]) - _PHASES.index(arrow[0])


def _place_lanes(arrows: dict[Arrow, list[str]]) -> tuple[dict[Arrow, float], float, float]:
    """Return where arrows that pass a box run, left of the boxes, and the ends of the picture."""
    widths = {arrow: max(map(svg.measure, labels)) for arrow, labels in arrows.items()}
    left = -max(_WIDTH / 2, *(widths[a] + _WIDTH / 8 + _SPACE for a in arrows if _span(a) == -1))
    right = _WIDTH / 2 + _LOOP + max(widths[a] for a in arrows if _span(a) == 0)
    lanes: dict[Arrow, float] = {}
    for arrow in sorted(arrows, key=lambda arrow: abs(_span(arrow))):
        if abs(_span(arrow)) > 1:
            lanes[arrow] = left - _SPACE
            left -= 2 * _SPACE + widths[arrow]
    return lanes, left, right


def _draw_step(
    root: ET.Element, arrow: Arrow, arrows: dict[Arrow, list[str]], heights: dict[Phase, float]
) -> None:
    """Draw an arrow to the next box, down on the right and up on the left."""
    side = _span(arrow)
    source, target = arrow
    x, start = side * _WIDTH / 8, heights[source] + side * _HEIGHT / 2
    end = heights[target] - side * _HEIGHT / 2
    group = svg.add_arrow(root, source.name, target.name, f"M{x:.1f} {start:.1f} V{end:.1f}")
    rows = (_row_height(arrows, source) - _row_height(arrows, target)) / 4
    middle = (heights[source] + heights[target]) / 2 + side * rows
    anchor = "start" if side > 0 else "end"
    svg.add_text(group, x + side * _SPACE, middle, arrows[arrow], anchor=anchor)


def _draw_loop(
    root: ET.Element, phase: Phase, arrows: dict[Arrow, list[str]], heights: dict[Phase, float]
) -> None:
    """Draw an arrow back to the box from which it comes, on its right."""
    x, y = _WIDTH / 2, heights[phase]
    path = f"M{x:.1f} {y - 10:.1f} c{_LOOP} -10 {_LOOP} 30 0 20"
    group = svg.add_arrow(root, phase.name, phase.name, path)
    svg.add_text(group, x + _LOOP, y, arrows[phase, phase])


def _draw_lane(
    root: ET.Element,
    arrow: Arrow,
    labels: list[str],
    lanes: dict[Arrow, float],
    heights: dict[Phase, float],
) -> None:
    """Draw an arrow that passes the boxes between, with its label beyond it."""
    x, edge = lanes[arrow], -_WIDTH / 2
    start, end = (_find_dock(arrow, phase, lanes, heights) for phase in arrow)
    path = f"M{edge:.1f} {start:.1f} H{x:.1f} V{end:.1f} H{edge:.1f}"
    group = svg.add_arrow(root, arrow[0].name, arrow[1].name, path)
    middle = (heights[arrow[0]] + heights[arrow[1]]) / 2
    svg.add_text(group, x - _SPACE / 2, middle, labels, anchor="end")


def _find_dock(
    arrow: Arrow, phase: Phase, lanes: dict[Arrow, float], heights: dict[Phase, float]
) -> float:
    """Return the height at which an arrow meets a box, so that none of them cross."""

    def order(other: Arrow) -> tuple[bool, float]:
        """From above: what leads up from the box, the nearest first; then down, the farthest."""
        leads_down = max(other, key=_PHASES.index) is not phase
        return leads_down, lanes[other] if leads_down else -lanes[other]

    docks = sorted((other for other in lanes if phase in other), key=order)
    place = docks.index(arrow) - (len(docks) - 1) / 2
    return heights[phase] + place * _HEIGHT / (len(docks) + 1)


if __name__ == "__main__":
    svg.write_picture(draw(), PICTURE)
