"""Enroller and AsyncEnroller: load → decide → save → tell → answer, side by side.

They differ in the awaiting alone. In the first line of each verb what was typed is put into a
redacted type and its name is rebound, so that no traceback with locals shows it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Final, TypeVar, cast

from otp_enroll.attempt import (
    AnswerT,
    Attempt,
    RequestT,
    Settings,
    Transition,
    check_store,
    checked_limit,
    listed,
    storage_errors,
)
from otp_enroll.core import requests, setups, transitions
from otp_enroll.core.decision import KeyCopy, ResealReport, Status, aware
from otp_enroll.core.proofs import Override, Verification
from otp_enroll.core.requests import HIDDEN, METHODS, read_proof, read_setup_id
from otp_enroll.core.typed_text import read_code, read_key
from otp_enroll.errors import (
    CorruptRecordError,
    RecordTooNewError,
    UnreadableSecretError,
)
from otp_enroll.events import EnrollmentErased, Event
from otp_enroll.policy import Policy
from otp_enroll.provisioning.setup import Confirmation, RecoveryCodes, Setup
from otp_enroll.storage.protocol import (
    AsyncEnrollmentStore,
    AsyncListingStore,
    EnrollmentStore,
    ListingStore,
    SecretCipher,
)

T = TypeVar("T")
Context = Mapping[str, str] | None
Proof = str | Verification | Override | None

logger = logging.getLogger("otp_enroll")

PAGE: Final = 1000
"""Ids that maintenance asks a store for at a time."""


async def _pause(seconds: float) -> None:
    import asyncio  # noqa: PLC0415  # most processes never retry, and many have no event loop

    await asyncio.sleep(seconds)


def _as_it_is(answer: T) -> T:
    return answer


def _erased(request: requests.Erase, settings: Settings) -> EnrollmentErased:
    return EnrollmentErased(
        time=aware(settings.now()),
        user_id=request.user_id,
        authenticator=None,
        authenticator_id=None,
        purpose=request.purpose,
        actor=request.actor,
        context=dict(request.told),
    )


class Enroller:
    """The flow, for one app and one store. Stateless and safe to share between threads.

    Args:
        store: Where enrollments are kept; one that commits by itself.
        issuer: What authenticator apps call the service, 1 to 64 characters without a colon.
        cipher: What seals secrets; there is no default.
        policy: The numbers; one policy for one table.
        clock: Unix seconds; read once a call.
        on_event: Called with each event after the write that made it; what it raises is logged.
        random_bytes: The one source of randomness.
        sleep: How to wait, in seconds, between two tries against other requests.

    Raises:
        TypeError: An argument that cannot serve.
        ValueError: A joined store, or an issuer that apps would show wrongly.
    """

    __slots__ = ("_on_event", "_settings", "_sleep", "_store")

    def __init__(
        self,
        store: EnrollmentStore,
        *,
        issuer: str,
        cipher: SecretCipher,
        policy: Policy = Policy(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.time,
        on_event: Callable[[Event], None] | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        check_store(store, awaited=False)
        self._settings = Settings(
            issuer=issuer, cipher=cipher, policy=policy, clock=clock, random_bytes=random_bytes
        )
        self._store = store
        self._on_event = on_event
        self._sleep = sleep

    def begin(
        self,
        user_id: str,
        *,
        account_name: str,
        authenticator: str | None = None,
        proof: Proof = None,
        context: Context = None,
    ) -> Setup:
        """Make a fresh secret and show it; any setup before it is superseded. Call it by POST.

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
        shown, proof = read_proof(proof), HIDDEN
        request = requests.Begin(
            user_id=user_id,
            account_name=account_name,
            authenticator=authenticator,
            proof=shown,
            context=context,
        )
        return self._apply(setups.begin, request, Setup)

    def resume(self, user_id: str, *, setup_id: str, context: Context = None) -> Setup:
        """Show the live setup again: the same key, the same QR code, and nothing is written.

        Raises:
            NotPendingError: No setup is under way.
            SetupError: The id is not the live setup's, or the setup has expired.
            UnreadableSecretError: The cipher cannot open its secret.
        """
        named, setup_id = read_setup_id(setup_id), HIDDEN
        request = requests.Resume(user_id=user_id, setup_id=named, context=context)
        return self._apply(setups.resume, request, Setup)

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
                ``AppIgnoresParametersError`` tell why.
        """
        typed, named, code, setup_id = read_code(code), read_setup_id(setup_id), HIDDEN, HIDDEN
        request = requests.Confirm(
            user_id=user_id,
            code=typed,
            setup_id=named,
            backup_acknowledged=backup_acknowledged,
            context=context,
        )
        return self._apply(setups.confirm, request, Confirmation.of)

    def cancel(self, user_id: str, *, setup_id: str, context: Context = None) -> None:
        """Give the live setup up.

        Raises:
            NotPendingError: No setup is under way.
            SetupError: The id is not the live setup's, or the setup has expired.
        """
        named, setup_id = read_setup_id(setup_id), HIDDEN
        request = requests.Cancel(user_id=user_id, setup_id=named, context=context)
        return self._apply(setups.cancel, request, _as_it_is)

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
        request = requests.CheckKeyCopy(user_id=user_id, copy=copy, setup_id=named, context=context)
        return self._apply(setups.check_key_copy, request, _as_it_is)

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
            code: What was typed; its length tells the two kinds apart.
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
            StorageError: The store failed, and nobody knows whether the code is spent.
        """
        typed, code = read_code(code), HIDDEN
        request = requests.Verify(
            user_id=user_id, code=typed, code_purpose=purpose, accept=accept, context=context
        )
        return self._apply(transitions.verify, request, _as_it_is)

    def disable(
        self,
        user_id: str,
        *,
        proof: Proof = None,
        authenticator: str | None = None,
        context: Context = None,
    ) -> None:
        """Switch one-time passwords off, or remove one authenticator. With the last all goes.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            UnknownAuthenticatorError: It has none of that name.
            ProofRequiredError: Nothing proves that the account may change.
            EnrollmentError: As ``verify``, if a code was typed.
        """
        shown, proof = read_proof(proof), HIDDEN
        request = requests.Disable(
            user_id=user_id, proof=shown, authenticator=authenticator, context=context
        )
        return self._apply(transitions.disable, request, _as_it_is)

    def regenerate_recovery_codes(
        self, user_id: str, *, proof: Proof = None, context: Context = None
    ) -> RecoveryCodes:
        """Make a new set of recovery codes, which voids the old one.

        A recovery code is no proof here: with the answer lost, its owner would have none left.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            ProofRequiredError: Nothing proves that the account may change.
            EnrollmentError: As ``verify``, if a code was typed.
        """
        shown, proof = read_proof(proof), HIDDEN
        request = requests.RegenerateRecoveryCodes(user_id=user_id, proof=shown, context=context)
        return self._apply(transitions.regenerate_recovery_codes, request, RecoveryCodes)

    def rename(
        self, user_id: str, authenticator: str, new_name: str, *, context: Context = None
    ) -> None:
        """Call an authenticator something else.

        Raises:
            NotEnrolledError: The account has no confirmed authenticator.
            UnknownAuthenticatorError: It has none of that name.
            AmbiguousAuthenticatorError: Another one has the new name.
        """
        request = requests.Rename(
            user_id=user_id, authenticator=authenticator, new_name=new_name, context=context
        )
        return self._apply(transitions.rename, request, _as_it_is)

    def erase(self, user_id: str, *, proof: Override, context: Context = None) -> None:
        """Delete the account's row, whatever is in it.

        Raises:
            ProofRequiredError: No ``Override``.
            StorageError: The store failed.
        """
        shown = read_proof(proof)
        del proof  # who mistakes it for a code may have typed one
        request = requests.Erase(user_id=user_id, proof=shown, context=context)
        event = _erased(request, self._settings)
        with storage_errors():
            self._store.delete(user_id)
        self._tell((event,))

    def status(self, user_id: str) -> Status:
        """Tell the state, without a secret.

        Raises:
            StorageError: The store failed: not the same as "not enrolled".
        """
        return self._apply(transitions.status, requests.AskStatus(user_id=user_id), _as_it_is)

    def purge_expired(self, *, limit: int | None = None) -> int:
        """Erase expired setups, at most ``limit`` of them; run it again for the rest.

        A row that cannot be read is logged and passed over.

        Returns:
            How many were erased.

        Raises:
            TypeError: The store cannot list ids.
        """
        purged, most = 0, checked_limit(limit)
        for user_id in self._ids(setup_expired_before=self._settings.now() + 1):
            if purged == most:
                break
            try:
                request = requests.Purge(user_id=user_id)
                purged += self._apply(transitions.purge_expired, request, _as_it_is)
            except (CorruptRecordError, RecordTooNewError) as error:
                logger.warning("purge_expired passed over %s: %s", user_id, error)
        return purged

    def reseal(self, *, limit: int | None = None) -> ResealReport:
        """Seal with the newest key what older keys sealed, at most ``limit`` rows of it.

        Raises:
            TypeError: The store cannot list ids.
        """
        examined = resealed = unreadable = 0
        most = checked_limit(limit)
        for user_id in self._ids():
            if resealed == most:
                return ResealReport(
                    examined=examined, resealed=resealed, unreadable=unreadable, complete=False
                )
            examined += 1
            try:
                request = requests.Reseal(user_id=user_id)
                resealed += self._apply(transitions.reseal, request, bool)
            except (CorruptRecordError, RecordTooNewError, UnreadableSecretError) as error:
                unreadable += 1
                logger.warning("reseal passed over %s: %s", user_id, error)
        return ResealReport(
            examined=examined, resealed=resealed, unreadable=unreadable, complete=True
        )

    def _apply(
        self,
        transition: Transition[RequestT, AnswerT],
        request: RequestT,
        present: Callable[[AnswerT], T],
    ) -> T:
        attempt = Attempt(self._settings, transition, request)
        while not attempt.settled:
            if (pause := attempt.pause) is not None:
                self._sleep(pause)
            with storage_errors():
                record = self._store.load(request.user_id)
            if (write := attempt.decide(record)) is not None:
                with storage_errors():
                    stored = self._store.save(write.record, expected=write.expected)
                attempt.saved(stored)
        self._tell(attempt.events)
        return present(attempt.answer())

    def _tell(self, told: tuple[Event, ...]) -> None:
        if self._on_event is None:
            return
        for event in told:
            try:
                self._on_event(event)
            except Exception:
                logger.exception("on_event raised; what it was told of stands")

    def _ids(self, *, setup_expired_before: int | None = None) -> Iterator[str]:
        listing = cast("ListingStore", listed(self._store))
        page: Sequence[str] = ()
        while not page or len(page) == PAGE:
            with storage_errors():
                page = listing.user_ids(
                    setup_expired_before=setup_expired_before,
                    after=page[-1] if page else None,
                    limit=PAGE,
                )
            if not page:
                return
            yield from page


