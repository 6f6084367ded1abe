"""Every refusal and failure that the library raises, as a tree by what the caller does next.

A refusal raises, so that a forgotten ``if`` can never let anyone in. Each error carries facts
and a stable ``code`` for message catalogues; none carries a secret or what somebody typed.
A caller's own mistake (a wrong type, an impossible name) is a ``TypeError`` or ``ValueError``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

__all__ = [
    "AdapterError",
    "AmbiguousAuthenticatorError",
    "AppIgnoresParametersError",
    "BackupRequiredError",
    "ClockSkewError",
    "CodeRejectedError",
    "CodeReusedError",
    "CorruptRecordError",
    "EnrollmentError",
    "InvalidTransitionError",
    "LockedError",
    "MalformedCodeError",
    "NotEnrolledError",
    "NotPendingError",
    "ProofRequiredError",
    "RecordTooNewError",
    "ServerClockError",
    "SetupError",
    "SetupExhaustedError",
    "SetupExpiredError",
    "SetupSupersededError",
    "StorageError",
    "StoreContentionError",
    "TooManyAttemptsError",
    "TooManyAuthenticatorsError",
    "UnknownAuthenticatorError",
    "UnreadableSecretError",
    "WrongCodeError",
]


class EnrollmentError(Exception):
    """The root: catch it to handle every refusal and failure in one place.

    Attributes:
        code: The error's name in message catalogues; it never changes.
        retry_at: When the next attempt will be judged, or ``None`` where waiting does not help.
        attempts_left: Wrong codes that will still be judged without a wait, or ``None`` where
            nothing was counted.
    """

    code: ClassVar[str] = "enrollment_error"
    sentence: ClassVar[str] = "the request was refused"
    retry_at: datetime | None = None
    attempts_left: int | None = None

    def __init__(self) -> None:
        super().__init__(self.sentence)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the facts when an error crosses a process boundary."""
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[EnrollmentError], args: tuple[object, ...], facts: dict[str, object]
) -> EnrollmentError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class InvalidTransitionError(EnrollmentError):
    """The account is not in a state that allows the request."""

    code = "invalid_transition"
    sentence = "the account's state does not allow this"


class NotEnrolledError(InvalidTransitionError):
    """The account has no confirmed authenticator, so there is nothing to judge or to prove."""

    code = "not_enrolled"
    sentence = "the account has no confirmed authenticator"


class NotPendingError(InvalidTransitionError):
    """No setup is under way: begin one."""

    code = "not_pending"
    sentence = "no setup is under way"


class ProofRequiredError(InvalidTransitionError):
    """A confirmed account is changed only with a proof.

    Attributes:
        reason: ``"missing"``, or what is wrong with the ``Verification`` that was passed:
            ``"other user"``, ``"other purpose"``, ``"too old"``, ``"recovery code"``.
    """

    code = "proof_required"
    sentence = "this change needs a proof"

    def __init__(self, reason: str = "missing") -> None:
        super().__init__()
        self.reason = reason


class AmbiguousAuthenticatorError(InvalidTransitionError):
    """Several authenticators could be meant, or would bear one name.

    Attributes:
        names: The names that the account's authenticators have.
    """

    code = "ambiguous_authenticator"
    sentence = "name one authenticator, by a name that no other has"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names


class UnknownAuthenticatorError(InvalidTransitionError):
    """The account has no authenticator of that name."""

    code = "unknown_authenticator"
    sentence = "the account has no authenticator of that name"


class TooManyAuthenticatorsError(InvalidTransitionError):
    """The account has as many authenticators as the policy allows; remove or replace one."""

    code = "too_many_authenticators"
    sentence = "the account has as many authenticators as are allowed"


class BackupRequiredError(InvalidTransitionError):
    """The policy wants the backup acknowledged, or checked, before the setup is confirmed.

    Attributes:
        needed: ``"acknowledged"`` or ``"checked"``, the policy's word.
    """

    code = "backup_required"
    sentence = "the backup of the key comes before the confirmation"

    def __init__(self, needed: str) -> None:
        super().__init__()
        self.needed = needed


class SetupError(EnrollmentError):
    """The setup that the request names is not live: begin anew."""

    code = "setup_error"
    sentence = "the setup is not live"


class SetupExpiredError(SetupError):
    """The setup's time is over."""

    code = "setup_expired"
    sentence = "the setup has expired"


class SetupSupersededError(SetupError):
    """The setup id is not that of the live setup: another page or request began a newer one."""

    code = "setup_superseded"
    sentence = "another setup has taken this one's place"


class SetupExhaustedError(SetupError):
    """The last wrong code that a setup bears was typed, and the setup is dropped."""

    code = "setup_exhausted"
    sentence = "too many wrong codes: the setup was dropped"


