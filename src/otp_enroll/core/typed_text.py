"""What people type, made canonical or called malformed: codes, recovery codes, keys, names.

Every entrance shares these readers, so that one code cannot pass twice in two spellings (CWE-180,
OpenBao CVE-2025-55000). What sees the raw text of a code never raises: a traceback with locals
would print it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final, Literal, cast

from otp_enroll.core.redacted import Redacted

HIDDEN: Final = "(hidden)"
"""What public methods put in the place of what was typed, so that no frame of theirs shows it."""

MAX_USER_ID: Final = 190  # 760 bytes of UTF-8: MySQL's older row formats index 767
MAX_PURPOSE: Final = 64
MAX_CONTEXT_KEYS: Final = 16  # what a request brings must not swell logs (CWE-400)
MAX_CONTEXT_VALUE: Final = 256
MAX_CODE_TEXT: Final = 64  # before any work on the text: pyotp before 2.12 had no limit (CWE-400)
MAX_KEY_TEXT: Final = 512
MAX_NAME: Final = 64
MAX_ACCOUNT_NAME: Final = 128
MAX_BYTES_PER_CHARACTER: Final = 3
"""Average UTF-8 bytes per character of a label that still fit a QR code.

It then holds the longest issuer, twice, and the longest account name.
"""
RECOVERY_CODE_LENGTH: Final = 24
CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O: people write them for 1 and 0

CodeKind = Literal["code", "recovery_code", "malformed", "not text"]

_DIGIT_ZEROS: Final = (0x06F0, 0x0660, 0xFF10)  # Persian, Arabic-Indic, full width
# More than str.strip() drops: apps and mails copy direction marks along with a code.
_DROPPED_RANGES: Final = (
    (0x0009, 0x000D),  # tab to carriage return
    (0x0085, 0x0085),
    (0x2000, 0x200F),  # spaces, zero width characters, direction marks
    (0x2010, 0x2015),  # hyphens and dashes
    (0x2028, 0x202F),  # line separators, direction embeddings, narrow no-break space
    (0x205F, 0x2060),
    (0x2066, 0x2069),  # direction isolates
)
_DROPPED: Final = (0x20, 0x2D, 0xA0, 0xAD, 0x061C, 0x1680, 0x2212, 0x3000, 0xFEFF, 0xFF0D)

_CLEANING: Final[dict[int, str | None]] = {
    zero + value: str(value) for zero in _DIGIT_ZEROS for value in range(10)
}
_CLEANING.update(
    dict.fromkeys(point for first, last in _DROPPED_RANGES for point in range(first, last + 1))
)
_CLEANING.update(dict.fromkeys(_DROPPED))

# Two codes never fold into one: the alphabet has none of the three letters.
_CROCKFORD_FOLD: Final = str.maketrans("OIL", "011")
_ZERO_WIDTH_NON_JOINER: Final = "\u200c"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # JSON brings them; UTF-8 cannot store them


class TypedCode(Redacted):
    """A code or recovery code that somebody typed, in its one canonical spelling."""

    __slots__ = ("kind",)

    def __init__(self, kind: CodeKind, text: str = "") -> None:
        super().__init__(text.encode("ascii"))
        self.kind: Final = kind

    @property
    def length(self) -> int:
        """Characters of the canonical spelling."""
        return len(self._raw)


class TypedKey(Redacted):
    """A copy of a setup key that somebody typed: cleaned and upper case, or malformed."""

    __slots__ = ("kind",)

    def __init__(self, kind: Literal["key", "malformed", "not text"], text: str = "") -> None:
        super().__init__(text.encode("utf-8", "surrogatepass"))
        self.kind: Final = kind

    @property
    def text(self) -> str:
        """The cleaned copy."""
        return self._raw.decode("utf-8", "surrogatepass")


def clean(text: str) -> str:
    """Map Persian, Arabic-Indic and full-width digits to ASCII; drop spaces, hyphens and marks."""
    return text.translate(_CLEANING)


def read_code(text: object) -> TypedCode:
    """Read a code (6 to 8 digits) or a recovery code (24 letters and digits) as people type them.

    Returns:
        The canonical code; its ``kind`` says which one it is, or that it is none. Never raises.
    """
    if not isinstance(text, str):
        return TypedCode("not text")
    if len(text) > MAX_CODE_TEXT:
        return TypedCode("malformed")
    cleaned = clean(text)
    # Before isdigit(), which is true of superscripts, and before int(), which reads 123_456.
    if not cleaned.isascii():
        return TypedCode("malformed")
    if 6 <= len(cleaned) <= 8 and cleaned.isdigit():
        return TypedCode("code", cleaned)
    folded = cleaned.upper().translate(_CROCKFORD_FOLD)
    if len(folded) == RECOVERY_CODE_LENGTH and all(letter in CROCKFORD for letter in folded):
        return TypedCode("recovery_code", folded)
    return TypedCode("malformed")


def read_key(text: object) -> TypedKey:
    """Read a copy of a setup key: cleaned, upper case, without padding. Never raises."""
    if not isinstance(text, str):
        return TypedKey("not text")
    if len(text) > MAX_KEY_TEXT:
        return TypedKey("malformed")
    cleaned = clean(text).rstrip("=")
    if cleaned.isascii():  # else a letter of another alphabet could turn into one of Base32
        cleaned = cleaned.upper()
    return TypedKey("key" if cleaned else "malformed", cleaned)


def clean_name(text: object, what: str, max_length: int = MAX_NAME) -> str:
    """Clean a name that an authenticator app or a page will show (CWE-451).

    Trims, collapses spaces and composes (NFC). A zero-width non-joiner, which Persian names
    have, becomes a space; other invisible or direction-changing characters are refused, since
    they let one name look like another.

    Args:
        text: The name.
        what: What to call it in an error.
        max_length: Code points allowed.

    Raises:
        TypeError: Not a ``str``.
        ValueError: Empty, too long, or with a control, format or unencodable character.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str")
    # A bound on the work of NFC (CWE-400), wide enough for letters that it composes.
    if len(text) > 4 * max_length:
        raise ValueError(f"{what} must have at most {max_length} characters")
    spaced = text.replace(_ZERO_WIDTH_NON_JOINER, " ")
    for letter in spaced:
        if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            raise ValueError(f"{what} must not contain the character U+{ord(letter):04X}")
    name = unicodedata.normalize("NFC", " ".join(spaced.split()))
    if not 1 <= len(name) <= max_length:
        raise ValueError(f"{what} must have 1 to {max_length} characters")
    return name


