"""Checks 1 to 15: the shape of a store, and that what is saved comes back as it was."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

from otp_enroll.core.recovery import RecoverySet
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    Disabled,
    EnrollmentState,
    Pending,
    StoredSetup,
)
from otp_enroll.policy import Parameters
from otp_enroll.storage import codec
from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.kit import (
    NOW,
    Kit,
    make_record,
    must,
    new_revision,
    require,
    require_same,
)

_METHODS = ("load", "save", "delete")


@must("01")
async def unknown_id_is_none(kit: Kit) -> None:
    """The load of an unknown id is None, and no blank record."""
    # A blank record would be read as damage, and a user who never enrolled could not sign in.
    found = await (await kit.open()).load(kit.names.new())
    require(found is None, f"load of an unknown id returned a {type(found).__name__}, not None")


@must("02")
async def create_is_true(kit: Kit) -> None:
    """The save of a new id with expected=None is exactly True."""
    # Exactly True: a row count, or the nothing that a forgotten return gives, is no answer to "is
    # it mine alone?".
    await kit.created(await kit.open())


@must("03")
async def answers_have_their_types(kit: Kit) -> None:
    """Answers are exactly a StoredEnrollment, a bool, or None."""
    # A driver's row passes for a record until a field has another type than the one that was
    # stored.
    handle = await kit.open()
    record = await kit.created(handle)
    found = await handle.load(record.user_id)
    require(
        type(found) is StoredEnrollment,
        f"load returned a {type(found).__name__} and not a StoredEnrollment",
    )
    later = replace(record, revision=new_revision())
    for expected in (new_revision(), record.revision):
        stored = await handle.save(later, expected=expected)
        require(
            type(stored) is bool, f"save returned a {type(stored).__name__} and not True or False"
        )
    deleted = await handle.call("delete", record.user_id)
    require(deleted is None, f"delete returned a {type(deleted).__name__} and not None")


@must("04")
async def one_flavour(kit: Kit) -> None:
    """All three methods are coroutine functions, or none is."""
    # A plain method among coroutines would block the loop; a coroutine among plain methods is true,
    # and counts as a save.
    handle = await kit.open()
    awaited = [
        name for name in _METHODS if inspect.iscoroutinefunction(getattr(handle.target, name))
    ]
    require(
        len(awaited) in {0, len(_METHODS)},
        f"only {' and '.join(awaited)} awaited: a store is sync or async as a whole",
    )


@must("05")
async def joined_is_a_bool(kit: Kit) -> None:
    """The attribute joined is exactly False, since each call commits by itself."""
    # By this attribute an enroller knows whether a roll-back of the app can take a verdict back.
    joined: object = getattr((await kit.open()).target, "joined", None)
    require(type(joined) is bool, f"joined is {joined!r} and not exactly True or False")
    require(joined is False, "open_store gives a joined store: pass one that commits by itself")


async def _round_trip(kit: Kit, record: StoredEnrollment) -> None:
    """Write a record through one handle and read it through another."""
    writer, reader = await kit.pair()
    stored = await writer.save(record, expected=None)
    require(stored is True, f"save of a new id returned {stored!r} and not True")
    require_same(await reader.load(record.user_id), record, "on another handle")


@must("06")
async def plain_record_returns(kit: Kit) -> None:
    """A plain record comes back on another handle, value and type of each field."""
    # On another handle, because one that writes nothing, or never commits, shows its own writes.
    await _round_trip(kit, make_record(kit.names.new(), setup_expires_at=NOW + 900))


@must("07")
async def every_state_returns(kit: Kit) -> None:
    """Every state comes back, also when it replaces another one."""
    # Also as a replacement: an UPDATE that forgets the column shows only there.
    writer, reader = await kit.pair()
    record = await kit.created(writer, state="disabled")
    for state in ("pending", "confirmed", "disabled"):
        later = replace(record, revision=new_revision(), state=state)
        await writer.save(later, expected=record.revision)
        require_same(await reader.load(record.user_id), later, f"in the state {state}")
        record = later


@must("08")
async def zero_is_not_none(kit: Kit) -> None:
    """A setup_expires_at of None is None, and one of 0 is 0."""
    # A truth test in place of "is None" turns one into the other, in either direction.
    for expires_at in (None, 0):
        await _round_trip(kit, make_record(kit.names.new(), setup_expires_at=expires_at))


@must("09")
async def empty_document_returns(kit: Kit) -> None:
    """An empty document is empty text, not None."""
    # Oracle keeps an empty text as NULL.
    await _round_trip(kit, make_record(kit.names.new(), document=""))


@must("10")
async def large_times_return(kit: Kit) -> None:
    """Times beyond the whole numbers of a double come back exactly."""
    # Numbers that go through a double, or through JSON in another language, lose their last digit.
    for number in (2**53 + 1, 2**62 + 1):
        record = make_record(kit.names.new(), changed_at=number, setup_expires_at=number + 1)
        await _round_trip(kit, record)


@must("11")
async def large_document_returns(kit: Kit) -> None:
    """A document of 64 KB comes back whole."""
    # A column of MySQL's TEXT holds 65,535 bytes, and outside strict mode cuts the rest off.
    document = json.dumps({"filler": "0123456789abcdef" * 4096, "end": True})
    await _round_trip(kit, make_record(kit.names.new(), document=document))


@must("12")
async def odd_text_returns(kit: Kit) -> None:
    """Quotes, escapes, right-to-left marks, emoji and decomposed letters come back as they were."""
    # A document that is composed or trimmed on its way is another one. The library's JSON is plain
    # ASCII today, and a store must not rely on that.
    pieces = (
        "'\";--",
        "\\n\\u0000",
        "line\nline\r\n\t",
        "\u200f\u06f1\u06f2\u06f3\u200e",
        "🔐👩‍💻",
        "é",
        "e\u0301",
    )
    inner = json.dumps({"inner": json.dumps(pieces)})
    for piece in (*pieces, inner, " padded "):
        await _round_trip(kit, make_record(kit.names.new(), document=piece))


@must("13")
async def document_stays_text(kit: Kit) -> None:
    """A document that looks like another type comes back as the same text."""
    # A column or client with a type for JSON writes the text again in its own way, and drops what
    # the library has to carry along.
    for document in ("null", "1", "1.0", "true", '"x"', "[ ]", '{"b":1, "a":2}'):
        await _round_trip(kit, make_record(kit.names.new(), document=document))


@must("14")
async def none_clears(kit: Kit) -> None:
    """A save with a setup_expires_at of None clears the stored one."""
    # Left as it was, a purge would look at the account for ever, and the next load would call the
    # row damaged, since column and document disagree.
    writer, reader = await kit.pair()
    record = await kit.created(writer, setup_expires_at=NOW)
    later = replace(record, revision=new_revision(), setup_expires_at=None)
    await writer.save(later, expected=record.revision)
    require_same(await reader.load(record.user_id), later, "after a save that clears it")


@must("15")
async def documents_of_the_library_return(kit: Kit) -> None:
    """What the library writes comes back so that it reads the same state."""
    # The others use made-up documents; this is what will really be stored.
    for state in _states():
        record = codec.encode(
            state,
            codec.Envelope(),
            user_id=kit.names.new(),
            revision=new_revision(),
            replaces=new_revision(),
            changed_at=NOW,
        )
        await _round_trip(kit, record)
        read, _ = codec.decode(await (await kit.open()).present(record.user_id))
        require(read == state, f"a {type(state).__name__} state was read as another one")


def _states() -> tuple[EnrollmentState, ...]:
    """Return a state of each kind, with what differs most from the defaults."""
    setup = StoredSetup(
        id_digest=bytes(range(32)),
        authenticator_id="0" * 32,
        name="گوشی",
        parameters=Parameters(algorithm="SHA256", digits=8, period=60),
        sealed=Sealed(bytes(range(256))),  # every byte, whatever a cipher may put out
        issuer="Kit",
        account_name="sara@example.com",
        expires_at=NOW + 900,
    )
    authenticator = Authenticator(
        id="f" * 32,
        name="default",
        parameters=Parameters(),
        sealed=Sealed(bytes(20)),
        last_counter=NOW // 30,
        confirmed_at=NOW,
        last_used_at=None,
        generation=1,
    )
    recovery = RecoverySet(salt=bytes(16), digests=bytes(64), spent=(True, False))
    confirmed = Confirmed(authenticators=(authenticator,), recovery=recovery)
    return Disabled(), Pending(setup=setup), confirmed, replace(confirmed, setup=setup)


CHECKS = (
    unknown_id_is_none,
    create_is_true,
    answers_have_their_types,
    one_flavour,
    joined_is_a_bool,
    plain_record_returns,
    every_state_returns,
    zero_is_not_none,
    empty_document_returns,
    large_times_return,
    large_document_returns,
    odd_text_returns,
    document_stays_text,
    none_clears,
    documents_of_the_library_return,
)
