"""The tree of refusals and failures: what each is and carries, as values too, and never shows."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from otp_enroll import errors
from otp_enroll.errors import EnrollmentError

AT = datetime(2027, 1, 15, 8, 0, tzinfo=timezone.utc)

TREE: dict[str, dict[str, Any]] = {
    "RefusalError": {
        "InvalidTransitionError": {
            "NotEnrolledError": {},
            "NotPendingError": {},
            "ProofRequiredError": {},
            "AmbiguousAuthenticatorError": {},
            "NameTakenError": {},
            "UnknownAuthenticatorError": {},
            "TooManyAuthenticatorsError": {},
            "BackupRequiredError": {},
        },
        "SetupError": {
            "SetupExpiredError": {},
            "SetupSupersededError": {},
            "SetupExhaustedError": {},
        },
        "CodeRejectedError": {
            "MalformedCodeError": {},
            "CodeReusedError": {},
            "WrongCodeError": {"ClockSkewError": {}, "AppIgnoresParametersError": {}},
        },
        "TooManyAttemptsError": {},
        "LockedError": {},
        "StoreContentionError": {},
    },
    "FailureError": {
        "StorageError": {
            "AdapterError": {},
            "RecordTooNewError": {},
            "CorruptRecordError": {},
            "EnrollmentMissingError": {},
        },
        "TransitionBrokenError": {},
        "UnreadableSecretError": {},
        "ServerClockError": {},
    },
}

CODES = {
    "EnrollmentError": "enrollment_error",
    "RefusalError": "refused",
    "FailureError": "failure",
    "InvalidTransitionError": "invalid_transition",
    "NotEnrolledError": "not_enrolled",
    "NotPendingError": "not_pending",
    "ProofRequiredError": "proof_required",
    "AmbiguousAuthenticatorError": "ambiguous_authenticator",
    "NameTakenError": "name_taken",
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
    "StoreContentionError": "store_contention",
    "StorageError": "storage",
    "AdapterError": "adapter",
    "RecordTooNewError": "record_too_new",
    "CorruptRecordError": "corrupt_record",
    "EnrollmentMissingError": "enrollment_missing",
    "TransitionBrokenError": "transition_broken",
    "UnreadableSecretError": "unreadable_secret",
    "ServerClockError": "server_clock",
}
"""Message catalogues of apps use these words: none may ever change."""

STATUSES = {
    403: {
        "RefusalError", "ProofRequiredError", "CodeRejectedError", "MalformedCodeError",
        "CodeReusedError", "WrongCodeError", "ClockSkewError", "AppIgnoresParametersError",
        "LockedError",
    },
    409: {
        "InvalidTransitionError", "NotEnrolledError", "NotPendingError", "NameTakenError",
        "AmbiguousAuthenticatorError", "UnknownAuthenticatorError", "TooManyAuthenticatorsError",
        "BackupRequiredError", "SetupError", "SetupExpiredError", "SetupSupersededError",
        "SetupExhaustedError",
    },
    429: {"TooManyAttemptsError"},
    500: {
        "EnrollmentError", "FailureError", "StorageError", "AdapterError", "RecordTooNewError",
        "CorruptRecordError", "EnrollmentMissingError", "TransitionBrokenError",
        "UnreadableSecretError", "ServerClockError",
    },
    503: {"StoreContentionError"},
}  # fmt: skip
"""The status of an answer over HTTP, and which errors have it."""

FACTS: dict[str, dict[str, Any]] = {
    "ProofRequiredError": {"reason": "other purpose"},
    "AmbiguousAuthenticatorError": {"names": ("Sara's phone", "tablet")},
    "NameTakenError": {"names": ("Sara's phone", "تبلت")},
    "BackupRequiredError": {"needed": "checked"},
    "MalformedCodeError": {"expected": "either", "digits": 8, "nearly": True},
    "CodeReusedError": {"method": "recovery_code"},
    "WrongCodeError": {"method": "recovery_code", "attempts_left": 3, "retry_at": AT},
    "ClockSkewError": {"skew_seconds": -120, "attempts_left": 9},
    "AppIgnoresParametersError": {"attempts_left": 9},
    "TooManyAttemptsError": {"method": "code", "retry_at": AT},
    "LockedError": {"recovery_codes_left": 7},
    "StoreContentionError": {"retry_at": AT},
    "AdapterError": {"fault": "save answered with a str"},
    "RecordTooNewError": {"min_reader": 9},
    "CorruptRecordError": {"fault": "setup: no object"},
    "TransitionBrokenError": {"verb": "cancel", "phase": "PENDING"},
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


@pytest.mark.requirement("R-103")
def test_refusals_and_failures_are_told_apart() -> None:
    """Every error but the root is a refusal for the page, or a failure for whoever runs the app."""
    for kind in every_kind():
        if kind is not EnrollmentError:
            refusal = issubclass(kind, errors.RefusalError)
            assert refusal != issubclass(kind, errors.FailureError), kind


@pytest.mark.requirement("R-103")
def test_each_error_has_its_status_for_http() -> None:
    """A page may answer with the status of whatever it caught; a failure is always a 500."""
    found: dict[int, set[str]] = {}
    for kind in every_kind():
        found.setdefault(kind.http_status, set()).add(kind.__name__)
        assert made(kind).http_status == kind.http_status
    assert found == STATUSES


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
    assert str(error).startswith(kind.message)
    assert kind.message[0].islower()
    assert not kind.message.endswith(".")
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
    """No proof was given, and a code is a code, unless it is said otherwise."""
    assert errors.ProofRequiredError().reason == "none"
    assert vars(errors.MalformedCodeError()) == {
        "expected": "code",
        "digits": None,
        "nearly": False,
    }
    assert errors.CodeReusedError().method == "code"
    assert errors.WrongCodeError().method == "code"
    assert errors.StoreContentionError().retry_at is None


@pytest.mark.requirement("R-06", "R-95")
@of_every_kind
def test_no_message_shows_a_fact(kind: type[EnrollmentError]) -> None:
    """Messages reach logs: names, counts and times stay in the attributes."""
    error = made(kind)

    if kind.__name__ in PRINTED:
        assert str(error) == f"{kind.message}: {FACTS[kind.__name__]['fault']}"
    else:
        assert str(error) == kind.message
        assert repr(error) == f"{kind.__name__}({kind.message!r})"


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


# --- refusals as JSON values ---

REFUSALS = [kind for kind in every_kind() if issubclass(kind, errors.RefusalError)]
FAILURES = [kind for kind in every_kind() if not issubclass(kind, errors.RefusalError)]
of_every_refusal = pytest.mark.parametrize("kind", REFUSALS, ids=lambda kind: kind.__name__)


def variants(kind: type[errors.RefusalError]) -> Iterator[errors.RefusalError]:
    """Make a refusal with all its facts, and with none of those that may be left out."""
    facts = FACTS.get(kind.__name__, {})
    yield kind(**facts)
    parameters = inspect.signature(kind).parameters.values()
    yield kind(**{one.name: facts[one.name] for one in parameters if one.default is one.empty})


def through_json(value: object) -> Any:
    return json.loads(json.dumps(value))


@of_every_refusal
def test_a_refusal_comes_back_from_json(kind: type[errors.RefusalError]) -> None:
    """What to_dict returns passes through JSON, and from_dict makes an equal refusal of it."""
    for error in variants(kind):
        stored = error.to_dict()
        parameters = inspect.signature(kind).parameters
        assert set(stored) == {"code", *parameters}
        assert stored["code"] == kind.code
        back = errors.RefusalError.from_dict(through_json(stored))
        assert type(back) is kind
        assert (str(back), vars(back)) == (str(error), vars(error))
        assert kind.from_dict(stored).to_dict() == stored


def test_a_refusal_is_these_json_values() -> None:
    """Times are ISO 8601 with their offset, names a list, and what is not there is null."""
    wrong = errors.WrongCodeError("code", 3, AT)
    assert wrong.to_dict() == {
        "code": "wrong_code",
        "method": "code",
        "attempts_left": 3,
        "retry_at": "2027-01-15T08:00:00+00:00",
    }
    assert errors.WrongCodeError().to_dict()["retry_at"] is None
    assert errors.NameTakenError(("a", "b")).to_dict() == {
        "code": "name_taken",
        "names": ["a", "b"],
    }
    assert errors.NotPendingError().to_dict() == {"code": "not_pending"}


@pytest.mark.parametrize("written", ["2027-01-15T08:00:00Z", "2027-01-15T09:30:00+01:30"])
def test_a_time_may_be_written_otherwise(written: str) -> None:
    """JavaScript writes a Z, and another server its own offset: the time is the same."""
    stored = {"code": "too_many_attempts", "method": "code", "retry_at": written}
    assert errors.RefusalError.from_dict(stored).retry_at == AT


def test_facts_of_a_newer_version_are_ignored() -> None:
    """A refusal that a newer version stored is read, without what it says in addition."""
    stored = errors.LockedError(2).to_dict() | {"new": [1]}
    assert vars(errors.RefusalError.from_dict(stored)) == {"recovery_codes_left": 2}


WRONG_FACTS: dict[str, list[object]] = {
    "str": [7, True, ["never shown"], {"never shown": 1}],
    "int": ["never shown", True, 7.5, ["never shown"]],
    "bool": ["never shown", 0, 1],
    "datetime": ["never shown", 1_800_000_000, "2027-01-15T08:00:00", "2027-13-01T00:00:00+00:00"],
    "tuple[str, ...]": ["never shown", 7, ["never shown", 7], {"never shown": 1}],
}
"""Values that a fact of a type cannot have; a time without an offset is none."""


@of_every_refusal
def test_a_refusal_with_a_wrong_fact_is_refused(kind: type[errors.RefusalError]) -> None:
    """A fact that is missing or of another type is a ValueError, which names it and shows none."""
    for name, parameter in inspect.signature(kind).parameters.items():
        spelt = str(parameter.annotation)
        stored = made(kind).to_dict()  # type: ignore[attr-defined]  # a refusal
        wrong: list[object] = list(WRONG_FACTS[spelt.removesuffix(" | None")])
        without = {key: value for key, value in stored.items() if key != name}
        if spelt.endswith(" | None"):
            assert getattr(errors.RefusalError.from_dict(without), name) is None
        else:
            assert_refused(without, f"a refusal has no {name} that could be one")
            wrong.append(None)
        for value in wrong:
            assert_refused(stored | {name: value}, f"a refusal has no {name} that could be one")


def assert_refused(stored: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^a refusal has no") as caught:
        errors.RefusalError.from_dict(stored)
    assert str(caught.value) == sentence
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    "code", ["never shown", "", None, 7, ["wrong_code"], *(kind.code for kind in FAILURES)], ids=str
)
def test_an_unknown_code_is_refused(code: object) -> None:
    """No refusal has that code, or it is that of a failure, which no page shows: a ValueError."""
    assert_refused({"code": code, "method": "code"}, "a refusal has no code that is known here")
    assert_refused({"method": "code"}, "a refusal has no code that is known here")


@pytest.mark.parametrize("data", [None, "never shown", 7, ["code", "locked"], b"{}"], ids=repr)
def test_what_is_no_mapping_is_refused(data: object) -> None:
    """Anything but a mapping is a TypeError, and is not shown."""
    with pytest.raises(TypeError) as caught:
        errors.RefusalError.from_dict(data)
    assert str(caught.value) == "a refusal must be a mapping"


@pytest.mark.parametrize("kind", FAILURES, ids=lambda kind: kind.__name__)
def test_a_failure_is_not_kept_for_a_page(kind: type[EnrollmentError]) -> None:
    """A failure goes on to the handler of the app's 500s: it has no to_dict, nor has the root."""
    for name in ("to_dict", "from_dict"):
        assert not hasattr(kind, name)


def test_a_refusal_of_the_apps_own_comes_back_too() -> None:
    """An app's class with a code of its own is found by it; one without a code is not guessed."""

    class ClosedError(errors.RefusalError):
        code = "shop_closed"

        def __init__(self, until: datetime) -> None:
            super().__init__()
            self.until = until

    class NamelessError(errors.RefusalError):
        pass

    back = errors.RefusalError.from_dict(through_json(ClosedError(AT).to_dict()))
    assert isinstance(back, ClosedError)
    assert back.until == AT
    assert type(errors.RefusalError.from_dict(NamelessError().to_dict())) is errors.RefusalError
    assert_refused({"code": None}, "a refusal has no code that is known here")
