"""The stored form: what is written is read back, and what was not written by us is refused."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.flows import USER
from helpers.records import (
    CONFIRMED,
    MAX_TIME,
    NOW,
    SETUP,
    document,
    envelopes,
    refused,
    revisions,
    states,
    times,
    with_document,
    written,
)
from otp_enroll import Enroller, Unencrypted, errors
from otp_enroll.core.oath import code_at
from otp_enroll.core.secret import Secret
from otp_enroll.core.states import Disabled, EnrollmentState, Pending, setup_of
from otp_enroll.errors import CorruptRecordError, RecordTooNewError
from otp_enroll.policy import Parameters
from otp_enroll.storage import codec
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.codec import Envelope, decode, encode, seal_context
from otp_enroll.storage.memory import MemoryStore

pytestmark = pytest.mark.requirement("R-93")


# --- round trip ---


@given(states, envelopes, revisions, times)
@settings(deadline=None, max_examples=150)
def test_every_state_comes_back(
    enrollment: EnrollmentState, envelope: Envelope, revision: str, changed_at: int
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
def test_reading_and_writing_changes_nothing(
    enrollment: EnrollmentState, envelope: Envelope
) -> None:
    """A document that is read and written again is the same text."""
    first = written(enrollment, envelope)
    assert first == written(*decode(first))


@pytest.mark.parametrize(
    ("enrollment", "word"),
    [(Disabled(), "disabled"), (Pending(setup=SETUP), "pending"), (CONFIRMED, "confirmed")],
    ids=["disabled", "pending", "confirmed"],
)
def test_state_column(enrollment: EnrollmentState, word: str) -> None:
    """The state stands in a column of its own, for queries."""
    assert word == written(enrollment).state


def test_a_disabled_document_holds_no_secret() -> None:
    """A disabled account's document is its envelope and nothing else."""
    assert document(Disabled()) == {"schema": 1}


def test_document_is_ascii_json() -> None:
    """The document is ASCII, so that no database's character set can change it."""
    setup = replace(SETUP, name="تبلت 📱", account_name="سارا")
    record = written(Pending(setup=setup))
    assert record.document.isascii()
    assert decode(record)[0] == Pending(setup=setup)


def test_top_level_unknown_keys_go_at_disable() -> None:
    """A disabled account carries nothing of a newer version, but for the trail."""
    envelope = Envelope(schema=7, trail=("0" * 12,), extra={"from the future": 1})
    assert document(Disabled(), envelope) == {"schema": 1, "trail": ["0" * 12]}
    assert document(Pending(setup=SETUP), envelope)["from the future"] == 1


@pytest.mark.parametrize(
    "number", ["1e308", "-0.0", "0.1", "123456789012345678901234567890", "1E2"]
)
def test_unknown_numbers_can_be_read_again(number: str) -> None:
    """A number of a newer version's, however large or small, is written so that it is read again.

    One that is too large for a float would not be: it is damage, as test_document.py shows.
    """
    tree = document() | {"from the future": "HERE"}
    record = with_document(json.dumps(tree).replace('"HERE"', number))
    enrollment, envelope = decode(record)
    assert decode(written(enrollment, envelope)) == (enrollment, envelope)
    assert envelope.extra == {"from the future": json.loads(number)}


# --- schema numbers ---


@pytest.mark.parametrize("least", [2, 3, 2**62])
@pytest.mark.parametrize("schema", [1, 2, 99, "another form"])
def test_too_new_a_document_is_refused(schema: object, least: int) -> None:
    """A document whose lowest reader is above ours is not touched, whatever else it holds."""
    tree = {"schema": schema, "min_reader": least, "authenticators": "another form"}
    with pytest.raises(RecordTooNewError) as caught:
        decode(with_document(tree))
    assert caught.value.min_reader == least


