"""One request without its I/O: decode, open, decide, encode, recognise one's own write, pause.

An enroller feeds it what it loaded and does what it says. Both flavours share it, so that the
rules of a retry stand here once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from otp_enroll.core.recovery import FreshRecovery
from otp_enroll.core.secret import FreshSetup
from otp_enroll.core.states import Disabled, EnrollmentState, aware
from otp_enroll.core.transitions import decide
from otp_enroll.core.verb import Decision, Verb, World
from otp_enroll.errors import (
    AdapterError,
    EnrollmentError,
    FailureError,
    ServerClockError,
    StoreContentionError,
)
from otp_enroll.events import Event
from otp_enroll.policy import Policy
from otp_enroll.storage import codec
from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.vault import Vault

if TYPE_CHECKING:
    from logging import Logger

MAX_TRIES: Final = 10
FIRST_PAUSE: Final = 0.005
MAX_PAUSE: Final = 0.1

_MAX_CLOCK: Final = 250_000_000_000  # the year 9892: a lifetime later is still a datetime
_REVISION_BYTES: Final = 16

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Write:
    """What to save, and which revision it must find there; no record means to delete the row."""

    user_id: str
    record: StoredEnrollment | None
    expected: str | None


def read_clock(clock: Callable[[], float]) -> int:
    """Read a clock, in whole Unix seconds.

    Raises:
        ServerClockError: It is before 1970, after 9892, or not a number.
    """
    reading = clock()
    if not math.isfinite(reading) or not 0 <= reading < _MAX_CLOCK:
        raise ServerClockError
    return int(reading)


def check_clock(clock: object) -> None:
    """Refuse a clock that cannot serve.

    Raises:
        TypeError: It is not callable, or what it returns is no number of seconds.
    """
    if not callable(clock):
        raise TypeError("clock must be a function without arguments, such as time.time")
    reading: object = clock()
    if isinstance(reading, bool) or not isinstance(reading, (int, float)):
        raise TypeError("clock must return Unix seconds as a number, as time.time does")


def get_logger() -> Logger:
    """Return the library's logger; what never fails never loads ``logging``."""
    import logging  # noqa: PLC0415  # a tenth of the time that importing the library takes

    return logging.getLogger("otp_enroll")


def log_failure(error: EnrollmentError, user_id: str | None) -> None:
    """Log what whoever runs the app must hear of, once; refusals are for the page alone.

    The line has no traceback, whose frames may hold secrets, and no text of the cause.

    Args:
        error: What is about to be raised.
        user_id: Whose account it concerns; ``None`` in a walk over all accounts.
    """
    name = type(error).__name__
    if isinstance(error, FailureError):
        cause = error.__cause__
        because = "" if cause is None else f" (because of {type(cause).__name__})"
        get_logger().error("%s for %r: %s%s", name, user_id, error, because)
    elif isinstance(error, StoreContentionError):
        get_logger().warning("%s for %r: %s", name, user_id, error)


