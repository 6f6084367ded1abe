"""Counters and codes: the vectors of the RFCs, the window's edges, and no early exit."""

from __future__ import annotations

import hmac
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp.otp import OTP

from otp_enroll.core.oath import (
    code_at,
    counter_at,
    is_code_of_other_parameters,
    matching_counters,
    skew_of,
    window_at,
)
from otp_enroll.core.secret import Secret
from otp_enroll.policy import Algorithm, Parameters

VECTORS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text("utf-8"))
HOTP = VECTORS["rfc4226-D"]
TOTP = VECTORS["rfc6238-B"]
SECRET = Secret(HOTP["secret_ascii"].encode())
SIX = Parameters()
ALGORITHMS: tuple[Algorithm, ...] = ("SHA1", "SHA256", "SHA512")

NOW = 1_800_000_000
"""The beginning of a period of 30 and of 60 seconds."""


def accepts(code: str, now: int, window: tuple[int, int], parameters: Parameters = SIX) -> bool:
    counters = window_at(now, parameters.period, window)
    return bool(matching_counters(SECRET, parameters, counters, code.encode()))


@pytest.mark.requirement("R-36")
@pytest.mark.parametrize(
    ("counter", "code"),
    [*((row[0], row[4]) for row in HOTP["rows"]), *((int(n), c) for n, c in HOTP["more"].items())],
)
def test_codes_are_those_of_rfc_4226(counter: int, code: str) -> None:
    """RFC 4226 appendix D, and counters whose codes begin with zeros."""
    assert code_at(SECRET, Parameters(type="hotp"), counter) == code


@pytest.mark.requirement("R-04", "R-07")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("row", TOTP["rows"], ids=lambda row: str(row[0]))
def test_codes_are_those_of_rfc_6238(row: list[str], algorithm: Algorithm) -> None:
    """RFC 6238 appendix B, beyond 2038 too; six digits are the last six of eight."""
    now, counter, code = int(row[0]), int(row[1], 16), row[2 + ALGORITHMS.index(algorithm)]
    secret = Secret(TOTP["keys"][algorithm]["ascii"].encode())

    assert counter_at(now, 30) == counter
    assert code_at(secret, Parameters(algorithm=algorithm, digits=8), counter) == code
    assert code_at(secret, Parameters(algorithm=algorithm), counter) == code[-6:]
    assert secret.base32 == TOTP["keys"][algorithm]["b32"]


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA512"])
def test_a_key_is_used_as_long_as_it_is(algorithm: Algorithm) -> None:
    """A key of 20 bytes is not stretched to the length of the hash."""
    code = TOTP["wrong_key_length_trap_t59"][f"{algorithm}_20byte_key"]

    assert code_at(SECRET, Parameters(algorithm=algorithm, digits=8), 1) == code


@pytest.mark.requirement("R-07")
def test_a_counter_has_64_bits() -> None:
    """A counter above 32 bits is not cut."""
    assert code_at(SECRET, SIX, 2**32 + 1) != code_at(SECRET, SIX, 1)
    assert len({code_at(SECRET, SIX, 2**bit) for bit in range(63)}) > 60


@pytest.mark.requirement("R-56")
@pytest.mark.parametrize(("now", "code"), [(int(t), c) for t, c in TOTP["boundary_sha1_6"].items()])
def test_a_code_changes_at_the_whole_period(now: int, code: str) -> None:
    """The code of a second is that of its period, to the last second of it."""
    assert code_at(SECRET, SIX, counter_at(now, 30)) == code
    assert accepts(code, now, (0, 0))


@pytest.mark.requirement("R-56")
@pytest.mark.parametrize(
    ("window", "first", "last"),
    [((0, 0), 60, 89), ((1, 0), 60, 119), ((1, 1), 30, 119), ((0, 1), 30, 89), ((2, 2), 0, 149)],
)
def test_a_code_is_accepted_from_the_first_to_the_last_second(
    window: tuple[int, int], first: int, last: int
) -> None:
    """The code of second 60 is taken at each edge of the window, and not a second beyond."""
    code = TOTP["boundary_sha1_6"]["60"]
    seconds = {0, 29, 30, 59, 60, 89, 90, 119, 120, 149, 150, 179}

    accepted = {now for now in seconds if accepts(code, now, window)}

    assert accepted == {now for now in seconds if first <= now <= last}


@pytest.mark.requirement("R-56")
def test_no_counter_lies_before_1970() -> None:
    """At the beginning of time the window has no past."""
    assert list(window_at(0, 30, (2, 1))) == [0, 1]
    assert list(window_at(45, 30, (2, 1))) == [0, 1, 2]


