"""Ciphers that fail on demand, and ciphers whose key is one byte."""

from __future__ import annotations

from typing import Any

from otp_enroll import Unencrypted


class BadCipher:
    """A cipher that raises, or returns something that is no ciphertext."""

    def __init__(self, **returns: Any) -> None:
        self._returns = returns

    def _act(self, verb: str, otherwise: Any) -> Any:
        if verb not in self._returns:
            return otherwise
        if isinstance(self._returns[verb], Exception):
            raise self._returns[verb]
        return self._returns[verb]

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        sealed: bytes = self._act("seal", b"\0" + plaintext)
        return sealed

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        opened: bytes = self._act("open", sealed[1:])
        return opened

    def needs_reseal(self, sealed: bytes) -> bool:
        needed: bool = self._act("needs_reseal", otherwise=False)
        return needed


class Rotating(Unencrypted):
    """A cipher with one byte for the key; of lost keys it opens nothing."""

    def __init__(self) -> None:
        self.key = 1
        self.lost: set[int] = set()

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        return bytes([self.key]) + plaintext

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        if sealed[0] in self.lost:
            raise KeyError
        return sealed[1:]

    def needs_reseal(self, sealed: bytes) -> bool:
        return sealed[0] != self.key


class Unsure(Rotating):
    """The same; of what a lost key sealed it cannot even say whether it is stale."""

    def needs_reseal(self, sealed: bytes) -> bool:
        if sealed[0] in self.lost:
            raise KeyError
        return super().needs_reseal(sealed)


class Naming(Rotating):
    """A cipher that names its keys, but for one at which it fails."""

    def key_id_of(self, sealed: bytes) -> str:
        return {1: "first", 2: "second"}[sealed[0]]
