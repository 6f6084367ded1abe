"""Peers that need a process of their own: started once, and asked over a pipe for each batch.

One process works at a time, so that a peer in a worker and a side in this process are measured
alike; the pipe is not counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import IO, Final

from typing_extensions import Self

from benchmarks.rounds import Side, Steps, without_collector

Batch = Callable[[int], Steps]

_PERIOD: Final = 30
_BATCH_SECONDS: Final = 4


class WorkerError(Exception):
    """The worker ended; its last words are on the standard error."""


class Worker:
    """A process that runs batches of peers.

    Args:
        module: What it runs; it calls ``serve``.
        arguments: For it.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            (sys.executable, "-m", module, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._hear()  # what it sets up is not to run beside another's batch

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()

    def side(self, name: str, batch: str, count: int) -> Side:
        """Return one of its batches as a side."""
        return Side(name=name, run=lambda: self._ask(batch, count))

    def _ask(self, batch: str, count: int) -> Steps:
        asked = _pipe(self._process.stdin)
        asked.write(json.dumps([batch, count]) + "\n")
        asked.flush()
        return self._hear()

    def _hear(self) -> Steps:
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise WorkerError(self._process.args)
        steps: Steps = json.loads(line)
        return steps


def _pipe(end: IO[str] | None) -> IO[str]:
    assert end is not None
    return end


def serve(batches: Mapping[str, Batch]) -> None:
    """Run the batches that are asked for, until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # a peer that prints must not answer

    def answer(steps: Steps) -> None:
        answers.write(json.dumps(steps) + "\n")
        answers.flush()

    answer({})
    for line in sys.stdin:
        name, count = json.loads(line)
        with without_collector():
            steps = batches[name](count)
        answer(steps)


def wait_out_the_period() -> None:
    """Wait where a period is about to end: a peer reads the real clock, and codes would be late."""
    left = _PERIOD - time.time() % _PERIOD
    if left < _BATCH_SECONDS:
        time.sleep(left)
