"""The numbers that an app may choose: the defaults, and what is refused when it is chosen."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from otp_enroll import STRICT, AttemptBudget, Parameters, Policy
from otp_enroll.core.recovery import CODE_BYTES
from otp_enroll.policy import SECRET_BYTES, SETUP_WRONG_CODES

REFUSED: dict[type[Any], dict[str, list[Any]]] = {
    Parameters: {
        "type": ["", "TOTP", "motp", None],
        "algorithm": ["", "MD5", "sha1", "SHA-1", "SHA224", None, b"SHA1"],
        "digits": [-6, 0, 5, 9, 10, True, 6.0, "6", None],
        "period": [-30, 0, 121, True, 30.0, "30", None],
    },
    AttemptBudget: {
        "free_attempts": [-1, 0, 11, True, 5.0, "5"],
        "first_wait": [0, 29, 3601, True],
        "longest_wait": [29, 86_401, True, None],
        "lock_after": [0, 9, 101, True, None],
        "lock_after_in_30_days": [0, 9, 1001, True, None],
        "warn_after_in_30_days": [0, 101, True, None],
    },
    Policy: {
        "algorithm": ["MD5", "sha256"],
        "digits": [5, 9, True],
        "period": [0, 121],
        "window": [
            (),
            (1,),
            (1, 1, 1),
            [1, 1],
            1,
            (3, 0),
            (0, 3),
            (-1, 0),
            (0, -1),
            (True, 0),
            "11",
        ],
        "setup_lifetime": [299, 3601, True, 900.0],
        "budget": [None, {}, 5, AttemptBudget],
        "recovery_codes": [0, 33, True, None],
        "max_authenticators": [0, 11, True],
        "backup": ["", "retyped", None, True],
        "suffix_on_rotation": [0, 1, None, "yes"],
    },
}

ACCEPTED: dict[type[Any], dict[str, list[Any]]] = {
    Parameters: {
        "type": ["totp", "hotp"],
        "algorithm": ["SHA1", "SHA256", "SHA512"],
        "digits": [6, 7, 8],
        "period": [1, 30, 60, 120],
    },
    AttemptBudget: {
        "free_attempts": [1, 10],
        "first_wait": [30, 3600],
        "longest_wait": [30, 86_400],
        "lock_after": [10, 100],
        "lock_after_in_30_days": [80, 1000],
        "warn_after_in_30_days": [1, 100],
    },
    Policy: {
        "window": [(0, 0), (1, 0), (2, 2)],
        "setup_lifetime": [300, 3600],
        "recovery_codes": [1, 32],
        "max_authenticators": [1, 10],
        "backup": ["none", "acknowledged", "checked"],
        "suffix_on_rotation": [True, False],
    },
}


def cases(table: dict[type[Any], dict[str, list[Any]]]) -> list[Any]:
    return [
        pytest.param(kind, name, value, id=f"{kind.__name__}-{name}-{place}")
        for kind, fields in table.items()
        for name, values in fields.items()
        for place, value in enumerate(values)
    ]


@pytest.mark.requirement("R-05", "R-56", "R-68")
@pytest.mark.parametrize(("kind", "name", "value"), cases(REFUSED))
def test_a_number_out_of_range_is_refused_by_name(
    kind: type[Any], name: str, value: object
) -> None:
    """What no standard allows is refused when it is chosen, and the error names it."""
    with pytest.raises((ValueError, TypeError), match=rf"^{name}(\[\d\])? must be "):
        kind(**{name: value})


@pytest.mark.requirement("R-05", "R-56", "R-68")
@pytest.mark.parametrize(("kind", "name", "value"), cases(ACCEPTED))
def test_the_edges_of_each_range_are_taken(kind: type[Any], name: str, value: object) -> None:
    """The lowest and the highest value of each option can be chosen."""
    assert getattr(kind(**{name: value}), name) == value


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_every_option_is_checked(kind: type[Any]) -> None:
    """Each field has values here that it refuses, so that none is left unchecked."""
    assert {field.name for field in dataclasses.fields(kind)} == set(REFUSED[kind])


@pytest.mark.requirement("R-04")
def test_a_code_is_that_of_every_app_by_default() -> None:
    """SHA1, 6 digits, 30 seconds, and TOTP."""
    assert Policy().parameters == Parameters(type="totp", algorithm="SHA1", digits=6, period=30)
    assert Policy(algorithm="SHA256", digits=8, period=60).parameters == Parameters(
        algorithm="SHA256", digits=8, period=60
    )


@pytest.mark.requirement("R-02")
@pytest.mark.regression_of("B-40")
def test_a_fresh_secret_is_as_long_as_the_output_of_the_hash() -> None:
    """20, 32 and 64 bytes for SHA1, SHA256 and SHA512."""
    assert SECRET_BYTES == {"SHA1": 20, "SHA256": 32, "SHA512": 64}


@pytest.mark.requirement("R-56", "R-68", "R-69", "R-70")
def test_the_defaults_are_those_that_the_documentation_promises() -> None:
    """The window, the lifetime of a setup, the budget and the counts, as written down."""
    assert dataclasses.asdict(Policy()) == {
        "algorithm": "SHA1",
        "digits": 6,
        "period": 30,
        "window": (1, 1),
        "setup_lifetime": 900,
        "budget": {
            "free_attempts": 5,
            "first_wait": 30,
            "longest_wait": 3600,
            "lock_after": 50,
            "lock_after_in_30_days": 100,
            "warn_after_in_30_days": 80,
        },
        "recovery_codes": 10,
        "max_authenticators": 3,
        "backup": "none",
        "suffix_on_rotation": True,
    }
    assert SETUP_WRONG_CODES == 10


@pytest.mark.requirement("R-56")
def test_strict_takes_no_code_of_the_future_and_wants_a_backup() -> None:
    """STRICT differs from the defaults in the window and the backup, and in nothing else."""
    assert Policy(window=(1, 0), backup="acknowledged") == STRICT


@pytest.mark.requirement("R-80")
def test_no_policy_makes_recovery_codes_shorter() -> None:
    """How many codes a set has can be chosen; that each has 120 bits cannot."""
    assert CODE_BYTES * 8 == 120
    options = {field.name for kind in REFUSED for field in dataclasses.fields(kind)}
    assert {name for name in options if "recovery" in name} == {"recovery_codes"}


@pytest.mark.parametrize("value", [Policy(), STRICT, Parameters(), AttemptBudget()])
def test_a_policy_is_a_value(value: Any) -> None:
    """Policies are frozen, hashable, compared by what they say, and survive a pickle."""
    name = dataclasses.fields(value)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.another = 1
    restored = pickle.loads(pickle.dumps(value))  # noqa: S301  # our own bytes
    assert restored == value
    assert hash(restored) == hash(value)


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.__name__)
def test_options_are_named(kind: type[Any]) -> None:
    """No option can be given by its position."""
    with pytest.raises(TypeError, match="positional argument"):
        kind(6)


def test_limits_that_contradict_each_other_are_refused() -> None:
    """The longest wait is at least the first, and the warning comes no later than the lock."""
    with pytest.raises(ValueError, match=r"^longest_wait must be from 600 to 86400$"):
        AttemptBudget(first_wait=600, longest_wait=599)
    with pytest.raises(ValueError, match=r"^warn_after_in_30_days must be from 1 to 20$"):
        AttemptBudget(lock_after_in_30_days=20, warn_after_in_30_days=21)
