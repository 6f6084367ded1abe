"""AES-256-GCM with a ring of keys, over cryptography (the extra ``crypto``).

The sealed form is stored format: the byte 1, one byte with the length of the key id, the key id,
a nonce of 12 bytes, the ciphertext with its tag of 16 bytes. The key id stands in it in clear, so
that the right key is found without trying all of them, and a missing one can be named.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from otp_enroll.core.redacted import NotPickled
from otp_enroll.extras import name_missing_extra
from otp_enroll.storage.protocol import UNENCRYPTED_MARK, Unencrypted

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as missing:
    raise name_missing_extra(__name__, "crypto") from missing

KEY_BYTES: Final = 32
"""Bytes of a key. Another length is a mistake in a setting, never a wish for AES-128."""

NONCE_BYTES: Final = 12
"""Bytes of a nonce: the 96 bits that GCM is made for (NIST SP 800-38D §5.2.1.1)."""

MAX_KEY_ID: Final = 64
"""Characters of a key id, whose length is stored as one byte."""

# Unlike the mark of ``Unencrypted``: neither takes what the other stored for its own.
_MARK: Final = b"\1"


class AESGCMKeyRing(NotPickled):
    """Seal with the first key, open with any (ASVS 11.2.2).

    A sealed secret is a mark, the key's id, a fresh nonce and the ciphertext; the context is
    authenticated, so that a row moved to another user or authenticator does not open.

    To change the key: add the new one second on every machine, then first, then ``reseal``;
    when its report is complete and nothing was unreadable, remove the old one. What was
    unreadable is counted there by the key that it needs. Second comes before first because a
    machine that still has the old setting must be able to open what the others seal.

    Nonces are random, so one key must seal at most 2**32 times (NIST SP 800-38D §8.3). A secret
    is sealed once in its life and once more for each change of key, which stays far below.

    Args:
        keys: Key ids (1 to 64 ASCII characters) and keys of 32 bytes; the first one seals.
        accept_unencrypted: Also open what ``Unencrypted`` stored, until it is re-sealed. Off by
            default, or anyone who can write to the table could plant a secret of their own.

    Raises:
        TypeError: A key that is not bytes, or an id that is not text.
        ValueError: No key, a key of another length, an impossible id.
    """

    __slots__ = ("_accept_unencrypted", "_first", "_keys")

    def __init__(self, keys: Mapping[str, bytes], *, accept_unencrypted: bool = False) -> None:
        # First of all, because a traceback with locals asks for the repr of a half-built ring.
        self._keys: dict[bytes, AESGCM] = {}
        ring, keys = _build_ring(keys), {}  # and would show the keys if they still had a name
        if isinstance(ring, Exception):
            raise ring
        self._keys = ring
        self._first = next(iter(self._keys))
        self._accept_unencrypted = accept_unencrypted

    def __repr__(self) -> str:
        return f"AESGCMKeyRing({', '.join(key_id.decode('ascii') for key_id in self._keys)})"

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        """Encrypt with the first key and a fresh nonce.

        Args:
            plaintext: The secret.
            context: What ``open`` must be given again; it is authenticated and not stored.

        Returns:
            The sealed form; sealing one secret twice gives two.
        """
        # Never derived, never counted: two processes would come to the same one, and a nonce
        # used twice gives away the key of the tags (NIST SP 800-38D, appendix A).
        nonce = secrets.token_bytes(NONCE_BYTES)
        header = _MARK + bytes([len(self._first)]) + self._first
        try:
            return header + nonce + self._keys[self._first].encrypt(nonce, plaintext, context)
        finally:
            del plaintext  # no traceback with locals shows it

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Decrypt with the key that sealed.

        Args:
            sealed: What ``seal`` returned.
            context: What it was sealed with.

        Raises:
            KeyError: The ring does not have that key. Put it back; for the user it is no wrong
                code, and costs no try.
            ValueError: No ring sealed this.
            cryptography.exceptions.InvalidTag: Another context, another key, or damage.
        """
        if self._accept_unencrypted and sealed.startswith(UNENCRYPTED_MARK):
            return Unencrypted().open(sealed, context=context)
        key_id, rest = _split(sealed)
        return self._keys[key_id].decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], context)

    def needs_reseal(self, sealed: bytes) -> bool:
        """Return whether another key than the first sealed this, or none.

        Raises:
            ValueError: No ring sealed this, and it is not unencrypted either.
        """
        return sealed.startswith(UNENCRYPTED_MARK) or _split(sealed)[0] != self._first

    def key_id_of(self, sealed: bytes) -> str | None:
        """Return the id of the key that sealed this, in the ring or not; ``None`` if none did.

        Operators read it in the report of ``reseal``: which key must stay, or be found again.
        """
        try:
            return _split(sealed)[0].decode("ascii")
        except ValueError:
            return None


def _build_ring(keys: Mapping[str, bytes]) -> dict[bytes, AESGCM] | TypeError | ValueError:
    """Return the ring or what is wrong with it: an exception raised here would show the keys.

    The messages name lengths and never a key or an id: settings end up in logs (CWE-532).
    """
    if not isinstance(keys, Mapping):
        return TypeError("keys must be a mapping of ids to keys")
    if not keys:
        return ValueError("a key ring needs a key")
    for key_id, key in keys.items():
        if not isinstance(key_id, str) or not isinstance(key, bytes):
            return TypeError("a key id must be a str, and a key must be bytes")
        if not 1 <= len(key_id) <= MAX_KEY_ID or not key_id.isascii():
            return ValueError(f"a key id must have 1 to {MAX_KEY_ID} ASCII characters")
        if len(key) != KEY_BYTES:
            return ValueError(f"a key must have {KEY_BYTES} bytes, and one has {len(key)}")
    return {key_id.encode("ascii"): AESGCM(key) for key_id, key in keys.items()}


def _split(sealed: bytes) -> tuple[bytes, bytes]:
    """Return the key id, and the nonce with the ciphertext.

    Raises:
        ValueError: No ring sealed this.
    """
    # A cut ciphertext passes here, and its tag refuses it; a cut header would be read as an id.
    if len(sealed) < 2 or sealed[:1] != _MARK or len(sealed) < 2 + sealed[1] + NONCE_BYTES:
        raise ValueError("no key ring sealed this")
    end = 2 + sealed[1]
    return sealed[2:end], sealed[end:]
