"""Maintenance over many rows: pages, limits, and rows that are busy, damaged or shut."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from helpers.ciphers import Naming, Rotating
from helpers.flows import Make, settled
from otp_enroll import AsyncEnroller, Enroller, StoredEnrollment, Unencrypted, errors
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.testing import FrozenClock


@pytest.mark.requirement("R-46")
def test_purge_erases_expired_setups_and_nothing_else(flow: Any) -> None:
    """purge_expired drops expired setups, as many as asked, and again for the rest."""
    for number in range(5):
        flow.enroller.begin(f"old-{number}", account_name="sara")
    flow.clock.advance(900)
    flow.enroller.begin("new", account_name="sara")
    phone, _ = flow.enroll("on")
    assert flow.enroller.purge_expired(limit=2) == 2
    assert flow.enroller.purge_expired() == 3
    assert flow.enroller.purge_expired() == 0
    assert all("sealed" not in flow.store.load(f"old-{n}").document for n in range(5))
    assert flow.enroller.status("new").state == "pending"
    flow.enroller.verify("on", phone.code())


def test_maintenance_passes_over_a_busy_row(flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A row that others change without end is logged, and the rest is done."""
    for user_id in ("a", "b", "c"):
        flow.enroller.begin(user_id, account_name="sara")
    flow.clock.advance(900)
    save = flow.store.save
    flow.store.save = lambda record, expected: (
        record.user_id != "b" and save(record, expected=expected)
    )
    assert flow.enroller.purge_expired() == 2
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("StoreContentionError for 'b'")
    assert flow.enroller.status("b").state == "disabled"
    assert "sealed" in flow.store.load("b").document


