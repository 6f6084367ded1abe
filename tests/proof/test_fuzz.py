"""The readers under fire: any text, and any change to a good one, is read or refused in its words.

Each property runs on a few hundred inputs, or on as many as ``FUZZ_EXAMPLES`` says (`make fuzz`).
Time is not measured: the lines that are executed are counted, and the memory that is taken.
"""

from __future__ import annotations

import ast
import copy
import gc
import json
import os
import re
import string
import sys
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import otp_enroll
from otp_enroll import Enroller, Override, StoredEnrollment, errors
from otp_enroll.core.redacted import Redacted
from otp_enroll.core.secret import Secret, decode_base32, encode_base32, suggest
from otp_enroll.core.typed_text import (
    MAX_CODE_TEXT,
    MAX_KEY_TEXT,
    clean_label,
    clean_name,
    read_code,
    read_key,
)
from otp_enroll.messages import text as told
from otp_enroll.provisioning.uri import MAX_URI, ProvisioningURI, build, parse
from otp_enroll.storage import codec, document
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "300"))
SOURCE: Final = Path(otp_enroll.__file__).parent
GOLDEN: Final = Path(__file__).parents[1] / "storage" / "golden"
USER: Final = "user-42"
VOUCHED: Final = Override(actor="help desk", reason="re-authenticated")

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

first_found = settings(phases=[Phase.generate], max_examples=500, deadline=None)

# --- what a refusal may say ---


@cache
def own_words() -> frozenset[str]:
    """Return the words of all texts in the library's source, but for its docstrings.

    The names of what a document holds stand there as keywords, and not as texts.
    """
    words = {
        name
        for module in (codec, document)
        for shape in vars(module).values()
        if isinstance(shape, document.Shape)
        for name in shape._names
    }
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        docstrings = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
        for one in ast.walk(tree):
            if isinstance(one, ast.Constant) and id(one) not in docstrings:
                words |= {*re.findall(r"\w+", str(one.value))}
    return frozenset(words)


def strange_words(sentence: str) -> set[str]:
    """Return what a sentence has that is neither the library's own word nor a short number.

    A position, a length and the number of a character or of a day are short; a code is not.
    """
    sentence = re.sub(r"U\+[0-9A-F]{4,6}|\.days\.\d{1,18} ", " ", sentence)
    return {word for word in re.findall(r"\w+", sentence) if not is_own(word)}


def is_own(word: str) -> bool:
    return word in own_words() or re.fullmatch("[0-9]{1,5}", word) is not None


def check_refusal(refusal: BaseException, *secrets: str) -> None:
    """See that an error is in the library's own words, drags nothing along and hides its input."""
    assert not strange_words(str(refusal)), ascii(str(refusal))
    assert refusal.__cause__ is None
    assert refusal.__context__ is None
    shown = "".join(
        repr(value)
        for frame, _ in traceback.walk_tb(refusal.__traceback__)
        if frame.f_code.co_filename.startswith(str(SOURCE))
        for value in frame.f_locals.values()
    ).replace(str(refusal), "")
    assert [one for one in secrets if len(one) > 16 and one in shown] == []


Refusals = tuple[type[Exception], ...]


def tried(act: Callable[[], Any], kinds: Refusals = (ValueError,)) -> tuple[Any, Exception | None]:
    """Return what came of an act, or the documented error; any other one is raised."""
    try:
        return act(), None
    except UnicodeError:
        raise  # it is a ValueError, and shows the text
    except kinds as refusal:
        return None, refusal


def test_a_sentence_of_strange_words_is_noticed() -> None:
    """The look for what was repeated is not blind: it knows a word, a code and a key."""
    assert strange_words("the URI names two issuers") == set()
    assert strange_words("character 17 is not one of A-Z and 2-7") == set()
    assert strange_words("the issuer zq17 names 287082") == {"zq17", "287082"}
    assert strange_words("JBSWY3DPEHPK3PXP is no key") == {"JBSWY3DPEHPK3PXP"}


# --- strange texts ---

