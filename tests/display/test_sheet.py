"""The copies on paper: what they say, in which direction, to whom they are safe to show."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any, cast

import jinja2
import pytest

from helpers.catalogue_files import Texts, texts_of, write
from otp_enroll import Enroller, Override, Policy, RecoveryCodes, Setup, Unencrypted
from otp_enroll.core.recovery import RecoverySet
from otp_enroll.core.secret import Secret
from otp_enroll.core.sheet_number import sheet_number
from otp_enroll.display.sheet import STYLE, STYLE_SOURCE, BackupSheet, RecoverySheet
from otp_enroll.policy import AttemptBudget
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

USER = "user-42"
ACCOUNT = "sara@example.com"
VOUCHED = Override(actor="help desk", reason="re-authenticated")
GOLDEN = Path(__file__).parent / "sheets"
LRI, PDI = "\u2066", "\u2069"
MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")

AnySheet = BackupSheet | RecoverySheet


class CountedBytes:
    """A byte source that gives the same bytes again in another run; the first may be chosen."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._asked = 0
        self._secret = secret

    def __call__(self, length: int) -> bytes:
        self._asked += 1
        if self._secret is not None and length == len(self._secret):
            return self._secret
        return hashlib.shake_256(str(self._asked).encode()).digest(length)


@dataclasses.dataclass
class Papers:
    """A setup and its recovery codes, made by an enroller that repeats itself."""

    setup: Setup
    codes: RecoveryCodes
    enroller: Enroller
    clock: FrozenClock

    def sheets(self, locale: str = "en", **options: Any) -> tuple[BackupSheet, RecoverySheet]:
        return self.setup.sheet(locale, **options), self.codes.sheet(locale, **options)

    def secrets(self) -> list[str]:
        raw = Secret.from_base32(self.setup.key).reveal()
        return [
            *(self.setup.key, self.setup.key[:8], *self.setup.key_groups, self.setup.uri),
            *(self.setup.id, raw.hex(), repr(raw)[2:-1]),
            *(form for code in self.codes for form in (code, code.replace("-", ""), code[:9])),
        ]


def papers(
    *,
    issuer: str = "Exir",
    account: str = ACCOUNT,
    secret: bytes | None = None,
    name: str | None = None,
    policy: Policy | None = None,
    clock: FrozenClock | None = None,
) -> Papers:
    clock = clock or FrozenClock()
    enroller = Enroller(
        MemoryStore(),
        issuer=issuer,
        cipher=Unencrypted(),
        clock=clock,
        policy=policy or Policy(),
        random_bytes=CountedBytes(secret),
    )
    setup = enroller.begin(USER, account_name=account, authenticator=name)
    done = enroller.confirm(USER, FakeAuthenticator(setup.uri, clock).code(), setup_id=setup.id)
    assert done.recovery_codes is not None
    clock.advance(60)
    return Papers(setup, done.recovery_codes, enroller, clock)


@pytest.fixture
def both() -> Papers:
    return papers()


def forms_of(sheet: AnySheet) -> tuple[str, str, str]:
    return sheet.html(), sheet.fragment(), sheet.text()


