"""What ``to_dict`` and ``from_dict`` share: facts as JSON values, read back by declared type.

What comes back was in a session, a queue or an outbox, so it is checked like any input (CWE-502):
a class is found by its ``code`` among our own, never by a name to import, and each value by type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, TypeVar, cast

Json = str | int | bool | list[str] | dict[str, str] | None
"""What a fact becomes. Times are ISO 8601 with their offset from UTC."""

T = TypeVar("T")


def to_json(value: object) -> Json:
    """Return a fact as a JSON value: a time as ISO 8601, a tuple as a list."""
    # A value of an app's own subclass passes as it is; json.dumps says so if it cannot take it.
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(cast("tuple[str, ...]", value))
    if isinstance(value, dict):
        return dict(cast("dict[str, str]", value))  # a copy: the event must not change with it
    return cast("Json", value)


def from_json(annotations: Mapping[str, object], data: object, what: str) -> dict[str, object]:
    """Read facts by the annotations of their class, each checked; other keys are ignored.

    They may come from a newer version, which is still running beside this one.

    Args:
        annotations: Type annotations by name: as the source spells them, or the types.
        data: What ``to_dict`` returned, perhaps on its way through JSON.
        what: What to call it in an error.

    Raises:
        TypeError: Not a mapping.
        ValueError: A fact is missing, or not of its type; the message does not show it.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"{what} must be a mapping")
    given = cast("Mapping[str, object]", data)
    return {name: _read(_spell(kind), given, name, what) for name, kind in annotations.items()}


def by_code(kinds: Iterable[type[T]], data: object, what: str) -> type[T]:
    """Return the class whose ``code`` a dict names.

    Raises:
        TypeError: Not a mapping.
        ValueError: No class has that code.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"{what} must be a mapping")
    code = cast("Mapping[str, object]", data).get("code")
    # The newest first: dataclass(slots=True) makes a class twice, and the first one may live on.
    for kind in reversed([*kinds]):
        if "code" in kind.__dict__ and kind.__dict__["code"] == code:
            return kind
    raise ValueError(f"{what} has no code that is known here")


def with_subclasses(kind: type[T]) -> Iterator[type[T]]:
    """Yield a class and all classes that inherit from it, an app's own among them."""
    yield kind
    for inner in kind.__subclasses__():
        yield from with_subclasses(inner)


def _spell(annotation: object) -> str:
    """Return an annotation as our source spells it; a class of an app's own may have types."""
    if isinstance(annotation, str):
        return annotation
    if type(annotation) is type:
        return annotation.__name__
    return str(annotation).replace("datetime.datetime", "datetime")


def _read(kind: str, given: Mapping[str, object], name: str, what: str) -> object:
    value = given.get(name)
    # Annotations are text here (PEP 563), and a handful of spellings needs no get_type_hints.
    optional = kind.endswith(" | None")
    if value is None and optional:
        return None
    read = _READERS.get(kind.removesuffix(" | None"))
    if read is None:
        raise TypeError(f"{name} is declared as {kind}, which is not read back from JSON")
    fact = read(value)
    if fact is None:  # without the value, which may be anything (CWE-532)
        raise ValueError(f"{what} has no {name} that could be one")
    return fact


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    # JSON's true is a bool, and a bool is an int: "1 attempt left" out of a mistake.
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 does not read the Z that JavaScript writes.
        time = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return time if time.utcoffset() is not None else None  # a naive time is no moment


def _texts(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, (list, tuple)):  # a str would be a tuple of its letters
        return None
    texts = tuple(cast("Iterable[object]", value))
    return cast("tuple[str, ...]", texts) if all(isinstance(t, str) for t in texts) else None


def _context(value: object) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    items = cast("dict[object, object]", value)
    if not all(isinstance(key, str) and isinstance(text, str) for key, text in items.items()):
        return None
    return dict(cast("dict[str, str]", items))


_READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "str": _text,
    "int": _whole,
    "bool": _flag,
    "datetime": _time,
    "tuple[str, ...]": _texts,
    "dict[str, str]": _context,
}
