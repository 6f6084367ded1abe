"""The key ring: nothing opens elsewhere or damaged, and keys can be changed while all goes on."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_enroll import AsyncEnroller, Enroller, ResealReport, Unencrypted, errors
from otp_enroll.core.oath import code_at, counter_at
from otp_enroll.core.secret import Secret
from otp_enroll.policy import Parameters
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.codec import seal_context
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.storage.protocol import SecretCipher

OLD: Final = bytes(range(32))
NEW: Final = bytes(range(100, 132))
CONTEXT: Final = seal_context("user-42", "authenticator-1")
SECRET: Final = b"a secret of 20 bytes"
NOW: Final = 1_800_000_000


# --- the cipher alone ---


@given(st.binary(max_size=128), st.binary(max_size=64))
def test_round_trip(plaintext: bytes, context: bytes) -> None:
    """What was sealed opens with the same context."""
    ring = AESGCMKeyRing({"2026": NEW})
    assert ring.open(ring.seal(plaintext, context=context), context=context) == plaintext


@pytest.mark.requirement("R-90")
def test_the_same_secret_sealed_twice_differs() -> None:
    """Two ciphertexts of one secret have no nonce and no block in common."""
    ring = AESGCMKeyRing({"2026": NEW})
    sealed = {ring.seal(SECRET, context=CONTEXT) for _ in range(100)}
    assert len(sealed) == 100
    assert len({one[6:18] for one in sealed}) == 100
    assert len({one[18:] for one in sealed}) == 100


@pytest.mark.requirement("R-90")
@pytest.mark.regression_of("B-37")
@pytest.mark.parametrize(
    "context",
    [
        seal_context("user-43", "authenticator-1"),
        seal_context("user-42", "authenticator-2"),
        seal_context("user-42", ""),
        CONTEXT.replace(b"secret", b"another"),
        CONTEXT + b"\0",
        b"",
    ],
    ids=["user", "authenticator", "no authenticator", "purpose", "longer", "empty"],
)
def test_a_moved_ciphertext_does_not_open(context: bytes) -> None:
    """A ciphertext of another user, authenticator or purpose does not open."""
    ring = AESGCMKeyRing({"2026": NEW})
    with pytest.raises(InvalidTag):
        ring.open(ring.seal(SECRET, context=CONTEXT), context=context)


@pytest.mark.requirement("R-90")
def test_damage_at_any_byte_does_not_open() -> None:
    """With one bit changed anywhere, or a byte cut off or added, nothing opens."""
    ring = AESGCMKeyRing({"2026": NEW, "2025": OLD}, accept_unencrypted=True)
    sealed = ring.seal(SECRET, context=CONTEXT)
    damaged = [
        sealed[:place] + bytes([sealed[place] ^ bit]) + sealed[place + 1 :]
        for place in range(len(sealed))
        for bit in (1, 2, 4, 8, 16, 32, 64, 128)
        if place or bit != 1  # that bit makes it the mark of what is not encrypted
    ]
    damaged += [sealed[:length] for length in range(len(sealed))]
    damaged += [sealed + b"\0", b"\1" + sealed]
    for one in damaged:
        with pytest.raises((KeyError, ValueError, InvalidTag)):
            ring.open(one, context=CONTEXT)


def test_another_key_of_the_same_id_does_not_open() -> None:
    """A key that was changed under its old id opens nothing."""
    sealed = AESGCMKeyRing({"2026": OLD}).seal(SECRET, context=CONTEXT)
    with pytest.raises(InvalidTag):
        AESGCMKeyRing({"2026": NEW}).open(sealed, context=CONTEXT)


@pytest.mark.requirement("R-91")
def test_the_first_key_seals_and_every_key_opens() -> None:
    """A ring opens what any of its keys sealed, and wants all but the first one's sealed anew."""
    old, new = AESGCMKeyRing({"2025": OLD}), AESGCMKeyRing({"2026": NEW, "2025": OLD})
    both = AESGCMKeyRing({"2025": OLD, "2026": NEW})
    by_old, by_new = old.seal(SECRET, context=CONTEXT), new.seal(SECRET, context=CONTEXT)
    for ring in (new, both):
        assert ring.open(by_old, context=CONTEXT) == SECRET
        assert ring.open(by_new, context=CONTEXT) == SECRET
    assert (new.needs_reseal(by_old), new.needs_reseal(by_new)) == (True, False)
    assert (both.needs_reseal(by_old), both.needs_reseal(by_new)) == (False, True)
    with pytest.raises(KeyError):
        old.open(by_new, context=CONTEXT)