class Parsed(HTMLParser):
    """HTML as its elements, their attributes and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.shown = ""
        self.ltr: list[str] = []
        self.declared: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append((tag, dict(attrs)))
        if tag == "bdi" and dict(attrs).get("dir") == "ltr":
            self.ltr.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_decl(self, decl: str) -> None:
        self.declared.append(decl)

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self.open]
        if "style" in tags:
            return
        self.shown += data
        if any(tag == "bdi" and of.get("dir") == "ltr" for tag, of in self.open):
            self.ltr[-1] += data


APPROVED = [
    f"{name}.{locale}.{form}"
    for name, locale, form in product(
        ("key", "key-private", "codes"), ("en", "fa"), ("html", "txt")
    )
]


def golden() -> Iterator[tuple[str, str]]:
    of = papers()
    for locale in ("en", "fa"):
        private, _ = of.sheets(locale, private=True)
        key, codes = of.sheets(locale)
        for name, sheet in (("key", key), ("key-private", private), ("codes", codes)):
            yield f"{name}.{locale}.html", sheet.html()
            yield f"{name}.{locale}.txt", sheet.text()


@pytest.mark.requirement("R-85", "R-97")
@pytest.mark.parametrize("name", APPROVED)
def test_a_sheet_is_as_it_was_approved(name: str) -> None:
    """Each form equals the file that was looked at, letter for letter.

    To change them on purpose: ``WRITE_SHEETS=1 pytest tests/display/test_sheet.py``, then
    look at every file that differs, in a browser too.
    """
    made = dict(golden())[name]
    if os.environ.get("WRITE_SHEETS") == "1":
        (GOLDEN / name).write_text(made, encoding="utf-8")

    assert made == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.requirement("R-85")
def test_no_approved_file_is_left_over() -> None:
    """Every file in the folder is compared."""
    assert {path.name for path in GOLDEN.iterdir()} == set(APPROVED)


@pytest.mark.requirement("R-85")
@pytest.mark.parametrize("algorithm", ["SHA1", "SHA512"])
def test_a_backup_sheet_says_all_that_a_new_phone_needs(algorithm: Any) -> None:
    """Issuer, account, authenticator, parameters, key, check word, number and day, in each form."""
    of = papers(name="blue phone", policy=Policy(algorithm=algorithm, digits=8, period=60))
    sheet, _ = of.sheets()
    setup = of.setup

    for shown in (Parsed(sheet.html()).shown, Parsed(sheet.fragment()).shown, sheet.text()):
        for fact in ("Exir", ACCOUNT, "blue phone", "TOTP", algorithm, "8", "1 minute"):
            assert fact in shown
        joined = "".join(shown.split())
        assert joined.count(setup.key) == 2  # in groups, and to copy
        assert setup.key in shown
        for fact in (setup.check_word, sheet.number, "15 January 2027"):
            assert fact in shown


@pytest.mark.requirement("R-85")
def test_a_name_that_nobody_chose_is_not_shown(both: Papers) -> None:
    """The sheet of the only authenticator does not call it "default"."""
    assert all("default" not in form for form in forms_of(both.setup.sheet()))


@pytest.mark.requirement("R-84", "R-85")
@pytest.mark.parametrize("count", [1, 10, 13, 32])
def test_a_recovery_sheet_lists_its_codes_in_order(count: int) -> None:
    """Each code has its number and a box to tick, in the order in which the app shows them."""
    of = papers(policy=Policy(recovery_codes=count))
    sheet = of.codes.sheet()
    parsed = Parsed(sheet.html())

    assert re.findall(r"^ ?(\d+)\. \[ \] (\S+)$", sheet.text(), re.MULTILINE) == [
        (str(n), code) for n, code in enumerate(of.codes, start=1)
    ]
    assert [shown for shown in parsed.ltr if len(shown) == 29] == list(of.codes)
    assert sum(of.get("class") == "otp-box" for _, of in parsed.elements) == count


@pytest.mark.requirement("R-88")
@pytest.mark.parametrize("locale", ["en", "fa"])
def test_a_private_sheet_does_not_say_whose_it_is(both: Papers, locale: str) -> None:
    """Neither sheet has the account name, nor the QR code, which holds it; the key stays."""
    for sheet in both.sheets(locale, private=True):
        for form in forms_of(sheet):
            assert ACCOUNT not in form
            assert "sara" not in form
            assert "<svg" not in form
            assert "://" not in form
    assert both.setup.key in both.setup.sheet(locale, private=True).text()
    assert ACCOUNT in both.setup.sheet(locale).text()
    assert "<svg" in both.setup.sheet(locale).html()
    assert ACCOUNT in both.codes.sheet(locale).text()


@pytest.mark.requirement("R-88")
def test_a_sheet_speaks_of_a_picture_only_where_there_is_one(both: Papers) -> None:
    """Plain text and a private sheet say to type the key, a page with a picture to scan it."""
    sheet, private = both.setup.sheet(), both.setup.sheet(private=True)

    assert "QR" in Parsed(sheet.html()).shown
    for form in (sheet.text(), private.text(), private.html(), private.fragment()):
        assert "QR" not in form
        assert "type the setup key" in " ".join(form.split())


@pytest.mark.requirement("R-86")
def test_in_persian_text_keys_and_codes_run_left_to_right(both: Papers) -> None:
    """Each line of the key, each code, the check word and the number stand in LRI … PDI."""
    key, codes = both.sheets("fa")
    groups = both.setup.key_groups
    isolated = re.compile(f"{LRI}([^{LRI}{PDI}]*){PDI}")

    assert isolated.findall(key.text()) == [
        key.number,
        " ".join(groups[:4]),
        " ".join(groups[4:]),
        both.setup.check_word,
    ]
    assert isolated.findall(codes.text()) == [codes.number, *both.codes]


@pytest.mark.requirement("R-86")
@pytest.mark.parametrize("locale", ["en", "fa"])
def test_in_html_keys_and_codes_run_left_to_right(both: Papers, locale: str) -> None:
    """Each stands in a ``bdi`` with ``dir="ltr"``, and what is copied from it holds no marks."""
    key, codes = both.sheets(locale)
    setup = both.setup

    assert Parsed(key.html()).ltr == [
        key.number,
        " ".join(setup.key_groups),
        setup.key,
        setup.check_word,
    ]
    assert Parsed(codes.html()).ltr == [codes.number, *both.codes]
    assert 'bdi[dir="ltr"] {\n  direction: ltr;' in STYLE


@pytest.mark.requirement("R-86", "R-87")
def test_the_key_to_copy_is_a_line_of_its_own_without_marks(both: Papers) -> None:
    """In a Persian text, too, one line is the bare key, in ASCII."""
    lines = both.setup.sheet("fa").text().splitlines()

    assert lines.count(both.setup.key) == 1
    assert not MARKS.search(both.setup.sheet("en").text())


@pytest.mark.requirement("R-87")
def test_only_numbers_that_nobody_types_are_persian(both: Papers) -> None:
    """Steps, lengths and days have Persian digits; key, codes and sheet number have ASCII ones."""
    key, codes = both.sheets("fa")

    for sheet in (key, codes):
        outside = re.sub(f"{LRI}[^{PDI}]*{PDI}", "", sheet.text())
        outside = outside.replace(both.setup.key, "").replace("SHA1", "")
        assert not re.search("[0-9]", outside)
    for fact in ("۱. ", "۲. ", "۳. ", "۳۰ ثانیه", "۲۵ دی ۱۴۰۵"):
        assert fact in key.text()
    assert "۱۰. [ ]" in codes.text()


HOSTILE = (
    """</title><script>alert(1)</script>""",
    """<b>&"'><img src=x onerror=alert(1)>""",
    """" onmouseover="x" style="a""",
    """&lt;i&gt; {issuer} %s {0}""",
    """صرافی <ی> "اکسیر\"""",
)
ALLOWED = {
    "html": {"lang", "dir"},
    "head": set[str](),
    "meta": {"charset", "name", "content"},
    "title": set[str](),
    "style": set[str](),
    "body": {"class"},
    "main": set[str](),
    "article": {"class", "lang", "dir"},
    "header": {"class"},
    **{name: {"class"} for name in ("h1", "h2", "h3", "div", "p", "dl", "figure", "section")},
    **{name: set[str]() for name in ("dt", "dd", "li", "figcaption")},
    "span": {"class", "aria-hidden"},
    "ul": {"class", "role"},
    "ol": {"class", "role"},
    "bdi": {"class", "dir"},
    "svg": {"xmlns", "role", "aria-label", "width", "height", "viewbox", "shape-rendering"},
    "rect": {"width", "height", "fill", "stroke"},
    "path": {"fill", "stroke", "d"},
}


