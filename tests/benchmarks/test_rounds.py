"""The benchmark's arithmetic: rounds, ratios, gates, and what it writes into the docs."""

from __future__ import annotations

import gc
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.plot import draw
from benchmarks.report import KEPT, PAGE, PLOT, renew, terminal_table
from benchmarks.results import Results
from benchmarks.rounds import (
    Samples,
    Side,
    Spread,
    Steps,
    interleave,
    per_call,
    ratios,
    spread,
    totals,
    without_collector,
)
from benchmarks.rows import OURS, ROWS, Row, Verdict, judge, verdicts

SVG = "{http://www.w3.org/2000/svg}"
ROW = Row(what="a", part="p", reference="b", gate=2.0, goal=1.0)


def results_of(samples: Samples) -> Results:
    return Results(machine="2 cores", versions={"Python": "3"}, samples={"p": samples})


def verdict_of(value: float, row: Row = ROW) -> Verdict:
    return Verdict(row=row, value=Spread(median=value, low=value * 0.9, high=value * 1.1))


def test_a_batch_calls_once_with_each_argument() -> None:
    """Every tuple of arguments is one call, in order, and the arguments may be a generator."""
    called: list[tuple[int, str]] = []
    took = per_call(
        lambda number, text: called.append((number, text)), ((n, str(n)) for n in range(3))
    )
    assert called == [(0, "0"), (1, "1"), (2, "2")]
    assert took > 0


def test_rounds_are_interleaved_and_every_second_one_is_reversed() -> None:
    """No side has a time of its own, none is always first, and warming up is no round."""
    order: list[str] = []

    def side(name: str) -> Side:
        def run() -> Steps:
            order.append(name)
            return {"step": float(len(order))}

        return Side(name=name, run=run)

    samples = interleave([side("a"), side("b")], rounds=2, warm_ups=1)
    assert "".join(order) == "baabba"
    assert samples == {"a": {"step": [3.0, 6.0]}, "b": {"step": [4.0, 5.0]}}


def test_garbage_is_not_collected_within_a_batch() -> None:
    """The collector is off within, and on again after a batch that failed."""
    with pytest.raises(ZeroDivisionError), without_collector():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_ratio_is_taken_within_a_round() -> None:
    """A machine that gets ten times slower for both changes no ratio."""
    ours = {"begin": [1.0, 10.0], "verify": [3.0, 30.0]}
    theirs = {"begin": [2.0, 20.0]}
    assert totals(ours) == [4.0, 40.0]
    assert ratios(ours, theirs) == [2.0, 2.0]


def test_spread_is_median_and_quartiles() -> None:
    """Half of the rounds lies between low and high; one value is all three."""
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(median=3.0, low=2.0, high=4.0)
    assert spread([7.0]) == Spread(median=7.0, low=7.0, high=7.0)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (0.9, "pass, goal"),
        (1.0, "pass, goal"),
        (1.5, "pass"),
        (2.0, "pass"),
        (2.001, "short by 1 %"),
        (3.0, "short by 50 %"),
    ],
)
def test_verdicts(value: float, word: str) -> None:
    """A gate is reached at its own value; a row that is short says by what part of the gate."""
    assert verdict_of(value).word == word


def test_a_row_without_a_gate_has_no_verdict() -> None:
    """A row that is there to compare neither passes nor is short."""
    assert verdict_of(100, replace(ROW, gate=None, goal=None)).word == ""


def test_rows_are_judged_by_their_unit() -> None:
    """Ratios are divided, sides are held against each other, sizes are taken as they are."""
    results = results_of(
        {
            OURS: {"bytes": [4.0, 6.0]},
            "b": {"x": [2.0, 2.0]},
            "-1": {"x": [10.3, 103.0]},
            "0": {"x": [10.0, 100.0]},
            "+1": {"x": [9.9, 99.0]},
        }
    )
    ratio = judge(ROW, results)
    percent = judge(replace(ROW, unit="percent", reference=""), results)
    size = judge(replace(ROW, unit="bytes", reference=""), results)
    assert ratio is not None
    assert percent is not None
    assert size is not None
    assert ratio.value.median == 2.5
    assert percent.value.median == pytest.approx(100 * (10.3 / 9.9 - 1))
    assert size.value.median == 5.0
    assert judge(replace(ROW, part="not run"), results) is None


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    """The JSON holds everything that the table is made of."""
    results = results_of({OURS: {"begin": [1.5], "verify": [2.0]}, "b": {"life": [3.0]}})
    results.write(tmp_path / "deep" / "results.json")
    assert Results.read(tmp_path / "deep" / "results.json") == results


def test_plot_is_an_svg_with_a_bar_for_each_ratio() -> None:
    """The plot parses, names itself, and has bar, gate and goal of each ratio, inside the frame."""
    shown = [verdict_of(0.05), verdict_of(3.0, replace(ROW, what="<&>", gate=None, goal=None))]
    root = ET.fromstring(draw([*shown, verdict_of(9, replace(ROW, unit="bytes"))]))  # noqa: S314  # our own text
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    bars = root.findall(f".//{SVG}g/{SVG}rect")
    assert root.find(f"{SVG}title") is not None
    assert len(bars) == 2
    assert len(root.findall(f".//{SVG}circle")) == 1
    assert "<&>, against b: 3.00 × (2.70 to 3.30)" in [bar.findtext(f"{SVG}title") for bar in bars]
    for bar in bars:
        assert float(bar.attrib["width"]) > 0
        assert 0 <= float(bar.attrib["x"]) <= width - float(bar.attrib["width"])
        assert 0 <= float(bar.attrib["y"]) <= height - float(bar.attrib["height"])


def test_plot_of_no_ratio_is_refused() -> None:
    """There is no empty plot."""
    with pytest.raises(ValueError, match="nothing to draw"):
        draw([])


def test_page_must_have_the_marks() -> None:
    """A page without the place for the table is not overwritten."""
    with pytest.raises(ValueError, match="the two marks"):
        renew("# Benchmarks\n", Results.read(KEPT))


def test_kept_run_is_whole() -> None:
    """The kept figures are of a run that had every part, and the terminal shows a line a row."""
    results = Results.read(KEPT)
    assert [one.row for one in verdicts(results)] == list(ROWS)
    assert len(terminal_table(results).splitlines()) == len(ROWS) + 1
    assert {len(steps) for steps in results.samples["full"].values()} == {4}


def test_page_and_plot_show_the_kept_figures() -> None:
    """Table and plot of the docs are what docs/benchmarks.json makes them."""
    results, page = Results.read(KEPT), PAGE.read_text(encoding="utf-8")
    assert renew(page, results) == page
    assert draw(verdicts(results)) == PLOT.read_text(encoding="utf-8")


def test_page_explains_each_row_that_is_short() -> None:
    """Each row that misses its gate has a section, and no other has one."""
    short = [one.row.title for one in verdicts(Results.read(KEPT)) if one.short_by is not None]
    explained = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(explained) == sorted(short)
