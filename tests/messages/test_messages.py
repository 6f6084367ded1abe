"""Texts for people: one for every class, the same values in each language, no dead entry."""

from __future__ import annotations

import gettext
import io
import re
import string
import typing
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

import pytest
from babel.messages.mofile import write_mo

from helpers.catalogue_files import LANGUAGES, OURS, Texts, read, texts_of, write
from otp_enroll import AttemptBudget, Policy, errors, events
from otp_enroll.messages import Catalogue, duration, how_to_get_back_in, text
from otp_enroll.provisioning import uri
from otp_enroll.provisioning.uri import ProvisioningWarning

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=timezone.utc)
SOON = NOW + timedelta(minutes=4)
REASONS = (
    *("none", "used", "replaced", "too old"),
    *("other user", "other purpose", "recovery code"),
)
ON_ANDROID = ("Google Authenticator on Android", "2FAS on Android")
ISOLATED = re.compile("\u2068[^\u2069]*\u2069")


def kinds_below(root: type[Any]) -> set[type[Any]]:
    """Walk the classes of a tree that stand in the file of its root."""
    by_name = {root.__name__: root}
    for kind in root.__subclasses__():
        # A dataclass with slots leaves the class behind that it was made from; the later one is it.
        by_name |= {below.__name__: below for below in kinds_below(kind)}
    return {kind for kind in by_name.values() if kind.__module__ == root.__module__}


ERRORS = kinds_below(errors.EnrollmentError)
EVENTS = kinds_below(events.Event)


def without_text(kinds: Iterable[Any], context: str, texts: Texts) -> list[str]:
    """Name the classes whose code has no text."""
    return [kind.__name__ for kind in kinds if not texts.get((context, kind.code))]


def happened(kind: type[events.Event], name: str | None = None, **details: Any) -> events.Event:
    """Make an event with everything in it that no notice may show."""
    return kind(
        time=NOW,
        user_id="(user)",
        authenticator=name,
        authenticator_id="(id)",
        purpose="(purpose)",
        actor="(actor)",
        context={"ip": "(ip)"},
        **details,
    )


def all_errors() -> Iterator[errors.EnrollmentError]:
    """Make every error, with every fact that changes its text."""
    facts: dict[type, list[tuple[Any, ...]]] = {
        errors.ProofRequiredError: [(reason,) for reason in REASONS],
        errors.AmbiguousAuthenticatorError: [(("Phone", "גוגל"),)],
        errors.NameTakenError: [(("Phone", "גוגל"),)],
        errors.BackupRequiredError: [("acknowledged",), ("checked",)],
        errors.MalformedCodeError: [
            (),
            ("code", 1),
            ("code", 6),
            ("either", 1),
            ("either", 6),
            ("recovery_code",),
            ("either", 6, True),
            ("key",),
        ],
        errors.CodeReusedError: [("code",), ("recovery_code",)],
        errors.WrongCodeError: [
            (),
            ("code", 3),
            ("code", 1),
            ("code", 0, SOON),
            ("code", 0),
            ("recovery_code", 4),
            ("recovery_code", 0, SOON),
        ],
        errors.ClockSkewError: [(-170, 4), (170, 4), (0, 4)],
        errors.TooManyAttemptsError: [("code", SOON), ("recovery_code", SOON)],
        errors.LockedError: [(3,), (1,), (0,)],
        errors.StoreContentionError: [(), (NOW + timedelta(seconds=1),)],
        errors.TransitionBrokenError: [("(verb)", "(phase)")],
        errors.AdapterError: [("(fault)",)],
        errors.RecordTooNewError: [(77,)],
        errors.CorruptRecordError: [("(fault)",)],
    }
    for kind in ERRORS:
        yield from (kind(*arguments) for arguments in facts.get(kind, [()]))


def all_events() -> Iterator[events.Event]:
    """Make every event, with every fact that changes its text."""
    both = [{"method": "code"}, {"method": "recovery_code"}]
    left = [{"left": 0}, {"left": 1}, {"left": 2}]
    facts: dict[type, list[dict[str, Any]]] = {
        events.SetupBegun: [{"replaces": False}, {"replaces": True}],
        events.KeyCopyChecked: [{"matches": True}, {"matches": False}],
        events.AuthenticatorConfirmed: [
            {"backup": "none", "first": True},
            {"backup": "none", "first": False},
        ],
        events.AuthenticatorReplaced: [{"replaced_id": "(id)"}],
        events.AuthenticatorRenamed: [{"old_name": "Old phone"}, {"old_name": "default"}],
        events.CodeRejected: both,
        events.CodeReused: both,
        events.Throttled: [
            {"method": "code", "retry_at": None},
            {"method": "code", "retry_at": SOON},
        ],
        events.ManyFailures: [{"failures": 80}, {"failures": 1}],
        events.RecoveryCodesIssued: [{"count": 10}, {"count": 1}],
        events.RecoveryCodeUsed: left,
        events.RecoveryCodesLow: left,
        events.OverrideUsed: [{"verb": "(verb)", "reason": "(reason)"}],
        events.EnrollmentDisabled: [{"names": ("default",)}, {"names": ("Phone", "Tablet")}],
    }
    for kind in EVENTS:
        for details in facts.get(kind, [{}]):
            yield happened(kind, **details)
            yield happened(kind, "Phone", **details)


