"""The elements of a sheet: text in them is text, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_enroll.display import html
from otp_enroll.display.html import element, join
from otp_enroll.provisioning.markup import Html

HOSTILE = """<b class="x">'&amp;"""
ESCAPED = "&lt;b class=&quot;x&quot;&gt;&#x27;&amp;amp;"


WRITERS: dict[str, Callable[[str], Html]] = {
    "element": lambda text: element("p", text),
    "element, beside another": lambda text: element("p", Html("<i></i>"), text),
    "attribute": lambda text: element("p", class_=text),
    "join": lambda text: join([text]),
    "separator": lambda text: join(["a", "b"], text),
    "any_direction": html.any_direction,
    "left_to_right": html.left_to_right,
    "in_groups": lambda text: html.in_groups([text]),
    "section, title": lambda text: html.section("h2", text, []),
    "section, mark": lambda text: html.section("h2", "title", [(text, "")]),
    "section, sentence": lambda text: html.section("h2", "title", [("", text)]),
    "section, attribute": lambda text: html.section("h2", "title", [], id=text),
    "advice": lambda text: html.advice("h2", (text, [])),
    "pairs, label": lambda text: html.pairs([(text, "")]),
    "pairs, value": lambda text: html.pairs([("", text)]),
    "document": lambda text: html.document(Html(), title=text, locale="en", direction="ltr"),
}


@pytest.mark.requirement("R-31", "R-85")
@pytest.mark.parametrize("writer", WRITERS)
def test_text_is_escaped_wherever_it_stands(writer: str) -> None:
    """Text with ``<`` in any element, attribute or list is escaped once, and nobody asked to."""
    written = WRITERS[writer](HOSTILE)

    assert written.count(ESCAPED) == 1
    assert HOSTILE not in written


@given(st.text())
def test_markup_is_not_escaped_again(text: str) -> None:
    """An element inside an element stands there as it is, however deep."""
    inner = element("b", text)

    assert element("i", element("p", inner)) == f"<i><p>{inner}</p></i>"
    assert type(inner) is type(join([inner])) is Html


def test_names_of_attributes_may_be_words_of_python() -> None:
    """An underscore is a hyphen, and nothing at the end of a name."""
    assert element("p", class_="x", aria_hidden="true") == '<p class="x" aria-hidden="true"></p>'
