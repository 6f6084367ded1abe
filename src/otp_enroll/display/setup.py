"""What is shown once: Setup, Confirmation, RecoveryCodes.

``uri``, ``key``, ``id`` and the codes are plain text, because pages render them: the one
deliberate way out. They are properties of slotted classes, no field, repr or pickle has them:
``dataclasses.asdict`` prints a field whose repr is switched off, and error reporters use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, overload

from otp_enroll.core.confirm import SetupConfirmed
from otp_enroll.core.recovery import CodesShown
from otp_enroll.core.redacted import NotPickled
from otp_enroll.core.secret import grouped
from otp_enroll.core.setup_verbs import SetupShown
from otp_enroll.core.states import aware
from otp_enroll.policy import Parameters
from otp_enroll.provisioning import uri as provisioning_uri

if TYPE_CHECKING:
    from pathlib import Path

    from otp_enroll.display.sheet import BackupSheet, RecoverySheet
    from otp_enroll.provisioning.qr import QRCode


# Not type="number": it drops leading zeros, takes "1e5", and has arrows to count a code up.
CODE_FIELD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "type": "text",
        "inputmode": "numeric",
        "autocomplete": "one-time-code",
        "dir": "ltr",
        "spellcheck": "false",
    }
)
"""Attributes of the input for a code, so that it can be pasted and autofilled (WCAG 2.2, 3.3.8).

Add no ``maxlength`` below 16 and no ASCII ``pattern``: people type spaces and their own digits.
And let it be one field: six boxes break paste and autofill, and a page on which a code must be
typed by hand does not conform.
"""

# The digits of Base32 (RFC 4648 §6), which leaves out those that look like letters.
_DIGIT_NAMES: Final = {
    digit: f"digit {name}"
    for digit, name in zip("234567", ["two", "three", "four", "five", "six", "seven"], strict=True)
}


def spoken(key: str) -> str:
    """Spell a setup key for a screen reader: ``"J, B, S, W; Y, digit three, D, P"``.

    A synthesiser reads ``JBSWY3DP`` as a word, and "B 3" and "B, C" alike.

    Args:
        key: Base32 without spaces.
    """
    return "; ".join(
        ", ".join(_DIGIT_NAMES.get(letter, letter) for letter in group) for group in grouped(key)
    )


class KeyGroups(NotPickled, Sequence[str]):
    """A setup key in groups of four characters, as people write it down.

    ``str`` gives the groups with spaces between them, for the page; ``repr`` shows none. Compares
    equal to a tuple of the same groups. Spaces and not dashes, which some apps refuse when the
    key is pasted into them.
    """

    __slots__ = ("_groups",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # a hash in a log would identify the key

    def __init__(self, groups: tuple[str, ...]) -> None:
        self._groups = groups  # not a tuple itself: a subclass would show them in its repr

    def __repr__(self) -> str:
        return f"KeyGroups({len(self)} groups)"

    def __str__(self) -> str:
        return " ".join(self._groups)

    def __eq__(self, other: object) -> bool:
        return self._groups == (other._groups if isinstance(other, KeyGroups) else other)

    def __len__(self) -> int:
        return len(self._groups)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._groups[index]


class Setup(NotPickled):
    """A pending setup, as its holder may see it until it is confirmed.

    Render it in the response to the POST that began it, or after ``resume``; send the response
    with ``Cache-Control: no-store`` (CWE-525), and log nothing of it. A reload shows the same key
    by ``resume``: a page that begins again at each reload leaves users with an app that shows
    the codes of a secret which is gone.
    """

    __slots__ = ("_shown", "_uri")

    def __init__(self, shown: SetupShown) -> None:
        self._shown = shown
        self._uri: str | None = None

    def __repr__(self) -> str:
        return f"Setup(authenticator={self.authenticator!r}, expires_at={self.expires_at!r}, …)"

    @property
    def id(self) -> str:
        """The setup id: keep it in the web session, and in the form.

        With it ``resume`` shows the key, so it is a secret while the setup lives.
        """
        return self._shown.setup_id.text

    @property
    def authenticator(self) -> str:
        """The authenticator's name."""
        return self._shown.setup.name

    @property
    def replaces(self) -> bool:
        """Whether confirming it replaces a working authenticator."""
        return self._shown.replaces

    @property
    def issuer(self) -> str:
        """The service's name, as the app shows it."""
        return self._shown.setup.issuer

    @property
    def account_name(self) -> str:
        """The account's name as the app shows it; a replacement has a number behind it.

        Google Authenticator replaces an entry of the same name as soon as it scans. If the user
        then stopped, the phone would have the secret that is not confirmed, and lost the other.
        """
        return self._shown.setup.account_name

    @property
    def uri(self) -> str:
        """The provisioning URI, which also works as a link to an app on the same phone.

        A secret: never in a query, a redirect, a log or the name of a file (CWE-598).
        """
        if self._uri is None:  # a page asks for it two or three times
            setup = self._shown.setup
            self._uri = provisioning_uri.build_from_clean(
                self._shown.secret,
                issuer=setup.issuer,
                account_name=setup.account_name,
                parameters=setup.parameters,
            )
        return self._uri

    @property
    def key(self) -> str:
        """The setup key to copy: Base32 without spaces or padding (RFC 4648 §6)."""
        return self._shown.secret.base32

    @property
    def key_groups(self) -> KeyGroups:
        """The setup key to write down, in groups of four: ``str`` puts spaces between them."""
        return KeyGroups(grouped(self.key))

    @property
    def key_spoken(self) -> str:
        """The setup key for a screen reader, in English; see ``spoken``."""
        return spoken(self.key)

    @property
    def check_word(self) -> str:
        """Four characters to compare with those on a paper copy: 20 bits of a digest.

        They show a slip of the pen. They are no code, and say nothing that helps to guess one.
        """
        return self._shown.secret.check_word

    @property
    def parameters(self) -> Parameters:
        """What the app must compute with: type, algorithm, digits, period in seconds."""
        return self._shown.setup.parameters

    @property
    def qr(self) -> QRCode:
        """The provisioning URI as a QR code."""
        # Only drawing needs segno, and most requests of an app draw nothing.
        from otp_enroll.provisioning.qr import QRCode  # noqa: PLC0415

        return QRCode(self.uri, issuer=self.issuer)

    def sheet(
        self, locale: str = "en", *, private: bool = False, catalogues: Path | None = None
    ) -> BackupSheet:
        """Make the paper copy. Serve it in the response to a POST, with ``no-store``.

        Args:
            locale: The language.
            private: Leave out the account name, and the QR code, which contains it.
            catalogues: Where the app keeps message catalogues of its own.

        Raises:
            TypeError: A wrong type.
        """
        # Sheets bring the message catalogues along, which most requests have no use for.
        from otp_enroll.display.sheet import BackupSheet  # noqa: PLC0415

        return BackupSheet(
            self._shown,
            lambda: self.qr,  # drawn if the sheet is written as HTML, not as text
            locale=locale,
            private=private,
            catalogues=catalogues,
        )

    @property
    def expires_at(self) -> datetime:
        """When the setup expires, in UTC."""
        return aware(self._shown.setup.expires_at)

    @property
    def warnings(self) -> tuple[provisioning_uri.ProvisioningWarning, ...]:
        """What may go wrong in some authenticator apps.

        Show them before the QR code: some apps overwrite an entry as soon as they scan.
        """
        setup = self._shown.setup
        return provisioning_uri.warnings_for(
            self.uri,
            issuer=setup.issuer,
            account_name=setup.account_name,
            parameters=setup.parameters,
            may_overwrite=self._shown.beside,
        )


