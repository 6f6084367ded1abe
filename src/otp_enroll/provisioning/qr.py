"""QR codes, drawn in this process by segno: explicit black on opaque white, with a quiet zone.

No theme is inherited, nothing is fetched, and no form holds the key as text.
"""

from __future__ import annotations

import io
from html import escape
from typing import Final

import segno

from otp_enroll.core.redacted import NotPickled, Redacted

QUIET_ZONE: Final = 4
"""Light modules around the code (ISO/IEC 18004 §9.1)."""

LONGEST_AT_LEVEL_M: Final = 213
"""Bytes that a symbol of version 10 holds at level M; a longer text takes fewer modules at L."""

LONGEST_TEXT: Final = 2953
"""Bytes that the largest symbol holds (ISO/IEC 18004, table 7: version 40, level L)."""

SMALLEST_SCALE: Final = 4
LARGEST_SCALE: Final = 40

_DARK: Final = "#000000"
_LIGHT: Final = "#ffffff"
_TERMINAL_COLOURS: Final = "\x1b[38;5;16;48;5;231m"  # fixed entries of the palette, not the theme's
_TERMINAL_RESET: Final = "\x1b[0m"
_HALF_BLOCKS: Final = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}


class QRCode(NotPickled):
    """A provisioning URI as a picture.

    Args:
        uri: The provisioning URI.
        issuer: What the description calls the service.

    Raises:
        ValueError: Longer than 2953 bytes.
    """

    __slots__ = ("_code", "description")

    def __init__(self, uri: str, *, issuer: str) -> None:
        length, held, uri = len(uri.encode()), Redacted(uri.encode()), ""
        if length > LONGEST_TEXT:
            raise ValueError(f"no QR code holds {length} bytes")
        # Level M survives a dirty screen; a long text is easier to scan with fewer modules.
        level = "m" if length <= LONGEST_AT_LEVEL_M else "l"
        code = segno.make(held.reveal(), error=level, mode="byte", micro=False, boost_error=False)
        self._code = code
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
        return int(self._code.version)

    @property
    def modules(self) -> int:
        """Modules on each side, the quiet zone included."""
        return int(self._code.symbol_size(border=QUIET_ZONE)[0])

    def svg(self, *, description: str | None = None, module_mm: float | None = None) -> str:
        """Draw an SVG element to stand in a page: inert, opaque, with its own description.

        Args:
            description: Another description, in the page's language; it must not hold the key.
            module_mm: The side of a module in millimetres, for print; without it, 4 pixels.
        """
        described = self.description if description is None else description
        drawn = io.BytesIO()
        self._code.save(
            drawn,
            kind="svg",
            scale=SMALLEST_SCALE,
            border=QUIET_ZONE,
            dark=_DARK,
            light=_LIGHT,
            xmldecl=False,
            nl=False,
            svgclass=None,
            lineclass=None,
            omitsize=True,
            title=described,
        )
        modules = self.modules
        side = (
            f"{modules * SMALLEST_SCALE}" if module_mm is None else f"{modules * module_mm:.2f}mm"
        )
        attributes = (
            f'role="img" aria-label="{escape(described)}" width="{side}" height="{side}" '
            'shape-rendering="crispEdges"'
        )
        return drawn.getvalue().decode("utf-8").replace("<svg ", f"<svg {attributes} ", 1)

    def png(self, scale: int = 6) -> bytes:
        """Draw a PNG.

        Args:
            scale: Pixels per module, 4 to 40; fewer are hard to scan.

        Raises:
            TypeError: Not an int.
            ValueError: Out of range.
        """
        if not isinstance(scale, int) or isinstance(scale, bool):
            raise TypeError("scale must be an int")
        if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
            raise ValueError(f"scale must be from {SMALLEST_SCALE} to {LARGEST_SCALE}")
        drawn = io.BytesIO()
        self._code.save(drawn, kind="png", scale=scale, border=QUIET_ZONE, dark=_DARK, light=_LIGHT)
        return drawn.getvalue()

    def data_uri(self) -> str:
        """Draw a PNG as a ``data:`` URI, for an ``img`` element under ``img-src data:``."""
        return self._code.png_data_uri(
            scale=SMALLEST_SCALE, border=QUIET_ZONE, dark=_DARK, light=_LIGHT
        )

    def terminal(self) -> str:
        """Draw lines for a terminal of 256 colours; the same in a light and a dark one."""
        rows = [list(row) for row in self._code.matrix_iter(border=QUIET_ZONE)]
        rows.append([0] * len(rows[0]))  # a symbol has an odd number of rows
        return "\n".join(
            _TERMINAL_COLOURS
            + "".join(
                _HALF_BLOCKS[bool(up), bool(low)] for up, low in zip(upper, lower, strict=True)
            )
            + _TERMINAL_RESET
            for upper, lower in zip(rows[::2], rows[1::2], strict=True)
        )
