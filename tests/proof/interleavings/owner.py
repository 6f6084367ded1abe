"""The good end: from whatever a run left behind, the owner gets to a working authenticator."""

from __future__ import annotations

from typing import Any, Final

from otp_enroll import Confirmation, RecoveryCodes, Setup, Status, Verification
from otp_enroll.core.secret import Secret
from proof.interleavings.invariants import Broken, demand
from proof.interleavings.seen import Happened, Seen
from proof.interleavings.serial import normal_row
from proof.interleavings.starts import VOUCHED, code_of
from proof.interleavings.world import ACCOUNT, PERIOD, START, USER, World, drive, enroller_over

HOURS_LATER: Final = 2 * 3600
STREAM: Final = 2000


class Owner:
    """The owner of the account, two hours later: every wait is over, the clock is right again."""

    def __init__(self) -> None:
        self.world = World()
        self.enroller = enroller_over(self.world)
        self._known: set[object] = set()

    def gets_in(self, happened: Happened) -> None:
        """Promise 9: by phone, by a recovery code on paper, or, with none left, vouched for.

        Raises:
            Broken: There is a state out of which this does not lead.
        """
        run = happened.run
        at = max([START, *(now for readings in run.readings.values() for now in readings)])
        papers = tuple(_papers(happened))
        key = normal_row(run.row), at, papers
        if key in self._known:
            return
        self.world.reset(run.row, (at + HOURS_LATER) // PERIOD * PERIOD)
        self.world.current = STREAM
        status = self._does(Status, self.enroller.status(USER))
        demand(status.required == (happened.rows.seen(run.row).confirmed is not None), "no truth")
        self._sets_up(status, self._proof(status, happened.rows.seen(run.row), papers))
        self._known.add(key)

    def _proof(self, status: Status, seen: Seen, papers: tuple[str, ...]) -> Any:
        """Sign in by each way that is open, and return what proves it."""
        if seen.confirmed is None:
            return None
        proof: Any = VOUCHED
        if not status.locked:
            self._signs_in(seen.secrets[seen.confirmed.authenticators[0].id])
        for paper in papers:
            if seen.is_unspent(paper):
                proof = self._does(Verification, self.enroller.verify(USER, paper))
                demand(proof.locked == status.locked, "a lock was not told")
                break
        return proof

    def _sets_up(self, status: Status, proof: Any) -> None:
        name = status.authenticators[0].name if status.authenticators else None
        asked = self.enroller.begin(USER, account_name=ACCOUNT, authenticator=name, proof=proof)
        setup = self._does(Setup, asked)
        secret = Secret.from_base32(setup.key).reveal()
        code = code_of(secret, self.world.now // PERIOD)
        self._does(Confirmation, self.enroller.confirm(USER, code, setup_id=setup.id))
        self.world.now += PERIOD
        self._signs_in(secret)
        demand(self._does(Status, self.enroller.status(USER)).required, "OTP is off")

    def _signs_in(self, secret: bytes) -> None:
        code = code_of(secret, self.world.now // PERIOD)
        self._does(Verification, self.enroller.verify(USER, code))

    def _does(self, kind: type[Any], asked: Any) -> Any:
        answer = drive(self.world, asked)
        if not isinstance(answer, kind):
            raise Broken(f"the owner expected a {kind.__name__} and got {answer!r}")
        return answer


def _papers(happened: Happened) -> list[str]:
    """Return the recovery codes that the owner was ever shown."""
    papers = list(happened.start.recovery)
    for answer in happened.run.answers:
        if isinstance(answer.value, RecoveryCodes):
            papers += answer.value
        elif isinstance(answer.value, Confirmation):
            papers += answer.value.recovery_codes or ()
    return papers
