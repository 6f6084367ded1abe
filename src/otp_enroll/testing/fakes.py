"""A clock that moves by hand alone, and an authenticator app that reads a provisioning URI.

With both, a test of a login waits for no code to change and fails at no second of the minute.
"""

from __future__ import annotations

from collections.abc import Callable

from otp_enroll.core.oath import code_at, counter_at
from otp_enroll.provisioning.uri import parse


class FrozenClock:
    """A clock that stands still: pass it as an enroller's ``clock``.

    Args:
        now: Unix seconds. The default is the beginning of a period of 30 and of 60 seconds.
    """

    def __init__(self, now: float = 1_800_000_000) -> None:
        self.now: float = now

    def __call__(self) -> float:
        """Read the clock."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock, backwards if ``seconds`` is negative.

        A code is right once (RFC 6238 §5.2), so after one was accepted a test has to move on by
        a period, 30 seconds, to have another.
        """
        self.now += seconds


class FakeAuthenticator:
    """An authenticator app that scanned a provisioning URI.

    Args:
        uri: The provisioning URI, as ``Setup.uri`` has it.
        clock: The phone's clock, in Unix seconds.

    Raises:
        ValueError: The URI is not well-formed.
    """

    def __init__(self, uri: str, clock: Callable[[], float]) -> None:
        self._scanned, uri = parse(uri), ""  # as in the library: a failing test prints its locals
        self._clock = clock

    @property
    def label(self) -> str:
        """What the app lists the entry as; by the same label some apps overwrite an entry."""
        names = (self._scanned.issuer, self._scanned.account_name)
        return ": ".join(name for name in names if name)

    def code(self, offset: int = 0) -> str:
        """Show the code.

        Args:
            offset: Periods from now (of a HOTP: codes from the first one). 5 is a code that is
                surely not right yet, and -5 one that is no longer.
        """
        parameters = self._scanned.parameters
        if parameters.type == "hotp":
            counter = self._scanned.counter
        else:
            counter = counter_at(int(self._clock()), parameters.period)
        return code_at(self._scanned.secret, parameters, counter + offset)
