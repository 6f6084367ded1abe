"""What a verb makes of the texts that it is given: ids as they are, and plain ones."""

from __future__ import annotations

import enum
from typing import Any

import pytest

from helpers.flows import USER
from otp_enroll import errors


@pytest.mark.parametrize(
    "user_id",
    [
        "1",
        "01",
        " 1",
        "1 ",
        "Alice",
        "alice",
        "é",
        "e\u0301",
        "%",
        "😀",
        "x" * 190,
        "null",
        "\u200f",
    ],
)
def test_any_proper_id_is_taken_as_it_is(user_id: str, flow: Any) -> None:
    """User ids are neither cleaned nor folded: what looks alike is another account."""
    flow.enroller.begin("e\u0301" if user_id == "é" else user_id.swapcase()[:9], account_name="x")
    flow.enroller.begin(user_id, account_name="sara")
    assert flow.store.load(user_id).user_id == user_id
    assert flow.enroller.status(user_id).user_id == user_id


class Word(str, enum.Enum):
    """Texts that are no plain ``str``, as a web framework's or an enumeration's are not."""

    USER = "user-42"
    STEP_UP = "step-up"


def test_text_of_another_class_is_kept_as_plain_text(flow: Any) -> None:
    """An id or purpose of a subclass of str is the text that it holds, in a record and an event."""
    setup = flow.enroller.begin(Word.USER, account_name="sara")
    assert type(flow.store.load("user-42").user_id) is str
    phone = flow.phone(setup)
    flow.enroller.confirm("user-42", phone.code(), setup_id=setup.id)
    flow.clock.advance(30)
    verification = flow.enroller.verify(Word.USER, phone.code(), purpose=Word.STEP_UP)
    assert (type(verification.user_id), type(verification.purpose)) == (str, str)
    assert verification.purpose == "step-up"


@pytest.mark.parametrize(
    ("accept", "expected", "digits"),
    [
        (("code", "recovery_code"), "either", 6),
        (("code",), "code", 6),
        (("recovery_code",), "recovery_code", None),
    ],
)
def test_malformed_text_is_answered_with_what_is_asked_for(
    accept: tuple[str, ...], expected: str, digits: int | None, flow: Any
) -> None:
    """A page learns which kinds of code it may ask for again, and how long one of an app is."""
    flow.enroll()
    with pytest.raises(errors.MalformedCodeError) as refusal:
        flow.enroller.verify(USER, "no code", accept=accept)
    assert (refusal.value.expected, refusal.value.digits) == (expected, digits)
