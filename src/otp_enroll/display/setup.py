"""What is shown once: Setup, Confirmation, RecoveryCodes.

``uri``, ``key``, ``id`` and the codes are plain text, because pages render them: the one
deliberate way out. They are properties of slotted classes, no field, repr or pickle has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, overload

from typing_extensions import Self

from otp_enroll.core.confirm import SetupConfirmed
from otp_enroll.core.recovery import CodesShown
from otp_enroll.core.redacted import NotPickled
from otp_enroll.core.secret import grouped, spoken
from otp_enroll.core.setup_verbs import SetupShown
from otp_enroll.core.states import aware
from otp_enroll.display.sheet import BackupSheet, RecoverySheet
from otp_enroll.provisioning import uri as provisioning_uri

if TYPE_CHECKING:
    from otp_enroll.provisioning.qr import QRCode


CODE_FIELD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "type": "text",
        "inputmode": "numeric",
        "autocomplete": "one-time-code",
        "dir": "ltr",
        "spellcheck": "false",
    }
)
"""Attributes of the one input for a code: it can be pasted and filled in (WCAG 2.2, 3.3.8).

No ``maxlength`` below 16 and no ASCII ``pattern`` beside it: people type spaces and their digits.
"""


class Setup(NotPickled):
    """A setup under way, as its holder may see it until it is confirmed.

    Render it in the answer to the POST that began it, or after ``resume``; answer with
    ``Cache-Control: no-store``, and log nothing of it.
    """

    __slots__ = ("_shown",)

    def __init__(self, shown: SetupShown) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return f"Setup(authenticator={self.authenticator!r}, expires_at={self.expires_at!r}, …)"

    @property
    def id(self) -> str:
        """The setup id: keep it in the web session and in the form."""
        return self._shown.setup_id.text

    @property
    def authenticator(self) -> str:
        """The authenticator's name."""
        return self._shown.setup.name

    @property
    def replaces(self) -> bool:
        """Whether confirming takes the place of a working authenticator."""
        return self._shown.replaces

    @property
    def issuer(self) -> str:
        """The service's name, as the app shows it."""
        return self._shown.setup.issuer

    @property
    def account_name(self) -> str:
        """The account's name as the app shows it, with the number of a replacement."""
        return self._shown.setup.account_name

    @property
    def uri(self) -> str:
        """The provisioning URI: also a link for an app on the same phone."""
        setup = self._shown.setup
        return provisioning_uri.build(
            self._shown.secret,
            issuer=setup.issuer,
            account_name=setup.account_name,
            parameters=setup.parameters,
        )

    @property
    def key(self) -> str:
        """The setup key to copy: Base32 without spaces."""
        return self._shown.secret.base32

    @property
    def key_groups(self) -> tuple[str, ...]:
        """The setup key to write down, in groups of four: show them with spaces between."""
        return grouped(self.key)

    @property
    def key_spoken(self) -> str:
        """The setup key for a screen reader."""
        return spoken(self.key)

    @property
    def check_word(self) -> str:
        """Four characters to compare with those on a paper copy."""
        return self._shown.secret.check_word

    @property
    def qr(self) -> QRCode:
        """The provisioning URI as a QR code."""
        # Drawing is the one thing that needs segno; most requests of an app draw nothing.
        from otp_enroll.provisioning.qr import QRCode  # noqa: PLC0415

        return QRCode(self.uri, issuer=self.issuer)

    def sheet(
        self, locale: str = "en", *, private: bool = False, catalogues: Path | None = None
    ) -> BackupSheet:
        """Make the copy on paper. Serve it in the answer to a POST, with ``no-store``.

        Args:
            locale: The language.
            private: Leave out the account name, and the QR code, which holds it.
            catalogues: Where the app keeps message catalogues of its own.
        """
        return BackupSheet(
            self._shown,
            lambda: self.qr,
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
        """What may go wrong in some apps."""
        setup = self._shown.setup
        return provisioning_uri.warnings_for(
            self.uri,
            issuer=setup.issuer,
            account_name=setup.account_name,
            parameters=setup.parameters,
            may_overwrite=self._shown.beside,
        )


class RecoveryCodes(NotPickled, Sequence[str]):
    """A new set of recovery codes, in groups of four: the only time that they are shown."""

    __slots__ = ("_shown",)

    def __init__(self, shown: CodesShown) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return f"RecoveryCodes({len(self)} codes)"

    def __len__(self) -> int:
        return len(self._shown.codes.canonical())

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return tuple(self)[index]

    def __iter__(self) -> Iterator[str]:
        return ("-".join(grouped(code)) for code in self._shown.codes.canonical())

    def sheet(
        self, locale: str = "en", *, private: bool = False, catalogues: Path | None = None
    ) -> RecoverySheet:
        """Make the copy on paper. Serve it in this answer: there is no other occasion.

        Args:
            locale: The language.
            private: Leave out the account name.
            catalogues: Where the app keeps message catalogues of its own.
        """
        return RecoverySheet(self._shown, locale=locale, private=private, catalogues=catalogues)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """A setup was confirmed.

    Attributes:
        authenticator: The name of the authenticator that is live now.
        replaced: Whether it took the place of one of the same name.
        removed: The others, if the account was locked: it has this authenticator alone.
        recovery_codes: A new set to show now and never again, or ``None``: the account still
            has unspent codes, and a page must say that the old paper stays good.
    """

    authenticator: str
    replaced: bool
    removed: tuple[str, ...]
    recovery_codes: RecoveryCodes | None

    @classmethod
    def of(cls, done: SetupConfirmed) -> Self:
        """Present what a confirm did."""
        return cls(
            authenticator=done.authenticator,
            replaced=done.replaced,
            removed=done.removed,
            recovery_codes=None if done.codes is None else RecoveryCodes(done.codes),
        )
