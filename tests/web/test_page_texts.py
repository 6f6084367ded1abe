"""What the example pages say: every text has a Persian one, and every state a page in both."""

from __future__ import annotations

import io
import re
from datetime import datetime, timezone
from gettext import GNUTranslations
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from pages import pages

from otp_enroll import errors

PERSIAN = pages.HERE / "locale" / "fa" / "LC_MESSAGES" / "pages.po"
PLACEHOLDER = re.compile(r"%\(\w+\)s|</?bdi>")
NOW = datetime(2027, 1, 15, 8, tzinfo=timezone.utc)


def texts() -> set[str | tuple[str, ...]]:
    """Return every text of the templates that is marked for translation."""
    options = {"**.html": {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}}
    found = extract_from_dir(
        str(pages.HERE / "templates"), [("**.html", "jinja2")], options_map=options
    )
    return {message for _, _, message, _, _ in found}


def catalogue() -> Catalog:
    with PERSIAN.open("rb") as file:
        return read_po(file, locale="fa")


def test_every_text_has_a_persian_one() -> None:
    """What the templates say and what the catalogue has are the same texts, none of them empty."""
    said = texts()
    assert len(said) > 100
    kept = {message.id: message.string for message in catalogue() if message.id}
    assert set(kept) == said
    for string in kept.values():
        assert all(string if isinstance(string, tuple) else [string])


def test_persian_texts_have_what_is_filled_in() -> None:
    """A name or a number of the English text stands in the Persian one, with its isolation."""
    for message in catalogue():
        english = [message.id] if isinstance(message.id, str) else message.id
        persian = [message.string] if isinstance(message.string, str) else message.string or ()
        for one, other in zip(english, persian, strict=True):
            assert set(PLACEHOLDER.findall(one)) == set(PLACEHOLDER.findall(other)), one


def test_binary_catalogue_is_built_from_the_text() -> None:
    """The .mo file says what the .po file says: `make messages` was not forgotten."""
    built = io.BytesIO()
    write_mo(built, catalogue())
    built.seek(0)
    with PERSIAN.with_suffix(".mo").open("rb") as kept:
        assert in_binary(kept) == in_binary(built)


def in_binary(file: Any) -> dict[Any, str]:
    """Return the texts of a .mo file; the header alone names the Babel that built it."""
    found: dict[Any, str] = vars(GNUTranslations(file))["_catalog"]
    return {key: text for key, text in found.items() if key}


def test_templates_say_nothing_untranslated() -> None:
    """No letter of a template stands outside markup, expressions and translated texts."""
    for path in sorted((pages.HERE / "templates").glob("*.html")):
        text = path.read_text()
        text = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
        text = re.sub(r"\{% trans .*?\{% endtrans %\}", "", text, flags=re.DOTALL)
        text = re.sub(r"\{[{%].*?[%}]\}", "", text, flags=re.DOTALL)
        text = re.sub(r"<[^>]*>", "", text, flags=re.DOTALL)
        assert not re.search(r"[^\W\d_]", text), (path.name, re.findall(r"\w+", text))


@pytest.mark.parametrize(
    ("cookie", "header", "chosen"),
    [
        (None, None, "en"),
        ("fa", "en", "fa"),
        ("xx", "fa", "fa"),
        (None, "de, fa;q=0.5, en;q=0.4", "fa"),
        (None, "fa;q=0.1,en-GB;q=0.8", "en"),
        (None, "FA-ir", "fa"),
        (None, "fa;q=0", "en"),
        (None, ",;q=,;;fa;q=x", "en"),
    ],
)
def test_language_is_chosen(cookie: str | None, header: str | None, chosen: str) -> None:
    """The cookie, then the browser's order, then English; nonsense is no failure."""
    assert pages.language_of(cookie, header) == chosen


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/security", "/security"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nLocation: //evil", "/"),
        ("", "/"),
    ],
)
def test_path_is_local(path: str, local: str) -> None:
    """Only a path of this site is followed."""
    assert pages.local_path(path) == local


@pytest.mark.requirement("R-103")
@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (None, 200),
        (errors.WrongCodeError(), 403),
        (errors.BackupRequiredError("acknowledged"), 409),
        (errors.SetupExhaustedError(), 409),
        (errors.TooManyAttemptsError("code", NOW), 429),
        (errors.StoreContentionError(NOW), 503),
        ("sign_in", 401),
        ("name", 400),
    ],
)
def test_page_has_the_status_of_its_refusal(refusal: pages.Refusal, status: int) -> None:
    """An error of the library brings its own; what the app refuses by a word has one here."""
    visit = pages.Visit(language="en", now=NOW.timestamp(), csrf=("token", "x"))
    assert visit.code(refusal=refusal).status == status


@pytest.mark.parametrize("language", pages.LANGUAGES)
@pytest.mark.parametrize("why", ["csrf", "forbidden", "missing", "broken"])
def test_page_without_anything_is_rendered(language: str, why: str) -> None:
    """The page of last resort needs no account and no enroller."""
    visit = pages.Visit(language=language, now=NOW.timestamp(), csrf=("token", "<&>"))
    page = visit.refused(why, 400)
    assert f'data-code="{why}"' in page.html
    assert "<&>" not in page.html
