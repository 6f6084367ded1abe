"""Dates of the Solar Hijri calendar, which Iran writes; months are named by the catalogue.

A year is leap if (25 * year + 11) % 33 < 8, eight years out of 33: the rule of Unicode's ICU and
ICU4X. The calendar itself follows the vernal equinox at 52.5° E. From 1178 to 1501, until March
2124, the rule agrees with it, and with the leap years that the Center for Calendar of the
University of Tehran publishes (1206 to 1498). After that it is a day off in some years.
"""

from __future__ import annotations

from datetime import date
from typing import Final

_DAYS_PER_CYCLE: Final = 33 * 365 + 8
_DAYS_PER_HALF: Final = 6 * 31
"""Six months have 31 days; those after them 30, and the last 29 unless the year is leap."""


def _days_before(year: int) -> int:
    """Count the days before a year; a leap year has one more, at its end."""
    return 365 * year + (8 * year + 21) // 33


# 1 Farvardin 1403, a day that every printed calendar has; the others are counted from it.
_EPOCH: Final = date(2024, 3, 20).toordinal() - _days_before(1403)


def solar_hijri(day: date) -> tuple[int, int, int]:
    """Return the year, the month from 1 and the day from 1 of a Gregorian date.

    Args:
        day: A Gregorian date; of a datetime the date counts, in its own zone.
    """
    days = day.toordinal() - _EPOCH
    year = days * 33 // _DAYS_PER_CYCLE + 1  # right, or one too many
    while _days_before(year) > days:
        year -= 1
    passed = days - _days_before(year)
    if passed < _DAYS_PER_HALF:
        return year, passed // 31 + 1, passed % 31 + 1
    passed -= _DAYS_PER_HALF
    return year, passed // 30 + 7, passed % 30 + 1
