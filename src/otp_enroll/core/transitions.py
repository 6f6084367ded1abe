"""The state machine: TRANSITIONS, the table that one can see, and one function for each verb.

Pure: no I/O, no clock, no randomness. The verbs of a setup stand in ``setups`` and
``confirming``, ``status`` in ``standing``. The laws:

1. A refusal that neither writes nor tells is raised; one that does is the ``Decision``'s outcome.
   Of all refusals only a wrong code is counted.
2. A transition returns a new state and never touches the old one, so that running it again on
   another state (the store refused the save) is harmless.
3. The staged setup never authenticates, and the working secret works until one write swaps them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeVar

from otp_enroll import events
from otp_enroll.core import requests
from otp_enroll.core.arguments import Request
from otp_enroll.core.confirming import with_new_recovery_codes
from otp_enroll.core.decision import (
    Decision,
    Facts,
    Resealed,
    aware,
)
from otp_enroll.core.judging import judge
from otp_enroll.core.proofs import Verification, prove
from otp_enroll.core.recovery import CodesShown
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    Disabled,
    Enrollment,
    Phase,
    is_confirmed,
    sealed_secrets,
    setup_of,
    without_setup,
)
from otp_enroll.errors import (
    AmbiguousAuthenticatorError,
    EnrollmentError,
    NotEnrolledError,
    NotPendingError,
    UnknownAuthenticatorError,
    UnreadableSecretError,
)

AnswerT = TypeVar("AnswerT")
RequestT = TypeVar("RequestT", bound=Request)


@dataclass(frozen=True, slots=True)
class Cell:
    """What a verb does in one phase. A refusal of any other kind leaves the phase as it is.

    Attributes:
        to: The phases that it leads to; none means that no row is left.
        proof: Whether it demands a proof.
        exhausted: The phase after the last wrong code that a setup bears.
        refuses: The error, where the verb is not allowed.
    """

    to: tuple[Phase, ...] = ()
    proof: bool = False
    exhausted: Phase | None = None
    refuses: type[EnrollmentError] | None = None


_D, _P, _C, _S = Phase.DISABLED, Phase.PENDING, Phase.CONFIRMED, Phase.STAGED
_NOT_PENDING: Final = Cell(refuses=NotPendingError)
_NOT_ENROLLED: Final = Cell(refuses=NotEnrolledError)


def _of_setup(pending: Cell, staged: Cell) -> Mapping[Phase, Cell]:
    return MappingProxyType({_D: _NOT_PENDING, _P: pending, _C: _NOT_PENDING, _S: staged})


def _of_account(confirmed: Cell, staged: Cell) -> Mapping[Phase, Cell]:
    return MappingProxyType({_D: _NOT_ENROLLED, _P: _NOT_ENROLLED, _C: confirmed, _S: staged})


TRANSITIONS: Final[Mapping[str, Mapping[Phase, Cell]]] = MappingProxyType(
    {
        "begin": MappingProxyType(
            {
                _D: Cell((_P,)),
                _P: Cell((_P,)),
                _C: Cell((_S,), proof=True),
                _S: Cell((_S,), proof=True),
            }
        ),
        "resume": _of_setup(Cell((_P,)), Cell((_S,))),
        "confirm": _of_setup(Cell((_C,), exhausted=_D), Cell((_C,), exhausted=_C)),
        "cancel": _of_setup(Cell((_D,)), Cell((_C,))),
        "check_key_copy": _of_setup(Cell((_P,)), Cell((_S,))),
        "verify": _of_account(Cell((_C,)), Cell((_S,))),
        "disable": _of_account(Cell((_D, _C), proof=True), Cell((_D, _C, _S), proof=True)),
        "regenerate_recovery_codes": _of_account(Cell((_C,), proof=True), Cell((_S,), proof=True)),
        "rename": _of_account(Cell((_C,)), Cell((_S,))),
        "erase": MappingProxyType(dict.fromkeys(Phase, Cell())),
    }
)
"""Verb by phase, as the design has it. An expired setup is dropped before a column is chosen."""


def decide(
    transition: Callable[[Enrollment, RequestT, Facts], Decision[AnswerT]],
    enrollment: Enrollment,
    request: RequestT,
    facts: Facts,
) -> Decision[AnswerT]:
    """Run a verb on a state, from which an expired setup was dropped.

    The verbs that are told a setup id see it all the same, because they speak of it.

    Raises:
        EnrollmentError: A refusal that writes nothing and tells nobody.
    """
    setup = setup_of(enrollment)
    if setup is None or request.sees_expired or not setup.is_expired(facts.now):
        return transition(enrollment, request, facts)
    decision = transition(without_setup(enrollment), request, facts)
    if decision.enrollment is None:
        return decision
    return replace(decision, events=(facts.event(events.SetupExpired, setup), *decision.events))


def verify(
    enrollment: Enrollment, request: requests.Verify, facts: Facts
) -> Decision[Verification]:
    """Judge a code. A staged setup's codes never count."""
    judged = judge(_confirmed(enrollment), request.code, facts)
    if isinstance(judged, Decision):
        return judged
    verification = Verification(
        user_id=facts.user_id,
        purpose=facts.purpose,
        method=judged.method,
        authenticator=judged.authenticator,
        recovery_codes_left=judged.confirmed.recovery.left,
        locked=judged.confirmed.budgets.code.locked,
        at=aware(facts.now),
    )
    return Decision(verification, judged.confirmed, judged.events, judged.changed)


