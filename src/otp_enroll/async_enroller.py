"""AsyncEnroller and AsyncJoinedEnroller: as ``enroller``, awaited.

They differ from their twins in the awaiting alone; a test compares names and signatures. Written by
hand, since generated code would need a tool, and be read by nobody.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TypeVar

from otp_enroll import maintenance
from otp_enroll.attempt import (
    MAX_TRIES,
    Write,
    check_clock,
    get_logger,
    log_failure,
)
from otp_enroll.core.account_verbs import Disable, RegenerateRecoveryCodes, Rename, Verify
from otp_enroll.core.confirm import Confirm
from otp_enroll.core.proofs import Override, Verification, read_proof
from otp_enroll.core.secret import read_setup_id
from otp_enroll.core.setup_verbs import Begin, Cancel, CheckKeyCopy, KeyCopy, Resume
from otp_enroll.core.status import AskStatus, Status
from otp_enroll.core.typed_text import HIDDEN, clean_label, read_code, read_key
from otp_enroll.core.upkeep import Erase
from otp_enroll.core.verb import METHODS, Verb
from otp_enroll.display.setup import Confirmation, RecoveryCodes, Setup, confirmation_of
from otp_enroll.enroller import Context, EnrollerBase, GivenProof, TypedProof, refuse_typed
from otp_enroll.errors import AdapterError, EnrollmentError, FailureError, RefusalError
from otp_enroll.events import Event
from otp_enroll.maintenance import ResealReport
from otp_enroll.policy import Policy, check_policy
from otp_enroll.provisioning.uri import MAX_ISSUER
from otp_enroll.storage.protocol import (
    AsyncEnrollmentStore,
    SecretCipher,
    StoredEnrollment,
    check_store,
    failure_of,
    is_awaited,
)
from otp_enroll.vault import Vault

T = TypeVar("T")
AsyncListener = Callable[[Event], Awaitable[None]]


async def _pause(seconds: float) -> None:
    import asyncio  # noqa: PLC0415  # most processes never retry, and many have no event loop

    await asyncio.sleep(seconds)


class AsyncEnroller(EnrollerBase[AsyncEnrollmentStore]):
    """As ``Enroller``, awaited, over an async store.

    ``on_event`` and ``sleep`` are coroutine functions, and are awaited. Stateless; safe to share
    between tasks. Arguments and errors are those of ``Enroller``.
    """

    __slots__ = ("_on_event", "_sleep")

    def __init__(
        self,
        store: AsyncEnrollmentStore,
        *,
        issuer: str,
        cipher: SecretCipher,
        policy: Policy = Policy(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.time,
        on_event: AsyncListener | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        sleep: Callable[[float], Awaitable[None]] = _pause,
    ) -> None:
        check_store(store, joined=False, awaited=True)
        check_clock(clock)
        check_policy(policy)
        cleaned = clean_label(issuer, "issuer", MAX_ISSUER)  # now, not at the first begin
        vault = Vault(cipher=cipher, random_bytes=random_bytes)
        super().__init__(store, cleaned, vault, policy, clock)
        check_hook(on_event, "on_event", optional=True)
        check_hook(sleep, "sleep")
        self._on_event = on_event
        self._sleep = sleep

    async def begin(
        self,
        user_id: str,
        *,
        account_name: str,
        authenticator: str | None = None,
        proof: TypedProof = None,
        context: Context = None,
    ) -> Setup:
        """As ``Enroller.begin``."""
        typed, proof = read_proof(proof), HIDDEN
        verb = Begin(
            user_id=user_id,
            account_name=account_name,
            authenticator=authenticator,
            proof=typed,
            context=context,
        )
        return Setup(await self._apply(verb))

    async def resume(self, user_id: str, *, setup_id: str, context: Context = None) -> Setup:
        """As ``Enroller.resume``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        return Setup(await self._apply(Resume(user_id=user_id, setup_id=named, context=context)))

    async def confirm(
        self,
        user_id: str,
        code: str,
        *,
        setup_id: str,
        backup_acknowledged: bool = False,
        context: Context = None,
    ) -> Confirmation:
        """As ``Enroller.confirm``."""
        typed, named, code, setup_id = read_code(code), read_setup_id(setup_id), HIDDEN, HIDDEN
        verb = Confirm(
            user_id=user_id,
            code=typed,
            setup_id=named,
            backup_acknowledged=backup_acknowledged,
            context=context,
        )
        return confirmation_of(await self._apply(verb))

    async def cancel(self, user_id: str, *, setup_id: str, context: Context = None) -> None:
        """As ``Enroller.cancel``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        await self._apply(Cancel(user_id=user_id, setup_id=named, context=context))

    async def check_key_copy(
        self, user_id: str, text: str, *, setup_id: str, context: Context = None
    ) -> KeyCopy:
        """As ``Enroller.check_key_copy``."""
        copy, named, text, setup_id = read_key(text), read_setup_id(setup_id), HIDDEN, HIDDEN
        verb = CheckKeyCopy(user_id=user_id, copy=copy, setup_id=named, context=context)
        return await self._apply(verb)

    async def verify(
        self,
        user_id: str,
        code: str,
        *,
        purpose: str = "login",
        accept: Collection[str] = METHODS,
        context: Context = None,
    ) -> Verification:
        """As ``Enroller.verify``."""
        typed, code = read_code(code), HIDDEN
        verb = Verify(user_id=user_id, code=typed, purpose=purpose, accept=accept, context=context)
        return await self._apply(verb)

    async def disable(
        self,
        user_id: str,
        *,
        proof: TypedProof = None,
        authenticator: str | None = None,
        context: Context = None,
    ) -> None:
        """As ``Enroller.disable``."""
        typed, proof = read_proof(proof), HIDDEN
        verb = Disable(user_id=user_id, proof=typed, authenticator=authenticator, context=context)
        await self._apply(verb)

    async def regenerate_recovery_codes(
        self, user_id: str, *, proof: TypedProof = None, context: Context = None
    ) -> RecoveryCodes:
        """As ``Enroller.regenerate_recovery_codes``."""
        typed, proof = read_proof(proof), HIDDEN
        verb = RegenerateRecoveryCodes(user_id=user_id, proof=typed, context=context)
        return RecoveryCodes(await self._apply(verb))

    async def rename(
        self, user_id: str, authenticator: str, new_name: str, *, context: Context = None
    ) -> None:
        """As ``Enroller.rename``."""
        verb = Rename(
            user_id=user_id, authenticator=authenticator, new_name=new_name, context=context
        )
        await self._apply(verb)

    async def erase(self, user_id: str, *, proof: Override, context: Context = None) -> None:
        """As ``Enroller.erase``."""
        given = read_proof(proof)
        del proof  # a caller who takes it for a code may have passed one
        await self._apply(Erase(user_id=user_id, proof=given, context=context))

    async def status(self, user_id: str, *, known_on: bool = False) -> Status:
        """As ``Enroller.status``."""
        return await self._apply(AskStatus(user_id=user_id, known_on=known_on))

    def using(
        self, joined_store: AsyncEnrollmentStore, *, on_event: AsyncListener | None = None
    ) -> AsyncJoinedEnroller:
        """As ``Enroller.using``."""
        check_store(joined_store, joined=True, awaited=True)  # else it outlives a rollback
        check_hook(on_event, "on_event", optional=True)
        return AsyncJoinedEnroller(
            joined_store,
            issuer=self._issuer,
            vault=self._vault,
            policy=self._policy,
            clock=self._clock,
            on_event=self._on_event if on_event is None else on_event,
        )

    async def purge_expired(self, *, limit: int | None = None) -> int:
        """As ``Enroller.purge_expired``."""
        return await maintenance.purge_expired_async(
            self._store, self._apply, self._clock, limit=limit
        )

    async def reseal(self, *, limit: int | None = None) -> ResealReport:
        """As ``Enroller.reseal``."""
        key_id_of = self._vault.key_id_of
        return await maintenance.reseal_async(self._store, self._apply, key_id_of, limit=limit)

    async def _apply(self, verb: Verb[T]) -> T:
        attempt = None
        try:
            attempt = self._start(verb, MAX_TRIES)
            while not attempt.settled:
                if (pause := attempt.draw_pause()) is not None:
                    await self._sleep(pause)  # no transaction is open, so nothing is held
                record = await self._load(verb.user_id) if verb.loads else None
                if (write := attempt.decide(record)) is not None:
                    attempt.saved(await self._send(write))
            await deliver(attempt.events, self._on_event)  # committed by now
            return attempt.answer()  # or raises the refusal, committed likewise
        except EnrollmentError as error:
            log_failure(error, verb.user_id)
            raise
        finally:
            if attempt is not None:
                attempt.forget()  # a traceback keeps this frame, and the frame the attempt

    async def _load(self, user_id: str) -> StoredEnrollment | None:
        try:
            return await self._store.load(user_id)
        except FailureError:
            raise  # the adapter knew better what happened
        except Exception as cause:
            raise failure_of(cause) from cause  # never None, which means "no second factor"

    async def _send(self, write: Write) -> object:
        try:
            return await send(self._store, write)
        except FailureError:
            raise
        except Exception as cause:
            raise failure_of(cause) from cause  # not sent again: the first may have landed


class AsyncJoinedEnroller(EnrollerBase[AsyncEnrollmentStore]):
    """As ``JoinedEnroller``, awaited; ``AsyncEnroller.using`` returns one."""

    __slots__ = ("_events", "_on_event")

    def __init__(
        self,
        store: AsyncEnrollmentStore,
        *,
        issuer: str,
        vault: Vault,
        policy: Policy,
        clock: Callable[[], float],
        on_event: AsyncListener | None,
    ) -> None:
        super().__init__(store, issuer, vault, policy, clock)
        self._on_event = on_event
        self._events: tuple[Event, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """As ``JoinedEnroller.events``."""
        return self._events

    async def deliver_events(self) -> None:
        """As ``JoinedEnroller.deliver_events``."""
        happened, self._events = self._events, ()  # at most once, whatever a listener raises
        await deliver(happened, self._on_event)

    async def begin(
        self,
        user_id: str,
        *,
        account_name: str,
        authenticator: str | None = None,
        proof: GivenProof = None,
        context: Context = None,
    ) -> Setup:
        """As ``JoinedEnroller.begin``."""
        given, proof = read_proof(proof), None
        verb = Begin(
            user_id=user_id,
            account_name=account_name,
            authenticator=authenticator,
            proof=refuse_typed(given),
            context=context,
        )
        return Setup(await self._apply(verb))

    async def resume(self, user_id: str, *, setup_id: str, context: Context = None) -> Setup:
        """As ``JoinedEnroller.resume``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        return Setup(await self._apply(Resume(user_id=user_id, setup_id=named, context=context)))

    async def cancel(self, user_id: str, *, setup_id: str, context: Context = None) -> None:
        """As ``JoinedEnroller.cancel``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        await self._apply(Cancel(user_id=user_id, setup_id=named, context=context))

    async def disable(
        self,
        user_id: str,
        *,
        proof: GivenProof = None,
        authenticator: str | None = None,
        context: Context = None,
    ) -> None:
        """As ``JoinedEnroller.disable``."""
        given, proof = read_proof(proof), None
        verb = Disable(
            user_id=user_id,
            proof=refuse_typed(given),
            authenticator=authenticator,
            context=context,
        )
        await self._apply(verb)

    async def regenerate_recovery_codes(
        self, user_id: str, *, proof: GivenProof = None, context: Context = None
    ) -> RecoveryCodes:
        """As ``JoinedEnroller.regenerate_recovery_codes``."""
        given, proof = read_proof(proof), None
        verb = RegenerateRecoveryCodes(user_id=user_id, proof=refuse_typed(given), context=context)
        return RecoveryCodes(await self._apply(verb))

    async def rename(
        self, user_id: str, authenticator: str, new_name: str, *, context: Context = None
    ) -> None:
        """As ``JoinedEnroller.rename``."""
        verb = Rename(
            user_id=user_id, authenticator=authenticator, new_name=new_name, context=context
        )
        await self._apply(verb)

    async def erase(self, user_id: str, *, proof: Override, context: Context = None) -> None:
        """As ``JoinedEnroller.erase``."""
        given = read_proof(proof)
        del proof  # a caller who takes it for a code may have passed one
        await self._apply(Erase(user_id=user_id, proof=refuse_typed(given), context=context))

    async def status(self, user_id: str, *, known_on: bool = False) -> Status:
        """As ``JoinedEnroller.status``."""
        return await self._apply(AskStatus(user_id=user_id, known_on=known_on))

    async def _apply(self, verb: Verb[T]) -> T:
        attempt = None
        try:
            attempt = self._start(verb, 1)  # the app alone can repeat its transaction
            record = await self._load(verb.user_id) if verb.loads else None
            if (write := attempt.decide(record)) is not None:
                attempt.saved(await self._send(write))
            self._events += attempt.events  # only the app knows whether it commits
            return attempt.answer()
        except EnrollmentError as error:
            log_failure(error, verb.user_id)
            raise
        finally:
            if attempt is not None:
                attempt.forget()  # a traceback keeps this frame, and the frame the attempt

    async def _load(self, user_id: str) -> StoredEnrollment | None:
        try:
            return await self._store.load(user_id)
        except RefusalError as cause:  # what the driver raises is the app's to catch
            raise failure_of(cause) from cause

    async def _send(self, write: Write) -> object:
        try:
            return await send(self._store, write)
        except RefusalError as cause:
            raise failure_of(cause) from cause


async def send(store: AsyncEnrollmentStore, write: Write) -> object:
    """As ``enroller.send``, awaited."""
    if write.record is None:
        done: object = await store.delete(write.user_id)  # type: ignore[func-returns-value]  # looked at
        if done is not None:
            raise AdapterError("delete returned something")
        return True
    return await store.save(write.record, expected=write.expected)


def check_hook(hook: object, what: str, *, optional: bool = False) -> None:
    """Refuse what an ``AsyncEnroller`` could not await.

    Raises:
        TypeError: Not a coroutine function.
    """
    if hook is None and optional:
        return
    # A class is called, too, and gives an object instead of something to wait for.
    if isinstance(hook, type) or not is_awaited(hook):
        raise TypeError(f"{what} must be a coroutine function: async def {what}(...)")


async def deliver(happened: Iterable[Event], on_event: AsyncListener | None) -> None:
    """As ``enroller.deliver``, awaited."""
    if on_event is None:
        return
    for event in happened:
        try:
            await on_event(event)
        except Exception:  # noqa: BLE001  # logged whole, and it undoes nothing
            get_logger().exception(
                "on_event raised at %s of %r; the change stands", event.code, event.user_id
            )