@given(
    st.integers(0, 2**36),
    st.integers(1, 120),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_a_window_holds_the_current_counter_and_its_neighbours(
    now: int, period: int, window: tuple[int, int]
) -> None:
    """A window has past + 1 + future counters, the current one among them, in rising order."""
    counters = window_at(now, period, window)
    current = counter_at(now, period)

    assert current * period <= now < (current + 1) * period
    assert counters[-1] == current + window[1]
    assert counters[0] == max(0, current - window[0])
    assert list(counters) == sorted(set(counters))


@pytest.mark.requirement("R-57")
@pytest.mark.parametrize("window", [(0, 0), (1, 0), (1, 1), (2, 2)])
def test_as_many_codes_are_computed_for_a_hit_as_for_a_miss(
    window: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each counter's code is computed and compared, wherever the right one stands."""
    computed: list[int] = []
    compared: list[tuple[int, bool]] = []
    generate, compare = OTP.generate_otp, hmac.compare_digest

    def spy_on_code(self: OTP, counter: int) -> str:
        computed.append(counter)
        return generate(self, counter)

    def spy_on_comparison(one: bytes, other: bytes) -> bool:
        assert (type(one), type(other)) == (bytes, bytes)
        compared.append((len(one), len(one) == len(other)))
        return compare(one, other)

    counters = window_at(NOW, 30, window)
    codes = [code_at(SECRET, SIX, counter) for counter in counters]
    monkeypatch.setattr(OTP, "generate_otp", spy_on_code)
    monkeypatch.setattr(hmac, "compare_digest", spy_on_comparison)
    for code in (*codes, "000000", "999999"):
        computed.clear()
        compared.clear()

        matching_counters(SECRET, SIX, counters, code.encode())

        assert computed == list(counters)
        assert compared == [(6, True)] * len(counters)


@pytest.mark.requirement("R-57")
def test_as_many_hmacs_are_made_for_each_digit_that_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The work at the level of the HMAC is the same for a hit at any place and for a miss."""
    made: list[bytes] = []
    new = hmac.new

    def spy(key: bytes, message: bytes, digest: str) -> hmac.HMAC:
        made.append(message)
        return new(key, message, digest)

    counters = range(100, 105)
    codes = [code_at(SECRET, SIX, counter).encode() for counter in counters]
    monkeypatch.setattr(hmac, "new", spy)
    for code in (*codes, b"xxxxxx", b"1234567"):
        made.clear()
        matching_counters(SECRET, SIX, counters, code)
        assert made == [counter.to_bytes(8, "big") for counter in counters]


@pytest.mark.requirement("R-58")
@pytest.mark.parametrize(("low", "high", "code"), TOTP["adjacent_equal_codes_sha1_6"])
def test_a_code_of_two_counters_matches_both(low: int, high: int, code: str) -> None:
    """Two counters next to each other that have one code are both found, the highest last."""
    for now in (low * 30, high * 30):
        counters = window_at(now, 30, (1, 1))
        assert matching_counters(SECRET, SIX, counters, code.encode()) == (low, high)


@pytest.mark.requirement("R-57")
@given(st.binary(max_size=10), st.integers(0, 2**40))
def test_any_bytes_can_be_compared(code: bytes, counter: int) -> None:
    """A code of another length or alphabet matches nothing, and raises nothing."""
    right = code_at(SECRET, SIX, counter).encode()

    assert matching_counters(SECRET, SIX, [counter], code) == ((counter,) if code == right else ())
    assert matching_counters(SECRET, SIX, [counter], right) == (counter,)


@pytest.mark.parametrize("offset", [*range(-10, -1), *range(2, 11)])
def test_the_skew_of_a_clock_is_told(offset: int) -> None:
    """A code of up to ten counters away tells how far the phone is off, behind as negative."""
    code = code_at(SECRET, SIX, counter_at(NOW, 30) + offset).encode()

    for second in (0, 29):
        assert skew_of(SECRET, SIX, NOW + second, code) == offset * 30


def test_the_skew_is_counted_in_the_parameters_own_period() -> None:
    """With periods of 60 seconds, three counters behind are three minutes."""
    parameters = Parameters(period=60)
    code = code_at(SECRET, parameters, counter_at(NOW, 60) - 3).encode()

    assert skew_of(SECRET, parameters, NOW, code) == -180


@pytest.mark.parametrize("offset", [-11, 11])
def test_no_skew_is_told_beyond_ten_counters(offset: int) -> None:
    """A code of eleven counters away is any wrong code."""
    code = code_at(SECRET, SIX, counter_at(NOW, 30) + offset).encode()

    assert skew_of(SECRET, SIX, NOW, code) is None


@pytest.mark.requirement("R-58")
@pytest.mark.parametrize(("low", "high", "code"), TOTP["adjacent_equal_codes_sha1_6"])
def test_the_nearest_of_two_equal_codes_tells_the_skew(low: int, high: int, code: str) -> None:
    """If two counters around have the code, the nearer one is taken for the phone's."""
    assert skew_of(SECRET, SIX, (low - 3) * 30, code.encode()) == 90
    assert skew_of(SECRET, SIX, (high + 3) * 30, code.encode()) == -90


@pytest.mark.parametrize(
    ("told", "computes"),
    [
        (Parameters(algorithm="SHA256"), Parameters()),
        (Parameters(digits=8), Parameters()),
        (Parameters(period=60), Parameters()),
        (Parameters(algorithm="SHA512", digits=8), Parameters(algorithm="SHA512")),
        (Parameters(algorithm="SHA512", digits=8), Parameters(digits=8)),
        (Parameters(algorithm="SHA256", digits=8, period=60), Parameters()),
        (Parameters(algorithm="SHA256", digits=8, period=60), Parameters(period=60)),
    ],
)
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_an_app_that_ignores_parameters_is_recognised(
    told: Parameters, computes: Parameters, offset: int
) -> None:
    """A code that ignores any of algorithm, digits and period is told from a wrong one."""
    code = code_at(SECRET, computes, counter_at(NOW, computes.period) + offset).encode()

    assert is_code_of_other_parameters(SECRET, told, NOW, (1, 1), code)
    assert not is_code_of_other_parameters(SECRET, told, NOW + 600, (1, 1), code)


@pytest.mark.parametrize("parameters", [Parameters(), Parameters(algorithm="SHA256", digits=8)])
def test_an_app_that_obeys_is_not_accused(parameters: Parameters) -> None:
    """The right code of the parameters themselves is not one of others."""
    code = code_at(SECRET, parameters, counter_at(NOW, 30)).encode()

    assert not is_code_of_other_parameters(SECRET, parameters, NOW, (1, 1), code)
