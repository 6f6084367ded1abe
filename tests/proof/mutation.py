"""What `make mutmut` needs besides mutmut: an order for the tests, and a verdict on the result.

As a plugin of pytest (``-p mutation``) it puts those tests first that are likely to notice. As a
program it prints the score and the survivors, and fails where the score is low or where
docs/mutants.md does not list exactly the survivors.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

PROJECT: Final = Path(__file__).parents[2]
PAGE: Final = PROJECT / "docs" / "mutants.md"
RESULTS: Final = PROJECT / "mutants"
LEAST: Final = 95
"""Percent of the mutants that must not survive."""

KILLERS: Final = Path("killers.jsonl")
"""Function and test of each kill so far. The tests run in the folder that mutmut makes."""

_ROW: Final = re.compile(
    r"^\| `([\w.]+)` \| `(.+?)` \| (?:`(.+?)`|nothing) \| (.+) \|$", re.MULTILINE
)


# --- the plugin ---


def _mutated() -> str:
    """Return the function that is mutated, as mutmut spells it, or nothing."""
    function, numbered, _ = os.environ.get("MUTANT_UNDER_TEST", "").partition("__mutmut_")
    return function if numbered else ""


def pytest_configure() -> None:
    """Draw the same examples each time, and take none for wrong because the machine is busy."""
    settings.register_profile(
        "mutation",
        database=None,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("mutation")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what killed other mutants of the function; then one case of each test."""
    kills: Counter[str] = Counter()
    if KILLERS.exists():
        for line in KILLERS.read_text(encoding="utf-8").splitlines():
            function, test = json.loads(line)
            kills[test] += function == _mutated()
    cases: Counter[str] = Counter()
    rank: dict[pytest.Item, tuple[int, int]] = {}
    for item in items:
        test = item.nodeid.partition("[")[0]
        rank[item] = (-kills[item.nodeid], cases[test])
        cases[test] += 1
    items.sort(key=rank.__getitem__)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what killed. A line is one write, so that two children do not mix theirs."""
    if report.failed and _mutated():
        with KILLERS.open("a", encoding="utf-8") as killers:
            killers.write(json.dumps([_mutated(), report.nodeid]) + "\n")


# --- the verdict ---


@dataclass(frozen=True, order=True)
class Change:
    """A mutant by what it changes: its number changes with the code around it."""

    function: str
    right: str
    wrong: str

    @classmethod
    def of(cls, mutant: str, diff: str) -> Change:
        """Read mutmut's name and its diff."""
        module, _, mangled = mutant.removeprefix("otp_enroll.").rpartition(".")
        name = mangled.rpartition("__mutmut_")[0][2:]  # after "x_" or "xǁ"
        lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
        right, wrong = (
            " ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
        )
        return cls(f"{module}.{name}".replace("ǁ", "."), right, wrong)

    def row(self, why: str) -> str:
        """Write the line of the page's table."""
        right, wrong = (code.replace("|", r"\|") for code in (self.right, self.wrong))
        return f"| `{self.function}` | `{right}` | {f'`{wrong}`' if wrong else 'nothing'} | {why} |"


def listed() -> dict[Change, str]:
    """Return what the page lists, with the reasons."""
    return {
        Change(function, right.replace(r"\|", "|"), wrong.replace(r"\|", "|")): why
        for function, right, wrong, why in _ROW.findall(PAGE.read_text(encoding="utf-8"))
    }


def _mutmut(*arguments: str) -> str:
    program = Path(sys.executable).with_name("mutmut")
    return subprocess.run(  # noqa: S603  # our own environment's
        [program, *arguments], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout


def survivors() -> Iterator[tuple[str, Change]]:
    """Yield (status, change) of each mutant that no test noticed, or that none ran through."""
    for line in _mutmut("results").splitlines():
        mutant, _, status = line.strip().rpartition(": ")
        if status == "not checked":
            raise SystemExit(f"{mutant} was not tried: let mutmut run to its end")
        if status != "timeout":
            yield status, Change.of(mutant, _mutmut("show", mutant).partition("\n")[2])


def main() -> int:
    """Print the score and the survivors; return 0 if both are as they should be."""
    _mutmut("export-cicd-stats")
    counts = json.loads((RESULTS / "mutmut-cicd-stats.json").read_text(encoding="utf-8"))
    alive = list(survivors())
    killed, total = counts["total"] - len(alive), counts["total"]
    score = 100 * killed / total
    print(f"{killed} of {total} mutants killed: {score:.1f} %, {counts['timeout']} by the clock")
    reasons = listed()
    for status, change in sorted(alive, key=lambda one: one[1]):
        print(change.row(reasons.get(change, f"NOT LISTED, {status}")))
    stale = sorted(set(reasons) - {change for _, change in alive})
    for change in stale:
        print(change.row("LISTED, BUT KILLED"))
    unlisted = any(change not in reasons for _, change in alive)
    return 1 if score < LEAST or unlisted or stale else 0


if __name__ == "__main__":
    sys.exit(main())
