"""Measure: ``make bench``, or ``python -m benchmarks`` in an environment that has the peers.

A whole run renews docs/benchmarks.json, and from it the table and the plot of docs/benchmarks.md.
A short or partial one prints, and keeps its figures in .bench/ alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.parts import PARTS
from benchmarks.plot import draw
from benchmarks.report import KEPT, PAGE, PLOT, PROJECT, renew, terminal_table, versions
from benchmarks.results import Results, of_this_machine
from benchmarks.rows import verdicts

PLACE: Final = PROJECT / ".bench"
"""Where databases are made: on the disk of the project, since /tmp may be memory."""


def measure(parts: Sequence[str], *, short: bool) -> Results:
    """Run the parts one after the other."""
    results = of_this_machine()
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE, prefix="data-") as folder:
        for name in parts:
            started = time.monotonic()
            results.samples[name] = PARTS[name].run(Path(folder), results, short=short)
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)
    return results


def publish(results: Results) -> None:
    """Write the table and the plot of the docs."""
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    PLOT.write_text(draw(verdicts(results)), encoding="utf-8")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="few rounds: half a minute")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART")
    parser.add_argument("--render", action="store_true", help="only write the docs, from the JSON")
    asked = parser.parse_args()
    if asked.render:
        publish(Results.read(KEPT))
        return
    warnings.simplefilter("error", ResourceWarning)
    results = measure(asked.only or list(PARTS), short=asked.short)
    print(f"\n{terminal_table(results)}\n\n{versions(results)}")
    if asked.short or asked.only:
        results.write(PLACE / "results.json")
        return
    results.write(KEPT)
    publish(results)


if __name__ == "__main__":
    main()
