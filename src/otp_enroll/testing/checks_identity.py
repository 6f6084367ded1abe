"""Checks 18 to 21 and 33 to 37: accounts are kept apart, and what is deleted is gone."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import cast

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Handle
from otp_enroll.testing.kit import (
    NOW,
    Kit,
    make_record,
    must,
    new_revision,
    require,
    require_same,
)

LONGEST_ID = 190

# What folds, converts, matches or separates somewhere: collations, Turkish and German case, the
# wildcards of LIKE and KEYS, the separators of keys and paths, quotes, words of JSON and Python.
_TAILS = (
    *("Alice", "alice", "ALICE", "alic\u00e9", "alice\u0301", "alice ", " alice"),
    *("stra\u00dfe", "strasse", "\u212b", "\u00c5", "\u0131", "i", "I"),
    *("%", "_", "*", "?", "[a]", "a", "b", "a:b", "a/b", "a\\b", "a.b", "a'b", 'a"b', "a;b"),
    *("null", "None", "true", "\U0001f510", "\U0001f511", "\u200f", "\n", "\t"),
)
_WORDS = ("null", "None", "true", "NaN")


def _digits() -> tuple[str, ...]:
    """Return ids that are one number to a column of numbers, or to a client that converts."""
    number = "7" + "".join(secrets.choice("0123456789") for _ in range(20)) + "1"
    return (number, "0" + number, number + ".0", " " + number, number + " ", "+" + number)


def _uuids() -> tuple[str, str]:
    """Return ids that are one UUID to a column of that type."""
    one = uuid.uuid4()
    return str(one), str(one).upper()


async def _words(handle: Handle) -> list[str]:
    """Return the words that no account has for an id: they cannot be made unique."""
    return [word for word in _WORDS if await handle.load(word) is None]


async def _fill(kit: Kit, handle: Handle, ids: Iterable[str]) -> list[StoredEnrollment]:
    """Create an account for each id, and fail at the first that finds another one's record."""
    records: list[StoredEnrollment] = []
    for user_id in ids:
        found = await handle.load(user_id)
        require(
            found is None,
            f"the id {user_id!r} finds the record of {getattr(found, 'user_id', found)!r}",
        )
        record = make_record(kit.names.take(user_id))
        stored = await handle.save(record, expected=None)
        require(stored is True, f"the id {user_id!r} is taken by another one's record")
        records.append(record)
    return records


@must("18")
async def odd_ids_are_distinct(kit: Kit) -> None:
    """Ids that differ in case, spaces, zeros, accents or wildcards are different accounts."""
    # Folded, trimmed or converted on the way, two users' ids are one account: the second would be
    # asked for the codes of the first. MariaDB's default collation folds and trims.
    writer, reader = await kit.pair()
    stem = kit.names.new()
    ids = [*_digits(), *_uuids(), *(stem + tail for tail in _TAILS), *(await _words(writer))]
    for record in await _fill(kit, writer, ids):
        found = await reader.load(record.user_id)
        require_same(found, record, f"under the id {record.user_id!r}")


@must("19")
async def long_ids_are_distinct(kit: Kit) -> None:
    """Ids of the greatest length that differ in the last character are different accounts."""
    # A column that is too short, or an index over a prefix, makes them one. One stem is of letters
    # that take two bytes, because some columns are sized in bytes.
    writer, reader = await kit.pair()
    stems = [kit.names.new().ljust(LONGEST_ID - 1, filler) for filler in "x\u06f1"]
    for record in await _fill(kit, writer, [stem + end for stem in stems for end in "ab"]):
        require_same(await reader.load(record.user_id), record, "under an id of 190 characters")


@must("20")
async def record_carries_the_stored_id(kit: Kit) -> None:
    """A loaded record has the id that was stored."""
    # The library compares it with the id that it asked for, to notice a collation that folds.
    writer, reader = await kit.pair()
    record = await kit.created(writer, kit.names.new(" Alicé "))
    found = await reader.load(record.user_id)
    carried = found and found.user_id
    require(carried == record.user_id, f"the record of {record.user_id!r} carries {carried!r}")