def all_warnings() -> Iterator[ProvisioningWarning]:
    """Make every warning, with apps and without."""
    for code in typing.get_args(uri.WarningCode):
        yield ProvisioningWarning(code=code)
        yield ProvisioningWarning(code=code, apps=("An app", *ON_ANDROID))


POLICIES = (
    Policy(),
    Policy(backup="acknowledged", recovery_codes=1, max_authenticators=1),
    Policy(backup="checked", digits=8, period=60, algorithm="SHA256"),
    Policy(budget=AttemptBudget(free_attempts=1, first_wait=60, longest_wait=60)),
    Policy(budget=AttemptBudget(free_attempts=10, lock_after=10)),
)


def said(locale: str, catalogues: Path | None = None) -> list[str]:
    """Say everything, with a present time and without, but for the sheets."""
    about: list[Any] = [*all_errors(), *all_events(), *all_warnings()]
    given: Any = {"locale": locale, "catalogues": catalogues}
    language = Catalogue.of(locale, catalogues)
    lengths = [1, 30, 60, 600, 3600, 36_000, 86_400, 864_000]
    return [
        *(text(what, now=now, **given) for what in about for now in (None, NOW)),
        *(part for policy in POLICIES for part in how_to_get_back_in(policy, **given)),
        *(duration(length, **given) for length in lengths),
        *(language.when(NOW + timedelta(seconds=length), NOW) for length in [0, *lengths]),
        *(language.date(NOW + timedelta(days=30 * n)) for n in range(13)),
        language.direction,
    ]


@pytest.mark.requirement("R-97")
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_event_and_warning_has_a_text(language: str) -> None:
    """The walk over the classes finds no code that a catalogue does not have."""
    texts = texts_of(language)
    warnings = typing.get_args(uri.WarningCode)

    assert {kind.__name__ for kind in ERRORS} == set(errors.__all__)
    assert {kind.__name__ for kind in EVENTS} == set(events.__all__)
    assert without_text(ERRORS, "error", texts) == []
    assert without_text(EVENTS, "event", texts) == []
    assert [code for code in warnings if not texts.get(("warning", code))] == []
    assert len(warnings) >= 4


def test_a_class_that_is_added_tomorrow_needs_a_text() -> None:
    """The walk finds a new leaf, also below another one, and misses its text."""

    class Root:
        code: ClassVar[str] = "enrollment_error"

    class Group(Root):
        code = "setup_error"

    class Tomorrow(Group):
        code = "tomorrow"

    kinds = kinds_below(Root)

    assert kinds == {Root, Group, Tomorrow}
    assert without_text(kinds, "error", texts_of("en")) == ["Tomorrow"]


def placeholders(form: str) -> Counter[str]:
    """Return what a text is filled with."""
    return Counter(name for _, name, _, _ in string.Formatter().parse(form) if name is not None)


def forms_of(entry: str | tuple[str, ...]) -> tuple[str, ...]:
    return entry if isinstance(entry, tuple) else (entry,)


@pytest.mark.requirement("R-97")
@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_the_same_entries(language: str) -> None:
    """Each entry is there, has every plural form, and is filled with what the English one is."""
    english, texts = texts_of("en"), texts_of(language)
    plurals = read(OURS / language / "LC_MESSAGES" / "otp_enroll.po").num_plurals

    assert set(texts) == set(english)
    for place, entry in texts.items():
        wanted = placeholders(forms_of(english[place])[0])
        assert isinstance(entry, tuple) == isinstance(english[place], tuple), place
        assert len(forms_of(entry)) == (plurals if isinstance(entry, tuple) else 1), place
        assert all(form.strip() for form in forms_of(entry)), place
        assert all(placeholders(form) == wanted for form in forms_of(entry)), place