@pytest.mark.requirement("R-31", "R-85", "R-89")
@pytest.mark.parametrize(("hostile", "locale"), list(product(HOSTILE, ("en", "fa"))))
def test_names_are_text_and_nothing_else(hostile: str, locale: str) -> None:
    """Whatever issuer, account and authenticator are called, no element or attribute is added."""
    of = papers(issuer=hostile, account=hostile, name=hostile)
    calm = papers(issuer="x" * 25, account="x", name="x")

    for sheet, other in zip(of.sheets(locale), calm.sheets(locale), strict=True):
        for made, expected in ((sheet.html(), other.html()), (sheet.fragment(), other.fragment())):
            parsed = Parsed(made)
            for tag, attributes in parsed.elements:
                assert set(attributes) <= ALLOWED[tag]
            assert [tag for tag, _ in parsed.elements] == [
                tag for tag, _ in Parsed(expected).elements
            ]
            assert parsed.open == []
            assert hostile in parsed.shown
        assert hostile in sheet.text()


@pytest.mark.parametrize(("letters", "small"), [(24, False), (25, True)])
def test_a_long_name_is_set_smaller(letters: int, small: bool) -> None:
    """Above 24 letters the issuer has the style of a long name, on both sheets."""
    for sheet in papers(issuer="x" * letters).sheets():
        assert ('class="otp-sheet otp-long-name"' in sheet.html()) is small


