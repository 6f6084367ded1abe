"""What tests of the example web apps share: one app in a process, its clock, and its accounts."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from shutil import rmtree
from typing import Final

from typing_extensions import Self

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "examples"
_LIKE_SARA: Final = (
    "INSERT INTO users (id, name, mail, password, helps) "
    "SELECT ?, ?, ?, password, helps FROM users WHERE name = 'sara'"
)
LIKE_SARA: Final = {
    "flask": _LIKE_SARA,
    "fastapi": _LIKE_SARA,
    "django": "INSERT INTO auth_user (id, username, email, password, is_superuser, first_name, "
    "last_name, is_staff, is_active, date_joined) SELECT CAST(SUBSTR(?, 6) AS INTEGER), ?, ?, "
    "password, 0, '', '', 0, 1, date_joined FROM auth_user WHERE username = 'sara'",
}
"""A further account with the password of the demo's Sara, by app: id, name, mail address."""
APPS: Final = tuple(LIKE_SARA)
RECOVERY_CODES: Final = 4
"""How many a set has by the policy of ``--short``."""
START: Final = 1_800_000_000
"""Unix seconds: 15 January 2027, 08:00 UTC, the beginning of a period."""


class WebApp:
    """An example app that serves on a loopback port of its own until it is closed.

    It reads the time from a file, so that a test can move it, and ends by itself when the test
    process does, because it then sees the end of its standard input.

    Args:
        name: ``"flask"``, ``"fastapi"`` or ``"django"``.
        options: What else ``web/serve.py`` takes.

    Attributes:
        origin: Its address, without a slash at the end.
        directory: Its working directory, with the database.
    """

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix="otp_enroll_web_"))
        self._numbers = itertools.count(1)
        self.now = START
        self._log = (self.directory / "log").open("ab")
        self._start(options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def now(self) -> int:
        """The time that the app sees, in Unix seconds."""
        return self._now

    @now.setter
    def now(self, seconds: int) -> None:
        self._now = seconds
        fresh = self.directory / "clock.new"
        fresh.write_text(str(seconds))
        # The app may read at this moment: it sees the old time or the new, never half a number.
        fresh.replace(self.directory / "clock")

    def advance(self, seconds: int = 60) -> None:
        """Move its clock; two periods make sure that no code is met again."""
        self.now += seconds

    def new_account(self) -> str:
        """Make an account that no other test uses, with Sara's password, and return its name."""
        number = next(self._numbers)
        name = f"person{number}"
        row = (f"user-1{number:03}", name, f"{name}@example.com")
        with closing(sqlite3.connect(self.directory / "app.db")) as database, database:
            database.execute(LIKE_SARA[self.name], row)
        return name

    def restart(self, *options: str) -> None:
        """End it and start it again over the same data, on another port."""
        self._end()
        self._start(options)

    def log(self) -> str:
        """Return what the app wrote to its standard error."""
        return (self.directory / "log").read_text(errors="replace")

    def close(self) -> None:
        """End it in good order and delete its data."""
        self._end()
        self._log.close()
        rmtree(self.directory, ignore_errors=True)

    def _start(self, options: tuple[str, ...]) -> None:
        script = str(Path(__file__).parents[1] / "web" / "serve.py")
        self._process = subprocess.Popen(  # noqa: S603  # our own script
            [sys.executable, script, self.name, *options],
            cwd=self.directory,
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        try:
            self.origin = f"http://127.0.0.1:{int(self._heard())}"
        except BaseException:
            self.close()
            raise

    def _end(self) -> None:
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _heard(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline().strip():
            return line
        raise RuntimeError(f"the {self.name} app did not start:\n{self.log()[-3000:]}")
