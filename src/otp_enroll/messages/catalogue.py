"""What the library says to people in one language: texts, plurals, numbers, dates, lengths of time.

Catalogues are gettext's. The msgid is a stable code, the msgctxt says what kind of text it is, and
the English catalogue has all of them: it speaks where another one is silent. Everything that
differs between languages is an entry, also digits, direction, calendar and the order of a date.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from gettext import GNUTranslations
from pathlib import Path
from typing import Final, Literal

from typing_extensions import Self

from otp_enroll.messages.catalogue_files import files_of, plural_of
from otp_enroll.messages.solar_hijri import solar_hijri

FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_DIRECTIONAL_ISOLATE: Final = "\u2069"

_DIRECTION_MARKS: Final = dict.fromkeys(
    [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
_UNITS: Final = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))


class Phrase(str):
    """A text from a catalogue that stands inside another one, as it is."""

    __slots__ = ()


Fact = str | int | tuple[str, ...]
"""What fills a text: what somebody else wrote (isolated), a number, several texts, a phrase."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language. Get one by ``of``, which is cheap: each file is read once.

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
        found = files_of(locale, directory)
        return cls(found[0][0].replace("_", "-"), tuple(file for _, file in found))

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """How the language is written, as HTML's ``dir`` wants it."""
        return "rtl" if self.say("form", "direction") == "rtl" else "ltr"

    def say(self, context: str, code: str, **facts: Fact) -> str:
        """Return a text with its facts filled in.

        Text that somebody else wrote stands between U+2068 and U+2069, so that its direction
        cannot turn the sentence around (UAX #9).

        Raises:
            LookupError: No catalogue has the text with these facts.
            TypeError: A fact of a type that no text can show.
        """
        return self._filled(context, code, lambda file: file.pgettext(context, code), facts)

    def count(self, context: str, code: str, n: int, **facts: Fact) -> str:
        """Return a text that counts something, by the plural rule of the language.

        Raises:
            LookupError: No catalogue has the text with these facts.
            TypeError: A fact of a type that no text can show.
        """
        return self._filled(
            context, code, lambda file: plural_of(file, context, code, n), {"n": n, **facts}
        )

    def knows(self, context: str, code: str) -> bool:
        """Tell whether a catalogue has a text of this code, in English at least."""
        return any(
            file.pgettext(context, code) or plural_of(file, context, code, 2)
            for file in self._files
        )

    def _filled(
        self,
        context: str,
        code: str,
        lookup: Callable[[GNUTranslations], str],
        facts: dict[str, Fact],
    ) -> str:
        shown = {name: self._shown(fact) for name, fact in facts.items()}
        for file in self._files:
            try:
                if text := lookup(file):
                    return text.format_map(shown)
            except (KeyError, IndexError, ValueError):
                continue  # A text that asks for what it does not get is worse than an English one.
        raise LookupError(f"no catalogue has {context}/{code} with {sorted(facts)}")

    def _shown(self, fact: Fact) -> str:
        match fact:
            case Phrase():
                return fact
            case str():
                inner = fact.translate(_DIRECTION_MARKS)
                return f"{FIRST_STRONG_ISOLATE}{inner}{POP_DIRECTIONAL_ISOLATE}"
            case bool():
                raise TypeError("a fact must be a str, an int or a tuple of str")
            case int():
                return self.number(fact)
            case tuple():
                return self.say("form", "list").join(map(self._shown, fact))
            case _:
                raise TypeError("a fact must be a str, an int or a tuple of str")

    def number(self, n: int) -> str:
        """Write a number in the digits of the language."""
        return self._digits(str(n))

    def _digits(self, text: str) -> str:
        return text.translate(str.maketrans("0123456789", self.say("form", "digits")))

    def date(self, day: datetime) -> str:
        """Write the day of a time, in UTC and by the calendar of the language.

        Raises:
            TypeError: Not a datetime.
            ValueError: Not an aware one.
        """
        utc = _utc(day)
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
        unit, n = _in_one_unit(seconds)
        return self.count("unit", unit, n)

    def when(self, moment: datetime, now: datetime | None = None) -> str:
        """Write when something will be: "in 4 minutes", or "on … at … (UTC)" without ``now``.

        Raises:
            TypeError: Not a datetime.
            ValueError: Not an aware one.
        """
        if now is not None:
            left = _utc(moment) - _utc(now)
            if left <= timedelta():
                return self.say("unit", "now")
            unit, n = _in_one_unit(-(-left // timedelta(seconds=1)))
            return self.count("unit", f"in_{unit}", n)
        utc = _utc(moment) + timedelta(seconds=59)  # nobody comes back before the time
        return self.say(
            "unit",
            "at",
            date=Phrase(self.date(utc)),
            hour=Phrase(self._digits(f"{utc.hour:02}")),
            minute=Phrase(self._digits(f"{utc.minute:02}")),
        )


def _in_one_unit(seconds: int) -> tuple[str, int]:
    """Choose the largest unit of which there are two, or that fits exactly, and round up."""
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise TypeError("seconds must be an int")
    if seconds < 0:
        raise ValueError("seconds must not be negative")
    name, length = next(
        (name, length) for name, length in _UNITS if seconds >= 2 * length or length in (seconds, 1)
    )
    return name, -(-seconds // length)


def _utc(moment: datetime) -> datetime:
    if not isinstance(moment, datetime):
        raise TypeError("a time must be a datetime")
    if moment.utcoffset() is None:
        raise ValueError("a time must be aware: give it a time zone")
    return moment.astimezone(timezone.utc)
