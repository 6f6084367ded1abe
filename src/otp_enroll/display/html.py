"""How a sheet looks: its style, and the few HTML elements that it is made of.

No element has a style attribute, a script or an address: a Content-Security-Policy that allows
``STYLE_SOURCE`` alone shows a sheet whole. A page that holds a key is the last one that should
need a policy relaxed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from importlib import resources
from typing import Final

from otp_enroll.provisioning.markup import Html

STYLE: Final = Html(
    resources.files("otp_enroll.display").joinpath("sheet.css").read_text(encoding="utf-8")
)
"""The style of both sheets, for a page that shows a ``fragment``; ``html`` has it within."""

STYLE_SOURCE: Final = "'sha256-{}'".format(
    base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
)
"""What the ``style-src`` of a Content-Security-Policy must allow for a ``style`` element of STYLE.

The element must hold exactly that text, as the one in ``html`` does.
"""

# What a browser does by itself: search engines that find a published sheet drop it, a link sends
# no address along, and phones turn no digits of a key into a number to call.
_METADATA: Final = Html("""\
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex, nofollow, noarchive">
<meta name="referrer" content="no-referrer">
<meta name="format-detection" content="telephone=no">""")


def join(parts: Iterable[Html | str], separator: str = "") -> Html:
    """Put markup and text in a row; text is escaped, and so is the separator."""
    return Html(_escape(separator).join(map(_escape, parts)))


def element(tag: str, *inner: Html | str, **attributes: str) -> Html:
    """Write an element. A ``str`` that is no ``Html`` is text: it is escaped here, and only here.

    An underscore stands for a hyphen, and at the end of a name for nothing (``class_``).

    Args:
        tag: The name of the element; of ours, never of a caller's choosing.
        inner: What it holds, text and elements.
        attributes: Their values are text, and escaped.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return Html(f"<{tag}{written}>{join(inner)}</{tag}>")


def _escape(text: Html | str) -> Html:
    return text if isinstance(text, Html) else Html(escape(text))


def any_direction(name: str) -> Html:
    """Write a name that somebody chose: its direction is its own.

    Without ``bdi`` a Persian issuer in an English line would turn the number behind it around.
    """
    return element("bdi", name)


def left_to_right(text: str) -> Html:
    """Write a key, a code or a sheet number: left to right in every language.

    In a right-to-left paragraph ``2345 ABCD EFGH`` is shown as ``ABCD EFGH 2345`` (UAX #9), and a
    paper on which that is copied by hand restores nothing.
    """
    return element("bdi", text, dir="ltr")


def in_groups(groups: Iterable[str]) -> Html:
    """Write a key in groups, with spaces between them, as check_key_copy takes it.

    Real spaces, so that they are copied along; not dashes, which some apps refuse in a key.
    """
    spans = join((element("span", group) for group in groups), " ")
    return element("bdi", spans, class_="otp-groups", dir="ltr")


def section(heading: str, title: str, rows: Iterable[tuple[str, str]], **attributes: str) -> Html:
    """Write a heading and a list of (mark, sentence).

    The marks are text, because a mark of CSS knows fewer languages than a catalogue.

    Args:
        heading: Which element the heading is: ``"h2"``, ``"h3"``.
        title: What it says.
        rows: Marks and sentences.
        attributes: Of the section.
    """
    # Screen readers pass over the marks. ``role="list"`` is for Safari, which takes a list whose
    # marks are styled away for none.
    items = (
        element("li", element("span", mark, aria_hidden="true"), element("p", text))
        for mark, text in rows
    )
    return element(
        "section",
        element(heading, title, class_="otp-heading"),
        element("ul", join(items, "\n"), class_="otp-list", role="list"),
        **attributes,
    )


def advice(heading: str, *sections: tuple[str, Iterable[tuple[str, str]]]) -> Html:
    """Write sections side by side, or one below the other where there is no room."""
    written = (section(heading, title, rows) for title, rows in sections)
    return element("div", *written, class_="otp-advice")


def pairs(labelled: Iterable[tuple[str, str]]) -> Html:
    """Write labels with their values.

    Args:
        labelled: Labels of ours, and values that users may have chosen.
    """
    written = (
        element("div", element("dt", label), element("dd", any_direction(value)))
        for label, value in labelled
    )
    return element("dl", join(written, "\n"), class_="otp-facts")


def document(article: Html, *, title: str, locale: str, direction: str) -> Html:
    """Write a whole page around a sheet. It fetches nothing and runs nothing.

    Args:
        article: The sheet.
        title: Of the window, and of the file if somebody prints to one: it holds no secret.
        locale: The language, for ``lang``.
        direction: ``"ltr"`` or ``"rtl"``.
    """
    head = element("head", _lines(_METADATA, element("title", title), element("style", STYLE)))
    # The style stands in the page: a sheet that is saved must not lose it.
    body = element("body", _lines(element("main", _lines(article))), class_="otp-page")
    whole = element("html", _lines(head, body), lang=locale, dir=direction)
    return join([Html("<!DOCTYPE html>"), whole, ""], "\n")


def _lines(*parts: Html) -> Html:
    """Put each part on lines of its own."""
    return join(["", *parts, ""], "\n")
