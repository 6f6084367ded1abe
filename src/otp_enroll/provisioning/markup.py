"""The type of text that is HTML already, so that a template does not escape it again."""

from __future__ import annotations

from typing_extensions import Self


class Html(str):
    """Markup that is safe to put in a page as it stands: what had to be escaped in it, is.

    Jinja2, Django and MarkupSafe ask text for ``__html__`` before they escape it, so a page
    writes ``{{ setup.qr.svg() }}`` with autoescape on and no filter. What is made of it by ``+`` or
    slicing is an ordinary ``str`` again, and is escaped. A plain ``str`` would need ``|safe``,
    which is soon copied to a place where it is not (CWE-79).
    """

    __slots__ = ()

    def __html__(self) -> Self:
        """Return the text itself: it needs no escaping."""
        return self
