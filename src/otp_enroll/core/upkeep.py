"""The verbs that no user asks for: Erase, Purge, Reseal.

They go the one way of a request all the same: a clean-up past the rules would be a second way to
lose an account, and a write past the revision a way to undo somebody's confirm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from otp_enroll import events
from otp_enroll.core.proofs import Override, Proving
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import EnrollmentState, sealed_secrets, setup_of, without_setup
from otp_enroll.core.verb import Decision, Verb, World
from otp_enroll.errors import ProofRequiredError, UnreadableSecretError


class Erase(Proving[None]):
    """Delete the row, whatever is in it: a damaged one too, so it is not loaded.

    It takes an ``Override`` alone: a code could not be judged without the record. An app calls it
    when it deletes an account: a new one with the same id would inherit the old phone.
    """

    __slots__ = ()
    name: ClassVar[str] = "erase"
    loads: ClassVar[bool] = False

    def check(self) -> None:
        """As ``Verb.check``."""
        if self.proof is None:
            raise ProofRequiredError
        if not isinstance(self.proof, Override):
            raise TypeError("erase takes an Override as proof, and nothing else")

    def decide(self, state: EnrollmentState, world: World) -> Decision[None]:  # noqa: ARG002  # whatever it is
        """Leave no row; ``changed_at`` and the budgets go with it."""
        gone = events.EnrollmentErased(**self.stamp(world))
        return Decision(None, events=(*self.vouched(world), gone), erases=True)


class Purge(Verb[bool]):
    """Drop the setup if it is expired.

    An expired secret is dead without it; this takes the ciphertext out of the table (ASVS 14.2.7).
    """

    __slots__ = ()
    name: ClassVar[str] = "purge_expired"
    sees_expired: ClassVar[bool] = True

    def decide(self, state: EnrollmentState, world: World) -> Decision[bool]:
        """Return whether a setup was dropped."""
        # The listing was read a while ago: the user may have begun again since.
        setup = setup_of(state)
        if setup is None or not setup.is_expired(world.now):
            return Decision(outcome=False)
        expired = events.SetupExpired(**self.stamp(world, setup))
        return Decision(outcome=True, state=without_setup(state), events=(expired,))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Resealed:
    """What ``Reseal`` did to one row.

    Attributes:
        written: Whether a secret was sealed with the newest key.
        unreadable: The secrets that stayed shut, for the report of keys that are still needed.
    """

    written: bool
    unreadable: tuple[Sealed, ...]


class Reseal(Verb[Resealed]):
    """Seal again what the cipher wants sealed with another key (ASVS 11.2.2, 13.3.4).

    Logins do the same on their way; this one is for accounts that do not log in.
    """

    __slots__ = ()
    name: ClassVar[str] = "reseal"
    reseals: ClassVar[bool] = True

    def to_open(self, state: EnrollmentState) -> Iterable[tuple[str, Sealed]]:
        """Look at every secret; the stale ones are opened."""
        return sealed_secrets(state)

    def decide(self, state: EnrollmentState, world: World) -> Decision[Resealed]:
        """Write the state back if a stale secret was opened; it is sealed on the way."""
        looked_at = [
            (sealed, world.opened[authenticator_id])
            for authenticator_id, sealed in sealed_secrets(state)
            if authenticator_id in world.opened
        ]
        unreadable = tuple(
            sealed for sealed, opened in looked_at if isinstance(opened, UnreadableSecretError)
        )
        # One secret that stays shut must not keep the others under the old key.
        written = len(unreadable) < len(looked_at)
        done = Resealed(written=written, unreadable=unreadable)
        return Decision(done, state if written else None)
