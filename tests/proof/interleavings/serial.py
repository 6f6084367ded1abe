"""Which serial order explains a run: the outcome must be that of some requests one after another.

An order is a candidate if it keeps what the users could see: a request that was answered before
another one began comes before it. Each request is run alone with the readings of the clock that
it had and the random bytes that it draws in any order. A request that was told of a failure, so
that its outcome is unknown, stands in the order if a write of it landed, and else does not; its
answer then explains itself. All others must be answered as in the order, and the last row must be
the same but for revisions, which a retry draws again. Maintenance is a list of ids and then one
request for each: the list, which only proposes, is the one that it had. A deletion that was
delivered twice may stand in the order twice: it deletes whatever it finds. A call of the cipher
that failed fails in the order, too: sealing again is a side job that may be left undone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, permutations, product
from typing import Any

from otp_enroll import Confirmation, RecoveryCodes, Setup
from proof.interleavings.invariants import Broken
from proof.interleavings.seen import Happened
from proof.interleavings.walker import (
    CIPHER,
    FAILS,
    LOST,
    TWICE,
    Answer,
    CipherCall,
    Run,
    Scenario,
)
from proof.interleavings.world import START, Row, World, drive, enroller_over

Failing = tuple[int, CipherCall] | None
"""Whose call of the cipher fails in an order, and which."""


def normal(value: object) -> object:
    """Return an answer as something that can be compared."""
    if isinstance(value, Setup):
        shown = value._shown
        setup = shown.setup
        return (
            "Setup", shown.setup_id.reveal(), shown.secret.reveal(), setup.authenticator_id,
            setup.name, setup.account_name, setup.expires_at, shown.replaces, shown.beside,
        )  # fmt: skip
    if isinstance(value, RecoveryCodes):
        return tuple(value)
    if isinstance(value, Confirmation):
        codes = value.recovery_codes
        return value.authenticator, value.replaced, value.removed, codes and tuple(codes)
    if isinstance(value, Exception):
        return type(value), value.args, value.__dict__
    return value


def normal_row(row: Row) -> object:
    """Return a row without its revisions."""
    if row is None:
        return None
    head, _, rest = row.document.partition('"trail":[')
    return row.state, row.setup_expires_at, row.changed_at, head + rest.partition("]")[2]


class Serial:
    """Runs the requests of a scenario one after another, and remembers what came of it."""

    def __init__(self) -> None:
        self.world = World()
        self.world.cipher.fails = self._cipher_fails
        self.enroller = enroller_over(self.world)
        self._scenario: Scenario | None = None
        self._outcomes: dict[object, tuple[dict[int, object], Row]] = {}
        self._calls: Counter[tuple[int, str, bytes]] = Counter()
        self._failing: Failing = None

    def explains(self, happened: Happened) -> None:
        """Some serial order explains the answers and the last row.

        Raises:
            Broken: None does.
        """
        run = happened.run
        if run.scenario is not self._scenario:
            self._scenario = run.scenario
            self._outcomes.clear()
        landed = {one.by for one in run.history}
        stood = [one for one in run.answers if not _is_unknown(one) or one.place in landed]
        told = {one.place: normal(one.value) for one in stood if not _is_unknown(one)}
        last = normal_row(run.row)
        twice = [one for one in stood if one.asked.verb == "erase" and one.fault == TWICE]
        orders = chain(_orders(stood), _orders(stood + twice) if twice else ())
        for order, failing in product(orders, _failures(run)):
            answers, row = self._outcome(run, order, failing)
            same = all(answers[place] == value for place, value in told.items())
            if same and normal_row(row) == last:
                return
        raise Broken("no serial order has these answers and this row")

    def _outcome(
        self, run: Run, order: tuple[Answer, ...], failing: Failing
    ) -> tuple[dict[int, object], Row]:
        readings = {one.place: run.readings.get(one.place, []) for one in order}
        key = (
            failing,
            *(
                (one.place, one.of, *readings[one.place], *run.listings.get(one.place, ()))
                for one in order
            ),
        )
        found = self._outcomes.get(key)
        if found is None:
            self._failing, self._calls = failing, Counter()
            found = self._outcomes[key] = self._one_after_another(run, order, readings)
        return found

    def _one_after_another(
        self, run: Run, order: tuple[Answer, ...], readings: dict[int, list[int]]
    ) -> tuple[dict[int, object], Row]:
        world = self.world
        world.reset(run.start.row, START)
        world.foreseen, world.listings = readings, dict(run.listings)
        answers: dict[int, Any] = {}
        for one in order:
            world.current = one.place
            asked = one.asked.make(self.enroller, run.start, one.of)
            answers[one.place] = normal(drive(world, asked))
        return answers, world.row

    def _cipher_fails(self, what: str, about: bytes) -> bool:
        place = self.world.current
        self._calls[place, what, about] += 1
        return (place, (what, about, self._calls[place, what, about])) == self._failing


def _failures(run: Run) -> tuple[Failing, ...]:
    """Return which call of the cipher fails in a serial order.

    The same one as in the run; or none, where it failed in a try that was thrown away. It is not
    known by its number: a second try does not seal again what was drawn in the first one.
    """
    if run.failed_call is None:
        return (None,)
    place = next(one.place for one in run.answers if one.fault == CIPHER)
    return (place, run.failed_call), None


def _is_unknown(answer: Answer) -> bool:
    """Return whether a failure of the store hid from the user what became of the request."""
    return answer.raised and answer.fault in {FAILS, LOST}


def _orders(answers: list[Answer]) -> Iterator[tuple[Answer, ...]]:
    for order in permutations(answers):
        if not any(
            later.ended < earlier.begun
            for n, earlier in enumerate(order)
            for later in order[n + 1 :]
        ):
            yield order
