"""The vault: sealing, opening and resealing secrets, and drawing randomness.

What a cipher raises is returned and not raised: its traceback would pass through frames that hold a
secret in clear, and the order of refusals says when it may be raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from otp_enroll.core.recovery import CODE_BYTES, SALT_BYTES, FreshCodes, FreshRecovery
from otp_enroll.core.secret import FreshSetup, Sealed, Secret, SetupId
from otp_enroll.core.states import EnrollmentState, reseal_with
from otp_enroll.core.verb import Draws, Opened
from otp_enroll.errors import UnreadableSecretError
from otp_enroll.policy import SECRET_BYTES, Policy
from otp_enroll.storage.codec import seal_context
from otp_enroll.storage.protocol import (
    KeyNamingCipher,
    SecretCipher,
    is_awaited,
    require_methods,
)

_SETUP_ID_BYTES: Final = 32  # 256 bits: the id opens a page with the key on it
_AUTHENTICATOR_ID_BYTES: Final = 16  # no secret: it must only never come twice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Vault:
    """The cipher and the source of randomness, as one enroller uses them.

    Raises:
        TypeError: One of them cannot serve; the message says what to pass.
    """

    cipher: SecretCipher = field(repr=False)  # an app's own may show its keys
    random_bytes: Callable[[int], bytes]

    def __post_init__(self) -> None:
        require_methods(self.cipher, "cipher", ("seal", "open", "needs_reseal"), awaited=False)
        if not callable(self.random_bytes) or is_awaited(self.random_bytes):
            raise TypeError("random_bytes must be a function that takes a number of bytes")

    def draw(self, length: int) -> bytes:
        """Draw random bytes, and make sure that they came.

        Short reads that were left as zeros have made guessable secrets elsewhere (CWE-331).

        Raises:
            ValueError: The source gave fewer or more, or something else.
        """
        drawn = self.random_bytes(length)
        if not isinstance(drawn, bytes) or len(drawn) != length:
            drawn = b""  # no traceback with locals shows what a secret might have been
            raise ValueError(f"random_bytes must return exactly the {length} bytes asked for")
        return drawn

    def draw_for(
        self, draws: Draws, policy: Policy, user_id: str
    ) -> FreshSetup | FreshRecovery | None:
        """Draw what a verb needs, and seal the secret of a setup at once.

        Sealed here and not at the write, no state ever holds a secret in clear, and a retry does
        not seal again.
        """
        if draws == "nothing":
            return None
        if draws == "recovery":
            salt = self.draw(SALT_BYTES)
            codes = FreshCodes(self.draw(CODE_BYTES * policy.recovery_codes))
            return FreshRecovery(salt=salt, codes=codes)
        setup_id = SetupId.from_bytes(self.draw(_SETUP_ID_BYTES))
        authenticator_id = self.draw(_AUTHENTICATOR_ID_BYTES).hex()
        secret = Secret(self.draw(SECRET_BYTES[policy.algorithm]))
        return FreshSetup(
            setup_id=setup_id,
            authenticator_id=authenticator_id,
            secret=secret,
            sealed=self.seal(secret, user_id, authenticator_id),
        )

    def seal(
        self, secret: Secret, user_id: str, authenticator_id: str
    ) -> Sealed | UnreadableSecretError:
        """Seal a secret for one authenticator of one user, or return why it cannot be."""
        # Bound to both: a ciphertext that is copied to another row does not open there (CWE-345).
        context = seal_context(user_id, authenticator_id)
        try:
            sealed = self.cipher.seal(secret.reveal(), context=context)
        except Exception as cause:  # noqa: BLE001  # whatever a cipher raises, it did not seal
            return _unreadable(cause)
        # A str or None would be stored, and found out when the owner's phone is needed.
        if not isinstance(sealed, bytes) or not sealed:
            return _unreadable(TypeError("seal returned no bytes"))
        return Sealed(sealed)

    def open(self, sealed: Sealed, user_id: str, authenticator_id: str) -> Opened:
        """Open a sealed secret, or return why it cannot be."""
        context = seal_context(user_id, authenticator_id)
        try:
            opened = self.cipher.open(sealed.reveal(), context=context)
            # memoryview refuses an int, of which bytes() would make that many zeros: a known key.
            return Secret(bytes(memoryview(opened)), allow_short=True)
        except Exception as cause:  # noqa: BLE001  # whatever a cipher raises, it did not open
            return _unreadable(cause)

    def open_all(
        self, sealed: Iterable[tuple[str, Sealed]], user_id: str, *, stale_only: bool
    ) -> dict[str, Opened]:
        """Open secrets by authenticator id; of all, or of those that another key sealed.

        Args:
            sealed: (authenticator id, sealed secret) of each.
            user_id: Whose they are.
            stale_only: Maintenance opens no secret that it will not seal again.
        """
        opened: dict[str, Opened] = {}
        for authenticator_id, secret in sealed:
            if stale_only:
                stale = self.needs_reseal(secret)
                if isinstance(stale, UnreadableSecretError):
                    # Of this one the cipher cannot even say it; the others must not wait for it.
                    opened[authenticator_id] = stale
                if stale is not True:
                    continue
            opened[authenticator_id] = self.open(secret, user_id, authenticator_id)
        return opened

    def needs_reseal(self, sealed: Sealed) -> bool | UnreadableSecretError:
        """Ask the cipher whether it would use another key by now, or return why it cannot say."""
        try:
            return bool(self.cipher.needs_reseal(sealed.reveal()))
        except Exception as cause:  # noqa: BLE001  # whatever a cipher raises, it did not say
            return _unreadable(cause)

    def reseal(
        self,
        state: EnrollmentState,
        sealed: Iterable[tuple[str, Sealed]],
        opened: Mapping[str, Opened],
        user_id: str,
    ) -> tuple[EnrollmentState, UnreadableSecretError | None]:
        """Seal again what was opened and is stale.

        Returns:
            The state with the new seals, and the first failure: it must not fail a login, of
            which resealing is a side job, but maintenance has nothing else to do.
        """
        newly: dict[str, Sealed] = {}
        failure: UnreadableSecretError | None = None
        for authenticator_id, old in sealed:
            secret = opened.get(authenticator_id)
            if not isinstance(secret, Secret):
                continue
            stale = self.needs_reseal(old)
            new = self._seal_again(secret, user_id, authenticator_id) if stale is True else stale
            if isinstance(new, Sealed):
                newly[authenticator_id] = new
            elif isinstance(new, UnreadableSecretError):
                failure = failure or new
        return reseal_with(state, newly) if newly else state, failure

    def _seal_again(
        self, secret: Secret, user_id: str, authenticator_id: str
    ) -> Sealed | UnreadableSecretError:
        """Seal what is stored nowhere else; what does not open again must not take its place."""
        sealed = self.seal(secret, user_id, authenticator_id)
        if isinstance(sealed, UnreadableSecretError):
            return sealed
        opened = self.open(sealed, user_id, authenticator_id)
        if isinstance(opened, UnreadableSecretError):
            return opened
        return sealed if opened == secret else UnreadableSecretError()

    def key_id_of(self, sealed: Sealed) -> str | None:
        """Ask the cipher which key a secret needs, if it is one that can say.

        For the report of ``reseal`` alone, so that a cipher which fails here fails nothing.
        """
        if not isinstance(self.cipher, KeyNamingCipher):
            return None
        try:
            return self.cipher.key_id_of(sealed.reveal())
        except Exception:  # noqa: BLE001  # whatever a cipher raises, it did not say
            return None


def _unreadable(cause: Exception) -> UnreadableSecretError:
    """Return the error with its cause, which keeps no frame: one of them holds the secret."""
    error = UnreadableSecretError()
    error.__cause__ = cause
    chain: list[BaseException | None] = [cause]
    seen: set[int] = set()
    while chain:
        # A wrapper of a key service raises one exception from another, or a group of them.
        if (link := chain.pop()) is None or id(link) in seen:
            continue
        seen.add(id(link))
        link.__traceback__ = None
        chain += (link.__cause__, link.__context__, *getattr(link, "exceptions", ()))
    return error
