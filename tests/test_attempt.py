"""The way of a request: one load, at most one save, retries, lost replies, failing stores."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from otp_enroll import (
    AsyncEnroller,
    Enroller,
    Override,
    Policy,
    StoredEnrollment,
    Unencrypted,
    errors,
)
from otp_enroll.attempt import Attempt
from otp_enroll.core import requests, setups, status
from otp_enroll.core.decision import Facts
from otp_enroll.core.states import Disabled
from otp_enroll.storage import codec
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore

USER = "user-42"
VOUCHED = Override(actor="help desk", reason="re-authenticated")
Make = Callable[..., Any]


def counted(flow: Any, act: Callable[[], object]) -> tuple[int, int]:
    """Return how many loads and saves a call makes, refused or not."""
    loads, saves = flow.store.loads, flow.store.saves
    with suppress(errors.EnrollmentError):
        act()
    return flow.store.loads - loads, flow.store.saves - saves


def test_whole_life_is_four_writes(flow: Any) -> None:
    """Begin, confirm with recovery codes, verify and disable load once and save once each."""
    setup: Any = None

    def begin() -> None:
        nonlocal setup
        setup = flow.enroller.begin(USER, account_name="sara")

    assert counted(flow, begin) == (1, 1)
    phone = flow.phone(setup)
    code = phone.code()
    assert counted(flow, lambda: flow.enroller.confirm(USER, code, setup_id=setup.id)) == (1, 1)
    assert counted(flow, lambda: flow.enroller.verify(USER, phone.code(1))) == (1, 1)
    flow.clock.advance(60)
    assert counted(flow, lambda: flow.enroller.disable(USER, proof=phone.code())) == (1, 1)


def test_what_writes_nothing_saves_nothing(flow: Any) -> None:
    """Malformed text loads nothing; reused, waiting, resumed and missing proofs save nothing."""
    phone, _ = flow.enroll()
    code = phone.code()
    flow.enroller.verify(USER, code)
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    assert counted(flow, lambda: flow.enroller.verify(USER, "12345")) == (0, 0)
    assert counted(flow, lambda: flow.enroller.disable(USER, proof="")) == (0, 0)
    recovery = "0" * 24
    confirm = lambda: flow.enroller.confirm(USER, recovery, setup_id=setup.id)  # noqa: E731  # short
    assert counted(flow, confirm) == (0, 0)
    assert counted(flow, lambda: flow.enroller.verify(USER, code)) == (1, 0)
    assert counted(flow, lambda: flow.enroller.resume(USER, setup_id=setup.id)) == (1, 0)
    assert counted(flow, lambda: flow.enroller.status(USER)) == (1, 0)
    assert counted(flow, lambda: flow.enroller.disable(USER)) == (1, 0)
    near = {phone.code(n) for n in range(-3, 4)}
    wrong = next(f"{n:06d}" for n in range(100) if f"{n:06d}" not in near)
    for _ in range(5):
        assert counted(flow, lambda: flow.enroller.verify(USER, wrong)) == (1, 1)
    assert counted(flow, lambda: flow.enroller.verify(USER, wrong)) == (1, 0)


def test_document_of_a_confirmed_account_is_small(flow: Any) -> None:
    """With ten recovery codes and a long name the document stays under 2 KB."""
    flow.enroll()
    flow.enroller.rename(USER, "default", "گوشی" * 16)
    assert len(flow.store.load(USER).document) < 2048


class RivalStore(MemoryStore):
    """A store in which another request changes the row before each of the first saves."""

    def __init__(self, rivals: int) -> None:
        super().__init__()
        self.rivals = rivals
        self.saves = 0

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        self.saves += 1
        if self.rivals:
            self.rivals -= 1
            found = self.load(record.user_id)
            theirs = replace(found or record, revision=f"{self.saves:032x}")
            assert super().save(theirs, expected=found.revision if found else None)
        return super().save(record, expected=expected)


def build(store: Any, flow: Any, **changes: Any) -> Enroller:
    """Build an enroller over another store with the flow's clock."""
    settings: dict[str, Any] = {"issuer": "Exir", "cipher": Unencrypted(), "clock": flow.clock}
    return Enroller(store, **(settings | changes))


