"""The states of an enrollment, Disabled | Pending | Confirmed: a wrong one cannot be written.

Times are Unix seconds; ``aware`` turns one into what callers see. A state is never changed: what
changes a value returns a new one, and what leaves it as it is returns the same object.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Final

from typing_extensions import TypeIs, assert_never

from otp_enroll.core.budget import NO_FAILURES, Budgets, Extra
from otp_enroll.core.recovery import RecoverySet
from otp_enroll.core.secret import Sealed, SetupId
from otp_enroll.policy import Parameters

DEFAULT_NAME: Final = "default"
"""The name of a first authenticator that nobody named. It is stored and shown."""


class Phase(enum.Enum):
    """The columns of the transition table."""

    DISABLED = "DISABLED"
    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    STAGED = "CONFIRMED + setup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """One confirmed authenticator.

    Attributes:
        id: New with each secret.
        name: What the user calls it.
        parameters: Its own; a change of policy does not touch it.
        sealed: Its secret.
        last_counter: The highest counter that was accepted; it never goes down (RFC 6238 §5.2).
        confirmed_at: When it was proved.
        last_used_at: When a code of it was last accepted after that.
        generation: 1 for the first secret of that name, one more with each replacement.
    """

    id: str
    name: str
    parameters: Parameters
    sealed: Sealed
    last_counter: int
    confirmed_at: int
    last_used_at: int | None = None
    generation: int = 1
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    def use(self, counter: int, now: int) -> Authenticator:
        """Record an accepted code."""
        # Not by replace, which is slow: this is on the way of every login.
        return Authenticator(
            id=self.id,
            name=self.name,
            parameters=self.parameters,
            sealed=self.sealed,
            last_counter=counter,
            confirmed_at=self.confirmed_at,
            last_used_at=now,
            generation=self.generation,
            extra=self.extra,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSetup:
    """A secret that was shown and not yet proved. It authenticates nobody.

    Attributes:
        id_digest: Digest of the setup id; the id itself is with its holder alone.
        authenticator_id: The id that the authenticator will have.
        name: The authenticator's name; the one of the same name will be replaced.
        parameters: What the authenticator will compute with.
        sealed: The secret.
        issuer: What the app shows, as at begin.
        account_name: The same, with the number of a replacement.
        expires_at: From this second on the setup is expired.
        failures: Wrong codes at confirm.
        copy_checked: Whether a copy of the key was compared and was right.
        generation: As in ``Authenticator``.
    """

    id_digest: bytes = field(repr=False)
    authenticator_id: str
    name: str
    parameters: Parameters
    sealed: Sealed
    issuer: str
    account_name: str
    expires_at: int
    failures: int = 0
    copy_checked: bool = False
    generation: int = 1
    extra: Extra = field(default_factory=dict[str, object], repr=False)

    def is_expired(self, now: int) -> bool:
        """Return whether the setup's time is over, which no clean-up job has to notice."""
        return now >= self.expires_at

    def is_named_by(self, setup_id: SetupId, user_id: str) -> bool:
        """Compare a setup id with this setup's, in constant time."""
        return hmac.compare_digest(setup_id.digest(user_id), self.id_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """One-time passwords are off. It has no fields: an old secret has nowhere to survive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A first setup is under way; login does not ask for a code."""

    setup: StoredSetup


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One-time passwords are on.

    Attributes:
        authenticators: One or more, with names all different.
        recovery: The set of recovery codes, or ``None`` where none was issued.
        budgets: Wrong codes and waits; they live here and nowhere else.
        setup: A replacement or a further authenticator under way, beside the working ones.
    """

    authenticators: tuple[Authenticator, ...]
    recovery: RecoverySet | None = None
    budgets: Budgets = NO_FAILURES
    setup: StoredSetup | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The authenticators' names, in the order of their confirmation."""
        return tuple(authenticator.name for authenticator in self.authenticators)

    def find_named(self, name: str) -> Authenticator | None:
        """Return the authenticator of that name, as ``clean_name`` spells it."""
        return next((found for found in self.authenticators if found.name == name), None)

    @property
    def recovery_codes_left(self) -> int:
        """Unspent recovery codes."""
        return self.recovery.left if self.recovery else 0

    def charge(self, budgets: Budgets) -> Confirmed:
        """Put other budgets in the place of these."""
        return Confirmed(  # not by replace, as in use()
            authenticators=self.authenticators,
            recovery=self.recovery,
            budgets=budgets,
            setup=self.setup,
        )


EnrollmentState = Disabled | Pending | Confirmed


def aware(seconds: int) -> datetime:
    """Turn Unix seconds into the aware UTC datetime that callers see."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc)


def aware_or_none(seconds: int | None) -> datetime | None:
    """Turn Unix seconds into an aware UTC datetime where there are any."""
    return None if seconds is None else aware(seconds)


def phase_of(state: EnrollmentState) -> Phase:
    """Return the column of the transition table that a state stands in."""
    match state:
        case Disabled():
            return Phase.DISABLED
        case Pending():
            return Phase.PENDING
        case Confirmed():
            return Phase.CONFIRMED if state.setup is None else Phase.STAGED
        case _:  # pragma: no cover  # the union has no other member; the type checkers prove it
            assert_never(state)


def setup_of(state: EnrollmentState) -> StoredSetup | None:
    """Return the setup under way, expired or not."""
    return None if isinstance(state, Disabled) else state.setup


def with_setup(state: EnrollmentState, setup: StoredSetup) -> Pending | Confirmed:
    """Put a setup in the place of any other one."""
    if is_confirmed(state):
        return replace(state, setup=setup)
    return Pending(setup=setup)


def without_setup(state: EnrollmentState) -> Disabled | Confirmed:
    """Drop the setup and its secret."""
    # Of a confirmed account the setup alone: what expires must never switch OTP off.
    return replace(state, setup=None) if is_confirmed(state) else Disabled()


def is_confirmed(state: EnrollmentState) -> TypeIs[Confirmed]:
    """Return whether login asks for a code. A pending secret never does, and never blocks one."""
    return isinstance(state, Confirmed)


def sealed_secrets(state: EnrollmentState) -> Iterator[tuple[str, Sealed]]:
    """Yield (authenticator id, sealed secret) of every secret in the state."""
    if is_confirmed(state):
        for authenticator in state.authenticators:
            yield authenticator.id, authenticator.sealed
    setup = setup_of(state)
    if setup is not None:
        yield setup.authenticator_id, setup.sealed


def reseal_with(state: EnrollmentState, sealed: Mapping[str, Sealed]) -> EnrollmentState:
    """Put newly sealed secrets, by authenticator id, in the place of the old ones."""
    setup = setup_of(state)
    if setup is not None and setup.authenticator_id in sealed:
        state = with_setup(state, replace(setup, sealed=sealed[setup.authenticator_id]))
    if is_confirmed(state):  # ids stay: they are sealed into the context of each ciphertext
        return replace(
            state,
            authenticators=tuple(
                replace(found, sealed=sealed[found.id]) if found.id in sealed else found
                for found in state.authenticators
            ),
        )
    return state
