"""Which entries of a catalogue describe a refusal, an event or a warning, and what fills them.

Each class that carries facts has a function here; any other is described by its code alone. What
a fact does to a sentence is decided here once, and not in each catalogue: a language has the same
entries as English, and the tests can see that none is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import singledispatch
from typing import Final

from otp_enroll import errors, events
from otp_enroll.core.states import DEFAULT_NAME
from otp_enroll.messages.catalogue import Value
from otp_enroll.provisioning.uri import ProvisioningWarning

# A notice says what to do if it was somebody else (SP 800-63B-4 §4.6).
_STRANGER_HAS_MORE: Final = (
    events.SetupBegun,
    events.SetupResumed,
    events.SetupCancelled,
    events.AuthenticatorConfirmed,
    events.AuthenticatorReplaced,
    events.AuthenticatorRemoved,
    events.AuthenticatorRenamed,
    events.CodeVerified,
    events.RecoveryCodesIssued,
    events.RecoveryCodeUsed,
    events.OverrideUsed,
    events.EnrollmentDisabled,
    events.EnrollmentErased,
)
"""A stranger who did these has a session or a code: the help desk must know."""

_STRANGER_HAS_THE_PASSWORD: Final = (
    events.SetupExhausted,
    events.CodeRejected,
    events.CodeReused,
    events.Throttled,
    events.ManyFailures,
    events.Locked,
)
"""A stranger who did these came past the password, after which alone an app asks for a code."""

_UNFIT_PROOF: Final = {
    "used": "proof_required.used",
    "replaced": "proof_required.replaced",
    "too old": "proof_required.too_old",
    "other user": "proof_required.other_user",
    "other purpose": "proof_required.other_purpose",
    "recovery code": "proof_required.recovery_code",
}
"""By the reason of the error; without a proof, none of them."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One entry of a catalogue, and what fills it, in no language yet.

    Attributes:
        code: Its code.
        n: What it counts, if it has plural forms.
        values: What fills it; a datetime becomes when, and a timedelta a length of time.
    """

    code: str
    n: int | None = None
    values: Mapping[str, Value | timedelta | datetime] = field(default_factory=dict[str, Value])


def describe_error(error: errors.EnrollmentError, code: str) -> Iterator[Sentence]:
    """Say what was refused or failed, and when the next try is.

    SP 800-63B-4 §8.1 asks for both: the tries that are left, and how long the wait is.

    Args:
        error: What the library raised.
        code: The code under which the catalogue has a text for it.
    """
    yield _first(error, code)
    if error.attempts_left:
        yield Sentence("attempts_left", error.attempts_left)
    elif error.retry_at is not None:
        yield Sentence("retry_at", values={"when": error.retry_at})


def describe_event(event: events.Event, code: str) -> Iterator[Sentence]:
    """Say to the owner what happened.

    Args:
        event: What happened.
        code: The code under which the catalogue has a text for it.
    """
    yield _first(event, code)
    names: tuple[str, ...] = (event.authenticator or DEFAULT_NAME,)
    if isinstance(event, events.EnrollmentDisabled):
        names = event.names
    # The default name was chosen by nobody, so it says nothing.
    if chosen := tuple(name for name in names if name != DEFAULT_NAME):
        yield Sentence("authenticators", len(chosen), {"names": chosen})


def advise_on_stranger(event: events.Event) -> Iterator[Sentence]:
    """Say to the owner what to do if it was a stranger.

    Nothing for what no stranger gains by, such as an expired setup: advice that stands under
    every message is read under none.
    """
    if isinstance(event, _STRANGER_HAS_MORE):
        yield Sentence("not_you")
    if isinstance(event, _STRANGER_HAS_THE_PASSWORD):
        yield Sentence("not_you.password")


def describe_warning(warning: ProvisioningWarning, apps: tuple[str, ...]) -> Iterator[Sentence]:
    """Say what may go wrong, and in which apps as far as they are known.

    Args:
        warning: What ``Setup.warnings`` holds.
        apps: The names of the apps, in the language.
    """
    yield Sentence(warning.code)
    if apps:
        yield Sentence("apps", values={"apps": apps})


@singledispatch
def _first(about: errors.EnrollmentError | events.Event, code: str) -> Sentence:  # noqa: ARG001  # its class chooses
    return Sentence(code)


@_first.register
def _proof_required(error: errors.ProofRequiredError, code: str) -> Sentence:
    return Sentence(_UNFIT_PROOF.get(error.reason, code))


# With the names, since the user is asked to choose one of them.
@_first.register
def _ambiguous(error: errors.AmbiguousAuthenticatorError, code: str) -> Sentence:
    return Sentence(code, values={"names": error.names})


@_first.register
def _name_taken(error: errors.NameTakenError, code: str) -> Sentence:
    return Sentence(code, values={"names": error.names})


@_first.register
def _backup_required(error: errors.BackupRequiredError, code: str) -> Sentence:
    return Sentence("backup_required.checked" if error.needed == "checked" else code)


@_first.register
def _malformed(error: errors.MalformedCodeError, code: str) -> Sentence:
    # What was asked for is named: "invalid code" sends people who mistyped a recovery code back
    # to their phone.
    if error.nearly:
        return Sentence("malformed_code.nearly")
    if error.expected in {"recovery_code", "key"}:
        return Sentence(f"malformed_code.{error.expected}")
    if error.digits is None:
        return Sentence("malformed_code.any")
    return Sentence("malformed_code.either" if error.expected == "either" else code, error.digits)


@_first.register
def _code_reused(error: errors.CodeReusedError, code: str) -> Sentence:
    return Sentence("code_reused.recovery_code" if error.method == "recovery_code" else code)


@_first.register
def _wrong(error: errors.WrongCodeError, code: str) -> Sentence:
    # One sentence whatever the reason: which of code, secret and window was wrong is what a
    # guesser would like to know (ASVS 6.3.8).
    if error.method == "recovery_code":
        return Sentence("wrong_code.recovery_code")
    if error.attempts_left == 0:
        return Sentence("wrong_code.wait" if error.retry_at else "wrong_code.last")
    return Sentence(code)


@_first.register
def _clock_skew(error: errors.ClockSkewError, code: str) -> Sentence:
    if error.skew_seconds == 0:
        return Sentence(code)
    direction = "ahead" if error.skew_seconds > 0 else "behind"
    skew = timedelta(seconds=abs(error.skew_seconds))
    return Sentence(f"clock_skew.{direction}", values={"skew": skew})


@_first.register
def _too_many(error: errors.TooManyAttemptsError, code: str) -> Sentence:
    is_of_recovery_codes = error.method == "recovery_code"
    return Sentence("too_many_attempts.recovery_code" if is_of_recovery_codes else code)


@_first.register
def _locked(error: errors.LockedError, code: str) -> Sentence:
    # A lock has a way out, and a page that does not name it sends its users to the help desk.
    left = error.recovery_codes_left
    return Sentence(code, left) if left else Sentence("locked.none_left")


@_first.register
def _begun(event: events.SetupBegun, code: str) -> Sentence:
    # The owner of a confirmed account must read that the old app goes on working meanwhile.
    return Sentence("setup_begun.replaces" if event.replaces else code)


@_first.register
def _copy_checked(event: events.KeyCopyChecked, code: str) -> Sentence:
    return Sentence(code if event.matches else "key_copy_checked.differs")


@_first.register
def _confirmed(event: events.AuthenticatorConfirmed, code: str) -> Sentence:
    return Sentence(code if event.first else "authenticator_confirmed.further")


@_first.register
def _renamed(event: events.AuthenticatorRenamed, code: str) -> Sentence:
    if event.old_name == DEFAULT_NAME:
        return Sentence("authenticator_renamed.first_name")
    return Sentence(code, values={"old_name": event.old_name})


@_first.register
def _rejected(event: events.CodeRejected, code: str) -> Sentence:
    return Sentence("code_rejected.recovery_code" if event.method == "recovery_code" else code)


@_first.register
def _reused(event: events.CodeReused, code: str) -> Sentence:
    return Sentence("code_reused.recovery_code" if event.method == "recovery_code" else code)


@_first.register
def _throttled(event: events.Throttled, code: str) -> Sentence:
    # No clock opens a lock, so there is no time to name.
    if event.retry_at is None:
        return Sentence("throttled.locked")
    return Sentence(code, values={"when": event.retry_at})


@_first.register
def _failures(event: events.ManyFailures, code: str) -> Sentence:
    return Sentence(code, event.failures)


@_first.register
def _issued(event: events.RecoveryCodesIssued, code: str) -> Sentence:
    return Sentence(code, event.count)


@_first.register
def _used(event: events.RecoveryCodeUsed, code: str) -> Sentence:
    return Sentence(code, event.left) if event.left else Sentence("recovery_code_used.none_left")


@_first.register
def _low(event: events.RecoveryCodesLow, code: str) -> Sentence:
    return Sentence(code, event.left) if event.left else Sentence("recovery_codes_low.none_left")
