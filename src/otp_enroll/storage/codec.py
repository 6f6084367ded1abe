"""Enrollment ↔ record: the stored form, its schema numbers and upgrades, and the trail.

Schema 1. A document says which schema it was written in (``schema``) and the lowest one whose
readers may touch it (``min_reader``). Older ones are upgraded when read and written back with the
next save; keys that we do not know are carried along as long as the object they stand in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import assert_never

from otp_enroll.core.budget import Extra
from otp_enroll.core.states import Confirmed, Disabled, Enrollment, Pending, setup_of
from otp_enroll.errors import CorruptRecordError, RecordTooNewError
from otp_enroll.storage.document import enrollment_of, tree_of
from otp_enroll.storage.json_reader import LAST_SECOND, Reader
from otp_enroll.storage.protocol import StoredEnrollment

SCHEMA: Final = 1
"""The schema that this version writes, and the newest that it understands in full."""

UPGRADES: Final[tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]] = ()
"""Pure steps: the first one makes a document of schema 2 out of one of schema 1, and so on."""

TRAIL_LENGTH: Final = 8
TRAIL_CHARACTERS: Final = 12


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
        **tree_of(enrollment),
    }
    setup = setup_of(enrollment)
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
    document = Reader(_loaded(record.document), "document")
    schema = document.whole("schema", low=1)
    min_reader = document.whole("min_reader", low=1)
    if min_reader > SCHEMA:
        raise RecordTooNewError(min_reader)
    tree = {**document.rest(), "min_reader": min_reader}
    for upgrade in UPGRADES[schema - 1 :]:
        tree = upgrade(tree)
    document = Reader(tree, "document")
    min_reader = document.whole("min_reader", low=1)
    trail = tuple(document.texts("trail"))
    enrollment = enrollment_of(document)
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
