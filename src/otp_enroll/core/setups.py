"""The verbs of a setup: begin, resume, confirm, cancel, check_key_copy.

Pure: no I/O, no clock, no randomness. The staged secret authenticates nobody, and the working one
works until ``confirm`` swaps them in one state, which one write stores.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from typing_extensions import Never

from otp_enroll import events
from otp_enroll.core import oath, requests
from otp_enroll.core.budget import Budgets, CodeBudget, Waits
from otp_enroll.core.decision import (
    Decision,
    Facts,
    FreshRecovery,
    FreshSetup,
    KeyCopy,
    SetupConfirmed,
    SetupShown,
)
from otp_enroll.core.proofs import prove, vouched
from otp_enroll.core.recovery import FreshCodes, RecoverySet
from otp_enroll.core.secret import Sealed
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
from otp_enroll.core.typed_text import LONGEST_ACCOUNT_NAME, TypedCode
from otp_enroll.errors import (
    AmbiguousAuthenticatorError,
    AppIgnoresParametersError,
    BackupRequiredError,
    ClockSkewError,
    MalformedCodeError,
    NotEnrolledError,
    NotPendingError,
    SetupExhaustedError,
    SetupExpiredError,
    SetupSupersededError,
    TooManyAuthenticatorsError,
    WrongCodeError,
)
from otp_enroll.policy import SETUP_WRONG_CODES

NO_CODES: Final = RecoverySet(salt=b"", digests=b"", spent=())
NOT_SEALED: Final = Sealed(b"")
"""Stands in a decision to stage a secret: who encodes the state seals what was drawn."""

DEFAULT_NAME: Final = "default"
_BACKUPS: Final = ("none", "acknowledged", "checked")  # each satisfies those before it


def begin(enrollment: Enrollment, request: requests.Begin, facts: Facts) -> Decision[SetupShown]:
    """Stage a fresh secret, beside the working ones if there are any."""
    if not is_confirmed(enrollment):
        if isinstance(request.proof, TypedCode):
            raise NotEnrolledError  # taking it unjudged would let one code open two doors
        name = request.authenticator or DEFAULT_NAME
        return _staged(enrollment, name, request, facts, vouched("begin", request.proof, facts))
    name = _chosen_name(enrollment, request.authenticator)
    if enrollment.named(name) is None and (
        len(enrollment.authenticators) >= facts.policy.max_authenticators
    ):
        raise TooManyAuthenticatorsError
    judged = prove("begin", enrollment, request.proof, facts)
    if isinstance(judged, Decision):
        return judged
    staged = _staged(judged.confirmed, name, request, facts, judged.events)
    return replace(staged, changed=judged.changed)


def _chosen_name(confirmed: Confirmed, name: str | None) -> str:
    if name is not None:
        return name
    if len(confirmed.names) != 1:
        raise AmbiguousAuthenticatorError(confirmed.names)
    return confirmed.names[0]


def _staged(
    enrollment: Enrollment,
    name: str,
    request: requests.Begin,
    facts: Facts,
    told: tuple[events.Event, ...],
) -> Decision[SetupShown]:
    fresh = facts.drawn(FreshSetup)
    old = enrollment.named(name) if is_confirmed(enrollment) else None
    generation = old.generation + 1 if old else 1
    suffix = f" ({generation})" if old and facts.policy.suffix_on_rotation else ""
    setup = Setup(
        id_digest=fresh.setup_id.digest(facts.user_id),
        authenticator_id=fresh.authenticator_id,
        name=name,
        parameters=facts.policy.parameters,
        sealed=NOT_SEALED,
        issuer=facts.issuer,
        account_name=_with_suffix(request.account_name, suffix),
        expires_at=facts.now + facts.policy.setup_lifetime,
        generation=generation,
    )
    return Decision(
        SetupShown(
            setup=setup,
            setup_id=fresh.setup_id,
            secret=fresh.secret,
            replaces=old is not None,
            beside=is_confirmed(enrollment),
        ),
        enrollment=with_setup(enrollment, setup),
        events=(*told, facts.event(events.SetupBegun, setup, replaces=old is not None)),
    )


def _with_suffix(account_name: str, suffix: str) -> str:
    return account_name[: LONGEST_ACCOUNT_NAME - len(suffix)].rstrip() + suffix


def resume(enrollment: Enrollment, request: requests.Resume, facts: Facts) -> Decision[SetupShown]:
    """Show the live setup again, and write nothing."""
    setup = _live_setup(enrollment, request, facts)
    shown = SetupShown(
        setup=setup,
        setup_id=request.setup_id,
        secret=facts.secret(setup.authenticator_id),
        replaces=is_confirmed(enrollment) and enrollment.named(setup.name) is not None,
        beside=is_confirmed(enrollment),
    )
    return Decision(shown, events=(facts.event(events.SetupResumed, setup),))


def _live_setup(enrollment: Enrollment, request: requests.OfSetup, facts: Facts) -> Setup:
    """Return the setup that the request names; a wrong or old id costs and voids nothing."""
    setup = setup_of(enrollment)
    if setup is None:
        raise NotPendingError
    if not setup.is_named_by(request.setup_id, facts.user_id):
        raise SetupSupersededError
    if setup.is_expired(facts.now):
        raise SetupExpiredError
    return setup


def confirm(
    enrollment: Enrollment, request: requests.Confirm, facts: Facts
) -> Decision[SetupConfirmed]:
    """Make the staged secret live, if the code is one of it."""
    setup = _live_setup(enrollment, request, facts)
    backup = _backup_of(setup, request)
    if _BACKUPS.index(backup) < _BACKUPS.index(facts.policy.backup):
        raise BackupRequiredError(facts.policy.backup)
    if request.code.length != setup.parameters.digits and not _is_of_careless_app(
        setup, request.code, facts
    ):
        raise MalformedCodeError(setup.parameters.digits)
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
    told = facts.event(events.AuthenticatorConfirmed, setup, backup=backup)
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
        after, codes, issued = with_new_recovery_codes(after, facts)
        tale.append(issued)
    answer = SetupConfirmed(
        authenticator=proved.name,
        replaced=old is not None,
        removed=tuple(one.name for one in removed),
        codes=codes,
    )
    return Decision(answer, enrollment=after, events=tuple(tale), changed=True)


def with_new_recovery_codes(
    confirmed: Confirmed, facts: Facts
) -> tuple[Confirmed, FreshCodes, events.RecoveryCodesIssued]:
    """Replace the whole set, which also ends a wait of recovery codes."""
    fresh = facts.drawn(FreshRecovery)
    codes = fresh.codes.canonical()
    renewed = replace(
        confirmed,
        recovery=RecoverySet.issue(facts.user_id, fresh.salt, codes),
        budgets=replace(confirmed.budgets, recovery=Waits()),
    )
    return renewed, fresh.codes, facts.event(events.RecoveryCodesIssued, count=len(codes))


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
    return oath.is_code_of_other_parameters(
        facts.secret(setup.authenticator_id),
        setup.parameters,
        facts.now,
        facts.policy.window,
        code.reveal(),
    )


def cancel(enrollment: Enrollment, request: requests.Cancel, facts: Facts) -> Decision[None]:
    """Drop the live setup and its secret."""
    setup = _live_setup(enrollment, request, facts)
    return Decision(
        None,
        enrollment=without_setup(enrollment),
        events=(facts.event(events.SetupCancelled, setup),),
    )


def check_key_copy(
    enrollment: Enrollment, request: requests.CheckKeyCopy, facts: Facts
) -> Decision[KeyCopy]:
    """Compare a copy of the key; the first right one is written down, any other is not."""
    setup = _live_setup(enrollment, request, facts)
    differing = facts.secret(setup.authenticator_id).differing_groups(request.copy.text)
    newly_checked = not differing and not setup.copy_checked
    return Decision(
        KeyCopy(matches=not differing, differing_groups=differing),
        enrollment=with_setup(enrollment, replace(setup, copy_checked=True))
        if newly_checked
        else None,
        events=(facts.event(events.KeyCopyChecked, setup, matches=not differing),),
    )
