"""QR codes, drawn in this process: explicit black on opaque white, with a quiet zone.

No theme is inherited, nothing is fetched, and no form holds the key as text. Elsewhere QR codes
could not be scanned on dark pages (transparent ground, inherited colours, no quiet zone: contao,
statamic, polar), and secrets went to a stranger's chart service to be drawn (google2fa, scheb).
"""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache
from html import escape
from typing import Final

from otp_enroll.core.redacted import NotPickled, Redacted
from otp_enroll.provisioning.markup import Html
from otp_enroll.provisioning.symbol import Symbol

QUIET_ZONE: Final = 4
"""Light modules around the code (ISO/IEC 18004 §9.1)."""

MAX_BYTES_AT_LEVEL_M: Final = 213
"""Bytes that a symbol of version 10 holds at level M; a longer text takes fewer modules at L."""

MAX_BYTES: Final = 2953
"""Bytes that the largest symbol holds (ISO/IEC 18004, table 7: version 40, level L)."""

MIN_SCALE: Final = 4
"""Pixels of a module; smaller ones are hard to scan from a screen."""

MAX_SCALE: Final = 40
"""The same; a scale may come from a request, and the memory for a picture is its square."""

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_AS_THE_FIRST: Final = b"\0"  # filter types of a PNG (RFC 2083 §6): the pixels themselves,
_AS_ABOVE: Final = b"\2"  # and the difference to the line above
_TERMINAL_COLOURS: Final = "\x1b[38;5;16;48;5;231m"  # fixed entries of the palette, not the theme's
_TERMINAL_RESET: Final = "\x1b[0m"
_HALF_BLOCKS: Final = {"00": " ", "10": "▀", "01": "▄", "11": "█"}


class QRCode(NotPickled):
    """A provisioning URI as a picture.

    The picture is as secret as the key: send it with ``Cache-Control: no-store``, and under no
    address of its own, which logs and histories would keep.

    Args:
        uri: The provisioning URI.
        issuer: What the description calls the service.

    Raises:
        ValueError: Longer than 2953 bytes.
    """

    __slots__ = ("_symbol", "description")

    def __init__(self, uri: str, *, issuer: str) -> None:
        held, uri = Redacted(uri.encode()), ""  # no traceback with locals shows it from here on
        length = len(held.reveal())
        if length > MAX_BYTES:
            raise ValueError(f"no QR code holds {length} bytes")
        # Level M survives a dirty screen; a long text is easier to scan with fewer modules.
        self._symbol = Symbol(held, "m" if length <= MAX_BYTES_AT_LEVEL_M else "l")
        self.description: Final = (
            f"QR code to add {issuer} to an authenticator app; "
            "the same key is shown as text beside it"
        )
        """The text alternative (WCAG 1.1.1). It does not hold the key."""

    def __repr__(self) -> str:
        return "QRCode(…)"

    @property
    def version(self) -> int:
        """The size of the symbol, 1 to 40."""
        return self._symbol.version

    @property
    def modules(self) -> int:
        """Modules on each side, the quiet zone included."""
        return self._symbol.side + 2 * QUIET_ZONE

    def svg(self, *, description: str | None = None, module_mm: float | None = None) -> Html:
        """Draw an SVG element to stand in a page: inert, opaque, with its own description.

        Args:
            description: Another description, in the page's language; it must not hold the key.
            module_mm: The side of a module in millimetres, for print; without it, 4 pixels.

        Returns:
            Markup without script, style or address, which every Content-Security-Policy lets
            pass.
        """
        described = escape(self.description if description is None else description)
        side = self.modules
        size = f"{side * MIN_SCALE}" if module_mm is None else f"{side * module_mm:.2f}mm"
        # Fill and stroke stand on each element, which would inherit what a page sets for its SVG.
        # crispEdges, because a seam between rows that is smoothed to grey costs contrast.
        return Html(
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{described}" '
            f'width="{size}" height="{size}" viewBox="0 0 {side} {side}" '
            f'shape-rendering="crispEdges"><title>{described}</title>'
            f'<rect width="{side}" height="{side}" fill="#fff" stroke="none"/>'
            f'<path fill="#000" stroke="none" d="{self._outline()}"/></svg>'
        )

    def _outline(self) -> str:
        """Draw each row along its lower edge, up and over every run of dark modules.

        One path of some kilobytes; with an element for each module it would be a hundred.
        """
        steps: list[str] = []
        for y, row in enumerate(self._symbol.rows(), start=QUIET_ZONE + 1):
            steps.append(f"M{QUIET_ZONE} {y}")
            runs = row.rstrip("0").replace("01", "0 1").replace("10", "1 0").split()
            steps.extend(map(_step_along, runs))
        return "".join(steps)

    def png(self, scale: int = 6) -> bytes:
        """Draw a PNG.

        Args:
            scale: Pixels per module, 4 to 40; fewer are hard to scan.

        Returns:
            The file, for native apps and pages that show no SVG. Never send it by mail.

        Raises:
            TypeError: Not an int.
            ValueError: Out of range.
        """
        if not isinstance(scale, int) or isinstance(scale, bool):
            raise TypeError("scale must be an int")
        if not MIN_SCALE <= scale <= MAX_SCALE:
            raise ValueError(f"scale must be from {MIN_SCALE} to {MAX_SCALE}")
        side = self.modules * scale
        header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)  # grayscale of one bit
        return b"".join(
            [
                _PNG_SIGNATURE,
                _png_chunk(b"IHDR", header),
                _png_chunk(b"IDAT", zlib.compress(self._scanlines(scale))),
                _png_chunk(b"IEND", b""),
            ]
        )

    def _scanlines(self, scale: int) -> bytes:
        """Write each row once, and say of the others that they are as above.

        A line of zero differences compresses to nearly nothing, and costs nothing to make.
        """
        width = self.modules * scale
        length = (width + 7) // 8
        pixels = {ord("0"): "1" * scale, ord("1"): "0" * scale}  # in grayscale 0 is black
        repeated = (_AS_ABOVE + bytes(length)) * (scale - 1)
        lines: list[bytes] = []
        for row in self._rows():
            line = int(row.translate(pixels), 2) << (8 * length - width)
            lines += [_AS_THE_FIRST, line.to_bytes(length, "big"), repeated]
        return b"".join(lines)

    def data_uri(self) -> str:
        """Draw a PNG as a ``data:`` URI, for an ``img`` element under ``img-src data:``."""
        return f"data:image/png;base64,{base64.b64encode(self.png(MIN_SCALE)).decode('ascii')}"

    def terminal(self) -> str:
        """Draw lines for a terminal of 256 colours; the same in a light and a dark one.

        Two rows of modules are one line of characters, which are about twice as high as wide.
        """
        rows = self._rows()
        rows.append("0" * self.modules)  # a symbol has an odd number of rows
        return "\n".join(
            _TERMINAL_COLOURS
            + "".join([_HALF_BLOCKS[up + low] for up, low in zip(upper, lower, strict=True)])
            + _TERMINAL_RESET
            for upper, lower in zip(rows[::2], rows[1::2], strict=True)
        )

    def _rows(self) -> list[str]:
        """Return the rows from above, with the quiet zone."""
        beside, blank = "0" * QUIET_ZONE, ["0" * self.modules] * QUIET_ZONE
        return [*blank, *[beside + row + beside for row in self._symbol.rows()], *blank]


@cache  # at most two for each length of a run
def _step_along(run: str) -> str:
    return f"v-1h{len(run)}v1" if run[0] == "1" else f"h{len(run)}"


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    """Frame a chunk: length, type, data, and the CRC of the last two (RFC 2083 §3.2)."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
