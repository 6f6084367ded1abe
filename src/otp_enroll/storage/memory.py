"""Stores in the memory of one process, for tests: everything is gone when it ends.

They are the shortest example of the contract: one lock around the comparison and the write.
"""

from __future__ import annotations

import threading

from otp_enroll.storage.protocol import StoredEnrollment


class MemoryStore:
    """Enrollments in a dict. For tests only: no other process sees it, and it forgets.

    After a restart nobody has a second factor, each worker of a server has accounts and wrong
    tries of its own, and a fork takes a copy along: limits that hold in one process only are no
    limits (RFC 4226 §7.3).

    Safe to use from several threads.
    """

    joined = False

    def __init__(self) -> None:
        self._records: dict[str, StoredEnrollment] = {}
        self._lock = threading.Lock()

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the record, or ``None``."""
        # No lock: a record is frozen and is replaced as a whole, so a look-up sees one or the
        # other and never half of each.
        return self._records.get(user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store if the revision is the expected one, under the lock.

        Returns:
            ``True`` stored; ``False`` another revision is there, or one where ``expected`` is
            ``None``, or none where it is not.
        """
        with self._lock:
            found = self._records.get(record.user_id)
            # Compared and written under one lock: between the two a rival would get in, and one
            # code would be right twice (CWE-367).
            if (found and found.revision) != expected:
                return False
            self._records[record.user_id] = record
            return True

    def delete(self, user_id: str) -> None:
        """Delete the record, whether there is one or not."""
        with self._lock:
            self._records.pop(user_id, None)

    def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[str]:
        """Return ids in ascending order of their code points.

        The arguments are those of ``ListingStore.user_ids``.
        """
        with self._lock:  # a dict that changes while it is walked raises
            records = sorted(self._records.items())
        return [
            user_id
            for user_id, record in records
            if (after is None or user_id > after)
            and (state is None or record.state == state)
            and (setup_expired_before is None or _expires_before(record, setup_expired_before))
        ][:limit]


def _expires_before(record: StoredEnrollment, second: int) -> bool:
    return record.setup_expires_at is not None and record.setup_expires_at < second


class AsyncMemoryStore:
    """As ``MemoryStore``, awaited: each call is done before anything else runs.

    It belongs to no event loop, so that tests with a loop each may share one.
    """

    joined = False

    def __init__(self) -> None:
        self._store = MemoryStore()

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """As ``MemoryStore.load``."""
        return self._store.load(user_id)

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """As ``MemoryStore.save``."""
        return self._store.save(record, expected=expected)

    async def delete(self, user_id: str) -> None:
        """As ``MemoryStore.delete``."""
        self._store.delete(user_id)

    async def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[str]:
        """As ``MemoryStore.user_ids``."""
        return self._store.user_ids(
            state=state, setup_expired_before=setup_expired_before, after=after, limit=limit
        )
