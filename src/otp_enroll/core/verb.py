"""What every verb has: its checked arguments, all it may know (World), all it says (Decision).

A verb is one class. An instance that exists is well-formed: wrong arguments are refused when it is
made, malformed text before anything is loaded. ``transitions.decide`` runs it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Generic, Literal, TypeVar

from otp_enroll import errors
from otp_enroll.core import states
from otp_enroll.core.recovery import FreshRecovery
from otp_enroll.core.secret import FreshSetup, Sealed, Secret, SetupId, check_setup_id
from otp_enroll.core.states import Authenticator, Confirmed, EnrollmentState, StoredSetup
from otp_enroll.core.typed_text import MAX_USER_ID, TypedCode, check_context, check_text
from otp_enroll.events import Event, Stamp
from otp_enroll.policy import Policy

Draws = Literal["nothing", "setup", "recovery"]

METHODS: Final = ("code", "recovery_code")

AnswerT_co = TypeVar("AnswerT_co", covariant=True)
FreshT = TypeVar("FreshT", FreshSetup, FreshRecovery)
Opened = Secret | errors.UnreadableSecretError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class World:
    """All that a verb may know besides its own arguments and the state.

    Attributes:
        now: The one reading of the clock, in Unix seconds.
        changed_at: When the account last changed, in Unix seconds; 0 if never.
        policy: The app's policy.
        issuer: The app's name for new setups.
        opened: Secrets by authenticator id, or why the cipher could not open them.
        fresh: Random material, for the verbs that need it.
    """

    now: int
    changed_at: int
    policy: Policy
    issuer: str
    opened: Mapping[str, Opened] = field(default_factory=dict[str, Opened])
    fresh: FreshSetup | FreshRecovery | None = None

    def secret(self, authenticator_id: str) -> Secret:
        """Return an opened secret, or raise what the cipher failed with."""
        opened = self.opened[authenticator_id]  # a KeyError is our mistake: to_open named others
        if isinstance(opened, errors.UnreadableSecretError):
            raise opened
        return opened

    def require_keys(self) -> Mapping[str, Secret]:
        """Return all secrets if each was opened, and the fresh one sealed, before any is used.

        A failure after it would reveal that the code was right, and have counted nothing.
        """
        if isinstance(self.fresh, FreshSetup):
            self.fresh.require_sealed()
        secrets: dict[str, Secret] = {}
        for authenticator_id, opened in self.opened.items():
            if isinstance(opened, errors.UnreadableSecretError):
                raise opened
            secrets[authenticator_id] = opened
        return secrets

    def drawn(self, kind: type[FreshT]) -> FreshT:
        """Return the random material of a verb that needs it."""
        if not isinstance(self.fresh, kind):
            raise TypeError(f"this verb needs a {kind.__name__}")
        return self.fresh


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Decision(Generic[AnswerT_co]):
    """What a verb decided. Nothing has happened yet: the write comes first.

    Attributes:
        outcome: The answer, or the refusal to raise once the write is committed.
        state: The next state, or ``None`` where nothing is to be written.
        events: What happened, for the listener, once the write is committed.
        changed: Whether this moves ``changed_at``.
        erases: Whether the row is to be deleted.
    """

    outcome: AnswerT_co | errors.EnrollmentError
    state: EnrollmentState | None = None
    events: tuple[Event, ...] = ()
    changed: bool = False
    erases: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Verb(ABC, Generic[AnswerT_co]):
    """What one call asks for, with its arguments checked and what was typed redacted.

    Attributes:
        name: The row of the transition table, and the purpose of a typed proof.
        draws: What random material the verb needs.
        loads: Whether it needs the record; erasing takes whatever is there.
        sees_expired: Whether it speaks of an expired setup instead of passing over it.
        reseals: Whether it wants the secrets opened that another key sealed, and no others.
    """

    name: ClassVar[str]
    draws: ClassVar[Draws] = "nothing"
    loads: ClassVar[bool] = True
    sees_expired: ClassVar[bool] = False
    reseals: ClassVar[bool] = False

    user_id: str
    context: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        user_id = check_text(self.user_id, "user_id", MAX_USER_ID)
        if user_id is not self.user_id:  # a subclass of str is kept as a plain one
            self._set("user_id", user_id)
        if self.context is not None:
            self._set("context", check_context(self.context))
        self.check()

    @abstractmethod
    def decide(self, state: EnrollmentState, world: World) -> Decision[AnswerT_co]:
        """Decide on a state in which the table allows the verb."""

    def check(self) -> None:
        """Check the arguments that this verb has and others have not.

        Raises:
            TypeError: A wrong type.
            ValueError: An impossible value.
        """

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen for all others: a retry runs it again

    @property
    def typed(self) -> TypedCode | None:
        """The code that will be judged, if one was typed."""
        return None

    @property
    def accepted(self) -> Collection[str]:
        """The kinds of code that may be typed."""
        return METHODS

    def refuse_malformed(self, digits: int) -> None:
        """Refuse text that cannot be what is asked for, before anything is loaded.

        Raises:
            TypeError: It is no text at all.
            MalformedCodeError: With the number of digits that the policy's codes have, if it is
                a code that is asked for.
        """
        if (typed := self.typed) is None:
            return
        if typed.kind == "not text":
            raise TypeError("a code must be a str")
        if typed.kind in (accepted := self.accepted):
            return
        (expected,) = accepted if len(accepted) == 1 else ("either",)
        raise errors.MalformedCodeError(expected, None if expected == "recovery_code" else digits)

    def to_open(self, state: EnrollmentState) -> Iterable[tuple[str, Sealed]]:  # noqa: ARG002  # others look at it
        """Return (authenticator id, sealed secret) of each secret that the verb needs."""
        return ()

    @property
    def spent_for(self) -> str:
        """What a code is spent for, as events say it."""
        return self.name

    @property
    def actor(self) -> str | None:
        """Who acts, if the app said so."""
        return (self.context or {}).get("actor")

    def stamp(self, world: World, about: Authenticator | StoredSetup | None = None) -> Stamp:
        """Return what an event of this verb says, about one authenticator where there is one."""
        name = about_id = None
        if about is not None:
            name = about.name
            about_id = about.authenticator_id if isinstance(about, StoredSetup) else about.id
        return {
            "time": states.aware(world.now),
            "user_id": self.user_id,
            "authenticator": name,
            "authenticator_id": about_id,
            "purpose": self.spent_for,
            "actor": self.actor,
            "context": dict(self.context or {}),  # each listener may change its own
        }


class AccountVerb(Verb[AnswerT_co]):
    """A verb of a confirmed account."""

    __slots__ = ()

    def decide(self, state: EnrollmentState, world: World) -> Decision[AnswerT_co]:
        """Decide on a confirmed account; any other is ``NotEnrolledError``."""
        if not isinstance(state, Confirmed):
            raise errors.NotEnrolledError  # the table refuses first; the types cannot know
        return self.on_account(state, world)

    @abstractmethod
    def on_account(self, account: Confirmed, world: World) -> Decision[AnswerT_co]:
        """Decide on the account."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SetupVerb(Verb[AnswerT_co]):
    """A verb for the holder of the live setup's id. A wrong or old id costs and voids nothing."""

    sees_expired: ClassVar[bool] = True

    setup_id: SetupId

    def check(self) -> None:
        """As ``Verb.check``."""
        check_setup_id(self.setup_id)

    def to_open(self, state: EnrollmentState) -> Iterable[tuple[str, Sealed]]:
        """Open the setup's secret."""
        setup = states.setup_of(state)
        return () if setup is None else ((setup.authenticator_id, setup.sealed),)

    def decide(self, state: EnrollmentState, world: World) -> Decision[AnswerT_co]:
        """Decide on the live setup; superseded comes before expired."""
        setup = states.setup_of(state)
        if setup is None:
            raise errors.NotPendingError
        if not setup.is_named_by(self.setup_id, self.user_id):
            raise errors.SetupSupersededError  # whatever the code: it may be of another secret
        if setup.is_expired(world.now):
            raise errors.SetupExpiredError
        return self.on_setup(state, setup, world)

    @abstractmethod
    def on_setup(
        self, state: EnrollmentState, setup: StoredSetup, world: World
    ) -> Decision[AnswerT_co]:
        """Decide on the live setup."""
