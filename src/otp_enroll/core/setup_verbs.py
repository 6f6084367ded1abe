"""The verbs of a setup that is not proved yet: Begin, Resume, Cancel, CheckKeyCopy.

The staged secret authenticates nobody, and the working one works until ``Confirm`` swaps them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from otp_enroll import events
from otp_enroll.core.proofs import Proving
from otp_enroll.core.secret import FreshSetup, Sealed, Secret, SetupId
from otp_enroll.core.states import (
    DEFAULT_NAME,
    Confirmed,
    EnrollmentState,
    StoredSetup,
    is_confirmed,
    with_setup,
    without_setup,
)
from otp_enroll.core.typed_text import (
    MAX_ACCOUNT_NAME,
    MAX_BYTES_PER_CHARACTER,
    TypedCode,
    TypedKey,
    clean_label,
    clean_name,
)
from otp_enroll.core.verb import Decision, Draws, SetupVerb, World
from otp_enroll.errors import (
    AmbiguousAuthenticatorError,
    MalformedCodeError,
    NotEnrolledError,
    TooManyAuthenticatorsError,
)
from otp_enroll.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SetupShown:
    """A live setup with what only the holder of its id is shown, ``at`` in Unix seconds.

    ``replaces``: an authenticator has its name. ``beside``: at least one works meanwhile.
    """

    setup: StoredSetup
    setup_id: SetupId
    secret: Secret
    replaces: bool
    beside: bool
    at: int
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCopy:
    """How a copy of the key compares with the key. A comparison counts nothing.

    Attributes:
        matches: Whether the copy is right.
        differing_groups: The groups of four that differ, counted from 1; never what they hold.
    """

    matches: bool
    differing_groups: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Begin(Proving[SetupShown]):
    """Stage a fresh secret, beside the working ones if there are any.

    Always a fresh one: if a stranger had begun before and seen the secret, the owner's own code
    would make it live. What shows the same key again is ``Resume``.
    """

    name: ClassVar[str] = "begin"
    draws: ClassVar[Draws] = "setup"

    account_name: str
    authenticator: str | None = None

    def check(self) -> None:
        """As ``Verb.check``."""
        self._set("account_name", clean_label(self.account_name, "account_name"))
        if self.authenticator is not None:
            self._set("authenticator", clean_name(self.authenticator, "authenticator"))

    def decide(self, state: EnrollmentState, world: World) -> Decision[SetupShown]:
        """Stage the secret; on a confirmed account with a proof."""
        if not is_confirmed(state):
            if isinstance(self.proof, TypedCode):
                raise NotEnrolledError  # taking it unjudged would let one code open two doors
            name = self.authenticator or DEFAULT_NAME
            return self._stage(state, name, world, self.vouched(world))
        name = self._choose_name(state)
        # Before the proof is judged: what the policy refuses must not spend it.
        if state.find_named(name) is None and (
            len(state.authenticators) >= world.policy.max_authenticators
        ):
            raise TooManyAuthenticatorsError
        judged = self.prove(state, world)
        if isinstance(judged, Decision):
            return judged
        # On judged.account: on the state before it, the spent proof would be good again.
        staged = self._stage(judged.account, name, world, judged.events)
        return replace(staged, changed=judged.changed)

    def _choose_name(self, account: Confirmed) -> str:
        if self.authenticator is not None:
            return self.authenticator
        if len(account.names) != 1:
            raise AmbiguousAuthenticatorError(account.names)
        return account.names[0]

    def _stage(
        self,
        state: EnrollmentState,
        name: str,
        world: World,
        happened: tuple[events.Event, ...],
    ) -> Decision[SetupShown]:
        fresh = world.drawn(FreshSetup)
        old = state.find_named(name) if is_confirmed(state) else None
        generation = old.generation + 1 if old else 1
        suffix = f" ({generation})" if old and world.policy.suffix_on_rotation else ""
        setup = StoredSetup(
            id_digest=fresh.setup_id.digest(self.user_id),
            authenticator_id=fresh.authenticator_id,
            name=name,
            parameters=world.policy.parameters,
            sealed=fresh.require_sealed(),
            issuer=world.issuer,  # stored, so that a reload shows what was scanned
            account_name=_add_suffix(self.account_name, suffix),
            expires_at=world.now + world.policy.setup_lifetime,
            generation=generation,
        )
        begun = events.SetupBegun(**self.stamp(world, setup), replaces=old is not None)
        return Decision(
            _show(state, setup, fresh.setup_id, fresh.secret, world),
            state=with_setup(state, setup),
            events=(*happened, begun),
        )


def _add_suffix(account_name: str, suffix: str) -> str:
    # The suffix is never cut: without it the phone overwrites the entry that still works.
    kept = account_name[: MAX_ACCOUNT_NAME - len(suffix)]
    while len((kept + suffix).encode()) > MAX_BYTES_PER_CHARACTER * MAX_ACCOUNT_NAME:
        kept = kept[:-1]
    return kept.rstrip() + suffix


def _show(
    state: EnrollmentState, setup: StoredSetup, setup_id: SetupId, secret: Secret, world: World
) -> SetupShown:
    return SetupShown(
        setup=setup,
        setup_id=setup_id,
        secret=secret,
        replaces=is_confirmed(state) and state.find_named(setup.name) is not None,
        beside=is_confirmed(state),
        at=world.now,
        policy=world.policy,
    )


class Resume(SetupVerb[SetupShown]):
    """Show the live setup again, and write nothing: a reload must not void a scanned QR code."""

    __slots__ = ()
    name: ClassVar[str] = "resume"

    def on_setup(
        self, state: EnrollmentState, setup: StoredSetup, world: World
    ) -> Decision[SetupShown]:
        """Return the same key, to the holder of the id and while it is pending (ASVS 14.2.6)."""
        secret = world.secret(setup.authenticator_id)
        return Decision(
            _show(state, setup, self.setup_id, secret, world),
            events=(events.SetupResumed(**self.stamp(world, setup)),),
        )


class Cancel(SetupVerb[None]):
    """Drop the live setup and its secret."""

    __slots__ = ()
    name: ClassVar[str] = "cancel"

    def to_open(self, state: EnrollmentState) -> tuple[tuple[str, Sealed], ...]:  # noqa: ARG002  # whatever it is
        """Open nothing: a lost key must not keep a setup alive."""
        return ()

    def on_setup(self, state: EnrollmentState, setup: StoredSetup, world: World) -> Decision[None]:
        """Return the state without it."""
        return Decision(
            None,
            state=without_setup(state),
            events=(events.SetupCancelled(**self.stamp(world, setup)),),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class CheckKeyCopy(SetupVerb[KeyCopy]):
    """Compare a copy of the live setup's key with the key."""

    name: ClassVar[str] = "check_key_copy"

    copy: TypedKey

    def refuse_malformed(self, digits: int) -> None:  # noqa: ARG002  # a key is no code
        """Refuse an empty or endless copy; any other can be compared."""
        if self.copy.kind == "not text":
            raise TypeError("text must be a str")
        if self.copy.kind == "malformed":
            raise MalformedCodeError("key")

    def on_setup(
        self, state: EnrollmentState, setup: StoredSetup, world: World
    ) -> Decision[KeyCopy]:
        """Write the first right copy down, and no other.

        A wrong one costs nothing: this holder of the id may see the key, so nothing is guessed.
        """
        differing = world.secret(setup.authenticator_id).differing_groups(self.copy.text)
        newly_checked = not differing and not setup.copy_checked
        compared = events.KeyCopyChecked(**self.stamp(world, setup), matches=not differing)
        return Decision(
            KeyCopy(matches=not differing, differing_groups=differing),
            state=with_setup(state, replace(setup, copy_checked=True)) if newly_checked else None,
            events=(compared,),
        )
