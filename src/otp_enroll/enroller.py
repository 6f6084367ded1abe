"""Enroller and JoinedEnroller: every verb in sight, and the one way of a request.

In the first line of each verb what was typed is put into a redacted type and its name is rebound,
so that no traceback with locals shows it (CWE-532).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Generic, TypeVar

from otp_enroll import maintenance
from otp_enroll.attempt import (
    MAX_TRIES,
    Attempt,
    Write,
    check_clock,
    get_logger,
    log_failure,
)
from otp_enroll.core.account_verbs import Disable, RegenerateRecoveryCodes, Rename, Verify
from otp_enroll.core.confirm import Confirm
from otp_enroll.core.proofs import Override, Proof, Verification, read_proof
from otp_enroll.core.secret import read_setup_id
from otp_enroll.core.setup_verbs import Begin, Cancel, CheckKeyCopy, KeyCopy, Resume
from otp_enroll.core.status import AskStatus, Status
from otp_enroll.core.typed_text import HIDDEN, TypedCode, clean_label, read_code, read_key
from otp_enroll.core.upkeep import Erase
from otp_enroll.core.verb import METHODS, Verb
from otp_enroll.display.setup import Confirmation, RecoveryCodes, Setup, confirmation_of
from otp_enroll.errors import AdapterError, EnrollmentError, FailureError, RefusalError
from otp_enroll.events import Event
from otp_enroll.maintenance import ResealReport
from otp_enroll.policy import Policy, check_policy
from otp_enroll.provisioning.uri import MAX_ISSUER
from otp_enroll.storage.protocol import (
    AsyncEnrollmentStore,
    EnrollmentStore,
    SecretCipher,
    StoredEnrollment,
    check_store,
    failure_of,
    is_awaited,
)
from otp_enroll.vault import Vault

T = TypeVar("T")
StoreT = TypeVar("StoreT", bound=EnrollmentStore | AsyncEnrollmentStore)
Context = Mapping[str, str] | None
TypedProof = str | Verification | Override | None  # where codes are judged
GivenProof = Verification | Override | None  # in a transaction of the app, where none is
Listener = Callable[[Event], None]


class EnrollerBase(Generic[StoreT]):
    """What all four enrollers are built with; none of it can be changed afterwards."""

    __slots__ = ("_clock", "_issuer", "_policy", "_store", "_vault")

    def __init__(
        self, store: StoreT, issuer: str, vault: Vault, policy: Policy, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._vault = vault
        self._policy = policy
        self._clock = clock

    @property
    def store(self) -> StoreT:
        """Where enrollments are kept."""
        return self._store

    @property
    def issuer(self) -> str:
        """What authenticator apps call the service, cleaned."""
        return self._issuer

    @property
    def cipher(self) -> SecretCipher:
        """What seals secrets."""
        return self._vault.cipher

    @property
    def policy(self) -> Policy:
        """The numbers."""
        return self._policy

    def _start(self, verb: Verb[T], tries: int) -> Attempt[T]:
        return Attempt(
            verb,
            vault=self._vault,
            policy=self._policy,
            issuer=self._issuer,
            clock=self._clock,
            tries=tries,
        )


class Enroller(EnrollerBase[EnrollmentStore]):
    """Runs the enrollment flow over one store. Stateless; safe to share between threads.

    Args:
        store: An own-mode store: every call commits on its own.
        issuer: What authenticator apps call the service, 1 to 64 characters without a colon.
        cipher: What seals secrets; there is no default.
        policy: The numbers; one policy for one table.
        clock: Unix seconds; read once a call.
        on_event: Called with each event after the write that made it; what it raises is logged.
        random_bytes: The one source of randomness.
        sleep: Called with the seconds to wait before retrying after a write conflict.

    Raises:
        TypeError: An argument that cannot serve; the message says what to pass.
        ValueError: A joined store, or an issuer that apps would show wrongly.
    """

    __slots__ = ("_on_event", "_sleep")

    def __init__(
        self,
        store: EnrollmentStore,
        *,
        issuer: str,
        cipher: SecretCipher,
        policy: Policy = Policy(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.time,
        on_event: Listener | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check_store(store, joined=False, awaited=False)
        check_clock(clock)
        check_policy(policy)
        cleaned = clean_label(issuer, "issuer", MAX_ISSUER)  # now, not at the first begin
        vault = Vault(cipher=cipher, random_bytes=random_bytes)
        super().__init__(store, cleaned, vault, policy, clock)
        check_hook(on_event, "on_event", optional=True)
        check_hook(sleep, "sleep")
        self._on_event = on_event
        self._sleep = sleep

    def begin(
        self,
        user_id: str,
        *,
        account_name: str,
        authenticator: str | None = None,
        proof: TypedProof = None,
        context: Context = None,
    ) -> Setup:
        """Create a fresh secret and return it for display, superseding any pending setup.

        Call it from a POST handler.

        Args:
            user_id: The account's key in the store: 1 to 190 characters, never to be changed.
            account_name: What the authenticator app shows, 1 to 128 characters without a colon.
            authenticator: Which one to replace, or the name of a further one. Without it the
                only one is replaced, or the first is called "default".
            proof: On a confirmed account: a code, a recovery code, a ``Verification`` or an
                ``Override``. On any other the app must have re-authenticated its user.
            context: For the events: ip, agent, actor, …

        Raises:
            ProofRequiredError: The account is confirmed and nothing proves that it may change.
            NotEnrolledError: A code was typed where there is nothing to prove.
            AmbiguousAuthenticatorError: Several could be meant.
            TooManyAuthenticatorsError: The policy allows no further one.
            EnrollmentError: As ``verify``, if a code was typed.
        """
        typed, proof = read_proof(proof), HIDDEN
        verb = Begin(
            user_id=user_id,
            account_name=account_name,
            authenticator=authenticator,
            proof=typed,
            context=context,
        )
        return Setup(self._apply(verb))

    def resume(self, user_id: str, *, setup_id: str, context: Context = None) -> Setup:
        """Return the live setup again: the same key, the same QR code, and nothing is written.

        Raises:
            NotPendingError: No setup is under way.
            SetupError: The id is not the live setup's, or the setup has expired.
            UnreadableSecretError: The cipher cannot open its secret.
        """
        named, setup_id = read_setup_id(setup_id), HIDDEN
        return Setup(self._apply(Resume(user_id=user_id, setup_id=named, context=context)))

    def confirm(
        self,
        user_id: str,
        code: str,
        *,
        setup_id: str,
        backup_acknowledged: bool = False,
        context: Context = None,
    ) -> Confirmation:
        """Make the setup's secret live, if the code is one of it.

        Args:
            user_id: Whose account.
            code: What the authenticator shows.
            setup_id: The id that ``begin`` returned, from the form.
            backup_acknowledged: The user says that the key is written down.
            context: For the events.

        Raises:
            NotPendingError: No setup is under way.
            SetupError: The id is another setup's, the time is over, or this was the tenth
                wrong code.
            BackupRequiredError: The policy wants a backup first.
            CodeRejectedError: The code is malformed or wrong; ``ClockSkewError`` and
                ``AppIgnoresParametersError`` say why.
        """
        typed, named, code, setup_id = read_code(code), read_setup_id(setup_id), HIDDEN, HIDDEN
        verb = Confirm(
            user_id=user_id,
            code=typed,
            setup_id=named,
            backup_acknowledged=backup_acknowledged,
            context=context,
        )
        return confirmation_of(self._apply(verb))

    def cancel(self, user_id: str, *, setup_id: str, context: Context = None) -> None:
        """Abandon the pending setup.

        Raises:
            NotPendingError: No setup is under way.
            SetupError: The id is not the live setup's, or the setup has expired.
        """
        named, setup_id = read_setup_id(setup_id), HIDDEN
        self._apply(Cancel(user_id=user_id, setup_id=named, context=context))

    def check_key_copy(
        self, user_id: str, text: str, *, setup_id: str, context: Context = None
    ) -> KeyCopy:
        """Compare the user's copy of the key with the key, and name the groups that differ.

        Raises:
            MalformedCodeError: The copy is empty or endless.
            NotPendingError: No setup is under way.
            SetupError: The id is not the live setup's, or the setup has expired.
        """
        copy, named, text, setup_id = read_key(text), read_setup_id(setup_id), HIDDEN, HIDDEN
        verb = CheckKeyCopy(user_id=user_id, copy=copy, setup_id=named, context=context)
        return self._apply(verb)

    def verify(
        self,
        user_id: str,
        code: str,
        *,
        purpose: str = "login",
        accept: Collection[str] = METHODS,
        context: Context = None,
    ) -> Verification:
        """Judge a code or a recovery code, and spend it.

        Args:
            user_id: Whose account.
            code: What was typed; its length distinguishes the two kinds.
            purpose: What it is for, 1 to 64 characters. Spent for one is spent for all.
            accept: ``"code"``, ``"recovery_code"`` or both.
            context: For the events.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            CodeRejectedError: Malformed, reused or wrong.
            TooManyAttemptsError: A wait is running.
            LockedError: Codes are locked.
            UnreadableSecretError: The cipher cannot open a secret.
            ServerClockError: The clock is behind an accepted code.
            StorageError: The store failed; whether the code is spent is not known. Ask again.
        """
        typed, code = read_code(code), HIDDEN
        verb = Verify(user_id=user_id, code=typed, purpose=purpose, accept=accept, context=context)
        return self._apply(verb)

    def disable(
        self,
        user_id: str,
        *,
        proof: TypedProof = None,
        authenticator: str | None = None,
        context: Context = None,
    ) -> None:
        """Disable OTP, or remove one authenticator; removing the last one disables OTP.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            UnknownAuthenticatorError: It has none of that name.
            ProofRequiredError: Nothing proves that the account may change.
            EnrollmentError: As ``verify``, if a code was typed.
        """
        typed, proof = read_proof(proof), HIDDEN
        verb = Disable(user_id=user_id, proof=typed, authenticator=authenticator, context=context)
        self._apply(verb)

    def regenerate_recovery_codes(
        self, user_id: str, *, proof: TypedProof = None, context: Context = None
    ) -> RecoveryCodes:
        """Make a new set of recovery codes, which voids the old one.

        A recovery code is no proof here: with the answer lost, its owner would have none left.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            ProofRequiredError: Nothing proves that the account may change.
            EnrollmentError: As ``verify``, if a code was typed.
        """
        typed, proof = read_proof(proof), HIDDEN
        verb = RegenerateRecoveryCodes(user_id=user_id, proof=typed, context=context)
        return RecoveryCodes(self._apply(verb))

    def rename(
        self, user_id: str, authenticator: str, new_name: str, *, context: Context = None
    ) -> None:
        """Rename an authenticator.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            UnknownAuthenticatorError: It has none of that name.
            NameTakenError: Another one has the new name.
        """
        verb = Rename(
            user_id=user_id, authenticator=authenticator, new_name=new_name, context=context
        )
        self._apply(verb)

    def erase(self, user_id: str, *, proof: Override, context: Context = None) -> None:
        """Delete the account's row, whatever is in it.

        Raises:
            ProofRequiredError: No ``Override``.
            StorageError: The store failed.
        """
        given = read_proof(proof)
        del proof  # a caller who takes it for a code may have passed one
        self._apply(Erase(user_id=user_id, proof=given, context=context))

    def status(self, user_id: str, *, known_on: bool = False) -> Status:
        """Return the account's status. It contains no secret.

        Args:
            user_id: Whose account.
            known_on: The app's own table says that OTP is on for this account.

        Raises:
            EnrollmentMissingError: ``known_on``, and no confirmed enrollment is there.
            StorageError: The store failed: not the same as "not enrolled".
        """
        return self._apply(AskStatus(user_id=user_id, known_on=known_on))

    def using(
        self, joined_store: EnrollmentStore, *, on_event: Listener | None = None
    ) -> JoinedEnroller:
        """Return an enroller for one request, inside the app's own transaction.

        Args:
            joined_store: A store over the app's session or connection (``joined`` is ``True``).
            on_event: What ``deliver_events`` calls; ``None`` is this enroller's own listener.

        Raises:
            TypeError: It is no store, or no function.
            ValueError: It commits by itself.
        """
        check_store(joined_store, joined=True, awaited=False)  # else it outlives a rollback
        check_hook(on_event, "on_event", optional=True)
        return JoinedEnroller(
            joined_store,
            issuer=self._issuer,
            vault=self._vault,
            policy=self._policy,
            clock=self._clock,
            on_event=self._on_event if on_event is None else on_event,
        )

    def purge_expired(self, *, limit: int | None = None) -> int:
        """Erase expired setups, at most ``limit`` of them, and return how many were erased.

        A row that cannot be read, or that is busy, is logged and passed over. Repeat it for more.

        Raises:
            TypeError: The store cannot list ids.
        """
        return maintenance.purge_expired(self._store, self._apply, self._clock, limit=limit)

    def reseal(self, *, limit: int | None = None) -> ResealReport:
        """Seal with the newest key what older keys sealed, at most ``limit`` rows of it.

        Raises:
            TypeError: The store cannot list ids.
        """
        return maintenance.reseal(self._store, self._apply, self._vault.key_id_of, limit=limit)

    def _apply(self, verb: Verb[T]) -> T:
        attempt = None
        try:
            attempt = self._start(verb, MAX_TRIES)
            while not attempt.settled:
                if (pause := attempt.draw_pause()) is not None:
                    self._sleep(pause)  # no transaction is open, so nothing is held meanwhile
                record = self._load(verb.user_id) if verb.loads else None
                if (write := attempt.decide(record)) is not None:
                    attempt.saved(self._send(write))
            deliver(attempt.events, self._on_event)  # committed by now
            return attempt.answer()  # or raises the refusal, committed likewise
        except EnrollmentError as error:
            log_failure(error, verb.user_id)
            raise
        finally:
            if attempt is not None:
                attempt.forget()  # a traceback keeps this frame, and the frame the attempt

    def _load(self, user_id: str) -> StoredEnrollment | None:
        try:
            return self._store.load(user_id)
        except FailureError:
            raise  # the adapter knew better what happened
        except Exception as cause:
            raise failure_of(cause) from cause  # never None, which means "no second factor"

    def _send(self, write: Write) -> object:
        try:
            return send(self._store, write)
        except FailureError:
            raise
        except Exception as cause:
            raise failure_of(cause) from cause  # not sent again: the first may have landed


class JoinedEnroller(EnrollerBase[EnrollmentStore]):
    """The verbs that judge nothing, inside the app's transaction; ``Enroller.using`` returns one.

    The app commits, and only the app knows that it did: nothing is retried, nothing is wrapped, and
    events wait. A code is never judged here, because a rollback would give a guess back: verify
    first, on the enroller, and pass the ``Verification``. A save that is refused is a
    ``StoreContentionError`` at once: roll back, and repeat the whole transaction. The driver's
    exceptions pass unchanged. Arguments and other errors are those of ``Enroller``.
    """

    __slots__ = ("_events", "_on_event")

    def __init__(
        self,
        store: EnrollmentStore,
        *,
        issuer: str,
        vault: Vault,
        policy: Policy,
        clock: Callable[[], float],
        on_event: Listener | None,
    ) -> None:
        super().__init__(store, issuer, vault, policy, clock)
        self._on_event = on_event
        self._events: tuple[Event, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened in this transaction and was not delivered."""
        return self._events

    def deliver_events(self) -> None:
        """Deliver what happened: call it after the commit. After a rollback, drop the enroller."""
        happened, self._events = self._events, ()  # at most once, whatever a listener raises
        deliver(happened, self._on_event)

    def begin(
        self,
        user_id: str,
        *,
        account_name: str,
        authenticator: str | None = None,
        proof: GivenProof = None,
        context: Context = None,
    ) -> Setup:
        """As ``Enroller.begin``."""
        given, proof = read_proof(proof), None
        verb = Begin(
            user_id=user_id,
            account_name=account_name,
            authenticator=authenticator,
            proof=refuse_typed(given),
            context=context,
        )
        return Setup(self._apply(verb))

    def resume(self, user_id: str, *, setup_id: str, context: Context = None) -> Setup:
        """As ``Enroller.resume``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        return Setup(self._apply(Resume(user_id=user_id, setup_id=named, context=context)))

    def cancel(self, user_id: str, *, setup_id: str, context: Context = None) -> None:
        """As ``Enroller.cancel``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        self._apply(Cancel(user_id=user_id, setup_id=named, context=context))

    def disable(
        self,
        user_id: str,
        *,
        proof: GivenProof = None,
        authenticator: str | None = None,
        context: Context = None,
    ) -> None:
        """As ``Enroller.disable``."""
        given, proof = read_proof(proof), None
        verb = Disable(
            user_id=user_id,
            proof=refuse_typed(given),
            authenticator=authenticator,
            context=context,
        )
        self._apply(verb)

    def regenerate_recovery_codes(
        self, user_id: str, *, proof: GivenProof = None, context: Context = None
    ) -> RecoveryCodes:
        """As ``Enroller.regenerate_recovery_codes``."""
        given, proof = read_proof(proof), None
        verb = RegenerateRecoveryCodes(user_id=user_id, proof=refuse_typed(given), context=context)
        return RecoveryCodes(self._apply(verb))

    def rename(
        self, user_id: str, authenticator: str, new_name: str, *, context: Context = None
    ) -> None:
        """As ``Enroller.rename``."""
        verb = Rename(
            user_id=user_id, authenticator=authenticator, new_name=new_name, context=context
        )
        self._apply(verb)

    def erase(self, user_id: str, *, proof: Override, context: Context = None) -> None:
        """As ``Enroller.erase``."""
        given = read_proof(proof)
        del proof  # a caller who takes it for a code may have passed one
        self._apply(Erase(user_id=user_id, proof=refuse_typed(given), context=context))

    def status(self, user_id: str, *, known_on: bool = False) -> Status:
        """As ``Enroller.status``."""
        return self._apply(AskStatus(user_id=user_id, known_on=known_on))

    def _apply(self, verb: Verb[T]) -> T:
        attempt = None
        try:
            attempt = self._start(verb, 1)  # the app alone can repeat its transaction
            record = self._load(verb.user_id) if verb.loads else None
            if (write := attempt.decide(record)) is not None:
                attempt.saved(self._send(write))
            self._events += attempt.events  # only the app knows whether it commits
            return attempt.answer()
        except EnrollmentError as error:
            log_failure(error, verb.user_id)
            raise
        finally:
            if attempt is not None:
                attempt.forget()  # a traceback keeps this frame, and the frame the attempt

    def _load(self, user_id: str) -> StoredEnrollment | None:
        try:
            return self._store.load(user_id)
        except RefusalError as cause:  # what the driver raises is the app's to catch
            raise failure_of(cause) from cause

    def _send(self, write: Write) -> object:
        try:
            return send(self._store, write)
        except RefusalError as cause:
            raise failure_of(cause) from cause


