"""Values that a session keeps as JSON: what is written is read back, by its declared type alone."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.flows import USER
from otp_enroll import Verification, errors
from otp_enroll.json_values import from_json, to_json

AT: Final = datetime(2027, 1, 15, 8, 0, tzinfo=timezone.utc)
VERIFICATION: Final = Verification(
    user_id=USER,
    purpose="begin",
    method="code",
    authenticator="تبلت",
    recovery_codes_left=9,
    locked=False,
    at=AT,
)
READ: Final[dict[str, st.SearchStrategy[object]]] = {
    "str": st.text(),
    "int": st.integers(),
    "bool": st.booleans(),
    "datetime": st.datetimes(timezones=st.just(timezone.utc)),
    "tuple[str, ...]": st.lists(st.text()).map(tuple),
    "dict[str, str]": st.dictionaries(st.text(), st.text()),
}
anything = st.one_of(st.none(), *READ.values(), st.binary(), st.floats(), st.lists(st.integers()))


@given(
    st.builds(
        Verification,
        user_id=st.text(),
        purpose=st.text(),
        method=st.sampled_from(["code", "recovery_code"]),
        authenticator=st.none() | st.text(),
        recovery_codes_left=st.integers(0, 32),
        locked=st.booleans(),
        at=st.datetimes(timezones=st.just(timezone.utc)),
    )
)
def test_a_verification_comes_back_from_json(verification: Verification) -> None:
    """What to_dict returns passes through JSON, and from_dict makes an equal Verification of it."""
    stored = verification.to_dict()
    assert set(stored) == {field.name for field in fields(Verification)}
    assert Verification.from_dict(json.loads(json.dumps(stored))) == verification
    assert Verification.from_dict(stored | {"of a newer version": 1}) == verification


def test_a_verification_is_these_json_values() -> None:
    """The time is ISO 8601 with its offset, and no authenticator is null."""
    assert replace(VERIFICATION, authenticator=None, method="recovery_code").to_dict() == {
        "user_id": USER,
        "purpose": "begin",
        "method": "recovery_code",
        "authenticator": None,
        "recovery_codes_left": 9,
        "locked": False,
        "at": "2027-01-15T08:00:00+00:00",
    }


def test_a_verification_from_a_session_opens_what_it_opened(flow: Any) -> None:
    """A proof that went through the session is as good as the one that verify returned."""
    phone, _ = flow.enroll()
    verification = flow.enroller.verify(USER, phone.code(), purpose="disable")
    session = json.dumps(verification.to_dict())
    flow.clock.advance(61)
    with pytest.raises(errors.ProofRequiredError) as late:
        flow.enroller.disable(USER, proof=Verification.from_dict(json.loads(session)))
    assert late.value.reason == "too old"
    flow.clock.advance(-1)
    flow.enroller.disable(USER, proof=Verification.from_dict(json.loads(session)))
    assert flow.enroller.status(USER).state == "disabled"


WRONG: Final[dict[str, list[object]]] = {
    "user_id": [None, 7, ["never shown"]],
    "purpose": [None, 7, ["never shown"]],
    "method": [None, 7, ["code"]],
    "authenticator": [7, True, ["never shown"], {"never shown": 1}],
    "recovery_codes_left": [None, True, "never shown", 1.5],
    "locked": [None, 0, 1, "never shown"],
    "at": [None, "never shown", 1_800_000_000, "2027-01-15T08:00:00", "2027-01-15", ""],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_verification_with_a_wrong_fact_is_refused(name: str) -> None:
    """A fact that is missing or of another type is a ValueError, which names it and shows none."""
    stored = VERIFICATION.to_dict()
    sentence = f"a verification has no {name} that could be one"
    for value in WRONG[name]:
        assert_refused(stored | {name: value}, sentence)
    del stored[name]
    if name == "authenticator":
        assert Verification.from_dict(stored).authenticator is None
    else:
        assert_refused(stored, sentence)


@pytest.mark.parametrize("method", ["never shown", "", "Code", "override"])
def test_a_verification_by_another_method_is_refused(method: str) -> None:
    """There are codes and recovery codes, and nothing else proves anything."""
    stored = VERIFICATION.to_dict() | {"method": method}
    assert_refused(stored, "a verification has no method that could be one")


def assert_refused(stored: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^a verification has no") as refusal:
        Verification.from_dict(stored)
    assert str(refusal.value) == sentence
    assert (refusal.value.__cause__, refusal.value.__context__) == (None, None)


@pytest.mark.parametrize("data", [None, "never shown", 7, [["user_id", "x"]], b"{}"], ids=repr)
def test_what_is_no_mapping_is_refused(data: object) -> None:
    """Anything but a mapping is a TypeError, and is not shown."""
    with pytest.raises(TypeError) as refusal:
        Verification.from_dict(data)
    assert str(refusal.value) == "a verification must be a mapping"


@pytest.mark.parametrize("kind", READ)
@given(data=st.data())
def test_a_fact_is_read_as_its_declared_type(kind: str, data: st.DataObject) -> None:
    """A fact of its type comes back through JSON; where it may be missing, None does, too."""
    fact = data.draw(READ[kind])
    stored = json.loads(json.dumps({"fact": to_json(fact)}))
    for annotation in (kind, f"{kind} | None"):
        assert from_json({"fact": annotation}, stored, "a test") == {"fact": fact}
    assert from_json({"fact": f"{kind} | None"}, {}, "a test") == {"fact": None}
    with pytest.raises(ValueError, match=r"^a test has no fact that could be one$"):
        from_json({"fact": kind}, {"fact": None}, "a test")


@given(anything)
def test_anything_is_read_or_refused(value: object) -> None:
    """A value is read as one of the types, unchanged, or is a ValueError for it."""
    for kind in READ:
        try:
            (fact,) = from_json({"fact": kind}, {"fact": value}, "a test").values()
        except ValueError as refusal:
            assert str(refusal) == "a test has no fact that could be one"  # noqa: PT017  # either is right
        else:
            written = to_json(fact)
            assert written == to_json(value) or kind == "datetime"
            assert from_json({"fact": kind}, {"fact": written}, "a test") == {"fact": fact}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2027-01-15T08:00:00Z", AT),
        ("2027-01-15T08:00:00+00:00", AT),
        ("2027-01-15T11:30:00+03:30", AT),
        ("2027-01-15T08:00:00.250000+00:00", AT + timedelta(milliseconds=250)),
    ],
)
def test_times_are_read_as_others_write_them(written: str, read: datetime) -> None:
    """JavaScript writes a Z and Python an offset: either way it is the same time, and aware."""
    assert from_json({"at": "datetime"}, {"at": written}, "a test") == {"at": read}


@pytest.mark.parametrize(
    ("declared", "fact"),
    [
        (str, "سارا"),
        (bool, False),
        (datetime, AT),
        (datetime | None, AT),
        (int | None, None),
        (tuple[str, ...], ("a", "b")),
        (dict[str, str], {"ip": "::1"}),
    ],
)
def test_types_are_read_as_their_names(declared: object, fact: object) -> None:
    """A class of an app's own may be declared with types instead of their names."""
    assert from_json({"fact": declared}, {"fact": to_json(fact)}, "a test") == {"fact": fact}


def test_type_that_json_does_not_have_is_a_mistake() -> None:
    """A fact of another type is a TypeError that names it, and no KeyError."""
    with pytest.raises(TypeError, match="fact is declared as bytes"):
        from_json({"fact": bytes}, {"fact": "x"}, "a test")