@pytest.mark.requirement("R-85", "R-89")
@pytest.mark.parametrize(("locale", "direction"), [("en", "ltr"), ("fa", "rtl")])
def test_html_is_a_whole_page_that_fetches_nothing(
    both: Papers, locale: str, direction: str
) -> None:
    """Language, direction, encoding, title, no index; no address, script or style attribute."""
    for sheet in both.sheets(locale):
        parsed = Parsed(sheet.html())
        tags = [tag for tag, _ in parsed.elements]
        assert parsed.declared == ["DOCTYPE html"]
        assert parsed.elements[0] == ("html", {"lang": locale, "dir": direction})
        assert parsed.elements[2] == ("meta", {"charset": "utf-8"})
        assert ("meta", {"name": "robots", "content": "noindex, nofollow, noarchive"}) in (
            parsed.elements
        )
        assert f"<title>Exir {sheet.number}</title>" in sheet.html()
        assert (tags.count("h1"), tags.count("article")) == (1, 1)
        assert (sheet.locale, sheet.direction) == (locale, direction)
        addresses = re.findall(r"\w+://[^\"' <>]*", sheet.html())
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}
        for active in ("<script", "<link", "<img", "<form", "<a ", "style=", "src=", "href"):
            assert active not in sheet.html()


def test_a_template_shows_a_sheet_as_it_stands(both: Papers) -> None:
    """An autoescaping template escapes neither form a second time; the plain text it escapes."""
    page = jinja2.Environment(autoescape=True).from_string("{{ shown }}")

    for sheet in both.sheets():
        assert page.render(shown=sheet.html()) == sheet.html()
        assert page.render(shown=sheet.fragment()) == sheet.fragment()
        assert type(sheet.text()) is str


def test_a_fragment_is_the_article_of_the_page_one_level_down(both: Papers) -> None:
    """It is what ``html`` holds, with language, direction, and headings for a page of the app."""
    for sheet in both.sheets("fa"):
        deeper = re.sub(
            "(</?h)([12])", lambda found: found[1] + str(int(found[2]) + 1), sheet.html()
        )
        assert sheet.fragment() in deeper
        assert sheet.fragment().startswith('<article class="otp-sheet" lang="fa" dir="rtl">')
        assert sheet.fragment().endswith("</article>")


