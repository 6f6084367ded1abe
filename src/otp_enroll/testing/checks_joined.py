"""Checks 58 to 66: a joined store lives and dies with the app's transaction.

What it did is seen from outside, through a handle that commits by itself, and by rows of the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, cast

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Caller, Handle, opened
from otp_enroll.testing.joined import JoinedHarness
from otp_enroll.testing.kit import (
    NO_CONFLICT,
    CheckSkipped,
    Kit,
    make_record,
    must,
    new_revision,
    require,
    require_same,
    should,
)

_HEAD_START: Final = 0.1
"""Seconds in which a second writer reaches the lock, or is done without one."""

_MARGIN: Final = 2.0
"""Seconds beyond the lock timeout before a call counts as hanging."""


class Transaction:
    """One transaction of the app, with the joined store inside.

    Args:
        caller: Of what the harness gave.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        store: object = getattr(caller.target, "store", None)
        self.store: Handle = Handle(store, caller.worker)
        joined: object = getattr(store, "joined", None)
        require(joined is True, f"joined of a joined store is {joined!r} and not True")

    async def commit(self) -> None:
        """Commit."""
        await self._caller.call("commit")

    async def rollback(self) -> None:
        """Roll back."""
        await self._caller.call("rollback")

    async def write_app_row(self, key: str) -> None:
        """Insert a row of the app."""
        await self._caller.call("write_app_row", key)


class App:
    """The harness, and a handle that commits by itself and so sees what is committed."""

    def __init__(self, harness: JoinedHarness, outside: Handle) -> None:
        self.harness = harness
        self.outside = outside

    @classmethod
    async def of(cls, kit: Kit) -> App:
        """Return what ``run`` was given."""
        return cls(cast("JoinedHarness", kit.inputs.joined), await kit.open())

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[Transaction]:
        """Begin one, and roll it back unless it is committed."""
        async with opened(self.harness.transaction) as caller:
            yield Transaction(caller)

    async def has_row(self, key: str) -> object:
        """Return whether a row of the app is committed."""
        return await Caller(self.harness, self.outside.worker).call("has_app_row", key)

    def is_retryable(self, answer: object) -> bool:
        """Return whether the app is asked to repeat its transaction, wrapped or not."""
        # SQLAlchemy and Django raise errors of their own from the driver's.
        cause = getattr(answer, "__cause__", None)
        return isinstance(answer, self.harness.retryable) or isinstance(
            cause, self.harness.retryable
        )


def _next(record: StoredEnrollment) -> StoredEnrollment:
    return replace(make_record(record.user_id))


@must("58", needs="joined")
async def rollback_discards(kit: Kit) -> None:
    """A rollback discards what was created, replaced or deleted in the transaction."""
    # A delete that commits by itself would stay.
    app = await App.of(kit)
    kept, doomed = await kit.created(app.outside), await kit.created(app.outside)
    created = make_record(kit.names.new())
    async with app.transaction() as app_transaction:
        store = app_transaction.store
        await store.save(created, expected=None)
        await store.save(_next(kept), expected=kept.revision)
        await store.delete(doomed.user_id)
        await app_transaction.rollback()
    found = await app.outside.load(created.user_id)
    require(found is None, "a record is there though its transaction was rolled back")
    for record in (kept, doomed):
        require_same(await app.outside.load(record.user_id), record, "after a rollback")


@must("59", needs="joined")
async def commit_keeps_both(kit: Kit) -> None:
    """The record and the app's row are committed together, and not before."""
    # That is what joined mode is for: the app's row and the enrollment, both or neither.
    app = await App.of(kit)
    record, key = make_record(kit.names.new()), kit.names.new()
    async with app.transaction() as transaction:
        await transaction.write_app_row(key)
        await transaction.store.save(record, expected=None)
        found = await app.outside.load(record.user_id)
        require(found is None, "a record is committed before its transaction is")
        await transaction.commit()
    require_same(await app.outside.load(record.user_id), record, "after the commit")
    require(await app.has_row(key), "the app's row is missing though its transaction was committed")


