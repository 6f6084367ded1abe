"""One request without its I/O: decode, open, decide, encode, recognise one's own write, pause.

An enroller feeds it what it loaded and does what it says. Both flavours share it, so that the
rules of a retry stand here once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

from otp_enroll.core.arguments import Request
from otp_enroll.core.decision import Decision, Facts, FreshRecovery, FreshSetup
from otp_enroll.core.proofs import vouched
from otp_enroll.core.recovery import CODE_BYTES, SALT_BYTES, FreshCodes
from otp_enroll.core.requests import Erase
from otp_enroll.core.secret import Sealed, Secret, SetupId
from otp_enroll.core.states import (
    Disabled,
    Enrollment,
    is_confirmed,
    resealed,
    sealed_secrets,
    setup_of,
)
from otp_enroll.core.transitions import decide
from otp_enroll.errors import (
    AdapterError,
    EnrollmentError,
    StorageError,
    StoreContentionError,
    UnreadableSecretError,
)
from otp_enroll.events import EnrollmentErased, Event
from otp_enroll.policy import SECRET_BYTES
from otp_enroll.settings import Settings
from otp_enroll.storage import codec
from otp_enroll.storage.protocol import StoredEnrollment

TRIES: Final = 10
FIRST_PAUSE: Final = 0.005
LONGEST_PAUSE: Final = 0.1

_SETUP_ID_BYTES: Final = 32
_AUTHENTICATOR_ID_BYTES: Final = 16
_REVISION_BYTES: Final = 16

AnswerT = TypeVar("AnswerT")
RequestT = TypeVar("RequestT", bound=Request)
Transition = Callable[[Enrollment, RequestT, Facts], Decision[AnswerT]]


def _facts(
    settings: Settings, request: Request, now: int, record: StoredEnrollment | None
) -> Facts:
    return Facts(
        user_id=request.user_id,
        now=now,
        changed_at=_changed_at(record),
        policy=settings.policy,
        issuer=settings.issuer,
        purpose=request.purpose,
        actor=request.actor,
        context=request.told,
    )


def _changed_at(record: StoredEnrollment | None) -> int:
    return record.changed_at if record else 0


def erased(request: Erase, settings: Settings) -> tuple[Event, ...]:
    """Make the events of a deleted row: who vouched for it and why, and that it is gone."""
    facts = _facts(settings, request, settings.now(), None)
    return (*vouched(request.verb, request.proof, facts), facts.event(EnrollmentErased))


@contextmanager
def storage_errors() -> Generator[None]:
    """Turn whatever a store raises into a ``StorageError``, with the cause and not its text."""
    try:
        yield
    except EnrollmentError:
        raise
    except Exception as cause:
        raise StorageError from cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """What to save, and which revision it must find there."""

    record: StoredEnrollment
    expected: str | None


class Attempt(Generic[RequestT, AnswerT]):
    """One request, from its first load to its answer.

    The clock is read once. A decision is thrown away when the store refuses the write, unless
    the write is found to have landed: a driver may deliver it twice and report the second.

    Args:
        settings: What the enroller was built with.
        transition: The verb.
        request: Its arguments.
        tries: How often to save at most. In a transaction of the app once: it repeats the whole.

    Raises:
        MalformedCodeError: The text cannot be what is asked for.
        ServerClockError: The clock gives no time.
    """

    __slots__ = (
        "_decision",
        "_fresh",
        "_most_tries",
        "_now",
        "_request",
        "_settings",
        "_transition",
        "_tries",
        "_write",
        "settled",
    )

    def __init__(
        self,
        settings: Settings,
        transition: Transition[RequestT, AnswerT],
        request: RequestT,
        tries: int = TRIES,
    ) -> None:
        request.refuse_malformed(settings.policy.digits)
        self._settings = settings
        self._transition = transition
        self._request = request
        self._now = settings.now()
        self._fresh: FreshSetup | FreshRecovery | None = None
        self._tries = 0
        self._most_tries = tries
        self._write: Write | None = None
        self._decision: Decision[AnswerT] | None = None
        self.settled: bool = False

    @property
    def pause(self) -> float | None:
        """Seconds to wait before the next try (full jitter), or ``None`` where none follows."""
        if self._tries in {0, self._most_tries}:
            return None
        longest = min(FIRST_PAUSE * float(2 ** (self._tries - 1)), LONGEST_PAUSE)
        return longest * int.from_bytes(self._settings.draw(4), "big") / 2**32

    def decide(self, record: StoredEnrollment | None) -> Write | None:
        """Decide on what was loaded.

        Returns:
            What to save, or ``None``: nothing is to be saved, and the attempt is settled.

        Raises:
            StorageError: The record is not one of ours, or the store's answer is none.
            StoreContentionError: The store refused as often as is tried, and the last write did
                not land either.
            UnreadableSecretError: A new secret cannot be sealed.
        """
        self._check_record(record)
        enrollment: Enrollment = Disabled()
        envelope = codec.Envelope()
        if record is not None:
            enrollment, envelope = codec.decode(record)
            if self._landed(record, envelope):
                self.settled = True
                return None
        if self._tries == self._most_tries:
            raise StoreContentionError
        decision = self._decision = self._decided(enrollment, record)
        if decision.enrollment is None:
            self.settled = True
            return None
        replaced = None if record is None else record.revision
        written = codec.encode(
            decision.enrollment,
            envelope,
            user_id=self._request.user_id,
            revision=self._settings.draw(_REVISION_BYTES).hex(),
            replaces=replaced,
            changed_at=self._now if decision.changed else _changed_at(record),
        )
        self._write = Write(record=written, expected=replaced)
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
            if self._most_tries == 1:
                raise StoreContentionError
        else:
            raise AdapterError("save returned neither True nor False")

    @property
    def events(self) -> tuple[Event, ...]:
        """What to tell, now that the attempt is settled."""
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

    def _check_record(self, record: StoredEnrollment | None) -> None:
        if record is None:
            return
        if not isinstance(record, StoredEnrollment):
            raise AdapterError("load returned neither a StoredEnrollment nor None")
        texts = (record.user_id, record.revision, record.state, record.document)
        expires_at = record.setup_expires_at
        if (
            any(type(text) is not str for text in texts)
            or type(record.changed_at) is not int
            or (expires_at is not None and type(expires_at) is not int)
        ):
            raise AdapterError("load returned a record with a value of another type")
        if record.user_id != self._request.user_id:
            raise AdapterError("load returned the record of another id")

    def _landed(self, record: StoredEnrollment, envelope: codec.Envelope) -> bool:
        if self._write is None:
            return False
        revision = self._write.record.revision
        return record.revision == revision or envelope.remembers(revision)

    def _decided(
        self, enrollment: Enrollment, record: StoredEnrollment | None
    ) -> Decision[AnswerT]:
        request, settings = self._request, self._settings
        if self._fresh is None:
            self._fresh = self._drawn()
        sealed = dict(self._to_open(enrollment))
        opened = {
            name: found
            for name, secret in sealed.items()
            if (found := self._opened(name, secret)) is not None
        }
        facts = replace(
            _facts(settings, request, self._now, record), opened=opened, fresh=self._fresh
        )
        try:
            decision = decide(self._transition, enrollment, request, facts)
        except EnrollmentError as refusal:
            # Without the traceback, whose frames hold the opened secrets.
            return Decision(refusal.with_traceback(None))
        if decision.enrollment is None:
            return decision
        return Decision(
            decision.outcome,
            resealed(decision.enrollment, self._newly_sealed(sealed, opened)),
            decision.events,
            decision.changed,
        )

    def _newly_sealed(
        self,
        sealed: Mapping[str, Sealed],
        opened: Mapping[str, Secret | UnreadableSecretError],
    ) -> dict[str, Sealed]:
        """Seal the secret that was drawn, and those that an older key sealed."""
        settings, user_id = self._settings, self._request.user_id
        newly: dict[str, Sealed] = {}
        for name, secret in opened.items():
            if isinstance(secret, UnreadableSecretError):
                continue
            try:
                if settings.needs_reseal(sealed[name]):
                    newly[name] = settings.seal(secret, user_id, name)
            except UnreadableSecretError:
                # A side job: it must not fail a login. Maintenance has nothing else to do.
                if self._request.opens == "stale":
                    raise
        if isinstance(self._fresh, FreshSetup):
            name = self._fresh.authenticator_id
            newly[name] = settings.seal(self._fresh.secret, user_id, name)
        return newly

    def _to_open(self, enrollment: Enrollment) -> Iterator[tuple[str, Sealed]]:
        match self._request.opens:
            case "setup":
                setup = setup_of(enrollment)
                if setup is not None:
                    yield setup.authenticator_id, setup.sealed
            case "judged":
                typed = self._request.typed
                if typed is not None and typed.kind == "code" and is_confirmed(enrollment):
                    yield from ((one.id, one.sealed) for one in enrollment.authenticators)
            case "stale":
                yield from sealed_secrets(enrollment)
            case _:
                return

    def _opened(self, name: str, sealed: Sealed) -> Secret | UnreadableSecretError | None:
        """Open a secret, or return why it cannot be; ``None`` if none but stale ones are wanted."""
        settings, request = self._settings, self._request
        if request.opens == "stale":
            try:
                if not settings.needs_reseal(sealed):
                    return None
            except UnreadableSecretError as error:
                # Of this one the cipher cannot even say it; the others must not wait for it.
                return error.with_traceback(None)
        return settings.open(sealed, request.user_id, name)

    def _drawn(self) -> FreshSetup | FreshRecovery | None:
        settings, policy = self._settings, self._settings.policy
        match self._request.draws:
            case "setup":
                return FreshSetup(
                    setup_id=SetupId.from_bytes(settings.draw(_SETUP_ID_BYTES)),
                    authenticator_id=settings.draw(_AUTHENTICATOR_ID_BYTES).hex(),
                    secret=Secret(settings.draw(SECRET_BYTES[policy.algorithm])),
                )
            case "recovery":
                return FreshRecovery(
                    salt=settings.draw(SALT_BYTES),
                    codes=FreshCodes(settings.draw(CODE_BYTES * policy.recovery_codes)),
                )
            case _:
                return None
