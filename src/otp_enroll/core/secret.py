"""What must never be printed, as types: Secret, Sealed, SetupId; and the Base32 text of a key."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from typing_extensions import Self

from otp_enroll.core.redacted import Redacted
from otp_enroll.core.typed_text import MAX_KEY_TEXT, clean, read_key
from otp_enroll.errors import UnreadableSecretError

ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
"""Base32 (RFC 4648 §6)."""

MIN_SECRET: Final = 16
"""Bytes (RFC 4226 R6: 128 bits)."""

MIN_IMPORTED_SECRET: Final = 14
"""Bytes that an import may ask for by name (SP 800-63B-4 §3.1.4.1: 112 bits)."""

MAX_SECRET: Final = 128  # bytes: one block of SHA-512; HMAC hashes what is longer (RFC 2104 §3)

MAX_SUGGESTIONS: Final = 16
"""Guesses at a mistyped key beyond which none is offered."""

_CHECK_WORD_TAG: Final = b"otp_enroll/1\0check word\0"  # on paper: never to be changed
_SETUP_ID_TAG: Final = b"otp_enroll/1\0setup id\0"

_LOOK_ALIKES: Final = {"0": "O", "8": "B", "1": "IL"}  # RFC 4648 §3.4: 1 may be either


class Sealed(Redacted):
    """A secret as the cipher sealed it (and as ``Unencrypted`` did not)."""

    __slots__ = ()


class SetupId(Redacted):
    """The id of a setup: 256 random bits, shown once and stored as a digest."""

    __slots__ = ()

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Wrap what a request brought: not checked, since a malformed id matches no digest."""
        return cls(text.encode("utf-8", "surrogatepass"))

    @classmethod
    def from_bytes(cls, fresh: bytes) -> Self:
        """Spell 32 fresh random bytes as 43 URL-safe characters."""
        return cls(base64.urlsafe_b64encode(fresh).rstrip(b"="))

    @property
    def text(self) -> str:
        """The id as the page carries it."""
        return self._raw.decode("ascii")

    def digest(self, user_id: str) -> bytes:
        """Return what the record keeps: the id cannot be had from it, nor serve another user."""
        return hashlib.sha256(_SETUP_ID_TAG + user_id.encode() + b"\0" + self._raw).digest()


NOT_A_SETUP_ID: Final = SetupId(b"\0")  # known by identity: a request may bring this text


def read_setup_id(setup_id: object) -> SetupId:
    """Redact a setup id. Never raises, since its frame holds what a request brought."""
    return SetupId.from_text(setup_id) if isinstance(setup_id, str) else NOT_A_SETUP_ID


def check_setup_id(setup_id: SetupId) -> None:
    """Raise ``TypeError`` for what was no text."""
    if setup_id is NOT_A_SETUP_ID:
        raise TypeError("setup_id must be a str")