def test_the_style_may_be_allowed_by_its_hash(both: Papers) -> None:
    """The one style element is STYLE, letter for letter, and STYLE_SOURCE is its SHA-256."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

    assert f"'sha256-{digest}'" == STYLE_SOURCE
    for sheet in both.sheets():
        assert re.findall("<style>(.*?)</style>", sheet.html(), re.DOTALL) == [STYLE]
    for fetching in ("url(", "@import", "@font-face", "expression", "\\", "<"):
        assert fetching not in STYLE


@pytest.mark.requirement("R-29", "R-87")
def test_a_sheet_is_black_on_white_on_any_page() -> None:
    """The colours are set and are these two; keys and codes have 12 points or more."""
    assert set(re.findall("#[0-9a-f]+", STYLE)) == {"#000", "#fff"}
    assert "background: #fff; color: #000; color-scheme: light;" in STYLE
    assert "slashed-zero" in STYLE
    for selector in (".otp-groups", ".otp-copy bdi", ".otp-word bdi", ".otp-codes bdi"):
        sizes = re.findall(rf"{re.escape(selector)} {{[^}}]*font-size: ([\d.]+)pt", STYLE)
        assert sizes
        assert all(float(size) >= 12 for size in sizes)


@pytest.mark.requirement("R-30")
@pytest.mark.parametrize("letters", [1, 20, 64])
def test_a_module_of_the_picture_is_large_enough_in_print(letters: int) -> None:
    """From the smallest to the largest name a module has 0.4 mm or more, in millimetres."""
    of = papers(issuer="ش" * letters, account="ش" * 2 * letters)
    (svg,) = (of for tag, of in Parsed(of.setup.sheet().html()).elements if tag == "svg")
    assert svg["width"] == svg["height"]
    side = float(str(svg["width"]).removesuffix("mm"))
    modules = 17 + 4 * of.setup.qr.version + 8

    assert side / modules >= 0.4
    assert 45 <= side <= 90


@pytest.mark.requirement("R-32", "R-97")
def test_the_picture_is_described_in_the_language_of_the_sheet(both: Papers) -> None:
    """A screen reader hears Persian on a Persian sheet, with the issuer and without the key."""
    (svg,) = (of for tag, of in Parsed(both.setup.sheet("fa").html()).elements if tag == "svg")
    label = str(svg["aria-label"])

    assert "برنامهٔ رمزساز" in label
    assert "Exir" in label
    assert all(group not in label for group in both.setup.key_groups)


@pytest.mark.requirement("R-100")
@pytest.mark.parametrize("locale", ["en", "fa"])
def test_what_a_sheet_says_of_recovery_follows_the_policy(locale: str) -> None:
    """Another number of wrong codes before the lock is another text, on both sheets."""
    usual = papers()
    other = papers(policy=Policy(budget=AttemptBudget(lock_after=77)))
    number = {"en": "77", "fa": "۷۷"}[locale]

    for of, expected in ((usual, False), (other, True)):
        for sheet in of.sheets(locale):
            assert (number in sheet.text()) is expected
            assert (number in Parsed(sheet.html()).shown) is expected


@pytest.mark.requirement("R-85", "R-97")
def test_another_language_is_the_apps_to_add(both: Papers, tmp_path: Path) -> None:
    """A catalogue of the app speaks on both sheets, and its direction is that of the page."""
    write(tmp_path, "he", {("sheet", "back_in"): "!!", ("form", "direction"): "rtl"})

    for sheet in both.sheets("he", catalogues=tmp_path):
        assert (sheet.locale, sheet.direction) == ("he", "rtl")
        assert "!!\n" in sheet.text()
        assert '<article class="otp-sheet" lang="he" dir="rtl">' in sheet.html()
    assert both.setup.sheet("xx").locale == "en"


@pytest.mark.requirement("R-97")
def test_every_code_of_the_sheets_is_said(tmp_path: Path) -> None:
    """The sheets say each text of the context "sheet" on some occasion: none is dead."""
    codes = {code for context, code in texts_of("en") if context == "sheet"}
    marked: Texts = {("sheet", code): f"[{code}]" for code in codes}
    write(tmp_path, "he", marked)
    of = papers(name="blue")
    said: set[str] = set()

    for private, sheet in product((True, False), (0, 1)):
        made = of.sheets("he", private=private, catalogues=tmp_path)[sheet]
        for form in (made.text(), made.html()):
            said |= set(re.findall(r"\[([a-z_]+)\]", form))

    assert said == codes


@pytest.mark.requirement("R-85")
def test_a_name_in_another_script_cannot_turn_a_line_around() -> None:
    """In text a foreign name is isolated; in an English sheet an English one needs no marks."""
    of = papers(issuer="اکسیر", account="سارا (2)")

    for sheet in of.sheets("en"):
        assert "\u2068اکسیر\u2069" in sheet.text()
        assert "Account: \u2068سارا (2)\u2069" in sheet.text()
    assert f"\u2068{ACCOUNT}\u2069" in papers().setup.sheet("fa").text()


@pytest.mark.requirement("R-85")
@pytest.mark.parametrize(("second", "day"), [(0, "14 January 2027"), (1, "15 January 2027")])
def test_the_day_is_that_of_utc(second: int, day: str) -> None:
    """The day on both sheets changes with midnight in UTC."""
    of = papers(clock=FrozenClock(1_799_971_199 + second))

    assert all(day in sheet.text() for sheet in of.sheets())


def test_a_reprint_has_the_day_and_the_number(both: Papers) -> None:
    """A setup that is resumed a minute later prints the same number, and the day of the reprint."""
    clock = FrozenClock(1_799_971_199)
    enroller = Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted(), clock=clock)
    setup = enroller.begin(USER, account_name=ACCOUNT)
    clock.advance(60)
    again = enroller.resume(USER, setup_id=setup.id)

    assert setup.sheet().number == again.sheet().number
    assert "14 January 2027" in setup.sheet().text()
    assert "15 January 2027" in again.sheet().text()


@pytest.mark.requirement("R-78", "R-85")
def test_the_security_page_knows_which_paper_is_current(both: Papers) -> None:
    """``Status`` numbers the papers that are good; a rotation and new codes change the numbers."""
    enroller = both.enroller
    status = enroller.status(USER)
    key, codes = both.sheets()
    assert status.authenticators[0].sheet_number == key.number
    assert status.recovery_sheet_number == codes.number

    setup = enroller.begin(USER, account_name=ACCOUNT, proof=VOUCHED)
    enroller.confirm(USER, FakeAuthenticator(setup.uri, both.clock).code(), setup_id=setup.id)
    rotated = enroller.status(USER)
    assert rotated.authenticators[0].sheet_number == setup.sheet().number != key.number
    assert rotated.recovery_sheet_number == codes.number

    renewed = enroller.regenerate_recovery_codes(USER, proof=VOUCHED)
    status = enroller.status(USER)
    assert status.recovery_sheet_number == renewed.sheet().number != codes.number
    assert enroller.status("nobody").recovery_sheet_number is None


@pytest.mark.requirement("R-85")
def test_new_codes_do_not_know_the_account_name(both: Papers) -> None:
    """Outside a confirm no account name is known, and the sheet has no empty place for it."""
    sheet = both.enroller.regenerate_recovery_codes(USER, proof=VOUCHED).sheet()

    assert "Account" not in sheet.text()
    assert "<dl" not in sheet.html()
    assert "Exir" in sheet.text()


@pytest.mark.requirement("R-85")
def test_the_issuer_is_the_one_that_was_set_up(flow: Any) -> None:
    """Both sheets name the service as the phone does, though the app was renamed since."""
    setup = flow.enroller.begin(USER, account_name=ACCOUNT)
    renamed = flow.another(issuer="Elixir")
    done = renamed.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
    later = renamed.regenerate_recovery_codes(USER, proof=VOUCHED)

    assert "Elixir" not in done.recovery_codes.sheet().text() + setup.sheet().text()
    assert later.sheet().text().startswith("Elixir\n")


@pytest.mark.requirement("R-85")
def test_a_sheet_number_is_a_digest_of_no_secret() -> None:
    """SHA-256 over a tag and the id, in Crockford's letters; kinds differ, equal ids agree."""
    named = b"0123456789abcdef"
    digest = hashlib.sha256(b"otp_enroll/1\0sheet number\0key\0" + named).digest()
    letters = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[byte % 32] for byte in digest[:8])

    assert sheet_number("key", named) == f"{letters[:4]}-{letters[4:]}"
    assert sheet_number("recovery codes", named) != sheet_number("key", named)
    one, other = papers(secret=b"1" * 20), papers(secret=b"2" * 20)
    assert one.setup.key != other.setup.key
    assert one.setup.sheet().number == other.setup.sheet().number


