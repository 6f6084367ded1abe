"""Checks 22 to 32 and 67: a save compares and swaps in one step, and one revision serves once.

After each refusal the stored record is read again: a store may refuse and write all the same.
"""

from __future__ import annotations

from dataclasses import replace

from otp_enroll.testing.handles import Handle
from otp_enroll.testing.kit import (
    NOW,
    Kit,
    make_record,
    must,
    new_revision,
    require,
    require_same,
    should,
)


async def _create_again(kit: Kit, first: Handle, second: Handle) -> None:
    """Create an account twice; the second handle has looked at it before, and knows it is there."""
    record = await kit.created(first)
    await second.load(record.user_id)
    rival = make_record(record.user_id, state="disabled")
    stored = await second.save(rival, expected=None)
    require(stored is False, f"a second create returned {stored!r} and not False")
    require_same(await first.load(record.user_id), record, "after a second create was refused")


@must("22")
async def second_create_is_refused(kit: Kit) -> None:
    """A second create of one id is refused and changes nothing."""
    # An upsert would overwrite an account that is confirmed already.
    handle = await kit.open()
    await _create_again(kit, handle, handle)


@must("23")
async def second_create_elsewhere_is_refused(kit: Kit) -> None:
    """A second create of one id from another handle is refused and changes nothing."""
    # From another handle, because a store that remembers what it wrote passes the check before.
    await _create_again(kit, *await kit.pair())


@must("24")
async def stale_update_is_refused(kit: Kit) -> None:
    """An update from a revision that was replaced is refused and writes nothing."""
    # The heart of the contract: by this refusal one code is right once, in any number of processes.
    handle, reader = await kit.pair()
    record = await kit.created(handle)
    later = replace(record, revision=new_revision(), document="{}")
    require(
        await handle.save(later, expected=record.revision) is True,
        "an update from the stored revision was refused",
    )
    stale = make_record(record.user_id, state="disabled", setup_expires_at=NOW, changed_at=1)
    stored = await handle.save(stale, expected=record.revision)
    require(stored is False, f"a stale update returned {stored!r} and not False")
    require_same(await reader.load(record.user_id), later, "after a stale update was refused")


@must("25")
async def stale_update_elsewhere_is_refused(kit: Kit) -> None:
    """Of two handles that loaded one revision the second is refused, reloads, and then wins."""
    # The whole loop of the library: refused, load again, decide again, and win.
    quick, tardy = await kit.pair()
    record = await kit.created(quick)
    for handle in (quick, tardy):
        require_same(await handle.load(record.user_id), record, "before the race")
    won = replace(record, revision=new_revision(), document='{"won":1}')
    await quick.save(won, expected=record.revision)
    lost = replace(record, revision=new_revision(), document='{"lost":1}')
    stored = await tardy.save(lost, expected=record.revision)
    require(stored is False, f"a stale update from another handle returned {stored!r}, not False")
    require_same(await tardy.load(record.user_id), won, "to the loser, which must see the winner")
    stored = await tardy.save(lost, expected=won.revision)
    require(stored is True, f"the loser's second try returned {stored!r} and not True")
    require_same(await quick.load(record.user_id), lost, "after the loser's second try")


@must("26")
async def update_of_nothing_is_refused(kit: Kit) -> None:
    """An update of a missing id is refused and creates nothing."""
    # Else a save that comes after an erasure creates the account again.
    handle = await kit.open()
    record = make_record(kit.names.new())
    stored = await handle.save(record, expected=new_revision())
    require(stored is False, f"an update of a missing id returned {stored!r} and not False")
    require(await handle.load(record.user_id) is None, "an update of a missing id created it")


@must("27")
async def equal_content_is_no_match(kit: Kit) -> None:
    """An update with a wrong revision is refused, though its content is the stored one."""
    # A store must not take a save for one that landed because the content is there: the library
    # finds out by the revision alone.
    handle = await kit.open()
    record = await kit.created(handle)
    for revision in (record.revision, new_revision()):
        stored = await handle.save(replace(record, revision=revision), expected=new_revision())
        require(stored is False, f"a wrong revision with equal content returned {stored!r}")
    require_same(await handle.load(record.user_id), record, "after a refused update")


@must("28")
async def empty_expected_is_no_match(kit: Kit) -> None:
    """An expected revision of "" neither creates nor replaces."""
    # A truth test in place of "is None" takes it for a create.
    handle = await kit.open()
    record = make_record(kit.names.new())
    stored = await handle.save(record, expected="")
    require(stored is False, f'expected="" on a missing id returned {stored!r} and not False')
    require(await handle.load(record.user_id) is None, 'expected="" created a record')
    record = await kit.created(handle)
    stored = await handle.save(replace(record, revision=new_revision()), expected="")
    require(stored is False, f'expected="" on a stored record returned {stored!r} and not False')


