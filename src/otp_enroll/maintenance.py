"""Maintenance of all accounts, each by the one way of a request, in both flavours."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, cast

from otp_enroll.attempt import storage_errors
from otp_enroll.core import requests, transitions
from otp_enroll.core.decision import Resealed, ResealReport
from otp_enroll.errors import (
    AdapterError,
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


def _checked_page(page: Sequence[str], *, after: str | None) -> Sequence[str]:
    """Return a page of ids, unless the store begins anew with it: that would never end."""
    if after in page:
        raise AdapterError("user_ids returned the id that it was to start after")
    return page


@contextmanager
def _purging(user_id: str) -> Generator[None]:
    """Pass over a row that cannot be read, or that is busy."""
    try:
        yield
    except (CorruptRecordError, RecordTooNewError, StoreContentionError) as error:
        logger.warning("purge_expired passed over %s: %s", user_id, error)


class _Tally:
    """What a reseal has done so far: told row by row, it makes the report."""

    __slots__ = (
        "_busy", "_examined", "_keys_needed", "_most", "_resealed", "_settings", "_unreadable",
    )  # fmt: skip

    def __init__(self, settings: Settings, limit: int | None) -> None:
        self._settings = settings
        self._most = checked_limit(limit)
        self._keys_needed: Counter[str] = Counter()
        self._examined = self._resealed = self._unreadable = self._busy = 0

    @property
    def is_full(self) -> bool:
        """Whether as many rows as allowed were written."""
        return self._resealed == self._most

    @contextmanager
    def looking_at(self, user_id: str) -> Generator[None]:
        """Count a row, and pass over it if it cannot be read, or is busy."""
        self._examined += 1
        try:
            yield
        except StoreContentionError:
            self._busy += 1
        except (CorruptRecordError, RecordTooNewError, UnreadableSecretError) as error:
            self._unreadable += 1
            logger.warning("reseal passed over %s: %s", user_id, error)

    def add(self, user_id: str, done: Resealed) -> None:
        """Count what was done to a row."""
        self._resealed += done.written
        if done.unreadable:
            self._unreadable += 1
            needed = {self._settings.key_id_of(sealed) for sealed in done.unreadable}
            self._keys_needed.update(key_id for key_id in needed if key_id is not None)
            logger.warning("reseal found a secret of %s that no key opens", user_id)

    def report(self, *, stopped: bool = False) -> ResealReport:
        """Sum it up, ``stopped`` if rows were left."""
        return ResealReport(
            examined=self._examined,
            resealed=self._resealed,
            unreadable=self._unreadable,
            complete=not stopped and not self._busy,
            keys_needed=dict(self._keys_needed),
        )


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
            with _purging(user_id):
                request = requests.Purge(user_id=user_id)
                purged += self._apply(transitions.purge_expired, request, as_it_is)
        return purged

    def reseal(self, *, limit: int | None = None) -> ResealReport:
        """Seal with the newest key what older keys sealed, at most ``limit`` rows of it.

        Raises:
            TypeError: The store cannot list ids.
        """
        tally = _Tally(self._settings, limit)
        for user_id in self._ids():
            if tally.is_full:
                return tally.report(stopped=True)
            with tally.looking_at(user_id):
                request = requests.Reseal(user_id=user_id)
                tally.add(user_id, self._apply(transitions.reseal, request, as_it_is))
        return tally.report()

    def _ids(self, *, setup_expired_before: int | None = None) -> Iterator[str]:
        listing = cast("ListingStore", listed(self._store))
        page: Sequence[str] = ()
        while not page or len(page) == PAGE:
            after = page[-1] if page else None
            with storage_errors():
                page = listing.user_ids(
                    setup_expired_before=setup_expired_before, after=after, limit=PAGE
                )
                page = _checked_page(page, after=after)
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
            with _purging(user_id):
                request = requests.Purge(user_id=user_id)
                purged += await self._apply(transitions.purge_expired, request, as_it_is)
        return purged

    async def reseal(self, *, limit: int | None = None) -> ResealReport:
        """As ``Enroller.reseal``."""
        tally = _Tally(self._settings, limit)
        async for user_id in self._ids():
            if tally.is_full:
                return tally.report(stopped=True)
            with tally.looking_at(user_id):
                request = requests.Reseal(user_id=user_id)
                tally.add(user_id, await self._apply(transitions.reseal, request, as_it_is))
        return tally.report()

    async def _ids(self, *, setup_expired_before: int | None = None) -> AsyncIterator[str]:
        listing = cast("AsyncListingStore", listed(self._store))
        page: Sequence[str] = ()
        while not page or len(page) == PAGE:
            after = page[-1] if page else None
            with storage_errors():
                page = await listing.user_ids(
                    setup_expired_before=setup_expired_before, after=after, limit=PAGE
                )
                page = _checked_page(page, after=after)
            if not page:
                return
            for user_id in page:
                yield user_id
