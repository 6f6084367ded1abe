"""The stored form: what is written is read back, and what was not written by us is refused."""

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

from otp_enroll import Enroller, Override, StoredEnrollment, Unencrypted, errors
from otp_enroll.core.budget import Budgets, CodeBudget, Waits
from otp_enroll.core.oath import code_at
from otp_enroll.core.recovery import RecoverySet
from otp_enroll.core.secret import Sealed, Secret
from otp_enroll.core.states import (
    Authenticator,
    Confirmed,
    Disabled,
    Enrollment,
    Pending,
    Setup,
    setup_of,
)
from otp_enroll.errors import CorruptRecordError, RecordTooNewError
from otp_enroll.policy import Parameters
from otp_enroll.storage import codec
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.codec import Envelope, decode, encode, seal_context
from otp_enroll.storage.json_reader import Reader
from otp_enroll.storage.memory import MemoryStore

pytestmark = pytest.mark.requirement("R-93")

USER: Final = "user-42"
NOW: Final = 1_800_000_000
LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999: no later time can be told as a datetime."""

# --- values of every state ---

OURS: Final = frozenset(
    {
        *("schema", "min_reader", "trail", "authenticators", "recovery", "budgets", "setup"),
        *("id", "name", "type", "algorithm", "digits", "period", "sealed", "last_counter"),
        *("confirmed_at", "last_used_at", "generation", "id_digest", "authenticator_id"),
        *("issuer", "account_name", "expires_at", "failures", "copy_checked"),
        *("salt", "digests", "spent", "code", "waits", "days", "locked", "since"),
    }
)

texts = st.text(max_size=20)
times = st.integers(0, 200_000_000_000)
counts = st.integers(0, 10_000)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
extras = st.dictionaries(texts.filter(lambda key: key not in OURS), json_values, max_size=2)
parameters = st.builds(
    Parameters,
    type=st.sampled_from(["totp", "hotp"]),
    algorithm=st.sampled_from(["SHA1", "SHA256", "SHA512"]),
    digits=st.integers(6, 8),
    period=st.integers(1, 120),
)
sealed_bytes = st.builds(Sealed, st.binary(min_size=1, max_size=80))
authenticators = st.builds(
    Authenticator,
    id=texts,
    name=texts,
    parameters=parameters,
    sealed=sealed_bytes,
    last_counter=st.integers(-1, 2**40),
    confirmed_at=times,
    last_used_at=st.none() | times,
    generation=st.integers(1, 1000),
    extra=extras,
)
setups = st.builds(
    Setup,
    id_digest=st.binary(min_size=32, max_size=32),
    authenticator_id=texts.map(lambda text: "staged " + text),
    name=texts,
    parameters=parameters,
    sealed=sealed_bytes,
    issuer=texts,
    account_name=texts,
    expires_at=times,
    failures=counts,
    copy_checked=st.booleans(),
    generation=st.integers(1, 1000),
    extra=extras,
)
waits = st.builds(Waits, failures=counts, since=times, extra=extras)
days = st.dictionaries(st.integers(0, 10**6), st.integers(1, 1000), max_size=4).map(
    lambda found: tuple(sorted(found.items()))
)
budgets = st.builds(
    Budgets,
    code=st.builds(CodeBudget, waits=waits, days=days, locked=st.booleans(), extra=extras),
    recovery=waits,
    extra=extras,
)


@st.composite
def recovery_sets(draw: st.DrawFn) -> RecoverySet:
    spent = draw(st.lists(st.booleans(), max_size=12).map(tuple))
    return RecoverySet(
        salt=draw(st.binary(min_size=16, max_size=16)),
        digests=draw(st.binary(min_size=32 * len(spent), max_size=32 * len(spent))),
        spent=spent,
        extra=draw(extras),
    )


confirmed_states = st.builds(
    Confirmed,
    authenticators=st.lists(
        authenticators, min_size=1, max_size=3, unique_by=(lambda one: one.name, lambda one: one.id)
    ).map(tuple),
    recovery=recovery_sets(),
    budgets=budgets,
    setup=st.none() | setups,
)
states: st.SearchStrategy[Enrollment] = st.one_of(
    st.just(Disabled()), st.builds(Pending, setup=setups), confirmed_states
)
revisions = st.text("0123456789abcdef", min_size=32, max_size=32)
envelopes = st.builds(
    Envelope,
    schema=st.integers(1, 9),
    trail=st.lists(revisions.map(lambda revision: revision[:12]), max_size=8).map(tuple),
    extra=extras,
)

# --- records by hand ---

SETUP: Final = Setup(
    id_digest=bytes(range(32)),
    authenticator_id="id of the staged one",
    name="tablet",
    parameters=Parameters(),
    sealed=Sealed(b"\0 sealed staged secret"),
    issuer="Exir",
    account_name="sara@example.com",
    expires_at=NOW + 900,
    failures=3,
    copy_checked=True,
    extra={"of the setup": 1},
)
CONFIRMED: Final = Confirmed(
    authenticators=(
        Authenticator(
            id="id of the first",
            name="default",
            parameters=Parameters(),
            sealed=Sealed(b"\0 sealed first secret"),
            last_counter=60_000_000,
            confirmed_at=NOW,
            last_used_at=NOW,
            generation=1,
            extra={"of the first": [1, {"deep": None}]},
        ),
        Authenticator(
            id="id of the second",
            name="watch",
            parameters=Parameters(algorithm="SHA512", digits=8, period=60),
            sealed=Sealed(b"\0 sealed second secret"),
            last_counter=-1,
            confirmed_at=NOW,
            last_used_at=None,
            generation=2,
        ),
    ),
    recovery=RecoverySet(
        salt=b"0123456789abcdef",
        digests=bytes(range(64)),
        spent=(True, False),
        extra={"of the codes": "x"},
    ),
    budgets=Budgets(
        code=CodeBudget(
            waits=Waits(failures=6, since=NOW, extra={"of the waits": 1.5}),
            days=((20_833, 2), (20_834, 7)),
            locked=True,
            extra={"of the code budget": True},
        ),
        recovery=Waits(failures=1, since=NOW, extra={"of the other waits": 2}),
        extra={"of the budgets": []},
    ),
    setup=SETUP,
)


def written(
    enrollment: Enrollment = CONFIRMED, envelope: Envelope | None = None, changed_at: int = NOW
) -> StoredEnrollment:
    return encode(
        enrollment,
        envelope or Envelope(),
        user_id=USER,
        revision="a" * 32,
        replaces=None,
        changed_at=changed_at,
    )


def document(enrollment: Enrollment = CONFIRMED, envelope: Envelope | None = None) -> Any:
    return json.loads(written(enrollment, envelope).document)


def with_document(changed: object, record: StoredEnrollment | None = None) -> StoredEnrollment:
    text = changed if isinstance(changed, str) else json.dumps(changed)
    return replace(record or written(), document=text)


def at(tree: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def changed(path: tuple[str | int, ...], value: object) -> StoredEnrollment:
    """Write the confirmed state, and put another value at one place of its document."""
    tree = document()
    at(tree, path[:-1])[path[-1]] = value
    return with_document(tree)


def refused(record: StoredEnrollment) -> CorruptRecordError:
    with pytest.raises(CorruptRecordError) as caught:
        decode(record)
    return caught.value


# --- round trip ---


@given(states, envelopes, revisions, times)
@settings(deadline=None, max_examples=150)
def test_every_state_comes_back(
    enrollment: Enrollment, envelope: Envelope, revision: str, changed_at: int
) -> None:
    """What was encoded decodes to an equal state, with the envelope that belongs to it."""
    record = encode(
        enrollment,
        envelope,
        user_id=USER,
        revision=revision,
        replaces=None,
        changed_at=changed_at,
    )
    setup = setup_of(enrollment)
    assert (record.user_id, record.revision, record.changed_at) == (USER, revision, changed_at)
    assert record.setup_expires_at == (None if setup is None else setup.expires_at)
    back, kept = decode(record)
    assert back == enrollment
    expected = Envelope() if isinstance(enrollment, Disabled) else envelope
    assert kept == replace(expected, trail=envelope.trail)


@given(states, envelopes)
@settings(deadline=None, max_examples=50)
def test_reading_and_writing_changes_nothing(enrollment: Enrollment, envelope: Envelope) -> None:
    """A document that is read and written again is the same text."""
    first = written(enrollment, envelope)
    assert first == written(*decode(first))


@pytest.mark.parametrize(
    ("enrollment", "word"),
    [(Disabled(), "disabled"), (Pending(setup=SETUP), "pending"), (CONFIRMED, "confirmed")],
    ids=["disabled", "pending", "confirmed"],
)
def test_state_column(enrollment: Enrollment, word: str) -> None:
    """The state stands in a column of its own, for queries."""
    assert word == written(enrollment).state


def test_a_disabled_document_holds_no_secret() -> None:
    """A disabled account's document is its envelope and nothing else."""
    assert document(Disabled()) == {"schema": 1, "min_reader": 1, "trail": []}


