"""What a transition is given (Facts) and gives back (Decision), and the answers it can hold.

Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Generic, TypeVar

from otp_enroll.core.recovery import CodesShown, FreshCodes
from otp_enroll.core.secret import Sealed, Secret, SetupId
from otp_enroll.core.states import Authenticator, Enrollment, Setup
from otp_enroll.errors import EnrollmentError, UnreadableSecretError
from otp_enroll.events import Event
from otp_enroll.policy import Policy

AnswerT_co = TypeVar("AnswerT_co", covariant=True)
EventT = TypeVar("EventT", bound=Event)
FreshT = TypeVar("FreshT", "FreshSetup", "FreshRecovery")
Opened = Secret | UnreadableSecretError


def aware(seconds: int) -> datetime:
    """Turn Unix seconds into the aware UTC datetime that callers see."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc)


def aware_or_none(seconds: int | None) -> datetime | None:
    """Turn Unix seconds into an aware UTC datetime where there are any."""
    return None if seconds is None else aware(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshSetup:
    """What begin needs that is random."""

    setup_id: SetupId
    authenticator_id: str
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshRecovery:
    """What a new set of recovery codes needs that is random."""

    salt: bytes
    codes: FreshCodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a transition may know of the world.

    Attributes:
        user_id: Whose account.
        now: The one reading of the clock, in Unix seconds.
        changed_at: When the account last changed, in Unix seconds; 0 if never.
        policy: The app's policy.
        issuer: The app's name for new setups.
        purpose: What a code is for.
        actor: Who acts, if the app told.
        context: What the app passed for the events.
        opened: Secrets by authenticator id, or why the cipher could not open them.
        fresh: Random material, for the verbs that need it.
    """

    user_id: str
    now: int
    changed_at: int
    policy: Policy
    issuer: str
    purpose: str
    actor: str | None
    context: Mapping[str, str]
    opened: Mapping[str, Opened] = field(default_factory=dict[str, Opened])
    fresh: FreshSetup | FreshRecovery | None = None

    def secret(self, authenticator_id: str) -> Secret:
        """Return an opened secret.

        Raises:
            UnreadableSecretError: The cipher could not open it.
        """
        opened = self.opened[authenticator_id]
        if isinstance(opened, UnreadableSecretError):
            raise opened
        return opened

    def drawn(self, kind: type[FreshT]) -> FreshT:
        """Return the random material of a verb that needs it.

        Raises:
            TypeError: None, or that of another verb, was passed.
        """
        if not isinstance(self.fresh, kind):
            raise TypeError(f"this verb needs a {kind.__name__}")
        return self.fresh

    def event(
        self,
        kind: Callable[..., EventT],
        about: Authenticator | Setup | None = None,
        **details: object,
    ) -> EventT:
        """Make an event of these facts, about one authenticator where there is one."""
        about_id = about.authenticator_id if isinstance(about, Setup) else about and about.id
        return kind(
            time=aware(self.now),
            user_id=self.user_id,
            authenticator=about and about.name,
            authenticator_id=about_id,
            purpose=self.purpose,
            actor=self.actor,
            context=dict(self.context),
            **details,
        )


@dataclass(frozen=True, slots=True)
class Decision(Generic[AnswerT_co]):
    """What a transition decided. Nothing has happened yet: the write comes first.

    Attributes:
        outcome: The answer, or the refusal to raise once the write is committed.
        enrollment: The next state, or ``None`` where nothing is to be written.
        events: What to tell once the write is committed.
        changed: Whether this moves ``changed_at``.
    """

    outcome: AnswerT_co | EnrollmentError
    enrollment: Enrollment | None = None
    events: tuple[Event, ...] = ()
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupShown:
    """A live setup with what only the holder of its id is shown, ``at`` in Unix seconds.

    ``replaces`` says whether an authenticator has its name, ``beside`` whether any one works.
    """

    setup: Setup
    setup_id: SetupId
    secret: Secret
    replaces: bool
    beside: bool
    at: int
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupConfirmed:
    """What a confirm did."""

    authenticator: str
    replaced: bool
    removed: tuple[str, ...]
    codes: CodesShown | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCopy:
    """How a copy of the key compares with the key.

    Attributes:
        matches: Whether the copy is right.
        differing_groups: The groups that differ, counted from 1.
    """

    matches: bool
    differing_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resealed:
    """What ``reseal`` did to one row: whether it was written, and which secrets stayed shut."""

    written: bool
    unreadable: tuple[Sealed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResealReport:
    """What ``reseal`` did. When it is complete and nothing was unreadable, old keys can go.

    Attributes:
        examined: Rows that were looked at.
        resealed: Rows that were written with secrets sealed by the newest key.
        unreadable: Rows that could not be read or opened, and still need a key that is not there.
        complete: Whether every row was looked at, none was busy, and ``limit`` was not reached.
        keys_needed: By a key's id, how many of the unreadable rows need it. Of a row that is
            damaged nobody knows, and nothing is counted for a cipher that names no keys (see
            ``KeyNamingCipher``).
    """

    examined: int
    resealed: int
    unreadable: int
    complete: bool
    keys_needed: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