def send(store: EnrollmentStore, write: Write) -> object:
    """Do what an attempt says, and return the store's answer."""
    if write.record is None:
        done: object = store.delete(write.user_id)  # type: ignore[func-returns-value]  # looked at
        if done is not None:  # a coroutine, say, which nobody awaits: the row would still be there
            raise AdapterError("delete returned something")
        return True  # of two that delete a row, neither loses
    return store.save(write.record, expected=write.expected)


def check_hook(hook: object, what: str, *, optional: bool = False) -> None:
    """Refuse what an ``Enroller`` could not call, or would call and never await.

    Raises:
        TypeError: Not callable, or a coroutine function.
    """
    if hook is None and optional:
        return
    if not callable(hook):
        raise TypeError(f"{what} must be a function")
    if is_awaited(hook):
        raise TypeError(f"{what} is a coroutine function, which AsyncEnroller alone awaits")


def refuse_typed(proof: Proof) -> Proof:
    """Raise ``ValueError`` for a typed code: a rollback of the app would give the guess back."""
    if isinstance(proof, TypedCode) and proof.kind == "not text":
        raise TypeError("a proof must be a Verification or an Override")
    if isinstance(proof, TypedCode):
        raise ValueError(  # noqa: TRY004  # right elsewhere
            "a joined enroller takes no typed code: call verify() first and pass its Verification"
        )
    return proof


def deliver(happened: Iterable[Event], on_event: Listener | None) -> None:
    """Call the listener with each event; what it raises undoes nothing."""
    if on_event is None:
        return
    for event in happened:
        try:
            on_event(event)
        except Exception:  # noqa: BLE001  # logged whole, and it undoes nothing
            get_logger().exception(
                "on_event raised at %s of %r; the change stands", event.code, event.user_id
            )
