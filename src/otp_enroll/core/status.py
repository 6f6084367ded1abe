"""status: how an account stands, told without a proof, since it tells no secret.

Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from otp_enroll.core import requests
from otp_enroll.core.decision import Decision, Facts, aware, aware_or_none
from otp_enroll.core.sheet_number import sheet_number
from otp_enroll.core.states import Authenticator, Enrollment, is_confirmed, setup_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorStatus:
    """One authenticator in a ``Status``. Times are aware UTC datetimes."""

    name: str
    id: str
    type: str
    confirmed_at: datetime
    last_used_at: datetime | None

    @property
    def sheet_number(self) -> str:
        """The number on the paper with its key; a paper with another number is void."""
        return sheet_number("key", self.id.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What may be told about an account without any proof. It holds no secret.

    Attributes:
        user_id: Whose account.
        state: ``"disabled"``, ``"pending"`` or ``"confirmed"``.
        required: Whether login must ask for a code: the state is confirmed.
        authenticators: The confirmed ones.
        recovery_codes_left: Unspent recovery codes, or ``None`` unless confirmed.
        recovery_sheet_number: The number on the paper with them, or ``None`` if no set was made.
        setup_expires_at: When the live setup expires, or ``None`` where there is none.
        retry_at: When the next code is judged, or ``None`` if now, or if ``locked``.
        recovery_retry_at: The same for recovery codes.
        locked: Whether codes are locked.
        changed_at: The last confirm, removal, disable, or use or renewal of recovery codes.
    """

    user_id: str
    state: Literal["disabled", "pending", "confirmed"]
    required: bool
    authenticators: tuple[AuthenticatorStatus, ...] = ()
    recovery_codes_left: int | None = None
    recovery_sheet_number: str | None = None
    setup_expires_at: datetime | None = None
    retry_at: datetime | None = None
    recovery_retry_at: datetime | None = None
    locked: bool = False
    changed_at: datetime | None = None


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
