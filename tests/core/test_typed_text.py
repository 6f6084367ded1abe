"""What people type: one canonical spelling or malformed, never an exception and nothing between."""

from __future__ import annotations

import json
import random
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_enroll.core.redacted import Redacted
from otp_enroll.core.typed_text import TypedKey, clean, clean_label, clean_name, read_code, read_key

INPUTS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text("utf-8"))["code-input"]

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RECOVERY = "0123456789ABCDEFGHJKMNPQ"

ZEROS = {"ASCII": "0", "Persian": "۰", "Arabic-Indic": "٠", "full width": "０"}  # that is the point
SPACES = sorted(chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) == "Zs")
HYPHENS = ["-", *map(chr, range(0x2010, 0x2016)), "\u2212"]
MARKS = [
    *map(chr, range(0x200B, 0x2010)),
    *map(chr, range(0x202A, 0x202F)),
    "\u2060",
    *map(chr, range(0x2066, 0x206A)),
    *"\u061c\ufeff\u00ad",
]
DROPPED = ["\t", "\n", "\r", *SPACES, *HYPHENS, *MARKS]

DIGIT_OF = {chr(ord(zero) + n): str(n) for zero in ZEROS.values() for n in range(10)}

NASTY = "".join(
    [
        "0123456789" * 4,
        *(digit for digit in DIGIT_OF if not digit.isascii()),
        *DROPPED,
        string.ascii_letters,
        string.punctuation,
        "²³①Ⅻ½१𝟙੧",  # digits and numbers for int(), isdigit() or NFKC, and no digits here
        "\0\x1c\x7f\x85\u2028\u2029\ud800\udfff😀ßıſKéＡＯ",  # look-alikes on purpose
    ]
)
NASTIER_TEXT = st.one_of(
    st.text(),
    st.text(st.sampled_from(NASTY), max_size=70),
    st.text(st.sampled_from([*DIGIT_OF, *DROPPED]), max_size=20),
    st.text(
        st.sampled_from([*CROCKFORD, *CROCKFORD.lower(), *"OILoil-"]), min_size=22, max_size=30
    ),
)


def expected_of(text: str) -> tuple[str, bytes]:
    """Read a code as R-33 to R-36 and R-40 describe it, letter by letter and without a table."""
    if len(text) > 64:
        return "malformed", b""
    kept = "".join(DIGIT_OF.get(letter, letter) for letter in text if not is_dropped(letter))
    if 6 <= len(kept) <= 8 and all(letter in string.digits for letter in kept):
        return "code", kept.encode()
    folds = {"O": "0", "I": "1", "L": "1"}
    upper = [chr(ord(one) - 32) if one in string.ascii_lowercase else one for one in kept]
    folded = [folds.get(letter, letter) for letter in upper]
    if len(folded) == 24 and all(letter in CROCKFORD for letter in folded):
        return "recovery_code", "".join(folded).encode()
    return "malformed", b""


def is_dropped(letter: str) -> bool:
    return letter in DROPPED or letter in "\v\f\x85\u2028\u2029\uff0d"


@pytest.mark.requirement("R-33", "R-34", "R-37")
@pytest.mark.regression_of("B-03", "B-30")
@pytest.mark.parametrize("text", INPUTS["ok"])
def test_every_spelling_of_a_code_is_one_code(text: str) -> None:
    """Digits of four scripts, spaces, hyphens and invisible marks lead to one canonical code."""
    typed = read_code(text)

    assert (typed.kind, typed.reveal(), typed.length) == ("code", b"287082", 6)


@pytest.mark.requirement("R-33")
@pytest.mark.parametrize("script", ZEROS)
def test_each_digit_of_each_script_has_its_own_value(script: str) -> None:
    """All ten digits of a script are mapped, each to its value."""
    zero = ord(ZEROS[script])

    assert read_code("".join(chr(zero + n) for n in range(6))).reveal() == b"012345"
    assert read_code("".join(chr(zero + n) for n in range(4, 10))).reveal() == b"456789"


@pytest.mark.requirement("R-33")
def test_scripts_may_be_mixed_in_one_code() -> None:
    """A code whose digits come from four scripts is that code."""
    assert read_code("2۸٧０8۲").reveal() == b"287082"  # digits of four scripts


