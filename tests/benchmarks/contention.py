"""How much a hammered account slows the logins of another one, at a pool of five connections.

PostgreSQL, one process, sixteen threads that guess at one account without a pause. The figure
to look at is the ratio of the medians.
"""

from __future__ import annotations

import statistics
import threading
import time
from typing import Any

from sqlalchemy import MetaData

from helpers import servers
from otp_enroll import Enroller, Unencrypted, errors
from otp_enroll.storage.sqlalchemy import SQLAlchemyStore, enrollment_table, own_engine
from otp_enroll.testing import FakeAuthenticator, FrozenClock

LOGINS = 200
GUESSERS = 16


def enroll(enroller: Enroller, clock: FrozenClock, user_id: str) -> FakeAuthenticator:
    """Go from disabled to confirmed."""
    setup = enroller.begin(user_id, account_name=user_id)
    phone = FakeAuthenticator(setup.uri, clock)
    enroller.confirm(user_id, phone.code(), setup_id=setup.id)
    return phone


def median_login(enroller: Enroller, clock: FrozenClock, phone: FakeAuthenticator) -> float:
    """Return the median time of a login, in milliseconds."""
    times = []
    for _ in range(LOGINS):
        clock.advance(60)
        code = phone.code()
        started = time.perf_counter()
        enroller.verify("owner", code)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def main() -> None:
    """Print the two medians and their ratio."""
    with servers.running(servers.PostgreSQL) as server:
        engine: Any = own_engine(
            server.fresh_database().url("postgresql+psycopg"), pool_size=5, max_overflow=0
        )
        table = enrollment_table(MetaData())
        table.metadata.create_all(engine)
        clock = FrozenClock()
        enroller = Enroller(
            SQLAlchemyStore(engine, table), issuer="Exir", cipher=Unencrypted(), clock=clock
        )
        phone = enroll(enroller, clock, "owner")
        enroll(enroller, clock, "victim")
        median_login(enroller, clock, phone)
        quiet = median_login(enroller, clock, phone)
        stop = threading.Event()
        guesses = [0] * GUESSERS

        def guess(number: int) -> None:
            while not stop.is_set():
                try:
                    enroller.verify("victim", f"{guesses[number] % 1_000_000:06d}")
                except errors.EnrollmentError:
                    guesses[number] += 1

        guessers = [threading.Thread(target=guess, args=(n,)) for n in range(GUESSERS)]
        for thread in guessers:
            thread.start()
        started = time.perf_counter()
        loud = median_login(enroller, clock, phone)
        seconds = time.perf_counter() - started
        stop.set()
        for thread in guessers:
            thread.join()
        engine.dispose()
    print(f"median login, quiet            {quiet:8.2f} ms")
    print(f"median login, under guessing   {loud:8.2f} ms")
    print(f"ratio                          {loud / quiet:8.1f}")
    print(f"guesses a second               {sum(guesses) / seconds:8.0f}")


if __name__ == "__main__":
    main()
