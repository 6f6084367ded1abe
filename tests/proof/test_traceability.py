"""The page of requirements says which tests carry which line, and no line of weight has none."""

from __future__ import annotations

from proof import traceability


def test_page_has_every_line() -> None:
    """There are 127 requirements and 68 bugs of others, each once."""
    numbers = [line.number for line in traceability.lines()]
    wanted = [f"R-{n:02}" for n in range(1, 128)] + [f"B-{n:02}" for n in range(1, 69)]
    assert numbers == wanted


def test_lines_of_weight_are_carried() -> None:
    """Each requirement of level M and each bug has a test, unless it comes later."""
    carried = traceability.marked()
    missing = [line.number for line in traceability.lines() if line.needs_a_test]
    assert [number for number in missing if not carried.get(number)] == []


def test_what_comes_later_is_not_carried() -> None:
    """A line that a test carries does not say that it comes later."""
    carried = traceability.marked()
    later = [line.number for line in traceability.lines() if line.comes_later]
    assert [number for number in later if carried.get(number)] == []


def test_tests_carry_known_lines_alone() -> None:
    """No mark names a line that the page does not have."""
    known = {line.number for line in traceability.lines()}
    assert set(traceability.marked()) <= known


def test_last_column_is_what_the_tests_say() -> None:
    """The page names the files and counts of today; ``tests/proof/traceability.py`` writes it."""
    assert traceability.PAGE.read_text(encoding="utf-8") == traceability.write_column()