def test_a_key_id_may_begin_with_another() -> None:
    """An id that begins with another id is another id."""
    ring = AESGCMKeyRing({"20": NEW, "2026": OLD})
    sealed = AESGCMKeyRing({"2026": OLD}).seal(SECRET, context=CONTEXT)
    assert ring.open(sealed, context=CONTEXT) == SECRET
    assert ring.needs_reseal(sealed)


def test_longest_key_id() -> None:
    """An id of 64 characters serves."""
    ring = AESGCMKeyRing({"x" * 64: NEW})
    assert ring.open(ring.seal(SECRET, context=CONTEXT), context=CONTEXT) == SECRET


def test_unencrypted_is_accepted_by_name_alone() -> None:
    """A ring opens what was stored without encryption only if it was told to."""
    stored = Unencrypted().seal(SECRET, context=CONTEXT)
    with pytest.raises(ValueError, match="no key ring"):
        AESGCMKeyRing({"2026": NEW}).open(stored, context=CONTEXT)
    ring = AESGCMKeyRing({"2026": NEW}, accept_unencrypted=True)
    assert ring.open(stored, context=CONTEXT) == SECRET
    assert ring.needs_reseal(stored)
    assert AESGCMKeyRing({"2026": NEW}).needs_reseal(stored)


@pytest.mark.parametrize("sealed", [b"", b"\1", b"\1\4ring", b"\2" + bytes(40), b"\1\xff" * 30])
def test_what_no_ring_sealed_is_refused(sealed: bytes) -> None:
    """Bytes that no ring wrote are a ValueError for both questions."""
    ring = AESGCMKeyRing({"2026": NEW})
    with pytest.raises(ValueError, match="no key ring"):
        ring.open(sealed, context=CONTEXT)
    with pytest.raises(ValueError, match="no key ring"):
        ring.needs_reseal(sealed)
    assert ring.key_id_of(sealed) is None


@pytest.mark.requirement("R-91")
def test_ring_tells_which_key_sealed() -> None:
    """A ring names the key that is needed, also one that it does not have, and none if none is."""
    ring = AESGCMKeyRing({"2026": NEW}, accept_unencrypted=True)
    assert ring.key_id_of(ring.seal(SECRET, context=CONTEXT)) == "2026"
    assert ring.key_id_of(OLD_RING.seal(SECRET, context=CONTEXT)) == "2025"
    assert ring.key_id_of(Unencrypted().seal(SECRET, context=CONTEXT)) is None
    assert ring.key_id_of(b"\1\1\xff" + bytes(40)) is None


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ({}, ValueError),
        ({"": OLD}, ValueError),
        ({"x" * 65: OLD}, ValueError),
        ({"کلید": OLD}, ValueError),
        ({"2026": OLD[:31]}, ValueError),
        ({"2026": OLD[:16]}, ValueError),
        ({"2026": OLD + b"\0"}, ValueError),
        ({"2026": OLD, "2025": b""}, ValueError),
        ({"2026": OLD.hex()}, TypeError),
        ({"2026": bytearray(OLD)}, TypeError),
        ({2026: OLD}, TypeError),
        (OLD, TypeError),
        ([("2026", OLD)], TypeError),
    ],
    ids=range(13),
)
def test_impossible_rings_are_refused(keys: Any, error: type[Exception]) -> None:
    """A ring needs ids of 1 to 64 ASCII characters and keys of 32 bytes; no error shows a key."""
    with pytest.raises(error) as caught:
        AESGCMKeyRing(keys)
    told = told_by_the_library(caught.value)
    for text in (OLD.hex(), repr(OLD)[2:60]):
        assert text not in told