PIECES: Final = (
    *("%", "%2", "%zz", "%ff%fe", "%25", "%3A", "%00", "+", "&", "=", "&&", "?", "#", "/", ":"),
    *(" ", "\t", "\n", "\0", "\x7f", "\u200c", "\u200f", "\u202e", "\ufeff", "\ud800", "\udfff"),
    *("é", "e\u0301", "ﬀ", "İ", "ß", "😀", "۱۲۳", "٤٥٦", "７８９", "²", "①", "Ⅷ", "一"),
    *("0", "1", "8", "-1", "1_0", "1e9", "9" * 30, "0x10", "NaN", "null", "true", "[]", "{}", '"'),
    *("secret=", "issuer=", "counter=", "digits=", "otpauth://", "A" * 16, "a" * 8, "=" * 7),
)
anything = st.one_of(
    st.text(),
    st.text(st.characters(exclude_categories=[])),  # lone surrogates, too
    st.binary().map(lambda raw: raw.decode("latin-1")),
    st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
)


@st.composite
def edited(draw: st.DrawFn, text: str, edits: int = 3) -> str:
    """Cut pieces out of a text, double them, or put strange ones in."""
    for _ in range(draw(st.integers(0, edits))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 6)))
        middle = draw(
            st.one_of(st.just(""), st.just(text[start:end] * 2), st.sampled_from(PIECES), anything)
        )
        text = text[:start] + middle + text[end:]
    return text


keys = st.binary(min_size=16, max_size=32)
DROPPED: Final = tuple(" -\t\n\u00a0\u2011\u200b\u200f\u202a\u2066\u2069\ufeff")
SCRIPTS: Final = ("0123456789", "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９")


@st.composite
def spelt(draw: st.DrawFn, text: str) -> str:
    """Write a text as people may: any case, any digits, spaces and marks between."""
    scripts = draw(st.lists(st.sampled_from(SCRIPTS), min_size=1, max_size=4))
    letters = [
        scripts[n % len(scripts)][int(letter)] if letter.isdigit() else letter
        for n, letter in enumerate(draw(st.sampled_from([text, text.lower(), text.title()])))
    ]
    for _ in range(draw(st.integers(0, 8))):
        place = draw(st.integers(0, len(letters)))
        letters.insert(place, draw(st.sampled_from(DROPPED)))
    return "".join(letters)


# --- provisioning URIs ---

names = st.one_of(st.sampled_from(["Exir", "sara@example.com", "سارا"]), anything)
GOOD: Final[dict[str, tuple[str, ...]]] = {
    "algorithm": ("SHA1", "sha256", "SHA512"),
    "digits": ("6", "7", "8"),
    "period": ("30", "1", "120"),
    "counter": ("0", "7", "9" * 18),
}
SPOILT: Final = {
    "secret": ("", "A", "AAAAAAAA", "A" * 600, "1" * 32),
    "issuer": ("", "zq17", "a:b", "%E2%80%AE", "x" * 65),
    "algorithm": ("MD5", "", "zq17"),
    "digits": ("5", "9", "06", "", "٦", "9" * 30, "zq17"),
    "period": ("0", "121", "-30", "1_0", "zq17"),
    "counter": ("9" * 19, "zq17", "", "-1"),
}


@st.composite
def near_uris(draw: st.DrawFn) -> tuple[str, str]:
    """Make a good URI, spoil it in up to two ways, and return its key beside it."""
    key = encode_base32(draw(keys))
    kind = draw(st.sampled_from(["totp", "hotp"]))
    account = "sara%40example.com"
    pairs = {name: draw(st.sampled_from(values)) for name, values in GOOD.items()}
    pairs.update(secret=key, issuer="Exir")
    after = ""
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(pairs))) if pairs else "secret"
        match draw(st.sampled_from(["value", "any value", "gone", "twice", "account", "kind"])):
            case "value":
                pairs[name] = draw(st.sampled_from(SPOILT[name]))
            case "any value":
                pairs[name] = quote(draw(anything), safe="", errors="replace")
            case "gone":
                pairs.pop(name, None)
            case "twice":
                after += f"&{draw(st.sampled_from([name, 'image', '']))}={draw(anything)}"
            case "account":
                account = quote(draw(names), safe="", errors="replace")
            case _:
                kind = draw(st.sampled_from(["TOTP", "motp", ""]))
    query = "&".join(f"{name}={value}" for name, value in pairs.items()) + after
    prefix = draw(st.sampled_from(["Exir:", "Exir%3a", "", ":"]))
    uri = f"otpauth://{kind}/{prefix}{account}?{query}"
    return (draw(edited(uri)) if draw(st.booleans()) else uri), key