@pytest.mark.requirement("R-34")
@pytest.mark.parametrize("letter", DROPPED, ids=lambda letter: f"U+{ord(letter):04X}")
def test_each_space_hyphen_and_mark_is_dropped_wherever_it_stands(letter: str) -> None:
    """A dropped character changes a code neither before, nor inside, nor after it."""
    for place in range(7):
        assert read_code("287082"[:place] + letter + "287082"[place:]).reveal() == b"287082"


@pytest.mark.requirement("R-35")
@pytest.mark.regression_of("B-20", "B-30", "B-31")
@pytest.mark.parametrize("text", [*INPUTS["malformed"], "123_456", "²²²²²²", "१२३४५६", "+287082"])
def test_what_is_no_code_is_malformed(text: str) -> None:
    """What int(), isdigit() or a regular expression lets pass is malformed, and so is nothing."""
    typed = read_code(text)

    assert (typed.kind, typed.reveal(), typed.length) == ("malformed", b"", 0)


@pytest.mark.requirement("R-35")
@pytest.mark.regression_of("B-31")
def test_a_trailing_newline_is_dropped_and_not_kept() -> None:
    """A newline that a pattern's ``$`` overlooks never becomes part of the code."""
    assert read_code("123456\n").reveal() == b"123456"


@pytest.mark.requirement("R-36")
def test_leading_zeros_stay() -> None:
    """A code is text: 000152 is not 152, and 152 is no code."""
    assert read_code("000152").reveal() == b"000152"
    assert read_code("152").kind == "malformed"


@pytest.mark.requirement("R-36")
@pytest.mark.parametrize(
    ("digits", "kind"),
    [(5, "malformed"), (6, "code"), (7, "code"), (8, "code"), (9, "malformed"), (23, "malformed")],
)
def test_a_code_has_six_to_eight_digits(digits: int, kind: str) -> None:
    """The length is that of the canonical spelling, whatever was dropped on the way."""
    assert kind == read_code("1" * digits).kind
    assert kind == read_code(" ".join("1" * digits)).kind


@pytest.mark.requirement("R-36")
@pytest.mark.regression_of("B-41")
def test_the_raw_length_is_capped_before_anything_is_read() -> None:
    """64 characters of input are read, the 65th makes it malformed even if it would be dropped."""
    assert read_code(" " * 58 + "287082").reveal() == b"287082"
    assert read_code(" " * 59 + "287082").kind == "malformed"
    assert read_code("1" * 10_000_000).kind == "malformed"


@pytest.mark.requirement("R-35", "R-37")
@pytest.mark.regression_of("B-03", "B-30", "B-31")
def test_a_hundred_thousand_strings_are_canonical_or_malformed() -> None:
    """Of 100,000 nasty strings each is read as the rules say, and none raises."""
    chance = random.Random(33)  # noqa: S311  # a seed makes a failure repeatable
    alphabets = [
        NASTY,
        "".join([*DIGIT_OF, *DROPPED]),
        CROCKFORD + CROCKFORD.lower() + "OILoil",
        CROCKFORD * 4 + "OIL -_u",
        "0123456789\u06f1 -a",
    ]
    kinds: dict[str, int] = {}
    for _ in range(100_000):
        length = chance.choice((6, 7, 8, 24, chance.randrange(70)))
        text = "".join(chance.choices(chance.choice(alphabets), k=length))

        typed = read_code(text)

        assert expected_of(text) == (typed.kind, typed.reveal()), ascii(text)
        kinds[typed.kind] = kinds.get(typed.kind, 0) + 1
    assert all(kinds[kind] > 1000 for kind in ("code", "recovery_code", "malformed"))


@pytest.mark.requirement("R-35", "R-37")
@given(NASTIER_TEXT)
def test_any_text_is_canonical_or_malformed(text: str) -> None:
    """Whatever is typed, the answer is the one canonical spelling or malformed."""
    typed = read_code(text)

    assert expected_of(text) == (typed.kind, typed.reveal())
    assert typed == read_code(typed.reveal().decode())  # reading again changes nothing