def test_a_ring_that_was_refused_has_a_repr() -> None:
    """A traceback with locals can be printed although the ring in its frame is half built."""
    with pytest.raises(ValueError, match="32 bytes") as caught:
        AESGCMKeyRing({"2026": b"short"})
    assert "(no repr)" not in told_by_the_library(caught.value)


@pytest.mark.requirement("R-92")
def test_repr_shows_ids_and_no_key() -> None:
    """The repr of a ring names its keys, and holds none."""
    ring = AESGCMKeyRing({"2026": NEW, "2025": OLD})
    assert repr(ring) == "AESGCMKeyRing(2026, 2025)"
    assert not hasattr(ring, "__dict__")


def test_a_ring_is_not_pickled() -> None:
    """No pickle takes the keys along, and a copy is the ring itself."""
    ring = AESGCMKeyRing({"2026": NEW})
    refusal = r"^AESGCMKeyRing holds a secret and is not pickled$"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=refusal):
            pickle.dumps(ring, protocol)
    assert copy.copy(ring) is copy.deepcopy(ring) is ring


def shown(value: object) -> str:
    try:
        return repr(value)
    except AttributeError:
        return "(no repr)"


def told_by_the_library(error: BaseException) -> str:
    """Print an error and its causes with the locals of every frame but those of this file."""
    told = ""
    link: BaseException | None = error
    while link is not None:
        told += f"{link!r} {link.args!r}\n"
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if frame.f_code.co_filename != __file__:
                told += f"{frame.f_code.co_name}: {list(map(shown, frame.f_locals.values()))}\n"
        link = link.__cause__ or link.__context__
    return told


def test_no_traceback_shows_key_or_plaintext() -> None:
    """When sealing or opening fails, no frame of the ring holds the key or the plaintext."""
    ring = AESGCMKeyRing({"2026": NEW})
    caught: list[BaseException] = []
    not_a_context: Any = "text"
    sealed = ring.seal(SECRET, context=CONTEXT)
    attempts: list[Callable[[], bytes]] = [
        lambda: ring.seal(SECRET, context=not_a_context),
        lambda: ring.open(sealed, context=b""),
        lambda: ring.open(sealed[:-1], context=CONTEXT),
        lambda: AESGCMKeyRing({"2025": OLD}).open(sealed, context=CONTEXT),
    ]
    for attempt in attempts:
        try:
            attempt()
        except (TypeError, InvalidTag, KeyError) as error:
            caught.append(error)
    assert len(caught) == 4
    for one in caught:
        told = told_by_the_library(one)
        assert "AESGCMKeyRing(" in told
        for hidden in (SECRET, NEW, OLD):
            assert repr(hidden)[2:18] not in told


# --- accounts ---


