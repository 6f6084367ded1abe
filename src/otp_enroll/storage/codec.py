"""Enrollment ↔ document: the stored form, its schema numbers, and the checks when it is read.

Schema 1. A document says which schema it was written in (``schema``) and the lowest one whose
readers may touch it (``min_reader``). Older ones are upgraded when read and written back with the
next save; keys that we do not know are carried along as long as the object they stand in.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from typing_extensions import assert_never

from otp_enroll.core.budget import Budgets, CodeBudget, Extra, Waits
from otp_enroll.core.recovery import DIGEST_BYTES, SALT_BYTES, RecoverySet
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    Disabled,
    Enrollment,
    Pending,
    Setup,
    is_confirmed,
    setup_of,
)
from otp_enroll.errors import CorruptRecordError, RecordTooNewError
from otp_enroll.policy import Parameters
from otp_enroll.storage.protocol import StoredEnrollment

SCHEMA: Final = 1
"""The schema that this version writes, and the newest that it understands in full."""

UPGRADES: Final[tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]] = ()
"""Pure steps: the first one makes a document of schema 2 out of one of schema 1, and so on."""

TRAIL_LENGTH: Final = 8
TRAIL_CHARACTERS: Final = 12
LATEST: Final = 2**62
LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999: no later time can be told as a datetime."""

