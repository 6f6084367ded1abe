"""Recovery codes: their spelling, their digests, and that each is found and spent once."""

from __future__ import annotations

import base64
import hashlib
from hmac import compare_digest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.flows import USER
from otp_enroll.core.recovery import CODE_BYTES, SALT_BYTES, FreshCodes, RecoverySet
from otp_enroll.core.typed_text import read_code

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RFC4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SALT = bytes(range(16))
FRESH = FreshCodes(bytes(range(150)))
CODES = FRESH.canonical()


@pytest.mark.requirement("R-80")
@given(st.binary(min_size=15, max_size=15))
def test_a_code_spells_120_bits(raw: bytes) -> None:
    """24 characters of Crockford's alphabet spell 15 bytes, none of them lost."""
    (code,) = FreshCodes(raw).canonical()

    standard = code.translate(str.maketrans(CROCKFORD, RFC4648))
    assert base64.b32decode(standard) == raw
    assert len(code) == 24
    assert not set(code) & set("ILOU")


@pytest.mark.requirement("R-80")
def test_a_set_is_cut_into_codes_of_their_own_bytes() -> None:
    """Ten codes come out of 150 bytes, each out of its own 15."""
    raw = FRESH.reveal()

    assert len(CODES) == 10
    assert (
        tuple(FreshCodes(raw[start : start + 15]).canonical()[0] for start in range(0, 150, 15))
        == CODES
    )
    assert (CODE_BYTES, SALT_BYTES) == (15, 16)


@pytest.mark.requirement("R-06", "R-84")
def test_fresh_codes_are_redacted() -> None:
    """Neither repr nor str shows a code."""
    assert repr(FRESH) == str(FRESH) == "FreshCodes(…)"


@pytest.mark.requirement("R-81")
def test_a_set_stores_salted_digests_and_no_code() -> None:
    """What is stored is SHA-256 over a domain tag, the account, the salt and the code."""
    stored = RecoverySet.issue(USER, SALT, CODES)

    tag = b"otp_enroll/1\0recovery code\0user-42\0" + SALT
    assert stored.digests == b"".join(hashlib.sha256(tag + c.encode()).digest() for c in CODES)
    assert (stored.salt, stored.spent, stored.left) == (SALT, (False,) * 10, 10)
    for raw in (FRESH.reveal()[:15], *(code.encode() for code in CODES)):
        assert raw not in stored.digests
    assert str(stored.digests)[2:-1] not in repr(stored)


@pytest.mark.requirement("R-81")
def test_one_code_has_another_digest_in_another_account_or_set() -> None:
    """Account, salt and code each change every digest."""
    base = RecoverySet.issue(USER, SALT, CODES[:1]).digests

    assert base == RecoverySet.issue(USER, SALT, CODES[:1]).digests
    assert base != RecoverySet.issue("user-43", SALT, CODES[:1]).digests
    assert base != RecoverySet.issue(USER, SALT[::-1], CODES[:1]).digests
    assert base != RecoverySet.issue(USER, SALT, CODES[1:2]).digests


@pytest.mark.requirement("R-40")
@pytest.mark.parametrize("place", range(10))
def test_each_code_is_found_in_any_spelling(place: int) -> None:
    """A code is found at its place, typed in groups, in lower case, or with O, I and L."""
    stored, code = RecoverySet.issue(USER, SALT, CODES), CODES[place]
    groups = "-".join(code[start : start + 4] for start in range(0, 24, 4))
    confused = code.replace("0", "o").replace("1", "l")

    for text in (code, groups, groups.lower(), confused, f" {code}\n"):
        assert stored.find(USER, read_code(text)) == place


def test_what_is_no_code_of_the_set_is_not_found() -> None:
    """Another code, another account's, and a text that is no code are not found."""
    stored = RecoverySet.issue(USER, SALT, CODES)

    assert stored.find(USER, read_code("0" * 24)) is None
    assert stored.find("user-43", read_code(CODES[0])) is None
    assert stored.find(USER, read_code("")) is None
    empty = RecoverySet(salt=b"", digests=b"", spent=())
    assert (empty.find(USER, read_code(CODES[0])), empty.left) == (None, 0)


@pytest.mark.requirement("R-57")
@pytest.mark.parametrize("place", [0, 5, 9, None])
def test_all_digests_are_compared(place: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many comparisons are made for the first code as for the last and for a wrong one."""
    stored, compared = RecoverySet.issue(USER, SALT, CODES), []

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare_digest(one, other)

    monkeypatch.setattr("otp_enroll.core.recovery.hmac.compare_digest", spy)
    stored.find(USER, read_code("0" * 24 if place is None else CODES[place]))

    assert compared == [(32, 32)] * 10


def test_a_spent_code_stays_and_is_marked() -> None:
    """Spending marks one code, which is found as before; the set it came from is unchanged."""
    stored = RecoverySet.issue(USER, SALT, CODES)

    after = stored.spend(3).spend(7)

    assert (after.left, stored.left) == (8, 10)
    assert [place for place, spent in enumerate(after.spent) if spent] == [3, 7]
    assert after.find(USER, read_code(CODES[3])) == 3
    assert (after.salt, after.digests) == (stored.salt, stored.digests)
    assert after.spend(3) == after


@pytest.mark.requirement("R-84")
def test_at_two_codes_left_an_event_asks_for_new_ones(flow: Any) -> None:
    """Eight of ten codes are used before the first ``RecoveryCodesLow``, then each one tells."""
    _, confirmation = flow.enroll()
    codes = list(confirmation.recovery_codes)
    flow.told.clear()
    for used, code in enumerate(codes, start=1):
        verification = flow.enroller.verify("user-42", code)

        low = [event for event in flow.told if type(event).__name__ == "RecoveryCodesLow"]
        assert verification.recovery_codes_left == 10 - used
        assert len(low) == (1 if used >= 8 else 0)
        flow.told.clear()


@pytest.mark.requirement("R-84")
def test_low_recovery_codes_are_told(flow: Any) -> None:
    """At two codes left, and at one and none, an event asks for a new set."""
    _, confirmation = flow.enroll()
    flow.told.clear()
    for code in confirmation.recovery_codes:
        flow.enroller.verify(USER, code)
    low = [event.left for event in flow.told if type(event).__name__ == "RecoveryCodesLow"]
    assert low == [2, 1, 0]
