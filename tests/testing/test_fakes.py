"""The fakes that users of the library test with: a clock that stands still, and a phone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otp_enroll.core.secret import Secret
from otp_enroll.policy import Parameters
from otp_enroll.provisioning.uri import build
from otp_enroll.testing import FakeAuthenticator, FrozenClock

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text("utf-8"))
KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def uri(**parameters: Any) -> str:
    return build(
        Secret.from_base32(KEY),
        issuer="Exir",
        account_name="sara@example.com",
        parameters=Parameters(**parameters),
    )


def test_a_frozen_clock_stands_still_until_it_is_moved() -> None:
    """Each reading is the same; moving it goes both ways."""
    clock = FrozenClock(1000)
    assert (clock(), clock()) == (1000, 1000)

    clock.advance(30)
    assert clock() == 1030
    clock.advance(-60.5)
    assert clock() == 969.5


def test_a_frozen_clock_begins_with_a_period() -> None:
    """The default time is the first second of a period of 30 and of 60 seconds, in this century."""
    assert FrozenClock()() % 60 == 0
    assert FrozenClock()() > 1_700_000_000


@pytest.mark.requirement("R-07")
@pytest.mark.parametrize("row", VECTORS["rfc6238-B"]["rows"], ids=lambda row: str(row[0]))
def test_a_phone_shows_the_codes_of_the_rfc(row: list[str]) -> None:
    """RFC 6238 appendix B, by a phone that scanned the key with eight digits."""
    phone = FakeAuthenticator(uri(digits=8), FrozenClock(int(row[0])))

    assert phone.code() == row[2]


def test_a_phone_follows_its_clock() -> None:
    """The code changes with the period; an offset shows those before and after."""
    clock = FrozenClock(59)
    phone = FakeAuthenticator(uri(), clock)

    assert [phone.code(-1), phone.code(), phone.code(1)] == ["755224", "287082", "359152"]
    clock.advance(1)
    assert phone.code() == "359152"


def test_a_phone_obeys_the_parameters() -> None:
    """Algorithm, digits and period are those of the URI."""
    clock = FrozenClock(59)
    codes = {
        FakeAuthenticator(uri(**parameters), clock).code()
        for parameters in ({}, {"algorithm": "SHA256"}, {"digits": 8}, {"period": 60})
    }

    assert len(codes) == 4
    assert FakeAuthenticator(uri(period=60), clock).code() == "755224"


def test_a_hotp_counts_from_its_first_code() -> None:
    """A phone with a HOTP shows codes by their number and has no use for a clock."""
    rows = VECTORS["rfc4226-D"]["rows"]
    phone = FakeAuthenticator(uri(type="hotp"), FrozenClock())

    assert [phone.code(n) for n in range(10)] == [row[4] for row in rows]


def test_the_label_is_what_an_app_lists() -> None:
    """The entry has the issuer, if there is one, and the account name."""
    foreign = f"otpauth://totp/sara?secret={KEY}"

    assert FakeAuthenticator(uri(), FrozenClock()).label == "Exir: sara@example.com"
    assert FakeAuthenticator(foreign, FrozenClock()).label == "sara"


@pytest.mark.requirement("R-25")
def test_a_phone_is_redacted() -> None:
    """The repr of a phone does not show the key."""
    assert KEY[:8] not in repr(FakeAuthenticator(uri(), FrozenClock()))


def test_a_phone_refuses_what_is_no_uri() -> None:
    """A text that is no provisioning URI is a ValueError that does not show it."""
    with pytest.raises(ValueError, match=r"^the URI is not otpauth:"):
        FakeAuthenticator(KEY, FrozenClock())
