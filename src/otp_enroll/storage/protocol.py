"""What an app's database and key service must do: the protocols, the record, and failures.

A store answers two questions, and both fail closed. ``None`` from ``load`` means "no second
factor", so it is said only of what was read; ``True`` from ``save`` means "yours alone", so it is
said only by the one statement that compared and wrote. All else is an exception.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final, Protocol, runtime_checkable

from otp_enroll.core.typed_text import MAX_USER_ID
from otp_enroll.errors import AdapterError, EnrollmentError, FailureError, StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnrollment:
    """One account's row.

    All that an account has stands in one row and one document, since a save must be one atomic
    step in every database: recovery codes in a table of their own get spent twice when half of
    a write is lost. Times are whole numbers, because a column of dates may lose the zone and
    the fraction (MariaDB's DATETIME).

    Attributes:
        user_id: 1 to 190 characters without NUL; a store returns it byte for byte.
        revision: 32 hexadecimal characters, new and random for every save. A counter would
            start again when a row is deleted, and a late save would then hit the next life of
            the id.
        state: ``"disabled"``, ``"pending"`` or ``"confirmed"``, for queries.
        setup_expires_at: When the setup expires, in Unix seconds, for purging. A store expires
            nothing by it: confirmed accounts have one too, while their phone is replaced.
        changed_at: When the account last changed, in Unix seconds; 0 if never.
        document: JSON, opaque to the store. Secrets inside are sealed.
    """

    user_id: str
    revision: str
    state: str
    setup_expires_at: int | None
    changed_at: int
    document: str = field(repr=False)  # sealed or not, it has no business in a log (CWE-532)


FIELDS: Final = tuple(column.name for column in fields(StoredEnrollment))
"""The names of a record's fields, for columns and keys."""

# 190 characters of utf8mb4 take 760 bytes; an index of InnoDB's older row formats holds 767.
LENGTHS: Final = {"user_id": MAX_USER_ID, "revision": 32, "state": 9}
"""How many characters a field has at most. A document may be of any length."""


class storage_errors:  # noqa: N801  # called in a with statement, as contextlib.suppress is
    """Turn what a store raises into a ``StorageError``, with the cause and not its text.

    A driver's text may quote the row, the statement or the address of the server (CWE-209).
    The library's own failures pass, and so does what is no ``Exception``: a cancelled task and a
    worker that must stop are nobody's failed store. It is no generator because every code passes
    it twice.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, FailureError):
            raise failure_of(error) from error


def failure_of(cause: Exception) -> StorageError:
    """Return the failure that an exception of a store means.

    A refusal is for the rules alone: an adapter that raised ``NotEnrolledError`` because its
    connection broke would say "no second factor".
    """
    if isinstance(cause, EnrollmentError):
        return AdapterError("it raised a refusal")
    return StorageError()


class EnrollmentStore(Protocol):
    """The methods an adapter implements. ``otp_enroll.testing`` checks them.

    Stores never retry and never sleep: the library owns the loop of load, decide and save. They
    log no document. Ids and documents are compared and returned byte for byte.
    """

    @property
    def joined(self) -> bool:
        """Whether the app commits: statements only, in a transaction of the app's.

        ``False``: each call commits by itself, on a connection that no transaction of the app
        reaches.
        """
        ...

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the latest committed record of exactly this id, or ``None``.

        ``None`` means "no second factor": a failure to read is an exception, and nothing is
        read from a replica, a cache or an ORM's identity map. A login that trusts a stale "not
        enrolled" is a bypass.

        Raises:
            Exception: Whatever the driver raises; the library makes a ``StorageError`` of it.
        """
        ...

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store in one atomic step, or change nothing.

        Create if ``expected`` is ``None`` and there is no record; else replace the whole record
        if the stored revision equals ``expected``. The database compares, never the application
        (CWE-367), and it is no upsert: that would overwrite the winner of a race.

        Returns:
            ``True`` stored, ``False`` refused. Anything else raises.
        """
        ...

    def delete(self, user_id: str) -> None:
        """Delete the record, whether there is one or not.

        Unconditional, and nothing of the id is left: it is how an account's data is erased, and
        how a row is got rid of that nothing can read.
        """
        ...


class AsyncEnrollmentStore(Protocol):
    """As ``EnrollmentStore``, awaited."""

    @property
    def joined(self) -> bool:
        """Whether the app commits: statements only, in a transaction of the app's.

        ``False``: each call commits by itself, on a connection that no transaction of the app
        reaches.
        """
        ...

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """As ``EnrollmentStore.load``."""
        ...

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """As ``EnrollmentStore.save``."""
        ...

    async def delete(self, user_id: str) -> None:
        """As ``EnrollmentStore.delete``."""
        ...


class ListingStore(EnrollmentStore, Protocol):
    """A store that can list ids, which ``purge_expired`` and ``reseal`` need."""

    def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[str]:
        """Return ids in the store's order.

        Args:
            state: Only records of this state.
            setup_expired_before: Only records whose setup expires before this Unix second.
            after: Only ids that come after this one. It was the last of the page before.
            limit: How many at most. Fewer mean that none are left: ``reseal`` then reports that
                it is complete, and an old key may be thrown away.
        """
        ...


class AsyncListingStore(AsyncEnrollmentStore, Protocol):
    """As ``ListingStore``, awaited."""

    async def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[str]:
        """As ``ListingStore.user_ids``."""
        ...


class SecretCipher(Protocol):
    """Seals and opens secrets. Local and quick: a key service wraps the keys at start-up.

    ``context`` binds a ciphertext to its user and authenticator: opening it elsewhere fails.
    A cipher that leaves it out lets anyone who can write to the table give one account's secret
    to another. What a cipher raises is an ``UnreadableSecretError``, never a wrong code.
    """

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        """Encrypt, with ``context`` authenticated."""
        ...

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Decrypt, or raise."""
        ...

    def needs_reseal(self, sealed: bytes) -> bool:
        """Return whether ``seal`` would use another key by now."""
        ...


@runtime_checkable
class KeyNamingCipher(SecretCipher, Protocol):
    """A cipher that names the key that a secret needs, so that ``reseal`` counts rows by key."""

    def key_id_of(self, sealed: bytes) -> str | None:
        """Return the id of the key that opens this, even if that key is not at hand.

        ``None`` means no key: it is not encrypted, or another cipher sealed it.
        """
        ...


UNENCRYPTED_MARK = b"\0"
"""The first byte of what ``Unencrypted`` stored, by which a real cipher recognises it."""


class Unencrypted:
    """No encryption: anyone who reads the database has every secret. For tests and first steps.

    Nor is a secret bound to its row. In production use ``storage.aesgcm.AESGCMKeyRing``. It has
    a name of its own, and an enroller has no default cipher, so that nobody stores secrets in
    clear by leaving something out (CWE-312).
    """

    __slots__ = ()

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:  # noqa: ARG002  # nothing binds it
        """Mark the plaintext as unencrypted."""
        return UNENCRYPTED_MARK + plaintext

    def open(self, sealed: bytes, *, context: bytes) -> bytes:  # noqa: ARG002  # nothing binds it
        """Take the mark off.

        Raises:
            ValueError: It was sealed by a real cipher.
        """
        if not sealed.startswith(UNENCRYPTED_MARK):
            raise ValueError("a cipher sealed this")
        return sealed[1:]

    def needs_reseal(self, sealed: bytes) -> bool:  # noqa: ARG002  # there is no newer key
        """Never."""
        return False


def require_methods(
    value: object, what: str, methods: Sequence[str], *, awaited: bool | None = None
) -> None:
    """Refuse a value that lacks a method, and a class where an instance belongs.

    Args:
        value: A store or a cipher.
        what: What to call it in an error.
        methods: What will be called.
        awaited: Whether what they return will be awaited; ``None`` is not looked at.

    Raises:
        TypeError: It is one or the other; the message says what to pass.
    """
    # A class has the methods too, and would fail at the first login.
    if isinstance(value, type):
        raise TypeError(f"the {what} is a class: pass an instance, {value.__name__}(...)")
    for method in methods:
        if not callable(getattr(value, method, None)):
            raise TypeError(f"the {what} has no method {method}")
        # A coroutine that nobody awaits is true: each save would count as stored.
        if awaited is not None and is_awaited(getattr(value, method)) != awaited:
            word = "" if awaited else "not "
            raise TypeError(f"the {what}'s method {method} must {word}be a coroutine function")


def is_awaited(function: object) -> bool:
    """Return whether a call gives a coroutine; an object is looked at by its ``__call__``."""
    # Looked at below what decorators put around it: a tracer's wrapper is often a plain function.
    inner: object = inspect.unwrap(function) if callable(function) else function
    kind: type[object] = type(inner)
    called = getattr(kind, "__call__", None)  # noqa: B004  # not whether, but how it is called
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(called)


def check_store(store: object, *, joined: bool, awaited: bool) -> None:
    """Refuse a store that cannot serve when an enroller is built, not at a login.

    Raises:
        TypeError: It lacks a method or ``joined``, or is of the other flavour.
        ValueError: It is joined and must not be, or the reverse.
    """
    require_methods(store, "store", ("load", "save", "delete"))
    found: object = getattr(store, "joined", None)
    # Exactly a bool: a missing attribute would count as "commits by itself", and then wrong codes
    # would be counted in a transaction that the app rolls back.
    if not isinstance(found, bool):
        raise TypeError("the store has no attribute joined that is True or False")
    if found and not joined:
        raise ValueError(
            "this store is joined to a transaction of the app, which could take a judged code "
            "back: build the enroller on a store over an engine, a pool or a path, and pass this "
            "one to using()"
        )
    if joined and not found:
        raise ValueError("this store commits by itself: using() takes a joined one")
    if is_awaited(store.load) != awaited:  # type: ignore[attr-defined]  # checked above
        raise TypeError(f"this store is for {'Enroller' if awaited else 'AsyncEnroller'}")
    require_methods(store, "store", ("load", "save", "delete"), awaited=awaited)