_DAY: Final = re.compile("0|[1-9][0-9]{0,17}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a document has besides the state.

    Attributes:
        schema: The schema it was written in.
        min_reader: The lowest schema whose readers may touch it.
        trail: The first 12 characters of the last 8 revisions that were replaced, newest first.
        extra: Top-level keys that we do not know; they go when OTP is switched off.
    """

    schema: int = SCHEMA
    min_reader: int = SCHEMA
    trail: tuple[str, ...] = ()
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    def remembers(self, revision: str) -> bool:
        """Tell whether a revision was stored here and was replaced since."""
        return revision[:TRAIL_CHARACTERS] in self.trail


def seal_context(user_id: str, authenticator_id: str) -> bytes:
    """Return the associated data of a sealed secret. It is stored format, and never changes."""
    return b"\0".join((b"otp_enroll/1", b"secret", user_id.encode(), authenticator_id.encode()))


def state_of(enrollment: Enrollment) -> str:
    """Return the word of the state that stands in the record, for queries."""
    match enrollment:
        case Disabled():
            return "disabled"
        case Pending():
            return "pending"
        case Confirmed():
            return "confirmed"
        case _:  # pragma: no cover  # the union has no other member; the type checkers prove it
            assert_never(enrollment)


def encode(
    enrollment: Enrollment,
    envelope: Envelope,
    *,
    user_id: str,
    revision: str,
    replaces: str | None,
    changed_at: int,
) -> StoredEnrollment:
    """Write a state as the record that replaces the revision ``replaces``."""
    trail = envelope.trail if replaces is None else (replaces[:TRAIL_CHARACTERS], *envelope.trail)
    kept = Envelope() if isinstance(enrollment, Disabled) else envelope
    document: dict[str, object] = {
        **kept.extra,
        "schema": kept.schema,
        "min_reader": kept.min_reader,
        "trail": list(trail[:TRAIL_LENGTH]),
    }
    setup = setup_of(enrollment)
    if is_confirmed(enrollment):
        document["authenticators"] = [_from_authenticator(one) for one in enrollment.authenticators]
        document["recovery"] = _from_recovery(enrollment.recovery)
        document["budgets"] = _from_budgets(enrollment.budgets)
    if setup is not None:
        document["setup"] = _from_setup(setup)
    return StoredEnrollment(
        user_id=user_id,
        revision=revision,
        state=state_of(enrollment),
        setup_expires_at=None if setup is None else setup.expires_at,
        changed_at=changed_at,
        document=json.dumps(document, separators=(",", ":")),
    )


def decode(record: StoredEnrollment) -> tuple[Enrollment, Envelope]:
    """Read a record, and check it value by value.

    Raises:
        RecordTooNewError: A newer version says that this one must not read it.
        CorruptRecordError: It is not what the library wrote; says where, not what.
    """
    try:
        return _decoded(record)
    except (CorruptRecordError, RecordTooNewError) as error:
        fault = error
    # Raised anew: the frames that it comes from hold pieces of the document.
    try:
        raise fault.with_traceback(None)
    finally:
        del fault


def _decoded(record: StoredEnrollment) -> tuple[Enrollment, Envelope]:
    document = _Reader(_loaded(record.document), "document")
    schema = document.whole("schema", low=1)
    min_reader = document.whole("min_reader", low=1)
    if min_reader > SCHEMA:
        raise RecordTooNewError(min_reader)
    tree = {**document.rest(), "min_reader": min_reader}
    for upgrade in UPGRADES[schema - 1 :]:
        tree = upgrade(tree)
    document = _Reader(tree, "document")
    min_reader = document.whole("min_reader", low=1)
    trail = tuple(document.texts("trail"))
    enrollment = _enrollment(document)
    setup = setup_of(enrollment)
    if record.state != state_of(enrollment):
        raise CorruptRecordError("the column state disagrees with the document")
    if record.setup_expires_at != (setup and setup.expires_at):
        raise CorruptRecordError("the column setup_expires_at disagrees with the document")
    if not 0 <= record.changed_at <= LAST_SECOND:
        raise CorruptRecordError("the column changed_at is out of range")
    envelope = Envelope(
        schema=max(schema, SCHEMA), min_reader=min_reader, trail=trail, extra=document.rest()
    )
    return enrollment, envelope


def _loaded(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        fault = CorruptRecordError("document is not JSON")
    raise fault  # outside, so that no __context__ holds the text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("it would be written back as Infinity")
    return number


def _refuse_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def _enrollment(document: _Reader) -> Enrollment:
    setup = document.optional("setup", _setup)
    if "authenticators" not in document.left:
        return Disabled() if setup is None else Pending(setup=setup)
    authenticators = tuple(
        _authenticator(_Reader(one, f"document.authenticators[{n}]"))
        for n, one in enumerate(document.items("authenticators"))
    )
    names = {one.name for one in authenticators}
    if not authenticators or len(names) < len(authenticators):
        raise CorruptRecordError("document.authenticators is empty or names one twice")
    return Confirmed(
        authenticators=authenticators,
        recovery=_recovery(document.inner("recovery")),
        budgets=_budgets(document.inner("budgets")),
        setup=setup,
    )


class _Reader:
    """One JSON object, from which values are taken by name and type; the rest is carried along."""

    __slots__ = ("left", "where")

    def __init__(self, value: object, where: str) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise CorruptRecordError(f"{where} is not an object")
        self.left: dict[str, Any] = dict(cast("dict[str, Any]", value))

    def __repr__(self) -> str:
        return f"_Reader({self.where})"

    def fault(self, name: str, what: str) -> CorruptRecordError:
        return CorruptRecordError(f"{self.where}.{name} {what}")

    def take(self, name: str, kind: type[T]) -> T:
        value = self.left.pop(name, None)
        if type(value) is not kind:
            raise self.fault(name, f"is not of the type {kind.__name__}")
        return value

    def text(self, name: str) -> str:
        value = self.take(name, str)
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise self.fault(name, "is not encodable")
        return value

    def whole(self, name: str, *, low: int = 0, high: int = LATEST) -> int:
        value = self.take(name, int)
        if not low <= value <= high:
            raise self.fault(name, "is out of range")
        return value

    def time(self, name: str) -> int:
        return self.whole(name, high=LAST_SECOND)

    def texts(self, name: str) -> list[str]:
        values = self.items(name)
        if any(type(value) is not str for value in values):
            raise self.fault(name, "has an item that is not text")
        return cast("list[str]", values)

    def items(self, name: str) -> list[object]:
        return cast("list[object]", self.take(name, list))

    def raw(self, name: str, *, length: int | None = None) -> bytes:
        raw = None
        with suppress(ValueError):
            raw = base64.b64decode(self.text(name), validate=True)
        if raw is None or length not in {None, len(raw)}:
            raise self.fault(name, "is not base64, or of another length")
        return raw

    def inner(self, name: str) -> _Reader:
        return _Reader(self.left.pop(name, None), f"{self.where}.{name}")

    def optional(self, name: str, read: Callable[[_Reader], T]) -> T | None:
        return read(self.inner(name)) if name in self.left else None

    def rest(self) -> dict[str, Any]:
        return self.left


def _parameters(reader: _Reader) -> Parameters:
    try:
        return Parameters(
            type=reader.text("type"),  # type: ignore[arg-type]  # checked there
            algorithm=reader.text("algorithm"),  # type: ignore[arg-type]  # checked there
            digits=reader.take("digits", int),
            period=reader.take("period", int),
        )
    except ValueError:
        fault = CorruptRecordError(f"{reader.where} has impossible parameters")
    raise fault


def _from_parameters(parameters: Parameters) -> dict[str, object]:
    return {
        "type": parameters.type,
        "algorithm": parameters.algorithm,
        "digits": parameters.digits,
        "period": parameters.period,
    }


def _authenticator(reader: _Reader) -> Authenticator:
    return Authenticator(
        id=reader.text("id"),
        name=reader.text("name"),
        parameters=_parameters(reader),
        sealed=Sealed(reader.raw("sealed")),
        last_counter=reader.whole("last_counter", low=-1),
        confirmed_at=reader.time("confirmed_at"),
        last_used_at=reader.time("last_used_at") if "last_used_at" in reader.left else None,
        generation=reader.whole("generation", low=1),
        extra=reader.rest(),
    )


def _from_authenticator(one: Authenticator) -> dict[str, object]:
    used = {} if one.last_used_at is None else {"last_used_at": one.last_used_at}
    return {
        **one.extra,
        "id": one.id,
        "name": one.name,
        **_from_parameters(one.parameters),
        "sealed": _base64(one.sealed.reveal()),
        "last_counter": one.last_counter,
        "confirmed_at": one.confirmed_at,
        **used,
        "generation": one.generation,
    }


def _setup(reader: _Reader) -> Setup:
    return Setup(
        id_digest=reader.raw("id_digest", length=32),
        authenticator_id=reader.text("authenticator_id"),
        name=reader.text("name"),
        parameters=_parameters(reader),
        sealed=Sealed(reader.raw("sealed")),
        issuer=reader.text("issuer"),
        account_name=reader.text("account_name"),
        expires_at=reader.time("expires_at"),
        failures=reader.whole("failures"),
        copy_checked=reader.take("copy_checked", bool),
        generation=reader.whole("generation", low=1),
        extra=reader.rest(),
    )


def _from_setup(setup: Setup) -> dict[str, object]:
    return {
        **setup.extra,
        "id_digest": _base64(setup.id_digest),
        "authenticator_id": setup.authenticator_id,
        "name": setup.name,
        **_from_parameters(setup.parameters),
        "sealed": _base64(setup.sealed.reveal()),
        "issuer": setup.issuer,
        "account_name": setup.account_name,
        "expires_at": setup.expires_at,
        "failures": setup.failures,
        "copy_checked": setup.copy_checked,
        "generation": setup.generation,
    }


def _recovery(reader: _Reader) -> RecoverySet:
    digests = reader.raw("digests")
    spent = reader.text("spent")
    if len(digests) != DIGEST_BYTES * len(spent) or not set(spent) <= {"0", "1"}:
        raise reader.fault("spent", "does not fit the digests")
    return RecoverySet(
        salt=reader.raw("salt", length=SALT_BYTES),
        digests=digests,
        spent=tuple(mark == "1" for mark in spent),
        extra=reader.rest(),
    )


def _from_recovery(recovery: RecoverySet) -> dict[str, object]:
    return {
        **recovery.extra,
        "salt": _base64(recovery.salt),
        "digests": _base64(recovery.digests),
        "spent": "".join("1" if used else "0" for used in recovery.spent),
    }


def _budgets(reader: _Reader) -> Budgets:
    code = reader.inner("code")
    recovery = reader.inner("recovery")
    return Budgets(
        code=CodeBudget(
            waits=_waits(code.inner("waits")),
            days=_days(code),
            locked=code.take("locked", bool),
            extra=code.rest(),
        ),
        recovery=_waits(recovery),
        extra=reader.rest(),
    )


def _from_budgets(budgets: Budgets) -> dict[str, object]:
    code = {
        **budgets.code.extra,
        "waits": _from_waits(budgets.code.waits),
        "days": {str(day): count for day, count in budgets.code.days},
        "locked": budgets.code.locked,
    }
    return {**budgets.extra, "code": code, "recovery": _from_waits(budgets.recovery)}


def _days(reader: _Reader) -> tuple[tuple[int, int], ...]:
    days = reader.inner("days")
    if not all(_DAY.fullmatch(day) for day in days.left):
        raise reader.fault("days", "has a key that is no day")
    return tuple(sorted((int(day), days.whole(day, low=1)) for day in list(days.left)))


def _waits(reader: _Reader) -> Waits:
    return Waits(
        failures=reader.whole("failures"), since=reader.whole("since"), extra=reader.rest()
    )


def _from_waits(waits: Waits) -> dict[str, object]:
    return {**waits.extra, "failures": waits.failures, "since": waits.since}


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
