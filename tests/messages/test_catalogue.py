"""One language: which catalogue speaks, what fills a text, numbers, dates, lengths of time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.catalogue_files import texts_of, write
from otp_enroll.messages.catalogue import Catalogue, Phrase

MOMENT = datetime(2026, 11, 23, 14, 4, 1, tzinfo=timezone.utc)
WRONG = ("error", "wrong_code")
LEFT = ("error", "attempts_left")


@pytest.mark.requirement("R-97")
@pytest.mark.parametrize(
    ("locale", "spoken"),
    [
        ("fa", "fa"),
        ("fa-IR", "fa"),
        ("fa_IR", "fa"),
        ("FA_ir.UTF-8", "fa"),
        ("fa_IR@calendar=persian", "fa"),
        ("en-GB", "en"),
        ("xx", "en"),
        ("", "en"),
        ("fa IR", "en"),
        ("*", "en"),
        ("fa,en;q=0.8", "en"),
        ("fa-" * 100, "en"),
        ("ｆａ", "en"),
    ],
)
def test_a_locale_finds_its_language(locale: str, spoken: str) -> None:
    """A region, a charset and either separator are read over; what is no locale is English."""
    assert spoken == Catalogue.of(locale).locale


@given(st.text() | st.from_regex(r"[a-zA-Z]{2,3}([-_.@/\\][a-zA-Z0-9./\\]{0,9}){0,4}"))
def test_whatever_a_browser_sends_is_a_language(locale: str) -> None:
    """No locale is an error, and each is one of the languages that there are."""
    assert Catalogue.of(locale).locale in {"en", "fa"}


@pytest.mark.parametrize(
    "locale", ["../out", "..", "/{}/out", "in/../../out", "fa/../../out", "a\0"]
)
def test_no_locale_leads_out_of_the_directory(locale: str, tmp_path: Path) -> None:
    """A path in the place of a locale reads no catalogue that stands elsewhere."""
    write(tmp_path, "de", {WRONG: "elsewhere"})
    (tmp_path / "de").rename(tmp_path / "out")
    inside = tmp_path / "in"
    inside.mkdir()

    said = Catalogue.of(locale.format(tmp_path), inside).say(*WRONG)

    assert said != "elsewhere"


def test_a_file_in_the_place_of_a_directory_has_no_catalogue(tmp_path: Path) -> None:
    """A language that is a file, not a folder, is passed over."""
    (tmp_path / "fa").write_text("")

    assert Catalogue.of("fa", tmp_path).locale == "fa"


@pytest.mark.requirement("R-97")
def test_a_third_language_is_a_file_away(tmp_path: Path) -> None:
    """A catalogue of the app's speaks, and the English one where it is silent."""
    german = Catalogue.of("de-AT", write(tmp_path, "de", {WRONG: "Der Code stimmt nicht."}))

    assert german.locale == "de"
    assert german.direction == "ltr"
    assert german.say(*WRONG) == "Der Code stimmt nicht."
    assert german.say("error", "code_rejected") == Catalogue.of("en").say("error", "code_rejected")


def test_the_narrowest_catalogue_comes_first(tmp_path: Path) -> None:
    """A region's texts come before its language's, and the app's before the library's."""
    write(tmp_path, "pt", {WRONG: "pt", LEFT: ("pt {n}", "pt {n}")})
    write(tmp_path, "pt_BR", {WRONG: "pt-BR"})
    write(tmp_path, "fa", {WRONG: "app"})

    brazilian = Catalogue.of("pt-br", tmp_path)
    persian = Catalogue.of("fa", tmp_path)

    assert brazilian.locale == "pt-BR"
    assert brazilian.say(*WRONG) == "pt-BR"
    assert brazilian.count(*LEFT, 1) == "pt 1"  # the forms for more differ from CLDR to CLDR
    assert persian.say(*WRONG) == "app"
    assert persian.say("form", "direction") == "rtl"


def test_the_app_may_word_english_in_its_own_way(tmp_path: Path) -> None:
    """A text of the app's in English is said to those whose language is silent, too."""
    write(tmp_path, "en", {WRONG: "Nope."})
    write(tmp_path, "de", {})

    assert Catalogue.of("de", tmp_path).say(*WRONG) == "Nope."


def test_a_file_is_read_once(tmp_path: Path) -> None:
    """A process says what it read first, whatever becomes of the file: no text needs the disk."""
    write(tmp_path, "de", {WRONG: "alt"})
    before = Catalogue.of("de", tmp_path)
    (tmp_path / "de" / "LC_MESSAGES" / "otp_enroll.mo").unlink()

    assert Catalogue.of("de", tmp_path).say(*WRONG) == before.say(*WRONG) == "alt"