class Attempt(Generic[AnswerT]):
    """One request, from its first load to its answer.

    A decision is thrown away when the store refuses the write, unless the write is found to have
    landed: a driver may deliver it twice and report the second.

    Args:
        verb: What is asked.
        vault: The enroller's cipher and randomness.
        policy: The enroller's.
        issuer: The enroller's.
        clock: The enroller's; it is read once, after the text was looked at.
        tries: How often to save at most. In a transaction of the app once: it repeats the whole.

    Raises:
        MalformedCodeError: The text cannot be what is asked for.
        ServerClockError: The clock gives no time.
    """

    __slots__ = (
        "_decision",
        "_fresh",
        "_issuer",
        "_max_tries",
        "_now",
        "_policy",
        "_tries",
        "_vault",
        "_verb",
        "_write",
        "settled",
    )

    def __init__(
        self,
        verb: Verb[AnswerT],
        *,
        vault: Vault,
        policy: Policy,
        issuer: str,
        clock: Callable[[], float],
        tries: int = MAX_TRIES,
    ) -> None:
        verb.refuse_malformed(policy.digits)
        self._verb = verb
        self._vault = vault
        self._policy = policy
        self._issuer = issuer
        self._now = read_clock(clock)
        self._fresh: FreshSetup | FreshRecovery | None = None
        self._tries = 0
        self._max_tries = tries
        self._write: Write | None = None
        self._decision: Decision[AnswerT] | None = None
        self.settled: bool = False

    @property
    def pause(self) -> float | None:
        """Seconds to wait before the next try (full jitter), or ``None`` where none follows."""
        if self._tries in {0, self._max_tries}:
            return None
        longest = min(FIRST_PAUSE * float(2 ** (self._tries - 1)), MAX_PAUSE)
        return longest * int.from_bytes(self._vault.draw(4), "big") / 2**32

    def decide(self, record: StoredEnrollment | None) -> Write | None:
        """Decide on what was loaded.

        Returns:
            What to save, or ``None``: nothing is to be saved, and the attempt is settled.

        Raises:
            StorageError: The record is not one of ours, or the store's answer is none.
            StoreContentionError: The store refused as often as is tried, and the last write did
                not land either.
            TransitionBrokenError: The verb left the table of transitions.
            UnreadableSecretError: A stale secret cannot be sealed again.
        """
        state: EnrollmentState = Disabled()
        envelope = codec.Envelope()
        if record is not None:
            self._check_record(record)
            state, envelope = codec.decode(record)
            if self._has_landed(record, envelope):
                self.settled = True
                return None
        if self._tries == self._max_tries:
            raise self._contention()
        decision, state = self._decide(state, record.changed_at if record else 0)
        self._decision = decision
        if decision.erases:
            self._write = Write(user_id=self._verb.user_id, record=None, expected=None)
        elif decision.state is None:
            self.settled = True
            return None
        else:
            self._write = self._encode(decision, state, envelope, record)
        return self._write

    def saved(self, stored: object) -> None:
        """Take the store's answer to a save.

        Raises:
            StoreContentionError: It refused the only try.
            AdapterError: It is neither ``True`` nor ``False``.
        """
        if stored is True:
            self.settled = True
        elif stored is False:
            self._tries += 1
            if self._max_tries == 1:
                raise self._contention()
        else:
            raise AdapterError("save returned neither True nor False")

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened, now that the attempt is settled."""
        return self._decision.events if self._decision else ()

    def answer(self) -> AnswerT:
        """Return the answer or raise the refusal, and let go of every secret before.

        A traceback keeps its frames alive: if they held the decision, error, traceback and
        frame would be a cycle that keeps secrets until the garbage collector comes.
        """
        decision, self._decision, self._fresh = self._decision, None, None
        if decision is None:
            raise TypeError("the attempt is not settled")
        outcome = decision.outcome
        del decision
        if isinstance(outcome, EnrollmentError):
            try:
                raise outcome
            finally:
                del outcome
        return outcome

    def _contention(self) -> StoreContentionError:
        return StoreContentionError(aware(self._now + 1))

    def _check_record(self, record: StoredEnrollment) -> None:
        if not isinstance(record, StoredEnrollment):
            raise AdapterError("load returned neither a StoredEnrollment nor None")
        expires_at = record.setup_expires_at
        if not (
            type(record.user_id)
            is type(record.revision)
            is type(record.state)
            is type(record.document)
            is str
            and type(record.changed_at) is int
            and (expires_at is None or type(expires_at) is int)
        ):
            raise AdapterError("load returned a record with a value of another type")
        if record.user_id != self._verb.user_id:
            raise AdapterError("load returned the record of another id")

    def _has_landed(self, record: StoredEnrollment, envelope: codec.Envelope) -> bool:
        if self._write is None or self._write.record is None:
            return False
        revision = self._write.record.revision
        return record.revision == revision or envelope.remembers(revision)

    def _decide(
        self, state: EnrollmentState, changed_at: int
    ) -> tuple[Decision[AnswerT], EnrollmentState]:
        """Return the decision, and its state with stale secrets sealed again."""
        verb, vault = self._verb, self._vault
        if self._fresh is None:
            self._fresh = vault.draw_for(verb.draws, self._policy, verb.user_id)
        sealed = tuple(verb.to_open(state))
        opened = vault.open_all(sealed, verb.user_id, stale_only=verb.reseals)
        world = World(
            now=self._now,
            changed_at=changed_at,
            policy=self._policy,
            issuer=self._issuer,
            opened=opened,
            fresh=self._fresh,
        )
        try:
            decision = decide(verb, state, world)
        except EnrollmentError as error:
            # Without the traceback, whose frames hold the opened secrets.
            return Decision(error.with_traceback(None)), state
        if decision.state is None:
            return decision, state
        resealed, failure = vault.reseal(decision.state, sealed, opened, verb.user_id)
        if failure is not None and verb.reseals:
            return Decision(failure), state
        return decision, resealed

    def _encode(
        self,
        decision: Decision[AnswerT],
        state: EnrollmentState,
        envelope: codec.Envelope,
        record: StoredEnrollment | None,
    ) -> Write:
        replaced = None if record is None else record.revision
        changed_at = 0 if record is None else record.changed_at
        written = codec.encode(
            state,
            envelope,
            user_id=self._verb.user_id,
            revision=self._vault.draw(_REVISION_BYTES).hex(),
            replaces=replaced,
            changed_at=self._now if decision.changed else changed_at,
        )
        return Write(user_id=self._verb.user_id, record=written, expected=replaced)
