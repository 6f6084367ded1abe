"""The parent's side: starting workers, reading their journals, killing them."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from proof.kills.journal import Op, ops_of
from proof.kills.worker import Task

DRIVERS: Final = {
    "postgresql": ("psycopg", "otp_enroll.storage.sqlalchemy", "sqlalchemy.dialects.postgresql"),
    "mariadb": ("pymysql", "otp_enroll.storage.sqlalchemy", "sqlalchemy.dialects.mysql"),
    "redis": ("otp_enroll.storage.redis",),
    "sqlite": ("otp_enroll.storage.sqlite",),
}
"""What a nest imports before it forks."""

PATIENCE: Final = 120.0
PIPE_BYTES: Final = 1 << 20

_POLL: Final = 0.001


class Worker:
    """A worker that runs, or ran.

    Attributes:
        task: What it does.
        lines: What it has written so far.
    """

    def __init__(self, nest: Nest, task: Task) -> None:
        self.task = task
        self.lines: list[str] = []
        self._nest = nest
        self._reading, writing = os.pipe()
        with suppress(OSError, AttributeError):  # Linux alone has it, and it only saves time
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._pid = nest.ask({"work": asdict(task)}, writing)
        os.close(writing)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ops(self) -> list[Op]:
        """Return its calls. Call it when it is dead."""
        return ops_of(self.lines)

    def wait_for(self, lines: int) -> None:
        """Wait until it has written so many lines more.

        Raises:
            TimeoutError: It did not, or it ended.
        """
        due = len(self.lines) + lines
        deadline = time.monotonic() + PATIENCE
        while len(self.lines) < due:
            if not self._reader.is_alive() or time.monotonic() > deadline:
                raise TimeoutError(f"worker {self.task.number} does not go on")
            time.sleep(_POLL)

    def kill(self) -> int:
        """Kill it, read what is left in the pipe, and return how it ended (-9: killed)."""
        status = self._nest.ask({"kill": self._pid})
        self._reader.join()
        return status

    def finish(self) -> int:
        """Wait until it ends by itself, and return how."""
        self._reader.join()
        return self._nest.ask({"kill": self._pid})

    def _read(self) -> None:
        with os.fdopen(self._reading, encoding="utf-8") as pipe:
            # The end comes when the last process that could write is gone.
            for line in pipe:
                self.lines.append(line)


class Nest:
    """The process that forks workers, with what it needs to be told.

    Args:
        control: This end of the socket.
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def spawn(self, task: Task) -> Worker:
        """Start a worker."""
        return Worker(self, task)

    def ask(self, message: dict[str, object], *descriptors: int) -> int:
        """Send it something and return its answer.

        Raises:
            ConnectionError: It is gone.
        """
        socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)
        answer = self._control.recv(4096)
        if not answer:
            raise ConnectionError("the nest of the workers is gone")
        return int(json.loads(answer))


@contextmanager
def nest_for(kind: str) -> Generator[Nest]:
    """Start a nest for one kind of database, out of reach of whatever measures this process."""
    tests = Path(__file__).parents[2]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    ours, theirs = socket.socketpair()
    command = (sys.executable, "-m", "proof.kills.worker", str(theirs.fileno()), *DRIVERS[kind])
    with (
        ours,
        subprocess.Popen(  # noqa: S603  # our own interpreter and script
            command,
            env={**kept, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        ) as process,
    ):
        theirs.close()
        try:
            yield Nest(ours)
        finally:
            ours.close()
            process.wait()
