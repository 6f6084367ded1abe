"""Codes of known keys, chosen so that none of them is by chance another one too."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from otp_enroll.core.oath import code_at
from otp_enroll.core.secret import Secret
from otp_enroll.core.typed_text import CROCKFORD, RECOVERY_CODE_LENGTH
from otp_enroll.policy import Parameters
from proof.kills.journal import Typed
from proof.kills.model import PERIOD

OVERRIDE: Final = Typed(kind="override")

_NEAR: Final = 2


@lru_cache(maxsize=200_000)
def code(key: str, counter: int) -> str:
    """Return a key's code."""
    return code_at(Secret.from_base32(key), Parameters(), counter)


def code_of(key: str, counter: int, keys: Iterable[str], now: int) -> Typed | None:
    """Return a key's code, or ``None`` if it is by chance also another code that is near.

    Args:
        key: Whose code.
        counter: Which one.
        keys: All keys that the account ever had.
        now: When it will be judged.
    """
    text = code(key, counter)
    meanings = [one for one in _near({key, *keys}, now) if code(*one) == text]
    if any(one != (key, counter) for one in meanings):
        return None
    return Typed(kind="code", text=text, key=key, counter=counter)


def wrong_code(keys: Iterable[str], now: int, rng: random.Random) -> Typed:
    """Return a code that none of the keys shows about now."""
    near = {code(*one) for one in _near(set(keys), now)}
    while (text := f"{rng.randrange(10**6):06d}") in near:
        pass
    return Typed(kind="code", text=text)


def wrong_recovery_code(rng: random.Random) -> Typed:
    """Return a recovery code that nobody was given."""
    text = "".join(rng.choices(CROCKFORD, k=RECOVERY_CODE_LENGTH))
    return Typed(kind="recovery code", text=text)


def recovery_code(text: str) -> Typed:
    """Return one that somebody was given."""
    return Typed(kind="recovery code", text=text)


def _near(keys: set[str], now: int) -> list[tuple[str, int]]:
    middle = now // PERIOD
    return [(key, middle + n) for key in keys for n in range(-_NEAR, _NEAR + 1)]
