"""The status of an account. It contains no secret, so it needs no proof.

It opens none either: with the cipher's key lost, an app still learns that login asks for a code.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, NoReturn

from otp_enroll.core.sheet_number import sheet_number
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    EnrollmentState,
    aware,
    aware_or_none,
    is_confirmed,
    setup_of,
)
from otp_enroll.core.verb import Decision, Verb, World
from otp_enroll.errors import EnrollmentMissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticatorStatus:
    """One authenticator in a ``Status``. Times are aware UTC datetimes.

    Attributes:
        name: What the user calls it.
        id: New with each secret, so that a page can notice a replacement of the same name.
        type: ``"totp"`` or ``"hotp"``.
        confirmed_at: When it was proved.
        last_used_at: When a code of it was last accepted after that, or ``None``.
    """

    name: str
    id: str
    type: str
    confirmed_at: datetime
    last_used_at: datetime | None

    @property
    def sheet_number(self) -> str:
        """The number on the paper with its key; a paper with another number is void."""
        return sheet_number("key", self.id.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What may be said about an account without any proof. It holds no secret.

    Look at ``required`` to decide whether login asks for a code; the rest is for pages.

    Attributes:
        user_id: Whose account.
        state: ``"disabled"``, ``"pending"`` or ``"confirmed"``.
        required: Whether login must ask for a code: the state is confirmed.
        authenticators: The confirmed ones.
        recovery_codes_left: Unspent recovery codes, or ``None`` unless confirmed.
        recovery_sheet_number: The number on the paper with them, or ``None`` if no set was made.
        setup_expires_at: When the live setup expires, or ``None`` where there is none.
        retry_at: When the next code is judged, or ``None`` if now, or if ``locked``.
        recovery_retry_at: The same for recovery codes.
        locked: Whether codes are locked.
        changed_at: The last confirm, removal, disable, or use or renewal of recovery codes.
    """

    user_id: str
    state: Literal["disabled", "pending", "confirmed"]
    required: bool
    authenticators: tuple[AuthenticatorStatus, ...] = ()
    recovery_codes_left: int | None = None
    recovery_sheet_number: str | None = None
    setup_expires_at: datetime | None = None
    retry_at: datetime | None = None
    recovery_retry_at: datetime | None = None
    locked: bool = False
    changed_at: datetime | None = None

    def __bool__(self) -> NoReturn:
        # Every status would be true: "if status" would ask for a code that nobody can have.
        raise TypeError("a Status is neither true nor false: look at required")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AskStatus(Verb[Status]):
    """Report the state; an expired setup is not reported, though it may still be stored.

    ``known_on`` is what the app's own table says. With it a row that was lost, or that a store
    fails to find, is a failure and not a login by password alone.
    """

    name: ClassVar[str] = "status"

    known_on: bool = False

    def check(self) -> None:
        """As ``Verb.check``."""
        if not isinstance(self.known_on, bool):
            raise TypeError("known_on must be a bool")

    def decide(self, state: EnrollmentState, world: World) -> Decision[Status]:
        """Describe the state."""
        if is_confirmed(state):
            return Decision(self._describe(state, world))
        # Fail closed (ASVS 16.5.3): "no row" is also what a broken replica or a wiped table says.
        if self.known_on:
            raise EnrollmentMissingError
        setup = setup_of(state)
        return Decision(
            Status(
                user_id=self.user_id,
                state="disabled" if setup is None else "pending",
                required=False,
                setup_expires_at=None if setup is None else aware(setup.expires_at),
                changed_at=aware_or_none(world.changed_at or None),  # 0: never, and not 1970
            )
        )

    def _describe(self, account: Confirmed, world: World) -> Status:
        code, limits = account.budgets.code, world.policy.budget
        # No clock opens a lock: a time beside it would promise that waiting helps.
        retry_at = None if code.locked else code.waits.until(world.now, limits)
        recovery, setup = account.recovery, account.setup
        return Status(
            user_id=self.user_id,
            state="confirmed",
            required=True,
            authenticators=tuple(_describe_one(found) for found in account.authenticators),
            recovery_codes_left=account.recovery_codes_left,
            recovery_sheet_number=None if recovery is None else recovery.sheet_number,
            # Beside "confirmed": the page offers to go on, and login asks for the old code.
            setup_expires_at=None if setup is None else aware(setup.expires_at),
            retry_at=aware_or_none(retry_at),
            recovery_retry_at=aware_or_none(account.budgets.recovery.until(world.now, limits)),
            locked=code.locked,
            changed_at=aware_or_none(world.changed_at or None),
        )


def _describe_one(authenticator: Authenticator) -> AuthenticatorStatus:
    return AuthenticatorStatus(
        name=authenticator.name,
        id=authenticator.id,
        type=authenticator.parameters.type,
        confirmed_at=aware(authenticator.confirmed_at),
        last_used_at=aware_or_none(authenticator.last_used_at),
    )
