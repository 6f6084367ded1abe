"""Running the store contract: reports, waivers, the command line, processes, and pytest."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import unittest
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from helpers import broken_races, broken_stores, broken_values, broken_writes
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import CheckResult, contract, processes, rival, run
from otp_enroll.testing.__main__ import main
from otp_enroll.testing.handles import Worker
from otp_enroll.testing.kit import Inputs
from otp_enroll.testing.pytest_contract import StoreContract

CHECKS = {check.id: check for check in contract.CHECKS}

RACES = "helpers.broken_races"


def judged(number: str, inputs: Inputs) -> CheckResult:
    """Judge one check."""
    return contract.judge_one(CHECKS[number], inputs, {})


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new file, told to other processes too."""
    monkeypatch.setenv(broken_races.PATH, str(tmp_path / "kit.db"))
    return tmp_path / "kit.db"


def memory() -> Callable[[], Any]:
    """Return an open_store whose handles are one store in memory."""
    store = MemoryStore()
    return lambda: contextlib.nullcontext(store)


def test_call_that_is_given_up_is_not_made() -> None:
    """A worker passes over a call that nobody awaits any more."""
    made: list[int] = []

    async def give_up() -> None:
        worker, gate = Worker(), threading.Event()
        first = worker.submit(gate.wait)
        worker.submit(lambda: made.append(1)).cancel()
        await asyncio.sleep(0)  # the loop tells the worker
        gate.set()
        await first
        await worker.submit(lambda: made.append(2))
        worker.stop()

    asyncio.run(give_up())
    assert made == [2]


def test_wrong_shape_stops_the_run() -> None:
    """A wrong shape is one failure, and nothing else is run."""
    report = run(broken_stores.inputs_for(broken_stores.JoinedIsANumber).open_store)
    verdicts = [result.verdict for result in report.results]
    assert (verdicts[:5], set(verdicts[5:])) == (["passed"] * 4 + ["failed"], {"not run"})
    assert (report.ok, report.level) == (False, "none")


def test_store_that_cannot_be_opened_is_not_ok() -> None:
    """Without a store nothing passes, and the report says why."""
    report = run(broken_races.open_nothing)
    assert not report.ok
    assert "ConnectionRefusedError" in str(report)
    assert not any(result.verdict == "passed" for result in report.results)


def test_hanging_store_ends() -> None:
    """A call that hangs fails its check and ends no run."""
    report = run(broken_stores.inputs_for(broken_races.Hangs).open_store, time_limit=0.3)
    assert "hangs" in str(report)
    assert not report.ok


def test_thread_bound_store_may_say_so() -> None:
    """A store that says that its handles are bound to a thread need not share them."""

    class Bound(broken_races.SharesItsAnswer):
        """One thread for each handle."""

        thread_bound = True

    result = judged("45", broken_stores.inputs_for(Bound))
    assert (result.verdict, result.ok) == ("skipped", True)


def test_other_skips_are_not_ok() -> None:
    """A skip for any other reason is no pass."""

    def open_store() -> Any:
        raise unittest.SkipTest("no server")

    result = judged("06", Inputs(open_store=open_store))
    assert (result.verdict, result.ok) == ("skipped", False)
    assert "no server" in result.sentence


def test_waiver_covers_a_failure() -> None:
    """A should-check that fails is waived with its reason."""
    open_store = broken_stores.inputs_for(broken_writes.ComparesFolded).open_store
    assert not run(open_store).ok
    report = run(open_store, waivers={"29b": "revisions are always in lower case"})
    assert report.ok
    assert [one.id for one in report.results if one.verdict == "waived"] == ["29b"]


def test_waiver_that_is_not_needed_fails() -> None:
    """A waiver fails the run when its check passes after all."""
    report = run(memory(), waivers={"29b": "we thought so"})
    assert not report.ok
    assert [one.id for one in report.results if not one.ok and one.group == "core"] == ["29b"]


@pytest.mark.parametrize("waivers", [{"24": "why not"}, {"29b": " "}, {"99": "what"}])
def test_waiver_has_limits(waivers: dict[str, str]) -> None:
    """A waiver needs a reason and a should-check."""
    with pytest.raises(ValueError, match="waive"):
        run(memory(), waivers=waivers)


