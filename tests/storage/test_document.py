"""The document of an account: what is kept of unknown keys, what is damage, and what none shows."""

from __future__ import annotations

import base64
import copy
import json
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.flows import USER
from helpers.records import (
    CONFIRMED,
    MAX_TIME,
    NOW,
    at,
    changed,
    document,
    in_full,
    json_values,
    refused,
    with_document,
    written,
)
from otp_enroll import Enroller, Override, StoredEnrollment, Unencrypted, errors
from otp_enroll.core.budget import Budgets
from otp_enroll.core.oath import code_at
from otp_enroll.core.secret import Secret
from otp_enroll.core.states import Confirmed
from otp_enroll.errors import CorruptRecordError, RecordTooNewError
from otp_enroll.policy import Parameters
from otp_enroll.storage import document as stored
from otp_enroll.storage.codec import decode
from otp_enroll.storage.document import Shape
from otp_enroll.storage.memory import MemoryStore

pytestmark = pytest.mark.requirement("R-93")
DESK: Final = Override(actor="desk", reason="phone lost")

# --- unknown keys ---


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("setup",),
        ("authenticators", 0),
        ("authenticators", 1),
        ("recovery",),
        ("budgets",),
        ("budgets", "code"),
        ("budgets", "code", "waits"),
        ("budgets", "recovery"),
    ],
    ids=str,
)
def test_unknown_keys_survive_in_every_object(path: tuple[str | int, ...]) -> None:
    """A key that a newer version put into an object is written back where it stood."""
    value = {"kept": [1, "two", {"three": None}]}
    tree = document()
    at(tree, path)["from the future"] = value
    again = json.loads(written(*decode(with_document(tree))).document)
    assert again == tree


def test_unknown_keys_survive_a_verify() -> None:
    """Unknown keys outlive a change of the object in which they stand."""
    enrollment, _ = decode(written())
    assert isinstance(enrollment, Confirmed)
    assert enrollment.recovery is not None
    failed = replace(
        enrollment,
        budgets=enrollment.budgets.with_waits("code", enrollment.budgets.code.waits.fail(NOW)),
        recovery=enrollment.recovery.spend(1),
    )
    tree = document(failed)
    assert tree["budgets"]["code"]["waits"]["of the waits"] == 1.5
    assert tree["budgets"]["of the budgets"] == []
    assert tree["recovery"]["of the codes"] == "x"


def keys_of_the_future(value: Any) -> set[str]:
    """Return which objects of a document still have the key that a newer version gave them."""
    found: set[str] = set()
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            found |= keys_of_the_future(inner)
    return found | ({value["from the future"]} if "from the future" in value else set())


@pytest.mark.parametrize(
    ("act", "gone"),
    [
        (
            lambda it: it.begin(USER, account_name="sara", authenticator="default", proof=DESK),
            "setup",
        ),
        (lambda it: it.disable(USER, authenticator="watch", proof=DESK), "second"),
        (lambda it: it.rename(USER, "default", "phone"), None),
        (lambda it: it.verify(USER, "0" * 24), None),
        (lambda it: it.verify(USER, "271828"), None),
    ],
    ids=["begin", "disable one", "rename", "wrong recovery code", "wrong code"],
)
def test_unknown_keys_live_as_long_as_their_object(
    act: Callable[[Enroller], object], gone: str | None
) -> None:
    """A verb takes away the unknown keys of the object that it ends, and of no other."""
    tree = document(replace(CONFIRMED, budgets=Budgets()))
    tree["budgets"] = {"code": {"waits": {}}, "recovery": {}}
    places = {
        "top": (),
        "first": ("authenticators", 0),
        "second": ("authenticators", 1),
        "setup": ("setup",),
        "recovery": ("recovery",),
        "budgets": ("budgets",),
        "code": ("budgets", "code"),
        "waits": ("budgets", "code", "waits"),
        "other waits": ("budgets", "recovery"),
    }
    for name, place in places.items():
        at(tree, place)["from the future"] = name
    store = MemoryStore()
    assert store.save(with_document(tree), expected=None)
    enroller = Enroller(store, issuer="Exir", cipher=Unencrypted(), clock=lambda: float(NOW))
    with suppress(errors.WrongCodeError):
        act(enroller)
    after = store.load(USER)
    assert after is not None
    assert after.revision != "a" * 32
    assert keys_of_the_future(json.loads(after.document)) == set(places) - {gone}
    enroller.disable(USER, proof=DESK)
    last = store.load(USER)
    assert last is not None
    assert set(json.loads(last.document)) == {"schema", "trail"}


