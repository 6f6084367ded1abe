"""The store contract: run its checks against a store and report, one line for each.

Nothing is green by absence: ``ok`` means that every check which was given what it needs passed or
is waived, one that hangs or is skipped for no declared reason has failed, and what was not checked
is listed.
"""

from __future__ import annotations

import asyncio
import platform
import time
import unittest
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from otp_enroll.testing import (
    checks_basics,
    checks_faults,
    checks_flow,
    checks_identity,
    checks_joined,
    checks_races,
    checks_swaps,
)
from otp_enroll.testing.handles import CLOSE_LIMIT, OpenStore
from otp_enroll.testing.joined import JoinedHarness
from otp_enroll.testing.kit import Check, CheckSkipped, Inputs, Kit, Names
from otp_enroll.testing.report import CheckResult, Report, Verdict

CHECKS: Final[tuple[Check, ...]] = tuple(
    sorted(
        (
            *checks_basics.CHECKS,
            *checks_identity.CHECKS,
            *checks_swaps.CHECKS,
            *checks_faults.CHECKS,
            *checks_races.CHECKS,
            *checks_flow.CHECKS,
            *checks_joined.CHECKS,
        ),
        key=lambda check: check.id,
    )
)
"""All checks in the order of their numbers."""

SHAPE: Final = ("01", "02", "03", "04", "05")
"""If one of these fails, the others would fail for the same reason and are not run."""

TIME_LIMIT: Final = 60.0
"""Seconds that one check may take before it counts as hanging."""


def run(
    open_store: OpenStore,
    *,
    import_path: str | None = None,
    joined: JoinedHarness | None = None,
    break_connection: Callable[[Any], object] | None = None,
    raw_count: Callable[[str], object] | None = None,
    open_read_only: OpenStore | None = None,
    waivers: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    time_limit: float = TIME_LIMIT,
) -> Report:
    """Check a store, sync or async, with accounts that the run makes and deletes.

    Args:
        open_store: Returns a context manager, plain or async, that gives a new handle on the
            same data each time.
        import_path: ``"pkg.mod:open_store"``, for the race between processes.
        joined: How to get at the app's transactions, if there is a joined store.
        break_connection: Called with a store; breaks its connection for good.
        raw_count: Called with a user id; counts what is stored of it, past the store.
        open_read_only: As ``open_store``, for a handle that cannot write.
        waivers: For should-checks that may fail: number → reason.
        environment: What else the report is to say: driver, server version, isolation, collation.
        time_limit: Seconds that one check may take.

    Raises:
        ValueError: A waiver without a reason, for a must-check, or for a check there is not.
        RuntimeError: An event loop runs in this thread.
    """
    inputs = Inputs(
        open_store=open_store,
        import_path=import_path,
        joined=joined,
        break_connection=break_connection,
        raw_count=raw_count,
        open_read_only=open_read_only,
    )
    session = Session(inputs, checked_waivers(waivers or {}), time_limit)
    return asyncio.run(session.report(CHECKS, environment or {}))


def checked_waivers(waivers: Mapping[str, str]) -> Mapping[str, str]:
    """Return the waivers, if each covers a should-check and says why.

    Raises:
        ValueError: One does not.
    """
    levels = {check.id: check.level for check in CHECKS}
    for number, reason in waivers.items():
        if levels.get(number) != "S":
            raise ValueError(f"there is no should-check {number!r} to waive")
        if not reason.strip():
            raise ValueError(f"the waiver of {number} needs a reason")
    return waivers


