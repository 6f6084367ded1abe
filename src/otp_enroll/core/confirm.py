"""Confirm: proving a setup with a code, swapping its secret in, and diagnosing a wrong one.

The swap is one state, which one write stores: no crash and no other request can leave an account
with both secrets live, or with none. A code makes the secret live, and not a click: nothing else
reveals an app that ignored SHA256 or eight digits, and shows wrong codes ever after.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from typing_extensions import Never

from otp_enroll import events
from otp_enroll.core import oath
from otp_enroll.core.recovery import CodesShown, FreshRecovery, RecoverySet
from otp_enroll.core.secret import check_setup_id
from otp_enroll.core.sheet_number import sheet_number
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    EnrollmentState,
    StoredSetup,
    is_confirmed,
    with_setup,
    without_setup,
)
from otp_enroll.core.typed_text import TypedCode
from otp_enroll.core.verb import Decision, Draws, SetupVerb, Verb, World
from otp_enroll.errors import (
    AppIgnoresParametersError,
    BackupRequiredError,
    ClockSkewError,
    MalformedCodeError,
    SetupExhaustedError,
    WrongCodeError,
)
from otp_enroll.policy import SETUP_WRONG_CODES, Parameters

_BACKUPS: Final = ("none", "acknowledged", "checked")  # each satisfies those before it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SetupConfirmed:
    """What a confirm did.

    Attributes:
        authenticator: The name of the one that was proved.
        replaced: Whether another secret of that name was live until now.
        removed: The names that went with the lock that this confirm ended.
        codes: A new set of recovery codes, or ``None`` while the old one has unspent codes.
    """

    authenticator: str
    replaced: bool
    removed: tuple[str, ...]
    codes: CodesShown | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Confirm(SetupVerb[SetupConfirmed]):
    """Make the staged secret live, if the code is one of it.

    It takes no secret from its caller: what is proved is what ``begin`` stored (CWE-472).
    """

    name: ClassVar[str] = "confirm"
    draws: ClassVar[Draws] = "recovery"

    code: TypedCode
    backup_acknowledged: bool = False

    def check(self) -> None:
        """As ``Verb.check``."""
        check_setup_id(self.setup_id)
        if not isinstance(self.backup_acknowledged, bool):
            raise TypeError("backup_acknowledged must be a bool")

    @property
    def typed(self) -> TypedCode:
        """The code."""
        return self.code

    @property
    def accepted(self) -> Collection[str]:
        """A code alone: no recovery code proves a new secret."""
        return ("code",)

    def on_setup(
        self, state: EnrollmentState, setup: StoredSetup, world: World
    ) -> Decision[SetupConfirmed]:
        """Judge the code by the setup's own limit, and swap the secret in."""
        backup = self._backup_of(setup)
        # Before the code is judged, so that a forgotten tick costs none of the ten tries.
        if _BACKUPS.index(backup) < _BACKUPS.index(world.policy.backup):
            raise BackupRequiredError(world.policy.backup)
        if self.code.length != setup.parameters.digits and not self._is_of_careless_app(
            setup, world
        ):
            raise MalformedCodeError("code", setup.parameters.digits)
        matched = oath.matching_counters(
            world.secret(setup.authenticator_id),
            setup.parameters,
            oath.window_at(world.now, setup.parameters.period, world.policy.window),
            self.code.reveal(),
        )
        if not matched:
            return self._count_wrong_code(state, setup, world)
        proved = Authenticator(
            id=setup.authenticator_id,
            name=setup.name,
            parameters=setup.parameters,
            sealed=setup.sealed,
            last_counter=matched[-1],  # the code that confirms does not also log in (CWE-294)
            confirmed_at=world.now,
            generation=setup.generation,
        )
        confirmed = events.AuthenticatorConfirmed(
            **self.stamp(world, setup), backup=backup, first=not is_confirmed(state)
        )
        return self._swap_in(state, setup, proved, confirmed, world)

    def _backup_of(self, setup: StoredSetup) -> str:
        if setup.copy_checked:
            return "checked"
        return "acknowledged" if self.backup_acknowledged else "none"

    def _swap_in(
        self,
        state: EnrollmentState,
        setup: StoredSetup,
        proved: Authenticator,
        confirmed: events.Event,
        world: World,
    ) -> Decision[SetupConfirmed]:
        """Put the proved secret in the place of the one of its name, or beside the others.

        On a locked account it stays alone and the lock ends (SP 800-63B-4 §3.2.2: rebind).
        """
        before = state if is_confirmed(state) else Confirmed(authenticators=())  # never stored
        locked = before.budgets.code.locked
        old = before.find_named(proved.name)
        kept = [found for found in before.authenticators if found is old or not locked]
        removed = [found for found in before.authenticators if found not in kept]
        happened = [confirmed]
        happened += (events.AuthenticatorRemoved(**self.stamp(world, gone)) for gone in removed)
        if old is not None:
            stamp = self.stamp(world, proved)
            happened.append(events.AuthenticatorReplaced(**stamp, replaced_id=old.id))
        budgets = before.budgets
        account = Confirmed(
            authenticators=_replace_or_add(kept, old, proved),
            recovery=before.recovery,
            budgets=budgets.with_code(budgets.code.restart()) if locked else budgets.clear_code(),
        )
        codes = None
        if account.recovery_codes_left == 0:  # else the paper in the drawer stays good
            account, codes, issued = issue_recovery_codes(account, self, world, setup)
            happened.append(issued)
        answer = SetupConfirmed(
            authenticator=proved.name,
            replaced=old is not None,
            removed=tuple(gone.name for gone in removed),
            codes=codes,
        )
        return Decision(answer, state=account, events=tuple(happened), changed=True)

    def _count_wrong_code(
        self, state: EnrollmentState, setup: StoredSetup, world: World
    ) -> Decision[Never]:
        # In the setup alone: guesses at it must not keep the working authenticator waiting.
        failures = setup.failures + 1
        rejected = events.CodeRejected(**self.stamp(world, setup), method="code")
        if failures >= SETUP_WRONG_CODES:
            return Decision(
                SetupExhaustedError(),
                state=without_setup(state),
                events=(rejected, events.SetupExhausted(**self.stamp(world, setup))),
            )
        return Decision(
            self._diagnose(setup, SETUP_WRONG_CODES - failures, world),
            state=with_setup(state, replace(setup, failures=failures)),
            events=(rejected,),
        )

    def _diagnose(self, setup: StoredSetup, left: int, world: World) -> WrongCodeError:
        """Say why a code is wrong: the setup id's holder may see the key. Login gives no hint."""
        secret = world.secret(setup.authenticator_id)
        skew = oath.skew_of(secret, setup.parameters, world.now, self.code.reveal())
        if skew is not None:
            return ClockSkewError(skew, left)
        if self._is_of_careless_app(setup, world):
            return AppIgnoresParametersError(left)
        # Neither explains it: a typo, or the entry of another account.
        return WrongCodeError("code", left)

    def _is_of_careless_app(self, setup: StoredSetup, world: World) -> bool:
        if self.code.length not in {setup.parameters.digits, Parameters().digits}:
            return False  # no app shows it, so the secret need not be opened to say so
        return oath.is_code_of_other_parameters(
            world.secret(setup.authenticator_id),
            setup.parameters,
            world.now,
            world.policy.window,
            self.code.reveal(),
        )


