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


@must("38")
async def load_sees_what_others_committed(kit: Kit) -> None:
    """A load sees what another handle saved or deleted since this handle's last load."""
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
    async with Kit(kit.inputs, kit.names) as before:
        record = await before.created(await before.open())
    require_same(await (await kit.open()).load(record.user_id), record, "after its handle closed")


async def _raises(handle: Handle, method: str, *args: object, **kwargs: object) -> None:
    try:
        answer = await handle.call(method, *args, **kwargs)
    except Exception:  # noqa: BLE001  # whatever a driver raises is what the check wants
        return
    raise AssertionError(
        f"{method} on a broken connection returned {type(answer).__name__} and did not raise"
    )


async def _all_raise(handle: Handle, record: StoredEnrollment) -> None:
    later = replace(record, revision=new_revision())
    await _raises(handle, "load", record.user_id)
    await _raises(handle, "save", make_record(record.user_id + "new"), expected=None)
    await _raises(handle, "save", later, expected=record.revision)
    await _raises(handle, "delete", record.user_id)


@must("40", needs="break_connection")
async def broken_connection_raises(kit: Kit) -> None:
    """On a broken connection every method raises, and none says None or False."""
    handle, other = await kit.pair()
    kit.names.take(user_id := kit.names.new() + "new")
    record = await kit.created(handle, user_id.removesuffix("new"))
    await handle.apply(cast("Callable[..., object]", kit.inputs.break_connection), handle.target)
    await _all_raise(handle, record)
    require_same(await other.load(record.user_id), record, "after another connection broke")


async def _poisoned(kit: Kit, poison: Callable[[StoredEnrollment], StoredEnrollment]) -> None:
    handle, reader = await kit.pair()
    record = await kit.created(handle)
    bad = replace(poison(record), revision=new_revision(), state="disabled")
    try:
        stored = await handle.save(bad, expected=record.revision)
    except Exception:  # noqa: BLE001  # whatever a driver raises is what the check wants
        require_same(await reader.load(record.user_id), record, "after a save that raised")
        return
    require(stored is True, f"save of what the store cannot keep returned {stored!r}, not an error")
    require_same(await reader.load(record.user_id), bad, "though save returned True")


@must("41")
async def failed_save_leaves_the_record_whole(kit: Kit) -> None:
    """A save that raises half-way leaves the old record as it was."""
    await _poisoned(kit, lambda record: replace(record, document="\ud800"))
    await _poisoned(kit, lambda record: replace(record, changed_at=2**200))
    await _poisoned(kit, lambda record: replace(record, setup_expires_at=2**200))


@should("42", needs="open_read_only")
async def read_only_handle_raises(kit: Kit) -> None:
    """A handle that cannot write raises, and loads all the same."""
    writer = await kit.open()
    record = await kit.created(writer)
    caller = await kit.caller(cast("OpenStore", kit.inputs.open_read_only))
    reader = Handle(caller.target, caller.worker)
    require_same(await reader.load(record.user_id), record, "on a read-only handle")
    try:
        stored = await reader.save(
            replace(record, revision=new_revision()), expected=record.revision
        )
    except Exception:  # noqa: BLE001  # whatever a driver raises is what the check wants
        return
    raise AssertionError(f"save on a read-only handle returned {stored!r} and did not raise")


CHECKS = (
    load_sees_what_others_committed,
    data_outlives_the_handle,
    broken_connection_raises,
    failed_save_leaves_the_record_whole,
    read_only_handle_raises,
)