@must("21")
async def others_are_untouched(kit: Kit) -> None:
    """To save or delete one account leaves every other one as it was."""
    # An UPDATE or DELETE without its WHERE passes every check of a single account.
    writer, reader = await kit.pair()
    one, other, third = [await kit.created(writer) for _ in range(3)]
    later = replace(one, revision=new_revision())
    require(
        await writer.save(later, expected=one.revision) is True,
        "an update was refused after another account was saved",
    )
    await writer.delete(third.user_id)
    require_same(await reader.load(other.user_id), other, "after another account was changed")
    require_same(await reader.load(one.user_id), later, "after another account was deleted")


@must("33")
async def deleted_is_gone(kit: Kit) -> None:
    """A deleted record is gone for every handle."""
    # For a handle opened later too: what is hidden in one place may be found from another.
    writer, reader = await kit.pair()
    record = await kit.created(writer)
    require_same(await reader.load(record.user_id), record, "before it is deleted")
    await writer.delete(record.user_id)
    for handle in (writer, reader, await kit.open()):
        require(await handle.load(record.user_id) is None, "a deleted record is still loaded")


@must("33b", needs="raw_count")
async def nothing_is_left(kit: Kit) -> None:
    """A delete leaves no row, key or file of that id."""
    # A tombstone is data of somebody who asked to be forgotten, with the sealed secret in it.
    handle = await kit.open()
    record = await kit.created(handle)
    count = cast("Callable[..., object]", kit.inputs.raw_count)
    rows = await handle.apply(count, record.user_id)
    require(rows, f"raw_count says {rows!r} of a stored account: it must count its rows")
    await handle.delete(record.user_id)
    rows = await handle.apply(count, record.user_id)
    require(rows == 0, f"raw_count says {rows!r} after a delete: something of the account is left")


@must("34")
async def delete_is_idempotent(kit: Kit) -> None:
    """To delete what is not there is no error."""
    # An erasure whose answer was lost is sent again, by people and by queues.
    handle = await kit.open()
    await handle.delete(kit.names.new())
    record = await kit.created(handle)
    await handle.delete(record.user_id)
    await handle.delete(record.user_id)
    require(await handle.load(record.user_id) is None, "a second delete brought a record back")


@must("35")
async def late_save_revives_nothing(kit: Kit) -> None:
    """A save that comes after a delete is refused."""
    # Else a request that was under way while an account was erased would bring it back.
    early, late = await kit.pair()
    record = await kit.created(early)
    await late.load(record.user_id)
    await early.delete(record.user_id)
    stored = await late.save(replace(record, revision=new_revision()), expected=record.revision)
    require(stored is False, f"an update after a delete returned {stored!r} and not False")
    require(await early.load(record.user_id) is None, "an update revived a deleted record")


@must("36")
async def second_life_inherits_nothing(kit: Kit) -> None:
    """A record made after a delete has nothing of the one before."""
    # An id may be given to somebody else, who must not find the first one's second factor
    # (nextcloud/twofactor_totp #384).
    handle, reader = await kit.pair()
    first = await kit.created(handle, setup_expires_at=NOW, document='{"first":1}')
    await handle.delete(first.user_id)
    second = make_record(first.user_id, state="disabled", changed_at=0, document="{}")
    stored = await handle.save(second, expected=None)
    require(stored is True, "an id cannot be used again after a delete: something of it is left")
    require_same(await reader.load(second.user_id), second, "in the second life of its id")


@must("37")
async def look_alikes_survive_a_delete(kit: Kit) -> None:
    """To delete an id with a wildcard, or in another case, deletes that id alone."""
    # By a pattern of keys, or LIKE, one erasure switches other users' OTP off.
    handle, reader = await kit.pair()
    stem = kit.names.new()
    doomed = [stem + tail for tail in ("%", "_", "*", "?", "[a]", "", "A", "e\u0301", "x ")]
    kept = await _fill(kit, handle, [stem + tail for tail in ("ab", "b", "a", "\u00e9", "x", ":1")])
    for user_id in doomed:
        await _fill(kit, handle, [user_id])
        await handle.delete(user_id)
        for record in kept:
            found = await reader.load(record.user_id)
            require(found is not None, f"to delete {user_id!r} deleted {record.user_id!r} too")


CHECKS = (
    odd_ids_are_distinct,
    long_ids_are_distinct,
    record_carries_the_stored_id,
    others_are_untouched,
    deleted_is_gone,
    nothing_is_left,
    delete_is_idempotent,
    late_save_revives_nothing,
    second_life_inherits_nothing,
    look_alikes_survive_a_delete,
)
