"""Catalogues of tests: read what stands in the repository, and write a small one of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from otp_enroll.messages import catalogue

OURS = Path(catalogue.__file__).parent / "locale"
LANGUAGES = sorted(folder.name for folder in OURS.iterdir())

Texts = dict[tuple[str, str], str | tuple[str, ...]]


def read(path: Path) -> Catalog:
    """Read a .po file."""
    with path.open("rb") as file:
        return read_po(file)


def texts_of(language: str) -> Texts:
    """Return what stands in the .po file of a language: (context, code) → text or plural forms."""
    found: Texts = {}
    for message in read(OURS / language / "LC_MESSAGES" / "otp_enroll.po"):
        if message.id:
            code = message.id if isinstance(message.id, str) else message.id[0]
            text: Any = message.string
            found[str(message.context), code] = text
    return found


def write(directory: Path, language: str, texts: Texts) -> Path:
    """Build the .mo file of a language that has these texts, and return the directory."""
    catalog = Catalog(locale=language)
    for (context, code), text in texts.items():
        plural = isinstance(text, tuple)
        catalog.add((code, code) if plural else code, text, context=context)
    folder = directory / language / "LC_MESSAGES"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "otp_enroll.mo").open("wb") as file:
        write_mo(file, catalog)
    return directory
