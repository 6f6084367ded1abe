"""Checks 43 to 52: of requests that come at once exactly one wins, and no write is lost.

Each answer is compared with what is stored then. It is not enough that one says ``True``: it must
be the one whose record is there.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from otp_enroll.attempt import FIRST_PAUSE, MAX_PAUSE, MAX_TRIES
from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Handle
from otp_enroll.testing.kit import (
    THREAD_BOUND,
    CheckSkipped,
    Kit,
    make_record,
    must,
    new_revision,
    require,
    require_same,
    should,
)
from otp_enroll.testing.processes import race_processes, rivals_of
from otp_enroll.testing.races import (
    ROUNDS,
    WORKERS,
    SlowText,
    Stop,
    quick_switching,
    race,
    rounds,
    slow,
    stops,
)

_INCREMENTS: Final = 8
_MOST_REFUSALS: Final = 2 * (WORKERS - 1) * _INCREMENTS
"""Refusals in a row that are a livelock.

A save is refused because another one was stored since the load: half as many times in all, on
the busiest machine too. The rest is for databases that end a race by refusing both.
"""


async def _one_winner(
    reader: Handle, rivals: Sequence[StoredEnrollment], answers: Sequence[object]
) -> StoredEnrollment:
    """Return the one record whose save returned ``True``, and find it stored."""
    winners = [rival for rival, answer in zip(rivals, answers, strict=True) if answer is True]
    require(
        len(winners) == 1,
        f"{len(winners)} of {len(rivals)} saves at once returned True: "
        + ", ".join(sorted({repr(answer) for answer in answers})),
    )
    require_same(await reader.load(winners[0].user_id), winners[0], "after the race that it won")
    return winners[0]


async def _rivalry(
    handles: Sequence[Handle],
    user_id: str,
    expected: str | None,
    stop: Stop | None = None,
    *,
    first_expects: str | None = None,
) -> StoredEnrollment:
    """Let each handle save once and return the record that won; a stop holds the first one up.

    Args:
        handles: The rivals.
        user_id: Whose account it is.
        expected: The revision that all expect, or ``None`` to create.
        stop: Where the first is held up.
        first_expects: The same revision for the first alone, in a form that is slow to compare.
    """
    rivals = [make_record(user_id) for _ in handles]
    given = rivals if stop is None else [slow(rivals[0], stop.touches), *rivals[1:]]
    expectations = [first_expects or expected, *[expected] * (len(rivals) - 1)]
    calls = [
        handle.called("save", record, expected=expectation)
        for handle, record, expectation in zip(handles, given, expectations, strict=True)
    ]
    return await _one_winner(handles[0], rivals, await race(calls, stop))


@must("43")
async def one_create_wins(kit: Kit) -> None:
    """Of creates that come at once exactly one is True, and its record is the stored one."""
    # Two winners are two setups for one account, of which one is lost when its owner confirms it.
    handles, user_id = await kit.many(WORKERS), kit.names.new()
    for stop in rounds():
        await _rivalry(handles, user_id, None, stop)
        await handles[0].delete(user_id)


@must("44")
async def one_update_wins(kit: Kit) -> None:
    """Of updates from one revision exactly one is True, and its record is the stored one."""
    # Two winners are one code accepted twice. And the winner's record is what must be stored: a
    # store that says True because of a later look may have the loser's.
    handles = await kit.many(WORKERS)
    record = await kit.created(handles[0])
    for stop in rounds():
        record = await _rivalry(handles, record.user_id, record.revision, stop)


@must("45")
async def shared_handle_has_one_winner(kit: Kit) -> None:
    """The same holds when threads or tasks share one handle."""
    # A web server has one store for all threads; a row count that stands in the handle is then
    # somebody else's.
    handle = await kit.open()
    if handle.is_thread_bound:
        raise CheckSkipped(THREAD_BOUND)
    handles, user_id = kit.shared(handle, WORKERS), kit.names.new()
    record = await kit.created(handle)
    for _ in range(ROUNDS):
        await _rivalry(handles, user_id, None)
        await handle.delete(user_id)
    for _ in range(2 * ROUNDS):
        record = await _rivalry(handles, record.user_id, record.revision)


@must("46")
async def slow_comparison_has_one_winner(kit: Kit) -> None:
    """One update wins though a comparison in application code would take its time."""
    # The two steps of some stores lie so close together that no race parts them but this.
    handles = await kit.many(WORKERS)
    record = await kit.created(handles[0])
    for stop in stops():
        expected = record.revision
        slowly = SlowText(expected, stop.touches)
        record = await _rivalry(handles, record.user_id, expected, stop, first_expects=slowly)


async def _increment(handle: Handle, user_id: str) -> None:
    """Add one by the library's own loop with its pauses, and by users who ask again."""
    for tried in range(_MOST_REFUSALS):
        found = await handle.present(user_id)
        document = json.dumps({"count": json.loads(found.document)["count"] + 1})
        later = replace(found, revision=new_revision(), document=document)
        if await handle.save(later, expected=found.revision) is True:
            return
        longest = min(FIRST_PAUSE * 2.0 ** (tried % MAX_TRIES), MAX_PAUSE)
        await asyncio.sleep(longest * secrets.randbelow(1000) / 1000)
    raise AssertionError(f"an update was refused {_MOST_REFUSALS} times in a row: a livelock")