# --- damage ---


def _places(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        found.append((*path, key))
        if isinstance(value, (dict, list)):
            found += _places(value, (*path, key))
    return found


PLACES: Final = [
    place
    for place in _places(in_full())
    if not any(isinstance(step, str) and step.startswith("of the") for step in place)
]
WRONG: Final[dict[type, list[object]]] = {
    int: [None, True, False, "1", 1.0, 1.5, -2, 2**63, [], {}],
    str: [None, True, 1, 1.5, [], {}, ["x"]],
    bool: [None, 0, 1, "true", [], {}],
    list: [None, True, 1, "x", {}],
    dict: [None, True, 1, "x", []],
}


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_wrong_types_are_refused(place: tuple[str | int, ...]) -> None:
    """A value of another type, a bool for a number, or one out of range is damage, at any place."""
    right = at(in_full(), place)
    for wrong in WRONG[type(right)]:
        assert refused(changed(place, wrong)).fault.startswith(f"document{_spelt(place[:1])}")


def _spelt(place: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)


REQUIRED: Final[list[tuple[str | int, ...]]] = [
    ("schema",),
    *[("authenticators", 0, name) for name in ("id", "sealed", "last_counter", "confirmed_at")],
    *[("authenticators", 1, name) for name in ("id", "sealed", "last_counter", "confirmed_at")],
    *[("recovery", name) for name in ("salt", "digests")],
    *[("setup", name) for name in ("id_digest", "authenticator_id", "sealed")],
    *[("setup", name) for name in ("issuer", "account_name", "expires_at")],
]
"""What a document always says."""


@pytest.mark.parametrize("place", REQUIRED, ids=str)
def test_missing_keys_are_refused(place: tuple[str | int, ...]) -> None:
    """A key that is not there and has no default is damage; the error names it."""
    tree = document()
    del at(tree, place[:-1])[place[-1]]
    assert refused(with_document(tree)).fault == f"document{_spelt(place)} is missing"


USUAL: Final[dict[str, object]] = {
    "type": "totp",
    "algorithm": "SHA1",
    "digits": 6,
    "period": 30,
    "name": "default",
    "generation": 1,
    "failures": 0,
    "since": 0,
    "copy_checked": False,
    "spent": "00",
    "locked": False,
    "days": {},
    "waits": {},
    "code": {},
    "recovery": {},
    "budgets": {},
    "min_reader": 1,
    "trail": [],
}
"""What a key that is not there means, by its name."""
UNUSUAL: Final = [
    ("recovery",),
    ("setup",),
    ("authenticators",),
    ("authenticators", 0, "last_used_at"),
]
"""Those of which JSON has no value that means the same."""
DAYS: Final = ("budgets", "code", "days")
LEFT_OUT: Final = [
    place
    for place in PLACES
    if isinstance(place[-1], str)
    and place not in REQUIRED
    and place not in UNUSUAL
    and place[:-1] != DAYS
    and place != ("authenticators", 1, "name")  # there cannot be a second "default"
]


def test_every_row_is_tested() -> None:
    """The document that the tests here change has every key that the library writes."""
    shapes = [found for found in vars(stored).values() if isinstance(found, Shape)]
    rows = {name for shape in shapes for name, *_ in shape._rows}
    keys = {place[-1] for place in PLACES if isinstance(place[-1], str) and place[:-1] != DAYS}
    assert keys == rows | {"schema", "min_reader", "trail"}
    assert keys == {str(place[-1]) for place in [*REQUIRED, *UNUSUAL, *LEFT_OUT]}


@pytest.mark.parametrize("place", LEFT_OUT, ids=str)
def test_missing_keys_mean_the_usual(place: tuple[str | int, ...]) -> None:
    """A key that may be left out means one value, and that value is left out when it is written."""
    name = str(place[-1])
    tree = in_full()
    del at(tree, place[:-1])[name]
    without = decode(with_document(tree))
    assert without == decode(changed(place, USUAL[name]))
    assert name not in at(document(*without), place[:-1])


def test_a_document_may_lack_recovery_codes_and_failures() -> None:
    """An account that was confirmed without recovery codes, and of no failure, says neither."""
    tree = document()
    for name in ("recovery", "budgets", "setup"):
        del tree[name]
    record = replace(with_document(tree), setup_expires_at=None)
    enrollment, envelope = decode(record)
    assert enrollment == Confirmed(authenticators=CONFIRMED.authenticators)
    assert (enrollment.recovery, enrollment.budgets) == (None, Budgets())
    assert document(enrollment, envelope) == tree


def test_missing_days_are_another_state_and_not_damage() -> None:
    """A day may be absent from the count: days that left the 30 are dropped."""
    enrollment, _ = decode(changed(("budgets", "code", "days"), {"20834": 7}))
    assert isinstance(enrollment, Confirmed)
    assert enrollment.budgets.code.days == ((20_834, 7),)


def test_a_missing_last_use_is_no_damage() -> None:
    """An authenticator that was never used has no time of use."""
    tree = document()
    del tree["authenticators"][0]["last_used_at"]
    enrollment, _ = decode(with_document(tree))
    assert isinstance(enrollment, Confirmed)
    assert enrollment.authenticators[0].last_used_at is None


TIME_PLACES: Final = [
    ("authenticators", 0, "confirmed_at"),
    ("authenticators", 0, "last_used_at"),
    ("setup", "expires_at"),
]
"""Times that are shown to callers as datetimes."""
OUT_OF_RANGE: Final[list[tuple[tuple[str | int, ...], object]]] = [
    (("schema",), 0),
    (("min_reader",), 0),
    (("authenticators", 0, "last_counter"), -2),
    (("authenticators", 0, "generation"), 0),
    (("authenticators", 0, "confirmed_at"), -1),
    (("authenticators", 0, "type"), "sms"),
    (("authenticators", 0, "algorithm"), "MD5"),
    (("authenticators", 0, "digits"), 5),
    (("authenticators", 0, "digits"), 9),
    (("authenticators", 0, "period"), 0),
    (("authenticators", 0, "period"), 121),
    (("authenticators", 0, "sealed"), "not base64!"),
    (("authenticators", 0, "sealed"), "AAA"),
    *[(("authenticators", 0, "sealed"), f"AHNl{odd}AHNl") for odd in ("\n", " ", "!", "-", "\t")],
    (("authenticators", 0, "sealed"), "é==="),
    (("authenticators", 0, "id"), "\ud800"),
    (("authenticators", 0, "name"), "\ud800"),
    (("authenticators", 0, "name"), "watch"),
    (("authenticators",), []),
    (("authenticators",), [1]),
    (("setup", "account_name"), "\udfff"),
    (("setup", "issuer"), "\udfff"),
    (("setup", "failures"), -1),
    (("setup", "id_digest"), "AAAA"),
    (("recovery", "salt"), "AAAA"),
    (("recovery", "digests"), "AAAA"),
    (("recovery", "digests"), ""),
    (("recovery", "spent"), ""),
    (("recovery", "spent"), "1"),
    (("recovery", "spent"), "100"),
    (("recovery", "spent"), "1x"),
    (("recovery", "spent"), "1\u0661"),
    (("budgets", "code", "waits", "failures"), -1),
    (("budgets", "code", "waits", "since"), -1),
    (("budgets", "code", "days"), {"x": 1}),
    (("budgets", "code", "days"), {"": 1}),
    (("budgets", "code", "days"), {"-1": 1}),
    (("budgets", "code", "days"), {"\u0663": 1}),
    (("budgets", "code", "days"), {"²": 1}),
    (("budgets", "code", "days"), {"1" * 19: 1}),
    (("budgets", "code", "days"), {"1": 0}),
    (("budgets", "code", "days"), {"1": True}),
    (("budgets", "code", "days"), {"7": 1, "07": 1}),
    *[(place, MAX_TIME + 1) for place in TIME_PLACES],
]


@pytest.mark.parametrize(
    ("place", "value"),
    OUT_OF_RANGE,
    ids=lambda part: str(part).encode("ascii", "backslashreplace").decode(),
)
def test_impossible_values_are_refused(place: tuple[str | int, ...], value: object) -> None:
    """A value of the right type that the library never writes is damage."""
    record = changed(place, value)
    if place == ("setup", "expires_at"):
        assert isinstance(value, int)
        record = replace(record, setup_expires_at=value)
    assert refused(record).fault


def test_a_lost_part_does_not_switch_otp_off() -> None:
    """A confirmed account whose authenticators are lost is damaged, and not disabled."""
    tree = document()
    columns: dict[str, Any]
    for lost, columns in (
        ({"authenticators"}, {"state": "pending"}),
        ({"authenticators", "setup"}, {"state": "disabled", "setup_expires_at": None}),
        ({"authenticators", "setup", "recovery"}, {"state": "disabled", "setup_expires_at": None}),
        ({"authenticators", "budgets"}, {"state": "pending"}),
    ):
        left = with_document({key: value for key, value in tree.items() if key not in lost})
        for record in (left, replace(left, **columns)):
            fault = refused(record).fault
            assert fault == "document has parts of a confirmed account and no authenticators"
    for left_over in ({"setup": tree["setup"]}, {}):
        assert "column state" in refused(with_document({"schema": 1} | left_over)).fault


@pytest.mark.requirement("R-62")
@pytest.mark.parametrize("act", ["code", "recovery code", "begin"])
def test_a_count_at_its_end_can_be_read_after_one_more(act: str) -> None:
    """Where damage made a count as large as is read, counting on leaves a row that is read."""
    store = MemoryStore()
    enroller = Enroller(store, issuer="Exir", cipher=Unencrypted(), clock=lambda: float(NOW))
    setup = enroller.begin(USER, account_name="sara@example.com")
    code = code_at(Secret.from_base32(setup.key), Parameters(), NOW // 30)
    enroller.confirm(USER, code, setup_id=setup.id)
    good = store.load(USER)
    assert good is not None
    tree = json.loads(good.document)
    end = {"failures": 2**62, "since": 0}
    tree["authenticators"][0]["generation"] = 2**62
    days = {str(NOW // 86400): 2**62}
    tree["budgets"] = {"code": {"waits": end, "days": days}, "recovery": end}
    damaged = replace(good, document=json.dumps(tree), revision="f" * 32)
    assert store.save(damaged, expected=good.revision)
    if act == "begin":
        enroller.begin(USER, account_name="sara@example.com", proof=DESK)
    else:
        typed = f"{(int(code) + 1) % 10**6:06d}" if act == "code" else "0" * 24
        with pytest.raises(errors.WrongCodeError):
            enroller.verify(USER, typed)
    after = store.load(USER)
    assert after is not None
    assert after != damaged
    decode(after)


SURROGATES: Final = ["\ud800", "a\udfff", "\udc00\ud800"]


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "raw"])
@pytest.mark.parametrize("lone", SURROGATES, ids=ascii)
def test_half_a_character_is_refused_wherever_it_stands(lone: str, ascii_only: bool) -> None:
    """A surrogate by itself, as a value or a key, ours or unknown, deep or not, is damage."""
    for place in [place for place in PLACES if type(at(in_full(), place)) is str]:
        tree = in_full()
        at(tree, place[:-1])[place[-1]] = lone
        refused(with_document(json.dumps(tree, ensure_ascii=ascii_only)))
    objects = [()] + [place for place in PLACES if type(at(in_full(), place)) is dict]
    for place in objects:
        for unknown in ({lone: 1}, {"new": lone}, {"new": [{"deep": [lone]}]}, {"new": {lone: 1}}):
            tree = in_full()
            at(tree, place).update(unknown)
            fault = refused(with_document(json.dumps(tree, ensure_ascii=ascii_only))).fault
            assert lone not in fault
    tree = in_full()
    tree["trail"] = [lone]
    refused(with_document(json.dumps(tree, ensure_ascii=ascii_only)))


@pytest.mark.parametrize("number", [0xD800, 0xDABC, 0xDBFF, 0xDC00, 0xDDEE, 0xDFFF])
@pytest.mark.parametrize("spell", ["\\u{:04x}", "\\u{:04X}", "{:c}"])
def test_half_a_character_is_refused_however_it_is_spelt(spell: str, number: int) -> None:
    """Both halves of the range, escaped in small or capital letters or in both, or as they are."""
    text = written().document
    for lone in (spell.format(number), spell.format(number).replace("D", "d", 1)):
        fault = refused(with_document(text[:-1] + f',"new":"{lone}"}}')).fault
        assert fault == "document is not JSON, or not encodable"


@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "raw"])
def test_two_halves_are_a_character(ascii_only: bool) -> None:
    """A pair of surrogates is one character, and what only looks like half of one is text."""
    tree = in_full()
    tree["authenticators"][1]["name"] = "📱 \\ud800"
    tree["new"] = {"𝕏 \\udfff": "\\\\ud800"}
    record = with_document(json.dumps(tree, ensure_ascii=ascii_only))
    enrollment, envelope = decode(record)
    assert isinstance(enrollment, Confirmed)
    assert enrollment.authenticators[1].name == "📱 \\ud800"
    assert envelope.extra == {"new": tree["new"]}
    assert decode(written(enrollment, envelope)) == (enrollment, envelope)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_none_are_refused_wherever_they_stand(number: str) -> None:
    """NaN, an infinity, and what is too large for a float is no number, of ours or unknown."""
    for place in [*PLACES, ("new",), ("recovery", "new"), ("budgets", "code", "waits", "new")]:
        tree = in_full()
        at(tree, place[:-1])[place[-1]] = "HERE"
        refused(with_document(json.dumps(tree).replace('"HERE"', number)))