async def _refused(kit: Kit, near: list[str], record_revision: str) -> None:
    """Have updates refused whose revision is nearly the stored one."""
    handle = await kit.open()
    record = replace(make_record(kit.names.new()), revision=record_revision)
    await handle.save(record, expected=None)
    for expected in near:
        stored = await handle.save(replace(record, revision=new_revision()), expected=expected)
        require(
            stored is False,
            f"{expected!r} was taken for the revision {record_revision!r}: {stored!r}, not False",
        )


@must("29")
async def prefix_of_a_revision_is_no_match(kit: Kit) -> None:
    """A part of the stored revision, or the revision and more, is refused."""
    # A column or a parameter that is cut makes a longer one match; LIKE a shorter one.
    revision = new_revision()
    await _refused(kit, [revision[:12], revision[:-1], revision[1:], revision + "0"], revision)


@should("29b")
async def spelling_of_a_revision_counts(kit: Kit) -> None:
    """The stored revision in capitals, or with spaces around it, is refused."""
    # A collation that folds does no harm here, as the library writes small letters alone, but it
    # will fold the ids as well.
    revision = new_revision()
    await _refused(kit, [revision.upper(), f"{revision} ", f" {revision}"], revision)


@must("30")
async def chain_of_updates_holds(kit: Kit) -> None:
    """Of thirty updates in a row each is stored, and none opens the one before again."""
    # Thirty, because a counter in a small column, or a list of old revisions, is exhausted by then.
    handle = await kit.open()
    before, record = new_revision(), await kit.created(handle)
    for number in range(30):
        later = replace(record, revision=new_revision(), changed_at=NOW + number)
        stored = await handle.save(later, expected=before)
        require(stored is False, f"after {number} updates an older revision returned {stored!r}")
        stored = await handle.save(later, expected=record.revision)
        require(stored is True, f"update {number + 1} of 30 returned {stored!r} and not True")
        before, record = record.revision, later
    require_same(await handle.load(record.user_id), record, "after thirty updates")


@must("31")
async def old_life_is_no_match(kit: Kit) -> None:
    """After delete and create no revision of the first life is accepted."""
    # Versions that start again after a delete let a confirm of the first life put its old secret
    # into the second (ABA).
    handle, other = await kit.pair()
    first = await kit.created(handle)
    second = replace(first, revision=new_revision())
    await handle.save(second, expected=first.revision)
    await handle.delete(first.user_id)
    reborn = await kit.created(handle, first.user_id)
    for revision in (first.revision, second.revision):
        stored = await other.save(replace(first, revision=new_revision()), expected=revision)
        require(stored is False, f"a revision from before the delete returned {stored!r}")
    require_same(await handle.load(first.user_id), reborn, "after saves from its first life")


@must("32")
async def new_revision_alone_is_stored(kit: Kit) -> None:
    """An update that changes only the revision is True."""
    # MySQL counts rows that changed unless it is asked for those that matched, and a store that
    # counts them would call this one refused.
    handle, reader = await kit.pair()
    record = await kit.created(handle)
    later = replace(record, revision=new_revision())
    stored = await handle.save(later, expected=record.revision)
    require(stored is True, f"an update of the revision alone returned {stored!r} and not True")
    require_same(await reader.load(record.user_id), later, "after an update of the revision alone")


@must("67")
async def repeated_save_is_refused(kit: Kit) -> None:
    """A save that landed is refused when a driver delivers it again, and changes nothing."""
    # Drivers send again when a reply is lost (redis-py does). The library then finds its own
    # revision stored; a second True would hide that others have written since.
    handle, driver = await kit.pair()
    record = await kit.created(handle)
    stored = await driver.save(record, expected=None)
    require(stored is False, f"a create delivered twice returned {stored!r} the second time")
    later = replace(record, revision=new_revision(), document="{}")
    await handle.save(later, expected=record.revision)
    stored = await driver.save(later, expected=record.revision)
    require(stored is False, f"an update delivered twice returned {stored!r} the second time")
    require_same(await handle.load(record.user_id), later, "after a save was delivered twice")


CHECKS = (
    second_create_is_refused,
    second_create_elsewhere_is_refused,
    stale_update_is_refused,
    stale_update_elsewhere_is_refused,
    update_of_nothing_is_refused,
    equal_content_is_no_match,
    empty_expected_is_no_match,
    prefix_of_a_revision_is_no_match,
    spelling_of_a_revision_counts,
    chain_of_updates_holds,
    old_life_is_no_match,
    new_revision_alone_is_stored,
    repeated_save_is_refused,
)
