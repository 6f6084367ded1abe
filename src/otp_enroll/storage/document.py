"""A state ↔ the JSON tree of its document: each stored object is one table of rows.

A row has a name, a kind and perhaps a default. An object is read from its rows and written from
them, so that a field which is added stands in one place. What equals its default is left out. What
no row names is carried along in ``extra`` as long as the object lives.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from otp_enroll.core.budget import (
    NO_FAILURES,
    NO_WAITS,
    NO_WRONG_CODES,
    Budgets,
    CodeBudget,
    Waits,
)
from otp_enroll.core.recovery import DIGEST_BYTES, SALT_BYTES, RecoverySet
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import (
    DEFAULT_NAME,
    Authenticator,
    Confirmed,
    Disabled,
    EnrollmentState,
    Pending,
    StoredSetup,
)
from otp_enroll.core.typed_text import MAX_ACCOUNT_NAME, MAX_NAME
from otp_enroll.policy import Parameters

MAX_INT: Final = 2**62  # below the 64 bits that databases and other languages' readers have
MAX_TIME: Final = 253_402_300_799
"""The last second of the year 9999: no later time can be shown as a datetime."""

T = TypeVar("T")
Tree = dict[str, Any]

_SIMPLE: Final = frozenset((bool, int, str, tuple))  # cheap to compare, unlike states
_DAY: Final = re.compile("0|[1-9][0-9]{0,17}")  # int() also reads " 7", "+7" and "1_0"
_MISSING: Final = object()  # not None, which is a value


class MisfitError(Exception):
    """A value does not fit its row; it says where and how, and not what the value is."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.where = ""

    def inside(self, place: str) -> MisfitError:
        """Put the name of the object around it in front of the place."""
        self.where = place + self.where
        return self


class Kind(NamedTuple):
    """How a value is read, and written where JSON has another one; ``None`` is left out."""

    read: Callable[[Any], Any]
    write: Callable[[Any], Any] | None = None


class Row(NamedTuple):
    """One field: its kind, and what it is when the document does not mention it."""

    kind: Kind
    default: Any = _MISSING


@dataclass(frozen=True)
class Inline:
    """An object whose rows stand among those of the object around it."""

    shape: Shape[Any]
    default: Any


class Shape(Generic[T]):
    """One kind of stored object: how it is made, and its rows by the names of its fields.

    Args:
        make: Called with the fields by name; what it raises as ``ValueError`` is a misfit.
        rows: Rows by name; a bare ``Kind`` is a row without a default.
    """

    __slots__ = ("_inline", "_make", "_names", "_rows")

    def __init__(self, make: Callable[..., T], **rows: Row | Kind | Inline) -> None:
        self._make = make
        self._names = frozenset(rows)
        self._rows: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any] | None, Any]] = []
        for name, row in rows.items():
            if not isinstance(row, Inline):
                kind, default = row if isinstance(row, Row) else Row(row)
                self._rows.append((name, kind.read, kind.write, default))
        self._inline = [(name, row) for name, row in rows.items() if isinstance(row, Inline)]

    def take(self, tree: Tree, **fields: object) -> T:
        """Take the object out of a tree, and leave there what no row names.

        Raises:
            MisfitError: A value does not fit.
        """
        for name, read, _, default in self._rows:
            value = tree.pop(name, _MISSING)
            if value is not _MISSING:
                try:
                    fields[name] = read(value)
                except MisfitError as misfit:
                    raise misfit.inside(f".{name}") from None  # a chain would keep the document
            elif default is not _MISSING:
                fields[name] = default
            else:
                raise MisfitError("is missing").inside(f".{name}")
        for name, inline in self._inline:
            stands = inline.shape.stands_in(tree)
            fields[name] = inline.shape.take(tree) if stands else inline.default
        try:
            return self._make(**fields)
        except ValueError:  # its text may quote the values
            raise MisfitError("has values that do not fit together") from None

    def stands_in(self, tree: Tree) -> bool:
        """Return whether a row of the object is in a tree."""
        return not self._names.isdisjoint(tree)

    def read(self, value: object) -> T:
        """Read a whole JSON object, and keep what no row names as ``extra``.

        Raises:
            MisfitError: It is none, or a value does not fit.
        """
        if type(value) is not dict:
            raise MisfitError("is not an object")
        tree = cast("Tree", value)
        return self.take(tree, extra=tree)

    def put(self, state: T, tree: Tree) -> Tree:
        """Write the object into a tree, but for what equals its default."""
        for name, _, write, default in self._rows:
            value = getattr(state, name)
            # Objects that did not change are the default itself; comparing them would cost.
            if value is default or (type(value) in _SIMPLE and value == default):
                continue
            written = value if write is None else write(value)
            if written is not None:
                tree[name] = written
        for name, inline in self._inline:
            value = getattr(state, name)
            if value is not inline.default and value != inline.default:
                inline.shape.put(value, tree)
        return tree

    def write(self, state: Any) -> Tree:  # noqa: ANN401  # whatever has ``extra``
        """Write the object, with what it carries along."""
        return self.put(state, dict(state.extra))

    @property
    def kind(self) -> Kind:
        """The object as the value of a row."""
        return Kind(self.read, self.write)


