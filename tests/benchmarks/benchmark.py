"""How long each verb takes, as a ratio to one bare verification by pyotp in the same run."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyotp

from otp_enroll import Enroller, Override, Unencrypted
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.storage.sqlite import SQLiteStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

ROUNDS = 200
VOUCHED = Override(actor="bench", reason="bench")


def median_of(act: Callable[[int], object]) -> float:
    """Return the median of many runs, in microseconds."""
    times = []
    for number in range(ROUNDS):
        started = time.perf_counter()
        act(number)
        times.append((time.perf_counter() - started) * 1e6)
    return statistics.median(times)


def verbs(store: Any) -> dict[str, float]:
    """Time the verbs over one store."""
    clock = FrozenClock()
    enroller = Enroller(store, issuer="Exir", cipher=Unencrypted(), clock=clock)
    setups: dict[int, Any] = {}
    phones: dict[int, FakeAuthenticator] = {}
    codes: dict[int, str] = {}

    def begin(number: int) -> None:
        setups[number] = enroller.begin(f"user-{number}", account_name="sara")

    def confirm(number: int) -> None:
        enroller.confirm(f"user-{number}", codes[number], setup_id=setups[number].id)

    def verify(number: int) -> None:
        enroller.verify(f"user-{number}", codes[number])

    def refused(number: int) -> None:
        try:
            verify(number)
        except Exception:  # noqa: BLE001  # the refusal is what is timed
            return

    def prepare() -> None:
        clock.advance(60)
        codes.update({number: phone.code() for number, phone in phones.items()})

    timed = {"begin": median_of(begin)}
    phones.update({n: FakeAuthenticator(setup.uri, clock) for n, setup in setups.items()})
    prepare()
    timed["confirm"] = median_of(confirm)
    prepare()
    timed["verify"] = median_of(verify)
    timed["verify, reused"] = median_of(refused)
    timed["status"] = median_of(lambda n: enroller.status(f"user-{n}"))
    timed["disable"] = median_of(lambda n: enroller.disable(f"user-{n}", proof=VOUCHED))
    timed["draw the QR code"] = median_of(lambda n: setups[n].qr.svg())
    return timed


def main() -> None:
    """Print a table."""
    totp = pyotp.TOTP(pyotp.random_base32())
    bare = median_of(lambda number: totp.verify("000000", valid_window=1))
    print(f"pyotp.TOTP.verify with a window of one: {bare:.0f} µs = 1.0\n")
    with tempfile.TemporaryDirectory() as directory:
        stores: list[tuple[str, Any]] = [
            ("memory", MemoryStore()),
            ("SQLite, NORMAL", SQLiteStore(Path(directory) / "n.db", synchronous="NORMAL")),
            ("SQLite, FULL", SQLiteStore(Path(directory) / "f.db")),
        ]
        for name, store in stores:
            print(name)
            for verb, took in verbs(store).items():
                print(f"  {verb:<18} {took:8.0f} µs  {took / bare:7.1f}")
            if name != "memory":
                store.close()


if __name__ == "__main__":
    main()
