"""Which catalogue files speak for a locale, and how gettext reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Final

from typing_extensions import override

DOMAIN: Final = "otp_enroll"
ENGLISH: Final = "en"

_OURS: Final = Path(__file__).parent / "locale"
_LOCALE: Final = re.compile(
    r"(?P<tag>[a-z]{2,3}(?:[-_][a-z0-9]{2,8}){0,3})(?:[.@].*)?", re.IGNORECASE | re.ASCII
)


def files_of(locale: str, directory: Path | None) -> list[tuple[str, GNUTranslations]]:
    """Return (language, texts) of a locale, the narrowest first and the library's English last.

    Within one language the directory of the app comes before the library's own.
    """
    return [
        (name, texts)
        for name in (*_names(locale), ENGLISH)
        for place in ((directory, _OURS) if directory else (_OURS,))
        if (texts := _texts(place / name / "LC_MESSAGES" / f"{DOMAIN}.mo")) is not None
    ]


def _names(locale: str) -> Iterator[str]:
    """Name the folders of a locale from the narrowest to the language: ``pt_BR``, ``pt``.

    Only letters, digits and underscores come out, so no locale leads out of the directory.
    """
    fit = _LOCALE.fullmatch(locale)
    if fit is None:
        return
    language, *rest = re.split("[-_]", fit["tag"])
    parts = [language.lower(), *(p.title() if len(p) == 4 else p.upper() for p in rest)]
    for length in range(len(parts), 0, -1):
        yield "_".join(parts[:length])


class _Silence(NullTranslations):
    """Says nothing where there is no text; gettext itself would say the code."""

    @override
    def pgettext(self, context: str, message: str) -> str:
        return ""

    @override
    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:
        return ""


def plural_of(file: GNUTranslations, context: str, code: str, n: int) -> str:
    """Return the plural form for a number, or nothing where the file has none."""
    text = file.npgettext(context, code, code, n)
    return "" if text == code else text  # Babel builds a form that was left empty as the code


def _texts(path: Path) -> GNUTranslations | None:
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return None


@lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> GNUTranslations:
    with path.open("rb") as file:
        texts = GNUTranslations(file)
    texts.add_fallback(_Silence())
    return texts
