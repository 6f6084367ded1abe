"""Draws the floors of the house and who imports whom, from the imports in the files.

``PYTHONPATH=src:tests python docs/draw_floors.py`` writes the picture, and so does the build of the
docs. An arrow that follows from others is left out: a room may import whatever its arrows reach.
"""

from __future__ import annotations

import functools
import random
import sys
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Final
from xml.etree import ElementTree as ET

import svg
from helpers.house import FLOORS, LEAVES, MODULES, floor_of, imports_of, inner_imports, room_of

PICTURE: Final = Path(__file__).parent / "images" / "floors.svg"

_HEIGHT: Final = 38
_GAP: Final = 30
_SPACE: Final = 14
_MAX_IN_ROW: Final = 4
_SWEEPS: Final = 21
_TRIES: Final = 30
_TINTS: Final = ("#f3f4f6", "#fbfbfc")
_LEAF: Final = "#dcfce7"
_ROOM: Final = "#dbeafe"

Graph = dict[str, set[str]]
Rows = list[list[str]]
"""Rooms from the ground up, and beside them the lines that pass a row: ``|core`` leads to core."""

Places = dict[tuple[int, str], float]
"""Where something stands in its row."""

Segments = set[tuple[int, str, str]]
"""A row, something in it, and where in the row below that leads to."""


def find_arrows() -> Graph:
    """Return which room imports from which, without what follows from other imports."""
    imports: Graph = {}
    for module, path in MODULES.items():
        targets = imports.setdefault(room_of(module), set())
        targets |= {room_of(imported) for imported in inner_imports(path)} - {room_of(module)}
    return {
        room: targets - {far for near in targets for far in _reach(imports, near)}
        for room, targets in imports.items()
    }


@functools.cache
def find_third_parties() -> Graph:
    """Return what each room imports from outside the standard library."""
    found: Graph = {}
    for module, path in MODULES.items():
        names = {name.partition(".")[0] for name in imports_of(path)}
        names -= {*sys.stdlib_module_names, "otp_enroll", "typing_extensions"}
        found.setdefault(room_of(module), set()).update(names)
    return found


def draw() -> ET.Element:
    """Draw the rooms in rows, the highest on top, and the arrows between them."""
    arrows = find_arrows()
    rows, segments = _fill_rows(arrows)
    widths = {item: 0.0 if item.startswith("|") else _width(item) for row in rows for item in row}
    tries = (_place(_shuffle(rows, seed), segments, widths) for seed in range(_TRIES))
    places = min(tries, key=lambda places: _count_crossings(segments, places))
    left = min(places[n, item] - widths[item] / 2 for n, row in enumerate(rows) for item in row)
    right = max(places[n, item] + widths[item] / 2 for n, row in enumerate(rows) for item in row)
    root = svg.start_picture(
        left - _SPACE,
        _top(len(rows) - 1) - _HEIGHT / 2 - _SPACE,
        right + _SPACE,
        _HEIGHT / 2 + _SPACE,
        title="The floors of the house",
        description=_describe(arrows),
    )
    _draw_floors(root, rows, left - _SPACE, right + _SPACE)
    for source, targets in sorted(arrows.items()):
        for target in sorted(targets):
            _draw_arrow(root, source, target, rows, places)
    for n, row in enumerate(rows):
        for room in row:
            if not room.startswith("|"):
                fill = _LEAF if room in LEAVES else _ROOM
                centre, size = (places[n, room], _top(n)), (widths[room], _HEIGHT)
                svg.add_box(root, centre, size, _label(room), fill=fill)
    return root


def _reach(graph: Graph, start: str) -> set[str]:
    """Return all that can be reached from a room."""
    found: set[str] = set()
    todo = set(graph.get(start, ()))
    while todo:
        room = todo.pop()
        found.add(room)
        todo |= graph.get(room, set()) - found
    return found


def _describe(arrows: Graph) -> str:
    """Say what the picture shows."""
    return " ".join(
        f"{source} imports {', '.join(sorted(targets))}."
        for source, targets in sorted(arrows.items())
        if targets
    )


def _label(room: str) -> list[str]:
    """Return what stands in a room's box: its name, and the third parties that it imports."""
    name = "otp_enroll" if room == "__init__" else room
    parties = ", ".join(sorted(find_third_parties()[room]))
    return [name, parties] if parties else [name]


def _width(room: str) -> float:
    """Return the width of a room's box."""
    return max(map(svg.measure, _label(room))) + _SPACE


def _top(row: int) -> float:
    """Return the height of a row's middle."""
    return -row * (_HEIGHT + _GAP)


