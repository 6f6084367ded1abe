"""Maintenance of all accounts, each by the one way of a request, in both flavours.

A walk that read and wrote rows by itself would be a way past the rules and the revision. Here each
account is loaded, decided on and saved as at a login, and a login that is faster wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol, TypeVar, cast

from otp_enroll.attempt import get_logger, log_failure, read_clock
from otp_enroll.core.secret import Sealed
from otp_enroll.core.upkeep import Purge, Reseal, Resealed
from otp_enroll.core.verb import Verb
from otp_enroll.errors import (
    AdapterError,
    CorruptRecordError,
    FailureError,
    RecordTooNewError,
    StoreContentionError,
    UnreadableSecretError,
)
from otp_enroll.storage.protocol import (
    AsyncListingStore,
    ListingStore,
    require_methods,
    storage_errors,
)

PAGE: Final = 1000
"""Ids that are asked of a store at a time: many to a query, and few enough for memory."""

T = TypeVar("T")


class Apply(Protocol):
    """The one way of a request, as an enroller goes it.

    A protocol, since a ``Callable`` cannot say that the verb's answer is what comes back.
    """

    def __call__(self, verb: Verb[T]) -> T:
        """Run a verb to its answer."""
        ...


class AsyncApply(Protocol):
    """As ``Apply``, awaited."""

    def __call__(self, verb: Verb[T]) -> Awaitable[T]:
        """Run a verb to its answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResealReport:
    """What ``reseal`` did. When it is complete and nothing was unreadable, old keys can go.

    Until then keep them: a secret whose key is gone is a phone that works no more. A backup of the
    table needs the keys of its time for as long as it may be restored.

    Attributes:
        examined: Rows that were looked at.
        resealed: Rows that were written with secrets sealed by the newest key.
        unreadable: Rows that could not be read or opened, and still need a key that is not there.
        complete: Whether every row was looked at, none was busy, and ``limit`` was not reached.
        keys_needed: By a key's id, how many of the unreadable rows need it. Of a row that is
            damaged nobody knows, and nothing is counted for a cipher that names no keys (see
            ``KeyNamingCipher``).
    """

    examined: int
    resealed: int
    unreadable: int
    complete: bool
    keys_needed: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)


def purge_expired(
    store: object, apply: Apply, clock: Callable[[], float], *, limit: int | None
) -> int:
    """Erase expired setups, at most ``limit`` of them, and return how many.

    Args:
        store: One that lists ids.
        apply: The enroller's way of a request.
        clock: The enroller's, in Unix seconds.
        limit: Rows to write at most; ``None`` for all.

    Raises:
        TypeError: The store cannot list ids.
    """
    purged, most = 0, check_limit(limit)
    for user_id in _ids(store, setup_expired_before=_next_second(clock)):
        if purged == most:
            break
        with _PassingOver():  # one damaged row must not keep all others from being cleaned
            purged += apply(Purge(user_id=user_id))
    return purged


async def purge_expired_async(
    store: object, apply: AsyncApply, clock: Callable[[], float], *, limit: int | None
) -> int:
    """As ``purge_expired``, awaited."""
    purged, most = 0, check_limit(limit)
    async for user_id in _ids_async(store, setup_expired_before=_next_second(clock)):
        if purged == most:
            break
        with _PassingOver():
            purged += await apply(Purge(user_id=user_id))
    return purged


def reseal(
    store: object, apply: Apply, key_id_of: Callable[[Sealed], str | None], *, limit: int | None
) -> ResealReport:
    """Seal with the newest key what older keys sealed, at most ``limit`` rows of it.

    Args:
        store: One that lists ids.
        apply: The enroller's way of a request.
        key_id_of: Which key a sealed secret needs, if the cipher can say.
        limit: Rows to write at most; ``None`` for all.

    Raises:
        TypeError: The store cannot list ids.
    """
    tally = _Tally(key_id_of, limit)
    for user_id in _ids(store):
        if tally.is_full:  # asked here, where it is known that a row was left
            return tally.report(stopped=True)
        with tally.examine():
            tally.add(user_id, apply(Reseal(user_id=user_id)))
    return tally.report()


async def reseal_async(
    store: object,
    apply: AsyncApply,
    key_id_of: Callable[[Sealed], str | None],
    *,
    limit: int | None,
) -> ResealReport:
    """As ``reseal``, awaited."""
    tally = _Tally(key_id_of, limit)
    async for user_id in _ids_async(store):
        if tally.is_full:
            return tally.report(stopped=True)
        with tally.examine():
            tally.add(user_id, await apply(Reseal(user_id=user_id)))
    return tally.report()