def _replace_or_add(
    kept: Sequence[Authenticator], old: Authenticator | None, proved: Authenticator
) -> tuple[Authenticator, ...]:
    if old is None:
        return (*kept, proved)
    return tuple(proved if found is old else found for found in kept)


def issue_recovery_codes(
    account: Confirmed, verb: Verb[Any], world: World, proved: StoredSetup | None = None
) -> tuple[Confirmed, CodesShown, events.RecoveryCodesIssued]:
    """Replace the whole set, which also ends a wait of recovery codes.

    Returns:
        The account with the set's digests, what is shown once, and the event.
    """
    fresh = world.drawn(FreshRecovery)
    codes = fresh.codes.canonical()
    renewed = replace(
        account,
        recovery=RecoverySet.issue(verb.user_id, fresh.salt, codes),
        budgets=account.budgets.clear_recovery(),  # the wait was for guesses at the old set
    )
    shown = CodesShown(
        codes=fresh.codes,
        number=sheet_number("recovery codes", fresh.salt),
        issuer=proved.issuer if proved else world.issuer,
        account_name=proved.account_name if proved else None,
        at=world.now,
        policy=world.policy,
    )
    issued = events.RecoveryCodesIssued(**verb.stamp(world), count=len(codes))
    return renewed, shown, issued
