"""One request without its I/O: decode, open, decide, encode, recognise one's own write, pause.

An enroller feeds it what it loaded and does what it says. Both flavours share it, so that the
rules of a retry stand here once. Their sum: no verdict leaves before the write that spends or
counts the code is committed, so that a burst of guesses gets no more answers than one guess after
the other (CWE-362, CWE-367; Wazuh CVE-2026-93346).
"""

from __future__ import annotations

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
"""Saves until ``StoreContentionError``: ten lost races in a row mean an attack, or a loop."""

FIRST_PAUSE: Final = 0.005
"""Seconds, at most, before the second try; doubled with each further one."""

MAX_PAUSE: Final = 0.1
"""Seconds that no pause exceeds: somebody is waiting for the page."""

_MAX_CLOCK: Final = 250_000_000_000  # the year 9892: a lifetime later is still a datetime
_REVISION_BYTES: Final = 16  # random: a count would repeat after a delete, and a stale save win

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Write:
    """What to save, and which revision it must find there; no record means to delete the row.

    Attributes:
        user_id: Whose row.
        record: The new row, or ``None``.
        expected: The revision that was loaded, or ``None`` where there was no row.
    """

    user_id: str
    record: StoredEnrollment | None
    expected: str | None


def read_clock(clock: Callable[[], float]) -> int:
    """Read a clock, in whole Unix seconds.

    Raises:
        ServerClockError: It is before 1970, after 9892, or not a number.
    """
    reading = clock()
    if not 0 <= reading < _MAX_CLOCK:  # NaN and infinity are not, either
        raise ServerClockError
    return int(reading)


def check_clock(clock: object) -> None:
    """Refuse a clock that cannot serve, when the enroller is built and not at a login.

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
    """Log, once, what the people who run the app must hear of; refusals are for the page alone.

    The line has no traceback, whose frames may hold secrets, and no text of the cause, in which a
    driver may quote its parameters (CWE-532).

    Args:
        error: What is about to be raised.
        user_id: Whose account it concerns; ``None`` in a walk over all accounts.
    """
    name = type(error).__name__
    if isinstance(error, FailureError):
        cause = error.__cause__
        because = "" if cause is None else f" (because of {type(cause).__name__})"
        # %r of the id, which a request may have brought: a newline would forge a line (CWE-117).
        get_logger().error("%s for %r: %s%s", name, user_id, error, because)
    elif isinstance(error, StoreContentionError):
        # A refusal to the page, but many of them mean a store or a client gone wrong.
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
        # First: text that cannot be right costs no read of the store, and no attempt.
        verb.refuse_malformed(policy.digits)
        self._verb = verb
        self._vault = vault
        self._policy = policy
        self._issuer = issuer
        self._now = read_clock(clock)  # once: wait, verdict and event speak of one moment
        self._fresh: FreshSetup | FreshRecovery | None = None
        self._tries = 0
        self._max_tries = tries
        self._write: Write | None = None
        self._decision: Decision[AnswerT] | None = None
        self.settled: bool = False

    def draw_pause(self) -> float | None:
        """Return the seconds to wait before the next try (full jitter); ``None``: no try follows.

        Random over the whole length: the losers of one race would else meet again at the next.
        """
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
        """
        state: EnrollmentState = Disabled()
        envelope = codec.Envelope()
        if record is not None:
            self._check_record(record)
            state, envelope = codec.decode(record)
            # The refused save may be ours after all: a driver sent it twice, and reported the
            # second. Decided again, our own code would be found spent, and called reused.
            if self._has_landed(record, envelope):
                self.settled = True
                return None
        # After the look at what was loaded: the last save that was refused may have landed too.
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

        By identity: ``None`` of a forgotten return must not be a refusal that is tried again, nor a
        coroutine that nobody awaited a success.

        Raises:
            StoreContentionError: It refused the only try.
            AdapterError: It is neither ``True`` nor ``False``.
        """
        if stored is True:
            self.settled = True
        elif stored is False:
            self._tries += 1
            # In the app's transaction at once: by its isolation a second load may show the same.
            if self._max_tries == 1:
                raise self._contention()
        else:
            raise AdapterError("save returned neither True nor False")

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened. Ask once the attempt is settled, so that no event precedes its write."""
        return self._decision.events if self._decision else ()

    def answer(self) -> AnswerT:
        """Return the answer or raise the refusal, and let go of every secret before.

        A traceback keeps its frames alive: if they held the decision, error, traceback and
        frame would be a cycle that keeps secrets until the garbage collector comes.
        """
        # Taken out, not only read: the caller's frame keeps the attempt, a traceback the frame.
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

    def forget(self) -> None:
        """Let go of whatever was decided and drawn, however the request ended."""
        self._decision = self._fresh = self._write = None

    def _contention(self) -> StoreContentionError:
        return StoreContentionError(aware(self._now + 1))  # a Retry-After that is not zero

    def _check_record(self, record: StoredEnrollment) -> None:
        if not isinstance(record, StoredEnrollment):
            raise AdapterError("load returned neither a StoredEnrollment nor None")
        # By type(): a driver's own subclass of str may compare as it likes, and a bool is an int.
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
        # A collation that folds case, or a socket that two processes share after a fork, brings
        # another's record, by which a stranger's code would be right.
        if record.user_id != self._verb.user_id:
            raise AdapterError("load returned the record of another id")

    def _has_landed(self, record: StoredEnrollment, envelope: codec.Envelope) -> bool:
        """Return whether the last write is what is stored, or was and is replaced already."""
        if self._write is None or self._write.record is None:
            return False
        revision = self._write.record.revision
        return record.revision == revision or envelope.remembers(revision)

    def _decide(
        self, state: EnrollmentState, changed_at: int
    ) -> tuple[Decision[AnswerT], EnrollmentState]:
        """Return the decision, and its state with stale secrets sealed again."""
        verb, vault = self._verb, self._vault
        # Once a request: after a lost race it shows the key and the codes that it stores then.
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
        # A write is due anyway, so what an old key sealed goes along and costs no write of its own.
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
            replaces=replaced,  # it joins the trail, in which a later look finds a landed write
            changed_at=self._now if decision.changed else changed_at,
        )
        return Write(user_id=self._verb.user_id, record=written, expected=replaced)