def test_refused_save_is_decided_anew_after_a_growing_pause(flow: Any) -> None:
    """Each refusal waits a random part of 5 ms, doubling to 100 ms, and the tenth try may win."""
    slept: list[float] = []
    enroller = build(RivalStore(9), flow, sleep=slept.append)
    enroller.begin(USER, account_name="sara")
    assert len(slept) == 9
    caps = [0.005 * 2**n for n in range(5)] + [0.1] * 4
    assert all(0 <= pause < cap for pause, cap in zip(slept, caps, strict=True))
    assert len(set(slept)) == 9


def test_clock_is_read_once_however_often_is_tried(flow: Any) -> None:
    """A request has one time, also when nine saves are refused before the tenth."""
    times = iter([flow.clock()])
    build(RivalStore(9), flow, clock=lambda: next(times)).begin(USER, account_name="sara")
    assert list(times) == []


def test_pauses_use_the_whole_of_their_range(flow: Any) -> None:
    """The jitter is full: it reaches from nothing to the cap, as the random bytes say."""
    for byte, share in ((b"\0", 0.0), (b"\x80", 0.5), (b"\xff", 1.0)):
        slept: list[float] = []
        enroller = build(
            RivalStore(1),
            flow,
            sleep=slept.append,
            random_bytes=lambda length, byte=byte: byte * length,
        )
        enroller.begin(USER, account_name="sara")
        assert slept == [pytest.approx(0.005 * share, abs=0.0001)]


def test_tenth_refusal_is_contention(flow: Any) -> None:
    """After ten refused saves the request ends, without an event and without an answer."""
    told: list[object] = []
    store = RivalStore(10)
    enroller = build(store, flow, sleep=lambda seconds: None, on_event=told.append)
    with pytest.raises(errors.StoreContentionError):
        enroller.begin(USER, account_name="sara")
    assert store.saves == 10
    assert told == []


class TwiceStore(MemoryStore):
    """A store whose driver delivers a save twice and reports the second, as after a lost reply."""

    def __init__(self, between: Callable[[], object] | None = None) -> None:
        super().__init__()
        self.between = between
        self.saves = 0

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        self.saves += 1
        super().save(record, expected=expected)
        between, self.between = self.between, None
        if between is not None:
            between()
        return super().save(record, expected=expected)


def test_own_write_is_recognised_after_a_refusal(flow: Any) -> None:
    """A write that landed and was then reported as refused stands, and is not done again."""
    told: list[object] = []
    store = TwiceStore()
    enroller = build(store, flow, sleep=lambda seconds: None, on_event=told.append)
    setup = enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    confirmation = enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert confirmation.recovery_codes is not None
    flow.clock.advance(30)
    assert enroller.verify(USER, phone.code()).method == "code"
    assert store.saves == 3
    assert [type(event).__name__ for event in told] == [
        "SetupBegun",
        "AuthenticatorConfirmed",
        "RecoveryCodesIssued",
        "CodeVerified",
    ]


@pytest.mark.parametrize("others", [1, 7])
def test_own_write_is_recognised_under_the_writes_of_others(others: int, flow: Any) -> None:
    """Up to seven later writes do not hide that this one had landed."""
    store = TwiceStore()
    enroller = build(store, flow, sleep=lambda seconds: None)
    setup = enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    codes = enroller.confirm(USER, phone.code(), setup_id=setup.id).recovery_codes
    assert codes is not None
    flow.clock.advance(30)
    rival = build(MemoryStore(), flow)
    rival._store = _Plain(store)

    def interfere() -> None:
        for n in range(others):
            rival.verify(USER, codes[n])

    store.between = interfere
    assert enroller.verify(USER, phone.code()).method == "code"
    assert rival.status(USER).recovery_codes_left == 10 - others


class _Plain:
    """The rows of another store, saved once."""

    joined = False

    def __init__(self, store: MemoryStore) -> None:
        self._rows = store
        self.load = store.load
        self.delete = store.delete

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        return MemoryStore.save(self._rows, record, expected=expected)


def test_last_refused_save_is_looked_up_too(flow: Any) -> None:
    """A tenth save that landed and was reported as refused stands."""

    class Deaf(RivalStore):
        def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
            stored = super().save(record, expected=expected)
            return stored and self.saves < 10

    store = Deaf(9)
    setup = build(store, flow, sleep=lambda seconds: None).begin(USER, account_name="sara")
    assert build(store, flow).resume(USER, setup_id=setup.id).key == setup.key
    assert store.saves == 10


