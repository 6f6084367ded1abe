"""Recovery codes: how they are spelt, digested, recognised and spent.

Only the library makes them, out of 120 random bits each. That is what the rest stands on: a plain
digest suffices, and no lock is needed, which a stranger could turn against the owner.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from otp_enroll.core.budget import Extra
from otp_enroll.core.redacted import Redacted
from otp_enroll.core.sheet_number import sheet_number
from otp_enroll.core.typed_text import CROCKFORD, TypedCode
from otp_enroll.policy import Policy

CODE_BYTES: Final = 15
"""Random bytes in a recovery code: 120 bits, 24 Crockford characters (SP 800-63B-4 §3.1.2.2)."""

SALT_BYTES: Final = 16
DIGEST_BYTES: Final = 32  # SHA-256
LOW: Final = 2
"""At this many unspent codes or fewer, an event asks for a new set (SP 800-63B-4 §4.2.1.1)."""

_TAG: Final = b"otp_enroll/1\0recovery code\0"  # stored format: another one voids every paper


class FreshCodes(Redacted):
    """A new set's codes before they are shown, out of ``CODE_BYTES`` random bytes each."""

    __slots__ = ()

    @property
    def count(self) -> int:
        """How many codes there are, without spelling one in a frame that may be printed."""
        return len(self._raw) // CODE_BYTES

    def canonical(self) -> tuple[str, ...]:
        """Spell each code in 24 Crockford characters."""
        return tuple(
            _spell(self._raw[start : start + CODE_BYTES])
            for start in range(0, len(self._raw), CODE_BYTES)
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class FreshRecovery:
    """What a new set of recovery codes needs that is random.

    Drawn once for a request, so that a retry after a lost race shows the codes that it stores.
    """

    salt: bytes
    codes: FreshCodes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CodesShown:
    """A new set, with what its sheet says besides the codes.

    Attributes:
        codes: The codes.
        number: The sheet number.
        issuer: Whose codes they are.
        account_name: The account, where the verb knows it: a record keeps none.
        at: When they were made, in Unix seconds.
        policy: The policy in force.
    """

    codes: FreshCodes
    number: str
    issuer: str
    account_name: str | None = None
    at: int
    policy: Policy


def _spell(raw: bytes) -> str:
    # Five bits a letter, none left over: every letter is as likely, without a modulus.
    number = int.from_bytes(raw, "big")
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(8 * len(raw) - 5, -1, -5))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverySet:
    """A set of recovery codes as it is stored: digests, never codes.

    A plain SHA-256 suffices for 112 bits and more (ASVS 6.5.2); account and salt keep the
    digests of two accounts, or two sets, apart.

    Attributes:
        salt: 16 random bytes, new with each set.
        digests: SHA-256 of each code, one after the other.
        spent: For each code, whether it was used; a spent one stays until the set is renewed.
    """

    salt: bytes
    digests: bytes = field(repr=False)
    spent: tuple[bool, ...]
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    @classmethod
    def issue(cls, user_id: str, salt: bytes, codes: Sequence[str]) -> RecoverySet:
        """Digest a new set. ``codes`` are canonical: 24 characters, without what separates them."""
        digests = b"".join(_digest(user_id, salt, code.encode("ascii")) for code in codes)
        return cls(salt=salt, digests=digests, spent=(False,) * len(codes))

    @property
    def left(self) -> int:
        """Unspent codes."""
        return self.spent.count(False)

    @property
    def sheet_number(self) -> str:
        """The number of the paper with this set."""
        # Of the salt, which is new with the set and no secret: the paper betrays no code.
        return sheet_number("recovery codes", self.salt)

    def find(self, user_id: str, typed: TypedCode) -> int | None:
        """Return the index of a code in the set, spent or not; all are compared.

        A spent one is found too: its owner reads that it was used, and is charged for nothing.
        """
        digest = _digest(user_id, self.salt, typed.reveal())
        # No early exit: the time taken must not say how far down the paper a code stands (CWE-208).
        same = [
            hmac.compare_digest(digest, self.digests[start : start + DIGEST_BYTES])
            for start in range(0, len(self.digests), DIGEST_BYTES)
        ]
        return same.index(True) if any(same) else None

    def spend(self, index: int) -> RecoverySet:
        """Mark one code as used; the save that stores it lets one of two parallel requests win."""
        return replace(self, spent=tuple(used or n == index for n, used in enumerate(self.spent)))


def _digest(user_id: str, salt: bytes, code: bytes) -> bytes:
    # NUL ends the user id, which has none itself, and the salt has a fixed length: no two accounts
    # digest the same bytes.
    return hashlib.sha256(_TAG + user_id.encode() + b"\0" + salt + code).digest()
