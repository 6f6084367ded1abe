"""The stores for tests: one conditional save, and nothing that outlives the process."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_enroll import StoredEnrollment
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore


def record(
    user_id: str = "user-42",
    revision: str = "1" * 32,
    state: str = "disabled",
    setup_expires_at: int | None = None,
) -> StoredEnrollment:
    return StoredEnrollment(
        user_id=user_id,
        revision=revision,
        state=state,
        setup_expires_at=setup_expires_at,
        changed_at=0,
        document=f"document of {revision}",
    )


def test_unknown_id_is_none() -> None:
    """An id that was never saved has no record."""
    assert MemoryStore().load("user-42") is None


def test_create_once() -> None:
    """The first create is stored, the second one is refused and changes nothing."""
    store = MemoryStore()
    assert store.save(record(), expected=None) is True
    assert store.save(record(revision="2" * 32), expected=None) is False
    assert store.load("user-42") == record()


def test_update_from_the_stored_revision_alone() -> None:
    """A save is stored if it expects the stored revision, and refused if any other."""
    store = MemoryStore()
    store.save(record(), expected=None)
    for other in ("", "1", "1" * 31, "2" * 32):
        assert store.save(record(revision="3" * 32), expected=other) is False
    assert store.load("user-42") == record()
    assert store.save(record(revision="3" * 32), expected="1" * 32) is True
    assert store.load("user-42") == record(revision="3" * 32)


@pytest.mark.parametrize("expected", ["", "1" * 32])
def test_update_of_nothing_is_refused(expected: str) -> None:
    """A save that expects a revision where there is no record creates none."""
    store = MemoryStore()
    assert store.save(record(), expected=expected) is False
    assert store.load("user-42") is None


@pytest.mark.regression_of("B-29")
def test_delete_is_for_good() -> None:
    """A deleted record is gone, may be deleted again, and no late save brings it back."""
    store = MemoryStore()
    store.save(record(), expected=None)
    store.save(record("user-43"), expected=None)
    store.delete("user-42")
    store.delete("user-42")
    assert store.load("user-42") is None
    assert store.save(record(revision="2" * 32), expected="1" * 32) is False
    assert store.load("user-42") is None
    assert store.load("user-43") == record("user-43")


@pytest.mark.requirement("R-64")
def test_one_of_many_threads_saves() -> None:
    """Of sixteen threads that expect the same revision exactly one is told that it saved."""
    store = MemoryStore()
    store.save(record(revision="0" * 32), expected=None)
    gate = threading.Barrier(16)

    def save(number: int) -> bool:
        gate.wait()
        return store.save(record(revision=f"{number:032x}"), expected="0" * 32)

    with ThreadPoolExecutor(16) as pool:
        saved = list(pool.map(save, range(1, 17)))
    assert saved.count(True) == 1
    found = store.load("user-42")
    assert found is not None
    assert found.revision == f"{saved.index(True) + 1:032x}"


class Slow(str):
    """A revision that takes its time to be compared, so that every thread is in the middle."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        time.sleep(0.005)
        return str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-19")
def test_comparing_and_setting_is_one_step() -> None:
    """However long the comparison takes, no other save comes between it and the write."""
    store = MemoryStore()
    store.save(record(revision="0" * 32), expected=None)
    gate = threading.Barrier(8)

    def save(number: int) -> bool:
        gate.wait()
        return store.save(record(revision=f"{number:032x}"), expected=Slow("0" * 32))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(save, range(1, 9))).count(True) == 1


def listed(store: MemoryStore) -> AsyncMemoryStore:
    """Put an async store over the same records."""
    other = AsyncMemoryStore()
    other._store = store
    return other


@given(
    st.lists(
        st.builds(
            record,
            user_id=st.text(min_size=1, max_size=3),
            state=st.sampled_from(["disabled", "pending", "confirmed"]),
            setup_expires_at=st.none() | st.integers(0, 4),
        ),
        unique_by=lambda one: one.user_id,
        max_size=8,
    ),
    st.none() | st.sampled_from(["disabled", "pending", "confirmed"]),
    st.none() | st.integers(0, 5),
    st.integers(1, 3),
)
def test_pages_of_ids_are_complete(
    records: list[StoredEnrollment], state: str | None, before: int | None, limit: int
) -> None:
    """Paging by the last id yields each id that is asked for once, in order; both flavours do."""
    store = MemoryStore()
    for one in records:
        store.save(one, expected=None)
    found: list[str] = []
    while page := store.user_ids(
        state=state, setup_expired_before=before, after=found[-1] if found else None, limit=limit
    ):
        assert len(page) <= limit
        awaited = listed(store).user_ids(
            state=state,
            setup_expired_before=before,
            after=found[-1] if found else None,
            limit=limit,
        )
        assert asyncio.run(awaited) == page
        found += page
    assert found == sorted(
        one.user_id
        for one in records
        if state in {None, one.state}
        and (before is None or (one.setup_expires_at is not None and one.setup_expires_at < before))
    )


def test_a_thousand_ids_a_page() -> None:
    """Without a limit, at most a thousand ids are listed."""
    store = MemoryStore()
    for number in range(1001):
        store.save(record(f"{number:04}"), expected=None)
    assert len(store.user_ids()) == 1000
    assert store.user_ids(after="0999") == ["1000"]


def test_async_store_does_the_same() -> None:
    """The async store loads, saves and deletes by the same rules."""

    async def scenario() -> None:
        store = AsyncMemoryStore()
        assert await store.load("user-42") is None
        assert await store.save(record(), expected=None) is True
        assert await store.save(record(revision="2" * 32), expected=None) is False
        assert await store.save(record(revision="2" * 32), expected="1" * 32) is True
        assert await store.load("user-42") == record(revision="2" * 32)
        assert await store.user_ids() == ["user-42"]
        await store.delete("user-42")
        assert await store.load("user-42") is None

    asyncio.run(scenario())


def test_flavours_have_the_same_methods() -> None:
    """The two stores differ in the awaiting alone."""
    for name in ("load", "save", "delete", "user_ids"):
        plain, awaited = getattr(MemoryStore, name), getattr(AsyncMemoryStore, name)
        assert inspect.signature(plain) == inspect.signature(awaited)
        assert not inspect.iscoroutinefunction(plain)
        assert inspect.iscoroutinefunction(awaited)


@pytest.mark.requirement("R-66")
def test_docstring_says_for_tests() -> None:
    """The store that forgets says that it is for tests."""
    assert "For tests only" in (MemoryStore.__doc__ or "")