class RecoveryCodes(NotPickled, Sequence[str]):
    """A new set of recovery codes, in groups of four. They are never shown again.

    The store keeps digests of them. A page that loses this answer cannot ask for it again: it
    offers to make a new set. As a sequence it gives text for the page; it is no list, so that
    neither ``repr`` nor a pickle holds the codes.
    """

    __slots__ = ("_shown",)

    def __init__(self, shown: CodesShown) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return f"RecoveryCodes({len(self)} codes)"

    def __len__(self) -> int:
        return self._shown.codes.count

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return tuple(self)[index]  # grouped at each look: no copy of the codes is kept here

    def __iter__(self) -> Iterator[str]:
        # Dashes here, unlike in keys: no app is involved, and our own field reads them.
        return ("-".join(grouped(code)) for code in self._shown.codes.canonical())

    def sheet(
        self, locale: str = "en", *, private: bool = False, catalogues: Path | None = None
    ) -> RecoverySheet:
        """Make the paper copy. Serve it in this response: there is no second chance.

        Args:
            locale: The language.
            private: Leave out the account name.
            catalogues: Where the app keeps message catalogues of its own.

        Raises:
            TypeError: A wrong type.
        """
        from otp_enroll.display.sheet import RecoverySheet  # noqa: PLC0415  # as in Setup.sheet

        return RecoverySheet(self._shown, locale=locale, private=private, catalogues=catalogues)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What confirming a setup did.

    Attributes:
        authenticator: The name of the authenticator that is live now.
        replaced: Whether it replaced one of the same name.
        removed: The names of the authenticators that went because the account was locked:
            this one is its only one now.
        recovery_codes: A new set, to be shown now and never again; or ``None`` where the account
            still has unspent codes, and the page must say that the old paper stays valid.
    """

    authenticator: str
    replaced: bool
    removed: tuple[str, ...]
    recovery_codes: RecoveryCodes | None


def confirmation_of(done: SetupConfirmed) -> Confirmation:
    """Present what a confirm did to its caller."""
    return Confirmation(
        authenticator=done.authenticator,
        replaced=done.replaced,
        removed=done.removed,
        # ``None`` and not an empty set: a page must not print a sheet without codes.
        recovery_codes=None if done.codes is None else RecoveryCodes(done.codes),
    )
