"""The docs say what is true: the picture of the states, the tables, the README's length."""

from __future__ import annotations

import ast
import re
import secrets
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import draw_floors
import draw_states
import svg
from otp_enroll import Override, errors
from otp_enroll.core.states import Phase
from otp_enroll.core.transitions import TRANSITIONS
from otp_enroll.display.setup import CODE_FIELD

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")


PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_code_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python blocks of a page run one after the other, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    document = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()]).parse(page)
    document.namespace["key"] = secrets.token_bytes(32)
    try:
        for example in document.examples():
            example.evaluate()
    finally:
        store: Any = document.namespace.get("store")
        if hasattr(store, "close"):
            store.close()


def test_blocks_are_found() -> None:
    """The README has the one example that a newcomer reads, with its refusal."""
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(PROJECT / "README.md")
    (example,) = document.examples()
    assert "except errors.WrongCodeError" in example.parsed


def pictured() -> dict[tuple[str, str], set[str]]:
    """Read from the table what the picture must show: (from, to) → what leads there."""
    arrows: dict[tuple[str, str], set[str]] = {}
    for verb, row in TRANSITIONS.items():
        if verb in {"status", "reseal", "erase"}:  # the note below the picture has them
            continue
        for phase, cell in row.items():
            for to in cell.to:
                label = f"{verb} (proof)" if cell.proof else verb
                arrows.setdefault((phase.name, to.name), set()).add(label)
            if cell.exhausted:
                arrows.setdefault((phase.name, cell.exhausted.name), set()).add("tenth wrong code")
    return arrows


@pytest.mark.requirement("R-41")
def test_picture_is_the_table() -> None:
    """The arrows of the picture are those of TRANSITIONS, no more and no fewer."""
    drawn = {
        (arrow.get("data-from"), arrow.get("data-to")): {line.text for line in arrow[1]}
        for arrow in ET.parse(draw_states.PICTURE).iterfind("{*}g[@data-from]")  # noqa: S314  # our own file
    }
    assert drawn == pictured()


@pytest.mark.parametrize("drawing", [draw_states, draw_floors], ids=["states", "floors"])
def test_picture_is_up_to_date(drawing: Any) -> None:
    """The picture in the docs is the one drawn from the code of today; ``make docs`` writes it."""
    assert drawing.PICTURE.read_text(encoding="utf-8") == svg.show_picture(drawing.draw())


@pytest.mark.parametrize("drawing", [draw_states, draw_floors], ids=["states", "floors"])
def test_picture_is_for_everybody(drawing: Any) -> None:
    """A picture lies on white whatever the page, and says in words what it shows."""
    root = drawing.draw()
    assert root.get("role") == "img"
    assert {root.find(tag).get("id") for tag in ("title", "desc")} == {"title", "description"}
    assert all(root.find(tag).text for tag in ("title", "desc"))
    ground = root.find("rect")
    assert ground.get("fill") == "#ffffff"
    box = [float(number) for number in root.get("viewBox").split()]
    assert [float(ground.get(name)) for name in ("x", "y", "width", "height")] == pytest.approx(
        box, abs=1
    )


def test_table_of_the_docs_is_the_table() -> None:
    """docs/states.md has a row per verb with the cells of TRANSITIONS."""
    text = (PROJECT / "docs" / "states.md").read_text(encoding="utf-8")
    for verb, row in TRANSITIONS.items():
        cells = []
        for phase in Phase:
            cell = row[phase]
            if cell.refuses:
                cells.append(f"`{cell.refuses.__name__}`")
                continue
            goes = " or ".join(to.value for to in cell.to) or "no row"
            told = f"proof: {goes}" if cell.proof else goes
            cells.append(
                f"{told}; tenth wrong code: {cell.exhausted.value}" if cell.exhausted else told
            )
        assert f"| `{verb}` | " + " | ".join(cells) + " |" in text, verb


def test_readme_fits_on_a_screen_or_two() -> None:
    """The README has at most 120 lines, and all ten promises."""
    assert len(README.splitlines()) <= 120
    assert len(re.findall(r"^\d+\. \*\*", README, re.MULTILINE)) == 10


def test_every_error_has_its_next_step() -> None:
    """docs/errors.md names each error that is raised as such."""
    text = (PROJECT / "docs" / "errors.md").read_text(encoding="utf-8")
    groups = {"InvalidTransitionError", "SetupError", "CodeRejectedError"}
    named = set(re.findall(r"`(?:errors\.)?(\w+)`", text))
    missing = [name for name in errors.__all__ if name not in named | groups]
    assert missing == []