def clean_label(
    text: object, what: str, max_length: int = MAX_ACCOUNT_NAME, *, replace_colon: str = ":"
) -> str:
    """Clean an issuer or account name; a colon would split the label that an app shows.

    Args:
        text: The name.
        what: What to call it in an error.
        max_length: Code points allowed.
        replace_colon: What to write for a colon instead of refusing it. Look-alikes of the
            colon (U+FF1A, U+A789) separate nothing in any app, and pass.

    Raises:
        TypeError: Not a ``str``.
        ValueError: As ``clean_name``, or a colon (Key URI format: neither part may have one).
    """
    # At a second colon FreeOTP refuses the URI, Ente cuts the name, and Aegis loses the issuer.
    separated = text.replace(":", replace_colon) if isinstance(text, str) else text
    name = clean_name(separated, what, max_length)
    if len(name.encode()) > MAX_BYTES_PER_CHARACTER * max_length:
        raise ValueError(f"{what} has too many characters of four bytes for a QR code")
    if ":" in name:
        raise ValueError(f"{what} must not contain a colon")
    return name


def check_text(value: object, what: str, max_length: int) -> str:
    """Check an identifier of the app's: 1 to ``max_length`` characters that UTF-8 can encode.

    Returns:
        A plain ``str``: a driver or a store in memory would keep another class, which it is not
        when it comes back.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} must be a str")
    if not 1 <= len(value) <= max_length:
        raise ValueError(f"{what} must have 1 to {max_length} characters")
    # NUL ends the user id in what is digested and sealed; PostgreSQL stores none.
    if "\0" in value or (not value.isascii() and _SURROGATE.search(value)):
        raise ValueError(f"{what} must not contain NUL or a lone surrogate")
    return str.__str__(value)


def check_context(context: object) -> dict[str, str]:
    """Copy what the app passes for the events, at most 16 texts of at most 256 characters.

    A copy, because events outlive the call: a listener may queue them, and the app go on to fill
    the same dict for the next request.

    Raises:
        TypeError: Not a mapping of ``str`` to ``str``.
        ValueError: Too many, or too long.
    """
    if not isinstance(context, Mapping):
        raise TypeError("context must be a mapping")
    given = cast("Mapping[object, object]", context)
    if len(given) > MAX_CONTEXT_KEYS:
        raise ValueError(f"context must have at most {MAX_CONTEXT_KEYS} keys")
    checked: dict[str, str] = {}
    for key, value in given.items():
        name = check_text(key, "a context key", MAX_PURPOSE)
        if not isinstance(value, str):
            raise TypeError("a context value must be a str")
        if len(value) > MAX_CONTEXT_VALUE:
            raise ValueError(f"a context value must have at most {MAX_CONTEXT_VALUE} characters")
        checked[name] = value
    return checked