def test_purge_passes_over_a_damaged_row(flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """One damaged row does not keep the others from being purged, and it is logged."""
    for user_id in ("a", "b", "c"):
        flow.enroller.begin(user_id, account_name="sara")
    damaged = replace(flow.store.load("b"), document="{", revision="0" * 32)
    assert flow.store.save(damaged, expected=flow.store.load("b").revision)
    flow.clock.advance(900)
    assert flow.enroller.purge_expired() == 2
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().startswith("CorruptRecordError for 'b'")
    assert flow.store.load("b") == damaged


def test_resealing_of_a_busy_row_is_not_complete(flow: Any) -> None:
    """The report does not let a key go that a row in motion may still need."""
    for user_id in ("a", "b"):
        flow.enroller.begin(user_id, account_name="sara")
    ring = AESGCMKeyRing({"2026": bytes(32)}, accept_unencrypted=True)
    save = flow.store.save
    flow.store.save = lambda record, expected: (
        record.user_id != "b" and save(record, expected=expected)
    )
    report = flow.another(cipher=ring).reseal()
    assert (report.resealed, report.unreadable, report.complete) == (1, 0, False)


@pytest.mark.requirement("R-91")
def test_resealing_counts_by_key_what_the_cipher_names(
    make_flow: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows are counted by the key that they need, and the log says whose they are."""
    flow = make_flow(cipher=Naming())
    for number, key in enumerate((1, 2, 2, 3, 4)):
        flow.cipher.key = key
        flow.enroller.begin(f"user-{number}", account_name="sara")
    flow.cipher.lost = {1, 2, 3}
    report = flow.enroller.reseal()
    assert (report.unreadable, report.complete) == (4, True)
    assert report.keys_needed == {"first": 1, "second": 2}  # of key 3 the cipher names no id
    assert [record.getMessage() for record in caplog.records] == [
        f"reseal found a secret of 'user-{number}' that no key opens" for number in range(4)
    ]


@pytest.mark.requirement("R-91")
def test_resealing_is_complete_when_no_row_is_left(make_flow: Make) -> None:
    """A limit that leaves rows makes the report incomplete; one that just suffices does not."""
    flow = make_flow(cipher=Rotating())
    for number in range(5):
        flow.enroller.begin(f"user-{number}", account_name="sara")
    flow.cipher.key = 2
    report = flow.enroller.reseal(limit=2)
    assert (report.examined, report.resealed, report.complete) == (2, 2, False)
    report = flow.enroller.reseal(limit=3)
    assert (report.examined, report.resealed, report.complete) == (5, 3, True)


@pytest.mark.requirement("R-91")
def test_every_damaged_row_counts_as_unreadable(flow: Any) -> None:
    """Nobody knows which key a damaged row needs, so each one is counted and none is named."""
    for user_id in ("a", "b", "c"):
        flow.enroller.begin(user_id, account_name="sara")
    for user_id in ("a", "c"):
        record = flow.store.load(user_id)
        damaged = replace(record, document="{", revision="0" * 32)
        assert flow.store.save(damaged, expected=record.revision)
    report = flow.enroller.reseal()
    assert (report.examined, report.unreadable, report.complete) == (3, 2, True)
    assert report.keys_needed == {}


@pytest.mark.requirement("R-62")
def test_store_that_fails_ends_the_walk(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that the store could not load is not passed over: a key that it needs might go."""
    for user_id in ("a", "b", "c"):
        flow.enroller.begin(user_id, account_name="sara")
    flow.clock.advance(900)
    load = flow.store.load

    def broken(user_id: str) -> StoredEnrollment | None:
        if user_id == "b":
            raise ConnectionError
        found: StoredEnrollment | None = load(user_id)
        return found

    monkeypatch.setattr(flow.store, "load", broken)
    for act in (flow.enroller.purge_expired, flow.enroller.reseal):
        with pytest.raises(errors.StorageError):
            act()
    assert "sealed" in load("c").document


class Asked(MemoryStore):
    """A store that keeps what its listing was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int | None, str | None, int]] = []

    def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[str]:
        self.asked.append((setup_expired_before, after, limit))
        return super().user_ids(
            state=state, setup_expired_before=setup_expired_before, after=after, limit=limit
        )


class AsyncAsked(AsyncMemoryStore):
    """The same, awaited."""

    def __init__(self) -> None:
        super().__init__()
        self._store = Asked()
        self.asked = self._store.asked


class Bare(MemoryStore):
    """A store that lists no ids."""

    user_ids: Any = None


class AsyncBare(AsyncMemoryStore):
    """The same, awaited."""

    user_ids: Any = None


@pytest.mark.parametrize(
    ("flavour", "store_type"), [(Enroller, Asked), (AsyncEnroller, AsyncAsked)]
)
def test_listing_is_asked_for_what_is_due(
    flavour: Any, store_type: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A purge asks for setups that have expired by now, reseal for all, each for page after page.

    A store of a million accounts must not list them all where a few setups have expired.
    """
    monkeypatch.setattr("otp_enroll.maintenance.PAGE", 2)
    clock, store = FrozenClock(), store_type()
    enroller = flavour(store, issuer="Exir", cipher=Unencrypted(), clock=clock)

    async def run() -> None:
        for number in range(3):
            await settled(enroller.begin(f"user-{number}", account_name="sara"))
        assert await settled(enroller.reseal()) is not None
        assert store.asked == [(None, None, 2), (None, "user-1", 2)]
        store.asked.clear()
        clock.advance(900)
        assert await settled(enroller.purge_expired()) == 3
        # "before the next second" has the setups that expire in this one, and no later ones
        due = int(clock()) + 1
        assert store.asked == [(due, None, 2), (due, "user-1", 2)]

    asyncio.run(run())


@pytest.mark.parametrize("flavour", [Enroller, AsyncEnroller])
def test_maintenance_wants_a_store_that_lists_and_a_sensible_limit(flavour: Any) -> None:
    """Without user_ids, and with a limit that is none, maintenance refuses and does nothing."""
    whole, bare = (MemoryStore, Bare) if flavour is Enroller else (AsyncMemoryStore, AsyncBare)
    limits: list[tuple[Any, type[Exception], str]] = [
        (0, ValueError, "limit must be at least 1"),
        (-1, ValueError, "limit must be at least 1"),
        (True, TypeError, "limit must be an int or None"),
        ("1", TypeError, "limit must be an int or None"),
    ]

    async def run() -> None:
        for name in ("purge_expired", "reseal"):
            enroller = flavour(bare(), issuer="Exir", cipher=Unencrypted())
            with pytest.raises(TypeError, match=r"^the store has no method user_ids$"):
                await settled(getattr(enroller, name)())
            enroller = flavour(whole(), issuer="Exir", cipher=Unencrypted())
            for limit, expected, said in limits:
                with pytest.raises(expected, match=f"^{said}$"):
                    await settled(getattr(enroller, name)(limit=limit))

    asyncio.run(run())


def test_maintenance_reads_page_after_page(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More accounts than a page holds are all reached, each once."""
    monkeypatch.setattr("otp_enroll.maintenance.PAGE", 3)
    for number in range(9):
        flow.enroller.begin(f"user-{number}", account_name="sara")
    assert flow.enroller.reseal().examined == 9
    flow.clock.advance(900)
    assert flow.enroller.purge_expired() == 9


def test_maintenance_ends_on_a_store_that_begins_anew(
    flow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing that does not look at where to start is an error, and no endless round."""
    monkeypatch.setattr("otp_enroll.maintenance.PAGE", 2)
    for number in range(3):
        flow.enroller.begin(f"user-{number}", account_name="sara")
    whole = flow.store.user_ids
    flow.store.user_ids = lambda after=None, **wanted: whole(**wanted)
    with pytest.raises(errors.AdapterError) as refused:
        flow.enroller.reseal()
    assert refused.value.fault == "user_ids returned the id that it was to start after"
