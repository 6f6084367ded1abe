"""Dates of the Solar Hijri calendar: New Year's Days, lengths of months, and no day left out."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_enroll.messages.solar_hijri import solar_hijri


@pytest.mark.parametrize(
    ("year", "first_day"),
    [
        (1304, date(1925, 3, 21)),
        (1349, date(1970, 3, 21)),
        (1358, date(1979, 3, 21)),
        (1375, date(1996, 3, 20)),
        (1379, date(2000, 3, 20)),
        (1380, date(2001, 3, 21)),
        (1399, date(2020, 3, 20)),
        (1400, date(2021, 3, 21)),
        (1403, date(2024, 3, 20)),
        (1404, date(2025, 3, 21)),
        (1405, date(2026, 3, 21)),
        (1408, date(2029, 3, 20)),
        (1409, date(2030, 3, 21)),
    ],
)
def test_new_year_is_where_the_almanac_has_it(year: int, first_day: date) -> None:
    """1 Farvardin is the day of the published calendars, and the day before is in Esfand."""
    assert (year, 1, 1) == solar_hijri(first_day)
    assert (year - 1, 12) == solar_hijri(first_day - timedelta(days=1))[:2]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(1979, 2, 11), (1357, 11, 22)),
        (date(2025, 3, 20), (1403, 12, 30)),
        (date(2026, 9, 22), (1405, 6, 31)),
        (date(2026, 9, 23), (1405, 7, 1)),
        (date(2026, 11, 23), (1405, 9, 2)),
    ],
)
def test_days_within_a_year(day: date, expected: tuple[int, int, int]) -> None:
    """Six months have 31 days and those after them 30; Esfand has a 30th in a leap year."""
    assert expected == solar_hijri(day)


def test_leap_years_are_those_of_the_33_year_rule() -> None:
    """From 1178 to 1501, where the rule is the calendar, Esfand has 30 days by the rule."""
    first, last = date(1799, 3, 21), date(2124, 3, 20)
    days = (solar_hijri(date.fromordinal(n)) for n in range(first.toordinal(), last.toordinal()))
    leap = [year for year, month, day in days if (month, day) == (12, 30)]

    assert leap == [year for year in range(1178, 1502) if (25 * year + 11) % 33 < 8]


@given(st.dates(max_value=date(9999, 12, 30)))
def test_the_next_day_is_the_next_day(day: date) -> None:
    """Each day is followed by the next one of its month, or by the first of the next month."""
    year, month, number = solar_hijri(day)
    lengths = {31} if month <= 6 else {30} if month < 12 else {29, 30}
    following = {(year, month, number + 1)}
    if number in lengths:
        following.add((year + month // 12, month % 12 + 1, 1))
    if number >= max(lengths):
        following.discard((year, month, number + 1))

    assert solar_hijri(day + timedelta(days=1)) in following
