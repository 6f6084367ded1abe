"""Which catalogue files speak for a locale, and how gettext reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Final

from typing_extensions import override

# gettext reads the files. This module does what `gettext.translation` does not: it takes a locale
# as a browser sends it, and none can name a file outside the folder; it puts the app's catalogue
# before the library's, and the narrowest locale first; and where a text is missing it returns
# nothing, so that the next language is asked. gettext would return the msgid, which is a code.

DOMAIN: Final = "otp_enroll"
ENGLISH: Final = "en"

_OURS: Final = Path(__file__).parent / "locale"
_LOCALE: Final = re.compile(
    r"(?P<tag>[a-z]{2,3}(?:[-_][a-z0-9]{2,8}){0,3})(?:[.@].*)?", re.IGNORECASE | re.ASCII
)


def find_files(locale: str, directory: Path | None) -> list[tuple[str, GNUTranslations]]:
    """Return (language, texts) of a locale, the narrowest first and the library's English last.

    Within one language the directory of the app comes before the library's own.

    Args:
        locale: Whatever a browser or a setting says; what is no locale is English.
        directory: The app's, or ``None``.
    """
    # Absolute, because it is the key of a cache and a process may change its directory.
    directories = (directory.absolute(), _OURS) if directory is not None else (_OURS,)
    return [
        (name, _read(file))
        for name in (*_name_folders(locale), ENGLISH)
        for files in map(_list_files, directories)
        if (file := files.get(name)) is not None
    ]


def find_plural(file: GNUTranslations, context: str, code: str, n: int) -> str:
    """Return the plural form for a number, or nothing where the file has none.

    Args:
        file: The catalogue.
        context: The kind of text.
        code: Which one.
        n: The number, which the file's own rule turns into a form.
    """
    text = file.npgettext(context, code, code, n)
    return "" if text == code else text  # Babel builds a form that was left empty as the code


def _name_folders(locale: str) -> Iterator[str]:
    """Name the folders of a locale from the narrowest to the language: ``pt_BR``, ``pt``."""
    # A list of what a locale may be, not of what a path may not: "../../tmp/x" is no locale
    # (CWE-22), and a header of a thousand parts is none either.
    fit = _LOCALE.fullmatch(locale)
    if fit is None:
        return
    language, *rest = re.split("[-_]", fit["tag"])
    parts = [language.lower(), *(p.title() if len(p) == 4 else p.upper() for p in rest)]
    for length in range(len(parts), 0, -1):
        yield "_".join(parts[:length])


# Both caches grow with the folders that apps name, never with what browsers send.
@cache
def _list_files(directory: Path) -> Mapping[str, Path]:
    """Return the files of a directory by their language."""
    return {file.parent.parent.name: file for file in directory.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")}


@cache
def _read(path: Path) -> GNUTranslations:
    """Read a catalogue, once a process."""
    with path.open("rb") as file:
        texts = GNUTranslations(file)
    texts.add_fallback(_Silence())
    return texts


class _Silence(NullTranslations):
    """Says nothing where there is no text."""

    @override
    def pgettext(self, context: str, message: str) -> str:
        return ""

    @override
    def npgettext(self, context: str, msgid1: str, msgid2: str, n: int) -> str:
        return ""