def _confirmed(enrollment: Enrollment) -> Confirmed:
    if not is_confirmed(enrollment):
        raise NotEnrolledError
    return enrollment


def disable(enrollment: Enrollment, request: requests.Disable, facts: Facts) -> Decision[None]:
    """Remove one authenticator or all; with the last one everything goes."""
    confirmed = _confirmed(enrollment)
    if request.authenticator is not None:
        _named(confirmed, request.authenticator)
    judged = prove("disable", confirmed, request.proof, facts)
    if isinstance(judged, Decision):
        return judged
    confirmed = judged.confirmed
    removed = [one for one in confirmed.authenticators if request.authenticator in {None, one.name}]
    kept = tuple(one for one in confirmed.authenticators if one not in removed)
    if not kept:
        told: events.Event = facts.event(events.EnrollmentDisabled, names=confirmed.names)
        return Decision(None, Disabled(), (*judged.events, told), changed=True)
    setup = confirmed.setup
    if setup is not None and setup.name == request.authenticator:
        setup = None
    told = facts.event(events.AuthenticatorRemoved, removed[0])
    after = replace(confirmed, authenticators=kept, setup=setup)
    return Decision(None, after, (*judged.events, told), changed=True)


def _named(confirmed: Confirmed, name: str) -> Authenticator:
    found = confirmed.named(name)
    if found is None:
        raise UnknownAuthenticatorError
    return found


def regenerate_recovery_codes(
    enrollment: Enrollment, request: requests.RegenerateRecoveryCodes, facts: Facts
) -> Decision[CodesShown]:
    """Make a new set, which voids the old one."""
    judged = prove(request.verb, _confirmed(enrollment), request.proof, facts)
    if isinstance(judged, Decision):
        return judged
    after, codes, issued = with_new_recovery_codes(judged.confirmed, facts)
    return Decision(codes, after, (*judged.events, issued), changed=True)


def rename(enrollment: Enrollment, request: requests.Rename, facts: Facts) -> Decision[None]:
    """Call an authenticator something else; a staged replacement of it follows."""
    confirmed = _confirmed(enrollment)
    old = _named(confirmed, request.authenticator)
    if request.new_name == old.name:
        return Decision(None)
    setup = confirmed.setup
    if request.new_name in (*confirmed.names, setup and setup.name):
        raise AmbiguousAuthenticatorError(confirmed.names)
    if setup is not None and setup.name == old.name:
        setup = replace(setup, name=request.new_name)
    new = replace(old, name=request.new_name)
    renamed = tuple(new if one is old else one for one in confirmed.authenticators)
    return Decision(
        None,
        replace(confirmed, authenticators=renamed, setup=setup),
        (facts.event(events.AuthenticatorRenamed, new, old_name=old.name),),
    )


def purge_expired(
    enrollment: Enrollment,
    request: requests.Purge,  # noqa: ARG001  # every verb has this signature
    facts: Facts,
) -> Decision[int]:
    """Drop the setup if it is expired."""
    setup = setup_of(enrollment)
    if setup is None or not setup.is_expired(facts.now):
        return Decision(0)
    return Decision(1, without_setup(enrollment), (facts.event(events.SetupExpired, setup),))


def reseal(
    enrollment: Enrollment,
    request: requests.Reseal,  # noqa: ARG001  # every verb has this signature
    facts: Facts,
) -> Decision[Resealed]:
    """Write the state back if one of its secrets was opened; the caller seals it anew."""
    looked_at = [
        (sealed, facts.opened[name])
        for name, sealed in sealed_secrets(enrollment)
        if name in facts.opened
    ]
    unreadable = tuple(
        sealed for sealed, opened in looked_at if isinstance(opened, UnreadableSecretError)
    )
    written = len(unreadable) < len(looked_at)
    return Decision(
        Resealed(written=written, unreadable=unreadable), enrollment if written else None
    )
