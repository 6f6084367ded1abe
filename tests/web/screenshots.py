"""Take the pictures in docs/images from the Flask app, in English and Persian: make screenshots."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from PIL import Image

from helpers.web_browser import LOCALES, Visitor, chromium, visiting
from helpers.web_server import ROOT, WebApp

IMAGES: Final = ROOT / "docs" / "images"
SCREEN: Final = {"width": 900, "height": 600}
COLOURS: Final = 64
SECOND: Final = {"en": "tablet", "fa": "تبلت"}


def pages(visitor: Visitor, language: str) -> Iterator[str]:
    """Lead a person to each page that the docs show; the names are those of the pictures."""
    visitor.sign_in()
    visitor.begin()
    yield "setup"
    phone = visitor.scan()
    visitor.confirm(phone)
    yield "codes"
    visitor.app.advance()
    visitor.go("/security")
    visitor.send("#add", authenticator=SECOND[language], proof=phone.code())
    visitor.confirm(visitor.scan())
    visitor.app.advance()
    visitor.sign_in_anew()
    yield "sign-in-code"
    visitor.send("#code-form", code=phone.code())
    yield "security"


def save(picture: bytes, path: Path) -> None:
    """Save a picture with a palette: a quarter of the size, and no difference to see."""
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(path, optimize=True)


def main() -> None:
    """Take them all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for language in LOCALES:
            with (
                WebApp("flask") as app,
                visiting(browser, app, name="sara", language=language, viewport=SCREEN) as visitor,
            ):
                for name in pages(visitor, language):
                    picture = visitor.page.screenshot(full_page=True)
                    save(picture, IMAGES / f"{name}-{language}.png")


if __name__ == "__main__":
    main()
