"""A state ↔ its record: the stored form, its schema numbers and upgrades, and the trail.

Schema 1. A document says which schema it was written in (``schema``) and the lowest one whose
readers may touch it (``min_reader``). Older ones are upgraded when read and written back with the
next save; keys that we do not know are carried along as long as the object they stand in. So two
versions can serve one table side by side while an app is rolled out, or rolled back.

Nothing that is read is taken on trust: what an editor by hand, a half-restored backup or a failing
disk leaves is a ``CorruptRecordError``, and never an account without a second factor.
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
"""Revisions that a document remembers: as many rivals may write before a loser looks again."""

TRAIL_CHARACTERS: Final = 12
"""Characters kept of each: 48 bits at random, which no other save of the account has."""

# A cheap look before the costly one: nearly every document is plain ASCII without escapes.
_MAY_BE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a document has besides the state.

    The trail is there because a driver may deliver a save twice when its reply is lost, as
    redis-py does: the second is refused, and the loser finds its own revision among those that
    were stored here. Without it a right code would be answered as used already.

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
        """Return whether a revision was stored here and was replaced since.

        Yes is certain; no is said of the last eight alone, since older ones are forgotten.
        """
        return revision[:TRAIL_CHARACTERS] in self.trail


def seal_context(user_id: str, authenticator_id: str) -> bytes:
    """Return the associated data of a sealed secret. It is stored format, and never changes.

    It has the user and the authenticator in it, so that a ciphertext which is copied to another
    account, or to a later authenticator of the same one, does not open. A user id can therefore
    never be changed. NUL separates the parts because no id may contain it.
    """
    return b"\0".join((b"otp_enroll/1", b"secret", user_id.encode(), authenticator_id.encode()))


# ``schema`` has no default: a document that does not state it was not written by the library.
ENVELOPE: Final = Shape(
    Envelope,
    schema=whole(low=1),
    min_reader=Row(whole(low=1), 1),
    trail=Row(TEXTS, ()),
)


def columns_of(state: EnrollmentState) -> tuple[str, int | None]:
    """Return what stands in the record beside the document, for queries: state, expiry.

    The expiry of a replacement stands there too, while the account is confirmed: it is for
    purging, and must never make a database expire the row.
    """
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
    """Write a state as the record that replaces the revision ``replaces``.

    Args:
        state: The state.
        envelope: What was read with the state before, or a fresh one.
        user_id: Whose account it is.
        revision: The new revision.
        replaces: The revision that was loaded; ``None`` where there was no record.
        changed_at: When the account last changed, in Unix seconds.
    """
    trail = envelope.trail if replaces is None else (replaces[:TRAIL_CHARACTERS], *envelope.trail)
    # What a newer version added belonged to the factor that is now off; the trail belongs to the
    # row, and stays, since this save may be delivered twice like any other.
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

    Returns:
        The state, and what the document has besides; the next ``encode`` wants both.

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
    # Raised here and without a traceback: the frames that it comes from hold the document, and
    # error reporters send frames with their locals to other people's servers (CWE-532).
    try:
        raise fault.with_traceback(None)
    finally:
        del fault


def _decode(record: StoredEnrollment) -> tuple[EnrollmentState, Envelope]:
    tree = _upgrade(_parse(record.document))
    state = take_state(tree)
    envelope = ENVELOPE.read(tree)
    word, expires_at = columns_of(state)
    # Queries believe the columns and logins the document. A row in which somebody changed one of
    # the two must not be half on and half off.
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
    # Before all else: after a roll-back of the app, the old version must not read a meaning into
    # a document that it does not know, and least of all write it back. (A bool is an int, so
    # types are compared and not asked for by isinstance.)
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
    """Parse a document more strictly than ``json`` does.

    Raises:
        CorruptRecordError: It is not JSON, nests too deep, or holds what no database could take.
    """
    try:
        tree: object = _DECODER.decode(text)
        if ("\\u" in text or not text.isascii()) and _MAY_BE_SURROGATE.search(text):
            # A surrogate by itself is no text (RFC 8259 §8.2), though ``json`` reads it: no
            # database and no page could take it, and the next save of the account would fail.
            json.dumps(tree, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        fault = CorruptRecordError("document is not JSON, or not encodable")
    else:
        return tree
    raise fault  # outside, so that no __context__ holds the text


def _finite(text: str) -> float:
    """Read a number with a fraction, which only a key of a newer version can be."""
    number = float(text)  # 1e999 is well-formed JSON
    if not math.isfinite(number):
        raise ValueError("it would be written back as Infinity")
    return number


def _refuse_constant(_name: str) -> None:
    """Refuse what Python reads and writes, and a database with a type for JSON refuses."""
    raise ValueError("NaN and Infinity are no JSON")


# Made once: json.loads and json.dumps make one at each call that names an option.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
