"""confirm: proving a setup with a code, swapping its secret in, and diagnosing a wrong one.

Pure: no I/O, no clock, no randomness. The swap is one state, which one write stores.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from typing_extensions import Never

from otp_enroll import events
from otp_enroll.core import oath, requests
from otp_enroll.core.budget import Budgets, CodeBudget, Waits
from otp_enroll.core.decision import Decision, Facts, FreshRecovery, SetupConfirmed
from otp_enroll.core.recovery import CodesShown, RecoverySet
from otp_enroll.core.setups import live_setup
from otp_enroll.core.sheet_number import sheet_number
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    Enrollment,
    Setup,
    is_confirmed,
    setup_of,
    with_setup,
    without_setup,
)
from otp_enroll.core.typed_text import TypedCode
from otp_enroll.errors import (
    AppIgnoresParametersError,
    BackupRequiredError,
    ClockSkewError,
    MalformedCodeError,
    SetupExhaustedError,
    WrongCodeError,
)
from otp_enroll.policy import SETUP_WRONG_CODES, Parameters

NO_CODES: Final = RecoverySet(salt=b"", digests=b"", spent=())
_BACKUPS: Final = ("none", "acknowledged", "checked")  # each satisfies those before it


def confirm(
    enrollment: Enrollment, request: requests.Confirm, facts: Facts
) -> Decision[SetupConfirmed]:
    """Make the staged secret live, if the code is one of it."""
    setup = live_setup(enrollment, request, facts)
    backup = _backup_of(setup, request)
    if _BACKUPS.index(backup) < _BACKUPS.index(facts.policy.backup):
        raise BackupRequiredError(facts.policy.backup)
    if request.code.length != setup.parameters.digits and not _is_of_careless_app(
        setup, request.code, facts
    ):
        raise MalformedCodeError("code", setup.parameters.digits)
    counters = oath.window_at(facts.now, setup.parameters.period, facts.policy.window)
    matched = oath.matching_counters(
        facts.secret(setup.authenticator_id), setup.parameters, counters, request.code.reveal()
    )
    if not matched:
        return _count_wrong_code(enrollment, setup, request.code, facts)
    proved = Authenticator(
        id=setup.authenticator_id,
        name=setup.name,
        parameters=setup.parameters,
        sealed=setup.sealed,
        last_counter=matched[-1],
        confirmed_at=facts.now,
        last_used_at=None,
        generation=setup.generation,
    )
    told = facts.event(
        events.AuthenticatorConfirmed, setup, backup=backup, first=not is_confirmed(enrollment)
    )
    return _swapped(enrollment, proved, told, facts)


def _backup_of(setup: Setup, request: requests.Confirm) -> str:
    if setup.copy_checked:
        return "checked"
    return "acknowledged" if request.backup_acknowledged else "none"


def _swapped(
    enrollment: Enrollment, proved: Authenticator, told: events.Event, facts: Facts
) -> Decision[SetupConfirmed]:
    """Put the proved secret in the place of the one of its name, or beside the others.

    On a locked account it stays alone and the lock ends (SP 800-63B-4 §3.2.2: rebind).
    """
    before = enrollment.authenticators if is_confirmed(enrollment) else ()
    budgets = enrollment.budgets if is_confirmed(enrollment) else Budgets()
    recovery = enrollment.recovery if is_confirmed(enrollment) else None
    old = next((one for one in before if one.name == proved.name), None)
    removed = tuple(one for one in before if one is not old) if budgets.code.locked else ()
    kept = tuple(one for one in before if one not in removed)
    tale = [told, *(facts.event(events.AuthenticatorRemoved, one) for one in removed)]
    if old is not None:
        tale.append(facts.event(events.AuthenticatorReplaced, proved, replaced_id=old.id))
    code_budget = (
        CodeBudget()
        if budgets.code.locked
        else replace(budgets.code, waits=budgets.code.waits.cleared())
    )
    after = Confirmed(
        authenticators=tuple(proved if one is old else one for one in kept)
        if old
        else (*kept, proved),
        recovery=recovery or NO_CODES,
        budgets=replace(budgets, code=code_budget),
    )
    codes = None
    if after.recovery.left == 0:
        after, codes, issued = with_new_recovery_codes(after, facts, setup_of(enrollment))
        tale.append(issued)
    answer = SetupConfirmed(
        authenticator=proved.name,
        replaced=old is not None,
        removed=tuple(one.name for one in removed),
        codes=codes,
    )
    return Decision(answer, enrollment=after, events=tuple(tale), changed=True)


def with_new_recovery_codes(
    confirmed: Confirmed, facts: Facts, proved: Setup | None = None
) -> tuple[Confirmed, CodesShown, events.RecoveryCodesIssued]:
    """Replace the whole set, which also ends a wait of recovery codes."""
    fresh = facts.drawn(FreshRecovery)
    codes = fresh.codes.canonical()
    renewed = replace(
        confirmed,
        recovery=RecoverySet.issue(facts.user_id, fresh.salt, codes),
        budgets=replace(confirmed.budgets, recovery=Waits()),
    )
    shown = CodesShown(
        codes=fresh.codes,
        number=sheet_number("recovery codes", fresh.salt),
        issuer=proved.issuer if proved else facts.issuer,
        account_name=proved.account_name if proved else None,
        at=facts.now,
        policy=facts.policy,
    )
    return renewed, shown, facts.event(events.RecoveryCodesIssued, count=len(codes))


def _count_wrong_code(
    enrollment: Enrollment, setup: Setup, code: TypedCode, facts: Facts
) -> Decision[Never]:
    failures = setup.failures + 1
    rejected = facts.event(events.CodeRejected, setup, method="code")
    if failures >= SETUP_WRONG_CODES:
        return Decision(
            SetupExhaustedError(),
            enrollment=without_setup(enrollment),
            events=(rejected, facts.event(events.SetupExhausted, setup)),
        )
    return Decision(
        _diagnosed(setup, code, SETUP_WRONG_CODES - failures, facts),
        enrollment=with_setup(enrollment, replace(setup, failures=failures)),
        events=(rejected,),
    )


def _diagnosed(setup: Setup, code: TypedCode, left: int, facts: Facts) -> WrongCodeError:
    """Tell why a code is wrong, to one who may see the key anyway; login never does."""
    secret = facts.secret(setup.authenticator_id)
    skew = oath.skew_of(secret, setup.parameters, facts.now, code.reveal())
    if skew is not None:
        return ClockSkewError(skew, left)
    if _is_of_careless_app(setup, code, facts):
        return AppIgnoresParametersError(left)
    return WrongCodeError("code", left)


def _is_of_careless_app(setup: Setup, code: TypedCode, facts: Facts) -> bool:
    if code.length not in {setup.parameters.digits, Parameters().digits}:
        return False  # no app shows it, so the secret need not be opened to say so
    return oath.is_code_of_other_parameters(
        facts.secret(setup.authenticator_id),
        setup.parameters,
        facts.now,
        facts.policy.window,
        code.reveal(),
    )
