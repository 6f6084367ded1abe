"""The store contract is tested by broken stores: each must die, and by the check that is meant."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import broken_joined
import broken_races
import broken_stores
import broken_values
import broken_writes
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.storage.sqlite import SQLiteStore
from otp_enroll.testing import (
    CheckResult,
    Report,
    checks_flow,
    checks_joined,
    contract,
    run,
)
from otp_enroll.testing.kit import Inputs

TESTS = Path(__file__).parent
RUNS = int(os.environ.get("STORE_CONTRACT_RUNS", "2"))
CHECKS = {check.id: check for check in contract.CHECKS}
MODULES = (broken_stores, broken_values, broken_writes, broken_races, broken_joined)
BROKEN: list[Any] = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type)
    and kind.__module__ == module.__name__
    and getattr(kind, "killer", None)
]


def broken(*, joined: bool) -> list[Any]:
    """Return the broken stores as parameters, named by mistake and killer."""
    return [
        pytest.param(kind, id=f"{kind.__name__}-{kind.killer}")
        for kind in BROKEN
        if issubclass(kind, broken_joined.JoinedStore) is joined
    ]


def judged(number: str, inputs: Inputs) -> CheckResult:
    """Judge one check."""
    return contract.judge_one(CHECKS[number], inputs, {})


def judged_thrice(number: str, make: Callable[[], Inputs]) -> CheckResult:
    """Judge one check until it fails, three times at most: a busy machine can spoil a race."""
    for _ in range(2):
        result = judged(number, make())
        if result.verdict == "failed":
            return result
    return judged(number, make())


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new file, told to other processes too."""
    monkeypatch.setenv(broken_races.PATH, str(tmp_path / "kit.db"))
    return tmp_path / "kit.db"


def failures(report: Report) -> list[str]:
    return [str(result) for result in report.results if result.verdict == "failed"]


@pytest.mark.parametrize("kind", broken(joined=False))
def test_broken_store_is_killed(kind: Any) -> None:
    """Each broken store fails the check that is meant for its mistake."""
    result = judged_thrice(kind.killer, lambda: broken_stores.inputs_for(kind))
    assert result.verdict == "failed", str(result)


