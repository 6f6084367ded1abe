"""Wrong arguments to every public call: what each raises, and that none of them writes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from helpers.flows import USER, VOUCHED
from otp_enroll import Enroller, Override, Policy, errors, messages
from otp_enroll.core.transitions import TRANSITIONS

BAD_TEXTS: list[tuple[Any, type[Exception]]] = [
    (None, TypeError),
    (b"user-42", TypeError),
    (42, TypeError),
    (["user-42"], TypeError),
    ("", ValueError),
    ("a\0b", ValueError),
    ("\ud800", ValueError),
    ("\udfff", ValueError),
    ("x" * 1_000_000, ValueError),
]
BAD_NAMES: list[tuple[Any, type[Exception]]] = [
    *((bad, raised) for bad, raised in BAD_TEXTS),
    ("   ", ValueError),
    ("a\nb", ValueError),
    ("u\u202eevil", ValueError),
    ("Ex\u200f", ValueError),
    ("a\u200bb", ValueError),
]
BAD_CODES: list[tuple[Any, type[Exception]]] = [
    (None, TypeError),
    (b"123456", TypeError),
    (123456, TypeError),
    (["123456"], TypeError),
    ("", errors.MalformedCodeError),
    ("      ", errors.MalformedCodeError),
    ("12345", errors.MalformedCodeError),
    ("123456789", errors.MalformedCodeError),
    ("123_456", errors.MalformedCodeError),
    ("12345²", errors.MalformedCodeError),
    ("123456\0", errors.MalformedCodeError),
    ("\ud800", errors.MalformedCodeError),
    ("1" * 1_000_000, errors.MalformedCodeError),
]
BAD_PROOFS = [(bad, raised) for bad, raised in BAD_CODES if bad is not None] + [
    (None, errors.ProofRequiredError)
]
BAD_SETUP_IDS: list[tuple[Any, type[Exception]]] = [
    (None, TypeError),
    (b"x" * 43, TypeError),
    (7, TypeError),
    ("", errors.SetupSupersededError),
    ("\0", errors.SetupSupersededError),
    ("\ud800", errors.SetupSupersededError),
    ("x" * 1_000_000, errors.SetupSupersededError),
]
BAD_CONTEXTS: list[tuple[Any, type[Exception]]] = [
    ("ip", TypeError),
    ([("ip", "192.0.2.7")], TypeError),
    ({1: "x"}, TypeError),
    ({"ip": 7}, TypeError),
    ({"ip": None}, TypeError),
    ({"": "x"}, ValueError),
    ({"k" * 65: "x"}, ValueError),
    ({"ip": "x" * 257}, ValueError),
    ({str(n): "x" for n in range(17)}, ValueError),
]


VERBS = [verb for verb in TRANSITIONS if verb not in {"purge_expired", "reseal"}]
"""The verbs that take an account; the two others walk over all of them."""


def arguments_of(verb: str) -> list[str]:
    """Return the names of a verb's arguments, the account first."""
    return list(inspect.signature(getattr(Enroller, verb)).parameters)[1:]


class Verbs:
    """Every verb on one confirmed account with a staged setup, with good arguments."""

    def __init__(self, flow: Any) -> None:
        self.flow = flow
        self.phone, _ = flow.enroll(USER)
        self.setup = flow.enroller.begin(
            USER, account_name="sara", authenticator="tablet", proof=VOUCHED
        )
        code = flow.phone(self.setup).code()
        self.arguments: dict[str, dict[str, Any]] = {
            "begin": {
                "account_name": "sara",
                "authenticator": "tablet",
                "proof": VOUCHED,
                "context": None,
            },
            "resume": {"setup_id": self.setup.id, "context": None},
            "confirm": {
                "code": code,
                "setup_id": self.setup.id,
                "backup_acknowledged": False,
                "context": None,
            },
            "cancel": {"setup_id": self.setup.id, "context": None},
            "check_key_copy": {"text": "AAAA", "setup_id": self.setup.id, "context": None},
            "verify": {
                "code": self.phone.code(),
                "purpose": "login",
                "accept": ("code",),
                "context": None,
            },
            "disable": {"proof": VOUCHED, "authenticator": "default", "context": None},
            "regenerate_recovery_codes": {"proof": VOUCHED, "context": None},
            "rename": {"authenticator": "default", "new_name": "phone", "context": None},
            "erase": {"proof": VOUCHED, "context": None},
            "status": {"known_on": False},
        }

    def call(self, verb: str, **changes: Any) -> object:
        """Call a verb with one argument changed."""
        arguments = {"user_id": USER} | self.arguments[verb] | changes
        return getattr(self.flow.enroller, verb)(arguments.pop("user_id"), **arguments)


