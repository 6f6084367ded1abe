"""Dates of the Solar Hijri calendar, which Iran writes; months are named by the catalogue."""

from __future__ import annotations

from datetime import date
from typing import Final

_CYCLE: Final = 12_053
"""Days in 33 years, of which eight are leap years: exact until 2124, then a day off at times."""


def _days_before(year: int) -> int:
    return 365 * year + (8 * year + 21) // 33


_EPOCH: Final = date(2024, 3, 20).toordinal() - _days_before(1403)


def solar_hijri(day: date) -> tuple[int, int, int]:
    """Return the year, the month from 1 and the day from 1 of a Gregorian date."""
    days = day.toordinal() - _EPOCH
    year = days * 33 // _CYCLE + 1
    while _days_before(year) > days:
        year -= 1
    passed = days - _days_before(year)
    if passed < 6 * 31:
        return year, passed // 31 + 1, passed % 31 + 1
    passed -= 6 * 31
    return year, passed // 30 + 7, passed % 30 + 1