class Bench:
    """Accounts over one store, whose cipher can be changed as an app does it: by a restart."""

    def __init__(self, cipher: SecretCipher) -> None:
        self.store = MemoryStore()
        self.now = NOW
        self.keys: dict[str, list[str]] = {}
        self.use(cipher)

    def use(self, cipher: SecretCipher) -> None:
        self.enroller = Enroller(
            self.store, issuer="Exir", cipher=cipher, clock=lambda: float(self.now)
        )

    def code(self, user_id: str, which: int = 0) -> str:
        secret = Secret.from_base32(self.keys[user_id][which])
        return code_at(secret, Parameters(), counter_at(self.now, 30))

    def enroll(self, user_id: str, *, staged: bool = False) -> None:
        setup = self.enroller.begin(user_id, account_name="sara@example.com")
        self.keys[user_id] = [setup.key]
        self.enroller.confirm(user_id, self.code(user_id), setup_id=setup.id)
        self.now += 60
        if staged:
            proof = self.code(user_id)
            setup = self.enroller.begin(user_id, account_name="sara@example.com", proof=proof)
            self.keys[user_id].append(setup.key)
            self.now += 60

    def sealed(self, user_id: str) -> list[bytes]:
        record = self.store.load(user_id)
        assert record is not None
        document = json.loads(record.document)
        objects = [*document.get("authenticators", []), document.get("setup")]
        return [base64.b64decode(one["sealed"]) for one in objects if one]

    def key_ids(self, user_id: str) -> list[bytes]:
        return [sealed[2 : 2 + sealed[1]] for sealed in self.sealed(user_id)]


OLD_RING: Final = AESGCMKeyRing({"2025": OLD})
BOTH: Final = AESGCMKeyRing({"2026": NEW, "2025": OLD})
NEW_RING: Final = AESGCMKeyRing({"2026": NEW})


@pytest.mark.requirement("R-90")
@pytest.mark.regression_of("B-36")
@given(st.data())
@settings(deadline=None, max_examples=10)
def test_stored_bytes_do_not_contain_the_secret(data: st.DataObject) -> None:
    """The record holds no secret in raw form, hex, Base32 or base64, at any offset."""
    user_id = data.draw(st.text("abc", min_size=1, max_size=5))
    bench = Bench(NEW_RING)
    bench.enroll(user_id, staged=True)
    record = bench.store.load(user_id)
    assert record is not None
    stored = repr(record) + record.document
    for key, sealed in zip(bench.keys[user_id], bench.sealed(user_id), strict=True):
        raw = base64.b32decode(key)
        assert len(sealed) == 2 + 4 + 12 + len(raw) + 16
        for start in range(len(raw) - 8):
            part = raw[start : start + 8]
            assert part not in sealed
            encoded = (
                part.hex(),
                base64.b32encode(part).decode()[:12],
                base64.b64encode(part).decode()[:10],
                base64.urlsafe_b64encode(part).decode()[:10],
            )
            for text in encoded:
                assert text.lower() not in stored.lower()
                assert text.lower().encode() not in sealed.lower()


@pytest.mark.regression_of("B-36")
def test_the_search_for_secrets_finds_them() -> None:
    """The same search finds the secret where nothing encrypts it."""
    bench = Bench(Unencrypted())
    bench.enroll("user-42")
    assert base64.b32decode(bench.keys["user-42"][0]) in bench.sealed("user-42")[0]


@pytest.mark.requirement("R-90")
@pytest.mark.regression_of("B-37", "B-38")
def test_swapped_rows_fail_to_open() -> None:
    """Two users' ciphertexts, swapped, are unreadable and not wrong codes: no budget is spent."""
    bench = Bench(NEW_RING)
    bench.enroll("sara")
    bench.enroll("mina")
    sara, mina = bench.store.load("sara"), bench.store.load("mina")
    assert sara is not None
    assert mina is not None
    texts = [base64.b64encode(bench.sealed(user_id)[0]).decode() for user_id in ("sara", "mina")]
    moved = replace(sara, revision="f" * 32, document=sara.document.replace(texts[0], texts[1]))
    assert bench.store.save(moved, expected=sara.revision)
    for code in (bench.code("sara"), bench.code("mina"), "000000"):
        with pytest.raises(errors.UnreadableSecretError):
            bench.enroller.verify("sara", code)
    assert bench.store.load("sara") == moved
    assert bench.enroller.status("sara").retry_at is None