@pytest.mark.requirement("R-85")
def test_a_set_has_the_number_of_its_salt() -> None:
    """The number of a recovery sheet is a digest of the salt, whatever the codes are."""
    for codes in (["0" * 24], ["1" * 24, "2" * 24]):
        assert RecoverySet.issue(USER, b"s" * 16, codes).sheet_number == sheet_number(
            "recovery codes", b"s" * 16
        )


@pytest.mark.requirement("R-06", "R-25")
def test_no_printing_shows_what_is_on_a_sheet(both: Papers) -> None:
    """Repr, str, format and the frames of an error show the number, and no secret."""
    for sheet in both.sheets("fa"):
        assert repr(sheet) == f"{type(sheet).__name__}(number={sheet.number!r}, …)"
        printed = f"{sheet} {sheet!r} {[sheet]!r} {vars_of(sheet)}"
        for secret in both.secrets():
            assert secret not in printed


@pytest.mark.requirement("R-06")
def test_a_sheet_of_no_language_can_be_printed_in_a_traceback(both: Papers) -> None:
    """Where the language is refused, who prints the frames with their locals gets them."""
    with pytest.raises(TypeError) as refused:
        both.setup.sheet(cast("str", 4))
    shown = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    printed = "".join(shown.format())
    assert f"number='{both.setup.sheet().number}'" in printed
    for secret in both.secrets():
        assert secret not in printed


