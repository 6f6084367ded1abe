"""The whole product of states and verbs, against the table that the docs are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, wrong_for
from otp_enroll import errors
from otp_enroll.core.states import Phase, phase_of
from otp_enroll.core.transitions import TRANSITIONS, Cell
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

    def phase(self) -> Phase | None:
        """Read the phase off the stored row; ``None`` if there is no row."""
        record = self.flow.store.load(USER)
        return None if record is None else phase_of(codec.decode(record)[0])

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


@pytest.mark.requirement("R-41")
def test_table_is_complete() -> None:
    """The table has a cell for each verb that changes something, in each phase."""
    assert {
        "begin",
        "resume",
        "confirm",
        "cancel",
        "check_key_copy",
        "verify",
        "disable",
        "regenerate_recovery_codes",
        "rename",
        "erase",
    } == set(TRANSITIONS)
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
    expected: set[Phase | None] = set(cell.to)
    if verb == "erase":
        expected = {None}
    assert reached == expected


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
    else:
        call()
        assert account.phase() in (cell.to or (None,))
