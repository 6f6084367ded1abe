"""What all that is shown once has in common: it is not pickled, and no copy of it is made."""

from __future__ import annotations

from typing import Any, NoReturn

from typing_extensions import Self


class ShownOnce:
    """What is shown once is not pickled, and a copy of it is the thing itself."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} holds a secret and is not pickled")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
