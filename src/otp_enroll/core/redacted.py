"""What must never be printed or pickled: bytes that only ``reveal`` gives away, and holders."""

from __future__ import annotations

import hmac
from typing import Any, ClassVar, NoReturn

from typing_extensions import Self


class NotPickled:
    """A holder of a secret: not pickled, since a pickle outlives the page; a copy is itself."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and is not pickled")


class Redacted(NotPickled):
    """Bytes that no repr, format, pickle or hash gives away; ``reveal`` is the one way out.

    Equality takes constant time.
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
        return f"{type(self).__name__}(…)"
