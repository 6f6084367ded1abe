"""Load for two seconds; `make load` has eight processes and ten thousand accounts for a minute."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from proof.kills import load
from proof.kills.databases import site_of
from proof.kills.nest import nest_for


@pytest.mark.requirement("R-64", "R-65")
@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_load(kind: str, tmp_path: Path) -> None:
    """Under load no error is a stranger's, no wrong code is lost and no code wins twice."""
    seed = secrets.randbits(32)
    with site_of(kind, tmp_path) as site, nest_for(kind) as nest:
        report = load.run(site, nest, seed, processes=2, accounts=100, seconds=2)
    assert report.findings == [], f"seed {seed}"
    assert {"begin", "confirm", "verify"} <= set(report.micros())


def test_percentiles() -> None:
    """A percentile is a latency that was measured: the nearest rank."""
    times = list(range(1, 201))
    assert [load.percentile(times, percent) for percent in (50, 95, 99, 100)] == [
        100,
        190,
        198,
        200,
    ]
    assert load.percentile([7], 50) == 7
