"""Pieces of an SVG picture: dark on a white card whatever the page, and described in words."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

TEXT_SIZE: Final = 12
LINE_HEIGHT: Final = 17
_ADVANCE: Final = 0.61
"""Ems per character: every letter of a fixed-width face is that wide, or a little less."""

_FACE: Final = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_INK: Final = "#1b1f24"
_LINE: Final = "#4b5563"
_MARGIN: Final = 16
_RADIUS: Final = 6

Point = tuple[float, float]


def measure(text: str) -> float:
    """Return the width of a text in pixels."""
    return len(text) * TEXT_SIZE * _ADVANCE


def start_picture(
    left: float, top: float, right: float, bottom: float, *, title: str, description: str
) -> ET.Element:
    """Begin a picture of that field, with a margin, and a description for screen readers."""
    x, y = left - _MARGIN, top - _MARGIN
    width, height = right - left + 2 * _MARGIN, bottom - top + 2 * _MARGIN
    root = _make(
        None,
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"{x:.0f} {y:.0f} {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
        aria_labelledby="title description",
        font_family=_FACE,
        font_size=TEXT_SIZE,
    )
    _make(root, "title", id="title").text = title
    _make(root, "desc", id="description").text = description
    head = _make(
        _make(root, "defs"),
        "marker",
        id="head",
        viewBox="0 0 8 8",
        refX=7,
        refY=4,
        markerWidth=8,
        markerHeight=8,
        orient="auto",
    )
    _make(head, "path", d="M0 0.5 L8 4 L0 7.5 z", fill=_LINE)
    add_panel(root, x, y, x + width, y + height, fill="#ffffff")
    return root


def add_panel(
    parent: ET.Element, left: float, top: float, right: float, bottom: float, *, fill: str
) -> None:
    """Add a coloured field, to stand behind what comes after it."""
    corner = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    _make(parent, "rect", rx=_RADIUS, fill=fill, **corner)


def add_box(
    parent: ET.Element, centre: Point, size: Point, lines: Iterable[str], *, fill: str
) -> None:
    """Add a box of a width and a height, with its lines of text; the first is its name."""
    (x, y), (width, height) = centre, size
    corner = {"x": x - width / 2, "y": y - height / 2, "width": width, "height": height}
    _make(parent, "rect", rx=_RADIUS, fill=fill, stroke=_LINE, **corner)
    text = add_text(parent, x, y, lines, anchor="middle")
    text[0].set("font-weight", "bold")


def add_text(
    parent: ET.Element, x: float, y: float, lines: Iterable[str], *, anchor: str = "start"
) -> ET.Element:
    """Add lines of text, the whole centred on ``y``, and return their group."""
    texts = list(lines)
    first = y - (len(texts) - 1) * LINE_HEIGHT / 2 + TEXT_SIZE * 0.35
    group = _make(parent, "g", text_anchor=anchor, fill=_INK)
    for n, text in enumerate(texts):
        _make(group, "text", x=x, y=first + n * LINE_HEIGHT).text = text
    return group


def add_arrow(parent: ET.Element, source: str, target: str, path: str) -> ET.Element:
    """Add an arrow along a path, in a group that says from where to where, and return the group."""
    group = _make(parent, "g", data_from=source, data_to=target)
    add_line(group, path, head=True)
    return group


def add_line(parent: ET.Element, path: str, *, head: bool) -> None:
    """Add a line along a path."""
    end = {"marker_end": "url(#head)"} if head else {}
    _make(parent, "path", d=path, fill="none", stroke=_LINE, **end)


def add_dot(parent: ET.Element, x: float, y: float) -> None:
    """Add a dot, from which something begins."""
    _make(parent, "circle", cx=x, cy=y, r=5, fill=_LINE)


def write_picture(root: ET.Element, path: Path) -> None:
    """Write the picture to a file."""
    path.write_text(show_picture(root), encoding="utf-8")


def show_picture(root: ET.Element) -> str:
    """Return the picture as text, one element per line."""
    ET.indent(root, space="")
    return ET.tostring(root, encoding="unicode") + "\n"


def _make(parent: ET.Element | None, tag: str, **attributes: str | float) -> ET.Element:
    """Make an element; an underscore in a name stands for a hyphen."""
    texts = {
        name.replace("_", "-"): value
        if isinstance(value, str)
        else f"{value:.1f}".removesuffix(".0")
        for name, value in attributes.items()
    }
    element = ET.Element(tag, texts)
    if parent is not None:
        parent.append(element)
    return element