def _exactly(kind: type[T]) -> Callable[[object], T]:
    def read(value: object) -> T:
        if type(value) is not kind:  # a bool is no int
            raise MisfitError(f"is not of the type {kind.__name__}")
        return value

    return read


def whole(*, low: int = 0, high: int = MAX_INT) -> Kind:
    """A whole number from ``low`` to ``high``."""

    def read(value: object) -> int:
        if type(value) is not int:
            raise MisfitError("is not of the type int")
        if not low <= value <= high:
            raise MisfitError("is out of range")
        return value

    return Kind(read)


def _cap(number: int) -> int:
    # One more than a damaged row holds would be out of range, and its owner shut out for good.
    return min(number, MAX_INT)


def raw(*, length: int | None = None, wrap: Callable[[bytes], Any] | None = None) -> Kind:
    """Bytes that are written as base64, of a certain length if one is given."""

    def read(value: object) -> Any:  # noqa: ANN401  # bytes, or what they are wrapped in
        try:
            found = base64.b64decode(_text(value), validate=True)  # else it skips what is foreign
        except ValueError:
            found = None
        if found is None or (length is not None and length != len(found)):
            raise MisfitError("is not base64, or of another length")
        return found if wrap is None else wrap(found)

    def write(value: Any) -> str:  # noqa: ANN401  # the same
        return _base64(value if wrap is None else value.reveal())

    return Kind(read, write)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def list_of(shape: Shape[Any]) -> Kind:
    """A list of objects."""

    def read(value: object) -> tuple[Any, ...]:
        found: list[Any] = []
        for n, item in enumerate(_list(value)):
            try:
                found.append(shape.read(item))
            except MisfitError as misfit:
                raise misfit.inside(f"[{n}]") from None
        return tuple(found)

    def write(states: tuple[Any, ...]) -> list[Tree]:
        return [shape.write(state) for state in states]

    return Kind(read, write)


_text: Final = _exactly(str)
_list: Final[Callable[[object], list[Any]]] = _exactly(list)

TEXT: Final = Kind(_text)


def text(max_length: int) -> Kind:
    """A text of at most so many characters."""

    def read(value: object) -> str:
        if len(found := _text(value)) > max_length:
            raise MisfitError("is too long")
        return found

    return Kind(read)


FLAG: Final = Kind(_exactly(bool))
TIME: Final = whole(high=MAX_TIME)
COUNT: Final = whole()
FAILURES: Final = Kind(COUNT.read, _cap)


def _read_texts(value: object) -> tuple[str, ...]:
    texts = _list(value)
    if any(type(text) is not str for text in texts):
        raise MisfitError("has an item that is not text")
    return tuple(texts)


def _read_days(value: object) -> tuple[tuple[int, int], ...]:
    if type(value) is not dict:
        raise MisfitError("is not an object")
    days: list[tuple[int, int]] = []
    for day, count in cast("Tree", value).items():
        if not _DAY.fullmatch(day):
            raise MisfitError("has a key that is no day")
        try:
            days.append((int(day), _per_day.read(count)))
        except MisfitError as misfit:
            raise misfit.inside(f".{day}") from None
    return tuple(sorted(days))  # the order of an object's keys means nothing (RFC 8259 §4)


def _write_days(days: tuple[tuple[int, int], ...]) -> dict[str, int]:
    return {str(day): _cap(count) for day, count in days}


def _read_spent(value: object) -> tuple[bool, ...]:
    marks = _text(value)
    if not set(marks) <= {"0", "1"}:
        raise MisfitError("has another mark than 0 and 1")
    return tuple(mark == "1" for mark in marks)


def _write_spent(spent: tuple[bool, ...]) -> str | None:
    return "".join("1" if used else "0" for used in spent) if True in spent else None


_per_day: Final = whole(low=1)

TEXTS: Final = Kind(_read_texts, list)


