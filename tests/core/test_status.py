"""What an account's status says, and when the time of its last change moves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, confirmed_of, fail
from otp_enroll import Status, errors


@pytest.mark.requirement("R-42")
@pytest.mark.regression_of("B-15", "B-16")
def test_only_a_confirmed_account_asks_for_codes(flow: Any) -> None:
    """Login asks for a code in the state confirmed alone, and pending codes verify nobody."""
    assert not flow.enroller.status(USER).required
    setup = flow.enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    assert not flow.enroller.status(USER).required
    with pytest.raises(errors.NotEnrolledError):
        flow.enroller.verify(USER, phone.code())
    flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert flow.enroller.status(USER).required


def test_status_tells_all_that_may_be_told(flow: Any) -> None:
    """Each authenticator with its times, the codes left, the waits, the setup and the change."""
    now = flow.clock.now
    phone, confirmation = flow.enroll()
    tablet = flow.add("tablet", VOUCHED)
    flow.enroller.verify(USER, tablet.code())
    flow.enroller.verify(USER, confirmation.recovery_codes[0])
    fail(flow, phone, tablet, times=5)
    for _ in range(5):
        with pytest.raises(errors.WrongCodeError):
            flow.enroller.verify(USER, "0" * 24)
    flow.enroller.begin(USER, account_name="sara", authenticator="laptop", proof=VOUCHED)
    flow.clock.advance(10)

    def at(seconds: float) -> datetime:
        return datetime.fromtimestamp(now + seconds, timezone.utc)

    status = flow.enroller.status(USER)
    stored = confirmed_of(flow)
    assert (status.user_id, status.state, status.required) == (USER, "confirmed", True)
    assert [
        (one.name, one.id, one.type, one.confirmed_at, one.last_used_at)
        for one in status.authenticators
    ] == [
        ("default", stored.authenticators[0].id, "totp", at(0), None),
        ("tablet", stored.authenticators[1].id, "totp", at(60), at(120)),
    ]
    assert (status.recovery_codes_left, status.locked) == (9, False)
    assert (status.retry_at, status.recovery_retry_at) == (at(150), at(150))
    assert status.setup_expires_at == at(120 + 900)
    assert status.changed_at == at(120)


def test_status_before_anything_is_confirmed(flow: Any) -> None:
    """Nothing is asked of a login, and a setup under way tells its end and no more."""
    assert flow.enroller.status(USER) == Status(user_id=USER, state="disabled", required=False)
    setup = flow.enroller.begin(USER, account_name="sara")
    assert flow.enroller.status(USER) == Status(
        user_id=USER, state="pending", required=False, setup_expires_at=setup.expires_at
    )


def test_misuse_of_a_status_says_what_to_do(flow: Any) -> None:
    """A status in an if, and a known_on that is no bool, are mistakes that name their remedy."""
    with pytest.raises(TypeError) as mistake:
        bool(flow.enroller.status(USER))
    assert str(mistake.value) == "a Status is neither true nor false: look at required"
    with pytest.raises(TypeError) as mistake:
        flow.enroller.status(USER, known_on="yes")
    assert str(mistake.value) == "known_on must be a bool"


@pytest.mark.requirement("R-79")
def test_changed_at_moves_with_changes_alone(flow: Any) -> None:
    """Confirm, removal, renewal and a recovery code move changed_at; begin and login do not."""
    assert flow.enroller.status(USER).changed_at is None
    setup = flow.enroller.begin(USER, account_name="sara")
    assert flow.enroller.status(USER).changed_at is None
    phone = flow.phone(setup)

    def moves(act: Callable[[], object]) -> bool:
        flow.clock.advance(60)
        act()
        changed_at = flow.enroller.status(USER).changed_at
        return bool(changed_at and changed_at.timestamp() == flow.clock.now)

    confirmation: Any = None

    def confirm() -> None:
        nonlocal confirmation
        confirmation = flow.enroller.confirm(USER, phone.code(), setup_id=setup.id)

    assert moves(confirm)
    assert not moves(lambda: flow.enroller.verify(USER, phone.code()))
    assert not moves(lambda: fail(flow, phone))
    assert not moves(lambda: flow.enroller.begin(USER, account_name="sara", proof=VOUCHED))
    assert not moves(lambda: flow.enroller.rename(USER, "default", "phone"))
    assert moves(lambda: flow.enroller.verify(USER, confirmation.recovery_codes[0]))
    assert moves(
        lambda: flow.enroller.begin(USER, account_name="sara", proof=confirmation.recovery_codes[1])
    )
    assert moves(lambda: flow.enroller.regenerate_recovery_codes(USER, proof=VOUCHED))
    flow.add("tablet", VOUCHED)
    assert moves(lambda: flow.enroller.disable(USER, proof=VOUCHED, authenticator="tablet"))
    assert moves(lambda: flow.enroller.disable(USER, proof=VOUCHED))
