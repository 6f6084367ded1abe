"""Races made certain: calls that start together, and rivals that act in the middle of a save.

A race that is merely run often misses most mistakes: between a comparison in Python and the write
behind it lie microseconds. So the values that a save is given hold it up at each place where it
looks at them, while its rivals are let through. A database looks at its own copy and minds nothing.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Final

from typing_extensions import Self

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Call

WORKERS: Final = 4
"""Handles, each in a thread of its own or as a task, that race at once."""

ROUNDS: Final = 30
"""Races in a check, with those in which the first save is held up."""

_PATIENCE: Final = 0.3
_MOST_STOPS: Final = 20  # a save that touches its values more often is measured by these
_FIELDS: Final = frozenset(field.name for field in fields(StoredEnrollment))


class Touches:
    """Counts how often a save touches what it was given, and calls back at one of them.

    To compare the expected revision is a touch, and to read a field of the record is one.

    Args:
        at: At which touch, counted from 1.
        hold: What is called then.
    """

    def __init__(self, at: int, hold: Callable[[], object]) -> None:
        self._left = at
        self._hold = hold

    def count(self) -> None:
        """Count one."""
        self._left -= 1
        if self._left == 0:
            self._hold()

    def end(self) -> None:
        """Call back no more: the save is done, and its store may have kept the record.

        A later load that compares it would else be held up, and be taken for a hang.
        """
        self._left = 0


class SlowText(str):
    """A revision that is slow to compare.

    A database compares its own copy and never asks; application code that compares first and
    writes after lets every rival in between.
    """

    __slots__ = ("_touches",)
    _touches: Touches

    def __new__(cls, text: str, touches: Touches) -> Self:
        """Make the text slow."""
        self = super().__new__(cls, text)
        self._touches = touches
        return self

    def __eq__(self, other: object) -> bool:
        self._touches.count()
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__  # lost with __eq__ otherwise, and a store in memory may look it up

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)  # who copies it, or sends it elsewhere, has plain text


class SlowRecord(StoredEnrollment):
    """A record whose fields are slow to read, which parts a check from its act."""

    __slots__ = ("_touches",)
    _touches: Touches

    def __getattribute__(self, name: str) -> object:
        if name in _FIELDS and hasattr(self, "_touches"):  # a copy has none
            self._touches.count()
        return super().__getattribute__(name)


def slow(record: StoredEnrollment, touches: Touches) -> StoredEnrollment:
    """Return the record, slow to read: each look at a field is a touch."""
    slowed = SlowRecord(
        user_id=record.user_id,
        revision=record.revision,
        state=record.state,
        setup_expires_at=record.setup_expires_at,
        changed_at=record.changed_at,
        document=record.document,
    )
    object.__setattr__(slowed, "_touches", touches)
    return slowed


class Stop:
    """Holds one save up at its n-th touch, until its rivals are done.

    A store that looks first and writes after is held between the two for some n, and the rivals
    get in. A database is held before its one statement. A store that lets no rival in meanwhile
    is released when the patience is over.

    Args:
        at: At which touch, counted from 1.
        patience: Seconds.
    """

    def __init__(self, at: int, patience: float) -> None:
        self.at = at
        self.patience = patience
        self.touches = Touches(at, self._hold)
        self.is_reached = False
        self.is_in_vain = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._begun = asyncio.Event()
        self._done = threading.Event()

    def _hold(self) -> None:
        self.is_reached = True
        # Held up in a thread, the save waits while the loop lets the rivals through.
        if threading.get_ident() == self._thread:
            self._begun.set()  # tasks change over where they await; here all of them would wait
            return
        self._loop.call_soon_threadsafe(self._begun.set)
        self.is_in_vain = not self._done.wait(self.patience)

    async def answers(self, first: Call, rivals: Sequence[Call]) -> list[object]:
        """Make the first call, and the rivals when it is held up, or done.

        Args:
            first: The save that is held up.
            rivals: What is done meanwhile.

        Returns:
            What all returned, or raised, in order.
        """

        async def held() -> list[object]:
            try:
                return await _together([first])
            finally:
                self.touches.end()
                self._begun.set()  # a save that ends before its touch must not keep the rivals

        async def others() -> list[object]:
            await self._begun.wait()
            try:
                return await _together(rivals)
            finally:
                self._done.set()

        answers = await asyncio.gather(held(), others())
        return [answer for some in answers for answer in some]


def stops() -> Iterator[Stop]:
    """Give a stop for each touch that a save makes, and one more.

    Each wait in vain halves the patience: a store that holds its rivals back costs 0.6 s.
    """
    patience = _PATIENCE
    for at in range(1, _MOST_STOPS + 1):
        stop = Stop(at, patience)
        yield stop
        if not stop.is_reached:
            return
        if stop.is_in_vain:
            patience /= 2


def rounds() -> Iterator[Stop | None]:
    """Give all stops, and for the rest of the rounds none: there everybody hurries."""
    stopped = 0
    for stop in stops():
        stopped += 1
        yield stop
    yield from [None] * (ROUNDS - stopped)


@contextmanager
def quick_switching() -> Generator[None]:
    """Let threads take turns as often as the interpreter can.

    By default one runs for 5 ms, in which a store's two steps nearly always fit.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def race(calls: Sequence[Call], stop: Stop | None = None) -> list[object]:
    """Make all calls at once and return their answers, or what they raised, in order.

    With a stop the first call begins, and the others are made when it is held up.

    Args:
        calls: Two or more, each with a handle of its own.
        stop: Where the first one is held up.
    """
    with quick_switching():
        if stop is None:
            return await _together(calls)
        return await stop.answers(calls[0], calls[1:])


async def _together(calls: Sequence[Call]) -> list[object]:
    barrier = threading.Barrier(len(calls))
    return await asyncio.gather(*(call.made(barrier) for call in calls), return_exceptions=True)
