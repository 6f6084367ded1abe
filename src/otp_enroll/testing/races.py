"""Races made certain: calls that start together, and values that are slow to compare or to read."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Final

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Call

WORKERS: Final = 4
ROUNDS: Final = 30
SLOW_ROUNDS: Final = 6
"""Rounds with slow values; they cost time, and one is enough where the store looks, then acts."""

_COMPARING: Final = 0.005
_READING: Final = 0.001
_FIELDS: Final = frozenset(field.name for field in fields(StoredEnrollment))


class SlowText(str):
    """A revision that takes its time to compare.

    A database compares its own copy and never asks; application code that compares first and
    writes after lets every rival in between.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        time.sleep(_COMPARING)
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class SlowRecord(StoredEnrollment):
    """A record whose fields take their time to read, which parts a check from its act."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> object:
        if name in _FIELDS:
            time.sleep(_READING)
        return super().__getattribute__(name)


def slow(record: StoredEnrollment) -> StoredEnrollment:
    """Return the record, slow to read."""
    return SlowRecord(
        user_id=record.user_id,
        revision=record.revision,
        state=record.state,
        setup_expires_at=record.setup_expires_at,
        changed_at=record.changed_at,
        document=record.document,
    )


@contextmanager
def quick_switching() -> Generator[None]:
    """Let threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def race(calls: Sequence[Call]) -> list[object]:
    """Make all calls at once and return their answers, or what they raised, in order."""
    barrier = threading.Barrier(len(calls))
    with quick_switching():
        return await asyncio.gather(*(call.made(barrier) for call in calls), return_exceptions=True)
