"""What opens a confirmed account: an Override, a Verification, a typed code.

Every verb that changes a confirmed account is a ``Proving`` verb, so that no entrance is laxer than
another.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from typing_extensions import Self

from otp_enroll import events
from otp_enroll.core.budget import Method
from otp_enroll.core.judging import Judged, Judgement, judge, secrets_for
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import Confirmed, EnrollmentState
from otp_enroll.core.typed_text import TypedCode, read_code
from otp_enroll.core.verb import METHODS, AnswerT_co, Verb, World
from otp_enroll.errors import ProofRequiredError
from otp_enroll.json_values import Json, from_json, to_json

VERIFICATION_LIFETIME: Final = 60
"""Seconds for which a ``Verification`` is a proof: time for the next request, and no more."""

MAX_REASON: Final = 256
"""Characters of an ``actor`` or a ``reason``, which logs and audit trails keep whole."""


@dataclass(frozen=True, slots=True)
class Override:
    """The app vouches for the user, after re-authenticating them itself or through its help desk.

    It is accepted wherever a proof is, during a lock too, and each use is an event. Make one after
    checking a person: a session by itself, the help desk's included, has proved nothing (CWE-306).

    Attributes:
        actor: Who vouches, for the audit trail (ASVS 16.2.1).
        reason: Why, in words that the audit trail keeps.

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
            # A blank one would pass the check of length, and make the audit line worthless.
            if not value.strip() or len(value) > MAX_REASON:
                raise ValueError(f"{name} must have 1 to {MAX_REASON} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A code was right and is spent. For 60 seconds it is a proof for the verb of its purpose.

    So a page can ask for the code first and act in the next request, or inside the app's own
    transaction, where no code is judged.

    Attributes:
        user_id: Whose account.
        purpose: What the code was for.
        method: ``"code"`` or ``"recovery_code"``.
        authenticator: The name of the authenticator, or ``None`` for a recovery code.
        recovery_codes_left: Unspent recovery codes.
        locked: Codes are locked: let the owner set up an authenticator again, at once.
        at: When the code was spent, in UTC; the 60 seconds run from here.
    """

    user_id: str
    purpose: str
    method: Method
    authenticator: str | None
    recovery_codes_left: int
    locked: bool
    at: datetime

    def to_dict(self) -> dict[str, Json]:
        """Return all fields as JSON values, for a session to keep."""
        return {field.name: to_json(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Return the ``Verification`` that ``to_dict`` described.

        Raises:
            TypeError: Not a mapping.
            ValueError: A field is missing, or not of its type.
        """
        # The method's annotation is a Literal, for which there is no reader: read as text, then
        # checked. What a session held may have been written by an older version, or by hand.
        annotations = {field.name: field.type for field in fields(cls)} | {"method": "str"}
        found: dict[str, Any] = from_json(annotations, data, "a verification")
        if found["method"] not in METHODS:
            raise ValueError("a verification has no method that could be one")
        return cls(**found)


Proof = TypedCode | Verification | Override | None


def read_proof(proof: object) -> Proof:
    """Redact a typed proof; other proofs pass.

    Never raises: its frame holds what was typed, and a traceback would print it. Something that is
    no proof at all becomes a code that ``refuse_malformed`` refuses later.
    """
    if proof is None or isinstance(proof, (Verification, Override)):
        return proof
    return read_code(proof)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Proving(Verb[AnswerT_co]):
    """A verb that a confirmed account allows with a proof alone."""

    proof: Proof = None

    @property
    def typed(self) -> TypedCode | None:
        """The code that was typed as a proof."""
        return self.proof if isinstance(self.proof, TypedCode) else None

    @property
    def actor(self) -> str | None:
        """Who acts: an ``Override`` knows best, and a request's context must not hide it."""
        if isinstance(self.proof, Override):
            return self.proof.actor
        return (self.context or {}).get("actor")

    def to_open(self, state: EnrollmentState) -> Iterable[tuple[str, Sealed]]:
        """Open what a typed code is judged against."""
        return secrets_for(self.typed, state)

    def prove(self, account: Confirmed, world: World) -> Judgement:
        """Judge the proof, and spend it if it was typed.

        Raises:
            ProofRequiredError: None was given, or a ``Verification`` that does not serve here.
        """
        match self.proof:
            case TypedCode():
                return judge(account, self.proof, self, world)
            case Override():
                # Also while codes are locked: without recovery codes it is the only way back in.
                return Judged(account=account, events=self.vouched(world))
            case Verification():
                # No code is compared, so neither wait nor lock is asked: it was judged before.
                self._check_verification(self.proof, world)
                return Judged(account=account)
            case _:
                raise ProofRequiredError

    def vouched(self, world: World) -> tuple[events.Event, ...]:
        """Return the event of an ``Override``, also where there was nothing to prove."""
        if not isinstance(self.proof, Override):
            return ()
        stamp = self.stamp(world)
        return (events.OverrideUsed(**stamp, verb=self.name, reason=self.proof.reason),)

    def _check_verification(self, proof: Verification, world: World) -> None:
        age = world.now - int(proof.at.timestamp())
        by_recovery_code = proof.method == "recovery_code"
        if proof.user_id != self.user_id:
            raise ProofRequiredError("other user")
        # A sign-in by recovery code opens begin: its owner has lost the phone and wants a new one.
        if proof.purpose != self.name and not (self.name == "begin" and by_recovery_code):
            raise ProofRequiredError("other purpose")
        if by_recovery_code and "recovery_code" not in self.accepted:
            raise ProofRequiredError("recovery code")
        # abs(): the server that verified may have a clock a little ahead of this one's.
        if abs(age) > VERIFICATION_LIFETIME:
            raise ProofRequiredError("too old")
