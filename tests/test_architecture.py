"""The house: imports go down the floors only, without a cycle, and the front door loads little."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree as ET

import pytest

import draw_floors
import otp_enroll
from helpers.house import (
    LEAVES,
    MODULES,
    ROOT,
    THIRD_PARTIES,
    floor_of,
    imports_of,
    inner_imports,
    room_of,
)
from otp_enroll import Enroller
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

PROJECT = ROOT.parent.parent


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_down(module: str) -> None:
    """A file imports from its own room or from a floor below, and nothing imports a leaf."""
    for imported in inner_imports(MODULES[module]):
        same_room = room_of(imported) == room_of(module)
        assert same_room or room_of(imported) not in LEAVES, (
            f"{MODULES[module]} imports the leaf {imported}"
        )
        assert same_room or floor_of(imported) <= floor_of(module), (
            f"{MODULES[module]} imports {imported}, which stands above it"
        )


def test_there_is_no_import_cycle() -> None:
    """The files stand in an order in which each imports earlier ones alone, lazily too."""
    graph = {module: inner_imports(path) - {module} for module, path in MODULES.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as cycle:
        raise AssertionError(f"import cycle: {' -> '.join(cycle.args[1])}") from None


def test_picture_shows_the_imports() -> None:
    """Each arrow of the picture is an import, and each import follows the arrows down."""
    arrows: dict[str, set[str]] = {}
    for arrow in ET.parse(draw_floors.PICTURE).iterfind("{*}g[@data-from]"):  # noqa: S314  # our own file
        arrows.setdefault(arrow.attrib["data-from"], set()).add(arrow.attrib["data-to"])
    imports: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        rooms = {room_of(imported) for imported in inner_imports(path)}
        imports.setdefault(room_of(module), set()).update(rooms - {room_of(module)})
    for room, targets in imports.items():
        assert arrows.get(room, set()) <= targets
        reached = arrows.get(room, set())
        for _ in imports:
            reached = reached.union(*(arrows.get(one, set()) for one in reached))
        assert targets <= reached, f"the picture does not lead from {room} to all that it imports"
    assert set(arrows) <= set(imports)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_third_parties_stay_in_their_rooms(module: str) -> None:
    """A file imports the standard library and the third parties of its room, and no others."""
    allowed = THIRD_PARTIES.get(room_of(module), {"typing_extensions"})
    names = {name.partition(".")[0] for name in imports_of(MODULES[module])}
    foreign = names - set(sys.stdlib_module_names) - {"otp_enroll"}
    assert foreign <= allowed, f"{MODULES[module]} imports {sorted(foreign - allowed)}"


@pytest.mark.parametrize("module", sorted(m for m in MODULES if m.startswith("core")))
def test_core_is_pure(module: str) -> None:
    """The core imports nothing that reads a clock, draws randomness or does I/O."""
    impure = {"time", "random", "secrets", "os", "io", "pathlib", "socket", "asyncio", "threading",
              "sqlite3", "logging", "subprocess", "urllib", "uuid"}  # fmt: skip
    names = {name.partition(".")[0] for name in imports_of(MODULES[module])}
    assert not names & impure, f"{MODULES[module]} imports {sorted(names & impure)}"
    source = MODULES[module].read_text(encoding="utf-8")
    assert "datetime.now" not in source
    assert "open(" not in source.replace("_open(", "").replace("to_open(", "")


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after a statement."""
    command = [sys.executable, "-c", f"import sys; {statement}; print(' '.join(sys.modules))"]
    # Measuring coverage would load modules of its own.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(  # noqa: S603  # our own interpreter
        command, env=plain, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_front_door_loads_little() -> None:
    """``import otp_enroll`` loads no driver, no picture, no catalogue and no event loop."""
    heavy = {"segno", "sqlite3", "asyncio", "ssl", "http.client", "cryptography", "sqlalchemy",
             "redis", "django", "pytest", "otp_enroll.testing", "gettext", "html",
             "importlib.resources", "otp_enroll.messages", "otp_enroll.display.sheet"}  # fmt: skip
    assert not loaded_by("import otp_enroll") & heavy


def test_segno_comes_with_the_first_picture() -> None:
    """A whole flow draws nothing until a page asks for the QR code."""
    flow = (
        "from otp_enroll import *; from otp_enroll.storage.memory import MemoryStore;"
        "s = Enroller(MemoryStore(), issuer='Exir', cipher=Unencrypted())"
        ".begin('u', account_name='sara'); s.uri; s.key; s.warnings"
    )
    assert "segno" not in loaded_by(flow)
    assert "segno" in loaded_by(f"{flow}; s.qr.svg()")


def test_front_door_is_nothing_but_a_list() -> None:
    """``__init__`` imports and lists, and lists all that it imports."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    assert {type(node) for node in tree.body} == {ast.Expr, ast.ImportFrom, ast.Assign}
    imported = {
        alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == set(otp_enroll.__all__)
    assert all(hasattr(otp_enroll, name) for name in otp_enroll.__all__)


@pytest.mark.parametrize(
    "path",
    sorted(
        [
            *ROOT.rglob("*.py"),
            *(PROJECT / "tests").rglob("*.py"),
            *(PROJECT / "examples").rglob("*.py"),
        ]
    ),
    ids=lambda path: str(path.relative_to(PROJECT)),
)
def test_file_says_what_it_is_for(path: Path) -> None:
    """Each file opens with a sentence, and each test claims something in one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path} does not say what it is for"
    if path.name.startswith("test_"):
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith(
                "test_"
            ):
                assert ast.get_docstring(node), f"{path}:{node.lineno}: {node.name} claims nothing"


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions and methods of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


@pytest.mark.parametrize("module", sorted(MODULES))
def test_functions_and_files_can_be_read_at_a_glance(module: str) -> None:
    """No function has more than 40 lines, and no file of the core more than 250."""
    path = MODULES[module]
    for function in functions_of(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        assert length <= 40, f"{path}:{function.lineno}: {function.name} has {length} lines"
    if module.startswith("core"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 250


def lines_with(path: Path) -> tuple[int, int, int]:
    """Count the lines of a file, those with a comment, and those of docstrings."""
    source = path.read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    documented = sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
    return len(source.splitlines()), len(comments), documented


def test_comments_and_docstrings_have_their_share() -> None:
    """Of a hundred lines 3 to 10 have a comment, which says why, and 20 to 33 are docstrings."""
    counted = [lines_with(path) for path in MODULES.values()]
    lines, comments, documented = (sum(column) for column in zip(*counted, strict=True))
    assert 0.03 <= comments / lines <= 0.10
    assert 0.20 <= documented / lines <= 0.33


def test_code_enters_few_files() -> None:
    """A verify of a right code enters at most 18 files of src, and changes file 70 times."""
    clock, store = FrozenClock(), MemoryStore()
    cipher = AESGCMKeyRing({"2026": bytes(32)})
    enroller = Enroller(store, issuer="Exir", cipher=cipher, clock=lambda: clock.now)
    setup = enroller.begin("user-42", account_name="sara")
    phone = FakeAuthenticator(setup.uri, clock)
    enroller.confirm("user-42", phone.code(), setup_id=setup.id)
    clock.advance(60)
    code, entered = phone.code(), list[str]()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(str(ROOT)):
            entered.append(frame.f_code.co_filename)

    measuring = sys.getprofile()
    sys.setprofile(note)
    try:
        enroller.verify("user-42", code)
    finally:
        sys.setprofile(measuring)
    assert len(set(entered)) <= 18
    assert sum(before != after for before, after in pairwise(entered)) <= 70