class CodeRejectedError(EnrollmentError):
    """The code was not accepted."""

    code = "code_rejected"
    sentence = "the code was not accepted"


class MalformedCodeError(CodeRejectedError):
    """The text cannot be a code of the kind asked for; it was compared with nothing, at no cost.

    Attributes:
        expected_digits: How many digits a code has, or ``None`` where no digits are asked for: a
            recovery code alone, or a copy of the key.
    """

    code = "malformed_code"
    sentence = "the text is not a code"

    def __init__(self, expected_digits: int | None = 6) -> None:
        super().__init__()
        self.expected_digits = expected_digits


class CodeReusedError(CodeRejectedError):
    """The code was right once and is spent; the next one will do, and nothing was counted."""

    code = "code_reused"
    sentence = "the code was used before"


class WrongCodeError(CodeRejectedError):
    """The code is wrong, and that is recorded.

    Attributes:
        method: ``"code"`` or ``"recovery_code"``: whose budget was charged.
    """

    code = "wrong_code"
    sentence = "the code is wrong"

    def __init__(
        self,
        method: str = "code",
        attempts_left: int | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__()
        self.method = method
        self.attempts_left = attempts_left
        self.retry_at = retry_at


class ClockSkewError(WrongCodeError):
    """At confirm only: the code belongs to another time, so a clock is off.

    Attributes:
        skew_seconds: How far the phone is from the server; negative when it is behind.
    """

    code = "clock_skew"
    sentence = "the code belongs to another time: a clock is off"

    def __init__(self, skew_seconds: int, attempts_left: int | None = None) -> None:
        super().__init__(attempts_left=attempts_left)
        self.skew_seconds = skew_seconds


class AppIgnoresParametersError(WrongCodeError):
    """At confirm only: the app shows the code of other parameters than the URI told it."""

    code = "app_ignores_parameters"
    sentence = "the authenticator app ignores the parameters that it was given"

    def __init__(self, attempts_left: int | None = None) -> None:
        super().__init__(attempts_left=attempts_left)


class TooManyAttemptsError(EnrollmentError):
    """A wait is running: nothing was compared and nothing counted.

    Attributes:
        method: ``"code"`` or ``"recovery_code"``: whose wait it is. The other may be free.
    """

    code = "too_many_attempts"
    sentence = "too many wrong codes: wait"

    def __init__(self, method: str, retry_at: datetime) -> None:
        super().__init__()
        self.method = method
        self.retry_at: datetime | None = retry_at


class LockedError(EnrollmentError):
    """Codes are locked until an authenticator is set up anew; recovery codes still work.

    Attributes:
        recovery_codes_left: Unspent recovery codes. At 0 the app must vouch with an ``Override``.
    """

    code = "locked"
    sentence = "codes are locked until an authenticator is set up anew"

    def __init__(self, recovery_codes_left: int) -> None:
        super().__init__()
        self.recovery_codes_left = recovery_codes_left


class StorageError(EnrollmentError):
    """The store failed, so the outcome of a write is unknown; asking again ends well.

    The driver's own exception is the ``__cause__``; its text is not repeated here.
    """

    code = "storage"
    sentence = "the store failed"


class StoreContentionError(StorageError):
    """Others changed the account each time before this request could save: nothing was stored."""

    code = "store_contention"
    sentence = "too many requests change this account at once"


class AdapterError(StorageError):
    """The store broke its contract: it answered with something that the protocol does not know.

    Attributes:
        fault: Which call and what was wrong with its answer, without the answer.
    """

    code = "adapter"
    sentence = "the store broke its contract"

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.args: tuple[Any, ...] = (f"{self.sentence}: {fault}",)


class RecordTooNewError(StorageError):
    """A newer version of the library wrote the record, and says that this one must not read it.

    Attributes:
        min_reader: The lowest schema number that may read the record.
    """

    code = "record_too_new"
    sentence = "the record was written by a newer version"

    def __init__(self, min_reader: int) -> None:
        super().__init__()
        self.min_reader = min_reader


class CorruptRecordError(StorageError):
    """The stored record is not one that the library wrote.

    Attributes:
        fault: Where it is wrong and how, without its content.
    """

    code = "corrupt_record"
    sentence = "the stored record is damaged"

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.args: tuple[Any, ...] = (f"{self.sentence}: {fault}",)


class UnreadableSecretError(EnrollmentError):
    """The cipher cannot open a stored secret, or cannot seal a new one; nothing was compared."""

    code = "unreadable_secret"
    sentence = "the cipher cannot open or seal a secret"


class ServerClockError(EnrollmentError):
    """The server's clock is behind a code that was accepted before, or out of range.

    Nothing was compared (RFC 6238 §5.2: no code at or before the last accepted one).
    """

    code = "server_clock"
    sentence = "the server's clock is behind what is stored, or out of range"