class Session:
    """One run: judges checks one after the other.

    Args:
        inputs: What the author of the adapter gave.
        waivers: Number → reason, checked.
        time_limit: Seconds that one check may take.
    """

    def __init__(self, inputs: Inputs, waivers: Mapping[str, str], time_limit: float) -> None:
        self._inputs = inputs
        self._waivers = waivers
        self._time_limit = time_limit
        self._names = Names()  # of the whole run, so that all of them are deleted at its end
        self._store = "unknown"

    async def report(self, checks: Sequence[Check], environment: Mapping[str, str]) -> Report:
        """Judge all checks, stop after a wrong shape, and delete what they made."""
        results: list[CheckResult] = []
        for check in checks:
            misshapen = any(not one.ok for one in results if one.id in SHAPE)
            if misshapen and check.id not in SHAPE:
                results.append(_result(check, "not run", "the store has not the right shape"))
            else:
                results.append(await self.judge(check))
        left_behind = await self._clean()
        known = {
            "otp-enroll": _version(),
            "python": platform.python_version(),
            "platform": platform.system(),
            "store": self._store,
        }
        return Report(
            results=tuple(results),
            environment={**known, **environment},
            left_behind=left_behind,
        )

    async def judge(self, check: Check) -> CheckResult:
        """Run one check, if it has what it needs.

        Returns:
            Its verdict with a sentence: what holds, what is wrong, or why it was not checked.
        """
        if check.needs is not None and getattr(self._inputs, check.needs) is None:
            return _result(check, "not run", f"needs {check.needs}=")
        started = time.perf_counter()
        result = await self._verdict(check)
        seconds = round(time.perf_counter() - started, 3)
        return _result(check, *self._waived(check, *result), seconds=seconds)

    def _waived(self, check: Check, verdict: Verdict, sentence: str) -> tuple[Verdict, str]:
        """Put a waiver over a failure; one over anything else is a failure itself.

        A waiver that stays when its reason is gone would hide the next mistake.
        """
        reason = self._waivers.get(check.id)
        if reason is None:
            return verdict, sentence
        if verdict == "failed":
            return "waived", f"{reason} ({sentence})"
        return "failed", f"take the waiver back, the check is {verdict}"

    async def _verdict(self, check: Check) -> tuple[Verdict, str]:
        """Perform a check within the time limit, and say how it ended."""
        # Not wait_for, which waits for the end of what it cancels: a plain call that hangs in a
        # thread cannot be cancelled at all.
        task = asyncio.ensure_future(self._perform(check))
        done, _ = await asyncio.wait({task}, timeout=self._time_limit)
        if not done:
            task.cancel()
            await asyncio.wait({task}, timeout=3 * CLOSE_LIMIT)
            return "failed", f"no answer after {self._time_limit:g} s: a call hangs"
        try:
            task.result()
        except CheckSkipped as skipped:
            return "skipped", str(skipped)
        except unittest.SkipTest as skipped:  # a fixture that finds no server must not look green
            return "skipped", f"not for a reason that a store may declare: {skipped}"
        except AssertionError as failure:
            return "failed", str(failure)
        except Exception as error:  # noqa: BLE001  # whatever a store raises fails the check
            return "failed", f"{type(error).__name__}: {error}"
        return "passed", check.claim

    async def _perform(self, check: Check) -> None:
        async with Kit(self._inputs, self._names) as kit:
            await check.body(kit)

    async def _clean(self) -> tuple[str, ...]:
        """Delete the accounts of the run, and return those that would not go."""
        left = dict(self._names.used)
        task = asyncio.ensure_future(self._delete(left))
        await asyncio.wait({task}, timeout=self._time_limit)
        if task.done():
            task.exception()  # asked for, or asyncio complains that nobody did
        return tuple(left)

    async def _delete(self, left: dict[str, None]) -> None:
        """Delete accounts one by one, and take from the dict those that are gone."""
        async with Kit(self._inputs, self._names) as kit:
            handle = await kit.open()
            kind = type(handle.target)
            self._store = f"{kind.__module__}.{kind.__qualname__}"
            for user_id in list(left):
                await handle.delete(user_id)
                del left[user_id]


def _version() -> str:
    try:
        return version("otp-enroll")
    except PackageNotFoundError:  # a copy in an app's own tree
        return "not installed"


def judge_one(check: Check, inputs: Inputs, waivers: Mapping[str, str]) -> CheckResult:
    """Judge one check alone, and delete what it made.

    For test frameworks that want a test for each check: their order does not matter then.
    """
    session = Session(inputs, checked_waivers(waivers), TIME_LIMIT)
    (result,) = asyncio.run(session.report([check], {})).results
    return result


def _result(check: Check, verdict: Verdict, sentence: str, *, seconds: float = 0.0) -> CheckResult:
    return CheckResult(
        id=check.id,
        name=check.name,
        level=check.level,
        group=check.group,
        verdict=verdict,
        seconds=seconds,
        sentence=sentence,
    )
