"""How a sheet looks: its style, and the few HTML elements that it is made of, all escaped.

No element has a style attribute, a script or an address: a Content-Security-Policy that allows
``STYLE_SOURCE`` alone shows a sheet whole.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import Final

STYLE: Final = """\
/* A sheet on paper: black on white on any page, and one sheet of A4 or Letter in print. */
@page { margin: 11mm 15mm; }
.otp-page { margin: 0; background: #fff; }
.otp-sheet {
  box-sizing: border-box; max-width: 194mm; margin: 0 auto; padding: 8mm;
  background: #fff; color: #000; color-scheme: light;
  font: 10pt/1.45 "Helvetica Neue", Arial, "Liberation Sans", "DejaVu Sans", sans-serif;
  text-align: start; overflow-wrap: anywhere;
}
.otp-sheet:lang(fa) {
  font-family: Vazirmatn, "Segoe UI", Tahoma, "Noto Naskh Arabic", "Geeza Pro", "DejaVu Sans",
    sans-serif;
  line-height: 1.6;
}
.otp-sheet * { box-sizing: border-box; margin: 0; padding: 0; }
.otp-sheet bdi { unicode-bidi: isolate; }
.otp-sheet bdi[dir="ltr"] {
  direction: ltr;
  font-family: Menlo, Consolas, "Cascadia Mono", "DejaVu Sans Mono", "Liberation Mono",
    "Noto Sans Mono", monospace;
  font-variant-numeric: slashed-zero; font-feature-settings: "zero" 1;
  font-variant-ligatures: none; letter-spacing: 0;
}
.otp-head {
  display: flex; justify-content: space-between; align-items: flex-end; gap: 10mm;
  padding-bottom: 3mm; border-bottom: 1.5pt solid #000;
}
.otp-title { font-size: 19pt; line-height: 1.25; font-weight: 700; }
.otp-long-name .otp-title { font-size: 12pt; }
.otp-kind { font-size: 11.5pt; font-weight: 400; }
.otp-mark { flex: none; text-align: end; }
.otp-mark bdi { font-size: 13pt; font-weight: 700; }
.otp-heading { margin-bottom: 1.5mm; font-size: 10.5pt; font-weight: 700; }
.otp-secret { display: flex; flex-wrap: wrap; gap: 4mm 9mm; padding: 4mm 0; }
.otp-key { flex: 1 1 62mm; }
.otp-qr { flex: none; max-width: 100%; }
.otp-qr svg { display: block; max-width: 100%; height: auto; forced-color-adjust: none; }
.otp-qr figcaption { text-align: center; font-size: 9pt; }
.otp-groups {
  display: inline-grid; grid-template-columns: repeat(4, max-content); gap: .5mm 5mm;
  font-size: 19pt; line-height: 1.4; font-weight: 700;
}
.otp-long .otp-groups {
  grid-template-columns: repeat(5, max-content); gap: 0 4mm; font-size: 14pt;
}
.otp-copy { margin-top: 2mm; font-size: 9pt; }
.otp-copy bdi { font-size: 12pt; user-select: all; }
.otp-word { margin: 3mm 0 1mm; }
.otp-word bdi {
  display: inline-block; margin-inline: 1mm; padding: 0 2mm; border: .75pt solid #000;
  font-size: 13pt; font-weight: 700;
}
.otp-facts {
  display: flex; flex-wrap: wrap; gap: 1mm 9mm; padding: 2.5mm 0;
  border-bottom: .5pt solid #000;
}
.otp-facts dt { font-size: 8.5pt; line-height: 1.4; }
.otp-facts dd { font-weight: 700; }
.otp-codes { flex: 0 1 auto; min-width: 0; list-style: none; }
.otp-codes li { display: flex; align-items: center; gap: 2.5mm; padding: 1.35mm 0; }
.otp-long .otp-codes { flex-basis: 100%; columns: 2; column-gap: 4mm; }
.otp-long .otp-codes li { gap: 1.5mm; padding: 0; }
.otp-codes bdi { font-size: 12.5pt; line-height: 1.4; }
.otp-long .otp-codes bdi { font-size: 12pt; line-height: 1.2; }
.otp-count { flex: none; width: 5mm; text-align: end; }
.otp-box { flex: none; width: 3.8mm; height: 3.8mm; border: .75pt solid #000; }
.otp-list { list-style: none; }
.otp-list li { display: flex; gap: 2mm; margin-bottom: .8mm; }
.otp-list li > span { flex: none; min-width: 3.5mm; }
.otp-advice {
  display: flex; flex-wrap: wrap; gap: 3mm 9mm; padding: 3mm 0; border-top: .5pt solid #000;
}
.otp-advice > section { flex: 1 1 58mm; }
.otp-codes + .otp-advice { flex: 1 1 58mm; padding-top: 0; border: 0; }
.otp-more { padding-top: 3mm; border-top: .5pt solid #000; font-size: 9pt; }
.otp-more .otp-heading { font-size: 10pt; }
.otp-long .otp-advice { font-size: 9pt; }
.otp-long .otp-more, .otp-long-name .otp-more { font-size: 8pt; line-height: 1.3; }
.otp-long:lang(fa) .otp-more, .otp-long-name:lang(fa) .otp-more { line-height: 1.4; }
@media screen and (max-width: 130mm) {
  .otp-sheet { padding: 5mm 4mm; }
  .otp-head { display: block; }
  .otp-mark { text-align: start; }
  .otp-groups { grid-template-columns: repeat(2, max-content); }
  .otp-advice > section { flex-basis: 100%; }
}
@media print {
  .otp-sheet { max-width: none; padding: 0; font-size: 9.5pt; }
  .otp-copy { display: none; }
}
"""
"""The style of both sheets, for a page that shows a ``fragment``; ``html`` has it within."""

STYLE_SOURCE: Final = "'sha256-{}'".format(
    base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
)
"""What the ``style-src`` of a Content-Security-Policy must allow for a ``style`` element of STYLE.

The element must hold exactly that text, as the one in ``html`` does.
"""


def element(tag: str, *inner: str, **attributes: str) -> str:
    """Write an element; its attributes are escaped here, what is inside was escaped before.

    An underscore stands for a hyphen, and at the end of a name for nothing (``class_``).
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{tag}{written}>{''.join(inner)}</{tag}>"


def any_direction(name: str) -> str:
    """Write a name that somebody chose: its direction is its own."""
    return element("bdi", escape(name))


def left_to_right(text: str) -> str:
    """Write a key, a code or a sheet number: left to right in every language."""
    return element("bdi", escape(text), dir="ltr")


def in_groups(groups: Iterable[str]) -> str:
    """Write a key in groups, with spaces between them, as check_key_copy takes it."""
    written = " ".join(element("span", escape(group)) for group in groups)
    return element("bdi", written, class_="otp-groups", dir="ltr")


def section(heading: str, title: str, rows: Iterable[tuple[str, str]], **attributes: str) -> str:
    """Write a heading and a list of (mark, sentence).

    The marks are text, because a mark of CSS knows fewer languages than a catalogue.
    """
    items = (
        element("li", element("span", escape(mark), aria_hidden="true"), element("p", escape(text)))
        for mark, text in rows
    )
    return element(
        "section",
        element(heading, escape(title), class_="otp-heading"),
        element("ul", "\n".join(items), class_="otp-list", role="list"),
        **attributes,
    )


def advice(heading: str, *sections: tuple[str, Iterable[tuple[str, str]]]) -> str:
    """Write sections side by side, or one below the other where there is no room."""
    return element("div", *(section(heading, *one) for one in sections), class_="otp-advice")


def pairs(facts: Iterable[tuple[str, str]]) -> str:
    """Write labels with their values."""
    written = (
        element("div", element("dt", escape(label)), element("dd", any_direction(value)))
        for label, value in facts
    )
    return element("dl", "\n".join(written), class_="otp-facts")


def document(article: str, *, title: str, locale: str, direction: str) -> str:
    """Write a whole page around a sheet. It fetches nothing and runs nothing."""
    head = element(
        "head",
        '\n<meta charset="utf-8">\n',
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
        '<meta name="robots" content="noindex, nofollow, noarchive">\n',
        '<meta name="referrer" content="no-referrer">\n',
        '<meta name="format-detection" content="telephone=no">\n',
        element("title", escape(title)),
        f"\n<style>{STYLE}</style>\n",
    )
    main = element("main", f"\n{article}\n")
    body = element("body", f"\n{main}\n", class_="otp-page")
    whole = element("html", f"\n{head}\n{body}\n", lang=locale, dir=direction)
    return f"<!DOCTYPE html>\n{whole}\n"
