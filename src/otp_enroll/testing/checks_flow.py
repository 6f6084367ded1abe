"""Checks 48 and 53 to 57: an enroller on the store keeps its promises when requests race.

The checks before them are about records; these are about what users and guessers would see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from otp_enroll.async_enroller import AsyncEnroller
from otp_enroll.core.proofs import Override
from otp_enroll.display.setup import Confirmation, Setup
from otp_enroll.enroller import Enroller
from otp_enroll.errors import EnrollmentError, WrongCodeError
from otp_enroll.policy import Policy
from otp_enroll.storage import codec
from otp_enroll.storage.protocol import StoredEnrollment, Unencrypted
from otp_enroll.testing.fakes import FakeAuthenticator, FrozenClock
from otp_enroll.testing.handles import Call, Caller, Handle
from otp_enroll.testing.kit import Kit, must, require
from otp_enroll.testing.races import WORKERS, race

_ROUNDS: Final = 5
_WRONG_CODES: Final = 64
_GUESSERS: Final = 8
_VOUCHED: Final = Override(actor="store contract", reason="a check")


class Desk(Caller):
    """An enroller over one handle, called like a store.

    Each has an enroller of its own, as each process of an app has: nothing that is kept in
    memory may carry a promise.
    """

    def __init__(self, handle: Handle, clock: FrozenClock) -> None:
        kind = AsyncEnroller if handle.is_async else Enroller
        enroller = kind(handle.target, issuer="Kit", cipher=Unencrypted(), clock=clock)  # type: ignore[arg-type]  # of that flavour
        super().__init__(enroller, handle.worker)


class Account:
    """One account, with several desks at which its owner or a guesser shows up."""

    def __init__(self, kit: Kit, desks: Sequence[Desk], clock: FrozenClock) -> None:
        self.user_id: str = kit.names.new()
        self.clock = clock
        self.desks = desks
        self.recovery_codes: tuple[str, ...] = ()

    async def begin(self) -> Setup:
        """Begin a setup, vouched for."""
        setup = await self.desks[0].call(
            "begin", self.user_id, account_name="sara@example.com", proof=_VOUCHED
        )
        return cast("Setup", setup)

    async def enroll(self) -> FakeAuthenticator:
        """Go from disabled to confirmed, and on to the next code.

        Returns:
            The phone. The code that confirmed is spent, hence the minute.
        """
        setup = await self.begin()
        phone = FakeAuthenticator(setup.uri, self.clock)
        confirmed = cast("Confirmation", await self.confirming(0, phone, setup).alone())
        self.recovery_codes = tuple(confirmed.recovery_codes or ())
        self.clock.advance(60)
        return phone

    def confirming(self, desk: int, phone: FakeAuthenticator, setup: Setup) -> Call:
        """Prepare a confirm."""
        return self.desks[desk].called("confirm", self.user_id, phone.code(), setup_id=setup.id)

    def verifying(self, desk: int, code: str) -> Call:
        """Prepare a verify."""
        return self.desks[desk].called("verify", self.user_id, code)

    async def accepts(self, code: str) -> bool:
        """Verify, and return whether the code was right."""
        try:
            await self.verifying(0, code).alone()
        except WrongCodeError:
            return False
        return True


async def _desks(kit: Kit, number: int) -> tuple[list[Desk], FrozenClock]:
    clock = FrozenClock()
    return [Desk(handle, clock) for handle in await kit.many(number)], clock


def _accepted(answers: Sequence[object]) -> list[object]:
    """Return what was no refusal; what is neither answer nor refusal fails the check."""
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, EnrollmentError):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def _require_one(answers: Sequence[object], what: str) -> None:
    kinds = ", ".join(sorted({type(answer).__name__ for answer in answers}))
    accepted = len(_accepted(answers))
    require(accepted == 1, f"{what} was accepted {accepted} times of {len(answers)}: {kinds}")


@must("48")
async def recovery_code_is_spent_once(kit: Kit) -> None:
    """Of requests with one recovery code one succeeds, and the other codes remain."""
    # Keycloak, Kratos and Rodauth each let two requests spend one code (CWE-367). The others must
    # survive: a write that is lost could take them along.
    desks, clock = await _desks(kit, WORKERS)
    for _ in range(_ROUNDS):
        account = Account(kit, desks, clock)
        await account.enroll()
        spent, *others = account.recovery_codes
        answers = await race([account.verifying(n, spent) for n in range(WORKERS)])
        _require_one(answers, "one recovery code")
        require(await account.accepts(others[-1]), "another recovery code was lost in the race")


@must("53")
async def setup_is_confirmed_once(kit: Kit) -> None:
    """Of requests that confirm one setup with one code exactly one succeeds."""
    # A second success would issue a second set of recovery codes and void the first, which its
    # owner has just printed.
    desks, clock = await _desks(kit, WORKERS)
    for _ in range(_ROUNDS):
        account = Account(kit, desks, clock)
        setup = await account.begin()
        phone = FakeAuthenticator(setup.uri, clock)
        answers = await race([account.confirming(n, phone, setup) for n in range(WORKERS)])
        _require_one(answers, "one setup")


@must("54")
async def code_is_accepted_once(kit: Kit) -> None:
    """Of requests with one code exactly one succeeds."""
    # RFC 6238 §5.2: a code that was accepted must not be accepted again, least of all at the same
    # moment.
    desks, clock = await _desks(kit, WORKERS)
    for _ in range(_ROUNDS):
        account = Account(kit, desks, clock)
        phone = await account.enroll()
        answers = await race([account.verifying(n, phone.code()) for n in range(WORKERS)])
        _require_one(answers, "one code")


def _wrong_for(phone: FakeAuthenticator) -> str:
    """Return a code that is neither right nor used in any window: those cost no try."""
    shown = {phone.code(offset) for offset in range(-5, 6)}
    return next(code for code in (f"{n:06d}" for n in range(20)) if code not in shown)


@must("55")
async def guesses_have_a_limit(kit: Kit) -> None:
    """Of 64 wrong codes that come at once only as many are judged as the policy says."""
    # A burst that is judged before its failures are counted has no limit at all (CVE-2026-93346 in
    # Wazuh).
    desks, clock = await _desks(kit, _GUESSERS)
    account = Account(kit, desks, clock)
    wrong = _wrong_for(await account.enroll())
    answers: list[object] = []
    for _ in range(_WRONG_CODES // _GUESSERS):
        answers += await race([account.verifying(n, wrong) for n in range(_GUESSERS)])
    accepted = _accepted(answers)
    require(not accepted, f"a wrong code was accepted {len(accepted)} times")
    judged = [type(answer) for answer in answers].count(WrongCodeError)
    free = Policy().budget.free_attempts
    require(judged == free, f"{judged} of {len(answers)} wrong codes were judged, not {free}")


@must("56")
async def rotation_and_verify_keep_an_order(kit: Kit) -> None:
    """A confirm of a new secret and a verify of the old one come one after the other."""
    # Both may succeed, but one after the other: a store that lets both write from one revision
    # loses the swap, or the mark that the code was used.
    reader = await kit.open()
    desks, clock = await _desks(kit, 2)
    for _ in range(_ROUNDS):
        account = Account(kit, desks, clock)
        old = await account.enroll()
        setup = await account.begin()
        new = FakeAuthenticator(setup.uri, clock)
        before = await reader.present(account.user_id)
        answers = await race([account.confirming(0, new, setup), account.verifying(1, old.code())])
        require(answers[0] in _accepted(answers), "a confirm lost against a verify for good")
        _require_both_writes(before, await reader.present(account.user_id))
        clock.advance(60)
        require(not await account.accepts(old.code()), "the old secret lives beside the new one")
        require(await account.accepts(new.code()), "the new secret was confirmed and is not there")


def _require_both_writes(before: StoredEnrollment, after: StoredEnrollment) -> None:
    """Read in the list of replaced revisions whether both requests wrote one after the other."""
    trail = codec.decode(after)[1].trail
    shown = before.revision[: codec.TRAIL_CHARACTERS]
    require(trail[1:2] == (shown,), "two requests wrote from one revision, and one write is lost")


@must("57")
async def renewal_voids_the_old_codes(kit: Kit) -> None:
    """New recovery codes and the use of an old one come one after the other."""
    # The same for the set of recovery codes: none of an old paper may outlive the new one.
    reader = await kit.open()
    desks, clock = await _desks(kit, 2)
    for _ in range(_ROUNDS):
        account = Account(kit, desks, clock)
        await account.enroll()
        raced, other, *_ = account.recovery_codes
        renewing = desks[0].called("regenerate_recovery_codes", account.user_id, proof=_VOUCHED)
        before = await reader.present(account.user_id)
        answers = await race([renewing, account.verifying(1, raced)])
        require(answers[0] in _accepted(answers), "new recovery codes lost against an old one")
        _require_both_writes(before, await reader.present(account.user_id))
        new = cast("Sequence[str]", answers[0])
        status = await desks[0].call("status", account.user_id)
        left = cast("int", getattr(status, "recovery_codes_left", None))
        require(left == len(new), f"of {len(new)} new recovery codes {left} are left unspent")
        require(not await account.accepts(other), "an old recovery code outlived the new ones")
        require(await account.accepts(new[0]), "a new recovery code is not there")


CHECKS = (
    recovery_code_is_spent_once,
    setup_is_confirmed_once,
    code_is_accepted_once,
    guesses_have_a_limit,
    rotation_and_verify_keep_an_order,
    renewal_voids_the_old_codes,
)
