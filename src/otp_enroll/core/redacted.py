"""What must never be printed or pickled: bytes that only ``reveal`` gives away, and holders.

A secret is a type and not ``bytes``, because it leaves by doors that nobody opened on purpose: an
error page with locals, a log line, ``dataclasses.asdict``, a cache that pickles (CWE-532, CWE-312).
"""

from __future__ import annotations

import hmac
from typing import Any, ClassVar, NoReturn

from typing_extensions import Self


class NotPickled:
    """A holder of a secret: not pickled, since a pickle outlives the page; a copy is itself."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self  # a framework that copies its context must neither fail nor double a secret

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        # Refused, not left out: what came back without its secret would always be wrong.
        raise TypeError(f"{type(self).__name__} holds a secret and is not pickled")


class Redacted(NotPickled):
    """Bytes that no repr, format, pickle or hash gives away; ``reveal`` is the one way out.

    Equality takes constant time (CWE-208), and a value of another type is never equal: a setup id
    compared with a secret is a mistake, whatever the bytes.
    """

    __slots__ = ("_raw",)
    __hash__: ClassVar[None]  # type: ignore[assignment]  # a hash in a set or a log would identify the secret

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def reveal(self) -> bytes:
        """Return the bytes, for the one call that needs them."""
        return self._raw

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(self._raw, other._raw)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # not even the length, which says what was typed
