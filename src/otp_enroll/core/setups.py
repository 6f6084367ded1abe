"""The verbs of a setup that is not proved yet: begin, resume, cancel, check_key_copy.

Pure: no I/O, no clock, no randomness. The staged secret authenticates nobody, and the working one
works until ``confirm`` swaps them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from otp_enroll import events
from otp_enroll.core import requests
from otp_enroll.core.decision import (
    Decision,
    Facts,
    FreshSetup,
    KeyCopy,
    SetupShown,
)
from otp_enroll.core.proofs import prove, vouched
from otp_enroll.core.secret import Sealed
from otp_enroll.core.states import (
    Confirmed,
    Enrollment,
    Setup,
    is_confirmed,
    setup_of,
    with_setup,
    without_setup,
)
from otp_enroll.core.typed_text import BYTES_A_CHARACTER, LONGEST_ACCOUNT_NAME, TypedCode
from otp_enroll.errors import (
    AmbiguousAuthenticatorError,
    NotEnrolledError,
    NotPendingError,
    SetupExpiredError,
    SetupSupersededError,
    TooManyAuthenticatorsError,
)

NOT_SEALED: Final = Sealed(b"")
"""Stands in a decision to stage a secret: who encodes the state seals what was drawn."""

DEFAULT_NAME: Final = "default"


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
            at=facts.now,
            policy=facts.policy,
        ),
        enrollment=with_setup(enrollment, setup),
        events=(*told, facts.event(events.SetupBegun, setup, replaces=old is not None)),
    )


def _with_suffix(account_name: str, suffix: str) -> str:
    kept = account_name[: LONGEST_ACCOUNT_NAME - len(suffix)]
    while len((kept + suffix).encode()) > BYTES_A_CHARACTER * LONGEST_ACCOUNT_NAME:
        kept = kept[:-1]
    return kept.rstrip() + suffix


def resume(enrollment: Enrollment, request: requests.Resume, facts: Facts) -> Decision[SetupShown]:
    """Show the live setup again, and write nothing."""
    setup = live_setup(enrollment, request, facts)
    shown = SetupShown(
        setup=setup,
        setup_id=request.setup_id,
        secret=facts.secret(setup.authenticator_id),
        replaces=is_confirmed(enrollment) and enrollment.named(setup.name) is not None,
        beside=is_confirmed(enrollment),
        at=facts.now,
        policy=facts.policy,
    )
    return Decision(shown, events=(facts.event(events.SetupResumed, setup),))


def live_setup(enrollment: Enrollment, request: requests.OfSetup, facts: Facts) -> Setup:
    """Return the setup that the request names; a wrong or old id costs and voids nothing.

    Raises:
        NotPendingError: There is none.
        SetupSupersededError: Another one is live, or expired.
        SetupExpiredError: Its time is over.
    """
    setup = setup_of(enrollment)
    if setup is None:
        raise NotPendingError
    if not setup.is_named_by(request.setup_id, facts.user_id):
        raise SetupSupersededError
    if setup.is_expired(facts.now):
        raise SetupExpiredError
    return setup


def cancel(enrollment: Enrollment, request: requests.Cancel, facts: Facts) -> Decision[None]:
    """Drop the live setup and its secret."""
    setup = live_setup(enrollment, request, facts)
    return Decision(
        None,
        enrollment=without_setup(enrollment),
        events=(facts.event(events.SetupCancelled, setup),),
    )


def check_key_copy(
    enrollment: Enrollment, request: requests.CheckKeyCopy, facts: Facts
) -> Decision[KeyCopy]:
    """Compare a copy of the key; the first right one is written down, any other is not."""
    setup = live_setup(enrollment, request, facts)
    differing = facts.secret(setup.authenticator_id).differing_groups(request.copy.text)
    newly_checked = not differing and not setup.copy_checked
    return Decision(
        KeyCopy(matches=not differing, differing_groups=differing),
        enrollment=with_setup(enrollment, replace(setup, copy_checked=True))
        if newly_checked
        else None,
        events=(facts.event(events.KeyCopyChecked, setup, matches=not differing),),
    )
