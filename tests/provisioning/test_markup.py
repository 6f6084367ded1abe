"""Markup: template engines put it in a page as it stands, and nothing made of it."""

from __future__ import annotations

import jinja2
import markupsafe
from django.utils.html import conditional_escape, format_html

from otp_enroll.provisioning.markup import Html

DRAWN = Html('<svg role="img"/>')


def test_jinja_does_not_escape_markup() -> None:
    """An autoescaping template shows markup as it stands, and the same text as str escaped."""
    page = jinja2.Environment(autoescape=True).from_string("<p>{{ drawn }}</p>")

    assert page.render(drawn=DRAWN) == '<p><svg role="img"/></p>'
    assert page.render(drawn=str(DRAWN)) == "<p>&lt;svg role=&#34;img&#34;/&gt;</p>"
    assert str(markupsafe.escape(DRAWN)) == str(DRAWN)


def test_django_does_not_escape_markup() -> None:
    """What Django's templates and format_html escape by leaves markup as it stands."""
    assert conditional_escape(DRAWN) == '<svg role="img"/>'
    assert format_html("<p>{}</p>", DRAWN) == '<p><svg role="img"/></p>'


def test_what_is_made_of_markup_is_plain_text() -> None:
    """Joined with other text, markup is a str again, so what came from outside is escaped."""
    for made in (DRAWN + "<b>", "<b>" + DRAWN, DRAWN[1:], f"{DRAWN}", str(DRAWN)):
        assert type(made) is str
    assert isinstance(DRAWN, str)
    assert not hasattr(DRAWN, "__dict__")
