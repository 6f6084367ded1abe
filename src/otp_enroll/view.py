"""EnrollerView and AsyncEnrollerView: the verbs that judge nothing, inside the app's transaction.

The app commits, and only the app knows that it did: nothing is retried, nothing is wrapped, and
what happened is told when the app says so. A code is never judged here, because a rollback would
give a guess back; verify first, on the enroller, and pass the Verification.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from otp_enroll.attempt import AnswerT, Attempt, RequestT, Transition, erased
from otp_enroll.core import requests
from otp_enroll.core.proofs import Proof
from otp_enroll.core.typed_text import TypedCode
from otp_enroll.events import Event
from otp_enroll.settings import Settings, check_store
from otp_enroll.storage.protocol import AsyncEnrollmentStore, EnrollmentStore
from otp_enroll.verbs import AsyncVerbs, Verbs

T = TypeVar("T")


def _untyped(proof: Proof) -> Proof:
    if isinstance(proof, TypedCode):
        raise ValueError("a view judges no code: verify first, pass the Verification")  # noqa: TRY004  # right elsewhere
    return proof


class EnrollerView(Verbs):
    """What ``Enroller.using`` returns: for one request, over the app's session or connection.

    A save that is refused is a ``StoreContentionError`` at once: roll back, and repeat the whole
    transaction. The driver's exceptions pass unchanged.

    Args:
        store: A joined store.
        settings: The enroller's.
        tell: How the enroller tells events.

    Raises:
        TypeError: It is no store.
        ValueError: It commits by itself.
    """

    __slots__ = ("_settings", "_store", "_tell", "_told")

    def __init__(
        self,
        store: EnrollmentStore,
        settings: Settings,
        tell: Callable[[tuple[Event, ...]], None],
    ) -> None:
        check_store(store, joined=True, awaited=False)
        self._store = store
        self._settings = settings
        self._tell = tell
        self._told: tuple[Event, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened in this transaction and was not delivered."""
        return self._told

    def deliver_events(self) -> None:
        """Tell what happened: call it after the commit. After a rollback, drop the view."""
        told, self._told = self._told, ()
        self._tell(told)

    def _apply(
        self,
        transition: Transition[RequestT, AnswerT],
        request: RequestT,
        present: Callable[[AnswerT], T],
    ) -> T:
        attempt = Attempt(self._settings, transition, request, tries=1)
        write = attempt.decide(self._store.load(request.user_id))
        if write is not None:
            attempt.saved(self._store.save(write.record, expected=write.expected))
        self._told += attempt.events
        return present(attempt.answer())

    def _admitted(self, proof: Proof) -> Proof:
        return _untyped(proof)

    def _erase(self, request: requests.Erase) -> None:
        self._store.delete(request.user_id)
        self._told += erased(request, self._settings)


class AsyncEnrollerView(AsyncVerbs):
    """As ``EnrollerView``, awaited."""

    __slots__ = ("_settings", "_store", "_tell", "_told")

    def __init__(
        self,
        store: AsyncEnrollmentStore,
        settings: Settings,
        tell: Callable[[tuple[Event, ...]], Awaitable[None]],
    ) -> None:
        check_store(store, joined=True, awaited=True)
        self._store = store
        self._settings = settings
        self._tell = tell
        self._told: tuple[Event, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """As ``EnrollerView.events``."""
        return self._told

    async def deliver_events(self) -> None:
        """As ``EnrollerView.deliver_events``."""
        told, self._told = self._told, ()
        await self._tell(told)

    async def _apply(
        self,
        transition: Transition[RequestT, AnswerT],
        request: RequestT,
        present: Callable[[AnswerT], T],
    ) -> T:
        attempt = Attempt(self._settings, transition, request, tries=1)
        write = attempt.decide(await self._store.load(request.user_id))
        if write is not None:
            attempt.saved(await self._store.save(write.record, expected=write.expected))
        self._told += attempt.events
        return present(attempt.answer())

    def _admitted(self, proof: Proof) -> Proof:
        return _untyped(proof)

    async def _erase(self, request: requests.Erase) -> None:
        await self._store.delete(request.user_id)
        self._told += erased(request, self._settings)