class Secret(Redacted):
    """The key that the authenticator and the server share.

    Args:
        raw: 16 to 128 bytes (RFC 4226 R6); 14 or 15 with ``allow_short``.
        allow_short: For a secret that an older system made.

    Raises:
        ValueError: Too short or too long.
    """

    __slots__ = ()

    def __init__(self, raw: bytes, *, allow_short: bool = False) -> None:
        shortest = MIN_IMPORTED_SECRET if allow_short else MIN_SECRET
        length = len(raw)
        if not shortest <= length <= MAX_SECRET:
            raw = b""  # no traceback with locals shows it
            raise ValueError(
                f"a secret has {shortest} to {MAX_SECRET} bytes, and this one has {length}"
            )
        super().__init__(raw)

    @classmethod
    def from_base32(cls, text: str, *, allow_short: bool = False) -> Self:
        """Read a setup key as ``decode_base32`` does, and require the length of a secret."""
        held, text = _decoded(text), ""
        if isinstance(held, str):
            raise ValueError(held)  # noqa: TRY004  # the str is the fault found, not a wrong type
        return cls(held.reveal(), allow_short=allow_short)

    @property
    def base32(self) -> str:
        """The setup key: RFC 4648 Base32, upper case, without padding."""
        return encode_base32(self._raw)

    @property
    def groups(self) -> tuple[str, ...]:
        """The setup key in groups of four characters, as people write it down."""
        return grouped(self.base32)

    @property
    def check_word(self) -> str:
        """Four Base32 characters (20 bits) by which the eye finds a bad copy on paper.

        A digest of its own, since HOTP(secret, 0) would be a code that works somewhere.
        """
        return encode_base32(hashlib.sha256(_CHECK_WORD_TAG + self._raw).digest())[:4]

    def differing_groups(self, copy: str) -> tuple[int, ...]:
        """Compare a cleaned, upper-case copy of the key with the key, in constant time.

        What Base32 does not have counts as what it can only be: 0 as O, 8 as B, 1 as I or L.
        I and L stay different, since a paper with the wrong one restores another secret.

        Returns:
            The groups that differ, counted from 1 as people count; empty when the copy is right.
        """
        key = self.base32
        length = max(len(key), len(copy))
        wrong = [
            not _same_letter(mine, theirs)
            for mine, theirs in zip(key.ljust(length), copy.ljust(length), strict=True)
        ]
        return tuple(
            number
            for number, start in enumerate(range(0, length, 4), start=1)
            if any(wrong[start : start + 4])
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class FreshSetup:
    """What begin draws: the two ids, the secret, and the secret sealed, or why it is not."""

    setup_id: SetupId
    authenticator_id: str
    secret: Secret
    sealed: Sealed | UnreadableSecretError

    def require_sealed(self) -> Sealed:
        """Return the sealed secret, or raise what the cipher failed with."""
        if isinstance(self.sealed, UnreadableSecretError):
            raise self.sealed
        return self.sealed


def _same_letter(mine: str, theirs: str) -> bool:
    # Three comparisons for each letter, so that time does not say which letter has look-alikes.
    candidates = (theirs + _LOOK_ALIKES.get(theirs, "") + "\0\0")[:3]
    compared = [hmac.compare_digest(_bytes(mine), _bytes(other)) for other in candidates]
    return any(compared)


def _bytes(text: str) -> bytes:  # compare_digest raises TypeError for a str beyond ASCII
    return text.encode("utf-8", "surrogatepass")


def encode_base32(raw: bytes) -> str:
    """Spell bytes in RFC 4648 Base32, upper case, without padding."""
    return base64.b32encode(raw).decode("ascii").rstrip("=")


def grouped(text: str) -> tuple[str, ...]:
    """Split into groups of four characters."""
    return tuple(text[start : start + 4] for start in range(0, len(text), 4))


def decode_base32(text: str) -> bytes:
    """Decode a setup key. Any case, spaces, dashes, direction marks and padding are accepted.

    Raises:
        ValueError: A character outside the alphabet (the message gives its position, counted
            from 1), a length that no key has, or bits left over (RFC 4648 §3.5: the text is
            not what an encoder writes, so some character of it is wrong).
    """
    held, text = _decoded(text), ""
    if isinstance(held, str):
        raise ValueError(held)  # noqa: TRY004  # the str is the fault found, not a wrong type
    return held.reveal()


def _decoded(text: str) -> Redacted | str:
    """Return the bytes, or a sentence that says what is wrong without showing the text."""
    letters = ""
    padded = False
    if len(text) > MAX_KEY_TEXT:  # before the loop over it (CWE-400)
        return "the key is too long"
    for position, raw in enumerate(text, start=1):
        letter = clean(raw)
        if letter == "=":
            padded = True
        # upper() of a letter beyond ASCII may be one of Base32: U+017F becomes S.
        elif letter and (padded or not letter.isascii() or letter.upper() not in ALPHABET):
            return f"character {position} is not one of A-Z and 2-7"
        else:
            letters += letter.upper()
    return _bits(letters)


def _bits(letters: str) -> Redacted | str:
    if not letters:
        return "the key is empty"
    try:
        raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except binascii.Error:
        return f"no key has {len(letters)} characters"
    if encode_base32(raw) != letters:  # b32decode drops left-over bits without a word
        return "the last character does not fit: the key is cut off or mistyped"
    return Redacted(raw)  # not bytes, which the caller's frame would show


def suggest(text: str) -> tuple[str, ...]:
    """Guess what a mistyped key was: 0 for O, 8 for B, 1 for I or L (RFC 4648 §3.4).

    Returns:
        Up to 16 keys that decode; none if another character is wrong or too many are.
    """
    guesses = [""]
    for letter in read_key(text[:MAX_KEY_TEXT]).text:
        guesses = [guess + other for guess in guesses for other in _LOOK_ALIKES.get(letter, letter)]
        if len(guesses) > MAX_SUGGESTIONS:  # each 1 doubles them (CWE-400)
            return ()
    return tuple(guess for guess in guesses if isinstance(_decoded(guess), Redacted))
