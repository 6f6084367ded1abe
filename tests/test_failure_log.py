"""What whoever runs the app reads: each failure once, contention as a warning, refusals never."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from helpers.flows import VOUCHED, wrong_for
from otp_enroll import AsyncEnroller, Enroller, StoredEnrollment, Unencrypted, errors
from otp_enroll.core.states import Disabled, EnrollmentState
from otp_enroll.core.verb import Decision, Verb, World
from otp_enroll.errors import EnrollmentError
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

pytestmark = pytest.mark.requirement("R-103")

USER = "user\n42"
"""An id that would begin a line of its own in a log, were it not shown by its repr."""


class Rows(MemoryStore):
    """Rows whose store fails, answers wrongly, or is always too late, on demand."""

    raises: Exception | None = None
    spoil: Callable[[Any], Any] | None = None
    answer: object = None

    def load(self, user_id: str) -> Any:
        if self.raises is not None:
            raise self.raises
        record = super().load(user_id)
        return record if self.spoil is None or record is None else self.spoil(record)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        return super().save(record, expected=expected) if self.answer is None else self.answer

    def user_ids(self, **wanted: Any) -> Any:
        if self.raises is not None:
            raise self.raises
        return super().user_ids(**wanted)


class OverRows:
    """A store over them, as an enroller of either flavour takes it, own or joined."""

    def __init__(self, rows: Rows, *, joined: bool) -> None:
        self.rows = rows
        self.joined = joined

    def load(self, user_id: str) -> Any:
        return self.rows.load(user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        return self.rows.save(record, expected=expected)

    def delete(self, user_id: str) -> None:
        self.rows.delete(user_id)

    def user_ids(self, **wanted: Any) -> Any:
        return self.rows.user_ids(**wanted)


class AwaitedRows:
    """The same, awaited."""

    def __init__(self, rows: Rows, *, joined: bool) -> None:
        self.rows = rows
        self.joined = joined

    async def load(self, user_id: str) -> Any:
        return self.rows.load(user_id)

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> Any:
        return self.rows.save(record, expected=expected)

    async def delete(self, user_id: str) -> None:
        self.rows.delete(user_id)

    async def user_ids(self, **wanted: Any) -> Any:
        return self.rows.user_ids(**wanted)


class LosingCipher(Unencrypted):
    """A cipher that loses its key on demand; what it raises then speaks of more than it should."""

    lost = False

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        if self.lost:
            raise KeyError("text of the cause")
        return super().open(sealed, context=context)


class Door:
    """One of the four enrollers over an account with a staged setup, and what makes it fail."""

    def __init__(self, which: str) -> None:
        self.rows, self.clock, self.cipher = Rows(), FrozenClock(), LosingCipher()
        first = Enroller(
            OverRows(self.rows, joined=False), issuer="Exir", cipher=self.cipher, clock=self.clock
        )
        setup = first.begin(USER, account_name="sara")
        self.phone = FakeAuthenticator(setup.uri, self.clock)
        done = first.confirm(USER, self.phone.code(), setup_id=setup.id)
        self.recovery_codes = list(done.recovery_codes or ())
        self.clock.advance(60)
        self.setup = first.begin(USER, account_name="sara", authenticator="tablet", proof=VOUCHED)
        self.own = "own" in which
        self.enroller: Any = self._build(which)

    def _build(self, which: str) -> Any:
        flavour: Any = AsyncEnroller if "awaited" in which else Enroller
        over: Any = AwaitedRows if "awaited" in which else OverRows
        enroller = flavour(
            over(self.rows, joined=False), issuer="Exir", cipher=self.cipher, clock=self.clock
        )
        return enroller if self.own else enroller.using(over(self.rows, joined=True))

    def call(self, verb: str, *args: Any, **named: Any) -> Any:
        """Call a verb, and wait for it where it has to be awaited."""

        async def run() -> Any:
            answer = getattr(self.enroller, verb)(*args, **named)
            return await answer if inspect.isawaitable(answer) else answer

        return asyncio.run(run())

    def ask(self, **named: Any) -> Any:
        return self.call("status", USER, **named)


every_door = pytest.mark.parametrize("which", ["own", "joined", "own awaited", "joined awaited"])
both_flavours = pytest.mark.parametrize("which", ["own", "own awaited"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rogue(Verb[None]):
    """A verb that leaves the table: a cancelled setup would take the whole account with it."""

    name: ClassVar[str] = "cancel"

    def decide(self, state: EnrollmentState, world: World) -> Decision[None]:
        return Decision(None, Disabled())


def lose_the_key(door: Door) -> None:
    door.cipher.lost = True
    door.call("resume", USER, setup_id=door.setup.id)


def spoiled(**columns: Any) -> Callable[[Door], None]:
    def fail(door: Door) -> None:
        door.rows.spoil = lambda record: replace(record, **columns)
        door.ask()

    return fail


def turn_back_the_clock(door: Door) -> None:
    door.clock.now = -1.0
    door.ask()


def answer_oddly(door: Door) -> None:
    door.rows.answer = "true"
    door.call("rename", USER, "default", "phone")


def forget(door: Door) -> None:
    door.rows.delete(USER)
    door.ask(known_on=True)


FAILURES: dict[str, tuple[Callable[[Door], object], type[EnrollmentError], str]] = {
    "damaged": (spoiled(document="{"), errors.CorruptRecordError, "nothing else"),
    "too new": (spoiled(document='{"min_reader":9}'), errors.RecordTooNewError, "nothing else"),
    "odd record": (spoiled(changed_at="1"), errors.AdapterError, "nothing else"),
    "odd answer": (answer_oddly, errors.AdapterError, "nothing else"),
    "missing": (forget, errors.EnrollmentMissingError, "nothing else"),
    "lost key": (lose_the_key, errors.UnreadableSecretError, "KeyError"),
    "clock": (turn_back_the_clock, errors.ServerClockError, "nothing else"),
    "left the table": (
        lambda door: door.call("_apply", Rogue(user_id=USER)),
        errors.TransitionBrokenError,
        "nothing else",
    ),
}


def assert_told_once(
    caplog: pytest.LogCaptureFixture, error: EnrollmentError, cause: str, about: object = USER
) -> None:
    """Look at the one line that a failure may leave."""
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("otp_enroll", logging.ERROR)
    name = type(error).__name__
    because = "" if cause == "nothing else" else f" (because of {cause})"
    assert record.getMessage() == f"{name} for {about!r}: {error}{because}"
    assert (record.exc_info, record.exc_text, record.stack_info) == (None, None, None)
    assert "\n" not in record.getMessage()
    assert "text of the cause" not in caplog.text


@every_door
@pytest.mark.parametrize(("fail", "kind", "cause"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_logged_once(
    fail: Callable[[Door], object],
    kind: type[EnrollmentError],
    cause: str,
    which: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At ERROR, with the class of its cause and the repr of the user id, and with nothing more."""
    caplog.set_level(logging.DEBUG, "otp_enroll")
    door = Door(which)
    with pytest.raises(kind) as failure:
        fail(door)
    assert type(failure.value) is kind
    assert issubclass(kind, errors.FailureError)
    assert_told_once(caplog, failure.value, cause)


