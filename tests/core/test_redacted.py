"""Secrets of every kind: what no repr, log, copy or pickle gives away."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from helpers.hidden import RAW, assert_hidden
from otp_enroll.core.redacted import Redacted
from otp_enroll.core.secret import Sealed, Secret, SetupId
from otp_enroll.core.typed_text import TypedCode, TypedKey

SECRET = Secret(RAW)
EVERY_KIND = [
    pytest.param(SECRET, id="Secret"),
    pytest.param(Sealed(RAW), id="Sealed"),
    pytest.param(SetupId(RAW), id="SetupId"),
    pytest.param(Redacted(RAW), id="Redacted"),
    pytest.param(TypedCode("code", RAW.decode()), id="TypedCode"),
    pytest.param(TypedKey("key", RAW.decode()), id="TypedKey"),
]


@dataclasses.dataclass
class Holder:
    """What an app may put a secret in."""

    secret: Any


def raise_beside(secret: Redacted) -> None:
    local = secret
    raise LookupError(str(local))


@pytest.mark.requirement("R-06")
@pytest.mark.parametrize("secret", EVERY_KIND)
def test_no_way_of_printing_shows_a_secret(
    secret: Redacted, caplog: pytest.LogCaptureFixture
) -> None:
    """Repr, str, format, asdict, a log line and a traceback with locals hide the bytes."""
    logging.getLogger("somewhere").warning("%s %r", secret, secret)
    try:
        raise_beside(secret)
    except LookupError as error:
        trace = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    held = Holder(secret)

    assert_hidden(f"{secret} {secret!r} {secret!s} %s" % secret)
    assert_hidden(f"{held} {dataclasses.asdict(held)} {dataclasses.astuple(held)}")
    assert_hidden(caplog.text)
    assert f"local = {type(secret).__name__}(…)" in trace
    assert_hidden(trace)


@pytest.mark.requirement("R-06")
@pytest.mark.parametrize("secret", EVERY_KIND)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(secret: Redacted, protocol: int) -> None:
    """Pickling is refused in every protocol, by an error that names the type alone."""
    with pytest.raises(
        TypeError, match=rf"^{type(secret).__name__} holds a secret and is not pickled$"
    ):
        pickle.dumps(secret, protocol)


@pytest.mark.requirement("R-06")
@pytest.mark.parametrize("secret", EVERY_KIND)
def test_a_secret_has_no_other_way_out(secret: Redacted) -> None:
    """A secret has no JSON, no hash, no bytes, no items, no attributes to list."""
    with pytest.raises(TypeError):
        json.dumps(secret)
    uses: tuple[Callable[..., object], ...] = (hash, bytes, iter, len, vars, int, memoryview)
    for use in uses:
        with pytest.raises(TypeError):
            use(secret)


@pytest.mark.requirement("R-06")
@pytest.mark.parametrize("secret", EVERY_KIND)
def test_copies_of_a_secret_are_the_object_itself(secret: Redacted) -> None:
    """Copying makes no second holder of the bytes."""
    assert copy.copy(secret) is secret
    assert copy.deepcopy(secret) is secret
    assert dataclasses.asdict(Holder(secret))["secret"] is secret


def test_secrets_are_equal_by_their_bytes_and_kind() -> None:
    """The same bytes in another kind of object are not equal, nor are raw bytes."""
    assert Secret(RAW) == SECRET
    assert Secret(RAW[:-1] + b"1") != SECRET
    assert Secret(RAW + b"1") != SECRET
    assert Sealed(RAW) != SECRET
    assert RAW != SECRET
    assert SECRET.reveal() == RAW
