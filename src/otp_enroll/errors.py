"""Every refusal and failure that the library raises, as a tree by the person it is meant for.

A refusal is for the person at the page, a failure for the people who run the app: a page catches
``RefusalError``, and a failure goes on to the handler of the app's 500s. Both raise, so that a
forgotten ``if`` can never let anyone in (ASVS 16.5.3). Each error carries facts and a stable
``code`` for message catalogues; none carries a secret or what somebody typed. A caller's own
mistake (a wrong type, an impossible name) is a ``TypeError`` or ``ValueError``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from otp_enroll.json_values import Json, by_code, from_json, to_json, with_subclasses

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
    "EnrollmentMissingError",
    "FailureError",
    "InvalidTransitionError",
    "LockedError",
    "MalformedCodeError",
    "NameTakenError",
    "NotEnrolledError",
    "NotPendingError",
    "ProofRequiredError",
    "RecordTooNewError",
    "RefusalError",
    "ServerClockError",
    "SetupError",
    "SetupExhaustedError",
    "SetupExpiredError",
    "SetupSupersededError",
    "StorageError",
    "StoreContentionError",
    "TooManyAttemptsError",
    "TooManyAuthenticatorsError",
    "TransitionBrokenError",
    "UnknownAuthenticatorError",
    "UnreadableSecretError",
    "WrongCodeError",
]


class EnrollmentError(Exception):
    """The root of all refusals and failures.

    Attributes:
        code: The error's name in message catalogues; it never changes.
        message: What happened, in one English sentence without facts.
        http_status: The status of an answer that reports it (RFC 9110 §15).
        retry_at: When the next attempt will be judged, or ``None`` where waiting does not help.
        attempts_left: Wrong codes that will still be judged without a wait, or ``None`` where
            nothing was counted.
    """

    # Class attributes: an app's own subclass has them, and no call can forget one.
    code: ClassVar[str] = "enrollment_error"
    message: ClassVar[str] = "the request failed"
    http_status: ClassVar[int] = 500
    # On the root, so that a page reads them from any error, without asking which one it is.
    retry_at: datetime | None = None
    attempts_left: int | None = None

    def __init__(self) -> None:
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the facts when an error crosses a process boundary."""
        # An exception's own way calls the class with its args, which hold the sentence alone.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[EnrollmentError], args: tuple[object, ...], facts: dict[str, object]
) -> EnrollmentError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


class RefusalError(EnrollmentError):
    """The request was refused, and the person at the page should read why: catch this one.

    Nothing was changed, but for a wrong code, which was counted before this was raised.
    """

    code = "refused"
    message = "the request was refused"
    http_status = 403

    def to_dict(self) -> dict[str, Json]:
        """Return ``code`` and facts as JSON values, for a page to show after a redirect.

        Never a sentence: it would be in the language, and of the version, that was in force then.
        """
        facts = {name: to_json(getattr(self, name)) for name in _facts_of(type(self))}
        return {"code": self.code, **facts}

    @staticmethod
    def from_dict(data: object) -> RefusalError:
        """Return the refusal that ``to_dict`` described, of the class that ``code`` names.

        Raises:
            TypeError: Not a mapping.
            ValueError: No refusal has that code, or a fact is missing or of another type.
        """
        kind = by_code(with_subclasses(RefusalError), data, "a refusal")
        return kind(**from_json(_facts_of(kind), data, "a refusal"))


def _facts_of(kind: type[RefusalError]) -> dict[str, object]:
    """Return the names and type annotations of the facts, the constructor's arguments."""
    # Read from the constructor, so that a fact which is added is in to_dict without a second list.
    annotations: dict[str, object] = kind.__init__.__annotations__
    return {name: spelt for name, spelt in annotations.items() if name != "return"}


class FailureError(EnrollmentError):
    """Something is broken, and the people who run the app must hear of it.

    It was logged once, at ERROR. Let it pass to the handler of 500s: shown as a refusal, it would
    make people try other codes against a missing table.
    """

    code = "failure"
    message = "the request failed"


class InvalidTransitionError(RefusalError):
    """The account is not in a state that allows the request (ASVS 2.3.1)."""

    code = "invalid_transition"
    message = "the account's state does not allow this"
    http_status = 409  # the request was well-formed, and could succeed in another state


class NotEnrolledError(InvalidTransitionError):
    """The account has no confirmed authenticator, so there is nothing to judge or to prove.

    An error and no verdict: a ``verify`` that succeeds for people who never enrolled lets in the
    thief of a password. Ask ``status`` first, whose ``required`` says whether to ask for a code.
    """

    code = "not_enrolled"
    message = "the account has no confirmed authenticator"


class NotPendingError(InvalidTransitionError):
    """No setup is under way: begin one. It was confirmed, cancelled, purged, or never there."""

    code = "not_pending"
    message = "no setup is under way"


