"""Enroller and AsyncEnroller: load → decide → save → tell → answer, side by side.

They differ in the awaiting alone. In the first line of each verb what was typed is put into a
redacted type and its name is rebound, so that no traceback with locals shows it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
)
from typing import Final, TypeVar

from otp_enroll.attempt import AnswerT, Attempt, RequestT, Transition, erased, storage_errors
from otp_enroll.core import confirming, requests, setups, transitions
from otp_enroll.core.arguments import HIDDEN, METHODS, read_setup_id
from otp_enroll.core.decision import KeyCopy
from otp_enroll.core.proofs import Verification
from otp_enroll.core.typed_text import read_code, read_key
from otp_enroll.display.setup import Confirmation
from otp_enroll.events import Event
from otp_enroll.maintenance import AsyncMaintenance, Maintenance
from otp_enroll.policy import Policy
from otp_enroll.settings import Settings, check_hook, check_store
from otp_enroll.storage.protocol import (
    AsyncEnrollmentStore,
    EnrollmentStore,
    SecretCipher,
)
from otp_enroll.verbs import Context, as_it_is
from otp_enroll.view import AsyncEnrollerView, EnrollerView

T = TypeVar("T")

logger: Final = logging.getLogger("otp_enroll")


async def _pause(seconds: float) -> None:
    import asyncio  # noqa: PLC0415  # most processes never retry, and many have no event loop

    await asyncio.sleep(seconds)


class Enroller(Maintenance):
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
        check_store(store, joined=False, awaited=False)
        self._settings = Settings(
            issuer=issuer, cipher=cipher, policy=policy, clock=clock, random_bytes=random_bytes
        )
        if on_event is not None:
            check_hook(on_event, "on_event", awaited=False)
        check_hook(sleep, "sleep", awaited=False)
        self._store = store
        self._on_event = on_event
        self._sleep = sleep

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
        return self._apply(confirming.confirm, request, Confirmation.of)

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
        return self._apply(setups.check_key_copy, request, as_it_is)

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
        return self._apply(transitions.verify, request, as_it_is)

    def using(self, joined_store: EnrollmentStore) -> EnrollerView:
        """Return a view over the app's own transaction, for one request.

        Args:
            joined_store: A store over the app's session or connection (``joined`` is ``True``).

        Raises:
            TypeError: It is no store.
            ValueError: It commits by itself.
        """
        return EnrollerView(joined_store, self._settings, self._tell)

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

    def _erase(self, request: requests.Erase) -> None:
        told = erased(request, self._settings)
        with storage_errors():
            self._store.delete(request.user_id)
        self._tell(told)

    def _tell(self, told: tuple[Event, ...]) -> None:
        if self._on_event is None:
            return
        for event in told:
            try:
                self._on_event(event)
            except Exception:
                logger.exception("on_event raised; what it was told of stands")


class AsyncEnroller(AsyncMaintenance):
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
        check_store(store, joined=False, awaited=True)
        self._settings = Settings(
            issuer=issuer, cipher=cipher, policy=policy, clock=clock, random_bytes=random_bytes
        )
        if on_event is not None:
            check_hook(on_event, "on_event", awaited=True)
        check_hook(sleep, "sleep", awaited=True)
        self._store = store
        self._on_event = on_event
        self._sleep = sleep

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
        return await self._apply(confirming.confirm, request, Confirmation.of)

    async def check_key_copy(
        self, user_id: str, text: str, *, setup_id: str, context: Context = None
    ) -> KeyCopy:
        """As ``Enroller.check_key_copy``."""
        copy, named, text, setup_id = read_key(text), read_setup_id(setup_id), HIDDEN, HIDDEN
        request = requests.CheckKeyCopy(user_id=user_id, copy=copy, setup_id=named, context=context)
        return await self._apply(setups.check_key_copy, request, as_it_is)

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
        return await self._apply(transitions.verify, request, as_it_is)

    def using(self, joined_store: AsyncEnrollmentStore) -> AsyncEnrollerView:
        """As ``Enroller.using``."""
        return AsyncEnrollerView(joined_store, self._settings, self._tell)

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

    async def _erase(self, request: requests.Erase) -> None:
        told = erased(request, self._settings)
        with storage_errors():
            await self._store.delete(request.user_id)
        await self._tell(told)

    async def _tell(self, told: tuple[Event, ...]) -> None:
        if self._on_event is None:
            return
        for event in told:
            try:
                await self._on_event(event)
            except Exception:
                logger.exception("on_event raised; what it was told of stands")
