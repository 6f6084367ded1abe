"""Checks 38 to 42: a store reads what is committed, keeps it, and fails aloud and whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Handle, OpenStore
from otp_enroll.testing.kit import (
    Kit,
    make_record,
    must,
    new_revision,
    require,
    require_same,
    should,
)
from otp_enroll.testing.races import race


@must("38")
async def load_sees_what_others_committed(kit: Kit) -> None:
    """A load sees what another handle saved or deleted since this handle's last load."""
    # A cache, a replica, an identity map or a transaction that is left open shows the row as it
    # was. A stale "not enrolled" lets a login pass with the password alone.
    writer, reader = await kit.pair()
    user_id = kit.names.new()
    require(await reader.load(user_id) is None, "load of an unknown id is not None")
    record = await kit.created(writer, user_id)
    require_same(await reader.load(user_id), record, "to a handle that had looked before")
    later = replace(record, revision=new_revision(), document="{}")
    await writer.save(later, expected=record.revision)
    require_same(await reader.load(user_id), later, "to a handle that had the record before")
    await writer.delete(user_id)
    require(await reader.load(user_id) is None, "a handle still loads what another one deleted")


@must("39")
async def data_outlives_the_handle(kit: Kit) -> None:
    """What was saved is there after its handle is closed."""
    # Spent and wrong codes must outlast the session (RFC 4226 §7.3), and so the process.
    async with Kit(kit.inputs, kit.names) as before:
        record = await before.created(await before.open())
    require_same(await (await kit.open()).load(record.user_id), record, "after its handle closed")


@must("40", needs="break_connection")
async def broken_connection_raises(kit: Kit) -> None:
    """On a broken connection every method raises, and none says None or False."""
    # A failure that is swallowed reads as "not enrolled" from load, and as "another was faster"
    # from save. For good is how it is broken: a driver that connects again would be right to
    # answer.
    handle, other = await kit.pair()
    user_id, missing = kit.names.new(), kit.names.new()
    record = await kit.created(handle, user_id)
    await handle.apply(cast("Callable[..., object]", kit.inputs.break_connection), handle.target)
    later = replace(record, revision=new_revision())
    for method, call in (
        ("load", handle.called("load", user_id)),
        ("save", handle.called("save", make_record(missing), expected=None)),
        ("save", handle.called("save", later, expected=record.revision)),
        ("delete", handle.called("delete", user_id)),
    ):
        (answer,) = await race([call])
        require(
            isinstance(answer, Exception),
            f"{method} on a broken connection returned {answer!r} and did not raise",
        )
    require_same(await other.load(user_id), record, "after another connection broke")


async def _poisoned(kit: Kit, poison: Callable[[StoredEnrollment], StoredEnrollment]) -> None:
    """Save what most databases cannot keep: all of it is stored, or an error and nothing is.

    ``False`` would say that another request was faster, and the library would try ten times.
    """
    handle, reader = await kit.pair()
    record = await kit.created(handle)
    bad = replace(poison(record), revision=new_revision(), state="disabled")
    (stored,) = await race([handle.called("save", bad, expected=record.revision)])
    found = await reader.load(record.user_id)
    if isinstance(stored, Exception):
        require_same(found, record, "after a save that raised")
        return
    require(stored is True, f"save of what the store cannot keep returned {stored!r}, not an error")
    require_same(found, bad, "though save returned True")


@must("41")
async def failed_save_leaves_the_record_whole(kit: Kit) -> None:
    """A save that raises half-way leaves the old record as it was."""
    # Values that a driver refuses late, after the state has been written, if it is written in more
    # than one step.
    await _poisoned(kit, lambda record: replace(record, document="\ud800"))
    await _poisoned(kit, lambda record: replace(record, changed_at=2**200))
    await _poisoned(kit, lambda record: replace(record, setup_expires_at=2**200))


@should("42", needs="open_read_only")
async def read_only_handle_raises(kit: Kit) -> None:
    """A handle that cannot write raises, and loads all the same."""
    # A server in read-only mode, or a full disk: a refused write that is taken for done gives every
    # guess back.
    writer = await kit.open()
    record = await kit.created(writer)
    caller = await kit.caller(cast("OpenStore", kit.inputs.open_read_only))
    reader = Handle(caller.target, caller.worker)
    require_same(await reader.load(record.user_id), record, "on a read-only handle")
    later = replace(record, revision=new_revision())
    (stored,) = await race([reader.called("save", later, expected=record.revision)])
    require(
        isinstance(stored, Exception),
        f"save on a read-only handle returned {stored!r} and did not raise",
    )


CHECKS = (
    load_sees_what_others_committed,
    data_outlives_the_handle,
    broken_connection_raises,
    failed_save_leaves_the_record_whole,
    read_only_handle_raises,
)