def check_limit(limit: int | None) -> int | None:
    """Check how much maintenance may do: ``None`` for all, or at least 1.

    Raises:
        TypeError: Not an ``int``.
        ValueError: Less than 1.
    """
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        raise TypeError("limit must be an int or None")
    if limit is not None and limit < 1:
        raise ValueError("limit must be at least 1")
    return limit


class _PassingOver:
    """Pass over a row that cannot be read, or that is busy; the request has logged which.

    A store that fails is not passed over: "all keys are replaced" must not come out of a walk in
    which nothing could be read.
    """

    busy: bool = False
    unreadable: int = 0

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, StoreContentionError):
            self.busy = True  # not done, so the walk is not complete
            return True
        if isinstance(error, (CorruptRecordError, RecordTooNewError, UnreadableSecretError)):
            self.unreadable += 1
            return True
        return False  # the store, its adapter or the clock: the next row would fail likewise


class _Tally(_PassingOver):
    """What a reseal has done so far, row by row, for the report."""

    def __init__(self, key_id_of: Callable[[Sealed], str | None], limit: int | None) -> None:
        self._key_id_of = key_id_of
        self._most = check_limit(limit)
        self._keys_needed: Counter[str] = Counter()
        self._examined = self._resealed = 0

    @property
    def is_full(self) -> bool:
        """Whether as many rows as allowed were written."""
        return self._resealed == self._most

    def examine(self) -> _Tally:
        """Count a row that is looked at in the block."""
        self._examined += 1
        return self

    def add(self, user_id: str, done: Resealed) -> None:
        """Count what was done to a row."""
        self._resealed += done.written
        if done.unreadable:
            self.unreadable += 1
            # A set: two secrets of a row under one key are one row that needs it.
            needed = {self._key_id_of(sealed) for sealed in done.unreadable}
            self._keys_needed.update(key_id for key_id in needed if key_id is not None)
            # Which account, so that its owner can be asked to set up again; the report counts keys.
            get_logger().warning("reseal found a secret of %r that no key opens", user_id)

    def report(self, *, stopped: bool = False) -> ResealReport:
        """Sum it up, ``stopped`` if rows were left."""
        return ResealReport(
            examined=self._examined,
            resealed=self._resealed,
            unreadable=self.unreadable,
            complete=not stopped and not self.busy,
            keys_needed=dict(self._keys_needed),
        )


@contextmanager
def _log_failures() -> Generator[None]:
    """Log a failure that concerns no account by itself: no request does."""
    try:
        yield
    except FailureError as error:
        log_failure(error, None)
        raise


def _next_second(clock: Callable[[], float]) -> int:
    # The listing means "before"; at ``expires_at`` itself a setup is expired already.
    with _log_failures():
        return read_clock(clock) + 1


def _check_page(page: Sequence[str], *, after: str | None) -> Sequence[str]:
    """Return a page of ids, unless the store begins again with it: that would never end (CWE-835).

    Raises:
        AdapterError: It does.
    """
    if after in page:
        raise AdapterError("user_ids returned the id that it was to start after")
    return page


def _ids(store: object, *, setup_expired_before: int | None = None) -> Iterator[str]:
    require_methods(store, "store", ("user_ids",))
    listing = cast("ListingStore", store)
    page: Sequence[str] = ()
    while not page or len(page) == PAGE:  # a page that is not full is the last, says the protocol
        after = page[-1] if page else None
        with _log_failures(), storage_errors():  # only the call: not what the caller does between
            page = listing.user_ids(
                setup_expired_before=setup_expired_before, after=after, limit=PAGE
            )
            page = _check_page(page, after=after)
        if not page:
            return
        yield from page


async def _ids_async(
    store: object, *, setup_expired_before: int | None = None
) -> AsyncIterator[str]:
    require_methods(store, "store", ("user_ids",))
    listing = cast("AsyncListingStore", store)
    page: Sequence[str] = ()
    while not page or len(page) == PAGE:
        after = page[-1] if page else None
        with _log_failures(), storage_errors():
            page = await listing.user_ids(
                setup_expired_before=setup_expired_before, after=after, limit=PAGE
            )
            page = _check_page(page, after=after)
        if not page:
            return
        for user_id in page:
            yield user_id
