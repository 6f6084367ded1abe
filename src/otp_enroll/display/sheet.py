"""The paper copies: the backup sheet of a key, and the sheet of a set of recovery codes.

A sheet is made in memory and handed to the app; the library writes it to no file and sends it
nowhere. Its words come from the message catalogues, and its advice on recovery from the policy.
In every language keys, codes and numbers of sheets are ASCII from left to right: they are typed
into apps, or read out to somebody, that know no other digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Final

from otp_enroll.core.recovery import CodesShown
from otp_enroll.core.secret import grouped
from otp_enroll.core.setup_verbs import SetupShown
from otp_enroll.core.sheet_number import sheet_number
from otp_enroll.core.states import DEFAULT_NAME
from otp_enroll.display import html as page
from otp_enroll.display.html import STYLE, STYLE_SOURCE, element, join
from otp_enroll.display.sheet_base import (
    CHARACTERS_PER_LINE,
    Advice,
    Rows,
    Sheet,
    put_dots,
    write_rows,
)
from otp_enroll.provisioning.markup import Html

if TYPE_CHECKING:
    from otp_enroll.provisioning.qr import QRCode

__all__ = ["STYLE", "STYLE_SOURCE", "BackupSheet", "RecoverySheet"]

MIN_MODULE_MM: Final = 0.45
"""The side of a module of the QR code in print; below 0.4 mm phones begin to fail."""

USUAL_SIDE_MM: Final = 46
"""The side of the QR code, quiet zone included, unless its modules would be too small."""

MAX_LARGE_KEY: Final = 40
"""Characters; a longer key is set smaller, so that the sheet stays one page."""

MAX_LARGE_CODES: Final = 12
"""More recovery codes are set smaller, in two columns."""

GROUPS_PER_LINE: Final = 4
"""Groups of a key in a line of plain text: 16 characters, of which two lines are a usual key."""


class BackupSheet(Sheet):
    """A setup key on paper: all that a new phone needs. ``Setup.sheet`` makes it.

    ``private`` leaves out the account name, and with it the QR code, which contains it: the finder
    of such a paper learns the key and the service, but not whose it is.

    Args:
        shown: The setup, as its holder may see it.
        draw: Draws the QR code, if it is wanted.
        locale: The language.
        private: Whether the paper is to say nothing of whose it is.
        catalogues: Where the app keeps message catalogues of its own.
    """

    __slots__ = ("_draw", "_of")

    def __init__(
        self,
        shown: SetupShown,
        draw: Callable[[], QRCode],
        *,
        locale: str,
        private: bool,
        catalogues: Path | None,
    ) -> None:
        super().__init__(
            shown,
            # The same for each printing of one key, and another for the next: so that an old
            # paper is known for one. It says nothing of the key itself.
            number=sheet_number("key", shown.setup.authenticator_id.encode()),
            issuer=shown.setup.issuer,
            account_name=None if private else shown.setup.account_name,
            locale=locale,
            catalogues=catalogues,
        )
        self._of = shown
        self._draw = None if private else draw  # the account name stands in its URI

    @property
    def _title(self) -> str:
        return self._say("key_title")

    @property
    def _is_long(self) -> bool:
        return len(self._of.secret.base32) > MAX_LARGE_KEY

    def _details(self) -> Rows:
        # All that a new phone must be given by hand, though most of it is what apps assume.
        setup = self._of.setup
        named = setup.name != DEFAULT_NAME  # nobody chose that one, so it says nothing
        return [
            *self._account(),
            *([(self._say("authenticator"), setup.name)] if named else []),
            (self._say("type"), self._say(f"type_{setup.parameters.type}")),
            (self._say("algorithm"), setup.parameters.algorithm),
            (self._say("digits"), self._catalogue.number(setup.parameters.digits)),
            (self._say("period"), self._catalogue.duration(setup.parameters.period)),
        ]

    def _text_blocks(self) -> Iterator[Sequence[str]]:
        yield self._key_text()
        for title, rows in (self._lost("lost_type"), self._care()):
            yield [title, *write_rows(rows)]

    def _key_text(self) -> Sequence[str]:
        """Write the key twice: in groups to read, and in one piece to copy.

        The second has no marks around it: an isolate that is copied along is no Base32.
        """
        secret = self._of.secret
        groups = secret.groups
        lines = (groups[n : n + GROUPS_PER_LINE] for n in range(0, len(groups), GROUPS_PER_LINE))
        return [
            f"{self._say('key')}:",
            *("  " + self._isolate_ltr(" ".join(line)) for line in lines),
            f"{self._say('key_to_copy')}:",
            secret.base32,
            f"{self._say('check_word')}: {self._isolate_ltr(secret.check_word)}",
            fill(self._say("check_word_is"), CHARACTERS_PER_LINE),
        ]

    def _html_parts(self, heading: str) -> Iterator[Html]:
        yield element("div", *self._picture(), self._key_html(heading), class_="otp-secret")
        # Advice to scan a code that is not there would be found out years later.
        lost = self._lost("lost_scan" if self._draw else "lost_type")
        yield page.advice(heading, lost, self._care())

    def _key_html(self, heading: str) -> Html:
        secret = self._of.secret
        key, word = page.left_to_right(secret.base32), page.left_to_right(secret.check_word)
        return element(
            "div",
            element(heading, self._say("key"), class_="otp-heading"),
            element("p", page.in_groups(secret.groups)),
            element("p", self._say("key_to_copy"), ": ", key, class_="otp-copy"),
            element("p", self._say("check_word"), " ", word, class_="otp-word"),
            element("p", self._say("check_word_is")),
            class_="otp-key",
        )

    def _picture(self) -> Iterator[Html]:
        if self._draw is None:
            return
        code = self._draw()
        # In millimetres, because a printer scales pixels as it likes.
        svg = code.svg(
            description=self._say("qr_is", issuer=self._issuer),
            module_mm=max(MIN_MODULE_MM, USUAL_SIDE_MM / code.modules),
        )
        caption = element("figcaption", self._say("qr_caption"))
        yield element("figure", svg, caption, class_="otp-qr")

    def _lost(self, how: str) -> Advice:
        return self._say("lost"), self._number(
            self._say(how),
            self._say("lost_sign_in"),
            self._say("lost_replace"),
        )


class RecoverySheet(Sheet):
    """A set of recovery codes on paper, to be crossed out. ``RecoveryCodes.sheet`` makes it.

    The account name stands on it only after a confirm, where the library knows it, and never
    with ``private``. It holds no key: who finds it needs the password as well, and each code
    works once.

    Args:
        shown: The codes, as their owner may see them once.
        locale: The language.
        private: Whether the paper is to say nothing of whose it is.
        catalogues: Where the app keeps message catalogues of its own.
    """

    __slots__ = ("_codes",)

    def __init__(
        self, shown: CodesShown, *, locale: str, private: bool, catalogues: Path | None
    ) -> None:
        super().__init__(
            shown,
            number=shown.number,
            issuer=shown.issuer,
            account_name=None if private else shown.account_name,
            locale=locale,
            catalogues=catalogues,
        )
        self._codes = shown.codes

    @property
    def _title(self) -> str:
        return self._say("codes_title")

    @property
    def _is_long(self) -> bool:
        return self._codes.count > MAX_LARGE_CODES

    def _details(self) -> Rows:
        return self._account()

    def _number_codes(self) -> Iterator[tuple[str, str]]:
        """Yield each code with its number, which is no part of it and in the language's digits."""
        for n, code in enumerate(self._codes.canonical(), start=1):
            yield self._catalogue.number(n), "-".join(grouped(code))

    def _text_blocks(self) -> Iterator[Sequence[str]]:
        yield [f"{n:>2}. [ ] {self._isolate_ltr(code)}" for n, code in self._number_codes()]
        for title, rows in (self._use(), self._care()):
            yield [title, *write_rows(rows)]

    def _html_parts(self, heading: str) -> Iterator[Html]:
        rows = (
            element(
                "li",
                element("span", n, class_="otp-count"),
                element("span", class_="otp-box", aria_hidden="true"),
                page.left_to_right(code),
            )
            for n, code in self._number_codes()
        )
        # With a box to tick beside each, so that it shows how many are left.
        codes = element("ol", join(rows, "\n"), class_="otp-codes", role="list")
        advice = page.advice(heading, self._use(), self._care())
        yield element("div", codes, advice, class_="otp-secret")

    def _use(self) -> Advice:
        return self._say("use"), put_dots(
            self._say("use_once"),
            self._say("use_cross_out"),
            self._say("use_spelling"),
            self._say("use_renew"),
        )