@pytest.mark.regression_of("B-37")
def test_a_setup_is_no_authenticator() -> None:
    """The ciphertext of a staged setup does not open in the place of the working one."""
    bench = Bench(NEW_RING)
    bench.enroll("user-42", staged=True)
    record = bench.store.load("user-42")
    assert record is not None
    working, staged = (base64.b64encode(one).decode() for one in bench.sealed("user-42"))
    moved = replace(record, revision="f" * 32, document=record.document.replace(working, staged))
    assert bench.store.save(moved, expected=record.revision)
    with pytest.raises(errors.UnreadableSecretError):
        bench.enroller.verify("user-42", bench.code("user-42", 1))


@pytest.mark.regression_of("B-38")
@pytest.mark.requirement("R-62")
def test_a_lost_key_is_not_a_wrong_code() -> None:
    """With the key lost, codes are refused as unreadable at no cost, and recovery codes work."""
    bench = Bench(OLD_RING)
    setup = bench.enroller.begin("user-42", account_name="sara@example.com")
    bench.keys["user-42"] = [setup.key]
    confirmation = bench.enroller.confirm("user-42", bench.code("user-42"), setup_id=setup.id)
    assert confirmation.recovery_codes is not None
    bench.now += 60
    before = bench.store.load("user-42")
    bench.use(NEW_RING)
    for _ in range(10):
        with pytest.raises(errors.UnreadableSecretError):
            bench.enroller.verify("user-42", bench.code("user-42"))
    assert bench.store.load("user-42") == before
    verification = bench.enroller.verify("user-42", confirmation.recovery_codes[0])
    assert verification.method == "recovery_code"
    bench.use(OLD_RING)
    assert bench.enroller.verify("user-42", bench.code("user-42")).method == "code"


@pytest.mark.regression_of("B-38")
def test_no_refusal_shows_the_opened_secret() -> None:
    """An unreadable secret's error shows neither key nor ciphertext in its text."""
    bench = Bench(OLD_RING)
    bench.enroll("user-42")
    bench.use(NEW_RING)
    with pytest.raises(errors.UnreadableSecretError) as caught:
        bench.enroller.verify("user-42", bench.code("user-42"))
    told = told_by_the_library(caught.value)
    raw = base64.b32decode(bench.keys["user-42"][0])
    for hidden in (raw, OLD, NEW, bench.sealed("user-42")[0]):
        assert repr(hidden)[2:20] not in told
    assert bench.keys["user-42"][0] not in told


@pytest.mark.requirement("R-91")
def test_the_next_write_seals_anew() -> None:
    """After a change of keys, a verify writes every secret that it opened under the new key."""
    bench = Bench(OLD_RING)
    bench.enroll("user-42")
    bench.use(BOTH)
    assert bench.key_ids("user-42") == [b"2025"]
    bench.enroller.status("user-42")
    assert bench.key_ids("user-42") == [b"2025"]
    bench.enroller.verify("user-42", bench.code("user-42"))
    assert bench.key_ids("user-42") == [b"2026"]
    bench.now += 60
    bench.use(NEW_RING)
    assert bench.enroller.verify("user-42", bench.code("user-42")).method == "code"


@pytest.mark.requirement("R-91")
def test_a_secret_is_sealed_once() -> None:
    """Without a change of keys, later writes carry the sealed bytes along."""
    bench = Bench(NEW_RING)
    bench.enroll("user-42", staged=True)
    before = bench.sealed("user-42")
    bench.enroller.verify("user-42", bench.code("user-42"))
    bench.enroller.rename("user-42", "default", "phone")
    assert bench.enroller.reseal().resealed == 0
    assert bench.sealed("user-42") == before