@both_flavours
@pytest.mark.parametrize("verb", ["load", "save", "delete"])
def test_a_store_that_fails_is_logged_once(
    verb: str, which: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the driver raised, and wherever, one line has its class and not its text."""
    door = Door(which)

    def fail(*args: object, **named: object) -> None:
        raise ConnectionError("text of the cause")

    monkeypatch.setattr(door.rows, verb, fail)
    with pytest.raises(errors.StorageError) as failure:
        if verb == "delete":
            door.call("erase", USER, proof=VOUCHED)
        else:
            door.call("rename", USER, "default", "phone")
    assert_told_once(caplog, failure.value, "ConnectionError")


@both_flavours
@pytest.mark.parametrize("verb", ["load", "save", "delete"])
def test_a_failure_that_a_store_says_itself_is_not_wrapped(
    verb: str, which: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that knows what is wrong raises an error of the library, and that one is logged."""
    door = Door(which)
    told = errors.AdapterError("the row of another id came back")

    def fail(*args: object, **named: object) -> None:
        raise told from ConnectionError("text of the cause")

    monkeypatch.setattr(door.rows, verb, fail)
    with pytest.raises(errors.AdapterError) as failure:
        if verb == "delete":
            door.call("erase", USER, proof=VOUCHED)
        else:
            door.call("rename", USER, "default", "phone")
    assert failure.value is told
    assert_told_once(caplog, told, "ConnectionError")


@pytest.mark.parametrize("which", ["joined", "joined awaited"])
def test_what_a_driver_raises_in_a_transaction_is_the_apps(
    which: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It passes unchanged, and the library does not log what it did not raise."""
    door = Door(which)
    door.rows.raises = ConnectionError("text of the cause")
    with pytest.raises(ConnectionError):
        door.ask()
    assert caplog.records == []


@every_door
def test_contention_is_logged_once_as_a_warning(
    which: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often was tried, one line says that an account is too busy."""
    caplog.set_level(logging.DEBUG, "otp_enroll")
    monkeypatch.setattr("otp_enroll.attempt.MAX_PAUSE", 0.0)
    door = Door(which)
    door.rows.answer = False
    with pytest.raises(errors.StoreContentionError):
        door.call("rename", USER, "default", "phone")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("otp_enroll", logging.WARNING)
    sentence = "too many requests are changing this account at once"
    assert record.getMessage() == f"StoreContentionError for {USER!r}: {sentence}"
    assert record.exc_info is None


@both_flavours
def test_a_refusal_leaves_no_line(which: str, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is for the person at the page: a guesser must not fill the log."""
    caplog.set_level(logging.DEBUG, "otp_enroll")
    door = Door(which)
    wrong, code = wrong_for(door.phone), door.phone.code()
    refused: set[str] = set()

    def ask(verb: str, *args: Any, **named: Any) -> None:
        with pytest.raises(errors.RefusalError) as refusal:
            door.call(verb, *args, **named)
        refused.add(type(refusal.value).__name__)

    ask("verify", USER, "12345")
    ask("verify", "another", code)
    ask("resume", "another", setup_id=door.setup.id)
    ask("resume", USER, setup_id="x" * 43)
    ask("disable", USER)
    ask("rename", USER, "watch", "phone")
    door.call("verify", USER, code)
    ask("verify", USER, code)
    for _ in range(6):
        ask("verify", USER, wrong)
    door.clock.advance(900)
    ask("confirm", USER, wrong, setup_id=door.setup.id)
    while "LockedError" not in refused:
        door.clock.advance(3600)
        ask("verify", USER, wrong_for(door.phone))
    assert refused == {
        "MalformedCodeError", "NotEnrolledError", "NotPendingError", "SetupSupersededError",
        "ProofRequiredError", "UnknownAuthenticatorError", "CodeReusedError", "WrongCodeError",
        "TooManyAttemptsError", "SetupExpiredError", "LockedError",
    }  # fmt: skip
    assert caplog.records == []


@pytest.mark.parametrize("which", ["joined", "joined awaited"])
def test_a_refusal_in_a_transaction_leaves_no_line(
    which: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The same, in a transaction of the app."""
    caplog.set_level(logging.DEBUG, "otp_enroll")
    door = Door(which)
    with pytest.raises(errors.ProofRequiredError):
        door.call("disable", USER)
    with pytest.raises(errors.SetupSupersededError):
        door.call("cancel", USER, setup_id="x" * 43)
    with pytest.raises(errors.NotEnrolledError):
        door.call("rename", "another", "default", "phone")
    assert caplog.records == []


# --- maintenance ---

maintain = pytest.mark.parametrize("verb", ["purge_expired", "reseal"])


@both_flavours
@maintain
def test_a_listing_that_fails_is_logged_once(
    verb: str, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A walk over all accounts concerns none by itself, and its failure is logged all the same."""
    door = Door(which)
    door.rows.raises = ConnectionError("text of the cause")
    with pytest.raises(errors.StorageError) as failure:
        door.call(verb)
    assert_told_once(caplog, failure.value, "ConnectionError", None)


@both_flavours
def test_a_clock_that_fails_a_purge_is_logged_once(
    which: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a time nothing is listed, and one line says why."""
    door = Door(which)
    door.clock.now = float("nan")
    with pytest.raises(errors.ServerClockError) as failure:
        door.call("purge_expired")
    assert_told_once(caplog, failure.value, "nothing else", None)


@both_flavours
@maintain
def test_a_row_that_cannot_be_read_is_logged_once(
    verb: str, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Maintenance passes over a damaged row, and leaves the one line of its request."""
    door = Door(which)
    door.clock.advance(900)
    door.rows.spoil = lambda record: replace(record, document="{")
    door.call(verb)
    with pytest.raises(errors.CorruptRecordError) as failure:
        door.ask()
    caplog.records.pop()
    assert_told_once(caplog, failure.value, "nothing else")


@both_flavours
def test_a_row_that_cannot_be_sealed_is_logged_once(
    which: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reseal could open and not seal again is a failure of the cipher's, in one line."""
    door = Door(which)

    def fail(*args: object, **named: object) -> bytes:
        raise OSError("text of the cause")

    monkeypatch.setattr(LosingCipher, "needs_reseal", lambda self, sealed: True)
    monkeypatch.setattr(LosingCipher, "seal", fail)
    report = door.call("reseal")
    assert (report.examined, report.resealed, report.unreadable) == (1, 0, 1)
    assert_told_once(caplog, errors.UnreadableSecretError(), "OSError")
