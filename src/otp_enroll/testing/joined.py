"""What the joined checks drive: an app's transactions with a joined store inside.

The kit cannot know how an app begins and commits, so the author of an adapter writes these few
methods, with the app's own library, on the app's own table.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

from otp_enroll.storage.protocol import AsyncEnrollmentStore, EnrollmentStore


class JoinedTransaction(Protocol):
    """One transaction of the app, on a connection of its own.

    Its methods may be plain or ``async def``. Leaving the context manager that gave it without
    a commit rolls it back.
    """

    @property
    def store(self) -> EnrollmentStore | AsyncEnrollmentStore:
        """The joined store over this transaction's connection or session."""
        ...

    def commit(self) -> object:
        """Commit, as the app would."""
        ...

    def rollback(self) -> object:
        """Roll back, as the app would."""
        ...

    def write_app_row(self, key: str) -> object:
        """Insert a row into some table of the app, in this transaction.

        It is how a check sees that the store ended, or broke, a transaction which is not its own.

        Args:
            key: The row's; no other row has it.
        """
        ...


class JoinedHarness(Protocol):
    """How the kit gets at the app's transactions, on the data that ``open_store`` has.

    Attributes:
        lock_timeout: Seconds within which a statement that waits for a lock must answer. Set one
            on the app's connections: PostgreSQL's default is to wait without end.
        retryable: What the driver raises when the app is to repeat its transaction: for
            serialisation failures, deadlocks, lock timeouts and "database is locked".
    """

    @property
    def lock_timeout(self) -> float:
        """Seconds."""
        ...

    @property
    def retryable(self) -> tuple[type[BaseException], ...]:
        """Classes of exceptions."""
        ...

    def transaction(
        self,
    ) -> AbstractContextManager[JoinedTransaction] | AbstractAsyncContextManager[JoinedTransaction]:
        """Begin a transaction at the database's default isolation.

        The default, because apps run at it, and MySQL's (REPEATABLE READ) is where a load shows
        what was committed long before.
        """
        ...

    def has_app_row(self, key: str) -> object:
        """Return, outside all transactions, whether that row is committed; plain or awaited."""
        ...