def test_report_speaks() -> None:
    """A report has a line for each check, tells what was not checked, and is JSON on demand."""
    report = run(memory(), environment={"isolation": "none"})
    lines = str(report).splitlines()
    assert len([line for line in lines if line[:2].isdigit()]) == len(CHECKS)
    assert "not checked: raw count, fault, read-only, process, joined" in lines
    assert lines[-1] == "ok, level core"
    told = json.loads(report.to_json())
    assert (told["ok"], told["level"], len(told["results"])) == (True, "core", len(CHECKS))
    assert told["environment"]["store"] == "otp_enroll.storage.memory.MemoryStore"
    assert told["environment"]["isolation"] == "none"


def test_what_is_left_behind_is_told() -> None:
    """Accounts of the run that cannot be deleted are told."""
    report = run(broken_stores.inputs_for(broken_values.MissingIsAnError).open_store)
    assert report.left_behind
    assert "left behind" in str(report)


def test_command_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with 0 if the store is ok, and prints JSON on demand."""
    arguments = [
        f"{RACES}:open_sqlite",
        "--break-connection",
        f"{RACES}:break_for_good",
    ]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["level"] == "core+process+fault"
    assert main([f"{RACES}:open_nothing", "--waive", "29b=for no reason"]) == 1
    assert "NOT OK, level none" in capsys.readouterr().out


def test_command_refuses_a_path() -> None:
    """What is not pkg.mod:name is refused."""
    with pytest.raises(ValueError, match=r"pkg\.mod:name"):
        main(["broken_races"])


def test_module_is_a_command() -> None:
    """The package can be run with -m, and tells how."""
    command = [sys.executable, "-m", "otp_enroll.testing", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # fixed
    assert "open_store" in told.stdout
    assert rival.__doc__


def test_error_in_a_process_is_no_win(path: Path) -> None:
    """What a rival raises in the race between processes is told, and counts as lost."""
    inputs = Inputs(open_store=broken_races.open_sqlite, import_path=f"{RACES}:open_refuses_aloud")
    assert judged("51", inputs).verdict == "passed"


def test_process_that_does_not_end_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rival that cannot close its store is killed."""
    monkeypatch.setattr(processes, "_LAST_WORDS", 0.1)
    inputs = Inputs(open_store=broken_races.open_sqlite, import_path=f"{RACES}:open_never_closes")
    assert judged("51", inputs).verdict == "passed"


def test_race_tells_when_a_process_chatters(path: Path) -> None:
    """A store that writes on the pipe of the race fails the check with a sentence."""
    inputs = Inputs(open_store=broken_races.open_sqlite, import_path=f"{RACES}:open_chatters")
    result = judged("51", inputs)
    assert (result.verdict, "said 0" in result.sentence) == ("failed", True)


def test_race_tells_when_a_process_dies(path: Path) -> None:
    """A rival that cannot open the store fails the check with a sentence."""
    inputs = Inputs(open_store=broken_races.open_sqlite, import_path=f"{RACES}:open_nothing")
    result = judged("51", inputs)
    assert (result.verdict, "ended" in result.sentence) == ("failed", True)


class TestMemoryStore(StoreContract):
    """The class for pytest, over a correct store."""

    open_store = staticmethod(memory())


@pytest.mark.parametrize(
    ("kind", "number", "outcome"),
    [
        (broken_writes.IgnoresExpected, "24", pytest.fail.Exception),
        (broken_stores.Correct, "58", pytest.skip.Exception),
    ],
)
def test_pytest_class_fails_and_skips(kind: Any, number: str, outcome: type[Exception]) -> None:
    """In the class for pytest a failed check fails, and one without its needs is skipped."""

    class Contract(StoreContract):
        """Over the store in question."""

        open_store = staticmethod(broken_stores.inputs_for(kind).open_store)

    with pytest.raises(outcome):
        Contract().test_store_contract(CHECKS[number])


def test_kit_needs_no_test_framework() -> None:
    """Neither the kit nor the library imports pytest, and the library imports no kit."""
    program = (
        "import sys, otp_enroll; print('otp_enroll.testing' in sys.modules);"
        "import otp_enroll.testing; print('pytest' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # fixed
    assert told.stdout.split() == ["False", "False"]


def test_copy_that_is_not_installed_can_run_the_kit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that carries the library in its own tree gets a report, without a version."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(contract, "version", missing)
    report = run(memory())
    assert report.ok
    assert report.environment["otp-enroll"] == "not installed"