async def _increments(handle: Handle, user_id: str) -> None:
    for _ in range(_INCREMENTS):
        await _increment(handle, user_id)


@must("47")
async def no_update_is_lost(kit: Kit) -> None:
    """Increments by the library's loop, from all workers at once, all count."""
    # What was answered True must be there: each is a wrong code that was counted, or a code spent.
    handles = await kit.many(WORKERS)
    record = await kit.created(handles[0], document='{"count":0}')
    with quick_switching():
        await asyncio.gather(*(_increments(handle, record.user_id) for handle in handles))
    count = json.loads((await handles[0].present(record.user_id)).document)["count"]
    made = WORKERS * _INCREMENTS
    require(count == made, f"of {made} increments that save accepted {count} are stored")


@must("49")
async def delete_beats_a_racing_save(kit: Kit) -> None:
    """A delete that races an update leaves nothing, whichever comes first."""
    # Erased is erased, whichever of the two the database takes first.
    saver, deleter = await kit.pair()
    user_id = kit.names.new()
    for stop in rounds():
        record = await kit.created(saver, user_id)
        later, expected = make_record(user_id), record.revision
        if stop is not None:
            later, expected = slow(later, stop.touches), SlowText(expected, stop.touches)
        calls = [
            saver.called("save", later, expected=expected),
            deleter.called("delete", user_id),
        ]
        await race(calls, stop)
        found = await deleter.load(user_id)
        require(found is None, "an update that raced a delete revived the record")


async def _chain(handle: Handle, record: StoredEnrollment) -> None:
    """Update an account that nobody else touches, again and again."""
    for _ in range(_INCREMENTS):
        later = replace(record, revision=new_revision())
        stored = await handle.save(later, expected=record.revision)
        require(stored is True, f"while others save other accounts, an update returned {stored!r}")
        record = later


@must("50")
async def accounts_do_not_conflict(kit: Kit) -> None:
    """Workers that each save an account of their own are never refused."""
    # One lock, or one revision, for the whole table makes a crowd at one account everybody's
    # problem.
    handles = await kit.many(WORKERS)
    records = [await kit.created(handle) for handle in handles]
    with quick_switching():
        await asyncio.gather(*map(_chain, handles, records))


@must("51", needs="import_path")
async def one_process_wins(kit: Kit) -> None:
    """Of two processes that update from one revision exactly one is told True."""
    # A lock in memory holds back threads and no processes, and an app on two machines is two
    # processes.
    handle = await kit.open()
    record = await kit.created(handle)
    async with rivals_of(kit.inputs.import_path or "") as processes:
        for stop in rounds():
            rivals = [make_record(record.user_id) for _ in processes]
            answers = await race_processes(processes, rivals, record.revision, stop)
            record = await _one_winner(handle, rivals, answers)


@should("52")
async def losers_get_false(kit: Kit) -> None:
    """Whoever loses a race is told False; no deadlock or error of the database surfaces."""
    # Deadlocks and serialisation failures are races lost, not failures: a user would be shown an
    # error page.
    creating, *updating, deleting = await kit.many(WORKERS)
    user_id = kit.names.new()
    for _ in range(ROUNDS):
        record = await kit.created(creating, user_id)
        calls = [
            creating.called("save", make_record(record.user_id), expected=None),
            *(
                handle.called("save", make_record(record.user_id), expected=record.revision)
                for handle in updating
            ),
            deleting.called("delete", record.user_id),
        ]
        raised = [answer for answer in await race(calls) if isinstance(answer, Exception)]
        names = ", ".join(sorted({type(error).__name__ for error in raised}))
        require(not raised, f"a race raised {names}: a loser is told False")
        await deleting.delete(user_id)


CHECKS = (
    one_create_wins,
    one_update_wins,
    shared_handle_has_one_winner,
    slow_comparison_has_one_winner,
    no_update_is_lost,
    delete_beats_a_racing_save,
    accounts_do_not_conflict,
    one_process_wins,
    losers_get_false,
)
