"""What the library says to people in one language: texts, plurals, numbers, dates, lengths of time.

Catalogues are gettext's. The msgid is a stable code, the msgctxt says what kind of text it is, and
the English catalogue has all of them: it speaks where another one is silent. Everything that
differs between languages is an entry, also digits, direction, calendar and the order of a date.
So a translator can add a language without a line of code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from gettext import GNUTranslations
from pathlib import Path
from typing import Final, Literal

from typing_extensions import Self

from otp_enroll.messages.catalogue_files import find_files, find_plural
from otp_enroll.messages.solar_hijri import solar_hijri

FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_DIRECTIONAL_ISOLATE: Final = "\u2069"

# A name with an unmatched override would turn the rest of the sentence around, so that a mail
# reads the other way than it was written (Trojan Source, CVE-2021-42574, is the same trick).
_DIRECTION_MARKS: Final = dict.fromkeys(
    [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
# No weeks or months, whose names and lengths differ more than these.
_UNITS: Final = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


class Phrase(str):
    """A text from a catalogue that stands inside another one, as it is.

    Its type sets it apart from what a user chose, which is put between isolates.
    """

    __slots__ = ()


Value = str | int | tuple[str, ...]
"""What fills a text: what somebody else wrote (isolated), a number, several texts, a phrase."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language. Get one by ``of``, which is cheap: a process reads each file once.

    It is asked for its entries in order: the app's file, the library's, and the library's English,
    which has them all. A missing translation is therefore a sentence in English, never a code.

    Attributes:
        locale: The language as HTML's ``lang`` wants it: ``"fa"``, ``"pt-BR"``.
    """

    locale: str
    _files: tuple[GNUTranslations, ...] = field(repr=False, compare=False)

    @classmethod
    def of(cls, locale: str, directory: Path | None = None) -> Self:
        """Return the catalogue of a language, or the English one where there is none.

        Args:
            locale: ``"fa"``, ``"fa-IR"``, ``"fa_IR.UTF-8"``, or whatever a browser sends.
            directory: Where the app keeps catalogues of its own,
                ``LANGUAGE/LC_MESSAGES/otp_enroll.mo``. They come before the library's.

        Raises:
            TypeError: A wrong type.
        """
        if not isinstance(locale, str):
            raise TypeError("locale must be a str")
        if directory is not None and not isinstance(directory, Path):
            raise TypeError("catalogues must be a Path or None")
        found = find_files(locale, directory)
        return cls(found[0][0].replace("_", "-"), tuple(file for _, file in found))

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """How the language is written, as HTML's ``dir`` wants it."""
        # Compared, not returned: what a translator wrote here goes into an attribute of a page.
        return "rtl" if self.say("form", "direction") == "rtl" else "ltr"

    def say(self, context: str, code: str, **values: Value) -> str:
        """Return a text with its values filled in.

        Text that somebody else wrote is put between U+2068 and U+2069, so that its direction
        cannot turn the sentence around (UAX #9).

        Args:
            context: The kind of text: ``"error"``, ``"event"``, ``"sheet"``.
            code: Which one.
            values: What fills it.

        Raises:
            LookupError: No catalogue has the text with these values.
            TypeError: A value of a type that no text can show.
        """
        return self._fill(context, code, lambda file: file.pgettext(context, code), values)

    def count(self, context: str, code: str, n: int, **values: Value) -> str:
        """Return a text that counts something, by the plural rule of the language.

        Args:
            context: The kind of text.
            code: Which one.
            n: How many; the text may also show it, as ``{n}``.
            values: What else fills it.

        Raises:
            LookupError: No catalogue has the text with these values.
            TypeError: A value of a type that no text can show.
        """
        return self._fill(
            context, code, lambda file: find_plural(file, context, code, n), {"n": n, **values}
        )

    def knows(self, context: str, code: str) -> bool:
        """Return whether there is a text of this code, at least in English."""
        return any(
            file.pgettext(context, code) or find_plural(file, context, code, 2)
            for file in self._files
        )

    def _fill(
        self,
        context: str,
        code: str,
        lookup: Callable[[GNUTranslations], str],
        values: dict[str, Value],
    ) -> str:
        """Look a text up in one file after the other, and fill it.

        Raises:
            LookupError: No catalogue has the text with these values.
        """
        shown = {name: self._show(value) for name, value in values.items()}
        for file in self._files:
            # Tried, not checked beforehand: a file of the app's may be older than the library.
            try:
                if text := lookup(file):
                    return text.format_map(shown)
            except (KeyError, IndexError, ValueError):
                continue  # A text that asks for what it does not get is worse than an English one.
        raise LookupError(f"no catalogue has {context}/{code} with {sorted(values)}")

    def _show(self, value: Value) -> str:
        """Write a value as its type says: a phrase as it is, a text isolated, a number."""
        match value:
            case Phrase():
                return value
            case str():
                inner = value.translate(_DIRECTION_MARKS)
                return f"{FIRST_STRONG_ISOLATE}{inner}{POP_DIRECTIONAL_ISOLATE}"
            case bool():  # an int in Python, and "1" in no sentence
                raise TypeError("a value must be a str, an int or a tuple of str")
            case int():
                return self.number(value)
            case tuple():
                return self.say("form", "list").join(map(self._show, value))
            case _:
                raise TypeError("a value must be a str, an int or a tuple of str")

    def number(self, n: int) -> str:
        """Write a number in the digits of the language."""
        return self._write_digits(str(n))

    def _write_digits(self, text: str) -> str:
        return text.translate(str.maketrans("0123456789", self.say("form", "digits")))

    def date(self, day: datetime) -> str:
        """Write the day of a time, in UTC and by the calendar of the language.

        Raises:
            TypeError: Not a datetime.
            ValueError: Not an aware one.
        """
        utc = _to_utc(day)
        year, month, number = utc.year, utc.month, utc.day
        if self.say("form", "calendar") == "solar hijri":
            year, month, number = solar_hijri(utc)
        name = Phrase(self.say("form", f"month.{month}"))
        return self.say("form", "date", year=year, month=name, day=number)

    def duration(self, seconds: int) -> str:
        """Write a length of time in one unit, rounded up: "30 seconds", "2 hours".

        Raises:
            TypeError: Not an int.
            ValueError: Below zero.
        """
        unit, n = _choose_unit(seconds)
        return self.count("unit", unit, n)

    def when(self, moment: datetime, now: datetime | None = None) -> str:
        """Write when something will happen: "in 4 minutes", or "on … at … (UTC)" without ``now``.

        Both are rounded up: a user who comes back a second too early is refused again.

        Args:
            moment: When.
            now: The present time. A page has one; a mail is read at another time than it was sent.

        Raises:
            TypeError: Not a datetime.
            ValueError: Not an aware one.
        """
        if now is not None:
            left = _to_utc(moment) - _to_utc(now)
            if left <= timedelta():
                return self.say("unit", "now")
            unit, n = _choose_unit(-(-left // timedelta(seconds=1)))
            return self.count("unit", f"in_{unit}", n)
        utc = _to_utc(moment) + timedelta(seconds=59)  # nobody must come back too early
        return self.say(
            "unit",
            "at",
            date=Phrase(self.date(utc)),
            hour=Phrase(self._write_digits(f"{utc.hour:02}")),
            minute=Phrase(self._write_digits(f"{utc.minute:02}")),
        )


def _choose_unit(seconds: int) -> tuple[str, int]:
    """Choose the largest unit of which there are two, or that fits exactly, and round up.

    So 90 seconds are "90 seconds", since two minutes would be a third too long.

    Raises:
        TypeError: Not an int.
        ValueError: Below zero.
    """
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise TypeError("seconds must be an int")
    if seconds < 0:
        raise ValueError("seconds must not be negative")
    name, length = next(
        (name, length) for name, length in _UNITS if seconds >= 2 * length or length in (seconds, 1)
    )
    return name, -(-seconds // length)


def _to_utc(moment: datetime) -> datetime:
    """Return a time in UTC.

    Raises:
        TypeError: Not a datetime.
        ValueError: Not an aware one: Python would take it for the server's local time.
    """
    if not isinstance(moment, datetime):
        raise TypeError("a time must be a datetime")
    if moment.utcoffset() is None:
        raise ValueError("a time must be aware: give it a time zone")
    return moment.astimezone(timezone.utc)