async def _refused(kit: Kit, expected: str | None) -> None:
    """Have a save refused between two rows of the app, and find both committed."""
    app = await App.of(kit)
    record, first, last = await kit.created(app.outside), kit.names.new(), kit.names.new()
    async with app.transaction() as transaction:
        await transaction.write_app_row(first)
        stored = await transaction.store.save(_next(record), expected=expected)
        require(stored is False, f"a save to be refused returned {stored!r} in a transaction")
        require_same(await transaction.store.load(record.user_id), record, "after a refusal")
        await transaction.write_app_row(last)
        await transaction.commit()
    for key in (first, last):
        require(await app.has_row(key), "a refused save took the app's own row with it")


@must("60", needs="joined")
async def refused_create_spares_the_transaction(kit: Kit) -> None:
    """After a refused create the transaction goes on."""
    # On PostgreSQL a duplicate key ends the app's transaction, with all that the app did in it.
    await _refused(kit, None)


@must("61", needs="joined")
async def refused_update_spares_the_transaction(kit: Kit) -> None:
    """After a refused update the transaction goes on."""
    # A refusal is an answer; what the app makes of it is for the app to say.
    await _refused(kit, new_revision())


@must("62", needs="joined")
async def own_writes_are_read(kit: Kit) -> None:
    """A load in the transaction sees what the transaction saved and deleted."""
    # Through a connection of its own a store would not see what the request has just begun.
    app = await App.of(kit)
    record = make_record(kit.names.new())
    later = _next(record)
    async with app.transaction() as transaction:
        store = transaction.store
        require(await store.load(record.user_id) is None, "load of an unknown id is not None")
        await store.save(record, expected=None)
        require_same(await store.load(record.user_id), record, "in the transaction that saved it")
        await store.save(later, expected=record.revision)
        require_same(await store.load(record.user_id), later, "in the transaction that changed it")
        await store.delete(record.user_id)
        found = await store.load(record.user_id)
        require(found is None, "a record is loaded in the transaction that deleted it")
        await transaction.rollback()


async def _use_everything(
    kit: Kit, stored: StoredEnrollment, transaction: Transaction
) -> list[str]:
    """Write a row of the app before each call of the store, and return the rows' keys."""
    fresh, later, keys = make_record(kit.names.new()), _next(stored), [kit.names.new()]
    store = transaction.store
    await transaction.write_app_row(keys[0])
    for call in (
        store.called("load", stored.user_id),
        store.called("save", fresh, expected=None),
        store.called("save", _next(fresh), expected=None),
        store.called("save", later, expected=stored.revision),
        store.called("save", _next(stored), expected=stored.revision),
        store.called("delete", stored.user_id),
    ):
        await call.alone()
        keys.append(kit.names.new())
        await transaction.write_app_row(keys[-1])
    return keys


@must("63", needs="joined")
async def transaction_ends_by_the_app_alone(kit: Kit) -> None:
    """No call of the store commits the app's rows or rolls them back."""
    # Rows of the app between all calls show it, for every driver and without a spy in any.
    app = await App.of(kit)
    record = await kit.created(app.outside)
    async with app.transaction() as transaction:
        keys = await _use_everything(kit, record, transaction)
        await transaction.rollback()
    for key in keys:
        require(not await app.has_row(key), "the store committed the app's transaction")
    async with app.transaction() as transaction:
        keys = await _use_everything(kit, record, transaction)
        await transaction.commit()
    for key in keys:
        require(await app.has_row(key), "the store rolled the app's transaction back")


async def _second_writer(app: App, record: StoredEnrollment) -> object:
    """Save and commit in a transaction of its own; return the answer or what was raised."""
    try:
        async with app.transaction() as transaction:
            stored = await transaction.store.save(_next(record), expected=record.revision)
            if stored is True:
                await transaction.commit()
            return stored
    except Exception as error:  # noqa: BLE001  # the check judges it
        return error


async def _answer_of(second: asyncio.Task[object], app: App) -> object:
    """Return the second writer's answer, if it comes within the lock timeout."""
    await asyncio.wait({second}, timeout=app.harness.lock_timeout + _MARGIN)
    require(second.done(), "a second writer still waits after the lock timeout")
    return second.result()


