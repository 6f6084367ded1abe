"""What opens a confirmed account: an Override, a Verification, a typed code.

Pure: no I/O, no clock, no randomness. begin, verify, disable and regenerate share this, so that
no entrance is laxer than another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from otp_enroll import events
from otp_enroll.core.budget import Method
from otp_enroll.core.decision import Facts
from otp_enroll.core.judging import Judged, Judgement, judge
from otp_enroll.core.states import Confirmed
from otp_enroll.core.typed_text import TypedCode
from otp_enroll.errors import ProofRequiredError

VERIFICATION_LIFETIME: Final = 60
"""Seconds for which a ``Verification`` is a proof."""

LONGEST_REASON: Final = 256


@dataclass(frozen=True, slots=True)
class Override:
    """The app vouches: it re-authenticated the owner its own way, or the help desk did.

    Attributes:
        actor: Who vouches, for the audit trail.
        reason: Why.

    Raises:
        TypeError: Not text.
        ValueError: Empty, or longer than 256 characters.
    """

    actor: str
    reason: str

    def __post_init__(self) -> None:
        for name, value in (("actor", self.actor), ("reason", self.reason)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a str")
            if not value.strip() or len(value) > LONGEST_REASON:
                raise ValueError(f"{name} must have 1 to {LONGEST_REASON} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A code was right and is spent. For 60 seconds it is a proof for the verb of its purpose.

    Attributes:
        user_id: Whose account.
        purpose: What the code was for.
        method: ``"code"`` or ``"recovery_code"``.
        authenticator: The name of the authenticator, or ``None`` for a recovery code.
        recovery_codes_left: Unspent recovery codes.
        locked: Codes are locked: let the owner set up an authenticator anew, at once.
        at: When, in UTC.
    """

    user_id: str
    purpose: str
    method: Method
    authenticator: str | None
    recovery_codes_left: int
    locked: bool
    at: datetime


Proof = TypedCode | Verification | Override | None


def prove(verb: str, confirmed: Confirmed, proof: Proof, facts: Facts) -> Judgement:
    """Judge the proof that a confirmed account demands of a verb.

    Raises:
        ProofRequiredError: None was given, or a ``Verification`` that does not serve here.
    """
    match proof:
        case TypedCode():
            return judge(confirmed, proof, facts)
        case Override():
            return Judged(confirmed=confirmed, events=vouched(verb, proof, facts))
        case Verification():
            _check_verification(verb, proof, facts)
            return Judged(confirmed=confirmed)
        case _:
            raise ProofRequiredError


def vouched(verb: str, proof: Proof, facts: Facts) -> tuple[events.Event, ...]:
    """Tell of an ``Override``, also where there was nothing to prove."""
    if isinstance(proof, Override):
        return (facts.event(events.OverrideUsed, verb=verb, reason=proof.reason),)
    return ()


def _check_verification(verb: str, proof: Verification, facts: Facts) -> None:
    age = facts.now - int(proof.at.timestamp())
    by_recovery_code = proof.method == "recovery_code"
    if proof.user_id != facts.user_id:
        raise ProofRequiredError("other user")
    # A sign-in by recovery code opens begin: its owner has lost the phone and wants a new one.
    if proof.purpose != verb and not (verb == "begin" and by_recovery_code):
        raise ProofRequiredError("other purpose")
    # A lost reply would leave the owner without the old codes and without the new ones.
    if verb == "regenerate_recovery_codes" and by_recovery_code:
        raise ProofRequiredError("recovery code")
    # Either way, because the server that verified may have a clock a little ahead of this one's.
    if abs(age) > VERIFICATION_LIFETIME:
        raise ProofRequiredError("too old")
