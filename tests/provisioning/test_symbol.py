"""The modules of a QR code: those of segno, with the mask that the standard prefers."""

from __future__ import annotations

import pickle
import random
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from otp_enroll.core.redacted import Redacted
from otp_enroll.provisioning import symbol
from otp_enroll.provisioning.symbol import Level, Symbol

KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%.-_~"

Rows = Sequence[str]


def uri_of(length: int) -> bytes:
    """Return a URI of a length, the same in every run."""
    drawn = random.Random(length)  # noqa: S311  # no secret, and the same in every run
    start = f"otpauth://totp/Exir:sara?secret={KEY}&issuer="
    return (start + "".join(drawn.choices(LETTERS, k=length - len(start)))).encode()


def rows_of(text: bytes, level: Level) -> Rows:
    return Symbol(Redacted(text), level).rows()


def rows_of_segno(text: bytes, level: Level, mask: int | None = None) -> Rows:
    """Return the rows of the symbol that segno makes, with its own mask unless one is given."""
    code = segno.make(text, error=level, mode="byte", micro=False, boost_error=False, mask=mask)
    return ["".join("01"[module] for module in row) for row in code.matrix]


def penalty_of(rows: Rows) -> int:
    """Add up the points of ISO/IEC 18004 §7.8.3 as they are written there, line by line."""
    side = len(rows)
    points = 0
    for line in [*rows, *map("".join, zip(*rows, strict=True))]:
        points += sum(len(run) - 2 for run in re.findall("0{5,}|1{5,}", line))
        framed = f"0000{line}0000"  # the quiet zone
        points += 40 * sum(
            "0000" in (framed[at - 4 : at], framed[at + 7 : at + 11])
            for at in range(4, side - 2)
            if framed[at : at + 7] == "1011101"
        )
    points += 3 * sum(
        len({rows[y][x], rows[y][x + 1], rows[y + 1][x], rows[y + 1][x + 1]}) == 1
        for x, y in product(range(side - 1), repeat=2)
    )
    percent = 100 * "".join(rows).count("1") / side**2
    return points + 10 * int(abs(percent - 50) / 5)


@pytest.mark.requirement("R-30")
@pytest.mark.parametrize(
    ("length", "level"), [(82, "l"), (90, "m"), (124, "m"), (213, "m"), (214, "l"), (271, "l")]
)
def test_a_symbol_is_that_of_segno_with_the_best_mask(length: int, level: Level) -> None:
    """Module for module it is one of the eight symbols of its text, and none of them is better."""
    text = uri_of(length)
    eight = [rows_of_segno(text, level, mask) for mask in range(8)]
    rows = rows_of(text, level)

    assert rows in eight
    assert penalty_of(rows) == min(map(penalty_of, eight))


@pytest.mark.requirement("R-30")
@pytest.mark.parametrize("level", ["l", "m"])
def test_no_mask_is_worse_than_that_of_segno(level: Level) -> None:
    """Of thirty lengths at each level, none gets a symbol with more points than segno gives it."""
    for length in range(83, 533, 15):
        text = uri_of(length)
        assert penalty_of(rows_of(text, level)) <= penalty_of(rows_of_segno(text, level))


@pytest.mark.requirement("R-30")
@pytest.mark.parametrize(("length", "level", "version"), [(2331, "m", 40), (2953, "l", 40)])
def test_the_largest_symbol_is_one_of_segnos(length: int, level: Level, version: int) -> None:
    """The longest text at each level has the largest symbol, in one of its eight forms."""
    text = uri_of(length)
    made = Symbol(Redacted(text), level)

    assert (made.version, made.side) == (version, 177)
    assert made.rows() in [rows_of_segno(text, level, mask) for mask in range(8)]


lines = st.one_of(
    st.integers(0, 2**21 - 1).map(lambda bits: f"{bits:021b}"),
    st.lists(st.sampled_from(["1011101", "0000", "11111", "00000", "1", "0"]), min_size=21).map(
        lambda parts: "".join(parts)[:21]
    ),
)


@given(st.lists(lines, min_size=21, max_size=21))
def test_the_points_are_those_of_the_standard(rows: list[str]) -> None:
    """On numbers the four rules give what they give module by module, at every edge too."""
    matrix = [bytes(map(int, row)) for row in rows]

    counted = symbol._penalty(symbol._number_both(matrix), symbol._size(21))

    assert counted == penalty_of(rows)


@pytest.mark.parametrize(
    ("rows", "points"),
    [
        (["0" * 21] * 21, 42 * 19 + 3 * 400 + 100),
        (["1" * 21] * 21, 42 * 19 + 3 * 400 + 100),
        (["01" * 10 + "0", "10" * 10 + "1"] * 10 + ["01" * 10 + "0"], 0),
    ],
    ids=["light", "dark", "chequered"],
)
def test_points_that_are_easy_to_count(rows: list[str], points: int) -> None:
    """A field of one colour is nothing but runs and blocks, and a chequered one has neither."""
    matrix = [bytes(map(int, row)) for row in rows]

    assert symbol._penalty(symbol._number_both(matrix), symbol._size(21)) == points


def test_threads_that_draw_at_once_draw_the_same() -> None:
    """What is made once is right too when many threads are the first that need it."""
    symbol._masks.cache_clear()
    symbol._size.cache_clear()
    text = uri_of(124)
    with ThreadPoolExecutor(8) as pool:
        drawn = list(pool.map(lambda _: rows_of(text, "m"), range(16)))

    assert all(rows == drawn[0] for rows in drawn)
    assert drawn[0] in [rows_of_segno(text, "m", mask) for mask in range(8)]


@pytest.mark.requirement("R-25")
def test_a_symbol_is_redacted() -> None:
    """Neither repr nor a pickle gives the modules away, since they can be read."""
    made = Symbol(Redacted(uri_of(124)), "m")

    assert "01" not in re.sub("0x[0-9a-f]+", "", repr(made))
    with pytest.raises(TypeError, match=r"^Symbol holds a secret and is not pickled$"):
        pickle.dumps(made)
