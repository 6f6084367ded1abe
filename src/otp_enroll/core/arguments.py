"""The arguments that verbs share: checked if they are the app's, redacted if they were typed.

``Request`` has them; ``requests`` has a kind of it for each verb.

Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, cast

from otp_enroll.core.proofs import Override, Proof, Verification
from otp_enroll.core.secret import SetupId
from otp_enroll.core.typed_text import TypedCode, read_code
from otp_enroll.errors import MalformedCodeError

Opens = Literal["nothing", "setup", "judged", "stale"]
Draws = Literal["nothing", "setup", "recovery"]

LONGEST_USER_ID: Final = 190
LONGEST_PURPOSE: Final = 64
MOST_CONTEXT_KEYS: Final = 16
LONGEST_CONTEXT_VALUE: Final = 256
METHODS: Final = ("code", "recovery_code")
NOT_A_SETUP_ID: Final = SetupId(b"\0")
HIDDEN: Final = "(hidden)"
"""What public methods put in the place of what was typed, so that no frame of theirs shows it."""


def checked_text(value: object, what: str, longest: int) -> str:
    """Check an identifier of the app's: 1 to ``longest`` characters that UTF-8 can encode.

    Returns:
        A plain ``str``: a driver or a store in memory would keep another class, which it is not
        when it comes back.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str")
    if not 1 <= len(value) <= longest:
        raise ValueError(f"{what} must have 1 to {longest} characters")
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{what} must not contain NUL or a lone surrogate")
    return str.__str__(value)


def checked_context(context: object) -> dict[str, str]:
    """Copy what the app passes for the events, at most 16 texts of at most 256 characters."""
    if context is None:
        return {}
    if not isinstance(context, Mapping):
        raise TypeError("context must be a mapping")
    given = cast("Mapping[object, object]", context)
    if len(given) > MOST_CONTEXT_KEYS:
        raise ValueError(f"context must have at most {MOST_CONTEXT_KEYS} keys")
    checked: dict[str, str] = {}
    for key, value in given.items():
        name = checked_text(key, "a context key", LONGEST_PURPOSE)
        if not isinstance(value, str):
            raise TypeError("a context value must be a str")
        if len(value) > LONGEST_CONTEXT_VALUE:
            raise ValueError(
                f"a context value must have at most {LONGEST_CONTEXT_VALUE} characters"
            )
        checked[name] = value
    return checked


def read_proof(proof: object) -> Proof:
    """Redact a typed proof; other proofs pass. Never raises."""
    if proof is None or isinstance(proof, (Verification, Override)):
        return proof
    return read_code(proof)


def read_setup_id(setup_id: object) -> SetupId:
    """Redact a setup id. Never raises."""
    return SetupId.from_text(setup_id) if isinstance(setup_id, str) else NOT_A_SETUP_ID


def checked_accept(accept: object) -> tuple[str, ...]:
    """Check which kinds of code a page takes: one of the two, or both."""
    if isinstance(accept, str) or not isinstance(accept, Collection):
        raise TypeError("accept must be a collection of methods")
    given = cast("Collection[object]", accept)
    methods = tuple(method for method in METHODS if method in given)
    if not methods or len(methods) != len(given):
        raise ValueError(f"accept must have one or both of {', '.join(METHODS)}")
    return methods


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
            raise MalformedCodeError(*_expected(self.accept, digits))

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


def _expected(accept: Collection[str], digits: int) -> tuple[str, int | None]:
    if "code" not in accept:
        return "recovery_code", None
    return ("either" if "recovery_code" in accept else "code"), digits
