"""Races between processes, in step by pipes: a rival is armed, let go, and may be held up.

By pipes and not by a clock: on a busy machine two processes that start "at the same time" run one
after the other, and a store whose lock holds threads alone passes.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import IO, Any, Final, cast

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.races import Stop

PROCESSES: Final = 2

STOPPED: Final = "stopped"
"""What a process says in place of an answer, when its save is held up."""

_LAST_WORDS: Final = 5.0  # seconds; after them a store that hangs is killed


def imported(path: str) -> Any:  # noqa: ANN401  # whatever stands there
    """Import the module of ``pkg.mod:name``, and return what is named.

    Raises:
        ValueError: It has no colon.
    """
    module, colon, name = path.partition(":")
    if not colon:
        raise ValueError(f"{path!r} is not of the form pkg.mod:name")
    return getattr(importlib.import_module(module), name)


class Rival:
    """Another process with a handle of its own.

    A fresh interpreter, never a fork: a fork would share locks, caches and connections with this
    one, and it is those that the race is to do without.

    Args:
        import_path: ``"pkg.mod:open_store"``.
    """

    def __init__(self, import_path: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # the code of the one who runs the checks
            [sys.executable, "-m", "otp_enroll.testing.rival", import_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # pytest and others put folders on the path that the environment does not name.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._told = cast("IO[str]", self._process.stdin)
        self._heard = cast("IO[str]", self._process.stdout)

    async def ready(self) -> None:
        """Wait until it has opened its handle."""
        await self._expect("ready")

    async def arm(self, record: StoredEnrollment, *, expected: str, stop_at: int) -> None:
        """Give it the next save, and wait until it needs nothing but the word to go.

        At that touch (0: at none) it is held up, says ``STOPPED``, and needs the word again.

        Args:
            record: What to save.
            expected: The revision that it must find.
            stop_at: At which touch of record or revision it is held up, counted from 1.
        """
        self._say({"record": asdict(record), "expected": expected, "stop_at": stop_at})
        await self._expect("armed")

    def go(self) -> None:
        """Let it save, or go on."""
        self._say("go")

    async def answer(self) -> object:
        """Return what its save returned, or what it raised as a text; or ``STOPPED``.

        Raises:
            AssertionError: It ended before it answered.
        """
        return json.loads(await self._line())

    def end(self) -> None:
        """End it, by silence or else by force."""
        with self._process as process:
            try:
                process.communicate(timeout=_LAST_WORDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def _say(self, message: object) -> None:
        self._told.write(json.dumps(message) + "\n")
        self._told.flush()

    async def _line(self) -> str:
        # In a thread: the other process's answer is awaited on the same loop.
        line = await asyncio.to_thread(self._heard.readline)
        if not line:
            raise AssertionError("a process of the race ended; its error output says why")
        return line

    async def _expect(self, word: str) -> None:
        line = json.loads(await self._line())
        if line != word:
            raise AssertionError(f"a process of the race said {line!r} and not {word!r}")


@asynccontextmanager
async def rivals_of(import_path: str) -> AsyncGenerator[list[Rival]]:
    """Start the processes, wait until they are ready, and end them."""
    rivals = [Rival(import_path) for _ in range(PROCESSES)]
    try:
        for rival in rivals:
            await rival.ready()
        yield rivals
    finally:
        for rival in rivals:
            rival.end()


async def race_processes(
    processes: Sequence[Rival],
    records: Sequence[StoredEnrollment],
    expected: str,
    stop: Stop | None,
) -> list[object]:
    """Let two processes save at once, or the second one while the first is held up.

    Args:
        processes: Two.
        records: What each is to save.
        expected: The revision that both expect.
        stop: Where the first is held up, or ``None``.

    Returns:
        Their answers, in order.
    """
    first, second = processes
    await first.arm(records[0], expected=expected, stop_at=stop.at if stop else 0)
    await second.arm(records[1], expected=expected, stop_at=0)
    first.go()
    if stop is None:
        second.go()
        return [await first.answer(), await second.answer()]
    heard = await first.answer()
    second.go()
    answering = asyncio.ensure_future(second.answer())
    if heard == STOPPED:
        stop.is_reached = True
        stop.is_in_vain = not (await asyncio.wait({answering}, timeout=stop.patience))[0]
        first.go()
        heard = await first.answer()
    return [heard, await answering]
