"""The store contract is tested by broken stores: each must die, and by the check that is meant."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from helpers import broken_joined, broken_races, broken_stores, broken_values, broken_writes
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.storage.sqlite import SQLiteStore
from otp_enroll.testing import (
    CheckResult,
    Report,
    checks_flow,
    checks_joined,
    checks_races,
    contract,
    run,
)
from otp_enroll.testing.kit import Inputs
from otp_enroll.testing.races import WORKERS

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
    result = judged(kind.killer, broken_stores.inputs_for(kind))
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
    result = judged(number, broken_stores.inputs_for(broken_races.LooksTogether))
    assert result.verdict == "failed", str(result)


def test_loop_of_the_library_finds_more() -> None:
    """A record that vanishes is found by the library's loop too."""
    inputs = broken_stores.inputs_for(broken_values.NeverCommits)
    assert judged("47", inputs).verdict == "failed"


class Overtaken(broken_stores.Correct):
    """A correct store on the worst of machines: every update overtakes the first handle's.

    The others wait until the first handle has loaded what they replace, and it waits until they
    have replaced it, as long as they have updates to make.
    """

    def __init__(self, table: broken_stores.Table) -> None:
        super().__init__(table)
        self.is_first = table.notes.setdefault("first", self) is self
        self.notes = table.notes
        self.changed: threading.Condition = table.notes.setdefault("changed", threading.Condition())

    def load(self, user_id: str) -> Any:
        found = super().load(user_id)
        with self.changed:
            if self.is_first and found is not None:
                self.notes["loaded"] = found.revision
                self.changed.notify_all()
        return found

    def save(self, record: broken_stores.Record, *, expected: str | None) -> Any:
        if expected is None:
            return super().save(record, expected=None)
        with self.changed:
            self.changed.wait_for(partial(self.may_save, record.user_id), broken_stores.PATIENCE)
            stored = super().save(record, expected=expected)
            what = f"{'first' if self.is_first else 'others'} {stored}"
            self.notes[what] = self.notes.get(what, 0) + 1
            self.changed.notify_all()
            return stored

    def may_save(self, user_id: str) -> bool:
        overtaken = self.notes.get("loaded") != self.table.rows[user_id].revision
        done = self.notes.get("others True") == OTHERS
        return done or overtaken is self.is_first


OTHERS = (WORKERS - 1) * checks_races._INCREMENTS
"""The updates that all workers but one make."""


def test_busy_machine_is_no_livelock() -> None:
    """A worker that is overtaken by every update of the others is late, and the store is right."""
    table = broken_stores.Table()
    open_store = broken_stores.opener(Overtaken, table)
    result = judged("47", Inputs(open_store=open_store))
    assert (result.verdict, table.notes["first False"]) == ("passed", OTHERS), str(result)


def test_updates_that_nobody_can_make_are_a_livelock() -> None:
    """A store that refuses for ever, though nobody else saves, is told from a late one."""
    result = judged("47", broken_stores.inputs_for(broken_writes.CountsToTwenty))
    assert (result.verdict, "livelock" in result.sentence) == ("failed", True)


class Copies(broken_stores.Correct):
    """A store that works on a copy of what it is given."""

    def save(self, record: broken_stores.Record, *, expected: str | None) -> Any:
        return super().save(copy.deepcopy(record), expected=copy.deepcopy(expected))


class ReadsOften(broken_stores.Correct):
    """A store that reads what it is given again and again."""

    def save(self, record: broken_stores.Record, *, expected: str | None) -> Any:
        assert [record.user_id != expected for _ in range(20)]
        return super().save(record, expected=expected)


@pytest.mark.parametrize("kind", [Copies, ReadsOften])
def test_kit_minds_no_habits(kind: Any) -> None:
    """A store may copy what it is given, and read it as often as it likes."""
    numbers = ("43", "44", "46", "49")
    results = [judged(number, broken_stores.inputs_for(kind)) for number in numbers]
    assert [str(one) for one in results if one.verdict != "passed"] == []


def test_fault_in_a_race_is_no_refusal() -> None:
    """An error that is not of the library's is raised, not counted as a refusal."""
    with pytest.raises(KeyError):
        checks_flow._accepted([KeyError()])


def test_threads_are_not_processes(path: Path) -> None:
    """A store that holds back threads alone passes their races, and fails those of processes."""
    inputs = Inputs(
        open_store=broken_races.open_locks_its_threads,
        import_path="helpers.broken_races:open_locks_its_threads",
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
        import_path=f"helpers.broken_races:{name}",
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
