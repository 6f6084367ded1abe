"""The tree of refusals: what each is, what it carries, and what none of them shows."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from otp_enroll import errors
from otp_enroll.errors import EnrollmentError

AT = datetime(2027, 1, 15, 8, 0, tzinfo=timezone.utc)

TREE: dict[str, dict[str, Any]] = {
    "InvalidTransitionError": {
        "NotEnrolledError": {},
        "NotPendingError": {},
        "ProofRequiredError": {},
        "AmbiguousAuthenticatorError": {},
        "UnknownAuthenticatorError": {},
        "TooManyAuthenticatorsError": {},
        "BackupRequiredError": {},
    },
    "SetupError": {"SetupExpiredError": {}, "SetupSupersededError": {}, "SetupExhaustedError": {}},
    "CodeRejectedError": {
        "MalformedCodeError": {},
        "CodeReusedError": {},
        "WrongCodeError": {"ClockSkewError": {}, "AppIgnoresParametersError": {}},
    },
    "TooManyAttemptsError": {},
    "LockedError": {},
    "StorageError": {
        "StoreContentionError": {},
        "AdapterError": {},
        "RecordTooNewError": {},
        "CorruptRecordError": {},
    },
    "UnreadableSecretError": {},
    "ServerClockError": {},
}

CODES = {
    "EnrollmentError": "enrollment_error",
    "InvalidTransitionError": "invalid_transition",
    "NotEnrolledError": "not_enrolled",
    "NotPendingError": "not_pending",
    "ProofRequiredError": "proof_required",
    "AmbiguousAuthenticatorError": "ambiguous_authenticator",
    "UnknownAuthenticatorError": "unknown_authenticator",
    "TooManyAuthenticatorsError": "too_many_authenticators",
    "BackupRequiredError": "backup_required",
    "SetupError": "setup_error",
    "SetupExpiredError": "setup_expired",
    "SetupSupersededError": "setup_superseded",
    "SetupExhaustedError": "setup_exhausted",
    "CodeRejectedError": "code_rejected",
    "MalformedCodeError": "malformed_code",
    "CodeReusedError": "code_reused",
    "WrongCodeError": "wrong_code",
    "ClockSkewError": "clock_skew",
    "AppIgnoresParametersError": "app_ignores_parameters",
    "TooManyAttemptsError": "too_many_attempts",
    "LockedError": "locked",
    "StorageError": "storage",
    "StoreContentionError": "store_contention",
    "AdapterError": "adapter",
    "RecordTooNewError": "record_too_new",
    "CorruptRecordError": "corrupt_record",
    "UnreadableSecretError": "unreadable_secret",
    "ServerClockError": "server_clock",
}
"""Message catalogues of apps use these words: none may ever change."""

FACTS: dict[str, dict[str, Any]] = {
    "ProofRequiredError": {"reason": "other purpose"},
    "AmbiguousAuthenticatorError": {"names": ("Sara's phone", "tablet")},
    "BackupRequiredError": {"needed": "checked"},
    "MalformedCodeError": {"expected_digits": 8},
    "WrongCodeError": {"method": "recovery_code", "attempts_left": 3, "retry_at": AT},
    "ClockSkewError": {"skew_seconds": -120, "attempts_left": 9},
    "AppIgnoresParametersError": {"attempts_left": 9},
    "TooManyAttemptsError": {"method": "code", "retry_at": AT},
    "LockedError": {"recovery_codes_left": 7},
    "AdapterError": {"fault": "save answered with a str"},
    "RecordTooNewError": {"min_reader": 9},
    "CorruptRecordError": {"fault": "setup: no object"},
}
"""What each error is built with, and carries; those that are not here carry nothing."""

PRINTED = {"AdapterError", "CorruptRecordError"}
"""Those whose message says what is wrong, in words that the library chose."""


def every_kind() -> Iterator[type[EnrollmentError]]:
    def below(kind: type[EnrollmentError]) -> Iterator[type[EnrollmentError]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    return (kind for kind in below(EnrollmentError) if kind.__module__ == errors.__name__)


def made(kind: type[EnrollmentError]) -> EnrollmentError:
    return kind(**FACTS.get(kind.__name__, {}))


of_every_kind = pytest.mark.parametrize("kind", [*every_kind()], ids=lambda kind: kind.__name__)


def test_the_tree_is_the_documented_one() -> None:
    """Each error stands where a handler of its parent expects it, and none is missing."""

    def tree_of(kind: type[EnrollmentError]) -> dict[str, Any]:
        return {
            child.__name__: tree_of(child)
            for child in kind.__subclasses__()
            if child.__module__ == errors.__name__
        }

    assert tree_of(EnrollmentError) == TREE
    assert issubclass(EnrollmentError, Exception)
    assert not issubclass(EnrollmentError, (ValueError, TypeError, OSError))


def test_the_module_exports_the_errors_and_nothing_else() -> None:
    """``__all__`` has each error, in order."""
    assert errors.__all__ == sorted(kind.__name__ for kind in every_kind())


@pytest.mark.requirement("R-97")
def test_codes_are_stable_and_unique() -> None:
    """The word in message catalogues belongs to one error and never changes."""
    assert {kind.__name__: kind.code for kind in every_kind()} == CODES
    assert len(set(CODES.values())) == len(CODES)


@of_every_kind
def test_one_handler_serves_all(kind: type[EnrollmentError]) -> None:
    """Each error has a code, a sentence, and ``retry_at`` and ``attempts_left`` to read."""
    error = made(kind)
    facts = FACTS.get(kind.__name__, {})

    assert error.retry_at == facts.get("retry_at")
    assert error.attempts_left == facts.get("attempts_left")
    assert str(error).startswith(kind.sentence)
    assert kind.sentence[0].islower()
    assert not kind.sentence.endswith(".")
    assert inspect.getdoc(kind)


@of_every_kind
def test_an_error_carries_its_facts(kind: type[EnrollmentError]) -> None:
    """What an error was built with can be read from it, and nothing else was kept."""
    error = made(kind)
    facts = FACTS.get(kind.__name__, {})

    assert {name: getattr(error, name) for name in facts} == facts
    if issubclass(kind, errors.WrongCodeError):
        assert {*error.__dict__} == {"method", "attempts_left", "retry_at", *facts}
    else:
        assert error.__dict__ == facts


def test_a_hint_at_confirm_is_about_a_code() -> None:
    """Clock and app are diagnosed for codes alone, and no wait follows."""
    for error in (errors.ClockSkewError(30), errors.AppIgnoresParametersError()):
        assert (error.method, error.attempts_left, error.retry_at) == ("code", None, None)


def test_facts_that_were_not_told_have_their_defaults() -> None:
    """A proof is missing, a code has six digits and is a code, unless it is said otherwise."""
    assert errors.ProofRequiredError().reason == "missing"
    assert errors.MalformedCodeError().digits == 6
    assert errors.WrongCodeError().method == "code"


@pytest.mark.requirement("R-06", "R-95")
@of_every_kind
def test_no_message_shows_a_fact(kind: type[EnrollmentError]) -> None:
    """Messages reach logs: names, counts and times stay in the attributes."""
    error = made(kind)

    if kind.__name__ in PRINTED:
        assert str(error) == f"{kind.sentence}: {FACTS[kind.__name__]['fault']}"
    else:
        assert str(error) == kind.sentence
        assert repr(error) == f"{kind.__name__}({kind.sentence!r})"


@of_every_kind
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_crosses_a_process_boundary(kind: type[EnrollmentError], protocol: int) -> None:
    """Pickled and read again, an error is of the same kind with the same facts and message."""
    error = made(kind)

    restored = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301  # our own bytes

    for same in (restored, copy.copy(error), copy.deepcopy(error)):
        assert type(same) is kind
        assert (str(same), same.__dict__) == (str(error), error.__dict__)
        assert same.retry_at == error.retry_at
        assert same is not error
