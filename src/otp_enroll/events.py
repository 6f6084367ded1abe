"""What happened, as values that an app may log, count or turn into a notice to the account's owner.

An event is delivered at most once, after the write that made it is committed; one of a refusal
that writes nothing, at once. None holds a secret, a code, a setup id or what somebody typed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, TypedDict

from otp_enroll.json_values import Json, by_code, from_json, to_json, with_subclasses

__all__ = [
    "AuthenticatorConfirmed",
    "AuthenticatorRemoved",
    "AuthenticatorRenamed",
    "AuthenticatorReplaced",
    "CodeRejected",
    "CodeReused",
    "CodeVerified",
    "EnrollmentDisabled",
    "EnrollmentErased",
    "Event",
    "KeyCopyChecked",
    "Locked",
    "ManyFailures",
    "OverrideUsed",
    "RecoveryCodeUsed",
    "RecoveryCodesIssued",
    "RecoveryCodesLow",
    "SetupBegun",
    "SetupCancelled",
    "SetupExhausted",
    "SetupExpired",
    "SetupResumed",
    "Throttled",
]


class Stamp(TypedDict):
    """What every event says, as the arguments of its constructor."""

    time: datetime
    user_id: str
    authenticator: str | None
    authenticator_id: str | None
    purpose: str
    actor: str | None
    context: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Event:
    """What every event says (SP 800-63B-4 §4.1, ASVS 16.2.1).

    Attributes:
        code: The event's name in message catalogues; it never changes.
        time: When, in UTC.
        user_id: Whose account.
        authenticator: The name of the authenticator concerned, where there is one.
        authenticator_id: Its id, new with each secret.
        purpose: What the code was for: ``verify``'s purpose, or the verb's name.
        actor: Who acted, from an ``Override`` or from ``context["actor"]``.
        context: What the app passed (ip, agent, …).
    """

    code: ClassVar[str] = "event"

    time: datetime
    user_id: str
    authenticator: str | None
    authenticator_id: str | None
    purpose: str
    actor: str | None
    context: dict[str, str]

    # Written once: made for each class, they took a tenth of the time of an import.
    __hash__ = None  # type: ignore[assignment]  # the context is a dict

    def __repr__(self) -> str:
        facts = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self))
        return f"{type(self).__name__}({', '.join(facts)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))

    def to_dict(self) -> dict[str, Json]:
        """Return ``code`` and all facts as JSON values, for a log or an outbox."""
        facts = {field.name: to_json(getattr(self, field.name)) for field in fields(self)}
        return {"code": self.code, **facts}

    @staticmethod
    def from_dict(data: object) -> Event:
        """Return the event that ``to_dict`` described, of the class that ``code`` names.

        Raises:
            TypeError: Not a mapping.
            ValueError: No event has that code, or a fact is missing or of another type.
        """
        kind = by_code(with_subclasses(Event), data, "an event")
        annotations: dict[str, object] = {field.name: field.type for field in fields(kind)}
        facts: dict[str, Any] = from_json(annotations, data, "an event")
        return kind(**facts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SetupBegun(Event):
    """A secret was made and shown; ``replaces`` says whether an authenticator has its name."""

    code = "setup_begun"
    replaces: bool


class SetupResumed(Event):
    """The live setup was shown again to the holder of its id."""

    __slots__ = ()
    code = "setup_resumed"


class SetupCancelled(Event):
    """The setup was cancelled."""

    __slots__ = ()
    code = "setup_cancelled"


class SetupExpired(Event):
    """An expired setup was erased from the record."""

    __slots__ = ()
    code = "setup_expired"


class SetupExhausted(Event):
    """A setup was dropped after its last wrong code."""

    __slots__ = ()
    code = "setup_exhausted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class KeyCopyChecked(Event):
    """The user's copy of the key was compared; ``matches`` is the outcome."""

    code = "key_copy_checked"
    matches: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuthenticatorConfirmed(Event):
    """An authenticator was proved and is live; ``backup`` says what is known of its paper copy.

    ``first`` says whether one-time passwords were off before.
    """

    code = "authenticator_confirmed"
    backup: str
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuthenticatorReplaced(Event):
    """The secret of that name was swapped; ``replaced_id`` is the old authenticator's id."""

    code = "authenticator_replaced"
    replaced_id: str


class AuthenticatorRemoved(Event):
    """One authenticator was removed and others stay."""

    __slots__ = ()
    code = "authenticator_removed"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuthenticatorRenamed(Event):
    """An authenticator has a new name; ``old_name`` is the one it had."""

    code = "authenticator_renamed"
    old_name: str


class CodeVerified(Event):
    """A code was right and is now spent."""

    __slots__ = ()
    code = "code_verified"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CodeRejected(Event):
    """A code was wrong and was counted; ``method`` says of which kind."""

    code = "code_rejected"
    method: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CodeReused(Event):
    """A spent code was shown again; nothing was counted."""

    code = "code_reused"
    method: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Throttled(Event):
    """A code came during a wait, or during a lock (``retry_at`` is then ``None``)."""

    code = "throttled"
    method: str
    retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ManyFailures(Event):
    """Wrong codes pile up; ``failures`` is how many came in 30 days. Somebody has the password."""

    code = "many_failures"
    failures: int


class Locked(Event):
    """Codes are locked from now on; recovery codes still work."""

    __slots__ = ()
    code = "locked"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RecoveryCodesIssued(Event):
    """A new set of ``count`` recovery codes was made, and any older set is void."""

    code = "recovery_codes_issued"
    count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RecoveryCodeUsed(Event):
    """A recovery code was spent; ``left`` remain."""

    code = "recovery_code_used"
    left: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RecoveryCodesLow(Event):
    """Two recovery codes or fewer are left: ask the owner to make new ones."""

    code = "recovery_codes_low"
    left: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OverrideUsed(Event):
    """The app vouched instead of a code; ``verb`` says for what and ``reason`` why."""

    code = "override_used"
    verb: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EnrollmentDisabled(Event):
    """One-time passwords are off; ``names`` are the authenticators that were removed."""

    code = "enrollment_disabled"
    names: tuple[str, ...]


class EnrollmentErased(Event):
    """The account's row was deleted."""

    __slots__ = ()
    code = "enrollment_erased"
