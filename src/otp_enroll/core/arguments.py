"""The arguments that verbs share: checked if they are the app's, redacted if they were typed.

Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, cast

from otp_enroll.core.proofs import Override, Proof, Verification
from otp_enroll.core.secret import SetupId
from otp_enroll.core.typed_text import read_code

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