def _recovery_set(*, digests: bytes, spent: tuple[bool, ...] | None, **rest: Any) -> RecoverySet:  # noqa: ANN401  # as RecoverySet
    if len(digests) % DIGEST_BYTES or not digests:
        raise MisfitError("is not a number of digests").inside(".digests")
    codes = len(digests) // DIGEST_BYTES
    if spent is not None and len(spent) != codes:
        raise MisfitError("does not fit the digests").inside(".spent")
    return RecoverySet(digests=digests, spent=spent or (False,) * codes, **rest)


def _confirmed(
    *,
    authenticators: tuple[Authenticator, ...],
    setup: StoredSetup | None,
    **rest: Any,  # noqa: ANN401  # as Confirmed
) -> Confirmed:
    if len({found.name for found in authenticators}) < max(len(authenticators), 1):
        raise MisfitError("is empty or names one twice").inside(".authenticators")
    # Secrets are sealed again by their ids: a staged one must not take a live one's place.
    ids = [found.id for found in authenticators]
    if setup is not None:
        ids.append(setup.authenticator_id)
    if len(set(ids)) < len(ids):
        raise MisfitError("has one id twice").inside(".authenticators")
    return Confirmed(authenticators=authenticators, setup=setup, **rest)


def _read_type(value: object) -> str:
    if _text(value) != "totp":  # a counter-based one would be judged by the clock
        raise MisfitError("is a type that this version does not judge")
    return "totp"


_SEALED: Final = raw(wrap=Sealed)
_ID: Final = text(64)
_NAME: Final = Row(text(MAX_NAME), DEFAULT_NAME)
_GENERATION: Final = Row(Kind(whole(low=1).read, _cap), 1)

PARAMETERS: Final = Shape(
    Parameters,  # a default is stored format: what documents leave out means this, for ever
    type=Row(Kind(_read_type), "totp"),
    algorithm=Row(TEXT, "SHA1"),
    digits=Row(COUNT, 6),
    period=Row(COUNT, 30),
)
_USUAL: Final = Parameters()

AUTHENTICATOR: Final = Shape(
    Authenticator,
    id=_ID,
    name=_NAME,
    parameters=Inline(PARAMETERS, _USUAL),
    sealed=_SEALED,
    last_counter=whole(low=-1),  # counters begin at 0, and -1 is before all of them
    confirmed_at=TIME,
    last_used_at=Row(TIME, None),
    generation=_GENERATION,
)

SETUP: Final = Shape(
    StoredSetup,
    id_digest=raw(length=32),  # a shorter one would be compared too, and be easier to hit
    authenticator_id=_ID,
    name=_NAME,
    parameters=Inline(PARAMETERS, _USUAL),
    sealed=_SEALED,
    issuer=text(MAX_NAME),
    account_name=text(MAX_ACCOUNT_NAME),
    expires_at=TIME,
    failures=Row(FAILURES, 0),
    copy_checked=Row(FLAG, default=False),
    generation=_GENERATION,
)

RECOVERY: Final = Shape(
    _recovery_set,
    salt=raw(length=SALT_BYTES),
    digests=raw(),  # of all codes, one behind the other: they have one length, so no list is needed
    spent=Row(Kind(_read_spent, _write_spent), None),
)

WAITS: Final = Shape(Waits, failures=Row(FAILURES, 0), since=Row(COUNT, 0))

CODE_BUDGET: Final = Shape(
    CodeBudget,
    waits=Row(WAITS.kind, NO_WAITS),
    days=Row(Kind(_read_days, _write_days), ()),
    locked=Row(FLAG, default=False),
)

BUDGETS: Final = Shape(
    Budgets,
    code=Row(CODE_BUDGET.kind, NO_WRONG_CODES),
    recovery=Row(WAITS.kind, NO_WAITS),
)

PENDING: Final = Shape(Pending, setup=SETUP.kind)

CONFIRMED: Final = Shape(
    _confirmed,
    authenticators=list_of(AUTHENTICATOR),
    recovery=Row(RECOVERY.kind, None),
    budgets=Row(BUDGETS.kind, NO_FAILURES),
    setup=Row(SETUP.kind, None),
)


def take_state(tree: Tree) -> EnrollmentState:
    """Take a state out of a document, and leave there what is not of it.

    Raises:
        MisfitError: It is none.
    """
    if "authenticators" in tree:
        return CONFIRMED.take(tree)
    state = PENDING.take(tree) if "setup" in tree else Disabled()
    if CONFIRMED.stands_in(tree):  # carried along, it would be live from the next confirm on
        raise MisfitError("has parts of a confirmed account and no authenticators")
    return state


def put_state(state: EnrollmentState, tree: Tree) -> Tree:
    """Write a state into a document."""
    match state:
        case Confirmed():
            return CONFIRMED.put(state, tree)
        case Pending():
            return PENDING.put(state, tree)
        case _:
            return tree
