"""What was asked: one frozen type per verb, with its arguments checked and what was typed redacted.

Pure: no I/O, no clock, no randomness. A request that exists is well-formed: wrong arguments and
malformed text are refused here, before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from otp_enroll.core.arguments import (
    LONGEST_PURPOSE,
    LONGEST_USER_ID,
    METHODS,
    NOT_A_SETUP_ID,
    checked_accept,
    checked_context,
    checked_text,
)
from otp_enroll.core.proofs import Override, Proof
from otp_enroll.core.secret import SetupId
from otp_enroll.core.typed_text import TypedCode, TypedKey, clean_label, clean_name
from otp_enroll.errors import MalformedCodeError, ProofRequiredError

Opens = Literal["nothing", "setup", "judged", "stale"]
Draws = Literal["nothing", "setup", "recovery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every request has.

    Attributes:
        verb: The row of the transition table, and the purpose of a typed proof.
        opens: Which secrets the verb needs opened: the setup's, those that a code is judged
            against, or those that the cipher wants sealed anew.
        draws: What random material the verb needs.
        sees_expired: Whether the verb speaks of an expired setup instead of passing over it.
    """

    verb: ClassVar[str] = ""
    opens: ClassVar[Opens] = "nothing"
    draws: ClassVar[Draws] = "nothing"
    sees_expired: ClassVar[bool] = False

    user_id: str
    context: Mapping[str, str] | None = None
    proof: Proof = None
    accept: Collection[str] = METHODS

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Check the arguments.

        Raises:
            TypeError: A wrong type.
            ValueError: An impossible value.
        """
        self._set("user_id", checked_text(self.user_id, "user_id", LONGEST_USER_ID))
        self._set("context", checked_context(self.context))
        if self.typed is not None and self.typed.kind == "not text":
            raise TypeError("a code must be a str")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def typed(self) -> TypedCode | None:
        """The code that will be judged, if one was typed."""
        return self.proof if isinstance(self.proof, TypedCode) else None

    def refuse_malformed(self, digits: int) -> None:
        """Refuse text that cannot be what is asked for, before anything is loaded.

        Raises:
            MalformedCodeError: With the number of digits that the policy's codes have, if it is
                a code that is asked for.
        """
        if self.typed is not None and self.typed.kind not in self.accept:
            raise MalformedCodeError(digits if "code" in self.accept else None)

    @property
    def purpose(self) -> str:
        """What a code is for, as events tell it."""
        return self.verb

    @property
    def told(self) -> Mapping[str, str]:
        """The context, checked."""
        return self.context or {}

    @property
    def actor(self) -> str | None:
        """Who acts: an ``Override`` knows best."""
        if isinstance(self.proof, Override):
            return self.proof.actor
        return self.told.get("actor")


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
            raise MalformedCodeError(None)


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
