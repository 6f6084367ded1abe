"""What happened, as values that an app may log, count or turn into a notice to the account's owner.

An event is delivered at most once, after the write that made it is committed; one of a refusal
that writes nothing, at once. None holds a secret, a code, a setup id or what somebody typed
(ASVS 16.2.5). Times are aware UTC datetimes.
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
    """What every event says, as the arguments of its constructor.

    Typed, so that a type checker finds the misspelt one; a dict of ``object`` would not.
    """

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

    code: ClassVar[str] = "event"  # of each class its own, by which a stored one is read back

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
        # By type: SetupCancelled and SetupExpired have the same fields.
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))

    def to_dict(self) -> dict[str, Json]:
        """Return ``code`` and all facts as JSON values, for a log or an outbox."""
        # Not dataclasses.asdict, which leaves times as they are and copies all that it meets.
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
    """A secret was made and shown; nothing asks for its codes before the confirm.

    Attributes:
        replaces: Whether an authenticator of that name is live, and will be replaced.
    """

    code = "setup_begun"
    replaces: bool


class SetupResumed(Event):
    """The live setup was shown again to the holder of its id: the key left the server once more."""

    __slots__ = ()
    code = "setup_resumed"


class SetupCancelled(Event):
    """The setup was cancelled by the holder of its id, and its secret erased."""

    __slots__ = ()
    code = "setup_cancelled"


class SetupExpired(Event):
    """An expired setup was erased from the record: by the next write, so it may come late."""

    __slots__ = ()
    code = "setup_expired"


class SetupExhausted(Event):
    """A setup was dropped after its last wrong code, the tenth (SP 800-63B-4 §8.1)."""

    __slots__ = ()
    code = "setup_exhausted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class KeyCopyChecked(Event):
    """The user's copy of the key was compared with the key.

    Attributes:
        matches: Whether the copy is right.
    """

    code = "key_copy_checked"
    matches: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuthenticatorConfirmed(Event):
    """An authenticator was proved and is live (SP 800-63B-4 §4.1: the record of a binding).

    Attributes:
        backup: What is known of its paper copy: ``"none"``, ``"acknowledged"`` or ``"checked"``.
        first: Whether one-time passwords were off before.
    """

    # The owner has to hear of it out of band: it may be a thief's phone (§4.1.2.1).
    code = "authenticator_confirmed"
    backup: str
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuthenticatorReplaced(Event):
    """The secret of that name was swapped; codes of the old one are wrong from now on.

    Attributes:
        replaced_id: The old authenticator's id.
    """

    code = "authenticator_replaced"
    replaced_id: str


class AuthenticatorRemoved(Event):
    """One authenticator was removed and others stay: by ``disable``, or as a lock ended."""

    __slots__ = ()
    code = "authenticator_removed"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AuthenticatorRenamed(Event):
    """An authenticator has a new name; its secret is the same.

    Attributes:
        old_name: The name it had.
    """

    code = "authenticator_renamed"
    old_name: str


class CodeVerified(Event):
    """A code was right and is now spent, for ``purpose``."""

    __slots__ = ()
    code = "code_verified"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CodeRejected(Event):
    """A code was wrong and was counted. After the right password, many of them mean a thief.

    Attributes:
        method: ``"code"`` or ``"recovery_code"``.
    """

    # No text of it, and no digits: what was typed may be a password in the wrong field.
    code = "code_rejected"
    method: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CodeReused(Event):
    """A spent code was shown again; nothing was counted.

    A double click, or somebody who saw the code (CWE-294): ``context`` says from where.

    Attributes:
        method: ``"code"`` or ``"recovery_code"``.
    """

    code = "code_reused"
    method: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Throttled(Event):
    """A code came during a wait or a lock; it was not compared, and nothing was counted.

    Attributes:
        method: ``"code"`` or ``"recovery_code"``: whose wait it is.
        retry_at: When the wait ends, or ``None`` during a lock, which no clock opens.
    """

    code = "throttled"
    method: str
    retry_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ManyFailures(Event):
    """Wrong codes pile up, below the lock: somebody has the password. Notify the owner.

    Attributes:
        failures: Wrong codes in 30 days, whatever succeeded between.
    """

    code = "many_failures"
    failures: int


class Locked(Event):
    """Codes are locked from now on; recovery codes still work (SP 800-63B-4 §3.2.2)."""

    __slots__ = ()
    code = "locked"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RecoveryCodesIssued(Event):
    """A new set of recovery codes was made, and any older set is void.

    Attributes:
        count: How many codes it has.
    """

    code = "recovery_codes_issued"
    count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RecoveryCodeUsed(Event):
    """A recovery code was spent. OTP stays on.

    Attributes:
        left: Unspent codes of the set.
    """

    # The owner has to hear of it (§4.2.3): it may be a thief with the paper.
    code = "recovery_code_used"
    left: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RecoveryCodesLow(Event):
    """Two recovery codes or fewer are left: ask the owner to make new ones.

    Attributes:
        left: Unspent codes of the set (SP 800-63B-4 §4.2.1.1).
    """

    code = "recovery_codes_low"
    left: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OverrideUsed(Event):
    """The app vouched instead of a code; ``actor`` is the one who did.

    Attributes:
        verb: What for, by the name of the method.
        reason: Why, in the actor's words.
    """

    # Also where nothing had to be proved: an audit finds each use, the needless ones too.
    code = "override_used"
    verb: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EnrollmentDisabled(Event):
    """One-time passwords are off: the password alone lets in from now on.

    Attributes:
        names: The authenticators that were removed.
    """

    # The owner has to hear of it out of band, from an address that this change did not touch.
    code = "enrollment_disabled"
    names: tuple[str, ...]


class EnrollmentErased(Event):
    """The account's row was deleted, and what it was is in no record: keep this event."""

    __slots__ = ()
    code = "enrollment_erased"
