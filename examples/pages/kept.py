"""What an app keeps between two requests: a Verification in the web session, events as notices."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from otp_enroll import Verification, events
from otp_enroll.events import Event

NOTICED: Final[dict[str, Callable[..., Event]]] = {
    kind.code: kind
    for kind in (
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
}
"""The events that an account's owner is told of, by their codes. (The others are for the log.)"""

IN_TRANSACTION: Final = {"noted": "yes"}
"""The ``context`` of a change whose notice is written in the change's own transaction.

``on_event`` writes the notices of all other events, so that none is written twice.
"""


def pack_verification(verification: Verification) -> dict[str, Any]:
    """Turn a Verification into what a web session can keep. It holds no secret.

    Keep it on the server alone: whoever can write it can open an account.
    """
    return {**asdict(verification), "at": verification.at.isoformat()}


def unpack_verification(kept: dict[str, Any]) -> Verification:
    """Return the Verification; the library itself refuses one that is older than 60 seconds."""
    facts: dict[str, Any] = {**kept, "at": datetime.fromisoformat(kept["at"])}
    return Verification(**facts)


def is_notice(event: Event) -> bool:
    """Say whether the owner is told of this event."""
    return event.code in NOTICED


def is_noted(event: Event) -> bool:
    """Say whether its notice was written in the transaction of the change."""
    return event.context.get("noted") == "yes"


def pack_event(event: Event) -> str:
    """Turn an event into text for a row; the sentence is made when it is read, in any language."""
    facts = {**asdict(event), "time": event.time.isoformat(), "code": event.code}
    return json.dumps(facts, ensure_ascii=False)


def unpack_event(text: str) -> Event:
    """Return the event that a row keeps."""
    facts: dict[str, Any] = json.loads(text)
    kind = NOTICED[facts.pop("code")]
    facts["time"] = datetime.fromisoformat(facts["time"])
    if "names" in facts:
        facts["names"] = tuple(facts["names"])  # JSON has no tuples
    return kind(**facts)
