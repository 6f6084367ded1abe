"""What was asked: one frozen type per verb, with its arguments checked and what was typed redacted.

Pure: no I/O, no clock, no randomness. A request that exists is well-formed: wrong arguments and
malformed text are refused here, before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

from otp_enroll.core.arguments import (
    LONGEST_PURPOSE,
    NOT_A_SETUP_ID,
    Draws,
    Opens,
    Request,
    checked_accept,
    checked_text,
)
from otp_enroll.core.proofs import Override
from otp_enroll.core.secret import SetupId
from otp_enroll.core.typed_text import TypedCode, TypedKey, clean_label, clean_name
from otp_enroll.errors import MalformedCodeError, ProofRequiredError


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin(Request):
    """Make a secret and show it."""

    verb: ClassVar[str] = "begin"
    opens: ClassVar[Opens] = "judged"
    draws: ClassVar[Draws] = "setup"

    account_name: str
    authenticator: str | None = None

    def check(self) -> None:
        """As ``Request.check``."""
        Request.check(self)
        self._set("account_name", clean_label(self.account_name, "account_name"))
        if self.authenticator is not None:
            self._set("authenticator", clean_name(self.authenticator, "authenticator"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfSetup(Request):
    """A verb that its caller may use who holds the id of the live setup."""

    opens: ClassVar[Opens] = "setup"
    sees_expired: ClassVar[bool] = True

    setup_id: SetupId

    def check(self) -> None:
        """As ``Request.check``."""
        Request.check(self)
        if self.setup_id is NOT_A_SETUP_ID:
            raise TypeError("setup_id must be a str")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(OfSetup):
    """Show the live setup again."""

    verb: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(OfSetup):
    """Give the live setup up."""

    verb: ClassVar[str] = "cancel"
    opens: ClassVar[Opens] = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm(OfSetup):
    """Prove the live setup with a code of it."""

    verb: ClassVar[str] = "confirm"
    draws: ClassVar[Draws] = "recovery"

    code: TypedCode
    accept: Collection[str] = ("code",)
    backup_acknowledged: bool = False

    def check(self) -> None:
        """As ``Request.check``."""
        OfSetup.check(self)
        if not isinstance(self.backup_acknowledged, bool):
            raise TypeError("backup_acknowledged must be a bool")

    @property
    def typed(self) -> TypedCode:
        """The code."""
        return self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckKeyCopy(OfSetup):
    """Compare a copy of the live setup's key with the key."""

    verb: ClassVar[str] = "check_key_copy"

    copy: TypedKey

    def check(self) -> None:
        """As ``Request.check``."""
        OfSetup.check(self)
        if self.copy.kind == "not text":
            raise TypeError("text must be a str")

    def refuse_malformed(self, digits: int) -> None:  # noqa: ARG002  # a key is no code
        """Refuse an empty or endless copy; any other can be compared."""
        if self.copy.kind == "malformed":
            raise MalformedCodeError("key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify(Request):
    """Judge a code."""

    verb: ClassVar[str] = "verify"
    opens: ClassVar[Opens] = "judged"

    code: TypedCode
    code_purpose: str

    def check(self) -> None:
        """As ``Request.check``."""
        Request.check(self)
        self._set("code_purpose", checked_text(self.code_purpose, "purpose", LONGEST_PURPOSE))
        self._set("accept", checked_accept(self.accept))

    @property
    def typed(self) -> TypedCode:
        """The code."""
        return self.code

    @property
    def purpose(self) -> str:
        """What the caller wants the code for."""
        return self.code_purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Disable(Request):
    """Remove one authenticator, or all."""

    verb: ClassVar[str] = "disable"
    opens: ClassVar[Opens] = "judged"

    authenticator: str | None = None

    def check(self) -> None:
        """As ``Request.check``."""
        Request.check(self)
        if self.authenticator is not None:
            self._set("authenticator", clean_name(self.authenticator, "authenticator"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegenerateRecoveryCodes(Request):
    """Make a new set of recovery codes; none of the old set is taken as proof."""

    verb: ClassVar[str] = "regenerate_recovery_codes"
    opens: ClassVar[Opens] = "judged"
    draws: ClassVar[Draws] = "recovery"

    accept: Collection[str] = ("code",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename(Request):
    """Call an authenticator something else."""

    verb: ClassVar[str] = "rename"

    authenticator: str
    new_name: str

    def check(self) -> None:
        """As ``Request.check``."""
        Request.check(self)
        self._set("authenticator", clean_name(self.authenticator, "authenticator"))
        self._set("new_name", clean_name(self.new_name, "new_name"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Erase(Request):
    """Delete the row."""

    verb: ClassVar[str] = "erase"

    def check(self) -> None:
        """As ``Request.check``."""
        Request.check(self)
        if self.proof is None:
            raise ProofRequiredError
        if not isinstance(self.proof, Override):
            raise TypeError("erase takes an Override as proof, and nothing else")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskStatus(Request):
    """Tell the state."""

    verb: ClassVar[str] = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge(Request):
    """Drop the setup if it is expired."""

    verb: ClassVar[str] = "purge_expired"
    sees_expired: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reseal(Request):
    """Seal anew what the cipher wants sealed anew."""

    verb: ClassVar[str] = "reseal"
    opens: ClassVar[Opens] = "stale"