def no_uri(text: str) -> tuple[str, str]:
    return text, "\0"


def reading(uri: str) -> ProvisioningURI | None:
    with suppress(ValueError):
        return parse(uri)
    return None


@pytest.mark.requirement("R-23", "R-25", "R-35")
@pytest.mark.regression_of("B-32")
@fuzzed
@given(st.integers(0, 4).flatmap(lambda n: near_uris() if n else anything.map(no_uri)))
def test_any_uri_is_read_or_refused(made: tuple[str, str]) -> None:
    """A text is a URI, with one canonical spelling, or a ValueError that repeats nothing of it."""
    uri, key = made
    read, refusal = tried(lambda: parse(uri))
    if refusal is not None:
        check_refusal(refusal, key, uri)
        return
    written = rewritten(read)
    again = parse(written)
    assert rewritten(again) == written
    assert (again.secret, again.account_name) == (read.secret, read.account_name)
    assert again.issuer == (read.issuer or "Exir")
    assert key not in repr(read)


def rewritten(read: ProvisioningURI) -> str:
    return build(
        read.secret,
        issuer=read.issuer or "Exir",
        account_name=read.account_name,
        parameters=read.parameters,
        counter=read.counter,
    )


def test_fire_on_uris_hits_both_sides() -> None:
    """Some of the made URIs are read, of both types, and some are refused at the last step."""
    conditions: list[Callable[[tuple[str, str]], bool]] = [
        lambda made: kind_of(made[0]) == "totp",
        lambda made: kind_of(made[0]) == "hotp",
        lambda made: made[1] in made[0] and kind_of(made[0]) is None,
    ]
    for condition in conditions:
        assert find(near_uris(), condition, settings=first_found)


def kind_of(uri: str) -> str | None:
    read = reading(uri)
    return None if read is None else read.parameters.type


# --- codes, recovery codes, names ---

codes = st.one_of(
    st.text(string.digits, min_size=6, max_size=8),
    st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=24, max_size=24),
)


@pytest.mark.requirement("R-33", "R-34", "R-37", "R-40")
@pytest.mark.regression_of("B-03", "B-30")
@fuzzed
@given(st.data())
def test_every_spelling_leads_to_the_code(data: st.DataObject) -> None:
    """However a code is spelt, it is read as what it is, and reading again changes nothing."""
    code = data.draw(codes)
    typed = read_code(data.draw(spelt(code)))
    assert (typed.reveal(), typed.kind == "code") == (code.encode(), len(code) <= 8)
    assert read_code(typed.reveal().decode()) == typed


@pytest.mark.requirement("R-35", "R-36")
@pytest.mark.regression_of("B-30", "B-31")
@fuzzed
@given(st.data())
def test_a_spoilt_code_is_another_code_or_malformed(data: st.DataObject) -> None:
    """What is read of a spoilt code is ASCII of an allowed length, or nothing; never an error."""
    for read in (read_code, read_key):
        typed: Any = read(data.draw(edited(data.draw(spelt(data.draw(codes))))))
        assert typed.kind in {"code", "recovery_code", "key", "malformed"}
        if typed.kind in {"code", "recovery_code"}:
            assert re.fullmatch(rb"[0-9]{6,8}|[0-9A-HJKMNP-TV-Z]{24}", typed.reveal())
        again = read(typed.reveal().decode("utf-8", "surrogatepass"))
        assert (again.kind, again.reveal()) == (typed.kind, typed.reveal())


