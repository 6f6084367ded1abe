"""The whole product of states and verbs, against the table that the docs are made from."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, wrong_for
from otp_enroll import Policy, errors
from otp_enroll.core.account_verbs import Verify
from otp_enroll.core.secret import SetupId
from otp_enroll.core.setup_verbs import Cancel
from otp_enroll.core.states import Disabled, EnrollmentState, Phase, phase_of
from otp_enroll.core.transitions import TRANSITIONS, Cell, decide
from otp_enroll.core.typed_text import read_code
from otp_enroll.core.verb import Decision, Verb, World
from otp_enroll.errors import EnrollmentError
from otp_enroll.storage import codec
from otp_enroll.testing import FakeAuthenticator

NO_SETUP = "x" * 43

CELLS = [
    pytest.param(verb, phase, id=f"{verb}-{phase.name}")
    for verb, row in TRANSITIONS.items()
    for phase in row
]


class Account:
    """One account brought into a phase, with whatever its verbs need."""

    def __init__(self, flow: Any, phase: Phase) -> None:
        self.flow = flow
        self.enroller = flow.enroller
        self.setup_id = NO_SETUP
        self.key = "A"
        self.new_phone: FakeAuthenticator | None = None
        if phase in {Phase.CONFIRMED, Phase.STAGED}:
            flow.enroll(USER)
        if phase in {Phase.PENDING, Phase.STAGED}:
            self.stage("default" if phase is Phase.PENDING else "tablet")

    def stage(self, name: str) -> None:
        """Begin a setup."""
        setup = self.enroller.begin(USER, account_name="sara", authenticator=name, proof=VOUCHED)
        self.setup_id, self.key, self.new_phone = setup.id, setup.key, self.flow.phone(setup)

    def add(self, name: str) -> None:
        """Put a further confirmed authenticator beside what there is, and stage nothing."""
        staged = self.enroller.status(USER).setup_expires_at is not None
        self.flow.add(name, VOUCHED)
        if staged:
            self.stage("tablet")

    def phase(self) -> Phase:
        """Read the phase off the stored row."""
        record = self.flow.store.load(USER)
        return Phase.DISABLED if record is None else phase_of(codec.decode(record)[0])

    def purge(self, *, after: float) -> None:
        """Purge after so many seconds."""
        self.flow.clock.advance(after)
        self.enroller.purge_expired()

    def new_code(self) -> str:
        """Return the staged authenticator's code, or one of nobody's."""
        return self.new_phone.code() if self.new_phone else "000000"


def good_calls(verb: str, account: Account) -> Iterator[Callable[[], object]]:
    """Yield calls that the verb must accept where the table allows it, one account each."""
    enroller, setup_id = account.enroller, account.setup_id
    proof = VOUCHED

    def disable_second(*, staged: bool) -> None:
        account.add("second")
        if staged:
            account.stage("second")
        enroller.disable(USER, proof=proof, authenticator="second")

    calls: dict[str, list[Callable[[], object]]] = {
        "begin": [lambda: enroller.begin(USER, account_name="sara", proof=proof)],
        "resume": [lambda: enroller.resume(USER, setup_id=setup_id)],
        "confirm": [lambda: enroller.confirm(USER, account.new_code(), setup_id=setup_id)],
        "cancel": [lambda: enroller.cancel(USER, setup_id=setup_id)],
        "check_key_copy": [lambda: enroller.check_key_copy(USER, account.key, setup_id=setup_id)],
        "verify": [lambda: enroller.verify(USER, current_code(account))],
        "disable": [
            lambda: enroller.disable(USER, proof=proof),
            lambda: disable_second(staged=False),
            lambda: disable_second(staged=True),
        ],
        "regenerate_recovery_codes": [
            lambda: enroller.regenerate_recovery_codes(USER, proof=proof)
        ],
        "rename": [lambda: enroller.rename(USER, "default", "phone")],
        "status": [lambda: enroller.status(USER)],
        "reseal": [enroller.reseal],
        "purge_expired": [lambda: account.purge(after=0), lambda: account.purge(after=900)],
        "erase": [lambda: enroller.erase(USER, proof=VOUCHED)],
    }
    yield from calls[verb]


def current_code(account: Account) -> str:
    """Return a fresh code of the working authenticator, or one of nobody's."""
    phone = getattr(account.flow, "first_phone", None)
    return phone.code() if phone else "000000"


@pytest.fixture
def make_account(make_flow: Any) -> Callable[[Phase], Account]:
    def make(phase: Phase) -> Account:
        flow = make_flow()
        enroll = flow.enroll

        def remembering(user_id: str) -> Any:
            flow.first_phone, confirmation = enroll(user_id)
            return flow.first_phone, confirmation

        flow.enroll = remembering
        return Account(flow, phase)

    return make