@pytest.fixture
def verbs(flow: Any) -> Verbs:
    return Verbs(flow)


def table() -> list[Any]:
    """List (verb, argument, bad value, error) for every argument of every verb."""
    bad_by_argument: dict[str, list[tuple[Any, type[Exception]]]] = {
        "user_id": [*BAD_TEXTS, ("x" * 191, ValueError)],
        "account_name": [*BAD_NAMES, ("a:b", ValueError), ("x" * 129, ValueError)],
        "authenticator": [*BAD_NAMES, ("x" * 65, ValueError)],
        "new_name": [*BAD_NAMES, ("x" * 65, ValueError)],
        "code": BAD_CODES,
        "setup_id": BAD_SETUP_IDS,
        "context": BAD_CONTEXTS,
        "proof": BAD_PROOFS,
        "known_on": [(None, TypeError), (1, TypeError)],
        "backup_acknowledged": [(None, TypeError), ("false", TypeError), (1, TypeError)],
        "text": [
            (None, TypeError),
            (b"AAAA", TypeError),
            ("", errors.MalformedCodeError),
            (" - ", errors.MalformedCodeError),
            ("A" * 1_000_000, errors.MalformedCodeError),
        ],
        "purpose": [*BAD_TEXTS, ("x" * 65, ValueError)],
        "accept": [
            (None, TypeError),
            ("code", TypeError),
            ((), ValueError),
            (("password",), ValueError),
            (("code", "code"), ValueError),
        ],
    }
    rows = []
    for verb in VERBS:
        for argument in arguments_of(verb):
            for number, (bad, raised) in enumerate(bad_by_argument[argument]):
                if argument == "authenticator" and bad is None and verb != "rename":
                    continue
                expected = raised
                if verb == "erase" and argument == "proof" and bad is not None:
                    expected = TypeError
                rows.append(
                    pytest.param(verb, argument, bad, expected, id=f"{verb}-{argument}-{number}")
                )
    return rows


@pytest.mark.requirement("R-21", "R-35", "R-36", "R-52")
@pytest.mark.regression_of("B-20", "B-30", "B-31", "B-41")
@pytest.mark.parametrize(("verb", "argument", "bad", "raised"), table())
def test_bad_argument_raises_its_error_and_writes_nothing(
    verb: str, argument: str, bad: Any, raised: type[Exception], verbs: Verbs
) -> None:
    """Each wrong argument has one error, whose text does not repeat it, and nothing is stored."""
    store = verbs.flow.store
    before = store.load(USER), store.saves, store.deletes
    with pytest.raises(raised) as refusal:
        verbs.call(verb, **{argument: bad})
    assert (store.load(USER), store.saves, store.deletes) == before
    if isinstance(bad, str) and len(bad.strip()) > 1:
        assert bad not in str(refusal.value)


MISTAKES: list[tuple[str, str, Any, str]] = [
    ("status", "user_id", 42, "user_id must be a str"),
    ("status", "user_id", "", "user_id must have 1 to 190 characters"),
    ("status", "user_id", "a\0b", "user_id must not contain NUL or a lone surrogate"),
    ("begin", "account_name", 42, "account_name must be a str"),
    ("begin", "account_name", "x" * 129, "account_name must have 1 to 128 characters"),
    ("begin", "account_name", "x" * 512, "account_name must have 1 to 128 characters"),
    ("begin", "account_name", "x" * 513, "account_name must have at most 128 characters"),
    ("begin", "account_name", "a:b", "account_name must not contain a colon"),
    (
        "begin",
        "account_name",
        "😀" * 128,
        "account_name has too many characters of four bytes for a QR code",
    ),
    ("begin", "authenticator", "a\nb", "authenticator must not contain the character U+000A"),
    ("begin", "proof", 123456, "a code must be a str"),
    ("resume", "setup_id", 7, "setup_id must be a str"),
    ("confirm", "code", 123456, "a code must be a str"),
    ("confirm", "backup_acknowledged", "yes", "backup_acknowledged must be a bool"),
    ("check_key_copy", "text", b"AAAA", "text must be a str"),
    ("verify", "purpose", 7, "purpose must be a str"),
    ("verify", "purpose", "x" * 65, "purpose must have 1 to 64 characters"),
    ("verify", "accept", "code", "accept must be a collection of methods"),
    ("verify", "accept", (), "accept must have one or both of code, recovery_code"),
    ("disable", "authenticator", "", "authenticator must have 1 to 64 characters"),
    ("rename", "authenticator", "", "authenticator must have 1 to 64 characters"),
    ("rename", "new_name", None, "new_name must be a str"),
    ("erase", "proof", "123456", "erase takes an Override as proof, and nothing else"),
    ("verify", "context", "ip", "context must be a mapping"),
    ("verify", "context", {str(n): "" for n in range(17)}, "context must have at most 16 keys"),
    ("verify", "context", {1: "x"}, "a context key must be a str"),
    ("verify", "context", {"k" * 65: "x"}, "a context key must have 1 to 64 characters"),
    ("verify", "context", {"ip": 7}, "a context value must be a str"),
    ("verify", "context", {"ip": "x" * 257}, "a context value must have at most 256 characters"),
]