@pytest.mark.requirement("R-16", "R-21")
@fuzzed
@given(names, st.sampled_from([clean_name, clean_label]))
def test_any_name_is_cleaned_or_refused(text: str, clean: Callable[[str, str], str]) -> None:
    """A name has a form that cleaning leaves alone, or a ValueError that repeats nothing of it."""
    name, refusal = tried(lambda: clean(text, "name"))
    if refusal is not None:
        assert not strange_words(str(refusal))
        return
    assert clean(name, "name") == name


# --- Base32 ---


@pytest.mark.requirement("R-08", "R-10")
@fuzzed
@given(keys, st.data())
def test_every_spelling_leads_to_the_key(raw: bytes, data: st.DataObject) -> None:
    """However a key is spelt and padded, it decodes to its bytes."""
    key = encode_base32(raw)
    padding = data.draw(st.sampled_from(["", "=", "=" * (-len(key) % 8)]))
    assert decode_base32(data.draw(spelt(key)) + padding) == raw


@pytest.mark.requirement("R-10", "R-11")
@fuzzed
@given(keys, st.data())
def test_a_spoilt_key_is_another_key_or_refused(raw: bytes, data: st.DataObject) -> None:
    """A text decodes to bytes that are written as it, or is a ValueError that repeats nothing."""
    text = data.draw(st.one_of(edited(encode_base32(raw)), anything))
    for guess in suggest(text):
        assert encode_base32(decode_base32(guess)) == guess
    decoded, refusal = tried(lambda: decode_base32(text))
    if refusal is not None:
        check_refusal(refusal, encode_base32(raw), text)
        return
    assert encode_base32(decoded) == read_key(text).text


