"""Small wrong changes to the rules: each is killed by the test that names what it breaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import otp_enroll
from proof.mutants import MUTANTS, Mutant

PROJECT = Path(__file__).parent.parent.parent
SOURCE = Path(otp_enroll.__file__).parent


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, to be changed by one mutant after the other."""
    source = tmp_path_factory.mktemp("mutants")
    shutil.copytree(SOURCE, source / "otp_enroll", ignore=shutil.ignore_patterns("__pycache__"))
    return source


def outcome_of(tests: Iterable[str], source: Path) -> subprocess.CompletedProcess[str]:
    """Run tests on a copy of the package, in a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=PROJECT,
        env={**plain, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake.replace(" ", "-"))
def test_mutant_is_killed(mutant: Mutant, copy: Path) -> None:
    """With the mistake in the code, the test that is named beside it fails."""
    changed = copy / "otp_enroll" / mutant.file
    right = changed.read_text(encoding="utf-8")
    assert right.count(mutant.right) == 1, "the code has changed: write the mutant anew"
    changed.write_text(right.replace(mutant.right, mutant.wrong), encoding="utf-8")
    try:
        done = outcome_of([f"tests/{mutant.killer}"], copy)
    finally:
        changed.write_text(right, encoding="utf-8")
    assert done.returncode == 1, f"the mutant lives:\n{done.stdout}{done.stderr}"
    assert " failed" in done.stdout, f"the test could not run:\n{done.stdout}{done.stderr}"


def test_killers_pass_on_the_right_code(copy: Path) -> None:
    """Each killer passes on an unchanged copy: it is the mistake that it fails for."""
    killers = {f"tests/{mutant.killer}" for mutant in MUTANTS}
    done = outcome_of(sorted(killers), copy)
    assert done.returncode == 0, done.stdout


def test_mutants_are_many() -> None:
    """There are forty and more, in every file of the rules, and no two are alike."""
    assert len(MUTANTS) >= 40
    assert len({mutant.mistake for mutant in MUTANTS}) == len(MUTANTS)
    files = {mutant.file for mutant in MUTANTS}
    named = {"judging", "budget", "confirming", "setups", "transitions", "proofs", "recovery"}
    assert {f"core/{name}.py" for name in named} <= files
    assert {"core/typed_text.py", "attempt.py", "enroller.py", "view.py"} <= files
