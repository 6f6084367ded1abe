"""The way of a request: one load, at most one save, retries, lost replies, failing stores."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED, PlainStore, build, wrong_for
from otp_enroll import StoredEnrollment, errors
from otp_enroll.attempt import MAX_TRIES, read_clock
from otp_enroll.core.setup_verbs import Begin
from otp_enroll.core.states import aware
from otp_enroll.core.status import AskStatus
from otp_enroll.storage import codec
from otp_enroll.storage.memory import MemoryStore


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
    wrong = wrong_for(phone)
    for _ in range(5):
        assert counted(flow, lambda: flow.enroller.verify(USER, wrong)) == (1, 1)
    assert counted(flow, lambda: flow.enroller.verify(USER, wrong)) == (1, 0)


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
    times = [flow.clock(), flow.clock()]
    enroller = build(RivalStore(9), flow, clock=times.pop)
    assert len(times) == 1  # one reading shows that it is a clock
    enroller.begin(USER, account_name="sara")
    assert times == []


@pytest.mark.requirement("R-62")
@pytest.mark.parametrize("reading", [float("nan"), float("inf"), -1.0, 1e18])
def test_clock_that_tells_no_time_judges_nothing(reading: float, flow: Any) -> None:
    """A reading that is no time of this era is an error before anything is loaded."""
    phone, _ = flow.enroll()
    code = phone.code()
    flow.clock.now = reading
    loads = flow.store.loads
    with pytest.raises(errors.ServerClockError):
        flow.enroller.verify(USER, code)
    assert flow.store.loads == loads


def test_clock_may_show_any_time_from_1970_to_9892() -> None:
    """The first second is a time, as on a device without a battery; the year 9892 is none."""
    for reading, seconds in ((0, 0), (0.9, 0), (249_999_999_999.5, 249_999_999_999)):
        assert read_clock(partial(float, reading)) == seconds
    for reading in (-0.5, 250_000_000_000):
        with pytest.raises(errors.ServerClockError):
            read_clock(partial(float, reading))


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


def test_pauses_grow_to_their_cap(flow: Any) -> None:
    """At its longest a pause is twice the one before, from 5 ms up to 100 ms."""
    slept: list[float] = []
    enroller = build(
        RivalStore(9), flow, sleep=slept.append, random_bytes=lambda length: b"\xff" * length
    )
    enroller.begin(USER, account_name="sara")
    caps = [0.005, 0.01, 0.02, 0.04, 0.08, 0.1, 0.1, 0.1, 0.1]
    assert slept == pytest.approx(caps, rel=1e-6)


def test_tenth_refusal_is_contention(flow: Any) -> None:
    """After ten refused saves the request ends, without an event and without an answer."""
    told: list[object] = []
    store = RivalStore(10)
    enroller = build(store, flow, sleep=lambda seconds: None, on_event=told.append)
    with pytest.raises(errors.StoreContentionError) as refused:
        enroller.begin(USER, account_name="sara")
    # a Retry-After must not be zero, and the races are over within a second
    assert refused.value.retry_at == aware(int(flow.clock()) + 1)
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
    rival._store = PlainStore(store)

    def interfere() -> None:
        for n in range(others):
            rival.verify(USER, codes[n])

    store.between = interfere
    assert enroller.verify(USER, phone.code()).method == "code"
    assert rival.status(USER).recovery_codes_left == 10 - others


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
        (record.document[:-1] + ',"min_reader":2}', errors.RecordTooNewError),
        (record.document[:-1], errors.CorruptRecordError),
        (record.document.replace('"id":', '"digits":5,"id":'), errors.CorruptRecordError),
    ):
        changed = replace(record, document=document, revision="0" * 32)
        found = flow.store.load(USER)
        assert flow.store.save(changed, expected=found.revision)
        with pytest.raises(expected):
            flow.enroller.verify(USER, phone.code())
        assert flow.store.load(USER) == changed


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
    attempt = flow.enroller._start(AskStatus(user_id=USER), MAX_TRIES)
    assert attempt.events == ()
    with pytest.raises(TypeError, match=r"^the attempt is not settled$"):
        attempt.answer()


def test_refusal_of_the_only_try_is_contention_at_once(flow: Any) -> None:
    """In a transaction of the app nothing is loaded again after a refused save."""
    attempt = flow.enroller._start(Begin(user_id=USER, account_name="sara"), 1)
    assert attempt.draw_pause() is None
    write = attempt.decide(None)
    assert write is not None
    assert (write.user_id, write.expected) == (USER, None)
    with pytest.raises(errors.StoreContentionError) as refused:
        attempt.saved(False)  # noqa: FBT003  # what a store answers
    assert refused.value.retry_at == aware(int(flow.clock()) + 1)


def reachable_secrets(error: BaseException) -> list[str]:
    """Return the types of what the frames of an error hold of a decision."""
    found = []
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for local in frame.f_locals.values():
            for name in ("_decision", "_fresh", "_write"):
                found += [name] if getattr(local, name, None) is not None else []
    return found


@pytest.mark.requirement("R-06")
@pytest.mark.parametrize(
    "answer", [False, None, RuntimeError("gone")], ids=["refused", "none", "raised"]
)
def test_no_decision_outlives_a_request(answer: Any, flow: Any, monkeypatch: Any) -> None:
    """However a save fails, no frame of the error holds the decision or what was drawn."""

    def save(record: Any, *, expected: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(flow.store, "save", save)
    with pytest.raises(errors.EnrollmentError) as failed:
        flow.enroller.begin(USER, account_name="sara")
    assert reachable_secrets(failed.value) == []


@pytest.mark.requirement("R-62")
@pytest.mark.parametrize("call", ["load", "save", "delete"])
def test_refusal_of_a_store_is_a_failure(call: str, flow: Any, monkeypatch: Any) -> None:
    """An adapter that says "not enrolled" is not believed: only the rules refuse."""

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise errors.NotEnrolledError

    monkeypatch.setattr(flow.store, call, refuse)
    with pytest.raises(errors.AdapterError) as failed:
        if call == "delete":
            flow.enroller.erase(USER, proof=VOUCHED)
        else:
            flow.enroller.begin(USER, account_name="sara")
    assert isinstance(failed.value.__cause__, errors.NotEnrolledError)


def test_answer_of_a_delete_is_looked_at(flow: Any, monkeypatch: Any) -> None:
    """A delete that returns something, a coroutine say, is no success, and no event says so."""
    flow.enroller.begin(USER, account_name="sara")
    flow.told.clear()
    monkeypatch.setattr(flow.store, "delete", lambda user_id: "later")
    with pytest.raises(errors.AdapterError) as failed:
        flow.enroller.erase(USER, proof=VOUCHED)
    assert failed.value.fault == "delete returned something"
    assert flow.told == []
