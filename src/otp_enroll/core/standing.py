"""status: how an account stands, told without a proof, since it tells no secret.

Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from otp_enroll.core import requests
from otp_enroll.core.decision import (
    AuthenticatorStatus,
    Decision,
    Facts,
    Status,
    aware,
    aware_or_none,
)
from otp_enroll.core.states import Authenticator, Enrollment, is_confirmed, setup_of


def status(enrollment: Enrollment, request: requests.AskStatus, facts: Facts) -> Decision[Status]:
    """Tell the state; an expired setup is not told of."""
    setup = setup_of(enrollment)
    expires_at = None if setup is None else aware(setup.expires_at)
    changed_at = aware_or_none(facts.changed_at or None)
    if not is_confirmed(enrollment):
        return Decision(
            Status(
                user_id=request.user_id,
                state="disabled" if setup is None else "pending",
                required=False,
                setup_expires_at=expires_at,
                changed_at=changed_at,
            )
        )
    budgets, limits = enrollment.budgets, facts.policy.budget
    return Decision(
        Status(
            user_id=request.user_id,
            state="confirmed",
            required=True,
            authenticators=tuple(_status_of(one) for one in enrollment.authenticators),
            recovery_codes_left=enrollment.recovery.left,
            recovery_sheet_number=enrollment.recovery.sheet_number,
            setup_expires_at=expires_at,
            retry_at=None
            if budgets.code.locked
            else aware_or_none(budgets.code.waits.until(facts.now, limits)),
            recovery_retry_at=aware_or_none(budgets.recovery.until(facts.now, limits)),
            locked=budgets.code.locked,
            changed_at=changed_at,
        )
    )


def _status_of(one: Authenticator) -> AuthenticatorStatus:
    return AuthenticatorStatus(
        name=one.name,
        id=one.id,
        type=one.parameters.type,
        confirmed_at=aware(one.confirmed_at),
        last_used_at=aware_or_none(one.last_used_at),
    )