class FailingStore(MemoryStore):
    """A store that fails on demand, before or after the work is done."""

    fail_load = fail_save = fail_after_save = fail_delete = False

    def load(self, user_id: str) -> StoredEnrollment | None:
        if self.fail_load:
            raise ConnectionError("server at 192.0.2.1 said: secret things")
        return super().load(user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        if self.fail_save:
            raise ConnectionError
        stored = super().save(record, expected=expected)
        if self.fail_after_save:
            raise ConnectionError
        return stored

    def delete(self, user_id: str) -> None:
        if self.fail_delete:
            raise ConnectionError
        super().delete(user_id)


@pytest.mark.requirement("R-62")
def test_failing_store_is_an_error_and_never_a_verdict(flow: Any) -> None:
    """A store that fails raises StorageError with its cause and not its text, in every verb."""
    store = FailingStore()
    told: list[object] = []
    enroller = build(store, flow, on_event=told.append)
    setup = enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    enroller.confirm(USER, phone.code(), setup_id=setup.id)
    flow.clock.advance(60)
    told.clear()
    store.fail_load = True
    for act in (
        lambda: enroller.verify(USER, phone.code()),
        lambda: enroller.status(USER),
        lambda: enroller.begin(USER, account_name="sara", proof=VOUCHED),
    ):
        with pytest.raises(errors.StorageError) as failure:
            act()
        assert isinstance(failure.value.__cause__, ConnectionError)
        assert "192.0.2.1" not in str(failure.value)
    store.fail_load, store.fail_save = False, True
    with pytest.raises(errors.StorageError):
        enroller.verify(USER, phone.code())
    store.fail_save, store.fail_delete = False, True
    with pytest.raises(errors.StorageError):
        enroller.erase(USER, proof=VOUCHED)
    assert told == []
    enroller.verify(USER, phone.code())


@pytest.mark.requirement("R-62", "R-65")
def test_unknown_outcome_ends_well_when_asked_again(flow: Any) -> None:
    """A save that landed and raised is not retried; the user's next code logs in."""
    store = FailingStore()
    enroller = build(store, flow)
    setup = enroller.begin(USER, account_name="sara")
    phone = flow.phone(setup)
    store.fail_after_save = True
    with pytest.raises(errors.StorageError):
        enroller.confirm(USER, phone.code(), setup_id=setup.id)
    store.fail_after_save = False
    with pytest.raises(errors.NotPendingError):
        enroller.confirm(USER, phone.code(), setup_id=setup.id)
    with pytest.raises(errors.CodeReusedError):
        enroller.verify(USER, phone.code())
    flow.clock.advance(30)
    enroller.verify(USER, phone.code())


@pytest.mark.parametrize("answer", [None, 1, "true", object()])
def test_save_that_answers_neither_true_nor_false_is_an_adapter_error(
    answer: object, flow: Any
) -> None:
    """Nothing but True is a stored write, however true it looks."""

    class Odd(MemoryStore):
        def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
            return answer

    with pytest.raises(errors.AdapterError) as refusal:
        build(Odd(), flow).begin(USER, account_name="sara")
    assert refusal.value.fault == "save returned neither True nor False"


TYPED = "load returned a record with a value of another type"


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda record: "not a record", "load returned neither a StoredEnrollment nor None"),
        (
            lambda record: replace(record, user_id="another"),
            "load returned the record of another id",
        ),
        (lambda record: replace(record, document=None), TYPED),
        (lambda record: replace(record, revision=b"0" * 32), TYPED),
        (lambda record: replace(record, state=None), TYPED),
        (lambda record: replace(record, changed_at=1.5), TYPED),
        (lambda record: replace(record, changed_at=True), TYPED),
        (lambda record: replace(record, setup_expires_at="1800000900"), TYPED),
    ],
    ids=["type", "id", "document", "revision", "state", "changed_at", "bool", "setup_expires_at"],
)
def test_load_that_answers_something_else_is_an_adapter_error(
    spoil: Callable[[Any], Any], fault: str, flow: Any
) -> None:
    """A record of another id or with values of other types is not judged, and the fault is told."""

    class Odd(MemoryStore):
        def load(self, user_id: str) -> Any:
            record = super().load(user_id)
            return record and spoil(record)

    store = Odd()
    enroller = build(store, flow)
    enroller.begin(USER, account_name="sara")
    with pytest.raises(errors.AdapterError) as refusal:
        enroller.status(USER)
    assert refusal.value.fault == fault