@pytest.mark.requirement("R-35")
@given(st.one_of(st.none(), st.integers(), st.binary(), st.lists(st.text()), st.floats()))
def test_what_is_no_text_is_told_apart(value: object) -> None:
    """A value that is no ``str`` is reported as such, so that the caller's mistake is told."""
    assert (read_code(value).kind, read_code(value).reveal()) == ("not text", b"")
    assert (read_key(value).kind, read_key(value).text) == ("not text", "")


@pytest.mark.requirement("R-40")
@pytest.mark.parametrize(
    "text",
    [
        RECOVERY,
        RECOVERY.lower(),
        "0123-4567-89AB-CDEF-GHJK-MNPQ",
        "0123 4567 89ab cdef ghjk mnpq\n",
        "O123456789ABCDEFGHJKMNPQ",
        "o1234567 89abcdefghjkmnpq",
        "0I23456789ABCDEFGHJKMNPQ",
        "0l23456789ABCDEFGHJKMNPQ",
        "۰۱۲۳-۴۵۶۷-۸۹AB-CDEF-GHJK-MNPQ",
        "\u2066０１２３４５６７８９abcdefghjkmnpq\u2069",  # full width
    ],
)
def test_a_recovery_code_is_read_in_any_spelling(text: str) -> None:
    """Case, groups, scripts of digits, and O, I and L for 0 and 1 lead to one recovery code."""
    typed = read_code(text)

    assert ("recovery_code", RECOVERY.encode()) == (typed.kind, typed.reveal())


@pytest.mark.requirement("R-40")
@pytest.mark.regression_of("B-20")
@pytest.mark.parametrize(
    "text", [RECOVERY[:-1], RECOVERY + "0", "U" + RECOVERY[1:], "é" + RECOVERY[1:], "", "-" * 24]
)
def test_a_text_of_another_length_or_alphabet_is_no_recovery_code(text: str) -> None:
    """One letter less or more, a U, an accent, or nothing at all is malformed."""
    assert read_code(text).kind == "malformed"


@pytest.mark.requirement("R-06")
def test_typed_text_is_redacted() -> None:
    """What was typed is in no repr of the objects that carry it."""
    code, key = read_code("287082"), read_key("JBSWY3DPEHPK3PXP")

    assert isinstance(code, Redacted)
    assert isinstance(key, Redacted)
    assert "287082" not in f"{code!r} {code}"
    assert "JBSW" not in f"{key!r} {key}"


@pytest.mark.requirement("R-40")
@pytest.mark.parametrize(
    "text",
    ["jbsw y3dp", "JBSW-Y3DP", " JBSWY3DP\n", "\u2066JBSW Y3DP\u2069", "JBSWY۳DP=", "jbswy3dp==="],
)
def test_a_typed_key_is_cleaned(text: str) -> None:
    """A copy of a key is read in any case and grouping, without padding and marks."""
    assert (read_key(text).kind, read_key(text).text) == ("key", "JBSWY3DP")


@pytest.mark.parametrize("text", ["JBSX", "XBSW", "JBS\ud800", "JBSW=X"])
def test_a_typed_key_keeps_every_letter(text: str) -> None:
    """Nothing but padding goes at the end, and what no encoding can write stays to be compared."""
    assert read_key(text).text == text


@pytest.mark.requirement("R-40")
@pytest.mark.regression_of("B-41")
@pytest.mark.parametrize("text", ["", "  ", "====", "\u200f", "A" * 513])
def test_an_empty_or_endless_key_is_malformed(text: str) -> None:
    """A copy without a letter in it, or of more than 512 characters, is no copy of a key."""
    assert read_key(text).kind == "malformed"
    assert read_key("A" * 512).kind == "key"


@given(NASTIER_TEXT)
def test_no_typed_key_raises(text: str) -> None:
    """Any text is read as a copy of a key, also one that no encoding can write."""
    typed = read_key(text)

    assert isinstance(typed, TypedKey)
    assert typed.kind in {"key", "malformed"}
    assert not set(typed.text) & {*DROPPED}


@given(NASTIER_TEXT)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    """What was cleaned holds nothing that cleaning would change."""
    assert clean(text) == clean(clean(text))