# --- nothing of it is shown ---

SHOWN: Final = {
    "first secret": base64.b64encode(b"\0 sealed first secret").decode(),
    "second secret": base64.b64encode(b"\0 sealed second secret").decode(),
    "staged secret": base64.b64encode(b"\0 sealed staged secret").decode(),
    "setup id": base64.b64encode(bytes(range(32))).decode(),
    "digests": base64.b64encode(bytes(range(64))).decode(),
}
"""What a damaged document of the confirmed state holds that nobody may read."""
RAW: Final = (
    b"sealed first secret",
    b"sealed second secret",
    b"sealed staged secret",
    bytes(range(32)),
    bytes(range(64)),
)


def shown(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:
        return "(no repr)"


def frames_of_the_library(error: BaseException) -> str:
    """Print an error and its causes with the locals of every frame but those of this file."""
    told = ""
    link: BaseException | None = error
    while link is not None:
        told += f"{link!r} {link.args!r} {vars(link)!r}\n"
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if frame.f_code.co_filename != __file__:
                told += f"{frame.f_code.co_name}: {list(map(shown, frame.f_locals.values()))}\n"
        link = link.__cause__ or link.__context__
    return told


def all_damage() -> list[StoredEnrollment]:
    records = [changed(place, wrong) for place, wrong in OUT_OF_RANGE]
    for place in PLACES:
        right = at(in_full(), place)
        records += [changed(place, wrong) for wrong in WRONG[type(right)]]
    text = written().document
    records += [with_document(text.replace('"schema":1', '"schema":1,"min_reader":2'))]
    records += [with_document(text[:-1]), with_document(text + "x"), with_document(f"[{text}]")]
    records += [with_document(text.replace("AHNl", "AHN!")), replace(written(), state="pending")]
    tree = document()
    tree["trail"] = [SHOWN["first secret"], 1]
    records.append(with_document(tree))
    tree = document() | {SHOWN["first secret"]: "\ud800"}
    records += [with_document(json.dumps(tree, ensure_ascii=ascii_)) for ascii_ in (True, False)]
    records.append(with_document(text[:-1] + f',"{SHOWN["first secret"]}":1e999}}'))
    for place in (("recovery", "salt"), ("setup", "issuer"), ("authenticators", 1)):
        records.append(changed(place, SHOWN["first secret"] + "!"))
        records.append(changed(place, [SHOWN["first secret"]]))
        records.append(changed(place, {SHOWN["first secret"]: 1}))
    return records


def test_no_traceback_shows_the_document() -> None:
    """No error about a damaged record, nor a frame below it, shows what the record holds."""
    leaks: set[str] = set()
    seen = 0
    for record in all_damage():
        try:
            decode(record)
        except (CorruptRecordError, RecordTooNewError) as error:
            seen += 1
            told = frames_of_the_library(error)
            leaks |= {name for name, secret in SHOWN.items() if secret[:20] in told}
            leaks |= {str(raw) for raw in RAW if str(raw)[2:-1] in told}
    assert seen > 300
    assert leaks == set()


def test_tracebacks_of_damage_can_be_printed() -> None:
    """No local of a frame that refused a record lacks its repr: printing it must not fail, too."""
    told = ""
    for record in all_damage():
        try:
            decode(record)
        except (CorruptRecordError, RecordTooNewError) as error:
            told += frames_of_the_library(error)
    assert "CorruptRecordError" in told
    assert "RecordTooNewError" in told
    assert "(no repr)" not in told


def test_faults_name_the_place_and_not_the_value() -> None:
    """An error tells where the record is damaged, in words that do not depend on the value."""
    for place in PLACES:
        if type(at(in_full(), place)) is not int:
            continue
        faults = {refused(changed(place, wrong)).fault for wrong in ("one", "two", None)}
        assert len(faults) == 1
    fault = refused(changed(("authenticators", 1, "generation"), "seven")).fault
    assert fault == "document.authenticators[1].generation is not of the type int"


# --- fuzz ---

whole_numbers = st.integers(-3, 2**63) | st.sampled_from([MAX_TIME, MAX_TIME + 1, 2**62])


@st.composite
def damaged_documents(draw: st.DrawFn) -> Any:
    """Take the document of a confirmed account, and change up to three of its places."""
    tree = copy.deepcopy(draw(st.sampled_from([document(), in_full()])))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(PLACES))
        with suppress(KeyError, IndexError, TypeError):
            holder = at(tree, place[:-1])
            if draw(st.booleans()):
                holder[place[-1]] = draw(json_values | whole_numbers)
            else:
                del holder[place[-1]]
    return tree