@pytest.mark.requirement("R-12")
@fuzzed
@given(keys, st.data())
def test_any_copy_is_compared(raw: bytes, data: st.DataObject) -> None:
    """Whatever is typed as a copy, the answer is groups that there are, and none for the key."""
    secret = Secret(raw)
    assert secret.differing_groups(read_key(data.draw(spelt(secret.base32))).text) == ()
    typed = read_key(data.draw(edited(secret.base32))).text
    groups = secret.differing_groups(typed)
    assert list(groups) == sorted(set(groups) & set(range(1, MAX_KEY_TEXT // 4 + 1)))
    assert not groups or typed != secret.base32


# --- documents ---

RECORDS: Final = tuple(
    StoredEnrollment(**json.loads(path.read_text("utf-8")))
    for path in sorted(GOLDEN.glob("*.json"))
)
wild = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([2**31, 2**62, 2**63, -(2**63), 10**18, 10**400, 253_402_300_800]),
        st.floats(allow_nan=True, allow_infinity=True),
        st.sampled_from(PIECES),
        st.text(max_size=8),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=4,
)


def holders(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a tree: what holds it, and the key or index."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    for key in keys:
        yield tree, key
        if isinstance(tree[key], (dict, list)):
            yield from holders(tree[key])


def like(value: Any) -> st.SearchStrategy[Any]:
    """Make another value of the same type, and a strange one."""
    if isinstance(value, str):
        return st.just("\ud800") | st.sampled_from([*PIECES, value[:-1], value + "A", "zq17"])
    if type(value) is int:
        return st.sampled_from([value + 1, -1, 0, 121, 2**31, 2**62, 2**63, 253_402_300_800])
    return st.just(not value) if isinstance(value, bool) else wild


def change(draw: st.DrawFn, tree: Any) -> None:
    """Spoil one place of a tree: another type, gone, doubled, nested, swapped."""
    holder, key = draw(st.sampled_from(list(holders(tree))))
    match draw(
        st.sampled_from(["another", "like", "like", "gone", "doubled", "nested", "swapped"])
    ):
        case "another":
            holder[key] = draw(wild)
        case "like":
            holder[key] = draw(like(holder[key]))
        case "gone":
            del holder[key]
        case "doubled" if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case "doubled":
            holder[draw(st.sampled_from([*holder, "of a newer version"]))] = holder[key]
        case "nested":
            holder[key] = draw(st.sampled_from([[holder[key]], {"x": holder[key]}]))
        case _:
            other, place = draw(st.sampled_from(list(holders(tree))))
            holder[key] = copy.deepcopy(other[place])


@st.composite
def near_records(
    draw: st.DrawFn, records: tuple[StoredEnrollment, ...] = RECORDS
) -> StoredEnrollment:
    """Spoil a good record: values of its tree, its text, its columns."""
    record = draw(st.sampled_from(records))
    tree = json.loads(record.document)
    for _ in range(draw(st.integers(0, 3))):
        if tree:
            change(draw, tree)
    text = json.dumps(tree, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 3)) == 0:
        text = draw(edited(text))
    if draw(st.integers(0, 3)) == 0:
        record = replace(
            record,
            state=draw(st.sampled_from(["disabled", "pending", "confirmed", ""])),
            setup_expires_at=draw(st.sampled_from([None, 0, 2**63, record.setup_expires_at])),
            changed_at=draw(st.sampled_from([0, -1, 2**63])),
        )
    return replace(record, document=text)


def rewritten_record(record: StoredEnrollment) -> StoredEnrollment:
    enrollment, envelope = codec.decode(record)
    return codec.encode(
        enrollment,
        envelope,
        user_id=record.user_id,
        revision=record.revision,
        replaces=None,
        changed_at=record.changed_at,
    )


@pytest.mark.requirement("R-93")
@fuzzed
@given(near_records())
def test_any_record_is_read_or_refused(record: StoredEnrollment) -> None:
    """A record is one of ours, with one canonical form, or an error of where and not of what."""
    first, refusal = tried(
        lambda: rewritten_record(record), (errors.CorruptRecordError, errors.RecordTooNewError)
    )
    if refusal is not None:
        check_refusal(refusal, record.document)
        return
    assert rewritten_record(first) == first
    assert codec.decode(first)[0] == codec.decode(record)[0]


@fuzzed
@given(anything | wild.map(repr) | st.binary().map(lambda raw: "{" + raw.decode("latin-1") + "}"))
def test_any_text_is_no_document(text: str) -> None:
    """Text that nobody made of a document is refused as damage, whatever it is."""
    with pytest.raises((errors.CorruptRecordError, errors.RecordTooNewError)) as refusal:
        codec.decode(replace(RECORDS[0], document=text))
    assert not strange_words(str(refusal.value))


def test_fire_on_records_hits_both_sides() -> None:
    """Some of the spoilt records are read though they are not as written, and some are refused."""
    originals = {record.document for record in RECORDS}

    def is_read(record: StoredEnrollment) -> bool:
        with suppress(errors.StorageError):
            return bool(codec.decode(record)) and record.document not in originals
        return False

    def is_refused(record: StoredEnrollment) -> bool:
        return record.state != "" and not is_read(record)

    for condition in (is_read, is_refused):
        find(near_records(), condition, settings=first_found)  # it raises if there is none


class Account:
    """A confirmed account with a setup beside, whose holder knows all that there is to know."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.cipher = AESGCMKeyRing({"2026": bytes(range(32))})
        store = MemoryStore()
        enroller = self.enroller(store)
        first = enroller.begin(USER, account_name="sara")
        pending = store.load(USER)
        self.phone = FakeAuthenticator(first.uri, self.clock)
        done = enroller.confirm(USER, self.phone.code(), setup_id=first.id)
        self.codes = list(done.recovery_codes or ())
        self.clock.advance(60)
        second = enroller.begin(USER, account_name="sara", authenticator="tablet", proof=VOUCHED)
        self.setup_ids = (first.id, second.id)
        self.tablet = FakeAuthenticator(second.uri, self.clock)
        staged = store.load(USER)
        assert pending is not None
        assert staged is not None
        self.records = (pending, staged)

    def enroller(self, store: MemoryStore) -> Enroller:
        """Build an enroller that never waits."""
        return Enroller(
            store, issuer="Exir", cipher=self.cipher, clock=self.clock, sleep=lambda seconds: None
        )

    def calls(self, enroller: Enroller) -> Iterator[Callable[[], object]]:
        """Yield each verb, with what would be right for the record before it was spoilt."""
        code, new = self.phone.code(), self.tablet.code()
        yield lambda: enroller.status(USER)
        yield lambda: enroller.verify(USER, code)
        yield lambda: enroller.verify(USER, self.codes[0])
        yield lambda: enroller.verify(USER, "0" * 6)
        yield lambda: enroller.rename(USER, "default", "phone")
        yield lambda: enroller.begin(USER, account_name="sara", proof=VOUCHED)
        yield lambda: enroller.begin(USER, account_name="s", authenticator="default", proof=code)
        yield lambda: enroller.regenerate_recovery_codes(USER, proof=VOUCHED)
        yield lambda: enroller.disable(USER, proof=VOUCHED, authenticator="tablet")
        yield lambda: enroller.disable(USER, proof=code)
        yield enroller.purge_expired
        yield enroller.reseal
        for setup_id in self.setup_ids:
            yield lambda setup_id=setup_id: enroller.resume(USER, setup_id=setup_id)  # type: ignore[misc]  # bound now
            yield lambda setup_id=setup_id: enroller.confirm(USER, new, setup_id=setup_id)  # type: ignore[misc]  # the same
            yield lambda setup_id=setup_id: enroller.confirm(USER, code, setup_id=setup_id)  # type: ignore[misc]  # the same
            yield lambda setup_id=setup_id: enroller.check_key_copy(  # type: ignore[misc]  # the same
                USER, "AAAA", setup_id=setup_id
            )
            yield lambda setup_id=setup_id: enroller.cancel(USER, setup_id=setup_id)  # type: ignore[misc]  # the same
        yield lambda: enroller.erase(USER, proof=VOUCHED)


@cache
def account() -> Account:
    return Account()


@pytest.mark.requirement("R-62", "R-93")
@settings(fuzzed, max_examples=max(EXAMPLES // 2, 30))
@given(near_records(account().records))
def test_any_record_gets_an_answer_from_every_verb(record: StoredEnrollment) -> None:
    """Whatever a row holds, each verb answers, or refuses with an error that has its text."""
    known = account()
    for number, _ in enumerate(known.calls(known.enroller(MemoryStore()))):
        store = MemoryStore()
        assert store.save(record, expected=None)
        call = list(known.calls(known.enroller(store)))[number]
        refusal: Any = None
        try:
            call()
        except errors.EnrollmentError as error:
            refusal = error
        assert refusal is None or told(refusal, locale="fa")
        written = store.load(USER)
        assert written in {None, record} or codec.decode(written)


# --- long inputs: work and memory ---

SHORT: Final = 100_000
LONG: Final = 1_000_000
MEMORY_OF_A_REFUSAL: Final = 100_000
"""Bytes that a reader may take that refuses for the length."""
LINES_A_CHARACTER: Final = 100
"""Executed for each character of a text that is not too long."""

KINDS: Final = {
    "digits": "7",
    "persian digits": "۷",
    "letters": "A",
    "small letters": "k",
    "spaces": " ",
    "zero width": "\u200b",
    "combining marks": "\u0301\u0323",
    "surrogates": "\ud800",
    "astral": "😀",
    "padding": "=",
    "percents": "%",
    "encoded": "%C3%A9",
    "separators": "&secret=",
    "colons": ":",
    "nul": "\0",
    "new lines": "\n",
}
READERS: Final[dict[str, tuple[Callable[[str], object], int, str]]] = {
    "parse": (parse, MAX_URI, "{}"),
    "parse a label": (parse, MAX_URI - 30, "otpauth://totp/{}?secret=A"),
    "parse a query": (parse, MAX_URI - 30, "otpauth://totp/x?secret={}"),
    "read_code": (read_code, MAX_CODE_TEXT, "{}"),
    "read_key": (read_key, MAX_KEY_TEXT, "{}"),
    "decode_base32": (decode_base32, MAX_KEY_TEXT, "{}"),
    "suggest": (suggest, MAX_KEY_TEXT, "{}"),
    "clean_name": (lambda text: clean_name(text, "name"), 256, "{}"),
    "clean_label": (lambda text: clean_label(text, "name"), 512, "{}"),
}
"""What reads, the longest text that it looks into, and what that text stands in."""


def outcome_of(act: Callable[[], object]) -> object:
    """Do what may be refused, and return what came of it."""
    done, refusal = tried(act, (ValueError, errors.StorageError))
    assert refusal is None or not strange_words(str(refusal))
    return done or refusal


def lines_of(act: Callable[[], object]) -> int:
    """Count the lines of the library and of Python's own modules that an act executes."""
    outcome_of(act)  # caches of the first time are no part of it
    lines = 0

    def count(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    gc.disable()  # who is called back by the collector has lines, too
    sys.settrace(count)
    try:
        outcome_of(act)
    finally:
        sys.settrace(before)  # coverage's own
        gc.enable()
    return lines


def memory_of(act: Callable[[], object]) -> int:
    """Return the most bytes that an act held at once, besides what was there before."""
    outcome_of(act)  # caches of the first time are no part of it
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        outcome_of(act)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_counters_of_work_count() -> None:
    """Ten times the work is ten times the lines, and what is held is seen."""

    def work(size: int) -> Callable[[], object]:
        return lambda: [n for n in range(size) if n % 2]

    assert lines_of(work(1000)) > 9 * lines_of(work(100)) > 900
    assert memory_of(lambda: bytearray(LONG)) >= LONG


@pytest.mark.requirement("R-36", "R-62")
@pytest.mark.regression_of("B-41")
@pytest.mark.parametrize("reader", READERS)
def test_a_long_text_costs_no_more_than_a_short_one(reader: str) -> None:
    """A reader looks at the length first: a megabyte costs the lines of a tenth, and no memory."""
    read, longest, frame = READERS[reader]
    for kind, piece in KINDS.items():
        short, long, most = (
            frame.format((piece * (size // len(piece) + 1))[:size])
            for size in (SHORT, LONG, longest)
        )
        assert lines_of(lambda: read(long)) == lines_of(lambda: read(short)), kind  # noqa: B023  # called now
        assert lines_of(lambda: read(most)) <= LINES_A_CHARACTER * longest, kind  # noqa: B023  # the same
        assert memory_of(lambda: read(long)) <= MEMORY_OF_A_REFUSAL, kind  # noqa: B023  # the same


def padded(key: str, value: Callable[[int], object], size: int) -> str:
    """Write a document of about a size: a good one whose value is as long as it takes."""
    tree = json.loads(account().records[1].document)
    unit = len(json.dumps(value(20))) - len(json.dumps(value(10)))
    target = tree
    *way, last = key.split(".")
    for step in way:
        target = target[int(step)] if step.isdigit() else target.setdefault(step, {})
    target[int(last) if last.isdigit() else last] = value(size * 10 // max(unit, 1))
    return json.dumps(tree)


def authenticators(count: int) -> list[object]:
    (one,) = json.loads(account().records[1].document)["authenticators"]
    return [{**one, "name": f"n{n}"} for n in range(count)]


BIG: Final[dict[str, tuple[str, Callable[[int], object]]]] = {
    "long extra text": ("x", lambda size: "é" * size),
    "long name": ("setup.name", lambda size: "\u200f" * size),
    "lone surrogates": ("setup.issuer", lambda size: "\ud800" * size),
    "long base64": ("setup.sealed", lambda size: "A" * (size // 4 * 4)),
    "no base64": ("setup.sealed", lambda size: "=" * size),
    "many keys": ("x", lambda size: {f"k{n}": n for n in range(size)}),
    "many top keys": ("authenticators.0", lambda size: {f"k{n}": n for n in range(size)}),
    "many days": (
        "budgets.code.days",
        lambda size: {str(n): 1 for n in range(10**6, 10**6 + size)},
    ),
    "no days": ("budgets.code.days", lambda size: {"x" * size: 1}),
    "many authenticators": ("authenticators", authenticators),
    "many nulls": ("authenticators", lambda size: [None] * size),
    "long trail": ("trail", lambda size: ["0" * 12] * size),
    "many codes": ("recovery.spent", lambda size: "0" * size),
    "shallow lists": ("x", lambda size: [[]] * size),
    "numbers": ("x", lambda size: [10**15] * size),
}


def decoded(text: str) -> object:
    record = account().records[1]
    return codec.decode(replace(record, document=text))


@pytest.mark.parametrize("name", BIG)
def test_work_on_a_big_document_is_linear(name: str) -> None:
    """Ten times the document costs at most ten times the lines, and memory in proportion."""
    key, value = BIG[name]
    short, long = (padded(key, value, size) for size in (SHORT, LONG))
    assert LONG // 2 < len(long) < 3 * LONG
    most = 11 * len(long) // len(short) // 10 + 1
    assert lines_of(lambda: decoded(long)) <= most * lines_of(lambda: decoded(short)) + 1000
    memory = memory_of(lambda: decoded(long))
    assert memory <= 64 * len(long)
    assert memory <= 2 * most * memory_of(lambda: decoded(short))


HOSTILE: Final = {
    "lists in lists": "[" * LONG,
    "closed lists": "[" * (LONG // 2) + "]" * (LONG // 2),
    "objects in objects": '{"x":' * (LONG // 5),
    "an endless number": '{"schema":' + "9" * LONG + "}",
    "an endless fraction": '{"schema":1,"min_reader":1,"trail":[],"x":1.' + "9" * LONG + "}",
    "an endless exponent": '{"schema":1,"min_reader":1,"trail":[],"x":1e' + "9" * LONG + "}",
    "an endless text": '"' + "x" * LONG,
    "escapes": '{"schema":"' + "\\ud800" * (LONG // 6) + '"}',
    "white space": " " * LONG,
    "one key, often": "{" + '"schema":0,' * (LONG // 11) + '"schema":0}',
    "commas": "[" + "," * LONG,
}


@pytest.mark.regression_of("B-41")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_at_its_size(name: str) -> None:
    """A megabyte made to exhaust a parser is damage, for a few lines and a little memory."""
    text = HOSTILE[name]
    plain = replace(RECORDS[0], state="disabled", setup_expires_at=None, document=text)
    if name == "an endless fraction":  # it is a number like others
        assert rewritten_record(plain).document
    else:
        with pytest.raises(errors.CorruptRecordError):
            codec.decode(plain)
    assert lines_of(lambda: codec.decode(plain)) <= 5000
    assert memory_of(lambda: codec.decode(plain)) <= 64 * len(text)


def test_the_deepest_document_that_is_read_can_be_written() -> None:
    """There is no depth that the reader takes and the writer does not."""
    record = account().records[1]

    def nested(depth: int) -> StoredEnrollment:
        return replace(record, document=record.document[:-1] + f',"x":{"[" * depth}{"]" * depth}}}')

    def is_read(depth: int) -> bool:
        with suppress(errors.CorruptRecordError):
            codec.decode(nested(depth))
            return True
        return False

    shallow, deep = 1, LONG
    while shallow + 1 < deep:
        middle = (shallow + deep) // 2
        shallow, deep = (middle, deep) if is_read(middle) else (shallow, middle)
    assert shallow > 100
    assert codec.decode(rewritten_record(nested(shallow - 20)))


def test_what_was_typed_is_held_in_a_redacted_type() -> None:
    """Also a megabyte is: no reader gives back plain text that a log could show."""
    assert isinstance(read_code("1" * LONG), Redacted)
    assert isinstance(read_key("A" * LONG), Redacted)
