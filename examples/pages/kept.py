"""What an app keeps of the events: which are notices to the owner, and where those are written."""

from __future__ import annotations

from typing import Final

from otp_enroll import events
from otp_enroll.events import Event

NOTICED: Final = (
    events.SetupBegun,
    events.SetupCancelled,
    events.SetupExhausted,
    events.AuthenticatorConfirmed,
    events.AuthenticatorReplaced,
    events.AuthenticatorRemoved,
    events.AuthenticatorRenamed,
    events.ManyFailures,
    events.Locked,
    events.RecoveryCodesIssued,
    events.RecoveryCodeUsed,
    events.OverrideUsed,
    events.EnrollmentDisabled,
)
"""The events that an account's owner is told of. (The others are for the log.)"""

IN_TRANSACTION: Final = {"noted": "yes"}
"""The ``context`` of a change whose notice is written in the change's own transaction.

``on_event`` writes the notices of all other events, so that none is written twice.
"""


def is_notice(event: Event) -> bool:
    """Say whether the owner is told of this event."""
    return isinstance(event, NOTICED)


def is_noted(event: Event) -> bool:
    """Say whether its notice was written in the transaction of the change."""
    return event.context.get("noted") == "yes"
