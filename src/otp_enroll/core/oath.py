"""Counters and codes (RFC 4226, RFC 6238), over pyotp.

From pyotp comes the code of one counter. Its ``verify`` is not used: it stops at the first match,
which can be timed (CWE-208), and knows no last counter, so that it takes a code twice.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Final

from pyotp.otp import OTP

from otp_enroll.core.secret import Secret
from otp_enroll.policy import Parameters

DIAGNOSED_COUNTERS: Final = 10
"""How far around the current counter a wrong code is looked for at confirm (RFC 6238 §6).

To explain it, never to accept it: a window of 21 codes would be seven times as easy to guess.
"""

_DIGESTS: Final = {"SHA1": hashlib.sha1, "SHA256": hashlib.sha256, "SHA512": hashlib.sha512}
_ASSUMED: Final = Parameters()  # what an app computes that reads nothing but the secret


class _Generator(OTP):
    """pyotp's arithmetic on a key that is decoded already: it would decode Base32 at each code."""

    def __init__(self, secret: Secret, parameters: Parameters) -> None:
        self._raw = secret.reveal()
        # First the key: pyotp's constructor asks for it, to refuse one below 112 bits.
        super().__init__("", digits=parameters.digits, digest=_DIGESTS[parameters.algorithm])

    def byte_secret(self) -> bytes:
        return self._raw

    @staticmethod
    def int_to_bytestring(i: int, *, padding: int = 8) -> bytes:
        return i.to_bytes(padding, "big")  # pyotp does it byte by byte; RFC 4226 §5.1: 64 bits


def counter_at(now: int, period: int) -> int:
    """Return T, the number of whole periods since 1970 (RFC 6238 §4.2). ``now`` in seconds."""
    return now // period


def window_at(now: int, period: int, window: tuple[int, int]) -> range:
    """Return the counters that a code may have now (RFC 6238 §5.2).

    Args:
        now: Unix seconds.
        period: Seconds.
        window: Counters before and after the current one.
    """
    current = counter_at(now, period)
    # No counter before 0, which pyotp refuses: a test's clock may start there.
    return range(max(current - window[0], 0), current + window[1] + 1)


def code_at(secret: Secret, parameters: Parameters, counter: int) -> str:
    """Return the code of one counter, leading zeros kept (RFC 4226 §5.3: a code is text)."""
    return _Generator(secret, parameters).generate_otp(counter)


def matching_counters(
    secret: Secret, parameters: Parameters, counters: Iterable[int], code: bytes
) -> tuple[int, ...]:
    """Return every counter whose code this is, in rising order.

    There may be two: once in a million, neighbours have the same code. All codes are computed and
    compared, in constant time and without an early exit, so that the time taken does not reveal
    which one matched (CWE-208).
    """
    generator = _Generator(secret, parameters)
    # As bytes: compare_digest raises TypeError for a str with a letter beyond ASCII.
    compared = [
        (counter, hmac.compare_digest(generator.generate_otp(counter).encode("ascii"), code))
        for counter in counters
    ]
    return tuple(counter for counter, same in compared if same)


def skew_of(secret: Secret, parameters: Parameters, now: int, code: bytes) -> int | None:
    """Return how many seconds off the clock is by which this code would be right, or ``None``.

    Looks ten counters around the current one and takes the nearest; negative means that the
    phone is behind.
    """
    current = counter_at(now, parameters.period)
    around = window_at(now, parameters.period, (DIAGNOSED_COUNTERS, DIAGNOSED_COUNTERS))
    matched = matching_counters(secret, parameters, around, code)
    if not matched:
        return None
    return (min(matched, key=lambda counter: abs(counter - current)) - current) * parameters.period


def is_code_of_other_parameters(
    secret: Secret, parameters: Parameters, now: int, window: tuple[int, int], code: bytes
) -> bool:
    """Return whether an app that ignores algorithm, digits or period shows this code.

    Some of the most installed ones do, Google's and Microsoft's on Android among them, and no app
    says so: without this the user only reads that every code is wrong.
    """
    others = {
        replace(parameters, algorithm=algorithm, digits=digits, period=period)
        for algorithm, digits, period in product(
            (parameters.algorithm, _ASSUMED.algorithm),
            (parameters.digits, _ASSUMED.digits),
            (parameters.period, _ASSUMED.period),
        )
    } - {parameters}
    # A list, then any(): of a generator, a hit would take fewer HMACs than a miss (CWE-208).
    found = [
        bool(matching_counters(secret, other, window_at(now, other.period, window), code))
        for other in others
    ]
    return any(found)