@pytest.mark.requirement("R-93")
def test_newer_and_damaged_records_are_errors(flow: Any) -> None:
    """A record of a newer schema and a damaged one are refused, and nothing is written."""
    phone, _ = flow.enroll()
    record = flow.store.load(USER)
    for document, expected in (
        (record.document.replace('"min_reader":1', '"min_reader":2'), errors.RecordTooNewError),
        (record.document[:-1], errors.CorruptRecordError),
        (record.document.replace('"digits":6', '"digits":5'), errors.CorruptRecordError),
    ):
        changed = replace(record, document=document, revision="0" * 32)
        found = flow.store.load(USER)
        assert flow.store.save(changed, expected=found.revision)
        with pytest.raises(expected):
            flow.enroller.verify(USER, phone.code())
        assert flow.store.load(USER) == changed


@pytest.mark.requirement("R-01")
@pytest.mark.regression_of("B-40")
def test_injected_bytes_are_the_only_randomness(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every other source broken the flow works on the injected one, and is repeatable."""
    import os  # noqa: PLC0415  # broken here alone
    import random  # noqa: PLC0415  # the same
    import secrets  # noqa: PLC0415  # the same

    def broken(*args: object) -> Any:
        raise AssertionError("another source of randomness was used")

    for module, names in (
        (random, ("random", "randbytes")),
        (secrets, ("token_bytes",)),
        (os, ("urandom",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, broken)

    def life() -> list[str]:
        drawn = iter(range(1, 100))
        store = MemoryStore()
        enroller = build(store, flow, random_bytes=lambda length: bytes([next(drawn)]) * length)
        setup = enroller.begin(USER, account_name="sara")
        confirmation = enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
        return [setup.key, setup.id, *(confirmation.recovery_codes or ())]

    assert life() == life()


@pytest.mark.regression_of("B-40")
@pytest.mark.parametrize("short", [b"", b"\1" * 10, bytearray(20), "x" * 20])
def test_short_read_of_randomness_is_an_error(short: Any, flow: Any) -> None:
    """A source that gives fewer bytes, or something else, makes no secret."""
    enroller = build(MemoryStore(), flow, random_bytes=lambda length: short)
    with pytest.raises(ValueError, match="random_bytes must return exactly"):
        enroller.begin(USER, account_name="sara")
    assert enroller.status(USER).state == "disabled"


class BadCipher:
    """A cipher that raises, or returns something that is no ciphertext."""

    def __init__(self, **returns: Any) -> None:
        self._returns = returns

    def _act(self, verb: str, otherwise: Any) -> Any:
        if verb not in self._returns:
            return otherwise
        if isinstance(self._returns[verb], Exception):
            raise self._returns[verb]
        return self._returns[verb]

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        sealed: bytes = self._act("seal", b"\0" + plaintext)
        return sealed

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        opened: bytes = self._act("open", sealed[1:])
        return opened

    def needs_reseal(self, sealed: bytes) -> bool:
        needed: bool = self._act("needs_reseal", otherwise=False)
        return needed


@pytest.mark.regression_of("B-38")
@pytest.mark.parametrize("returned", [RuntimeError("boom"), None, "text", 7])
def test_cipher_that_cannot_seal_makes_no_setup(returned: Any, flow: Any) -> None:
    """A secret that cannot be sealed is not stored, and not shown."""
    enroller = build(MemoryStore(), flow, cipher=BadCipher(seal=returned))
    with pytest.raises(errors.UnreadableSecretError):
        enroller.begin(USER, account_name="sara")
    assert enroller.status(USER).state == "disabled"


@pytest.mark.requirement("R-62")
@pytest.mark.regression_of("B-38")
@pytest.mark.parametrize(
    ("verb", "returned"),
    [
        ("open", RuntimeError("boom")),
        ("open", None),
        ("open", "a text of twenty let"),
        ("open", b"too short"),
    ],
)
def test_cipher_that_cannot_open_judges_nothing(verb: str, returned: Any, flow: Any) -> None:
    """Whatever the cipher does wrong, a right code is an error and is not spent."""
    phone, _ = flow.enroll()
    stored = flow.store.load(USER)
    broken = flow.another(cipher=BadCipher(**{verb: returned}))
    with pytest.raises(errors.UnreadableSecretError):
        broken.verify(USER, phone.code())
    assert flow.store.load(USER) == stored
    flow.enroller.verify(USER, phone.code())


@pytest.mark.regression_of("B-38")
@pytest.mark.parametrize(
    "broken", [{"needs_reseal": RuntimeError("boom")}, {"needs_reseal": True, "seal": None}]
)
def test_failed_resealing_on_the_way_fails_no_login(broken: dict[str, Any], flow: Any) -> None:
    """That a secret cannot be sealed anew is no reason to refuse a code; maintenance says so."""
    phone, _ = flow.enroll()
    enroller = flow.another(cipher=BadCipher(**broken))
    assert enroller.verify(USER, phone.code()).method == "code"
    report = enroller.reseal()
    assert (report.resealed, report.unreadable) == (0, 1)


def test_begin_without_a_proof_seals_nothing(flow: Any) -> None:
    """A refused begin says why it is refused, also when the cipher could not seal."""
    flow.enroll()
    enroller = flow.another(cipher=BadCipher(seal=RuntimeError("boom")))
    with pytest.raises(errors.ProofRequiredError):
        enroller.begin(USER, account_name="sara")


@pytest.mark.requirement("R-96")
def test_listener_that_raises_undoes_nothing(flow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What a listener raises is logged on otp_enroll, and the change and the answer stand."""

    def listener(event: object) -> None:
        raise RuntimeError("mail server is down")

    enroller = flow.another(on_event=listener)
    setup = enroller.begin(USER, account_name="sara")
    assert enroller.resume(USER, setup_id=setup.id).key == setup.key
    assert {record.name for record in caplog.records} == {"otp_enroll"}
    assert "mail server is down" in caplog.text


def test_no_listener_is_needed(flow: Any) -> None:
    """Without on_event everything works and nothing is told."""
    enroller = flow.another(on_event=None)
    enroller.begin(USER, account_name="sara")
    assert flow.told == []


@pytest.mark.requirement("R-92")
def test_enroller_refuses_what_cannot_serve() -> None:
    """A missing cipher, a joined store, a store of the other flavour: refused when it is built."""

    class NoJoined:
        load = save = delete = print

    good: dict[str, Any] = {"issuer": "Exir", "cipher": Unencrypted()}
    flavours: list[tuple[Any, Any]] = [(Enroller, MemoryStore), (AsyncEnroller, AsyncMemoryStore)]
    for flavour, store_type in flavours:
        with pytest.raises(TypeError, match="cipher"):
            flavour(store_type(), issuer="Exir")
        joined = store_type()
        joined.joined = True
        with pytest.raises(ValueError, match=r"pass this one to using\(\)"):
            flavour(joined, **good)
        for store in (None, object(), NoJoined()):
            with pytest.raises(TypeError, match="store"):
                flavour(store, **good)
        for wrong in (
            {"cipher": None},
            {"cipher": object()},
            {"policy": None},
            {"policy": {"digits": 8}},
            {"clock": None},
            {"random_bytes": 7},
            {"issuer": None},
            {"issuer": b"Exir"},
            {"on_event": "events.log"},
        ):
            with pytest.raises(TypeError, match=next(iter(wrong))):
                flavour(store_type(), **(good | wrong))
        for issuer in ("", "  ", "a:b", "a\nb", "u\u202eevil", "x" * 65, "\ud800"):
            with pytest.raises(ValueError, match="issuer"):
                flavour(store_type(), **(good | {"issuer": issuer}))
    with pytest.raises(TypeError, match="this store is for AsyncEnroller"):
        Enroller(AsyncMemoryStore(), **good)  # type: ignore[arg-type]  # refused at run time
    with pytest.raises(TypeError, match="this store is for Enroller"):
        AsyncEnroller(MemoryStore(), **good)  # type: ignore[arg-type]  # refused at run time


def test_flavours_have_the_same_verbs_and_signatures() -> None:
    """Enroller and AsyncEnroller differ in the awaiting alone."""
    plain = dict(inspect.getmembers(Enroller, inspect.isfunction))
    awaited = dict(inspect.getmembers(AsyncEnroller, inspect.isfunction))
    assert set(plain) == set(awaited)
    for name, function in plain.items():
        if name in {"__init__", "_ids", "_admitted", "using"}:
            continue
        assert inspect.iscoroutinefunction(awaited[name]), name
        assert inspect.signature(function) == inspect.signature(awaited[name]), name
    parameters = [list(inspect.signature(f.__init__).parameters) for f in (Enroller, AsyncEnroller)]
    assert parameters[0] == parameters[1]


def test_maintenance_wants_a_store_that_lists_and_a_sensible_limit(flow: Any) -> None:
    """Without user_ids, and with a limit that is none, maintenance refuses and does nothing."""
    bare = flow.another()
    bare._store = _Plain(flow.store)
    for act in (bare.purge_expired, bare.reseal):
        with pytest.raises(TypeError, match="user_ids"):
            act()
    for limit, expected in ((0, ValueError), (-1, ValueError), (True, TypeError), ("1", TypeError)):
        for act in (flow.enroller.purge_expired, flow.enroller.reseal):
            with pytest.raises(expected):
                act(limit=limit)


def test_maintenance_reads_page_after_page(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """More accounts than a page holds are all reached, each once."""
    monkeypatch.setattr("otp_enroll.maintenance.PAGE", 3)
    for number in range(9):
        flow.enroller.begin(f"user-{number}", account_name="sara")
    assert flow.enroller.reseal().examined == 9
    flow.clock.advance(900)
    assert flow.enroller.purge_expired() == 9


def test_maintenance_ends_on_a_store_that_begins_anew(
    flow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing that does not look at where to start is an error, and no endless round."""
    monkeypatch.setattr("otp_enroll.maintenance.PAGE", 2)
    for number in range(3):
        flow.enroller.begin(f"user-{number}", account_name="sara")
    whole = flow.store.user_ids
    flow.store.user_ids = lambda after=None, **wanted: whole(**wanted)
    with pytest.raises(errors.AdapterError) as refused:
        flow.enroller.reseal()
    assert refused.value.fault == "user_ids returned the id that it was to start after"


class _Rotating(Unencrypted):
    """A cipher with one byte for the key; of lost keys it opens nothing."""

    def __init__(self) -> None:
        self.key = 1
        self.lost: set[int] = set()

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        return bytes([self.key]) + plaintext

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        if sealed[0] in self.lost:
            raise KeyError
        return sealed[1:]

    def needs_reseal(self, sealed: bytes) -> bool:
        return sealed[0] != self.key


class _Unsure(_Rotating):
    """The same; of what a lost key sealed it cannot even say whether it is stale."""

    def needs_reseal(self, sealed: bytes) -> bool:
        if sealed[0] in self.lost:
            raise KeyError
        return super().needs_reseal(sealed)


@pytest.mark.parametrize("cipher", [_Rotating, _Unsure])
def test_resealing_drops_an_expired_setup_and_seals_the_rest(make_flow: Make, cipher: Any) -> None:
    """An expired setup under a lost key is no secret to be sealed anew; the working one is."""
    flow = make_flow(cipher=cipher())
    phone, _ = flow.enroll()
    flow.cipher.key = 2
    flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.clock.advance(900)
    flow.cipher.key, flow.cipher.lost = 3, {2}
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable, report.complete) == (1, 0, True)
    flow.cipher.lost = {1, 2}
    flow.enroller.verify(USER, phone.code())


@pytest.mark.parametrize("lost", [set(), {2}])
def test_resealing_writes_nothing_for_an_expired_setup(make_flow: Make, lost: set[int]) -> None:
    """Where only an expired setup is of an older key, the row is neither written nor counted."""
    flow = make_flow(cipher=_Rotating())
    flow.cipher.key = 3
    flow.enroll()
    flow.cipher.key = 2
    flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    flow.clock.advance(900)
    flow.cipher.key, flow.cipher.lost = 3, lost
    stored = flow.store.load(USER)
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable, report.complete) == (0, 0, True)
    assert flow.store.load(USER) == stored


def test_resealing_opens_what_an_older_key_sealed_and_nothing_else(make_flow: Make) -> None:
    """A row of the newest key is not written, and a lost key leaves its row as it was."""
    flow = make_flow(cipher=_Rotating())
    flow.enroll()
    stored = flow.store.load(USER)
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable) == (0, 0)
    flow.cipher.key, flow.cipher.lost = 2, {1}
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable, report.keys_needed) == (0, 1, {})
    assert flow.store.load(USER) == stored


class _Naming(_Rotating):
    """A cipher that names its keys, but for one at which it fails."""

    def key_id_of(self, sealed: bytes) -> str:
        return {1: "first", 2: "second"}[sealed[0]]


@pytest.mark.requirement("R-91")
def test_resealing_counts_by_key_what_the_cipher_names(make_flow: Make) -> None:
    """Rows are counted by the key that they need; one without a name is passed over."""
    flow = make_flow(cipher=_Naming())
    for number, key in enumerate((1, 2, 2, 3, 4)):
        flow.cipher.key = key
        flow.enroller.begin(f"user-{number}", account_name="sara")
    flow.cipher.lost = {1, 2, 3}
    report = flow.enroller.reseal()
    assert (report.unreadable, report.complete) == (4, True)
    assert report.keys_needed == {"first": 1, "second": 2}


@pytest.mark.requirement("R-91")
@pytest.mark.parametrize("cipher", [_Rotating, _Unsure])
def test_resealing_goes_on_behind_a_secret_that_stays_shut(make_flow: Make, cipher: Any) -> None:
    """What can be opened is sealed anew, although a secret before it cannot."""
    flow = make_flow(cipher=cipher())
    flow.enroll()
    flow.cipher.key = 2
    tablet = flow.add("tablet", VOUCHED)
    flow.cipher.key, flow.cipher.lost = 3, {1}
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable) == (1, 1)
    flow.cipher.lost = {1, 2}
    flow.enroller.disable(USER, authenticator="default", proof=VOUCHED)
    assert flow.enroller.verify(USER, tablet.code()).authenticator == "tablet"


def test_login_seals_anew_what_an_older_key_sealed(make_flow: Make) -> None:
    """A code that opens an old secret also seals it under the newest key, in the same write."""
    flow = make_flow(cipher=_Rotating())
    phone, _ = flow.enroll()
    flow.cipher.key = 2
    saves = flow.store.saves
    flow.enroller.verify(USER, phone.code())
    assert flow.store.saves == saves + 1
    flow.cipher.lost = {1}
    flow.clock.advance(30)
    flow.enroller.verify(USER, phone.code())


@pytest.mark.requirement("R-93")
def test_library_keeps_a_trail_of_eight_revisions(flow: Any) -> None:
    """The document remembers the first 12 characters of the last eight revisions it replaced."""
    replaced: list[str] = []
    for _ in range(12):
        flow.enroller.begin(USER, account_name="sara")
        replaced.insert(0, flow.store.load(USER).revision[:12])
    _, envelope = codec.decode(flow.store.load(USER))
    assert list(envelope.trail) == replaced[1:9]
    assert len(flow.store.load(USER).revision) == 32
    assert len(set(replaced)) == 12


def test_attempt_has_no_answer_before_it_is_settled(flow: Any) -> None:
    """Whoever drives an attempt by hand cannot get an answer before the write."""
    attempt = Attempt(flow.enroller._settings, status.status, requests.AskStatus(user_id=USER))
    assert attempt.events == ()
    with pytest.raises(TypeError, match=r"^the attempt is not settled$"):
        attempt.answer()


def test_refusal_of_the_only_try_is_contention_at_once(flow: Any) -> None:
    """In a transaction of the app nothing is loaded again after a refused save."""
    request = requests.Begin(user_id=USER, account_name="sara")
    attempt = Attempt(flow.enroller._settings, setups.begin, request, tries=1)
    assert attempt.decide(None) is not None
    with pytest.raises(errors.StoreContentionError):
        attempt.saved(False)  # noqa: FBT003  # what a store answers


def test_transition_without_its_random_material_is_a_mistake(flow: Any) -> None:
    """The pure core makes up nothing: begin without a fresh secret is a TypeError."""
    facts = Facts(
        user_id=USER, now=0, changed_at=0, policy=Policy(), issuer="Exir", purpose="begin",
        actor=None, context={},
    )  # fmt: skip
    request = requests.Begin(user_id=USER, account_name="sara")
    with pytest.raises(TypeError, match="FreshSetup"):
        setups.begin(Disabled(), request, facts)


def test_policy_of_eight_digits_makes_such_codes(make_flow: Make) -> None:
    """A policy's parameters reach the URI, the app and the judgement."""
    flow = make_flow(policy=Policy(algorithm="SHA256", digits=8, period=60))
    phone, _ = flow.enroll()
    assert len(phone.code()) == 8
    flow.enroller.verify(USER, phone.code())
