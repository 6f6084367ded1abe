"""Erasing an account, purging an expired setup, and resealing: what each leaves and writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from helpers.ciphers import Rotating, Unsure
from helpers.flows import USER, VOUCHED, Make
from otp_enroll import errors


def test_erase_deletes_the_row_and_takes_an_override_alone(flow: Any) -> None:
    """Without an Override nothing is deleted; with one the row is gone, also if it was damaged."""
    phone, _ = flow.enroll()
    with pytest.raises(errors.ProofRequiredError):
        flow.enroller.erase(USER, proof=None)
    with pytest.raises(TypeError):
        flow.enroller.erase(USER, proof=phone.code())
    assert flow.store.deletes == 0
    record = flow.store.load(USER)
    damaged = replace(record, document="{", revision="0" * 32)
    assert flow.store.save(damaged, expected=record.revision)
    flow.told.clear()
    flow.enroller.erase(USER, proof=VOUCHED)
    assert flow.store.load(USER) is None
    assert flow.names_of_events() == ["OverrideUsed", "EnrollmentErased"]
    flow.enroller.erase(USER, proof=VOUCHED)


def test_purge_leaves_the_working_authenticator(flow: Any) -> None:
    """Maintenance drops the expired replacement of a confirmed account, and nothing else."""
    phone, _ = flow.enroll()
    flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.clock.advance(900)
    assert flow.enroller.purge_expired() == 1
    assert flow.enroller.status(USER).state == "confirmed"
    flow.enroller.verify(USER, phone.code())


def test_purge_leaves_a_setup_that_was_begun_since_it_looked(flow: Any) -> None:
    """An id that was listed as expired, and has a live setup by now, is left alone."""
    setup = flow.enroller.begin(USER, account_name="sara")
    flow.store.user_ids = lambda **wanted: [USER]
    assert flow.enroller.purge_expired() == 0
    assert flow.enroller.resume(USER, setup_id=setup.id).key == setup.key


def test_resealing_a_staged_setup_leaves_it_beside_the_working_authenticator(
    make_flow: Make,
) -> None:
    """With both secrets under a new key, the old phone logs in and the new one can be confirmed."""
    flow = make_flow(cipher=Rotating())
    phone, _ = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", authenticator="tablet", proof=VOUCHED)
    flow.cipher.key = 2
    assert flow.enroller.reseal().resealed == 1
    flow.cipher.lost = {1}
    flow.enroller.verify(USER, phone.code())
    flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    assert [one.name for one in flow.enroller.status(USER).authenticators] == ["default", "tablet"]


@pytest.mark.parametrize("cipher", [Rotating, Unsure])
def test_resealing_drops_an_expired_setup_and_seals_the_rest(make_flow: Make, cipher: Any) -> None:
    """An expired setup under a lost key is no secret to be sealed anew; the working one is."""
    flow = make_flow(cipher=cipher())
    phone, _ = flow.enroll()
    flow.cipher.key = 2
    flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.clock.advance(900)
    flow.cipher.key, flow.cipher.lost = 3, {2}
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable, report.complete) == (1, 0, True)
    flow.cipher.lost = {1, 2}
    flow.enroller.verify(USER, phone.code())


@pytest.mark.parametrize("lost", [set(), {2}])
def test_resealing_writes_nothing_for_an_expired_setup(make_flow: Make, lost: set[int]) -> None:
    """Where only an expired setup is of an older key, the row is neither written nor counted."""
    flow = make_flow(cipher=Rotating())
    flow.cipher.key = 3
    flow.enroll()
    flow.cipher.key = 2
    flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.clock.advance(900)
    flow.cipher.key, flow.cipher.lost = 3, lost
    stored = flow.store.load(USER)
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable, report.complete) == (0, 0, True)
    assert flow.store.load(USER) == stored
