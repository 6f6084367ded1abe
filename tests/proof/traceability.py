"""Which tests carry which line of docs/requirements.md: the page's last column, and `make trace`.

As a program it writes the column. As a plugin of pytest (``-p proof.traceability``) it runs the
tests that carry a line, prints each with its result, and fails where a line has none.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "requirements.md"
MARKS: Final = ("requirement", "regression_of")
LATER: Final = "Comes later."
"""How a line ends that is not built yet, and that nothing carries."""

_ROW: Final = re.compile(r"^\| ([RB]-\d+) \| ([MSA]) \| (.+?) \|(.*)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Line:
    """One line of the page."""

    number: str
    level: str
    what: str
    carried_by: str

    @property
    def comes_later(self) -> bool:
        """Whether it is not built yet."""
        return self.what.endswith(LATER)

    @property
    def needs_a_test(self) -> bool:
        """Whether a test must carry it today."""
        return self.level == "M" and not self.comes_later


def lines() -> list[Line]:
    """Read the page."""
    found = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [Line(number, level, what, column.strip()) for number, level, what, column in found]


def marked() -> dict[str, Counter[str]]:
    """Return how many test functions of which file carry a line, by the marks in the source."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted(TESTS.rglob("test_*.py")):
        name = path.relative_to(TESTS).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for line in {line for one in node.decorator_list for line in _lines_of(one)}:
                    found[line][name] += 1
    return found


def _lines_of(decorator: ast.expr) -> list[str]:
    """Return the lines that a decorator names, also where a parameter of it is marked."""
    return [
        argument.value
        for call in ast.walk(decorator)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in MARKS
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]


def column(files: Counter[str]) -> str:
    """Write the last column of a line."""
    return ", ".join(f"`{name}` {count}" for name, count in sorted(files.items()))


def write_column() -> str:
    """Return the page with its last column as the tests are now."""
    carried = marked()

    def row(match: re.Match[str]) -> str:
        number, level, what, _ = match.groups()
        return " ".join(
            f"| {number} | {level} | {what} | {column(carried.get(number, Counter()))} |".split()
        )

    return _ROW.sub(row, PAGE.read_text(encoding="utf-8"))


class Trace:
    """A run of the tests that carry a line."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, str]] = defaultdict(dict)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Keep the tests that carry a line, and let their reports name it."""
        for item in items:
            names = {line for mark in MARKS for one in item.iter_markers(mark) for line in one.args}
            if names:
                item.user_properties.append(("lines", sorted(names)))
        rest = [item for item in items if not item.user_properties]
        config.hook.pytest_deselected(items=rest)
        items[:] = [item for item in items if item.user_properties]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a test."""
        if report.when != "call" and report.passed:
            return
        for name, carried in report.user_properties:
            if name == "lines" and isinstance(carried, list):
                for line in carried:
                    self.results[line][report.nodeid] = report.outcome

    @property
    def untested(self) -> list[str]:
        """Lines that must be carried, and that no test carried and passed."""
        return [
            line.number
            for line in lines()
            if line.needs_a_test and "passed" not in self.results[line.number].values()
        ]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where a line has no test."""
        if not hasattr(session.config, "workerinput") and self.untested:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print each line with its tests and their results."""
        write = terminalreporter.write_line
        for line in lines():
            write(f"{line.number} [{line.level}] {line.what}")
            for test, outcome in sorted(self.results[line.number].items()):
                write(f"    {outcome:7} {test}")
        for number in self.untested:
            write(f"NO TEST CARRIES {number}")


def pytest_configure(config: pytest.Config) -> None:
    """Trace this run."""
    config.pluginmanager.register(Trace(), "otp_enroll_trace")


if __name__ == "__main__":
    PAGE.write_text(write_column(), encoding="utf-8")
