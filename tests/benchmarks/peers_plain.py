"""The peers that are called without a framework: pyotp, segno, libpass."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Final

import pyotp
import segno
from passlib.exc import InvalidTokenError
from passlib.totp import TOTP

from benchmarks.ours import ACCOUNT, ISSUER, unlike
from benchmarks.rounds import Side, Steps, per_call

_HOUR: Final = 120
"""Periods in an hour, which no run lasts."""


def wrong_code(base32: str) -> str:
    """Return a code that is wrong for the next hour."""
    totp, now = pyotp.TOTP(base32), time.time()
    return unlike([totp.at(now, counter_offset=offset) for offset in range(-3, _HOUR)])


def verify_sides(count: int) -> list[Side]:
    """Return the sides that judge a wrong code, with a window of one; nothing is stored."""
    base32 = pyotp.random_base32()
    typed = [(wrong_code(base32),)] * count

    def with_pyotp(code: str) -> None:
        assert not pyotp.TOTP(base32).verify(code, valid_window=1)

    def with_libpass(code: str) -> None:
        try:
            TOTP(base32).match(code, window=30)
        except InvalidTokenError:
            return
        raise AssertionError("a wrong code was accepted")

    return [
        Side(name="pyotp", run=lambda: {"verify": per_call(with_pyotp, typed)}),
        Side(name="libpass", run=lambda: {"verify": per_call(with_libpass, typed)}),
    ]


def begin_sides(count: int) -> list[Side]:
    """Return the sides that make a key and draw it, as a page of one's own would."""

    def drawn() -> segno.QRCode:
        totp = pyotp.TOTP(pyotp.random_base32())
        uri = totp.provisioning_uri(name=ACCOUNT, issuer_name=ISSUER)
        return segno.make(uri, error="m", micro=False)

    def svg() -> None:
        drawn().svg_inline(scale=4)

    def png() -> None:
        drawn().save(io.BytesIO(), kind="png", scale=6)

    def batch(act: Callable[[], None]) -> Steps:
        return {"begin": per_call(act, [()] * count)}

    return [
        Side(name="pyotp and segno, SVG", run=lambda: batch(svg)),
        Side(name="pyotp and segno, PNG", run=lambda: batch(png)),
    ]
