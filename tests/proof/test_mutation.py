"""The page of survivors and what reads it: a row is a change, and stands for code that there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from proof import mutation
from proof.mutation import Change

PROJECT = Path(__file__).parents[2]
SOURCE = PROJECT / "src" / "otp_enroll"

DIFF = """\
--- src/otp_enroll/core/proofs.py
+++ src/otp_enroll/core/proofs.py
@@ -3,7 +3,7 @@
     for name in names:
-        if not value or value > 3:
+        if not value or value >= 3:
             raise ValueError
"""


def source_of(function: str) -> str:
    """Return the lines of a function or method, one after the other, without what indents them."""
    path, names = SOURCE, function.split(".")
    while not (path := path / names.pop(0)).with_suffix(".py").exists():
        pass
    text = path.with_suffix(".py").read_text(encoding="utf-8")
    found: ast.AST = ast.parse(text)
    for name in names:
        nodes = [
            node for node in ast.iter_child_nodes(found) if getattr(node, "name", None) == name
        ]
        assert nodes, f"{function} is not there"
        found = nodes[0]
    assert isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef))
    # Whole lines: a comment after the last statement is none of the node's own source.
    lines = text.splitlines()[found.lineno - 1 : found.end_lineno]
    return " ".join(line.strip() for line in lines)


@pytest.mark.parametrize(
    ("mutant", "function"),
    [
        ("otp_enroll.core.judging.x_judge__mutmut_4", "core.judging.judge"),
        ("otp_enroll.core.judging.x__compare__mutmut_11", "core.judging._compare"),
        ("otp_enroll.attempt.xǁAttemptǁ_decide__mutmut_2", "attempt.Attempt._decide"),
        ("otp_enroll.enroller.xǁEnrollerǁ__init____mutmut_2", "enroller.Enroller.__init__"),
    ],
)
def test_change_is_read_from_what_mutmut_shows(mutant: str, function: str) -> None:
    """The function gets its own name back, and the two lines lose their indentation."""
    wanted = Change(function, "if not value or value > 3:", "if not value or value >= 3:")
    assert Change.of(mutant, DIFF) == wanted


@pytest.mark.parametrize("wrong", ["found: int | None = 1", ""])
def test_row_is_read_as_it_is_written(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change comes back from its row with its reason, bars and empty right sides included."""
    change = Change("core.oath.skew_of", "found: int | None = None", wrong)
    page = tmp_path / "mutants.md"
    page.write_text(f"# Mutants\n\n{change.row('the same')}\n", encoding="utf-8")
    monkeypatch.setattr(mutation, "PAGE", page)
    assert mutation.listed() == {change: "the same"}


def test_survivors_of_the_page_are_changes_of_the_code() -> None:
    """What is changed stands in the function that is named, so no row is older than the code."""
    for change in mutation.listed():
        assert change.right in source_of(change.function), change.function
        assert change.right != change.wrong


def test_configuration_names_files_and_tests_that_there_are() -> None:
    """What is mutated, what must notice, and what is left out: no name is older than the code."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[tool.mutmut]\n")[2].partition("\n[")[0]
    mutated = re.findall(r'"(src/.+?)"', section)
    tests = re.findall(r'"(tests/.+?)"', section)
    assert all(list(PROJECT.glob(name)) for name in mutated)
    for name in tests:
        path, _, function = name.partition("[")[0].partition("::")
        assert (PROJECT / path).exists(), name
        assert not function or f"def {function}(" in (PROJECT / path).read_text(encoding="utf-8")
    assert len(mutated) > 1
    assert len(tests) > 10
