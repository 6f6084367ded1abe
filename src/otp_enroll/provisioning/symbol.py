"""The modules of a QR code: segno encodes the text, and the data mask is chosen here.

A mask is laid over the data by XOR, and the format information depends on level and mask alone:
two masks' symbols of one text differ by what no text changes. So one symbol from segno and eight
dummies of the same version and level, made once, give that symbol with each mask. What they are
judged by is a few shifts of a whole number instead of a walk from module to module.

segno alone draws the same symbol and takes some three times as long, nearly all of it to judge
eight masks: on a setup page that would be most of the time of the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, Literal, NamedTuple

import segno

from otp_enroll.core.redacted import NotPickled, Redacted

Level = Literal["l", "m"]

_MASKS: Final = 8
_GAP: Final = 4
"""Light modules after each line of a number: as many as rule N3 wants beside a pattern."""
_DUMMY: Final = Redacted(b"0")  # any text: what it says falls out of the difference
_DIGITS: Final = bytes.maketrans(b"\x00\x01", b"01")


class Symbol(NotPickled):
    """A text as the modules of a QR code, without the quiet zone.

    The smallest version that holds the text is taken, and never Micro QR, which few apps read.

    Args:
        text: What the symbol holds.
        level: How much of it may be damaged: 7 % ("l") or 15 % ("m").
    """

    __slots__ = ("_rows", "side", "version")

    def __init__(self, text: Redacted, level: Level) -> None:
        code = _encode(text, level, mask=0)
        self.version: Final = int(code.version)
        """The size of the symbol, 1 to 40."""
        self.side: Final = 17 + 4 * self.version
        """Modules on each side."""
        plain, size = _number_both(code.matrix), _size(self.side)
        masked = (
            _Both(plain.rows ^ mask.rows, plain.columns ^ mask.columns)
            for mask in _masks(self.version, level)
        )
        # The first of equals, as ISO/IEC 18004 numbers them: one text has one picture.
        self._rows = min(masked, key=lambda symbol: _penalty(symbol, size)).rows

    def rows(self) -> list[str]:
        """Return the rows from above, a dark module as "1" and a light one as "0"."""
        step = self.side + _GAP
        digits = f"{self._rows:0{step * self.side}b}"
        return [digits[start : start + self.side] for start in range(0, len(digits), step)]


class _Both(NamedTuple):
    """Modules as two numbers: line by line, with a gap after each, and the lines are both."""

    rows: int
    columns: int


class _Size(NamedTuple):
    """What the rules need to know of one size of symbol, as numbers of lines.

    Attributes:
        modules: Modules in the symbol.
        step: From a module to the one above it.
        followed: The modules that another one follows in their line.
        inside: All modules.
        everywhere: All modules and gaps, and a gap before the first line.
    """

    modules: int
    step: int
    followed: int
    inside: int
    everywhere: int


def _encode(text: Redacted, level: Level, *, mask: int, version: int | None = None) -> segno.QRCode:
    """Have segno encode a text, with nothing left to its own choice but the version."""
    return segno.make(
        text.reveal(),
        error=level,
        version=version,
        mode="byte",
        mask=mask,
        micro=False,
        boost_error=False,  # a raised level would not be that of the dummies, nor of the caller
    )


def _number(lines: Sequence[bytes | bytearray]) -> int:
    """Read lines of modules as one number in base 2, with a gap after each line."""
    return int(bytes(_GAP).join([*lines, b""]).translate(_DIGITS), 2)


def _number_both(rows: Sequence[bytes | bytearray]) -> _Both:
    """Read a symbol line by line in both directions, since the rules look along both."""
    side, modules = len(rows), b"".join(rows)
    return _Both(_number(rows), _number([modules[column::side] for column in range(side)]))


@cache  # two threads may both work it out, and find the same
def _masks(version: int, level: Level) -> tuple[_Both, ...]:
    """Return what each mask changes in a symbol of mask 0."""
    first, *others = (
        _number_both(_encode(_DUMMY, level, mask=mask, version=version).matrix)
        for mask in range(_MASKS)
    )
    return (
        _Both(0, 0),
        *(_Both(first.rows ^ other.rows, first.columns ^ other.columns) for other in others),
    )


@cache
def _size(side: int) -> _Size:
    """Return the numbers for a size of symbol; there are forty sizes at most."""
    step = side + _GAP
    return _Size(
        modules=side**2,
        step=step,
        followed=_number([bytes([1] * (side - 1) + [0])] * side),
        inside=_number([bytes([1] * side)] * side),
        everywhere=(1 << (step * side + _GAP)) - 1,
    )


def _penalty(symbol: _Both, size: _Size) -> int:
    """Add up what makes a symbol hard to read (ISO/IEC 18004 §7.8.3): the least is the best."""
    pairs = _pairs(symbol.rows, size)
    lines = _runs(pairs) + _runs(_pairs(symbol.columns, size))
    finders = _finders(symbol.rows, size) + _finders(symbol.columns, size)
    dark = 20 * symbol.rows.bit_count()
    # Rule N4: 10 points for each full 5 % that the dark modules are away from a half.
    imbalance = abs(dark - 10 * size.modules) // size.modules
    return lines + 3 * _blocks(symbol.rows, pairs, size) + 40 * finders + 10 * imbalance


def _pairs(lines: int, size: _Size) -> int:
    """Mark each module whose follower has the same colour.

    The last module of a line has none: without ``followed`` it would be compared with the gap.
    """
    return (lines ^ (lines << 1) ^ size.followed) & size.followed


def _runs(pairs: int) -> int:
    """Rule N1: five modules of one colour in a line are 3 points, each one more is another."""
    fives = pairs & (pairs >> 1)
    fives &= fives >> 2
    # A run of n modules leaves n - 4 marks, and n - 5 pairs of them.
    return 3 * fives.bit_count() - 2 * (fives & (fives >> 1)).bit_count()


def _blocks(lines: int, pairs: int, size: _Size) -> int:
    """Rule N2: count the blocks of two by two modules of one colour."""
    like_above = lines ^ (lines >> size.step) ^ size.inside
    return (pairs & (pairs >> size.step) & like_above).bit_count()


def _finders(lines: int, size: _Size) -> int:
    """Rule N3: count what looks like a finder pattern, 1:1:3:1:1 beside four light modules.

    The light ones may lie before it or behind it, and the gaps between lines count as light: a
    symbol stands in a quiet zone of as many.
    """
    light = lines ^ size.everywhere
    dark = lines & (lines >> 2)
    found = dark & (dark >> 4) & (lines >> 3) & ((light & (light >> 4)) >> 1)
    four = light & (light >> 1)
    four &= four >> 2
    return (found & ((four << 4) | (four >> 7))).bit_count()