def verbs_of(kind: type[Verb[Any]]) -> Iterator[type[Verb[Any]]]:
    """Yield the classes below one that can be made."""
    if not inspect.isabstract(kind):
        yield kind
    for inner in kind.__subclasses__():
        if inner.__module__.startswith("otp_enroll."):
            yield from verbs_of(inner)


@pytest.mark.requirement("R-41")
def test_table_is_complete() -> None:
    """The table has a row for each class of a verb, and a cell in it for each phase."""
    assert {verb.name for verb in verbs_of(Verb)} == set(TRANSITIONS)  # type: ignore[type-abstract]  # looked at, not made
    assert all(set(row) == set(Phase) for row in TRANSITIONS.values())


@pytest.mark.requirement("R-41")
@pytest.mark.regression_of("B-14", "B-15", "B-16")
@pytest.mark.parametrize(("verb", "phase"), CELLS)
def test_verb_leads_where_the_table_says(
    verb: str, phase: Phase, make_account: Callable[[Phase], Account]
) -> None:
    """A verb leads to the phases of its cell alone, or raises its error and changes nothing."""
    cell: Cell = TRANSITIONS[verb][phase]
    reached = set()
    for number in range(len(list(good_calls(verb, make_account(phase))))):
        account = make_account(phase)
        call = list(good_calls(verb, account))[number]
        if cell.refuses is not None and number > 0:
            continue  # these bring the account into another phase first
        before = account.flow.store.load(USER)
        if cell.refuses is not None:
            with pytest.raises(cell.refuses) as refusal:
                call()
            assert type(refusal.value) is cell.refuses
            assert account.flow.store.load(USER) == before
        else:
            call()
            reached.add(account.phase())
    if verb == "erase":
        assert account.flow.store.load(USER) is None
    else:
        assert reached == set(cell.to)


@pytest.mark.requirement("R-41", "R-51")
@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.STAGED])
def test_exhausted_setup_leads_where_the_table_says(
    phase: Phase, make_account: Callable[[Phase], Account]
) -> None:
    """Ten wrong codes lead to the cell's phase, and nine leave it as it was."""
    account = make_account(phase)
    assert account.new_phone is not None
    wrong = wrong_for(account.new_phone)
    for _ in range(9):
        with pytest.raises(errors.WrongCodeError):
            account.enroller.confirm(USER, wrong, setup_id=account.setup_id)
    assert account.phase() is phase
    with pytest.raises(errors.SetupExhaustedError):
        account.enroller.confirm(USER, wrong, setup_id=account.setup_id)
    assert TRANSITIONS["confirm"][phase].exhausted is account.phase()
    with pytest.raises(errors.NotPendingError):
        account.enroller.confirm(USER, wrong, setup_id=account.setup_id)


@pytest.mark.requirement("R-41", "R-52")
@pytest.mark.regression_of("B-17")
@pytest.mark.parametrize(("verb", "phase"), CELLS)
def test_proof_is_demanded_where_the_table_says(
    verb: str, phase: Phase, make_account: Callable[[Phase], Account]
) -> None:
    """Without a proof a verb raises ProofRequiredError in exactly the cells that say so."""
    cell = TRANSITIONS[verb][phase]
    account = make_account(phase)
    without: dict[str, Callable[[], object]] = {
        "begin": lambda: account.enroller.begin(USER, account_name="sara"),
        "disable": lambda: account.enroller.disable(USER),
        "regenerate_recovery_codes": lambda: account.enroller.regenerate_recovery_codes(USER),
    }
    if verb not in without:
        assert not cell.proof
        return
    before = account.flow.store.load(USER)
    if cell.proof:
        with pytest.raises(errors.ProofRequiredError):
            without[verb]()
        assert account.flow.store.load(USER) == before
    elif cell.refuses is not None:
        with pytest.raises(cell.refuses):
            without[verb]()
    else:
        without[verb]()
        assert account.phase() in cell.to


