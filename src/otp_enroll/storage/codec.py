"""A state ↔ its record: the stored form, its schema numbers and upgrades, and the trail.

Schema 1. A document says which schema it was written in (``schema``) and the lowest one whose
readers may touch it (``min_reader``). Older ones are upgraded when read and written back with the
next save; keys that we do not know are carried along as long as the object they stand in.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from typing_extensions import assert_never

from otp_enroll.core.budget import Extra
from otp_enroll.core.states import Confirmed, Disabled, EnrollmentState, Pending
from otp_enroll.errors import CorruptRecordError, RecordTooNewError
from otp_enroll.storage.document import (
    MAX_INT,
    MAX_TIME,
    TEXTS,
    MisfitError,
    Row,
    Shape,
    Tree,
    put_state,
    take_state,
    whole,
)
from otp_enroll.storage.protocol import StoredEnrollment

SCHEMA: Final = 1
"""The schema that this version writes, and the newest that it understands in full."""

MIN_READER: Final = 1
"""The lowest schema whose readers may touch what this version writes."""

UPGRADES: Final[tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]] = ()
"""Pure steps: the first one makes a document of schema 2 out of one of schema 1, and so on."""

TRAIL_LENGTH: Final = 8
TRAIL_CHARACTERS: Final = 12

_MAY_BE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


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
    min_reader: int = MIN_READER
    trail: tuple[str, ...] = ()
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    def remembers(self, revision: str) -> bool:
        """Return whether a revision was stored here and was replaced since."""
        return revision[:TRAIL_CHARACTERS] in self.trail


def seal_context(user_id: str, authenticator_id: str) -> bytes:
    """Return the associated data of a sealed secret. It is stored format, and never changes."""
    return b"\0".join((b"otp_enroll/1", b"secret", user_id.encode(), authenticator_id.encode()))


ENVELOPE: Final = Shape(
    Envelope,
    schema=whole(low=1),
    min_reader=Row(whole(low=1), 1),
    trail=Row(TEXTS, ()),
)


def columns_of(state: EnrollmentState) -> tuple[str, int | None]:
    """Return what stands in the record beside the document, for queries: state, expiry."""
    match state:
        case Disabled():
            return "disabled", None
        case Pending():
            return "pending", state.setup.expires_at
        case Confirmed():
            return "confirmed", None if state.setup is None else state.setup.expires_at
        case _:  # pragma: no cover  # the union has no other member; the type checkers prove it
            assert_never(state)


def encode(
    state: EnrollmentState,
    envelope: Envelope,
    *,
    user_id: str,
    revision: str,
    replaces: str | None,
    changed_at: int,
) -> StoredEnrollment:
    """Write a state as the record that replaces the revision ``replaces``."""
    trail = envelope.trail if replaces is None else (replaces[:TRAIL_CHARACTERS], *envelope.trail)
    kept = Envelope() if isinstance(state, Disabled) else envelope
    written = Envelope(
        schema=kept.schema,
        min_reader=kept.min_reader,
        trail=trail[:TRAIL_LENGTH],
        extra=kept.extra,
    )
    word, expires_at = columns_of(state)
    return StoredEnrollment(
        user_id=user_id,
        revision=revision,
        state=word,
        setup_expires_at=expires_at,
        changed_at=changed_at,
        document=_ENCODER.encode(put_state(state, ENVELOPE.write(written))),
    )


def decode(record: StoredEnrollment) -> tuple[EnrollmentState, Envelope]:
    """Read a record, and check it value by value.

    Raises:
        RecordTooNewError: A newer version says that this one must not read it.
        CorruptRecordError: It is not what the library wrote; says where, not what.
    """
    fault: CorruptRecordError | RecordTooNewError
    try:
        return _decode(record)
    except (CorruptRecordError, RecordTooNewError) as error:
        fault = error
    except MisfitError as misfit:
        fault = CorruptRecordError(f"document{misfit.where} {misfit.what}")
    # Raised here and without a traceback: the frames that it comes from hold the document.
    try:
        raise fault.with_traceback(None)
    finally:
        del fault


def _decode(record: StoredEnrollment) -> tuple[EnrollmentState, Envelope]:
    tree = _upgrade(_parse(record.document))
    state = take_state(tree)
    envelope = ENVELOPE.read(tree)
    word, expires_at = columns_of(state)
    if record.state != word:
        raise CorruptRecordError("the column state disagrees with the document")
    if record.setup_expires_at != expires_at:
        raise CorruptRecordError("the column setup_expires_at disagrees with the document")
    if not 0 <= record.changed_at <= MAX_TIME:
        raise CorruptRecordError("the column changed_at is out of range")
    return state, envelope


def _upgrade(tree: object) -> Tree:
    """Return a document in the newest schema that this version understands."""
    if type(tree) is not dict:
        raise MisfitError("is not an object")
    upgraded = cast("Tree", tree)
    schema, min_reader = upgraded.get("schema"), upgraded.get("min_reader")
    if type(min_reader) is int and SCHEMA < min_reader <= MAX_INT:
        raise RecordTooNewError(min_reader)
    if type(schema) is int and 1 <= schema < SCHEMA:  # else it is looked at with the other rows
        try:
            for upgrade in UPGRADES[schema - 1 :]:
                upgraded = upgrade(upgraded)
        except Exception:  # noqa: BLE001  # a step sees values that nobody has checked yet
            raise MisfitError("cannot be upgraded") from None
        upgraded["schema"] = SCHEMA
    return upgraded


def _parse(text: str) -> object:
    try:
        tree: object = _DECODER.decode(text)
        if ("\\u" in text or not text.isascii()) and _MAY_BE_SURROGATE.search(text):
            # A surrogate by itself is no text: no database and no page could take it.
            json.dumps(tree, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        fault = CorruptRecordError("document is not JSON, or not encodable")
    else:
        return tree
    raise fault  # outside, so that no __context__ holds the text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("it would be written back as Infinity")
    return number


def _refuse_constant(_name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


# Made once: json.loads and json.dumps make one at each call that names an option.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