def test_too_new_a_document_stays_so_after_an_upgrade(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lowest reader is compared with the newest schema that this version understands."""
    monkeypatch.setattr(codec, "SCHEMA", 2)
    monkeypatch.setattr(codec, "UPGRADES", (lambda old: old,))
    for schema in (1, 2, 3):
        assert decode(with_document(document() | {"schema": schema, "min_reader": 2}))
        with pytest.raises(RecordTooNewError):
            decode(with_document(document() | {"schema": schema, "min_reader": 3}))


def test_a_newer_schema_that_we_may_read_keeps_its_number() -> None:
    """A newer document that lets us read it is written back under its own schema number."""
    tree = document() | {"schema": 7, "new": 1}
    enrollment, envelope = decode(with_document(tree))
    assert enrollment == CONFIRMED
    again = document(enrollment, envelope)
    assert again == tree
    assert document(enrollment, replace(envelope, trail=("0" * 12,))) == tree | {
        "trail": ["0" * 12]
    }


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


def _trip(old: dict[str, Any]) -> dict[str, Any]:
    """Make schema 2 of documents as the library wrote them, and of no other."""
    first = old["authenticators"][0]
    return old | {"authenticators": [first | {"digits": int(first["digits"])}]}


@pytest.mark.parametrize(
    "damage",
    [
        {"authenticators": []},
        {"authenticators": None},
        {"authenticators": 7},
        {"authenticators": ["a piece of the document"]},
        {"authenticators": [{"digits": "a piece of the document"}]},
        {"authenticators": [{"another": "a piece of the document"}]},
    ],
    ids=str,
)
def test_an_upgrade_that_trips_over_damage_says_so(
    damage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step raises on a damaged document is damage, and shows nothing of it."""
    monkeypatch.setattr(codec, "SCHEMA", 2)
    monkeypatch.setattr(codec, "UPGRADES", (_trip,))
    error = refused(with_document(document() | damage))
    assert error.fault == "document cannot be upgraded"
    assert (error.__cause__, error.__context__) == (None, None)
    frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert frames == ["refused", "decode"]


# --- what is no record ---


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
        (CONFIRMED, {"changed_at": MAX_TIME + 1}),
    ],
    ids=range(13),
)
def test_columns_that_disagree_are_refused(
    enrollment: EnrollmentState, columns: dict[str, Any]
) -> None:
    """A column that does not say what the document says, or says no time, is damage."""
    fault = refused(replace(written(enrollment), **columns)).fault
    assert next(iter(columns)) in fault


@given(states, envelopes)
@settings(deadline=None, max_examples=30)
def test_no_repr_shows_sealed_bytes(enrollment: EnrollmentState, envelope: Envelope) -> None:
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
    assert "trail" not in document()
    assert decode(written())[1].trail == ()


# --- size and context ---


def test_document_that_confirm_leaves_has_730_characters_at_most() -> None:
    """With ten recovery codes, the usual policy and a key id of four characters: a row is small."""
    store = MemoryStore()
    cipher = AESGCMKeyRing({"2026": bytes(32)})
    enroller = Enroller(store, issuer="Exir", cipher=cipher, clock=lambda: float(NOW))
    setup = enroller.begin(USER, account_name="sara@example.com")
    code = code_at(Secret.from_base32(setup.key), Parameters(), NOW // 30)
    confirmation = enroller.confirm(USER, code, setup_id=setup.id)
    assert confirmation.recovery_codes is not None
    assert len(confirmation.recovery_codes) == 10
    record = store.load(USER)
    assert record is not None
    assert len(record.document) <= 730
    tree = json.loads(record.document)
    assert set(tree) == {"schema", "trail", "authenticators", "recovery"}
    assert set(tree["recovery"]) == {"salt", "digests"}
    (authenticator,) = tree["authenticators"]
    assert set(authenticator) == {"id", "sealed", "last_counter", "confirmed_at"}


def test_confirmed_account_is_under_a_kilobyte() -> None:
    """The document of a confirmed account with ten recovery codes and failures is below 1 KB."""
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
    assert json.loads(record.document)["budgets"]["code"]["waits"]["failures"] == 5
    assert len(record.document.encode()) < 1024


def test_document_of_a_confirmed_account_is_small(flow: Any) -> None:
    """With ten recovery codes and a long name the document stays under 1.2 KB."""
    flow.enroll()
    flow.enroller.rename(USER, "default", "گوشی" * 16)
    assert len(flow.store.load(USER).document) < 1200


@pytest.mark.requirement("R-90")
def test_seal_context_bytes() -> None:
    """The associated data is stored format: a tag, the purpose, the user and the authenticator."""
    context = seal_context("user-42", "11bad248")
    assert context == b"otp_enroll/1\0secret\0user-42\x0011bad248"
    assert seal_context("سارا", "1") == b"otp_enroll/1\0secret\0" + "سارا".encode() + b"\x001"


@given(st.text())
@settings(deadline=None, max_examples=100)
def test_any_text_is_refused(text: str) -> None:
    """Text that nobody wrote as a document is refused."""
    with pytest.raises((CorruptRecordError, RecordTooNewError)):
        decode(with_document(text, written()))