@pytest.mark.requirement("R-97")
def test_no_entry_is_dead(tmp_path: Path) -> None:
    """Each text is said on some occasion; those of the sheets have a test of their own."""
    english = texts_of("en")
    marked: Texts = {}
    for (context, code), entry in english.items():
        if context not in {"form", "sheet"}:
            forms = tuple(f"<{context} {code}>{form}" for form in forms_of(entry))
            marked[context, code] = forms if isinstance(entry, tuple) else forms[0]

    texts = "".join(said("en", write(tmp_path, "en", marked)))

    assert set(re.findall(r"<(\w+) ([\w. ]+)>", texts)) == {*marked}


@pytest.mark.requirement("R-97")
def test_no_entry_about_a_language_is_dead(tmp_path: Path) -> None:
    """Changing any one entry about the form of a language changes what somebody reads."""
    odd = {"direction": "rtl", "calendar": "solar hijri", "digits": "abcdefghij"}
    before = said("en")

    for (context, code), entry in texts_of("en").items():
        if context == "form":
            only: Texts = {(context, code): odd.get(code, f"!{entry!s}")}
            assert said("en", write(tmp_path / code, "en", only)) != before, code


@pytest.mark.requirement("R-97")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_mo_file_is_what_babel_builds(language: str) -> None:
    """Building the .mo file again changes none of its texts: `make messages` was run."""
    folder = OURS / language / "LC_MESSAGES"
    built = io.BytesIO()
    write_mo(built, read(folder / "otp_enroll.po"))
    built.seek(0)

    def texts(file: Any) -> dict[Any, str]:
        found: dict[Any, str] = vars(gettext.GNUTranslations(file))["_catalog"]
        # The header alone names the version of Babel that built the file.
        return {key: re.sub("Generated-By: .*", "", value) for key, value in found.items()}

    with (folder / "otp_enroll.mo").open("rb") as file:
        assert texts(built) == texts(file)


@pytest.mark.requirement("R-86", "R-87", "R-97")
@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_whole(language: str) -> None:
    """Nothing is left to fill in, isolates are closed, and no text is a code."""
    for shown in said(language):
        outside = ISOLATED.sub("", shown)
        assert shown.strip() == shown != ""
        assert not re.search("[{}_\u2068\u2069]|  ", outside), shown


@pytest.mark.requirement("R-97")
def test_persian_is_spelt_as_persian() -> None:
    """Persian letters, digits and punctuation, and the joined prefix with its non-joiner."""
    for place, entry in texts_of("fa").items():
        for form in forms_of(entry):
            shown = re.sub(r"\{\w+\}", "…", form)
            where = f"{place}: {shown}"
            assert not re.search("[كيىة٠-٩]", shown), where
            assert place[0] in {"form", "sheet", "app"} or not re.search("[0-9,;?]", shown), where
            assert not re.search(r"(?<![\w\u200c])ن?می\s", shown), where
            assert not re.search(r"\s\u200c|\u200c\s|\u200c$|\s[،؛؟.:]|«\s|\s»", shown), where


@pytest.mark.requirement("R-96", "R-97")
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_shows_what_is_not_for_people(language: str) -> None:
    """Ids, purposes, actors, reasons, addresses and faults stay with the app."""
    for shown in said(language):
        assert "(" not in shown.replace("(UTC)", "").replace("(به وقت جهانی)", "")


@pytest.mark.parametrize(
    ("error", "english", "persian"),
    [
        (errors.WrongCodeError("code", 1), "1 try is left.", "می‌توانید ۱ بار دیگر تلاش کنید."),
        (errors.WrongCodeError("code", 4), "4 tries are left.", "می‌توانید ۴ بار دیگر تلاش کنید."),
        (
            errors.WrongCodeError("code", 0, SOON),
            "You can try again in 4 minutes.",
            "پس از ۴ دقیقه می‌توانید دوباره تلاش کنید.",
        ),
        (
            errors.TooManyAttemptsError("recovery_code", SOON - timedelta(seconds=1)),
            "You can try again in 4 minutes.",
            "پس از ۴ دقیقه می‌توانید دوباره تلاش کنید.",
        ),
        (errors.ClockSkewError(-170, 2), "about 3 minutes behind", "حدود ۳ دقیقه عقب"),
        (errors.ClockSkewError(3600, 2), "about 1 hour ahead", "حدود ۱ ساعت جلو"),
        (errors.ClockSkewError(3600, 2), "The key stays the same", "کلید همان است"),
        (errors.ClockSkewError(3600, 2), "2 tries are left.", "می‌توانید ۲ بار دیگر تلاش کنید."),
        (errors.AppIgnoresParametersError(7), "The key stays the same", "کلید همان است"),
        (errors.MalformedCodeError("code", 8), "8 digits", "۸ رقم"),
        (errors.MalformedCodeError("either", 8), "8 digits, nor", "۸ رقم دارد و نه"),
        (errors.StoreContentionError(NOW + timedelta(seconds=1)), "in 1 second.", "پس از ۱ ثانیه"),
        (errors.LockedError(1), "1 recovery code left", "۱ کد بازیابی"),
        (errors.LockedError(7), "7 recovery codes left", "۷ کد بازیابی"),
        (errors.LockedError(0), "contact our help desk", "با پشتیبانی ما تماس بگیرید"),
        (
            errors.AmbiguousAuthenticatorError(("Work", "گوشی")),
            "\u2068Work\u2069, \u2068گوشی\u2069",
            "\u2068Work\u2069، \u2068گوشی\u2069",
        ),
        (
            errors.NameTakenError(("Work", "گوشی")),
            "\u2068Work\u2069, \u2068گوشی\u2069",
            "\u2068Work\u2069، \u2068گوشی\u2069",
        ),
    ],
)
def test_a_text_has_the_facts_of_the_error(
    error: errors.EnrollmentError, english: str, persian: str
) -> None:
    """Numbers, lengths of time and names are in the text, in the form of the language."""
    assert english in text(error, now=NOW)
    assert persian in text(error, locale="fa-IR", now=NOW)


