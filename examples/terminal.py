"""The whole life of an account in a terminal: enroll, log in, change phone, recover, switch off.

With a person at the keyboard it asks for codes, in Latin or Persian digits. Without a terminal
on its standard input it plays the person too, with a fake authenticator and a clock that jumps.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from otp_enroll import Enroller, Setup
from otp_enroll.errors import (
    EnrollmentError,
    InvalidTransitionError,
    LockedError,
    RefusalError,
    SetupError,
)
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.sqlite import SQLiteStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

USER = "user-42"
ACCOUNT = "sara@example.com"
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
T = TypeVar("T")


class Person(Protocol):
    """Who holds the phone."""

    def scans(self, setup: Setup) -> None:
        """Take the QR code or the key."""
        ...

    def types(self, question: str) -> str:
        """Answer with a code."""
        ...

    def types_wrongly(self) -> str | None:
        """Answer with a wrong code, if this person plays that scene."""
        ...


class Keyboard:
    """A person who reads the screen and types."""

    def scans(self, setup: Setup) -> None:
        """Show what is to be scanned; the person does the rest."""
        print(setup.qr.terminal())
        print(f"No camera? Type this key:  {setup.key_groups}")
        print(f"On the same phone:         {setup.uri}")

    def types(self, question: str) -> str:
        """Ask."""
        return input(f"{question}: ")

    def types_wrongly(self) -> str | None:
        """Not on request: a person does so often enough."""
        return None


class Pretender:
    """A person made of a fake authenticator, who types Persian digits and waits by moving a clock.

    Args:
        clock: The clock that the enroller reads, too.
    """

    def __init__(self, clock: FrozenClock) -> None:
        self._clock = clock
        self._phone: FakeAuthenticator | None = None

    def scans(self, setup: Setup) -> None:
        """Scan, after showing what a person would see."""
        print(setup.qr.terminal())
        print(f"    key        {setup.key_groups}   check word {setup.check_word}")
        self._phone = FakeAuthenticator(setup.uri, self._clock)

    def types(self, question: str) -> str:
        """Wait for a code that was not used before, and type it."""
        self._clock.advance(30)
        code = self._current().code().translate(PERSIAN)
        print(f"    {question}: {code}   (30 seconds later)")
        return code

    def types_wrongly(self) -> str | None:
        """Type a code of two minutes ago."""
        return self._current().code(-4)

    def _current(self) -> FakeAuthenticator:
        if self._phone is None:
            raise RuntimeError("nothing was scanned yet")
        return self._phone


def step(title: str, act: Callable[[], T]) -> T:
    """Do one thing and print how long it took."""
    started = time.perf_counter()
    done = act()
    print(f"✓ {title}  ({(time.perf_counter() - started) * 1000:.1f} ms)")
    return done


def refused(title: str, act: Callable[[], object]) -> None:
    """Do one thing that the library must refuse, and print its reason."""
    started = time.perf_counter()
    try:
        act()
    except RefusalError as error:
        took = (time.perf_counter() - started) * 1000
        print(f"✗ {title}: {type(error).__name__}: {error}  ({took:.1f} ms)")
        return
    raise SystemExit(f"{title}: should have been refused")


def until_accepted(person: Person, question: str, act: Callable[[str], T]) -> T:
    """Ask for codes until one is accepted."""
    while True:
        code = person.types(question)
        try:
            return step(question, lambda: act(code))  # noqa: B023  # called before the next turn
        except (InvalidTransitionError, SetupError, LockedError):
            raise  # no other code will do
        except RefusalError as error:
            left = "" if error.attempts_left is None else f" ({error.attempts_left} tries left)"
            print(f"✗ {type(error).__name__}: {error}{left}")
            if error.retry_at is not None:
                print(f"  try again at {error.retry_at:%H:%M:%S} UTC")


def set_up(enroller: Enroller, person: Person, proof: str | None, png: Path | None) -> list[str]:
    """Begin and confirm a setup, and return the new recovery codes, if any."""
    setup = step("begin", lambda: enroller.begin(USER, account_name=ACCOUNT, proof=proof))
    if png is not None:
        png.write_bytes(setup.qr.png())
        print(f"    the QR code is in {png}")
    person.scans(setup)
    for warning in setup.warnings:
        print(f"    mind: {warning.code} {', '.join(warning.apps)}")
    if (wrong := person.types_wrongly()) is not None:
        refused(
            "a code of two minutes ago", lambda: enroller.confirm(USER, wrong, setup_id=setup.id)
        )
    confirmation = until_accepted(
        person,
        "confirm with the code that the app shows",
        lambda code: enroller.confirm(USER, code, setup_id=setup.id),
    )
    return list(confirmation.recovery_codes or ())


def log_in(enroller: Enroller, person: Person) -> str:
    """Verify a code and return it."""
    typed = ""

    def verify(code: str) -> None:
        nonlocal typed
        typed = code
        enroller.verify(USER, code)

    until_accepted(person, "log in with the next code", verify)
    return typed


def show_state(enroller: Enroller) -> None:
    """Print what ``status`` tells."""
    status = enroller.status(USER)
    names = ", ".join(one.name for one in status.authenticators) or "none"
    codes = status.recovery_codes_left
    print(f"  state {status.state}, authenticators: {names}, recovery codes left: {codes}\n")


def life(enroller: Enroller, person: Person, png: Path | None) -> None:
    """Walk through everything that an account goes through."""
    print("1. Switch one-time passwords on\n")
    show_state(enroller)
    recovery_codes = set_up(enroller, person, None, png)
    print("    recovery codes, shown this once:")
    for code in recovery_codes:
        print(f"      {code}")
    show_state(enroller)

    print("2. Log in\n")
    used = log_in(enroller, person)
    refused("the same code again", lambda: enroller.verify(USER, used))
    refused("letters", lambda: enroller.verify(USER, "abcdef"))
    show_state(enroller)

    print("3. Change phone; the old one works until the new one is confirmed\n")
    print(f"    the proof is a recovery code: {recovery_codes[0]}")
    set_up(enroller, person, recovery_codes[0], png)
    log_in(enroller, person)
    refused("the spent recovery code", lambda: enroller.verify(USER, recovery_codes[0]))
    show_state(enroller)

    print("4. Switch it off\n")
    refused("without a proof", lambda: enroller.disable(USER))
    step("disable with a recovery code", lambda: enroller.disable(USER, proof=recovery_codes[1]))
    show_state(enroller)


def main() -> None:
    """Run the demo over a SQLite file in a temporary directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--png", type=Path, help="also write the QR code to this file")
    options = parser.parse_args()
    cipher = AESGCMKeyRing({"demo": secrets.token_bytes(32)})
    with (
        tempfile.TemporaryDirectory() as directory,
        SQLiteStore(Path(directory) / "demo.db") as store,
    ):
        print(f"An account in {directory}/demo.db\n")
        if sys.stdin.isatty():
            life(Enroller(store, issuer="Exir", cipher=cipher), Keyboard(), options.png)
        else:
            clock = FrozenClock(time.time())
            enroller = Enroller(store, issuer="Exir", cipher=cipher, clock=clock)
            life(enroller, Pretender(clock), options.png)
    print("That is the whole life of an account.")


if __name__ == "__main__":
    try:
        main()
    except EnrollmentError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None
    except (EOFError, KeyboardInterrupt):
        raise SystemExit("\nstopped") from None