anything = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {"schema": st.integers(0, 3), "min_reader": st.integers(0, 2), "trail": st.just([])},
        optional=dict.fromkeys(("setup", "authenticators", "recovery", "budgets"), json_values),
    ),
    damaged_documents(),
)
columns = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["disabled", "pending", "confirmed"]),
        "setup_expires_at": st.sampled_from([None, NOW + 900]),
    }
)


@given(anything, columns)
@settings(deadline=None, max_examples=400)
def test_any_document_is_read_or_refused(tree: object, other: dict[str, Any]) -> None:
    """Whatever JSON a record holds, it decodes to a state that can be written, or is refused."""
    record = replace(with_document(tree), **other)
    try:
        enrollment, envelope = decode(record)
    except (CorruptRecordError, RecordTooNewError):
        return
    again, _ = decode(written(enrollment, envelope))
    assert again == enrollment


@given(anything, columns)
@settings(deadline=None, max_examples=200)
def test_any_document_gets_an_answer(tree: object, other: dict[str, Any]) -> None:
    """Whatever JSON a record holds, a verb answers or refuses with an error of the library."""
    store = MemoryStore()
    assert store.save(replace(with_document(tree), **other), expected=None)
    enroller = Enroller(store, issuer="Exir", cipher=Unencrypted(), clock=lambda: float(NOW))
    verbs: list[Callable[[], object]] = [
        lambda: enroller.status(USER),
        lambda: enroller.verify(USER, "123456"),
        lambda: enroller.verify(USER, "0" * 24),
        lambda: enroller.resume(USER, setup_id="x" * 43),
        enroller.purge_expired,
        enroller.reseal,
    ]
    for verb in verbs:
        with suppress(errors.EnrollmentError):
            verb()


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("authenticators", 0, "type"), "hotp", "is a type that this version does not judge"),
        (("authenticators", 0, "id"), "x" * 65, "is too long"),
        (("authenticators", 0, "name"), "x" * 65, "is too long"),
        (("setup", "issuer"), "x" * 65, "is too long"),
        (("setup", "account_name"), "x" * 129, "is too long"),
    ],
)
def test_text_beyond_its_bounds_is_damage(
    path: tuple[str | int, ...], value: str, what: str
) -> None:
    """A name that nothing could show, and a type that nothing judges, are no values of ours."""
    assert refused(changed(path, value)).fault.endswith(what)


def test_one_id_for_two_secrets_is_damage() -> None:
    """Secrets are found by their ids: a staged one must not take the place of a live one."""
    twin = changed(("setup", "authenticator_id"), document()["authenticators"][0]["id"])
    assert refused(twin).fault == "document.authenticators has one id twice"