def test_a_relative_directory_is_that_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two directories of one relative name are two directories."""
    said = []
    for name in ("here", "there"):
        write(tmp_path / name / "locale", "de", {WRONG: name})
        monkeypatch.chdir(tmp_path / name)
        said.append(Catalogue.of("de", Path("locale")).say(*WRONG))

    assert said == ["here", "there"]


@pytest.mark.parametrize("text", ["{left} left", "{} left", "{0} left", "{n", "{n:%Q}", "{n!z}"])
def test_a_text_that_cannot_be_filled_is_not_said(text: str, tmp_path: Path) -> None:
    """A slip in a catalogue makes the sentence English, and no page falls over it."""
    slip = Catalogue.of("de", write(tmp_path, "de", {LEFT: (text, text)}))

    assert slip.count(*LEFT, 3) == "3 tries are left."


def test_a_plural_that_was_left_empty_is_not_said(tmp_path: Path) -> None:
    """Babel builds an untranslated plural form as the code; nobody is shown a code."""
    empty = Catalogue.of("de", write(tmp_path, "de", {LEFT: ("", "")}))

    assert empty.count(*LEFT, 3) == "3 tries are left."


def test_a_text_may_be_its_code(tmp_path: Path) -> None:
    """What a translator wrote is said, also where it is spelt as the code is."""
    french = Catalogue.of("fr", write(tmp_path, "fr", {("error", "storage"): "storage"}))

    assert french.say("error", "storage") == "storage"
    assert french.knows("error", "storage")


def test_the_plural_rule_is_that_of_the_catalogue(tmp_path: Path) -> None:
    """Polish has three forms, which its header tells apart."""
    polish = Catalogue.of("pl", write(tmp_path, "pl", {LEFT: ("one {n}", "few {n}", "many {n}")}))

    said = [polish.count(*LEFT, n) for n in (1, 2, 5, 22)]

    assert said == ["one 1", "few 2", "many 5", "few 22"]


def test_a_text_that_nobody_has_is_an_error() -> None:
    """An unknown code, a missing value or a plural asked for as a text is a LookupError."""
    english = Catalogue.of("en")

    with pytest.raises(LookupError, match="error/nonsense"):
        english.say("error", "nonsense")
    with pytest.raises(LookupError, match="retry_at"):
        english.say("error", "retry_at")
    with pytest.raises(LookupError, match="wrong_code"):
        english.count(*WRONG, 3)
    assert [english.knows("error", code) for code in ("wrong_code", "locked", "nonsense")] == [
        True,
        True,
        False,
    ]


@pytest.mark.requirement("R-86")
@pytest.mark.parametrize("locale", ["en", "fa"])
def test_what_somebody_else_wrote_is_isolated(locale: str) -> None:
    """A name stands between isolates, and its own direction marks are gone."""
    said = Catalogue.of(locale).say(
        "error", "ambiguous_authenticator", names=("גוגל", "a\u202eb\u2069c\u200f", "{n}")
    )

    separator = {"en": ", ", "fa": "، "}[locale]
    assert separator.join(["\u2068גוגל\u2069", "\u2068abc\u2069", "\u2068{n}\u2069"]) in said


def test_a_phrase_stands_as_it_is() -> None:
    """A text of a catalogue within another one is not isolated."""
    said = Catalogue.of("en").say("error", "retry_at", when=Phrase("in 4 minutes"))

    assert said == "You can try again in 4 minutes."


@pytest.mark.parametrize("value", [True, 1.5, None, b"x", ["x"], (1.5,)])
def test_other_values_are_a_mistake(value: Any) -> None:
    """A value is a text, a number or several texts; anything else is a TypeError."""
    with pytest.raises(TypeError, match="a value must be"):
        Catalogue.of("en").say("error", "retry_at", when=value)


@pytest.mark.requirement("R-87")
def test_numbers_have_the_digits_of_the_language() -> None:
    """A number is written in Persian digits for Persian, and no sign is lost."""
    assert Catalogue.of("fa").number(1234567890) == "۱۲۳۴۵۶۷۸۹۰"
    assert Catalogue.of("en").number(1234567890) == "1234567890"


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("en", "23 November 2026"), ("fa", "۲ آذر ۱۴۰۵"), ("xx", "23 November 2026")],
)
def test_a_date_is_one_of_the_language_in_utc(locale: str, expected: str) -> None:
    """Order, names, digits and calendar are the language's; the day is that of UTC."""
    tehran = timezone(timedelta(hours=3, minutes=30))
    late = datetime(2026, 11, 24, 3, 0, tzinfo=tehran)

    assert expected == Catalogue.of(locale).date(late)


def test_the_order_of_a_date_is_an_entry(tmp_path: Path) -> None:
    """A catalogue writes dates in its own order, with its own names."""
    form: Any = {("form", "date"): "{year}. {month} {day}.", ("form", "month.11"): "november"}

    assert Catalogue.of("hu", write(tmp_path, "hu", form)).date(MOMENT) == "2026. november 23."