class AsyncEnroller:
    """As ``Enroller``, awaited, over an async store; ``on_event`` and ``sleep`` are awaited too.

    Stateless and safe to share between tasks. Arguments and errors are those of ``Enroller``.
    """

    __slots__ = ("_on_event", "_settings", "_sleep", "_store")

    def __init__(
        self,
        store: AsyncEnrollmentStore,
        *,
        issuer: str,
        cipher: SecretCipher,
        policy: Policy = Policy(),  # noqa: B008  # frozen
        clock: Callable[[], float] = time.time,
        on_event: Callable[[Event], Awaitable[None]] | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        sleep: Callable[[float], Awaitable[None]] = _pause,
    ) -> None:
        check_store(store, awaited=True)
        self._settings = Settings(
            issuer=issuer, cipher=cipher, policy=policy, clock=clock, random_bytes=random_bytes
        )
        self._store = store
        self._on_event = on_event
        self._sleep = sleep

    async def begin(
        self,
        user_id: str,
        *,
        account_name: str,
        authenticator: str | None = None,
        proof: Proof = None,
        context: Context = None,
    ) -> Setup:
        """As ``Enroller.begin``."""
        shown, proof = read_proof(proof), HIDDEN
        request = requests.Begin(
            user_id=user_id,
            account_name=account_name,
            authenticator=authenticator,
            proof=shown,
            context=context,
        )
        return await self._apply(setups.begin, request, Setup)

    async def resume(self, user_id: str, *, setup_id: str, context: Context = None) -> Setup:
        """As ``Enroller.resume``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        request = requests.Resume(user_id=user_id, setup_id=named, context=context)
        return await self._apply(setups.resume, request, Setup)

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
        request = requests.Confirm(
            user_id=user_id,
            code=typed,
            setup_id=named,
            backup_acknowledged=backup_acknowledged,
            context=context,
        )
        return await self._apply(setups.confirm, request, Confirmation.of)

    async def cancel(self, user_id: str, *, setup_id: str, context: Context = None) -> None:
        """As ``Enroller.cancel``."""
        named, setup_id = read_setup_id(setup_id), HIDDEN
        request = requests.Cancel(user_id=user_id, setup_id=named, context=context)
        return await self._apply(setups.cancel, request, _as_it_is)

    async def check_key_copy(
        self, user_id: str, text: str, *, setup_id: str, context: Context = None
    ) -> KeyCopy:
        """As ``Enroller.check_key_copy``."""
        copy, named, text, setup_id = read_key(text), read_setup_id(setup_id), HIDDEN, HIDDEN
        request = requests.CheckKeyCopy(user_id=user_id, copy=copy, setup_id=named, context=context)
        return await self._apply(setups.check_key_copy, request, _as_it_is)

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
        request = requests.Verify(
            user_id=user_id, code=typed, code_purpose=purpose, accept=accept, context=context
        )
        return await self._apply(transitions.verify, request, _as_it_is)

    async def disable(
        self,
        user_id: str,
        *,
        proof: Proof = None,
        authenticator: str | None = None,
        context: Context = None,
    ) -> None:
        """As ``Enroller.disable``."""
        shown, proof = read_proof(proof), HIDDEN
        request = requests.Disable(
            user_id=user_id, proof=shown, authenticator=authenticator, context=context
        )
        return await self._apply(transitions.disable, request, _as_it_is)

    async def regenerate_recovery_codes(
        self, user_id: str, *, proof: Proof = None, context: Context = None
    ) -> RecoveryCodes:
        """As ``Enroller.regenerate_recovery_codes``."""
        shown, proof = read_proof(proof), HIDDEN
        request = requests.RegenerateRecoveryCodes(user_id=user_id, proof=shown, context=context)
        return await self._apply(transitions.regenerate_recovery_codes, request, RecoveryCodes)

    async def rename(
        self, user_id: str, authenticator: str, new_name: str, *, context: Context = None
    ) -> None:
        """As ``Enroller.rename``."""
        request = requests.Rename(
            user_id=user_id, authenticator=authenticator, new_name=new_name, context=context
        )
        return await self._apply(transitions.rename, request, _as_it_is)

    async def erase(self, user_id: str, *, proof: Override, context: Context = None) -> None:
        """As ``Enroller.erase``."""
        shown = read_proof(proof)
        del proof  # who mistakes it for a code may have typed one
        request = requests.Erase(user_id=user_id, proof=shown, context=context)
        event = _erased(request, self._settings)
        with storage_errors():
            await self._store.delete(user_id)
        await self._tell((event,))

    async def status(self, user_id: str) -> Status:
        """As ``Enroller.status``."""
        return await self._apply(transitions.status, requests.AskStatus(user_id=user_id), _as_it_is)

    async def purge_expired(self, *, limit: int | None = None) -> int:
        """As ``Enroller.purge_expired``."""
        purged, most = 0, checked_limit(limit)
        async for user_id in self._ids(setup_expired_before=self._settings.now() + 1):
            if purged == most:
                break
            try:
                request = requests.Purge(user_id=user_id)
                purged += await self._apply(transitions.purge_expired, request, _as_it_is)
            except (CorruptRecordError, RecordTooNewError) as error:
                logger.warning("purge_expired passed over %s: %s", user_id, error)
        return purged

    async def reseal(self, *, limit: int | None = None) -> ResealReport:
        """As ``Enroller.reseal``."""
        examined = resealed = unreadable = 0
        most = checked_limit(limit)
        async for user_id in self._ids():
            if resealed == most:
                return ResealReport(
                    examined=examined, resealed=resealed, unreadable=unreadable, complete=False
                )
            examined += 1
            try:
                request = requests.Reseal(user_id=user_id)
                resealed += await self._apply(transitions.reseal, request, bool)
            except (CorruptRecordError, RecordTooNewError, UnreadableSecretError) as error:
                unreadable += 1
                logger.warning("reseal passed over %s: %s", user_id, error)
        return ResealReport(
            examined=examined, resealed=resealed, unreadable=unreadable, complete=True
        )

    async def _apply(
        self,
        transition: Transition[RequestT, AnswerT],
        request: RequestT,
        present: Callable[[AnswerT], T],
    ) -> T:
        attempt = Attempt(self._settings, transition, request)
        while not attempt.settled:
            if (pause := attempt.pause) is not None:
                await self._sleep(pause)
            with storage_errors():
                record = await self._store.load(request.user_id)
            if (write := attempt.decide(record)) is not None:
                with storage_errors():
                    stored = await self._store.save(write.record, expected=write.expected)
                attempt.saved(stored)
        await self._tell(attempt.events)
        return present(attempt.answer())

    async def _tell(self, told: tuple[Event, ...]) -> None:
        if self._on_event is None:
            return
        for event in told:
            try:
                await self._on_event(event)
            except Exception:
                logger.exception("on_event raised; what it was told of stands")

    async def _ids(self, *, setup_expired_before: int | None = None) -> AsyncIterator[str]:
        listing = cast("AsyncListingStore", listed(self._store))
        page: Sequence[str] = ()
        while not page or len(page) == PAGE:
            with storage_errors():
                page = await listing.user_ids(
                    setup_expired_before=setup_expired_before,
                    after=page[-1] if page else None,
                    limit=PAGE,
                )
            if not page:
                return
            for user_id in page:
                yield user_id
