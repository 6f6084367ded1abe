"""Shapes: each stored object is read from its rows and written from them, whatever it holds."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import records
from otp_enroll.core.budget import Extra
from otp_enroll.core.recovery import RecoverySet
from otp_enroll.policy import Parameters
from otp_enroll.storage import codec, document
from otp_enroll.storage.document import (
    FLAG,
    TEXT,
    Inline,
    MisfitError,
    Row,
    Shape,
    list_of,
    raw,
    whole,
)

pytestmark = pytest.mark.requirement("R-93")


USUAL: Final = Parameters()


class Drawn(NamedTuple):
    """A shape, and states of its kind."""

    shape: Shape[Any]
    states: st.SearchStrategy[Any]


SHAPES: Final = {
    "AUTHENTICATOR": Drawn(document.AUTHENTICATOR, records.authenticators),
    "BUDGETS": Drawn(document.BUDGETS, records.budgets),
    "CODE_BUDGET": Drawn(document.CODE_BUDGET, records.code_budgets),
    "CONFIRMED": Drawn(document.CONFIRMED, records.confirmed_states),
    "ENVELOPE": Drawn(codec.ENVELOPE, records.envelopes),
    "PARAMETERS": Drawn(document.PARAMETERS, records.parameters),
    "PENDING": Drawn(document.PENDING, records.pending_states),
    "RECOVERY": Drawn(document.RECOVERY, records.recovery_sets()),
    "SETUP": Drawn(document.SETUP, records.setups),
    "WAITS": Drawn(document.WAITS, records.waits),
}
ROWS: Final = [
    pytest.param(drawn, name, default, id=f"{shape}.{name}")
    for shape, drawn in SHAPES.items()
    for name, _, _, default in drawn.shape._rows
]
WITH_DEFAULT: Final = [row for row in ROWS if row.values[2] is not document._MISSING]
WITHOUT: Final = [row for row in ROWS if row.values[2] is document._MISSING]
INLINE: Final = [
    pytest.param(drawn, name, inline, id=f"{shape}.{name}")
    for shape, drawn in SHAPES.items()
    for name, inline in drawn.shape._inline
]


def write(shape: Shape[Any], state: Any) -> Any:
    """Write a state into a tree of its own, as a document has it."""
    return json.loads(json.dumps(shape.put(state, dict(getattr(state, "extra", {})))))


def read(shape: Shape[Any], tree: Any, state: Any) -> Any:
    """Read a state as those of its kind are read: with what is left over, or with nothing left."""
    left = copy.deepcopy(tree)
    if hasattr(state, "extra"):
        return shape.read(left)
    found = shape.take(left)
    assert left == {}
    return found


def test_every_shape_is_tested() -> None:
    """A shape that is added to the stored form has to be added here."""
    found = {
        name: value
        for module in (document, codec)
        for name, value in vars(module).items()
        if isinstance(value, Shape)
    }
    assert found == {name: drawn.shape for name, drawn in SHAPES.items()}


@pytest.mark.parametrize("drawn", SHAPES.values(), ids=SHAPES)
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read_back(drawn: Drawn, data: st.DataObject) -> None:
    """Write and read are inverse: an equal state, and then the same tree again."""
    state = data.draw(drawn.states)
    tree = write(drawn.shape, state)
    back = read(drawn.shape, tree, state)
    assert back == state
    assert write(drawn.shape, back) == tree


@pytest.mark.parametrize(("drawn", "name", "default"), WITH_DEFAULT)
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_a_default_is_left_out_and_read_back(
    drawn: Drawn, name: str, default: object, data: st.DataObject
) -> None:
    """A field that is what it usually is does not stand in the tree, and is read as that."""
    state = data.draw(drawn.states)
    if isinstance(state, RecoverySet) and name == "spent":
        default = (False,) * len(state.spent)  # of another length for each set
    usual = replace(state, **{name: default})
    tree = write(drawn.shape, usual)
    assert name not in tree
    assert read(drawn.shape, tree, usual) == usual
    without = write(drawn.shape, state)
    without.pop(name, None)
    assert without == tree


@pytest.mark.parametrize(("drawn", "name", "inline"), INLINE)
@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_an_inline_default_is_left_out_and_read_back(
    drawn: Drawn, name: str, inline: Inline, data: st.DataObject
) -> None:
    """Of an object whose rows stand inline, none stands there when it is the usual one."""
    state = data.draw(drawn.states)
    usual = replace(state, **{name: inline.default})
    tree = write(drawn.shape, usual)
    assert not inline.shape.stands_in(tree)
    assert read(drawn.shape, tree, usual) == usual


@pytest.mark.parametrize(("drawn", "name", "default"), WITHOUT)
@given(data=st.data())
@settings(deadline=None, max_examples=10)
def test_a_row_without_a_default_must_be_there(
    drawn: Drawn, name: str, default: object, data: st.DataObject
) -> None:
    """A field that has no default is always written, and missing it is a misfit at its place."""
    state = data.draw(drawn.states)
    tree = write(drawn.shape, state)
    del tree[name]
    with pytest.raises(MisfitError) as misfit:
        drawn.shape.take(tree)
    assert (misfit.value.where, misfit.value.what) == (f".{name}", "is missing")


# --- a row that is added ---


@dataclass(frozen=True, kw_only=True)
class OldNote:
    """A stored object as an older version has it."""

    text: str
    extra: Extra = field(default_factory=dict[str, object])


@dataclass(frozen=True, kw_only=True)
class Note:
    """The same, with three more fields."""

    text: str
    pinned: bool = False
    mark: bytes | None = None
    parameters: Parameters = USUAL
    extra: Extra = field(default_factory=dict[str, object])


@dataclass(frozen=True, kw_only=True)
class Board:
    """An object with a list of them."""

    notes: tuple[Note, ...] = ()
    extra: Extra = field(default_factory=dict[str, object])


OLD: Final = Shape(OldNote, text=TEXT)
NEW: Final = Shape(
    Note,
    text=TEXT,
    pinned=Row(FLAG, default=False),
    mark=Row(raw(length=2), None),
    parameters=Inline(document.PARAMETERS, USUAL),
)
BOARD: Final = Shape(Board, notes=Row(list_of(NEW), ()))


def test_an_added_row_is_read_and_written() -> None:
    """One line adds a field: it is read, checked, written, and left out where it is the default."""
    tree = {"text": "buy milk", "pinned": True, "mark": "AAE=", "digits": 8, "new": [1]}
    note = Note(
        text="buy milk",
        pinned=True,
        mark=b"\0\1",
        parameters=Parameters(digits=8),
        extra={"new": [1]},
    )
    assert NEW.read(dict(tree)) == note
    assert NEW.write(note) == tree
    assert NEW.write(Note(text="buy milk")) == {"text": "buy milk"}


def test_an_added_row_means_its_default_in_what_was_stored_before() -> None:
    """What an older version wrote needs no upgrade: the new field has its default."""
    assert NEW.read(OLD.write(OldNote(text="buy milk"))) == Note(text="buy milk")


def test_an_older_version_carries_an_added_row_along() -> None:
    """An older version changes its own field, and the newer one finds what it had written."""
    tree = NEW.write(Note(text="buy milk", pinned=True, parameters=Parameters(period=60)))
    seen = OLD.read(tree)
    assert dict(seen.extra) == {"pinned": True, "period": 60}
    again = NEW.read(OLD.write(replace(seen, text="buy tea")))
    assert again == Note(text="buy tea", pinned=True, parameters=Parameters(period=60))


@pytest.mark.parametrize(
    ("notes", "where", "what"),
    [
        (7, ".notes", "is not of the type list"),
        ([{"text": "a"}, []], ".notes[1]", "is not an object"),
        ([{"text": 1}], ".notes[0].text", "is not of the type str"),
        ([{"text": "a", "pinned": 1}], ".notes[0].pinned", "is not of the type bool"),
        ([{"text": "a", "mark": None}], ".notes[0].mark", "is not of the type str"),
        ([{"text": "a", "mark": "AAAA"}], ".notes[0].mark", "is not base64, or of another length"),
        ([{"text": "a", "digits": True}], ".notes[0].digits", "is not of the type int"),
        ([{"text": "a", "digits": 5}], ".notes[0]", "has values that do not fit together"),
    ],
)
def test_a_misfit_says_where_and_how(notes: object, where: str, what: str) -> None:
    """A wrong value is refused with its place in all objects around it, and is not shown."""
    with pytest.raises(MisfitError) as misfit:
        BOARD.read({"notes": notes})
    assert (misfit.value.where, misfit.value.what) == (where, what)
    assert str(misfit.value) == what


@given(st.integers(-(2**65), 2**65), st.integers(-5, 5), st.integers(0, 2**64))
def test_whole_numbers_are_bounded(value: int, low: int, high: int) -> None:
    """A whole number from low to high is itself, and any other one is a misfit."""
    kind = whole(low=low, high=high)
    if low <= value <= high:
        assert kind.read(value) == value
    else:
        with pytest.raises(MisfitError, match=r"^is out of range$"):
            kind.read(value)


@pytest.mark.parametrize("kept", [5, {"a": 1}])
def test_a_count_is_cut_to_what_is_read(kept: object) -> None:
    """A count beyond the largest that is read is written as the largest."""
    waits = document.WAITS.read({"failures": document.MAX_INT, "since": 1, "kept": kept})
    more = document.WAITS.write(waits.fail(2))
    assert more == {"failures": document.MAX_INT, "since": 2, "kept": kept}
    assert document.WAITS.read(more).failures == document.MAX_INT