@pytest.mark.requirement("R-98")
def test_duties_of_the_app_name_their_requirement() -> None:
    """Each row of the app's duties ends with the requirement that it comes from."""
    text = (PROJECT / "docs" / "your-app.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 10
    assert all(re.search(r"\| R-\d\d \|$", row) for row in rows)


@pytest.mark.requirement("R-39")
def test_field_for_a_code_takes_what_people_type_and_paste() -> None:
    """The hints are one text field for one-time codes, and the docs show the same one."""
    assert dict(CODE_FIELD) == {
        "type": "text",
        "inputmode": "numeric",
        "autocomplete": "one-time-code",
        "dir": "ltr",
        "spellcheck": "false",
    }
    text = (PROJECT / "docs" / "your-app.md").read_text(encoding="utf-8")
    assert "<input " + " ".join(f'{name}="{value}"' for name, value in CODE_FIELD.items()) in text


@pytest.mark.requirement("R-99")
def test_readme_says_what_otp_is_not() -> None:
    """The README says that codes can be phished, and what a session alone can do."""
    assert "phishing" in README
    assert "Anyone with a session" in README


# --- the threat model and the standards ---

DOCS = PROJECT / "docs"
THREATS = (DOCS / "threat-model.md").read_text(encoding="utf-8")
STANDARDS = (DOCS / "standards.md").read_text(encoding="utf-8")
PROOF = (DOCS / "proof.md").read_text(encoding="utf-8")


def references_of(text: str) -> set[tuple[str, str]]:
    """Return (file, test) of each reference."""
    return set(re.findall(r"`([\w/]+\.py)::(\w+)`", text))


def test_threat_model_names_every_promise() -> None:
    """Each of the ten promises answers an attacker, and no other number is promised."""
    named = {int(number) for number in re.findall(r"promise (\d+)", THREATS)}
    assert named == set(range(1, 11))


@pytest.mark.parametrize(("file", "test"), sorted(references_of(THREATS + PROOF)))
def test_test_that_a_page_names_exists(file: str, test: str) -> None:
    """A test that the threat model or the page of proofs names is a test function of that file."""
    tree = ast.parse((PROJECT / "tests" / file).read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert test in {node.name for node in tree.body if isinstance(node, functions)}


def test_every_attacker_of_the_threat_model_is_answered() -> None:
    """Under each heading there are a test, and what the app has to do."""
    parts = THREATS.split("\n## ")[1:]
    assert len(parts) >= 12
    for part in parts:
        assert references_of(part), part.splitlines()[0]
        assert "**Left to your app**" in part, part.splitlines()[0]


@pytest.mark.parametrize("page", [THREATS, STANDARDS], ids=["threat-model", "standards"])
def test_lines_that_a_page_names_are_requirements(page: str) -> None:
    """A requirement that is named stands in docs/requirements.md."""
    lines = (DOCS / "requirements.md").read_text(encoding="utf-8")
    known = re.findall(r"^\| (R-\d+) ", lines, re.MULTILINE)
    named = re.findall(r"R-\d+", page)
    assert len(named) > 20
    assert set(named) <= set(known)


def test_rows_of_the_standards_are_complete() -> None:
    """Each clause has one row, with a known status; what is met or in part has how and a line."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in STANDARDS.splitlines()
        if re.match(r"\| (\d|§)", line)
    ]
    assert len(rows) > 50
    assert {len(row) for row in rows} == {5}
    assert len({(row[0], row[1]) for row in rows}) == len(rows)
    for clause, asks, status, how, lines in rows:
        assert asks, clause
        assert status in {"met", "in part", "app", "not offered"}, clause
        assert status not in {"met", "in part"} or how, clause
        assert re.fullmatch(r"(R-\d+(, R-\d+)*)?", lines), clause
        assert lines or status in {"not offered", "app"} or how == "There are none.", clause


def test_an_old_backup_brings_back_what_the_threat_model_says(flow: Any) -> None:
    """Restored rows have the phone, the codes and the state of then, and nothing of since."""
    phone, confirmation = flow.enroll("old")
    codes = list(confirmation.recovery_codes)
    backup = flow.store.load("old")
    flow.enroller.verify("old", codes[0])
    setup = flow.enroller.begin("old", account_name="sara", proof=codes[1])
    new_phone = flow.phone(setup)
    flow.enroller.confirm("old", new_phone.code(), setup_id=setup.id)
    flow.enroll("since")
    flow.enroller.erase("old", proof=Override(actor="restore", reason="an old backup"))
    flow.enroller.erase("since", proof=Override(actor="restore", reason="an old backup"))
    assert flow.store.save(backup, expected=None)

    assert not flow.enroller.status("since").required
    with pytest.raises(errors.WrongCodeError):
        flow.enroller.verify("old", new_phone.code())
    flow.enroller.verify("old", phone.code())
    flow.enroller.verify("old", codes[0])