class ProofRequiredError(InvalidTransitionError):
    """A confirmed account is changed only with a proof: a session alone opens nothing (CWE-306).

    Attributes:
        reason: ``"none"`` where none was given, or what is wrong with the ``Verification``:
            ``"other user"``, ``"other purpose"``, ``"too old"``, ``"recovery code"``.
    """

    code = "proof_required"
    message = "this change needs a proof"
    http_status = 403  # the state allows it; this person has yet to prove something

    def __init__(self, reason: str = "none") -> None:
        super().__init__()
        self.reason = reason


class AmbiguousAuthenticatorError(InvalidTransitionError):
    """Several authenticators could be meant: name one.

    Attributes:
        names: The names that the account's authenticators have.
    """

    code = "ambiguous_authenticator"
    message = "several authenticators match: pass the name of one"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names


class NameTakenError(InvalidTransitionError):
    """Another authenticator of the account, or its staged setup, has that name.

    Attributes:
        names: The names that the account's authenticators have.
    """

    code = "name_taken"
    message = "another authenticator has that name"

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names


class UnknownAuthenticatorError(InvalidTransitionError):
    """The account has no authenticator of that name. No proof was judged, so none is spent."""

    code = "unknown_authenticator"
    message = "the account has no authenticator of that name"


class TooManyAuthenticatorsError(InvalidTransitionError):
    """The account has as many authenticators as the policy allows; remove or replace one.

    Each one multiplies a guesser's chance, since all their codes are good at once.
    """

    code = "too_many_authenticators"
    message = "the account has as many authenticators as are allowed"


class BackupRequiredError(InvalidTransitionError):
    """The policy wants the backup acknowledged, or checked, before the setup is confirmed.

    The code was not judged and costs nothing: it serves when the page is sent again.

    Attributes:
        needed: ``"acknowledged"`` or ``"checked"``, the policy's word.
    """

    code = "backup_required"
    message = "the backup of the key comes before the confirmation"

    def __init__(self, needed: str) -> None:
        super().__init__()
        self.needed = needed


class SetupError(RefusalError):
    """The setup that the request names is no longer valid: begin again."""

    code = "setup_error"
    message = "the setup is no longer valid"
    http_status = 409


class SetupExpiredError(SetupError):
    """The setup's time is over."""

    code = "setup_expired"
    message = "the setup has expired"


class SetupSupersededError(SetupError):
    """The setup id is not the live setup's: another page or request began a newer one.

    Whatever the code was: without this, a begin between scan and confirm would make a secret live
    that the owner never saw.
    """

    code = "setup_superseded"
    message = "a newer setup has replaced this one"


class SetupExhaustedError(SetupError):
    """The setup's last attempt was used up by a wrong code, and the setup was dropped.

    An authenticator that was confirmed before is untouched, and so is the account's budget.
    """

    code = "setup_exhausted"
    message = "too many wrong codes: the setup was dropped"


class CodeRejectedError(RefusalError):
    """The code was not accepted; the subclass says whether that was counted."""

    code = "code_rejected"
    message = "the code was not accepted"


class MalformedCodeError(CodeRejectedError):
    """The text cannot be what is asked for; it was compared with nothing, at no cost.

    Attributes:
        expected: ``"code"``, ``"recovery_code"``, ``"either"`` or ``"key"`` (a copy of the key).
        digits: How many digits a code has, or ``None`` where no code is asked for.
        nearly: Whether it is a recovery code but for one character too many or too few.
    """

    code = "malformed_code"
    message = "the text cannot be what is asked for"

    def __init__(
        self,
        expected: str = "code",
        digits: int | None = None,
        # A letter too many or too few deserves "look at the paper again", not "that is no code".
        nearly: bool = False,  # noqa: FBT001, FBT002  # the design's signature
    ) -> None:
        super().__init__()
        self.expected = expected
        self.digits = digits
        self.nearly = nearly


class CodeReusedError(CodeRejectedError):
    """The code was right once and is spent; the next one will do, and nothing was counted.

    SP 800-63B-4 §3.1.4.2 lets it be said. If it were counted, an old code that somebody saw would
    be enough to lock its owner out.

    Attributes:
        method: ``"code"`` or ``"recovery_code"``.
    """

    code = "code_reused"
    message = "the code was used before"

    def __init__(self, method: str = "code") -> None:
        super().__init__()
        self.method = method


