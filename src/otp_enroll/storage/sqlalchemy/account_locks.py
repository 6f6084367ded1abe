"""A lock for each account, so that a crowd at one account leaves the pool to the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

LockT = TypeVar("LockT", threading.Lock, asyncio.Lock)


class AccountLocks(Generic[LockT]):
    """One call at a time for one account, in this process.

    A pool is not fair: without this, a crowd that guesses at one account would hold all its
    connections, and everybody else's logins would wait for one. Nothing rests on it that must be
    right: what decides a race is the database's comparison, between processes too.

    Args:
        make: ``threading.Lock`` or ``asyncio.Lock``; one is made for each account in use.
    """

    def __init__(self, make: Callable[[], LockT]) -> None:
        self._make: Callable[[], LockT] = make
        # Of threads in both flavours: it is held for a look at a dict and never while waiting.
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[LockT, int]] = {}

    @contextmanager
    def lend(self, user_id: str) -> Generator[LockT]:
        """Lend the lock of an account, which exists while a call has it or waits for it.

        Args:
            user_id: Whose lock; the borrower acquires and releases it.
        """
        with self._guard:
            lock, users = self._locks.get(user_id) or (self._make(), 0)
            self._locks[user_id] = lock, users + 1
        try:
            yield lock
        finally:
            with self._guard:
                lock, users = self._locks.pop(user_id)
                # With the last borrower it goes, or guesses at made-up ids would fill the memory.
                if users > 1:
                    self._locks[user_id] = lock, users - 1