@pytest.mark.requirement("R-91")
def test_reseal_frees_the_old_key() -> None:
    """Once reseal is complete and nothing was unreadable, the old key can be removed."""
    bench = Bench(OLD_RING)
    for number in range(5):
        bench.enroll(f"user-{number}", staged=number == 2)
    bench.use(BOTH)
    bench.enroll("user-5")
    pending = bench.enroller.begin("user-6", account_name="sara@example.com")
    report = bench.enroller.reseal()
    assert report == ResealReport(examined=7, resealed=5, unreadable=0, complete=True)
    assert len(bench.key_ids("user-2")) == 2
    bench.use(NEW_RING)
    for number in range(6):
        user_id = f"user-{number}"
        assert set(bench.key_ids(user_id)) == {b"2026"}
        assert bench.enroller.verify(user_id, bench.code(user_id)).method == "code"
    assert bench.enroller.resume("user-6", setup_id=pending.id).key == pending.key
    again = bench.enroller.reseal()
    assert again == ResealReport(examined=7, resealed=0, unreadable=0, complete=True)


@pytest.mark.requirement("R-91")
def test_reseal_keeps_the_rest_of_the_account() -> None:
    """Resealing changes the sealed bytes and the revision, and no other value."""
    bench = Bench(OLD_RING)
    bench.enroll("user-42", staged=True)
    before = bench.store.load("user-42")
    status = bench.enroller.status("user-42")
    bench.now += 10
    bench.use(BOTH)
    assert bench.enroller.reseal().resealed == 1
    after = bench.store.load("user-42")
    assert before is not None
    assert after is not None
    assert after.revision != before.revision
    assert (after.changed_at, after.setup_expires_at) == (
        before.changed_at,
        before.setup_expires_at,
    )
    assert bench.enroller.status("user-42") == status
    trees = [json.loads(record.document) for record in (before, after)]
    for tree in trees:
        for one in (*tree["authenticators"], tree["setup"]):
            del one["sealed"]
        del tree["trail"]
    assert trees[0] == trees[1]


@pytest.mark.requirement("R-91")
def test_reseal_stops_and_starts_again() -> None:
    """With a limit it reseals so many rows and says that it is not done; runs add up to all."""
    bench = Bench(OLD_RING)
    for number in range(5):
        bench.enroll(f"user-{number}")
    bench.use(BOTH)
    reports = [bench.enroller.reseal(limit=2) for _ in range(4)]
    assert [report.resealed for report in reports] == [2, 2, 1, 0]
    assert [report.complete for report in reports] == [False, False, True, True]
    assert [report.examined for report in reports] == [2, 4, 5, 5]
    assert all(set(bench.key_ids(f"user-{number}")) == {b"2026"} for number in range(5))


@pytest.mark.requirement("R-91")
def test_reseal_counts_what_it_cannot_read(caplog: pytest.LogCaptureFixture) -> None:
    """Rows that are damaged or need a lost key are counted and logged, and the rest is done."""
    bench = Bench(AESGCMKeyRing({"lost": bytes(32)}))
    bench.enroll("a lost key")
    bench.use(OLD_RING)
    bench.enroll("b readable")
    bench.enroll("c damaged")
    record = bench.store.load("c damaged")
    assert record is not None
    broken = replace(record, revision="f" * 32, document=record.document[:-1])
    assert bench.store.save(broken, expected=record.revision)
    bench.enroll("d readable")
    bench.use(BOTH)
    with caplog.at_level(logging.WARNING, "otp_enroll"):
        report = bench.enroller.reseal()
    assert report == ResealReport(
        examined=4, resealed=2, unreadable=2, complete=True, keys_needed={"lost": 1}
    )
    lost, damaged = caplog.records
    assert (lost.levelname, damaged.levelname) == ("WARNING", "ERROR")
    assert lost.getMessage() == "reseal found a secret of 'a lost key' that no key opens"
    assert damaged.getMessage().startswith("CorruptRecordError for 'c damaged': ")
    assert bench.keys["a lost key"][0] not in caplog.text
    assert bench.key_ids("b readable") == bench.key_ids("d readable") == [b"2026"]