@pytest.mark.requirement("R-46")
@pytest.mark.regression_of("B-13")
@pytest.mark.parametrize("verb", list(TRANSITIONS))
@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.STAGED])
def test_expired_setup_is_as_good_as_none(
    verb: str, phase: Phase, make_account: Callable[[Phase], Account]
) -> None:
    """After its time a setup is expired to the verbs that name it, and absent to all others."""
    account = make_account(phase)
    account.flow.clock.advance(900)
    without_setup = Phase.DISABLED if phase is Phase.PENDING else Phase.CONFIRMED
    cell = TRANSITIONS[verb][without_setup]
    call = next(good_calls(verb, account))
    if verb in {"resume", "confirm", "cancel", "check_key_copy"}:
        with pytest.raises(errors.SetupExpiredError):
            call()
        assert account.phase() is phase
    elif cell.refuses is not None:
        with pytest.raises(cell.refuses):
            call()
    elif verb in {"status", "reseal"}:
        call()
        assert account.phase() is phase  # they write nothing
        assert account.enroller.status(USER).setup_expires_at is None
    else:
        call()
        assert account.phase() in (cell.to or (Phase.DISABLED,))


class Astray(Verb[None]):
    """A verb of ours that went wrong: it wants to save a state that its row does not lead to."""

    name = "cancel"
    refusal: EnrollmentError | None = None

    def decide(self, state: EnrollmentState, world: World) -> Decision[None]:
        return Decision(self.refusal, state=state)


def astray_on(state: EnrollmentState) -> Decision[None]:
    world = World(now=0, changed_at=0, policy=Policy(), issuer="Exir")
    return decide(Astray(user_id=USER), state, world)


@pytest.mark.requirement("R-41")
def test_phase_that_the_cell_does_not_have_is_not_saved(make_account: Any) -> None:
    """A verb that wants to save another phase than its cell's is a failure with two facts."""
    account = make_account(Phase.PENDING)
    state, _ = codec.decode(account.flow.store.load(USER))
    with pytest.raises(errors.TransitionBrokenError) as broken:
        astray_on(state)
    assert (broken.value.verb, broken.value.phase) == ("cancel", "PENDING")
    assert vars(broken.value) == {"verb": "cancel", "phase": "PENDING"}


@pytest.mark.requirement("R-41")
def test_broken_transition_saves_nothing_and_shows_nothing(
    make_account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through an enroller nothing is saved, and no frame of the rules keeps what was decided."""
    account = make_account(Phase.PENDING)
    before = account.flow.store.load(USER)
    monkeypatch.setattr(Cancel, "on_setup", lambda self, state, setup, world: Decision(None, state))
    with pytest.raises(errors.TransitionBrokenError) as broken:
        account.enroller.cancel(USER, setup_id=account.setup_id)
    assert account.flow.store.load(USER) == before
    assert account.flow.told[-1].code == "setup_begun"
    frames = [frame for frame, _ in traceback.walk_tb(broken.value.__traceback__)]
    assert not any("otp_enroll/core" in frame.f_code.co_filename for frame in frames)


@pytest.mark.requirement("R-41")
def test_refusal_may_save_the_phase_that_it_found_and_no_other(
    make_account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal that writes, as a wrong code does, leaves the phase as it was."""
    monkeypatch.setattr(Astray, "refusal", errors.WrongCodeError())
    state, _ = codec.decode(make_account(Phase.PENDING).flow.store.load(USER))
    assert astray_on(state).state is state
    monkeypatch.setattr(
        Astray, "decide", lambda self, state, world: Decision(self.refusal, state=Disabled())
    )
    with pytest.raises(errors.TransitionBrokenError):
        astray_on(state)  # to DISABLED is where cancel leads, but not where a refusal does


@pytest.mark.requirement("R-41")
@pytest.mark.parametrize(
    "decision", [Decision(None, erases=True), Decision(None)], ids=["deletes", "writes nothing"]
)
def test_row_that_the_cell_does_not_leave_is_refused(
    decision: Decision[None], make_account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No verb but erase deletes a row, and none succeeds without the move that it makes."""
    monkeypatch.setattr(Astray, "decide", lambda self, state, world: decision)
    state, _ = codec.decode(make_account(Phase.PENDING).flow.store.load(USER))
    with pytest.raises(errors.TransitionBrokenError):
        astray_on(state)


@pytest.mark.requirement("R-41")
@pytest.mark.parametrize("verb", ["verify", "cancel"])
def test_verb_refuses_by_itself_too(verb: str) -> None:
    """Asked past the table, a verb of an account or of a setup refuses where there is none."""
    world = World(now=0, changed_at=0, policy=Policy(), issuer="Exir")
    asked: Verb[Any] = Cancel(user_id=USER, setup_id=SetupId(b"x"))
    refused: type[EnrollmentError] = errors.NotPendingError
    if verb == "verify":
        asked = Verify(user_id=USER, code=read_code("123456"), purpose="login")
        refused = errors.NotEnrolledError
    with pytest.raises(refused):
        asked.decide(Disabled(), world)