@pytest.mark.parametrize(
    ("seconds", "english", "persian"),
    [
        (0, "0 seconds", "۰ ثانیه"),
        (1, "1 second", "۱ ثانیه"),
        (30, "30 seconds", "۳۰ ثانیه"),
        (60, "1 minute", "۱ دقیقه"),
        (119, "119 seconds", "۱۱۹ ثانیه"),
        (120, "2 minutes", "۲ دقیقه"),
        (121, "3 minutes", "۳ دقیقه"),
        (3600, "1 hour", "۱ ساعت"),
        (7199, "120 minutes", "۱۲۰ دقیقه"),
        (7201, "3 hours", "۳ ساعت"),
        (86_400, "1 day", "۱ روز"),
        (172_801, "3 days", "۳ روز"),
    ],
)
def test_a_length_of_time_has_one_unit(seconds: int, english: str, persian: str) -> None:
    """The unit is the largest of which there are two, or that fits; the number is rounded up."""
    assert english == Catalogue.of("en").duration(seconds)
    assert persian == Catalogue.of("fa").duration(seconds)


@given(st.integers(0, 10**9))
def test_a_length_of_time_is_never_too_short(seconds: int) -> None:
    """Who waits for as long as it says has waited long enough, and less than a unit more."""
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
    number, unit = Catalogue.of("en").duration(seconds).split()
    length = units[unit.removesuffix("s")]

    assert seconds <= int(number) * length < seconds + length


@pytest.mark.parametrize(
    ("left", "english", "persian"),
    [
        (timedelta(minutes=3, seconds=1), "in 4 minutes", "پس از ۴ دقیقه"),
        (timedelta(milliseconds=1), "in 1 second", "پس از ۱ ثانیه"),
        (timedelta(hours=1), "in 1 hour", "پس از ۱ ساعت"),
        (timedelta(days=2), "in 2 days", "پس از ۲ روز"),
        (timedelta(), "now", "هم‌اکنون"),
        (timedelta(hours=-1), "now", "هم‌اکنون"),
    ],
)
def test_with_the_present_time_a_time_is_a_length(
    left: timedelta, english: str, persian: str
) -> None:
    """What is to come is so long from now, rounded up, and what is past is now."""
    assert english == Catalogue.of("en").when(MOMENT + left, MOMENT)
    assert persian == Catalogue.of("fa").when(MOMENT + left, MOMENT)


@pytest.mark.parametrize(
    ("moment", "english", "persian"),
    [
        (
            MOMENT,
            "on 23 November 2026 at 14:05 (UTC)",
            "در ۲ آذر ۱۴۰۵، ساعت ۱۴:۰۵ (به وقت جهانی)",
        ),
        (
            datetime(2026, 11, 23, 23, 59, 30, tzinfo=timezone.utc),
            "on 24 November 2026 at 00:00 (UTC)",
            "در ۳ آذر ۱۴۰۵، ساعت ۰۰:۰۰ (به وقت جهانی)",
        ),
        (
            datetime(2026, 11, 24, 3, 0, tzinfo=timezone(timedelta(hours=3, minutes=30))),
            "on 23 November 2026 at 23:30 (UTC)",
            "در ۲ آذر ۱۴۰۵، ساعت ۲۳:۳۰ (به وقت جهانی)",
        ),
    ],
)
def test_without_the_present_time_a_time_is_in_utc(
    moment: datetime, english: str, persian: str
) -> None:
    """The minute is rounded up, so that nobody comes back too early."""
    assert english == Catalogue.of("en").when(moment)
    assert persian == Catalogue.of("fa").when(moment)


def test_naive_times_and_wrong_types_are_mistakes() -> None:
    """A time without a zone is a ValueError; what is no time, number, text or path, a TypeError."""
    english = Catalogue.of("en")
    anything: Any = english
    kind: Any = Catalogue
    naive = MOMENT.replace(tzinfo=None)

    impossible: list[Callable[[], object]] = [
        lambda: english.date(naive),
        lambda: english.when(naive),
        lambda: english.when(MOMENT, naive),
        lambda: english.duration(-1),
    ]
    wrong: list[Callable[[], object]] = [
        lambda: anything.date("2026-11-23"),
        lambda: anything.duration(1.5),
        lambda: anything.duration(seconds=True),
        lambda: kind.of(None),
        lambda: kind.of(b"fa"),
        lambda: kind.of("fa", "locale"),
    ]

    for act in impossible:
        with pytest.raises(ValueError, match=r"aware|negative"):
            act()
    for act in wrong:
        with pytest.raises(TypeError, match="must be"):
            act()


def test_a_catalogue_is_a_value() -> None:
    """Two catalogues of one language are equal and print as their language."""
    assert Catalogue.of("fa") == Catalogue.of("fa-IR") != Catalogue.of("en")
    assert repr(Catalogue.of("fa")) == "Catalogue(locale='fa')"


@pytest.mark.parametrize("locale", ["en", "fa"])
def test_the_form_of_a_language_is_whole(locale: str) -> None:
    """Ten digits, a direction, a calendar and twelve months that differ stand in a catalogue."""
    form: Any = {
        code: text for (context, code), text in texts_of(locale).items() if context == "form"
    }

    assert re.fullmatch(r"\d{10}", form["digits"])
    assert [int(digit) for digit in form["digits"]] == [*range(10)]
    assert form["direction"] == Catalogue.of(locale).direction == {"en": "ltr", "fa": "rtl"}[locale]
    assert form["calendar"] in {"gregorian", "solar hijri"}
    assert len({form[f"month.{n}"] for n in range(1, 13)}) == 12