@pytest.mark.requirement("R-91")
def test_reseal_counts_rows_by_the_key_that_they_need() -> None:
    """A row counts once for each lost key that it needs, and not for keys that are there."""
    bench = Bench(OLD_RING)
    for number in range(3):
        bench.enroll(f"user-{number}", staged=number == 0)
    bench.use(AESGCMKeyRing({"lost": bytes(32)}))
    bench.enroll("user-3")
    bench.use(NEW_RING)
    bench.enroll("user-4")
    report = bench.enroller.reseal()
    assert report.keys_needed == {"2025": 3, "lost": 1}
    assert (report.unreadable, report.resealed) == (4, 0)
    bench.use(BOTH)
    assert bench.enroller.reseal().keys_needed == {"lost": 1}
    assert bench.enroller.reseal(limit=1).keys_needed == {"lost": 1}


@pytest.mark.requirement("R-91")
def test_one_unreadable_secret_does_not_keep_the_others_under_the_old_key() -> None:
    """What opens is resealed, and the row is counted as one that still needs a key."""
    bench = Bench(OLD_RING)
    bench.enroll("user-42", staged=True)
    record = bench.store.load("user-42")
    assert record is not None
    staged = base64.b64encode(bench.sealed("user-42")[1]).decode()
    other = base64.b64encode(OLD_RING.seal(SECRET, context=b"another row")).decode()
    broken = replace(record, revision="f" * 32, document=record.document.replace(staged, other))
    assert bench.store.save(broken, expected=record.revision)
    bench.use(BOTH)
    report = bench.enroller.reseal()
    assert (report.resealed, report.unreadable) == (1, 1)
    assert bench.key_ids("user-42") == [b"2026", b"2025"]


@pytest.mark.requirement("R-91")
def test_expired_setup_under_a_lost_key_needs_no_key() -> None:
    """A dead secret does not keep a row among those that need an old key."""
    bench = Bench(OLD_RING)
    bench.enroll("user-42", staged=True)
    bench.now += 901
    bench.use(BOTH)
    report = bench.enroller.reseal()
    assert (report.resealed, report.unreadable, report.complete) == (1, 0, True)
    bench.use(NEW_RING)
    assert bench.enroller.reseal().unreadable == 0


@pytest.mark.requirement("R-91")
def test_coming_from_unencrypted() -> None:
    """A ring that was told to takes unencrypted accounts over, and then need not be told."""
    bench = Bench(Unencrypted())
    bench.enroll("user-1")
    bench.enroll("user-2")
    bench.use(NEW_RING)
    with pytest.raises(errors.UnreadableSecretError):
        bench.enroller.verify("user-1", bench.code("user-1"))
    assert bench.enroller.reseal() == ResealReport(
        examined=2, resealed=0, unreadable=2, complete=True
    )
    bench.use(AESGCMKeyRing({"2026": NEW}, accept_unencrypted=True))
    bench.enroller.verify("user-1", bench.code("user-1"))
    assert bench.enroller.reseal() == ResealReport(
        examined=2, resealed=1, unreadable=0, complete=True
    )
    bench.now += 60
    bench.use(NEW_RING)
    for user_id in ("user-1", "user-2"):
        assert bench.enroller.verify(user_id, bench.code(user_id)).method == "code"


@pytest.mark.requirement("R-91")
def test_async_reseal_does_the_same() -> None:
    """The async enroller reseals by the same rules and reports the same numbers."""
    bench = Bench(OLD_RING)
    for number in range(3):
        bench.enroll(f"user-{number}")

    async def scenario() -> list[ResealReport]:
        store = AsyncMemoryStore()
        store._store = bench.store
        enroller = AsyncEnroller(store, issuer="Exir", cipher=BOTH, clock=lambda: float(bench.now))
        return [await enroller.reseal(limit=2), await enroller.reseal()]

    assert asyncio.run(scenario()) == [
        ResealReport(examined=2, resealed=2, unreadable=0, complete=False),
        ResealReport(examined=3, resealed=1, unreadable=0, complete=True),
    ]
    assert all(bench.key_ids(f"user-{number}") == [b"2026"] for number in range(3))