@pytest.mark.requirement("R-21")
@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Sara's   phone ", "Sara's phone"),
        ("Cafe\u0301", "Café"),
        ("می\u200cخرم", "می خرم"),
        ("a\u00a0\u3000b", "a b"),
        ("x" * 64, "x" * 64),
        ("e\u0301" * 64, "é" * 64),
        ("👩 1", "👩 1"),
    ],
)
def test_a_name_is_trimmed_collapsed_and_composed(text: str, name: str) -> None:
    """A name has one spelling; Persian's zero-width non-joiner becomes a space in it."""
    assert name == clean_name(text, "name")


@pytest.mark.requirement("R-21")
@pytest.mark.parametrize(
    "text",
    [
        "Ex\u200f",
        "u\u202eevil",
        "a\x00b",
        "a\nb",
        "a\tb",
        "a\u200bb",
        "\ufeffa",
        "a\u00adb",
        "a\u2066b",
        "a\x7f",
        "a\x85b",
        "a\u2028b",
        "a\u2029b",
        "a\ud800",
        "a\U000e0041",
    ],
)
def test_a_name_with_an_invisible_character_is_refused(text: str) -> None:
    """Control, format, line-breaking and unencodable characters let one name look like another."""
    with pytest.raises(ValueError, match=r"^issuer must not contain the character U\+[0-9A-F]+$"):
        clean_name(text, "issuer")


@pytest.mark.requirement("R-21")
@pytest.mark.regression_of("B-41")
@pytest.mark.parametrize("text", ["", "   ", "\u200c", "x" * 65, "e\u0301" * 65, "x" * 10_000_000])
def test_an_empty_or_long_name_is_refused(text: str) -> None:
    """A name has 1 to 64 characters as it is shown."""
    with pytest.raises(ValueError, match=r"^name must have (1 to|at most) 64 characters$"):
        clean_name(text, "name")


@pytest.mark.requirement("R-21")
def test_a_label_may_be_longer_than_a_name() -> None:
    """An account name has up to 128 characters."""
    assert clean_label("x" * 128, "account_name") == "x" * 128
    with pytest.raises(ValueError, match=r"^account_name must have 1 to 128 characters$"):
        clean_label("x" * 129, "account_name")


@pytest.mark.parametrize("value", [None, 7, b"Exir", ["Exir"]])
def test_a_name_that_is_no_text_is_a_type_error(value: object) -> None:
    """A name of a wrong type is the caller's mistake."""
    with pytest.raises(TypeError, match=r"^name must be a str$"):
        clean_name(value, "name")


@pytest.mark.requirement("R-16")
@pytest.mark.regression_of("B-32")
def test_a_colon_in_a_label_is_refused_or_replaced() -> None:
    """A colon would split the label; look-alikes of it separate nothing and pass."""
    with pytest.raises(ValueError, match=r"^issuer must not contain a colon$"):
        clean_label("a:" + "b" * 62, "issuer", 64)
    assert clean_label("a:b", "issuer", replace_colon="-") == "a-b"
    assert clean_label("a：b꞉c", "issuer") == "a：b꞉c"  # the look-alikes


@pytest.mark.requirement("R-16", "R-21")
@pytest.mark.parametrize(
    ("text", "replacement"),
    [(":", ""), (":", " "), ("a:b", "\u202e"), ("a:b", "x" * 64), ("a:", "::")],
)
def test_a_replaced_colon_obeys_the_rules_of_a_label(text: str, replacement: str) -> None:
    """What stands for a colon makes no label that would be refused without it."""
    with pytest.raises(ValueError, match=r"^issuer must "):
        clean_label(text, "issuer", 64, replace_colon=replacement)


@pytest.mark.requirement("R-21")
@given(NASTIER_TEXT)
def test_a_cleaned_name_is_clean(text: str) -> None:
    """A name is refused with a ValueError, or has a form that cleaning leaves alone."""
    try:
        name = clean_label(text, "name", 64)
    except ValueError:
        return
    assert name == clean_label(name, "name", 64)
    assert 1 <= len(name) <= 64
    assert ":" not in name
    assert not {unicodedata.category(letter) for letter in name} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