def test_a_wait_without_the_present_time_is_in_utc() -> None:
    """Without ``now`` the text has the time at which the next code is judged."""
    error = errors.TooManyAttemptsError("code", SOON)

    assert text(error).endswith("You can try again on 23 November 2026 at 14:04 (UTC).")
    assert "۲ آذر ۱۴۰۵، ساعت ۱۴:۰۴" in text(error, locale="fa")


def test_each_circumstance_has_words_of_its_own() -> None:
    """What differs for the person has other words, and what does not, the same."""
    wrong = [
        errors.WrongCodeError("code", 4),
        errors.WrongCodeError("code", 0, SOON),
        errors.WrongCodeError("code", 0),
        errors.WrongCodeError("recovery_code", 4),
        errors.ClockSkewError(60, 4),
        errors.AppIgnoresParametersError(4),
    ]
    proofs = [errors.ProofRequiredError(reason) for reason in REASONS]
    malformed = [
        errors.MalformedCodeError("code", 6),
        errors.MalformedCodeError("either", 6),
        errors.MalformedCodeError("recovery_code"),
        errors.MalformedCodeError("recovery_code", nearly=True),
        errors.MalformedCodeError("key"),
    ]
    reused = [errors.CodeReusedError(), errors.CodeReusedError("recovery_code")]

    for circumstances in (wrong, proofs, malformed, reused):
        assert len({text(error) for error in circumstances}) == len(circumstances)
    assert text(errors.ProofRequiredError("a new reason")) == text(errors.ProofRequiredError())
    assert "locked" in text(wrong[2])
    assert "recovery code" in text(wrong[2])
    assert text(malformed[3]) == text(errors.MalformedCodeError("either", 6, nearly=True))
    assert "recovery code" not in text(reused[0])


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_failure_is_named_as_ours(language: str) -> None:
    """A failure of the store blames nobody, and asks to try again."""
    ours = {"en": "on our side", "fa": "از سوی ما"}[language]
    again = {"en": "try again", "fa": "دوباره تلاش"}[language]
    failures: list[errors.EnrollmentError] = [
        errors.StorageError(),
        errors.AdapterError("load"),
        errors.RecordTooNewError(9),
        errors.CorruptRecordError("top"),
        errors.EnrollmentMissingError(),
        errors.TransitionBrokenError("confirm", "disabled"),
        errors.FailureError(),
        errors.UnreadableSecretError(),
    ]

    for failure in failures:
        assert ours in text(failure, locale=language)
        assert again in text(failure, locale=language)


HARMLESS = (events.SetupExpired, events.KeyCopyChecked, events.RecoveryCodesLow)


@pytest.mark.requirement("R-96")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_owner_reads_what_to_do_about_a_stranger(language: str) -> None:
    """Every notice of what somebody else could have done says what to do if it was not you."""
    not_you = {"en": "If this was not you", "fa": "اگر این کار را شما انجام نداده‌اید"}[language]
    kinds = {kind for kind in EVENTS if kind is not events.Event and not issubclass(kind, HARMLESS)}

    warned = {type(event) for event in all_events() if not_you in text(event, locale=language)}

    assert warned == kinds
    for event in all_events():
        whole = text(event, locale=language)
        without = text(event, locale=language, not_you=False)
        assert whole.partition(f" {not_you}")[0] == without


