"""Maintenance of all accounts, each by the one way of a request, in both flavours."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final, cast

from otp_enroll.attempt import storage_errors
from otp_enroll.core import requests, transitions
from otp_enroll.core.decision import ResealReport
from otp_enroll.errors import (
    CorruptRecordError,
    RecordTooNewError,
    StoreContentionError,
    UnreadableSecretError,
)
from otp_enroll.settings import Settings, checked_limit, listed
from otp_enroll.storage.protocol import (
    AsyncEnrollmentStore,
    AsyncListingStore,
    EnrollmentStore,
    ListingStore,
)
from otp_enroll.verbs import AsyncVerbs, Verbs, as_it_is

logger: Final = logging.getLogger("otp_enroll")

PAGE: Final = 1000
"""Ids that are asked of a store at a time."""


class Maintenance(Verbs):
    """What an enroller does now and then, on a store that lists ids; stopped, it starts again."""

    __slots__ = ()
    _settings: Settings
    _store: EnrollmentStore

    def purge_expired(self, *, limit: int | None = None) -> int:
        """Erase expired setups, at most ``limit`` of them; run it again for the rest.

        A row that cannot be read, or that is busy, is logged and passed over.

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
                purged += self._apply(transitions.purge_expired, request, as_it_is)
            except (CorruptRecordError, RecordTooNewError, StoreContentionError) as error:
                logger.warning("purge_expired passed over %s: %s", user_id, error)
        return purged

    def reseal(self, *, limit: int | None = None) -> ResealReport:
        """Seal with the newest key what older keys sealed, at most ``limit`` rows of it.

        Raises:
            TypeError: The store cannot list ids.
        """
        examined = resealed = unreadable = busy = 0
        most = checked_limit(limit)
        for user_id in self._ids():
            if resealed == most:
                return ResealReport(
                    examined=examined, resealed=resealed, unreadable=unreadable, complete=False
                )
            examined += 1
            try:
                request = requests.Reseal(user_id=user_id)
                done = self._apply(transitions.reseal, request, as_it_is)
                resealed += done.written
                unreadable += done.unreadable
                if done.unreadable:
                    logger.warning("reseal found a secret of %s that no key opens", user_id)
            except StoreContentionError:
                busy += 1
            except (CorruptRecordError, RecordTooNewError, UnreadableSecretError) as error:
                unreadable += 1
                logger.warning("reseal passed over %s: %s", user_id, error)
        return ResealReport(
            examined=examined, resealed=resealed, unreadable=unreadable, complete=not busy
        )

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


class AsyncMaintenance(AsyncVerbs):
    """The same, awaited."""

    __slots__ = ()
    _settings: Settings
    _store: AsyncEnrollmentStore

    async def purge_expired(self, *, limit: int | None = None) -> int:
        """As ``Enroller.purge_expired``."""
        purged, most = 0, checked_limit(limit)
        async for user_id in self._ids(setup_expired_before=self._settings.now() + 1):
            if purged == most:
                break
            try:
                request = requests.Purge(user_id=user_id)
                purged += await self._apply(transitions.purge_expired, request, as_it_is)
            except (CorruptRecordError, RecordTooNewError, StoreContentionError) as error:
                logger.warning("purge_expired passed over %s: %s", user_id, error)
        return purged

    async def reseal(self, *, limit: int | None = None) -> ResealReport:
        """As ``Enroller.reseal``."""
        examined = resealed = unreadable = busy = 0
        most = checked_limit(limit)
        async for user_id in self._ids():
            if resealed == most:
                return ResealReport(
                    examined=examined, resealed=resealed, unreadable=unreadable, complete=False
                )
            examined += 1
            try:
                request = requests.Reseal(user_id=user_id)
                done = await self._apply(transitions.reseal, request, as_it_is)
                resealed += done.written
                unreadable += done.unreadable
                if done.unreadable:
                    logger.warning("reseal found a secret of %s that no key opens", user_id)
            except StoreContentionError:
                busy += 1
            except (CorruptRecordError, RecordTooNewError, UnreadableSecretError) as error:
                unreadable += 1
                logger.warning("reseal passed over %s: %s", user_id, error)
        return ResealReport(
            examined=examined, resealed=resealed, unreadable=unreadable, complete=not busy
        )

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
