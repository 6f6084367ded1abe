"""Races between processes, in step by pipes: each rival is armed, and then told to go.

Run as ``python -m otp_enroll.testing.processes pkg.mod:open_store`` this module is the rival.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final, TextIO

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Handle, opened
from otp_enroll.testing.races import SlowText, slow

PROCESSES: Final = 2

_LAST_WORDS: Final = 5.0


def imported(path: str) -> Any:  # noqa: ANN401  # whatever stands there
    """Return what ``pkg.mod:name`` names.

    Raises:
        ValueError: It has no colon.
    """
    module, colon, name = path.partition(":")
    if not colon:
        raise ValueError(f"{path!r} is not of the form pkg.mod:name")
    return getattr(importlib.import_module(module), name)


class Rival:
    """Another process with a handle of its own."""

    def __init__(self, import_path: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # the code of whoever runs the checks
            [sys.executable, "-m", __name__, import_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    async def ready(self) -> None:
        """Wait until it has opened its handle."""
        await self._heard("ready")

    async def arm(self, record: StoredEnrollment, *, expected: str, slowly: bool) -> None:
        """Give it the next save, and wait until it needs nothing but the word to go."""
        self._say({"record": asdict(record), "expected": expected, "slowly": slowly})
        await self._heard("armed")

    def go(self) -> None:
        """Let it save."""
        self._say("go")

    async def answer(self) -> object:
        """Return what its save returned; what it raised is a text."""
        return json.loads(await self._line())

    def end(self) -> None:
        """End it, by silence or else by force."""
        with self._process as process:
            try:
                process.communicate(timeout=_LAST_WORDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def _say(self, message: object) -> None:
        if self._process.stdin:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    async def _line(self) -> str:
        pipe = self._process.stdout
        line = await asyncio.to_thread(pipe.readline) if pipe else ""
        if not line:
            raise AssertionError("a process of the race ended; its error output says why")
        return line

    async def _heard(self, word: str) -> None:
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


async def serve(import_path: str, heard: TextIO, told: TextIO) -> None:
    """Save what the other end asks for, when it says so, until it is silent."""
    async with opened(imported(import_path)) as caller:
        handle = Handle(caller.target, caller.worker)
        _tell(told, "ready")
        # Reading blocks the loop, which has nothing else to do.
        while line := heard.readline():
            order = json.loads(line)
            record, expected = StoredEnrollment(**order["record"]), order["expected"]
            if order["slowly"]:
                record, expected = slow(record), SlowText(expected)
            _tell(told, "armed")
            heard.readline()
            _tell(told, await _saved(handle, record, expected))


async def _saved(handle: Handle, record: StoredEnrollment, expected: str) -> object:
    try:
        answer = await handle.save(record, expected=expected)
    except Exception as error:  # noqa: BLE001  # it is told to the process that judges
        return f"{type(error).__name__}: {error}"
    return answer if isinstance(answer, bool) else repr(answer)


def _tell(told: TextIO, message: object) -> None:
    told.write(json.dumps(message) + "\n")
    told.flush()


def main() -> None:
    """Talk over standard input and output; what a store prints goes to the error output."""
    told, sys.stdout = sys.stdout, sys.stderr
    asyncio.run(serve(sys.argv[1], sys.stdin, told))


if __name__ == "__main__":
    main()