def test_document_is_ascii_json() -> None:
    """The document is ASCII, so that no database's character set can change it."""
    setup = replace(SETUP, name="تبلت 📱", account_name="سارا")
    record = written(Pending(setup=setup))
    assert record.document.isascii()
    assert decode(record)[0] == Pending(setup=setup)


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
    failed = replace(
        enrollment,
        budgets=enrollment.budgets.with_waits("code", enrollment.budgets.code.waits.failed(NOW)),
        recovery=enrollment.recovery.spend(1),
    )
    tree = document(failed)
    assert tree["budgets"]["code"]["waits"]["of the waits"] == 1.5
    assert tree["budgets"]["of the budgets"] == []
    assert tree["recovery"]["of the codes"] == "x"


def test_top_level_unknown_keys_go_at_disable() -> None:
    """A disabled account carries nothing of a newer version, but for the trail."""
    envelope = Envelope(schema=7, trail=("0" * 12,), extra={"from the future": 1})
    assert document(Disabled(), envelope) == {"schema": 1, "min_reader": 1, "trail": ["0" * 12]}
    assert document(Pending(setup=SETUP), envelope)["from the future"] == 1


def test_unknown_numbers_can_be_read_again() -> None:
    """A number too large for a float is refused, or written so that it can be read again."""
    text = document().copy()
    text["from the future"] = "HERE"
    record = with_document(json.dumps(text).replace('"HERE"', "1e999"))
    try:
        enrollment, envelope = decode(record)
    except CorruptRecordError:
        return
    decode(written(enrollment, envelope))


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
    tree["budgets"]["code"] |= {"waits": end, "days": {str(NOW // 86400): 2**62}}
    tree["budgets"]["recovery"] = end
    damaged = replace(good, document=json.dumps(tree), revision="f" * 32)
    assert store.save(damaged, expected=good.revision)
    if act == "begin":
        vouched = Override(actor="desk", reason="phone lost")
        enroller.begin(USER, account_name="sara@example.com", proof=vouched)
    else:
        typed = f"{(int(code) + 1) % 10**6:06d}" if act == "code" else "0" * 24
        with pytest.raises(errors.WrongCodeError):
            enroller.verify(USER, typed)
    after = store.load(USER)
    assert after is not None
    assert after != damaged
    decode(after)


# --- schema numbers ---


@pytest.mark.parametrize("schema", [1, 2, 99])
def test_too_new_a_document_is_refused(schema: int) -> None:
    """A document whose lowest reader is above ours is not touched, whatever else it holds."""
    tree = {"schema": schema, "min_reader": 2, "authenticators": "another form"}
    with pytest.raises(RecordTooNewError) as caught:
        decode(with_document(tree))
    assert caught.value.min_reader == 2


def test_a_newer_schema_that_we_may_read_keeps_its_number() -> None:
    """A newer document that lets us read it is written back under its own schema number."""
    tree = document() | {"schema": 7, "new": 1}
    enrollment, envelope = decode(with_document(tree))
    assert enrollment == CONFIRMED
    again = document(enrollment, envelope)
    assert (again["schema"], again["min_reader"], again["new"]) == (7, 1, 1)


def _rename_recovery(old: dict[str, Any]) -> dict[str, Any]:
    """Make schema 2, in which the recovery codes are called "recovery", of schema 1."""
    new = {key: value for key, value in old.items() if key != "backup_codes"}
    return new | {"recovery": old["backup_codes"]}


def _mark(old: dict[str, Any]) -> dict[str, Any]:
    """Make schema 3, which has a mark, of schema 2."""
    return old | {"mark": "recovery" in old}


def test_older_documents_are_upgraded_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of schema 1 goes through both steps, one of schema 2 through the second."""
    monkeypatch.setattr(codec, "SCHEMA", 3)
    monkeypatch.setattr(codec, "UPGRADES", (_rename_recovery, _mark))
    oldest = document()
    oldest["backup_codes"] = oldest.pop("recovery")
    for tree in (oldest, document() | {"schema": 2}):
        enrollment, envelope = decode(with_document(tree))
        assert enrollment == CONFIRMED
        assert envelope.extra == {"mark": True}
        assert document(enrollment, envelope)["schema"] == 3
    latest = decode(with_document(document() | {"schema": 3}))
    assert latest == (CONFIRMED, Envelope(schema=3))


def test_upgraded_documents_are_written_back_with_the_next_save(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reading does not write; the first verb that writes stores the upgraded document."""
    store = MemoryStore()
    enroller = Enroller(store, issuer="Exir", cipher=Unencrypted(), clock=lambda: float(NOW))
    old = document()
    old["backup_codes"] = old.pop("recovery")
    assert store.save(with_document(old), expected=None)
    monkeypatch.setattr(codec, "SCHEMA", 2)
    monkeypatch.setattr(codec, "UPGRADES", (_rename_recovery,))
    assert enroller.status(USER).recovery_codes_left == 1
    before = store.load(USER)
    assert before is not None
    assert json.loads(before.document)["schema"] == 1
    enroller.rename(USER, "default", "phone")
    after = store.load(USER)
    assert after is not None
    tree = json.loads(after.document)
    assert (tree["schema"], "backup_codes" in tree) == (2, False)
    assert tree["recovery"]["spent"] == "10"


def test_an_upgrade_can_shut_older_readers_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that raises ``min_reader`` is obeyed when the upgraded document is written."""
    monkeypatch.setattr(codec, "SCHEMA", 2)
    monkeypatch.setattr(codec, "UPGRADES", (lambda old: old | {"min_reader": 2},))
    assert document(*decode(written()))["min_reader"] == 2


def test_an_upgrade_does_not_hide_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a step makes of a damaged document is checked as any other."""
    monkeypatch.setattr(codec, "SCHEMA", 2)
    monkeypatch.setattr(codec, "UPGRADES", (lambda old: old | {"recovery": None},))
    assert refused(written()).fault == "document.recovery is not an object"


# --- damage ---

OPTIONAL: Final = frozenset(
    {
        ("setup",),
        ("authenticators", 0, "last_used_at"),
        # An account without authenticators is another state; the column tells.
        ("authenticators",),
        # A day may be absent: those that left the 30 are dropped.
        ("budgets", "code", "days", "20833"),
        ("budgets", "code", "days", "20834"),
    }
)


def _places(tree: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found: list[tuple[str | int, ...]] = []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        found.append((*path, key))
        if isinstance(value, (dict, list)):
            found += _places(value, (*path, key))
    return found


PLACES: Final = [
    place
    for place in _places(document())
    if not any(isinstance(step, str) and step.startswith("of the") for step in place)
]
NAMED: Final = [place for place in PLACES if isinstance(place[-1], str)]

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
    right = at(document(), place)
    for wrong in WRONG[type(right)]:
        assert "document" in refused(changed(place, wrong)).fault


@pytest.mark.parametrize("place", [place for place in NAMED if place not in OPTIONAL], ids=str)
def test_missing_keys_are_refused(place: tuple[str | int, ...]) -> None:
    """A key that is not there is damage; the error names it."""
    tree = document()
    del at(tree, place[:-1])[place[-1]]
    assert f"{place[-1]} is not " in refused(with_document(tree)).fault


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
    *[(place, LAST_SECOND + 1) for place in TIME_PLACES],
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


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "nul",
        "null",
        "1",
        "true",
        '"text"',
        "[]",
        "[{}]",
        "{}",
        "{'schema': 1}",
        "[" * 100_000,
        '{"x":' * 100_000,
        '{"schema": NaN}',
        '{"schema": Infinity}',
        '{"schema": 1, "min_reader": 1, "trail": [], "x": -Infinity}',
        '{"schema": ' + "1" * 5000 + "}",
        '{"schema": 1, "min_reader": 1, "trail": []} x',
        "\ufeff{}",
        "\0",
    ],
    ids=range(21),
)
def test_what_is_no_document_is_refused(text: str) -> None:
    """Text that is no JSON, or no object, or NaN, or nested without end, is damage."""
    record = written(Disabled())
    assert refused(with_document(text, record)).fault.startswith("document")


def test_every_truncation_is_refused() -> None:
    """A document that was cut off, at any character, is damage."""
    record = written()
    for length in range(len(record.document)):
        refused(with_document(record.document[:length], record))


@pytest.mark.parametrize(
    ("enrollment", "columns"),
    [
        (CONFIRMED, {"state": "disabled"}),
        (CONFIRMED, {"state": "pending"}),
        (CONFIRMED, {"state": "Confirmed"}),
        (CONFIRMED, {"state": ""}),
        (Pending(setup=SETUP), {"state": "confirmed"}),
        (Disabled(), {"state": "confirmed"}),
        (CONFIRMED, {"setup_expires_at": None}),
        (CONFIRMED, {"setup_expires_at": NOW}),
        (Disabled(), {"setup_expires_at": NOW}),
        (Disabled(), {"setup_expires_at": 0}),
        (replace(CONFIRMED, setup=None), {"setup_expires_at": 0}),
        (CONFIRMED, {"changed_at": -1}),
        (CONFIRMED, {"changed_at": LAST_SECOND + 1}),
    ],
    ids=range(13),
)
def test_columns_that_disagree_are_refused(enrollment: Enrollment, columns: dict[str, Any]) -> None:
    """A column that does not say what the document says, or says no time, is damage."""
    fault = refused(replace(written(enrollment), **columns)).fault
    assert next(iter(columns)) in fault


def test_a_lost_part_does_not_switch_otp_off() -> None:
    """A confirmed account whose authenticators are lost is damaged, and not disabled."""
    tree = document()
    for lost in ({"authenticators"}, {"authenticators", "setup"}):
        left = {key: value for key, value in tree.items() if key not in lost}
        refused(with_document(left))


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
        right = at(document(), place)
        records += [changed(place, wrong) for wrong in WRONG[type(right)]]
    text = written().document
    records += [with_document(text[:-1]), with_document(text + "x"), with_document(f"[{text}]")]
    records += [with_document(text.replace("AHNl", "AHN!")), replace(written(), state="pending")]
    tree = document()
    tree["trail"] = [SHOWN["first secret"], 1]
    records.append(with_document(tree))
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
        except CorruptRecordError as error:
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
        except CorruptRecordError as error:
            told += frames_of_the_library(error)
    assert "CorruptRecordError" in told
    assert "(no repr)" not in told


def test_the_reader_shows_its_place_alone() -> None:
    """An object under examination prints where it stands, and nothing that is in it."""
    assert repr(Reader({"sealed": SHOWN["first secret"]}, "document")) == "Reader(document)"


def test_faults_name_the_place_and_not_the_value() -> None:
    """An error tells where the record is damaged, in words that do not depend on the value."""
    for place in PLACES:
        if type(at(document(), place)) is not int:
            continue
        faults = {refused(changed(place, wrong)).fault for wrong in ("one", "two", None)}
        assert len(faults) == 1
    fault = refused(changed(("authenticators", 1, "generation"), "seven")).fault
    assert fault == "document.authenticators[1].generation is not of the type int"


@given(states, envelopes)
@settings(deadline=None, max_examples=30)
def test_no_repr_shows_sealed_bytes(enrollment: Enrollment, envelope: Envelope) -> None:
    """Neither a state nor its record nor its envelope shows what was sealed or carried along."""
    marked = replace(envelope, extra={"key of a newer version": "value of a newer version"})
    record = written(enrollment, marked)
    told = f"{enrollment!r} {record!r} {marked!r}"
    assert record.document not in told
    assert "newer version" not in told
    setup = setup_of(enrollment)
    if setup is not None:
        assert repr(setup.id_digest) not in told


# --- the trail ---


def test_trail_holds_the_last_eight_revisions_newest_first() -> None:
    """The document keeps the first 12 characters of the last 8 revisions that it replaced."""
    envelope = Envelope()
    replaced = [f"{n:032x}"[::-1] for n in range(1, 12)]
    for n, revision in enumerate(replaced, start=1):
        record = encode(
            CONFIRMED,
            envelope,
            user_id=USER,
            revision="f" * 32,
            replaces=revision,
            changed_at=NOW,
        )
        trail = json.loads(record.document)["trail"]
        assert [one[:12] for one in reversed(replaced[:n])][:8] == trail
        _, envelope = decode(record)
    assert [envelope.remembers(one) for one in replaced] == [False] * 3 + [True] * 8
    assert not envelope.remembers("f" * 32)


def test_trail_survives_disable() -> None:
    """The revision that a disable replaced is remembered: its own reply may be lost, too."""
    record = encode(
        Disabled(),
        Envelope(trail=("1" * 12,)),
        user_id=USER,
        revision="3" * 32,
        replaces="2" * 32,
        changed_at=NOW,
    )
    assert json.loads(record.document)["trail"] == ["2" * 12, "1" * 12]


def test_a_first_record_has_no_trail() -> None:
    """A record that replaces none has an empty trail."""
    assert document()["trail"] == []


# --- size and context ---


def test_confirmed_account_is_under_two_kilobytes() -> None:
    """The document of a confirmed account with ten recovery codes is below 2 KB."""
    store = MemoryStore()
    cipher = AESGCMKeyRing({"2026": bytes(32)})
    enroller = Enroller(store, issuer="Exir", cipher=cipher, clock=lambda: float(NOW))
    setup = enroller.begin(USER, account_name="sara@example.com")
    code = code_at(Secret.from_base32(setup.key), Parameters(), NOW // 30)
    enroller.confirm(USER, code, setup_id=setup.id)
    for _ in range(10):
        with suppress(errors.WrongCodeError, errors.TooManyAttemptsError):
            enroller.verify(USER, f"{(int(code) + 1) % 10**6:06d}")
    record = store.load(USER)
    assert record is not None
    assert enroller.status(USER).recovery_codes_left == 10
    assert len(record.document.encode()) < 2048


@pytest.mark.requirement("R-90")
def test_seal_context_bytes() -> None:
    """The associated data is stored format: a tag, the purpose, the user and the authenticator."""
    context = seal_context("user-42", "11bad248")
    assert context == b"otp_enroll/1\0secret\0user-42\x0011bad248"
    assert seal_context("سارا", "1") == b"otp_enroll/1\0secret\0" + "سارا".encode() + b"\x001"


# --- fuzz ---


whole_numbers = st.integers(-3, 2**63) | st.sampled_from([LAST_SECOND, LAST_SECOND + 1, 2**62])


@st.composite
def damaged_documents(draw: st.DrawFn) -> Any:
    """Take the document of a confirmed account, and change up to three of its places."""
    tree = copy.deepcopy(document())
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


@given(st.text())
@settings(deadline=None, max_examples=100)
def test_any_text_is_refused(text: str) -> None:
    """Text that nobody wrote as a document is refused."""
    with pytest.raises((CorruptRecordError, RecordTooNewError)):
        decode(with_document(text, written()))
