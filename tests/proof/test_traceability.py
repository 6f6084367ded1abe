"""The page of requirements says which tests carry which line, and no line of weight has none."""

from __future__ import annotations

import re

from proof import traceability


def test_page_has_every_line() -> None:
    """There are a hundred requirements and forty-two bugs of others, each once."""
    numbers = [line.number for line in traceability.lines()]
    wanted = [f"R-{n:02}" for n in range(1, 101)] + [f"B-{n:02}" for n in range(1, 43)]
    assert numbers == wanted


def test_lines_of_weight_are_carried() -> None:
    """Each requirement of level M and each bug has a test, but for the two that come later."""
    carried = traceability.marked()
    missing = [line.number for line in traceability.lines() if line.needs_a_test]
    assert [number for number in missing if not carried.get(number)] == []
    assert not any(carried.get(number) for number in traceability.LATER)


def test_tests_carry_known_lines_alone() -> None:
    """No mark names a line that the page does not have."""
    known = {line.number for line in traceability.lines()}
    assert set(traceability.marked()) <= known


def test_last_column_is_what_the_tests_say() -> None:
    """The page names the files and counts of today; ``tests/proof/traceability.py`` writes it."""
    assert traceability.PAGE.read_text(encoding="utf-8") == traceability.written_anew()


def test_later_lines_say_so() -> None:
    """The page and the program agree on what comes later."""
    later = [line.number for line in traceability.lines() if "Comes later." in line.what]
    assert tuple(later) == traceability.LATER
    assert re.search("Two lines come later: R-24 and R-60", traceability.PAGE.read_text())