def vars_of(sheet: AnySheet) -> str:
    names = {name for kind in type(sheet).__mro__ for name in getattr(kind, "__slots__", ())}
    return " ".join(repr(getattr(sheet, name)) for name in names)


@pytest.mark.requirement("R-06")
def test_a_sheet_is_neither_dumped_nor_copied(both: Papers) -> None:
    """No pickle, no JSON, no fields; a copy is the thing itself."""
    for sheet in both.sheets():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="Sheet holds a secret and is not pickled"):
                pickle.dumps(sheet, protocol)
        with pytest.raises(TypeError, match="not JSON serializable"):
            json.dumps(sheet)
        with pytest.raises(TypeError):
            vars(sheet)
        assert not dataclasses.is_dataclass(sheet)
        assert copy.copy(sheet) is copy.deepcopy(sheet) is sheet


WATCH = """
import sys
from otp_enroll import Enroller, Unencrypted
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator
import time
enroller = Enroller(MemoryStore(), issuer="Exir", cipher=Unencrypted())
setup = enroller.begin("u", account_name="sara")
code = FakeAuthenticator(setup.uri, time.time).code()
codes = enroller.confirm("u", code, setup_id=setup.id).recovery_codes
setup.sheet(private=True).html(), codes.sheet().html(), setup.sheet("fa").text()
print("segno" in sys.modules)
setup.qr.svg()
def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.", "shutil.", "tempfile.", "urllib.")):
        print(event)
    if event == "open" and not (isinstance(arguments[1], str) and set(arguments[1]) <= set("rb")):
        print(event, arguments[1])
sys.addaudithook(watch)
for private in (False, True):
    for locale in ("en", "fa"):
        for sheet in (setup.sheet(locale, private=private), codes.sheet(locale, private=private)):
            sheet.html(), sheet.fragment(), sheet.text()
"""


@pytest.mark.requirement("R-89")
def test_a_sheet_touches_no_file_and_no_network() -> None:
    """In a fresh process nothing is written, sent or started; segno comes with a picture alone."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", WATCH], env=plain, capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"