def _fill_rows(arrows: Graph) -> tuple[Rows, Segments]:
    """Put each room above all that it imports, floor by floor, and lead the arrows there."""
    seen = {room for room, targets in arrows.items() if targets}
    seen |= {target for targets in arrows.values() for target in targets}
    rows: Rows = []
    for floor in (*FLOORS, LEAVES):
        todo = [room for room in floor if room in seen]
        while todo:
            row = [room for room in todo if not arrows[room] & set(todo)][:_MAX_IN_ROW]
            todo = [room for room in todo if room not in row]
            rows.append(row)
    at = {room: n for n, row in enumerate(rows) for room in row}
    segments: Segments = set()
    for source, targets in arrows.items():
        for target in targets:
            chain = [source, *[f"|{target}"] * (at[source] - at[target] - 1), target]
            segments |= {(at[source] - n, *step) for n, step in enumerate(pairwise(chain))}
    for n, _, below in sorted(segments):
        if below not in rows[n - 1]:
            rows[n - 1].append(below)
    return rows, segments


def _shuffle(rows: Rows, seed: int) -> Rows:
    """Return the rows in another order each, for every seed the same."""
    dice = random.Random(seed)  # noqa: S311  # a picture has no secrets
    return [dice.sample(row, len(row)) for row in rows]


def _count_crossings(segments: Segments, places: Places) -> int:
    """Return how many lines cross another one."""
    ends = [(n, places[n, above], places[n - 1, below]) for n, above, below in segments]
    return sum(n == m and a < c and b > d for n, a, b in ends for m, c, d in ends)


def _place(rows: Rows, segments: Segments, widths: dict[str, float]) -> Places:
    """Return where everything stands: below what leads to it, or above what it leads to.

    The rows are put in order one after the other, by the row below or by the row above, again and
    again. The last time it is the row below, so that lines rise straight from where they end.
    """
    ties: dict[tuple[int, str, int], list[str]] = {}
    for n, above, below in sorted(segments):
        ties.setdefault((n, above, n - 1), []).append(below)
        ties.setdefault((n - 1, below, n), []).append(above)
    places = {(n, item): 0.0 for n, row in enumerate(rows) for item in row}
    for sweep in range(_SWEEPS):
        step = -1 if sweep % 2 else 1
        for n in range(len(rows))[::step]:
            wishes = {
                item: fmean([places[n - step, tie] for tie in ties.get((n, item, n - step), ())])
                if (n, item, n - step) in ties
                else places[n, item]
                for item in rows[n]
            }
            row = sorted(rows[n], key=lambda item: wishes[item])
            found = _part([wishes[item] for item in row], [widths[item] for item in row])
            places |= {(n, item): place for item, place in zip(row, found, strict=True)}
    return places


def _part(wishes: list[float], widths: list[float]) -> list[float]:
    """Return the places nearest to those wished for at which no two things touch.

    By pooling adjacent violators: things that wish to be closer than they may become one block,
    which stands at the mean of its wishes.
    """
    offsets = [0.0]
    for one, other in pairwise(widths):
        offsets.append(offsets[-1] + (one + other) / 2 + _SPACE)
    blocks: list[list[float]] = []
    for wish, offset in zip(wishes, offsets, strict=True):
        blocks.append([wish - offset])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    shifts = [fmean(block) for block in blocks for _ in block]
    return [shift + offset for shift, offset in zip(shifts, offsets, strict=True)]


def _draw_floors(root: ET.Element, rows: Rows, left: float, right: float) -> None:
    """Draw a band behind each floor."""
    floors = [floor_of(next(room for room in row if not room.startswith("|"))) for row in rows]
    for n, floor in enumerate(sorted(set(floors))):
        inside = [row for row, its in enumerate(floors) if its == floor]
        reach = (_HEIGHT + _GAP) / 2
        top, bottom = _top(inside[-1]) - reach, _top(inside[0]) + reach
        svg.add_panel(root, left, top, right, bottom, fill=_TINTS[n % 2])


def _draw_arrow(
    root: ET.Element,
    source: str,
    target: str,
    rows: Rows,
    places: Places,
) -> None:
    """Draw an arrow down, past the rows between."""
    start, end = (next(n for n, row in enumerate(rows) if room in row) for room in (source, target))
    x, y = places[start, source], _top(start) + _HEIGHT / 2
    path = f"M{x:.1f} {y:.1f}"
    for n in range(start - 1, end - 1, -1):
        to, upper = places[n, target if n == end else f"|{target}"], _top(n) - _HEIGHT / 2
        middle = (y + upper) / 2
        path += f" C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {upper:.1f}"
        if n > end:
            y = _top(n) + _HEIGHT / 2
            path += f" V{y:.1f}"
        x = to
    svg.add_arrow(root, source, target, path)


if __name__ == "__main__":
    svg.write_picture(draw(), PICTURE)
