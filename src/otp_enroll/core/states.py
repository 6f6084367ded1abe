"""The states of an enrollment, Disabled | Pending | Confirmed: a wrong one cannot be written.

Pure: no I/O, no clock, no randomness. Times are Unix seconds.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from typing_extensions import TypeIs, assert_never

from otp_enroll.core.budget import Budgets, Extra
from otp_enroll.core.recovery import RecoverySet
from otp_enroll.core.secret import Sealed, SetupId
from otp_enroll.policy import Parameters


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
    last_used_at: int | None
    generation: int
    extra: Extra = field(default_factory=dict[str, object], repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
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
        """Tell whether the setup's time is over."""
        return now >= self.expires_at

    def is_named_by(self, setup_id: SetupId, user_id: str) -> bool:
        """Compare a setup id with this setup's, in constant time."""
        return hmac.compare_digest(setup_id.digest(user_id), self.id_digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disabled:
    """One-time passwords are off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A first setup is under way; login does not ask for a code."""

    setup: Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """One-time passwords are on.

    Attributes:
        authenticators: One or more, with names all different.
        recovery: The set of recovery codes.
        budgets: Wrong codes and waits; they live here and nowhere else.
        setup: A replacement or a further authenticator under way, beside the working ones.
    """

    authenticators: tuple[Authenticator, ...]
    recovery: RecoverySet
    budgets: Budgets = field(default_factory=Budgets)
    setup: Setup | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The authenticators' names, in the order of their confirmation."""
        return tuple(one.name for one in self.authenticators)

    def named(self, name: str) -> Authenticator | None:
        """Return the authenticator of that name."""
        return next((one for one in self.authenticators if one.name == name), None)


Enrollment = Disabled | Pending | Confirmed


def phase_of(enrollment: Enrollment) -> Phase:
    """Return the column of the transition table that a state stands in."""
    match enrollment:
        case Disabled():
            return Phase.DISABLED
        case Pending():
            return Phase.PENDING
        case Confirmed(setup=None):
            return Phase.CONFIRMED
        case Confirmed():
            return Phase.STAGED
        case _:  # pragma: no cover  # the union has no other member; the type checkers prove it
            assert_never(enrollment)


def setup_of(enrollment: Enrollment) -> Setup | None:
    """Return the setup under way, expired or not."""
    return None if isinstance(enrollment, Disabled) else enrollment.setup


def with_setup(enrollment: Enrollment, setup: Setup) -> Pending | Confirmed:
    """Put a setup in the place of any other one."""
    if is_confirmed(enrollment):
        return replace(enrollment, setup=setup)
    return Pending(setup=setup)


def without_setup(enrollment: Enrollment) -> Disabled | Confirmed:
    """Drop the setup and its secret."""
    return replace(enrollment, setup=None) if is_confirmed(enrollment) else Disabled()


def is_confirmed(enrollment: Enrollment) -> TypeIs[Confirmed]:
    """Tell whether login asks for a code."""
    return isinstance(enrollment, Confirmed)


def sealed_secrets(enrollment: Enrollment) -> Iterator[tuple[str, Sealed]]:
    """Yield (authenticator id, sealed secret) of every secret in the state."""
    if is_confirmed(enrollment):
        yield from ((one.id, one.sealed) for one in enrollment.authenticators)
    setup = setup_of(enrollment)
    if setup is not None:
        yield setup.authenticator_id, setup.sealed


def resealed(enrollment: Enrollment, sealed: Mapping[str, Sealed]) -> Enrollment:
    """Put newly sealed secrets, by authenticator id, in the place of the old ones."""
    setup = setup_of(enrollment)
    if setup is not None:
        newer = sealed.get(setup.authenticator_id, setup.sealed)
        enrollment = with_setup(enrollment, replace(setup, sealed=newer))
    if is_confirmed(enrollment):
        return replace(
            enrollment,
            authenticators=tuple(
                replace(one, sealed=sealed.get(one.id, one.sealed))
                for one in enrollment.authenticators
            ),
        )
    return enrollment
