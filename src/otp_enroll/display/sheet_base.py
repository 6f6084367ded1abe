"""What the two sheets share: the head, the advice, and the forms HTML and plain text.

A sheet is for somebody who has lost a phone, years later: it must say what it is for, whether it
is still the current one, and what to do with it, without the app that printed it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill
from typing import Final, Literal

from otp_enroll.core.recovery import CodesShown
from otp_enroll.core.redacted import NotPickled
from otp_enroll.core.setup_verbs import SetupShown
from otp_enroll.core.states import aware
from otp_enroll.display import html as page
from otp_enroll.display.html import element, join
from otp_enroll.messages import how_to_get_back_in
from otp_enroll.messages.catalogue import (
    FIRST_STRONG_ISOLATE,
    POP_DIRECTIONAL_ISOLATE,
    Catalogue,
)
from otp_enroll.provisioning.markup import Html

CHARACTERS_PER_LINE: Final = 76
"""The longest line of plain text: what a mail, a terminal and a page of type show whole."""

MAX_LARGE_NAME: Final = 24
"""Characters; a longer issuer is set smaller."""

LEFT_TO_RIGHT_ISOLATE: Final = "\u2066"
"""What stands before a key in a line of a right-to-left language (UAX #9)."""

Rows = Sequence[tuple[str, str]]
"""Marks or labels, each with its text."""

Advice = tuple[str, Rows]
"""A title with its rows."""


class Sheet(NotPickled, ABC):
    """A paper copy, made in memory for the app to serve.

    It is as secret as what is on it: serve it with ``Cache-Control: no-store``, in the answer to
    a request of its owner. It is not pickled, so no queue or cache keeps one by accident.

    Args:
        shown: What stands on it.
        number: The number by which a later reader knows which of two papers is the current one.
        issuer: The service.
        account_name: Whose it is, or ``None`` to leave it out.
        locale: The language.
        catalogues: Where the app keeps message catalogues of its own.
    """

    __slots__ = ("_account_name", "_catalogue", "_catalogues", "_issuer", "_shown", "number")

    def __init__(
        self,
        shown: SetupShown | CodesShown,
        *,
        number: str,
        issuer: str,
        account_name: str | None,
        locale: str,
        catalogues: Path | None,
    ) -> None:
        self.number: Final = number
        """The sheet number: the security page says which one is current."""
        self._catalogue = Catalogue.of(locale, catalogues)
        self._catalogues = catalogues
        self._issuer = issuer
        self._account_name = account_name
        self._shown = shown  # with its policy: the advice is that of the day it was printed

    def __repr__(self) -> str:
        # No more: a traceback with locals may print a sheet whose language was refused.
        return f"{type(self).__name__}(number={self.number!r}, …)"

    @property
    def locale(self) -> str:
        """The language of the sheet: the one asked for, or English where there is no catalogue."""
        return self._catalogue.locale

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """How the language is written, as HTML's ``dir`` wants it."""
        return self._catalogue.direction

    def html(self) -> Html:
        """Write a whole page, with its style, to be shown and printed by itself."""
        return page.document(
            self._article("h1", "h2"),
            title=f"{self._issuer} {self.number}",  # browsers print it, and name the file by it
            locale=self.locale,
            direction=self.direction,
        )

    def fragment(self) -> Html:
        """Write the ``article`` alone, for a page of the app that holds ``STYLE``."""
        return self._article("h2", "h3")  # below the page's own h1 (WCAG 1.3.1)

    def text(self) -> str:
        """Write plain text. In a right-to-left language keys and codes stand in LRI … PDI.

        For people without a printer at hand, who copy it.
        """
        details = (f"{label}: {self._isolate(value)}" for label, value in self._details())
        number = f"{self._say('number')}: {self._isolate_ltr(self.number)}"
        date = f"{self._say('date')}: {self._date}"
        blocks = [
            [self._isolate(self._issuer), self._title, number, date, *details],
            *self._text_blocks(),
            [self._say("back_in"), *write_rows(self._back_in())],
        ]
        return "\n\n".join("\n".join(lines) for lines in blocks) + "\n"

    @property
    @abstractmethod
    def _title(self) -> str:
        """What kind of sheet it is."""

    @property
    @abstractmethod
    def _is_long(self) -> bool:
        """Whether the secret is so long that it must be set smaller."""

    @abstractmethod
    def _details(self) -> Rows:
        """List what else a reader needs, as (label, value)."""

    @abstractmethod
    def _text_blocks(self) -> Iterator[Sequence[str]]:
        """Yield the blocks of lines with the secret, and what to do with it."""

    @abstractmethod
    def _html_parts(self, heading: str) -> Iterator[Html]:
        """Yield the elements with the secret, and what to do with it."""

    def _say(self, code: str, **values: str) -> str:
        return self._catalogue.say("sheet", code, **values)

    @property
    def _date(self) -> str:
        return self._catalogue.date(aware(self._shown.at))

    def _account(self) -> Rows:
        return [(self._say("account"), self._account_name)] if self._account_name else []

    def _isolate(self, name: str) -> str:
        """Isolate what somebody chose, but where it can turn nothing around."""
        # Invisible characters in plain ASCII would only come along when somebody copies it.
        if name.isascii() and self.direction == "ltr":
            return name
        return FIRST_STRONG_ISOLATE + name + POP_DIRECTIONAL_ISOLATE

    def _isolate_ltr(self, text: str) -> str:
        """Keep a key or a code in its order: a right-to-left line shows ``123 456`` reversed."""
        if self.direction == "ltr":
            return text
        return LEFT_TO_RIGHT_ISOLATE + text + POP_DIRECTIONAL_ISOLATE

    def _number(self, *texts: str) -> Rows:
        return [(f"{self._catalogue.number(n)}.", text) for n, text in enumerate(texts, start=1)]

    def _care(self) -> Advice:
        return self._say("keep_safe"), put_dots(
            self._say("never_picture"),
            self._say("never_tell"),
            self._say("keep_apart"),
            self._say("cut_up"),
        )

    def _back_in(self) -> Rows:
        """Write how to get back in, by the policy that was in force when it was printed."""
        advice = how_to_get_back_in(
            self._shown.policy, locale=self.locale, catalogues=self._catalogues
        )
        return put_dots(*advice)

    def _article(self, title: str, heading: str) -> Html:
        details = self._details()
        back_in = (self._say("back_in"), self._back_in())
        parts = [
            self._head(title),
            *([page.pairs(details)] if details else []),
            *self._html_parts(heading),
            page.section(heading, *back_in, class_="otp-more"),
        ]
        return element(
            "article",
            join(parts, "\n"),
            class_=" ".join(self._classes()),
            lang=self.locale,
            dir=self.direction,
        )

    def _classes(self) -> Iterator[str]:
        # The sheet must stay one page: a second one gets lost. CSS cannot count characters.
        yield "otp-sheet"
        if self._is_long:
            yield "otp-long"
        if len(self._issuer) > MAX_LARGE_NAME:
            yield "otp-long-name"

    def _head(self, title: str) -> Html:
        kind = element("span", self._title, class_="otp-kind")
        number = element("p", self._say("number"), " ", page.left_to_right(self.number))
        return element(
            "header",
            element(title, page.any_direction(self._issuer), " ", kind, class_="otp-title"),
            element("div", number, element("p", self._date), class_="otp-mark"),
            class_="otp-head",
        )


def put_dots(*texts: str) -> Rows:
    """Put a dot before each text, where the order means nothing."""
    return [("•", text) for text in texts]


def write_rows(rows: Rows) -> Iterator[str]:
    """Write rows as plain text, each line no longer than a terminal or a page of type."""
    for mark, text in rows:
        yield fill(
            f"{mark} {text}",
            CHARACTERS_PER_LINE,
            subsequent_indent=" " * (len(mark) + 1),  # under the text, so that the mark stands out
            break_long_words=False,  # a broken code, or address, is none
            break_on_hyphens=False,
        )