@pytest.mark.requirement("R-96")
def test_a_notice_names_the_authenticator_that_its_owner_named() -> None:
    """A name that somebody chose is there, isolated; "default" was chosen by nobody."""
    removed = happened(events.AuthenticatorRemoved, "Phone")
    renamed = happened(events.AuthenticatorRenamed, "New", old_name="a\u202eb")
    off = happened(events.EnrollmentDisabled, names=("Phone", "Tablet"))

    assert "Authenticator: \u2068Phone\u2069." in text(removed)
    assert "“\u2068ab\u2069”" in text(renamed)
    assert "«\u2068ab\u2069»" in text(renamed, locale="fa")
    assert "\u2068Phone\u2069، \u2068Tablet\u2069" in text(off, locale="fa")
    for nameless in (None, "default"):
        assert "Authenticator:" not in text(happened(events.AuthenticatorRemoved, nameless))
    named = happened(events.AuthenticatorRenamed, "Phone", old_name="default")
    off = happened(events.EnrollmentDisabled, names=("default", "Phone"))
    assert "default" not in text(named) + text(off)
    assert "Authenticator: \u2068Phone\u2069." in text(off)


@pytest.mark.requirement("R-96")
@pytest.mark.parametrize(
    ("language", "asks"), [("en", "signing in asks for a code"), ("fa", "رمز یک‌بارمصرف خواسته")]
)
def test_that_signing_in_asks_for_a_code_is_said_of_the_first(language: str, asks: str) -> None:
    """With a further authenticator nothing about signing in is new but that its codes count."""
    first, further = (
        text(
            happened(events.AuthenticatorConfirmed, backup="none", first=is_first), locale=language
        )
        for is_first in (True, False)
    )

    assert asks in first
    assert asks not in further


@pytest.mark.requirement("R-96")
def test_a_notice_says_how_many_are_left() -> None:
    """One, several and none read as people say it."""
    used = [text(happened(events.RecoveryCodeUsed, left=left)) for left in (0, 1, 2)]
    low = [text(happened(events.RecoveryCodesLow, left=left)) for left in (0, 1, 2)]

    assert "The last recovery code" in used[0]
    assert ("1 is left" in used[1], "2 are left" in used[2]) == (True, True)
    assert "no recovery code left" in low[0]
    assert ("1 recovery code left" in low[1], "2 recovery codes left" in low[2]) == (True, True)


def test_a_warning_names_the_apps() -> None:
    """The apps concerned stand behind the warning, and nothing where none is known."""
    named = ProvisioningWarning(code="may_overwrite", apps=("An app", "Another"))
    unnamed = ProvisioningWarning(code="may_overwrite")

    behind = " Known for this: \u2068An app\u2069, \u2068Another\u2069."
    assert text(named) == text(unnamed) + behind


@pytest.mark.requirement("R-97")
def test_an_app_on_one_system_is_named_in_the_language() -> None:
    """The name of a brand stays, and what else its English name says is translated."""
    warning = ProvisioningWarning(code="may_overwrite", apps=(*ON_ANDROID, "Authy"))

    assert "Google Authenticator on Android, 2FAS on Android, \u2068Authy\u2069." in text(warning)
    assert "Google Authenticator در اندروید، 2FAS در اندروید، \u2068Authy\u2069." in text(
        warning, locale="fa"
    )


class OfAnApp(errors.SetupExpiredError):
    """A class of an app's, with a code of its own."""

    code = "of_an_app"


def test_a_class_of_an_app_has_the_text_of_its_nearest_ancestor(tmp_path: Path) -> None:
    """A code without a text has that of its parent, until the app writes one."""
    written = write(tmp_path, "en", {("error", "of_an_app"): "Ours."})

    assert text(OfAnApp()) == text(errors.SetupExpiredError())
    assert text(OfAnApp(), catalogues=written) == "Ours."


@pytest.mark.parametrize("about", [None, "wrong_code", ValueError("x"), errors.WrongCodeError])
def test_only_what_the_library_says_has_a_text(about: Any) -> None:
    """Anything else is a TypeError."""
    with pytest.raises(TypeError, match="text takes"):
        text(about)


def test_the_present_time_has_a_zone() -> None:
    """A naive ``now`` is a ValueError, and a number a TypeError."""
    error = errors.TooManyAttemptsError("code", SOON)
    number: Any = 1.5

    with pytest.raises(ValueError, match="aware"):
        text(error, now=NOW.replace(tzinfo=None))
    with pytest.raises(TypeError, match="datetime"):
        text(error, now=number)