@must("64", needs="joined")
async def second_writer_waits_its_turn(kit: Kit) -> None:
    """A second writer is refused after a commit, and wins or may retry after a rollback."""
    # An update without its condition on the revision waits as well, and then overwrites.
    app = await App.of(kit)
    for commits in (True, False):
        record = await kit.created(app.outside)
        async with app.transaction() as transaction:
            stored = await transaction.store.save(_next(record), expected=record.revision)
            require(stored is True, f"an update in a transaction returned {stored!r} and not True")
            second = asyncio.ensure_future(_second_writer(app, record))
            await asyncio.wait({second}, timeout=_HEAD_START)
            await (transaction.commit() if commits else transaction.rollback())
            answer = await _answer_of(second, app)
        wanted = answer is not commits and isinstance(answer, bool)
        end = "commit" if commits else "rollback"
        require(
            wanted or app.is_retryable(answer),
            f"after the first writer's {end} the second one got {answer!r}",
        )


async def _conflict(kit: Kit, app: App) -> tuple[StoredEnrollment, object]:
    """Let a transaction read, another writer commit, and the transaction save."""
    record = stored = await kit.created(app.outside)
    try:
        async with app.transaction() as transaction:
            await transaction.store.load(record.user_id)
            stored = await _written_outside(app, record)
            answer = await transaction.store.save(_next(record), expected=record.revision)
    except Exception as error:  # noqa: BLE001  # the check judges it
        return stored, error
    require(
        stored is record or answer is not True, "a save won against a write committed before it"
    )
    return stored, answer


async def _written_outside(app: App, record: StoredEnrollment) -> StoredEnrollment:
    """Replace the record outside and return what is stored then.

    A database that locks what was read raises, and no conflict arises.
    """
    later = _next(record)
    try:
        stored = await app.outside.save(later, expected=record.revision)
    except Exception:  # noqa: BLE001  # whatever its driver raises
        return record
    return later if stored is True else record


@must("65", needs="joined")
async def conflict_ends_well(kit: Kit) -> None:
    """A conflict in a transaction is False or an error to retry, soon, and the repetition wins."""
    # At MySQL's default level a transaction goes on seeing what it saw first; a save that believed
    # it would undo another one's.
    app = await App.of(kit)
    conflict = asyncio.ensure_future(_conflict(kit, app))
    await asyncio.wait({conflict}, timeout=2 * app.harness.lock_timeout + _MARGIN)
    require(conflict.done(), "a conflict in a transaction hangs beyond the lock timeout")
    stored, answer = conflict.result()
    require(
        isinstance(answer, bool) or app.is_retryable(answer),
        f"a conflict in a transaction ended with {type(answer).__name__}",
    )
    async with app.transaction() as transaction:
        require_same(await transaction.store.load(stored.user_id), stored, "in the repetition")
        again = await transaction.store.save(_next(stored), expected=stored.revision)
        require(again is True, f"the repetition of a transaction returned {again!r} and not True")
        await transaction.commit()


@should("66", needs="joined")
async def conflicts_propagate_unchanged(kit: Kit) -> None:
    """The driver's own error of a conflict reaches the app, which knows what to retry."""
    # Frameworks retry by the class or the code of the driver's error, and a wrapper has neither.
    app = await App.of(kit)
    _, answer = await _conflict(kit, app)
    if isinstance(answer, bool):
        raise CheckSkipped(NO_CONFLICT)
    require(
        isinstance(answer, app.harness.retryable),
        f"a conflict was wrapped in {type(answer).__name__}: the app's own retry does not see it",
    )


CHECKS = (
    rollback_discards,
    commit_keeps_both,
    refused_create_spares_the_transaction,
    refused_update_spares_the_transaction,
    own_writes_are_read,
    transaction_ends_by_the_app_alone,
    second_writer_waits_its_turn,
    conflict_ends_well,
    conflicts_propagate_unchanged,
)