@pytest.mark.parametrize("kind", broken(joined=True))
def test_broken_joined_store_is_killed(
    kind: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each broken joined store fails the check that is meant for its mistake."""
    monkeypatch.setattr(checks_joined, "_MARGIN", 0.5)
    inputs = Inputs(open_store=lambda: SQLiteStore(path), joined=broken_joined.Harness(path, kind))
    result = judged(kind.killer, inputs)
    assert result.verdict == "failed", str(result)


def test_broken_stores_are_many() -> None:
    """There are forty mistakes and more, and each check of a sync store in memory kills one."""
    assert len(BROKEN) >= 40
    others = {"47", "48", "51", "53", "54", "55", "56", "57"}  # shown below
    assert {kind.killer for kind in BROKEN} | others == set(CHECKS)


def test_page_lists_them_all() -> None:
    """The page for authors of adapters has every check, and every mistake with its killer."""
    page = (TESTS.parent / "docs" / "write-an-adapter.md").read_text(encoding="utf-8")
    for check in contract.CHECKS:
        assert f"| {check.id} | {check.level} | {check.claim} | " in page
    for kind in BROKEN:
        mistake = kind.__doc__.rstrip(".")
        assert f"| `{kind.__name__}` | {mistake} | {kind.killer} |" in page


@pytest.mark.parametrize("number", ["47", "48", "53", "54", "55", "56", "57"])
def test_look_then_act_breaks_the_flow(number: str) -> None:
    """A store that looks first and then acts breaks each promise of the flow."""
    make = partial(broken_stores.inputs_for, broken_races.LooksThenUpdates)
    result = judged_thrice(number, make)
    assert result.verdict == "failed", str(result)


@pytest.mark.parametrize("kind", [broken_values.NeverCommits, broken_writes.CountsToTwenty])
def test_loop_of_the_library_finds_more(kind: Any) -> None:
    """A record that vanishes, or that nobody can update, is found by the library's loop too."""
    assert judged("47", broken_stores.inputs_for(kind)).verdict == "failed"


def test_fault_in_a_race_is_no_refusal() -> None:
    """An error that is not of the library's is raised, not counted as a refusal."""
    with pytest.raises(KeyError):
        checks_flow._accepted([KeyError()])


def test_threads_are_not_processes(path: Path) -> None:
    """A store that holds back threads alone passes their races, and fails those of processes."""
    inputs = Inputs(
        open_store=broken_races.open_locks_its_threads,
        import_path="broken_races:open_locks_its_threads",
    )
    assert [judged(number, inputs).verdict for number in ("44", "46", "51")] == [
        "passed",
        "passed",
        "failed",
    ]


def test_correct_store_is_ok() -> None:
    """The store that the broken ones are made of passes all that needs no other process."""
    inputs = broken_stores.inputs_for(broken_stores.Correct)
    report = run(
        inputs.open_store,
        break_connection=inputs.break_connection,
        raw_count=inputs.raw_count,
        open_read_only=inputs.open_read_only,
    )
    assert (failures(report), report.ok, report.level) == ([], True, "core+fault")
    assert report.unchecked == ("process", "joined")


@pytest.mark.parametrize("number", range(RUNS))
@pytest.mark.parametrize("kind", [MemoryStore, AsyncMemoryStore])
def test_memory_stores_are_ok(kind: type[Any], number: int) -> None:
    """The stores in memory pass, run after run."""
    store = kind()
    report = run(lambda: contextlib.nullcontext(store))
    assert (failures(report), report.ok, report.level) == ([], True, "core")
    assert store.user_ids() == [] if kind is MemoryStore else store._store.user_ids() == []


@pytest.mark.parametrize("number", range(RUNS))
@pytest.mark.parametrize(
    ("name", "breaking"),
    [
        ("open_sqlite", broken_races.break_for_good),
        ("open_async_sqlite", broken_races.break_async_for_good),
    ],
)
def test_sqlite_stores_are_ok(name: str, breaking: Any, number: int, path: Path) -> None:
    """The SQLite stores pass every check, run after run."""
    report = run(
        getattr(broken_races, name),
        import_path=f"broken_races:{name}",
        joined=broken_joined.Harness(path, broken_joined.JoinedStore),
        break_connection=breaking,
        raw_count=broken_races.count_rows,
        open_read_only=broken_races.open_reads_only if name == "open_sqlite" else None,
    )
    assert (failures(report), report.ok) == ([], True)
    assert report.level == "core+process+joined+fault"
    assert report.unchecked == (() if name == "open_sqlite" else ("read-only",))
    assert ("not checked" in str(report)) is bool(report.unchecked)


def test_pessimistic_app_has_no_conflict(path: Path) -> None:
    """Where transactions lock at once no conflict arises, and the check for one is skipped."""
    harness = broken_joined.Harness(path, broken_joined.JoinedStore, "BEGIN IMMEDIATE")
    inputs = Inputs(open_store=lambda: SQLiteStore(path, timeout=0.2), joined=harness)
    results = [judged(number, inputs) for number in ("63", "64", "65", "66")]
    assert [one.verdict for one in results] == ["passed", "passed", "passed", "skipped"]
    assert all(one.ok for one in results)


def test_second_writer_may_be_asked_to_retry(path: Path) -> None:
    """An error to retry is as good as a refusal, for a second writer that cannot wait."""
    harness = broken_joined.Harness(path, broken_joined.JoinedStore, "BEGIN IMMEDIATE")
    harness.lock_timeout = 0.02
    inputs = Inputs(open_store=lambda: SQLiteStore(path), joined=harness)
    assert judged("64", inputs).verdict == "passed"
