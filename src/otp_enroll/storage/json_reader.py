"""One object of a decoded JSON document, from which values are taken by name and type."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

from otp_enroll.errors import CorruptRecordError

LATEST: Final = 2**62
LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999: no later time can be told as a datetime."""

T = TypeVar("T")


class Reader:
    """One JSON object, from which values are taken by name and type; the rest is carried along."""

    __slots__ = ("left", "where")

    def __init__(self, value: object, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise CorruptRecordError(f"{where} is not an object")
        self.left: dict[str, Any] = dict(cast("dict[str, Any]", value))

    def __repr__(self) -> str:
        return f"Reader({self.where})"

    def fault(self, name: str, what: str) -> CorruptRecordError:
        """Make the error of a value: it says where it stands, not what it is."""
        return CorruptRecordError(f"{self.where}.{name} {what}")

    def take(self, name: str, kind: type[T]) -> T:
        """Take a value of exactly this type: a bool is no int."""
        value = self.left.pop(name, None)
        if type(value) is not kind:
            raise self.fault(name, f"is not of the type {kind.__name__}")
        return value

    def text(self, name: str) -> str:
        """Take a text that UTF-8 can encode."""
        value = self.take(name, str)
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise self.fault(name, "is not encodable")
        return value

    def whole(self, name: str, *, low: int = 0, high: int = LATEST) -> int:
        """Take a whole number from ``low`` to ``high``."""
        value = self.take(name, int)
        if not low <= value <= high:
            raise self.fault(name, "is out of range")
        return value

    def time(self, name: str) -> int:
        """Take a time in Unix seconds."""
        return self.whole(name, high=LAST_SECOND)

    def texts(self, name: str) -> list[str]:
        """Take a list of texts."""
        values = self.items(name)
        if any(type(value) is not str for value in values):
            raise self.fault(name, "has an item that is not text")
        return cast("list[str]", values)

    def items(self, name: str) -> list[object]:
        """Take a list of anything."""
        return cast("list[object]", self.take(name, list))

    def raw(self, name: str, *, length: int | None = None) -> bytes:
        """Take bytes that are written as base64, of a certain length if one is given."""
        raw = None
        with suppress(ValueError):
            raw = base64.b64decode(self.text(name), validate=True)
        if raw is None or length not in {None, len(raw)}:
            raise self.fault(name, "is not base64, or of another length")
        return raw

    def inner(self, name: str) -> Reader:
        """Take an object, with its place in its name."""
        return Reader(self.left.pop(name, None), f"{self.where}.{name}")

    def optional(self, name: str, read: Callable[[Reader], T]) -> T | None:
        """Take an object and read it, if it is there."""
        return read(self.inner(name)) if name in self.left else None

    def rest(self) -> dict[str, Any]:
        """Return what nobody took."""
        return self.left
