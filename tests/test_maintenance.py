"""Maintenance over many rows: pages, limits, and rows that are busy, damaged or shut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from helpers.ciphers import Naming
from helpers.flows import Make, PlainStore
from otp_enroll import errors
from otp_enroll.storage.aesgcm import AESGCMKeyRing


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
def test_resealing_counts_by_key_what_the_cipher_names(make_flow: Make) -> None:
    """Rows are counted by the key that they need; one without a name is passed over."""
    flow = make_flow(cipher=Naming())
    for number, key in enumerate((1, 2, 2, 3, 4)):
        flow.cipher.key = key
        flow.enroller.begin(f"user-{number}", account_name="sara")
    flow.cipher.lost = {1, 2, 3}
    report = flow.enroller.reseal()
    assert (report.unreadable, report.complete) == (4, True)
    assert report.keys_needed == {"first": 1, "second": 2}


def test_maintenance_wants_a_store_that_lists_and_a_sensible_limit(flow: Any) -> None:
    """Without user_ids, and with a limit that is none, maintenance refuses and does nothing."""
    bare = flow.another()
    bare._store = PlainStore(flow.store)
    for act in (bare.purge_expired, bare.reseal):
        with pytest.raises(TypeError, match="user_ids"):
            act()
    for limit, expected in ((0, ValueError), (-1, ValueError), (True, TypeError), ("1", TypeError)):
        for act in (flow.enroller.purge_expired, flow.enroller.reseal):
            with pytest.raises(expected):
                act(limit=limit)


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
