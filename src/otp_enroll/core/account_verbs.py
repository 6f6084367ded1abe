"""The verbs of a confirmed account: Verify, Disable, RegenerateRecoveryCodes, Rename.

A session alone removes nothing and issues nothing here: both take a proof, which the same write
spends (ASVS 7.5.1, CWE-306).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from otp_enroll import events
from otp_enroll.core.confirm import issue_recovery_codes
from otp_enroll.core.judging import judge, secrets_for
from otp_enroll.core.proofs import Proving, Verification
from otp_enroll.core.recovery import CodesShown
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import Authenticator, Confirmed, Disabled, EnrollmentState, aware
from otp_enroll.core.typed_text import MAX_PURPOSE, TypedCode, check_text, clean_name
from otp_enroll.core.verb import METHODS, AccountVerb, Decision, Draws, World
from otp_enroll.errors import NameTakenError, UnknownAuthenticatorError


def check_accept(accept: object) -> tuple[str, ...]:
    """Check which kinds of code a page takes.

    Args:
        accept: ``"code"``, ``"recovery_code"`` or both, each once.

    Returns:
        The same, in the order of ``METHODS``.

    Raises:
        TypeError: Not a collection of methods.
        ValueError: Empty, or something besides the two.
    """
    # A str is a collection too, of its letters: accept="code" is the likeliest mistake.
    if isinstance(accept, str) or not isinstance(accept, Collection):
        raise TypeError("accept must be a collection of methods")
    given = cast("Collection[object]", accept)
    methods = tuple(method for method in METHODS if method in given)
    # One misspelt beside a right one must not pass: the page would refuse what it meant to take.
    if not methods or len(methods) != len(given):
        raise ValueError(f"accept must have one or both of {', '.join(METHODS)}")
    return methods


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Verify(AccountVerb[Verification]):
    """Judge a code, and spend it. A staged setup's codes never count.

    A code that was spent for one purpose is spent for all: otherwise a code that somebody read over
    the owner's shoulder at a login would also approve a withdrawal (CWE-294).
    """

    name: ClassVar[str] = "verify"

    code: TypedCode
    purpose: str
    accept: Collection[str] = METHODS

    def check(self) -> None:
        """As ``Verb.check``."""
        purpose = check_text(self.purpose, "purpose", MAX_PURPOSE)
        if purpose is not self.purpose:  # a subclass of str is kept as a plain one
            self._set("purpose", purpose)
        if self.accept is not METHODS:
            self._set("accept", check_accept(self.accept))

    @property
    def typed(self) -> TypedCode:
        """The code."""
        return self.code

    @property
    def accepted(self) -> Collection[str]:
        """The kinds that the page takes."""
        return self.accept

    @property
    def spent_for(self) -> str:
        """What the caller wants the code for, in the app's words."""
        return self.purpose

    def to_open(self, state: EnrollmentState) -> Iterable[tuple[str, Sealed]]:
        """Open what the code is judged against."""
        # The staged secret is not among it: before its confirm it authenticates nobody.
        return secrets_for(self.code, state)

    def on_account(self, account: Confirmed, world: World) -> Decision[Verification]:
        """Judge the code, and say what it proved."""
        judged = judge(account, self.code, self, world)
        if isinstance(judged, Decision):
            return judged
        verification = Verification(
            user_id=self.user_id,
            purpose=self.purpose,
            method=judged.method,
            authenticator=judged.authenticator,
            at=aware(world.now),
            recovery_codes_left=judged.account.recovery_codes_left,
            # Only a recovery code gets here during a lock; the page then leads to a new setup.
            locked=judged.account.budgets.code.locked,
        )
        return Decision(verification, judged.account, judged.events, judged.changed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Disable(Proving[None], AccountVerb[None]):
    """Remove one authenticator or all; removing the last one disables OTP.

    The write that spends the proof erases the secret (SP 800-63B-4 §4.5), and with the last one the
    setup, the recovery codes and the budgets. The row stays, for ``changed_at``: an app may hold
    withdrawals for a while after the change.
    """

    name: ClassVar[str] = "disable"

    authenticator: str | None = None

    def check(self) -> None:
        """As ``Verb.check``."""
        if self.authenticator is not None:
            self._set("authenticator", clean_name(self.authenticator, "authenticator"))

    def on_account(self, account: Confirmed, world: World) -> Decision[None]:
        """Remove what the proof allows to remove."""
        # Before the proof is judged: a misspelt name must not spend it.
        if self.authenticator is not None:
            _require_named(account, self.authenticator)
        judged = self.prove(account, world)
        if isinstance(judged, Decision):
            return judged
        account = judged.account
        kept = tuple(
            found
            for found in account.authenticators
            if self.authenticator not in {None, found.name}
        )
        if not kept:
            # Nothing of the old state is carried over, so that the next life inherits nothing.
            off = events.EnrollmentDisabled(**self.stamp(world), names=account.names)
            return Decision(None, Disabled(), (*judged.events, off), changed=True)
        (removed,) = (found for found in account.authenticators if found not in kept)
        setup = account.setup
        # Confirmed later, the staged replacement would bring back the name that was removed.
        if setup is not None and setup.name == self.authenticator:
            setup = None
        gone = events.AuthenticatorRemoved(**self.stamp(world, removed))
        after = replace(account, authenticators=kept, setup=setup)
        return Decision(None, after, (*judged.events, gone), changed=True)


class RegenerateRecoveryCodes(Proving[CodesShown], AccountVerb[CodesShown]):
    """Make a new set of recovery codes, which voids the old one.

    None of the old set is a proof: a lost reply would leave the owner without the old codes and
    without the new ones. The codes come from the library alone: a set that a request could choose
    was a hole elsewhere (Keycloak #26104).
    """

    __slots__ = ()
    name: ClassVar[str] = "regenerate_recovery_codes"
    draws: ClassVar[Draws] = "recovery"

    @property
    def accepted(self) -> Collection[str]:
        """No recovery code is a proof."""
        return ("code",)

    def on_account(self, account: Confirmed, world: World) -> Decision[CodesShown]:
        """Issue the new set."""
        judged = self.prove(account, world)
        if isinstance(judged, Decision):
            return judged
        # On judged.account: the state before it would make the spent code good again.
        after, codes, issued = issue_recovery_codes(judged.account, self, world)
        return Decision(codes, after, (*judged.events, issued), changed=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rename(AccountVerb[None]):
    """Rename an authenticator; a staged replacement of it follows.

    Its id, secret and counters stay, so no code becomes good again.
    """

    name: ClassVar[str] = "rename"

    authenticator: str
    new_name: str

    def check(self) -> None:
        """As ``Verb.check``."""
        self._set("authenticator", clean_name(self.authenticator, "authenticator"))
        self._set("new_name", clean_name(self.new_name, "new_name"))

    def on_account(self, account: Confirmed, world: World) -> Decision[None]:
        """Give the authenticator a name that no other has."""
        old = _require_named(account, self.authenticator)
        if self.new_name == old.name:
            return Decision(None)  # a form that was sent twice writes once
        setup = account.setup
        # The staged name counts: its confirm would replace the authenticator that had taken it.
        if self.new_name in (*account.names, setup and setup.name):
            raise NameTakenError(account.names)
        # Left behind, the replacement would be added beside the authenticator that it replaces.
        if setup is not None and setup.name == old.name:
            setup = replace(setup, name=self.new_name)
        new = replace(old, name=self.new_name)
        renamed = tuple(new if found is old else found for found in account.authenticators)
        return Decision(
            None,
            replace(account, authenticators=renamed, setup=setup),
            (events.AuthenticatorRenamed(**self.stamp(world, new), old_name=old.name),),
        )


def _require_named(account: Confirmed, name: str) -> Authenticator:
    found = account.find_named(name)
    if found is None:
        raise UnknownAuthenticatorError
    return found