@pytest.mark.parametrize(
    ("verb", "argument", "bad", "told"),
    [pytest.param(*row, id=f"{row[0]}-{row[1]}-{n}") for n, row in enumerate(MISTAKES)],
)
def test_mistake_is_told_in_a_sentence_that_names_it(
    verb: str, argument: str, bad: Any, told: str, verbs: Verbs
) -> None:
    """Who calls a verb wrongly reads which argument it was and what is wanted of it."""
    with pytest.raises((TypeError, ValueError)) as mistake:
        verbs.call(verb, **{argument: bad})
    assert str(mistake.value) == told


LONGEST: list[tuple[str, str, Any]] = [
    ("begin", "account_name", "x" * 128),
    ("begin", "account_name", "あ" * 128),
    ("begin", "authenticator", "x" * 64),
    ("verify", "purpose", "x" * 64),
    ("verify", "purpose", "x"),
    ("verify", "purpose", "\ud7ff\ue000"),
    ("verify", "context", {f"{n:0>64}": "x" * 256 for n in range(16)}),
    ("verify", "accept", {"code", "recovery_code"}),
    ("rename", "new_name", "x" * 64),
    ("disable", "proof", Override(actor="a" * 256, reason="r" * 256)),
]


@pytest.mark.parametrize(
    ("verb", "argument", "good"),
    [pytest.param(*row, id=f"{row[0]}-{row[1]}-{n}") for n, row in enumerate(LONGEST)],
)
def test_argument_may_be_as_long_as_is_said(
    verb: str, argument: str, good: Any, verbs: Verbs
) -> None:
    """The longest that an error speaks of is accepted."""
    verbs.call(verb, **{argument: good})


@pytest.mark.parametrize(
    ("verb", "argument", "bad"),
    [
        ("begin", "proof", "12345"),
        ("confirm", "code", "12345"),
        ("verify", "code", "12345"),
    ],
)
def test_malformed_text_is_told_the_digits_of_the_policy(
    verb: str, argument: str, bad: str, make_flow: Any
) -> None:
    """A refusal of text that can be no code says how many digits a code has."""
    verbs = Verbs(make_flow(policy=Policy(digits=8)))
    with pytest.raises(errors.MalformedCodeError) as refusal:
        verbs.call(verb, **{argument: bad})
    assert refusal.value.digits == 8


@pytest.mark.parametrize(
    ("verb", "arguments", "expected"),
    [
        ("check_key_copy", {"text": ""}, "key"),
        ("verify", {"code": "123456", "accept": ("recovery_code",)}, "recovery_code"),
    ],
)
def test_malformed_text_is_told_no_digits_where_none_are_asked_for(
    verb: str, arguments: dict[str, Any], expected: str, verbs: Verbs
) -> None:
    """Who copies a key or types a recovery code is not sent to the app for six digits."""
    with pytest.raises(errors.MalformedCodeError) as refusal:
        verbs.call(verb, **arguments)
    assert (refusal.value.expected, refusal.value.digits) == (expected, None)
    assert "6 digits" not in messages.text(refusal.value)


@pytest.mark.parametrize("verb", ["resume", "confirm", "cancel", "check_key_copy"])
def test_setup_id_of_another_user_is_superseded(verb: str, verbs: Verbs) -> None:
    """The live setup id of somebody else opens nothing and voids nothing."""
    other = verbs.flow.enroller.begin("another", account_name="dara")
    before = verbs.flow.store.load(USER)
    with pytest.raises(errors.SetupSupersededError):
        verbs.call(verb, setup_id=other.id)
    assert verbs.flow.store.load(USER) == before


@pytest.mark.parametrize("verb", VERBS)
def test_good_arguments_of_the_table_are_good(verb: str, verbs: Verbs) -> None:
    """The calls that the table spoils are accepted unspoilt."""
    verbs.call(verb)
