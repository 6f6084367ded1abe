"""How much guessing at one account slows the logins of another, at a pool of five connections.

One process, sixteen threads that guess without a pause. Most guesses meet a wait or a lock by
then and are refused after one load: that is what a guesser can make the app do for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.ours import ACCOUNT, ISSUER, key_ring, user_ids
from benchmarks.rounds import Side, Steps, per_call
from otp_enroll import Enroller, errors
from otp_enroll.testing import FakeAuthenticator, FrozenClock

GUESSERS: Final = 16


class Contention:
    """Logins of an owner, alone or beside guesses at a victim's account.

    Args:
        store: Over the pool.
        count: How many logins a batch has.
    """

    def __init__(self, store: Any, count: int) -> None:
        self._count = count
        self._clock = FrozenClock()
        self._enroller = Enroller(store, issuer=ISSUER, cipher=key_ring(), clock=self._clock)
        self._owner, self._victim = user_ids(2)
        self._phone = self._enroll(self._owner)
        self._enroll(self._victim)

    def sides(self) -> list[Side]:
        """Return both."""
        return [Side(name="alone", run=self._log_in), Side(name="guessed at", run=self._beside)]

    def _enroll(self, user_id: str) -> FakeAuthenticator:
        setup = self._enroller.begin(user_id, account_name=ACCOUNT)
        phone = FakeAuthenticator(setup.uri, self._clock)
        self._enroller.confirm(user_id, phone.code(), setup_id=setup.id)
        return phone

    def _log_in(self) -> Steps:
        def verify() -> float:
            self._clock.advance(30)
            code = self._phone.code()
            return per_call(self._enroller.verify, [(self._owner, code)])

        return {"verify": sum(verify() for _ in range(self._count)) / self._count}

    def _beside(self) -> Steps:
        with self._guessing():
            return self._log_in()

    @contextmanager
    def _guessing(self) -> Generator[None]:
        stop = threading.Event()

        def guess() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    self._enroller.verify(self._victim, f"{number % 1_000_000:06d}")
                except errors.EnrollmentError:
                    continue

        guessers = [threading.Thread(target=guess) for _ in range(GUESSERS)]
        for thread in guessers:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in guessers:
                thread.join()
