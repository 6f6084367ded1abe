"""The state machine: TRANSITIONS, the table that one can see, and decide(), which obeys it.

The table runs: what a cell refuses is refused, and what it does not name is not saved, whatever the
verb's own code says (ASVS 2.3.1, CWE-841). Three laws hold for every verb:

1. A refusal that neither writes nor is reported by an event is raised; one that does is the
   ``Decision``'s outcome. Of all refusals only a wrong code is counted.
2. A verb returns a new state and never touches the old one, so that running it again on another
   state (the store refused the save) is harmless.
3. The staged setup never authenticates, and the working secret works until one write swaps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeVar

from otp_enroll import events
from otp_enroll.core.states import EnrollmentState, Phase, phase_of, setup_of, without_setup
from otp_enroll.core.verb import Decision, Verb, World
from otp_enroll.errors import (
    EnrollmentError,
    NotEnrolledError,
    NotPendingError,
    RefusalError,
    TransitionBrokenError,
)

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Cell:
    """What a verb does in one phase. A refusal of any other kind leaves the phase as it is.

    Attributes:
        to: The phases that it leads to; none means that no row is left.
        proof: Whether it demands a proof.
        exhausted: The phase after the setup's last attempt was used up.
        refuses: The error, where the verb is not allowed.
    """

    to: tuple[Phase, ...] = ()
    proof: bool = False
    exhausted: Phase | None = None
    refuses: type[RefusalError] | None = None


_D, _P, _C, _S = Phase.DISABLED, Phase.PENDING, Phase.CONFIRMED, Phase.STAGED
_NOT_PENDING: Final = Cell(refuses=NotPendingError)
_NOT_ENROLLED: Final = Cell(refuses=NotEnrolledError)


def _row(disabled: Cell, pending: Cell, confirmed: Cell, staged: Cell) -> Mapping[Phase, Cell]:
    # Read-only: a law that an import can change is none.
    return MappingProxyType({_D: disabled, _P: pending, _C: confirmed, _S: staged})


def _of_setup(pending: Cell, staged: Cell) -> Mapping[Phase, Cell]:
    return _row(_NOT_PENDING, pending, _NOT_PENDING, staged)


def _of_account(confirmed: Cell, staged: Cell) -> Mapping[Phase, Cell]:
    return _row(_NOT_ENROLLED, _NOT_ENROLLED, confirmed, staged)


_THE_SAME: Final = _row(Cell((_D,)), Cell((_P,)), Cell((_C,)), Cell((_S,)))
# The same in every phase: a damaged or too new record must be erasable without being read.
_NO_ROW: Final = _row(Cell(), Cell(), Cell(), Cell())

TRANSITIONS: Final[Mapping[str, Mapping[Phase, Cell]]] = MappingProxyType(
    {
        # Each time a proof: that of the staged setup is spent, and opens nothing more.
        "begin": _row(Cell((_P,)), Cell((_P,)), Cell((_S,), proof=True), Cell((_S,), proof=True)),
        "resume": _of_setup(Cell((_P,)), Cell((_S,))),
        # No proof: begin asked for it, and the setup id is what it returned.
        "confirm": _of_setup(Cell((_C,), exhausted=_D), Cell((_C,), exhausted=_C)),
        "cancel": _of_setup(Cell((_D,)), Cell((_C,))),
        "check_key_copy": _of_setup(Cell((_P,)), Cell((_S,))),
        # Not on a pending setup: an unproved secret authenticates nobody, and blocks nobody.
        "verify": _of_account(Cell((_C,)), Cell((_S,))),
        "disable": _of_account(Cell((_D, _C), proof=True), Cell((_D, _C, _S), proof=True)),
        "regenerate_recovery_codes": _of_account(Cell((_C,), proof=True), Cell((_S,), proof=True)),
        "rename": _of_account(Cell((_C,)), Cell((_S,))),
        "status": _THE_SAME,
        "reseal": _THE_SAME,
        "purge_expired": _row(Cell((_D,)), Cell((_P, _D)), Cell((_C,)), Cell((_S, _C))),
        "erase": _NO_ROW,
    }
)
"""Verb by phase. An expired setup is dropped before a column is chosen.

The exhaustive test and the picture in the docs are made from it.
"""


def decide(verb: Verb[AnswerT], state: EnrollmentState, world: World) -> Decision[AnswerT]:
    """Run a verb on a state as the table says, after dropping an expired setup from it.

    The verbs that are given a setup id see it all the same, because they speak of it; so does the
    purge.

    Raises:
        TransitionBrokenError: The verb wants to leave a phase that its cell does not have.
        EnrollmentError: A refusal that writes nothing and that no event reports.
    """
    setup = setup_of(state)
    expired = setup is not None and not verb.sees_expired and setup.is_expired(world.now)
    # At read time: no clean-up job has to run for an expired secret to be dead.
    if expired:
        state = without_setup(state)
    phase = phase_of(state)
    cell = TRANSITIONS[verb.name][phase]
    if cell.refuses is not None:
        raise cell.refuses
    decision = verb.decide(state, world)
    # The last door before the store: a mistake in a verb is an error here, and no stored state.
    if not _is_allowed(cell, phase, decision):
        # Neither the decision nor the verb may be seen in a traceback: they hold secrets.
        broken = TransitionBrokenError(verb.name, phase.value)
        del decision, state, world, verb, setup
        raise broken
    # Where nothing is written the expired setup stays stored, and no event says that it went.
    if not expired or decision.state is None:
        return decision
    dropped = events.SetupExpired(**verb.stamp(world, setup))
    return replace(decision, events=(dropped, *decision.events))


def _is_allowed(cell: Cell, phase: Phase, decision: Decision[object]) -> bool:
    """Return whether the row that a decision leaves is one of the cell."""
    refused = isinstance(decision.outcome, EnrollmentError)
    if decision.erases:
        return not cell.to and not refused
    # Without a write the phase stays: an answer that should have moved it was not stored.
    after = phase if decision.state is None else phase_of(decision.state)
    return after in ((phase, cell.exhausted) if refused else cell.to)
