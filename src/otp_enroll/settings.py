"""What an enroller is built with, checked at once: names, cipher, policy, clock, randomness."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from otp_enroll.core.secret import Sealed, Secret
from otp_enroll.core.typed_text import clean_label
from otp_enroll.errors import ServerClockError, UnreadableSecretError
from otp_enroll.policy import Policy
from otp_enroll.provisioning.uri import MAX_ISSUER
from otp_enroll.storage import codec
from otp_enroll.storage.protocol import KeyNamingCipher, SecretCipher

_CLOCK_LIMIT: Final = 250_000_000_000  # the year 9892: a lifetime later is still a datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an enroller was built with, but for its store and its way to wait and to tell."""

    issuer: str
    cipher: SecretCipher = field(repr=False)  # an app's own may show its keys
    policy: Policy
    clock: Callable[[], float]
    random_bytes: Callable[[int], bytes]

    def __post_init__(self) -> None:
        object.__setattr__(self, "issuer", clean_label(self.issuer, "issuer", MAX_ISSUER))
        _check_methods(self.cipher, "cipher", ("seal", "open", "needs_reseal"))
        if not isinstance(self.policy, Policy):
            raise TypeError("policy must be a Policy")
        if not callable(self.clock) or not callable(self.random_bytes):
            raise TypeError("clock and random_bytes must be callable")

    def now(self) -> int:
        """Read the clock, in whole Unix seconds.

        Raises:
            ServerClockError: It is before 1970, after 9892, or not a number.
        """
        reading = self.clock()
        if not math.isfinite(reading) or not 0 <= reading < _CLOCK_LIMIT:
            raise ServerClockError
        return int(reading)

    def draw(self, length: int) -> bytes:
        """Draw random bytes, and make sure that they came.

        Raises:
            ValueError: The source gave fewer or more, or something else.
        """
        drawn = self.random_bytes(length)
        if not isinstance(drawn, bytes) or len(drawn) != length:
            drawn = b""
            raise ValueError(f"random_bytes must return exactly the {length} bytes asked for")
        return drawn

    def seal(self, secret: Secret, user_id: str, authenticator_id: str) -> Sealed:
        """Seal a secret for one authenticator of one user.

        Raises:
            UnreadableSecretError: The cipher failed.
        """
        context = codec.seal_context(user_id, authenticator_id)
        try:
            sealed = self.cipher.seal(secret.reveal(), context=context)
        except Exception as cause:
            raise UnreadableSecretError from cause
        if not isinstance(sealed, bytes):
            raise UnreadableSecretError
        return Sealed(sealed)

    def open(
        self, sealed: Sealed, user_id: str, authenticator_id: str
    ) -> Secret | UnreadableSecretError:
        """Open a sealed secret, or return why it cannot be opened."""
        context = codec.seal_context(user_id, authenticator_id)
        try:
            opened = self.cipher.open(sealed.reveal(), context=context)
            return Secret(bytes(memoryview(opened)), allow_short=True)
        except Exception as cause:  # noqa: BLE001  # whatever a cipher raises, the secret is unreadable
            error = UnreadableSecretError()
            error.__cause__ = cause.with_traceback(None)
            return error

    def needs_reseal(self, sealed: Sealed) -> bool:
        """Ask the cipher whether it would use another key by now.

        Raises:
            UnreadableSecretError: The cipher failed.
        """
        try:
            return self.cipher.needs_reseal(sealed.reveal())
        except Exception as cause:
            raise UnreadableSecretError from cause

    def key_id_of(self, sealed: Sealed) -> str | None:
        """Ask the cipher which key a secret needs, if it is one that can tell."""
        if not isinstance(self.cipher, KeyNamingCipher):
            return None
        try:
            return self.cipher.key_id_of(sealed.reveal())
        except Exception:  # noqa: BLE001  # whatever a cipher raises, it did not tell
            return None


def _check_methods(value: object, what: str, methods: tuple[str, ...]) -> None:
    for method in methods:
        if not callable(getattr(value, method, None)):
            raise TypeError(f"the {what} has no method {method}")


def check_store(store: object, *, joined: bool, awaited: bool) -> None:
    """Refuse a store that cannot serve when an enroller or a view is built, not at a login.

    Raises:
        TypeError: It lacks a method or ``joined``, or is of the other flavour.
        ValueError: It is joined and must not be, or the reverse.
    """
    _check_methods(store, "store", ("load", "save", "delete"))
    found: object = getattr(store, "joined", None)
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
    load = inspect.unwrap(store.load)  # type: ignore[attr-defined]  # checked above
    if inspect.iscoroutinefunction(load) != awaited:
        raise TypeError(f"this store is for {'Enroller' if awaited else 'AsyncEnroller'}")


def check_hook(hook: object, what: str, *, awaited: bool) -> None:
    """Refuse what the enroller could not call, or would call and never await.

    Raises:
        TypeError: Not callable, or a coroutine function where nothing is awaited.
    """
    if not callable(hook):
        raise TypeError(f"{what} must be callable")
    if inspect.iscoroutinefunction(hook) and not awaited:
        raise TypeError(f"{what} is a coroutine function, which AsyncEnroller alone awaits")


def listed(store: object) -> object:
    """Return the store if it can list ids, which maintenance needs and requests do not.

    Raises:
        TypeError: It cannot.
    """
    _check_methods(store, "store", ("user_ids",))
    return store


def checked_limit(limit: int | None) -> int | None:
    """Check how much maintenance may do: ``None`` for all, or at least 1."""
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        raise TypeError("limit must be an int or None")
    if limit is not None and limit < 1:
        raise ValueError("limit must be at least 1")
    return limit