class WrongCodeError(CodeRejectedError):
    """The code is wrong, and that is recorded.

    One error whatever the cause, at a login (ASVS 6.3.8): of another account, of a removed
    authenticator, or of an hour ago, a wrong code is a wrong code. Events have the causes.

    Attributes:
        method: ``"code"`` or ``"recovery_code"``: whose budget was charged.
    """

    code = "wrong_code"
    message = "the code is wrong"

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

    It was not accepted, and the setup is still pending. A login never says so: there the hint
    would help a guesser.

    Attributes:
        skew_seconds: How far the phone is from the server; negative when it is behind.
    """

    code = "clock_skew"
    message = "the code belongs to another time: a clock is off"

    def __init__(self, skew_seconds: int, attempts_left: int | None = None) -> None:
        super().__init__(attempts_left=attempts_left)
        self.skew_seconds = skew_seconds


class AppIgnoresParametersError(WrongCodeError):
    """At confirm only: the app ignored parameters of the URI, and shows codes of the usual ones.

    Another app, or the usual parameters, help; the same app never will.
    """

    code = "app_ignores_parameters"
    message = "the authenticator app ignores the parameters that it was given"

    def __init__(self, attempts_left: int | None = None) -> None:
        super().__init__(attempts_left=attempts_left)


class TooManyAttemptsError(RefusalError):
    """A wait is running: nothing was compared and nothing counted.

    Attributes:
        method: ``"code"`` or ``"recovery_code"``: whose wait it is. The other may be free.
    """

    code = "too_many_attempts"
    message = "too many wrong codes: wait"
    http_status = 429  # with retry_at as Retry-After (RFC 6585 §4)

    def __init__(self, method: str, retry_at: datetime) -> None:
        super().__init__()
        self.method = method
        self.retry_at: datetime | None = retry_at  # as the root declares it, never None here


class LockedError(RefusalError):
    """Codes are locked until an authenticator is set up again; recovery codes still work.

    SP 800-63B-4 §3.2.2. It has no ``retry_at``, because no clock opens the lock.

    Attributes:
        recovery_codes_left: Unspent recovery codes. At 0 the app must vouch with an ``Override``.
    """

    code = "locked"
    message = "codes are locked until an authenticator is set up again"

    def __init__(self, recovery_codes_left: int) -> None:
        super().__init__()
        self.recovery_codes_left = recovery_codes_left


class StoreContentionError(RefusalError):
    """Other requests were faster, again and again: nothing was judged, and nothing was changed.

    In a transaction of the app, catch it before ``RefusalError`` and repeat the transaction.
    """

    code = "store_contention"
    message = "too many requests are changing this account at once"
    http_status = 503  # the person did nothing wrong, and may try again in a second

    def __init__(self, retry_at: datetime | None = None) -> None:
        super().__init__()
        self.retry_at = retry_at


class StorageError(FailureError):
    """The store failed, so the outcome of a write is unknown; asking again ends well.

    It is never "not enrolled", and the library does not send the write again: if the first one
    landed, the second would find its own code spent. The driver's own exception is the
    ``__cause__``; its text is not repeated here.
    """

    code = "storage"
    message = "the store failed"


class AdapterError(StorageError):
    """The store broke its contract: it answered with something that the protocol does not know.

    Attributes:
        fault: Which call and what was wrong with its answer, without the answer.
    """

    code = "adapter"
    message = "the store broke its contract"

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        # For the log alone: message stays a sentence without facts, which catalogues translate.
        self.args: tuple[Any, ...] = (f"{self.message}: {fault}",)


class RecordTooNewError(StorageError):
    """A newer version of the library wrote the record, and says that this one must not read it.

    An old process that is still running during an upgrade would write it back without what it does
    not understand: a lock, or a counter.

    Attributes:
        min_reader: The lowest schema number that may read the record.
    """

    code = "record_too_new"
    message = "the record was written by a newer version"

    def __init__(self, min_reader: int) -> None:
        super().__init__()
        self.min_reader = min_reader


class CorruptRecordError(StorageError):
    """The stored record is not one that the library wrote.

    A part that is missing or odd is no default: read as one, a damaged row would switch OTP off.

    Attributes:
        fault: Where it is wrong and how, without its content.
    """

    code = "corrupt_record"
    message = "the stored record is damaged"

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        # The content may be a secret of an app that stores them unencrypted (CWE-532).
        self.args: tuple[Any, ...] = (f"{self.message}: {fault}",)


class EnrollmentMissingError(StorageError):
    """The app knows that the account is confirmed, and the store has no confirmed enrollment.

    A row was lost, or the store answers from somewhere else: find out before anyone is let in.
    """

    code = "enrollment_missing"
    message = "an enrollment that was confirmed is not in the store"


class TransitionBrokenError(FailureError):
    """A verb decided on a state that the table of transitions does not allow; nothing was saved.

    A mistake in the library. Please report it, with the two attributes.

    Attributes:
        verb: The row of the table.
        phase: The column that the account stood in.
    """

    code = "transition_broken"
    message = "a verb left the table of transitions"

    def __init__(self, verb: str, phase: str) -> None:
        super().__init__()
        self.verb = verb
        self.phase = phase


class UnreadableSecretError(FailureError):
    """The cipher cannot open a stored secret, or cannot seal a new one; nothing was compared.

    It is no verdict and costs no attempt. Recovery codes, an ``Override``, ``status`` and
    ``cancel`` open no secret, and work while the key is lost.
    """

    code = "unreadable_secret"
    message = "the cipher cannot open or seal a secret"


class ServerClockError(FailureError):
    """The server's clock is behind a code that was accepted before, or out of range.

    Nothing was compared (RFC 6238 §5.2: no code at or before the last accepted one). NTP is what
    mends it; people at the page can do nothing.
    """

    code = "server_clock"
    message = "the server's clock is behind what is stored, or out of range"
