"""The demo, as a newcomer runs it: without a keyboard, and with one and a real authenticator."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parent.parent / "examples" / "terminal.py"
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def test_demo_plays_the_person_without_a_keyboard(tmp_path: Path) -> None:
    """With nobody there it walks the whole life, names each step's time, and exits with 0."""
    picture = tmp_path / "qr.png"
    done = subprocess.run(  # noqa: S603  # our own script
        [sys.executable, str(DEMO), "--png", str(picture)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    for expected in (
        "state disabled",
        "✓ begin",
        "ClockSkewError",
        "✓ confirm",
        "recovery codes, shown this once",
        "✓ log in",
        "CodeReusedError",
        "MalformedCodeError",
        "Change phone",
        "ProofRequiredError",
        "✓ disable with a recovery code",
        "That is the whole life of an account.",
    ):
        assert expected in done.stdout
    steps = [line for line in done.stdout.splitlines() if line.startswith(("✓", "✗"))]
    assert all(re.search(r"\(\d+\.\d ms\)$", step) for step in steps)
    assert picture.read_bytes().startswith(b"\x89PNG")


@contextlib.contextmanager
def listening_to_the_keyboard() -> Iterator[None]:
    """Undo what a shell does to a job in the background: all that it starts ignores interrupts.

    Here and not between fork and exec, where a thread that is not there may hold a lock.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Terminal:
    """A person's terminal: reads what the demo prints and types answers."""

    def __init__(self, picture: Path) -> None:
        self.master, slave = pty.openpty()
        with listening_to_the_keyboard():
            self.process = subprocess.Popen(  # noqa: S603  # our own script
                [sys.executable, str(DEMO), "--png", str(picture)],
                stdin=slave,
                stdout=slave,
                stderr=subprocess.STDOUT,
            )
        os.close(slave)
        self.screen = ""

    def until(self, text: str) -> str:
        """Read until a text appears; return what came since the last call."""
        deadline = time.monotonic() + 30
        while text not in self.screen:
            assert time.monotonic() < deadline, f"{text!r} did not appear in {self.screen!r}"
            ready, _, _ = select.select([self.master], [], [], 1)
            if ready:
                try:
                    self.screen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # the other end is closed
                    assert text in self.screen, self.screen
        head, _, self.screen = self.screen.partition(text)
        return head + text

    def types(self, line: str) -> None:
        """Answer a question."""
        os.write(self.master, line.encode() + b"\n")

    def close(self) -> None:
        """Hang up."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def oath_code(oathtool: str, key: str, later: int = 0) -> str:
    """Ask a real authenticator for the code."""
    moment = f"@{int(time.time()) + later}"
    arguments = [oathtool, "--totp", "-b", "--now", moment, key]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  # a program that the test asked for


def test_demo_with_a_keyboard_and_a_real_authenticator(need_tool: Any, tmp_path: Path) -> None:
    """The codes of oathtool carry a person through the life, and zbarimg reads the written QR."""
    oathtool, zbarimg = need_tool("oathtool"), need_tool("zbarimg")
    picture = tmp_path / "qr.png"
    terminal = Terminal(picture)
    try:
        for _ in ("first phone", "second phone"):
            terminal.until("Type this key:  ")
            key = terminal.until("\r\n").strip().replace(" ", "")
            terminal.until("On the same phone:         ")
            uri = terminal.until("\r\n").strip()
            read = subprocess.run(  # noqa: S603  # a program that the test asked for
                [zbarimg, "--quiet", "--raw", str(picture)],
                capture_output=True,
                text=True,
                check=True,
            )
            assert read.stdout.strip() == uri
            terminal.until("app shows: ")
            terminal.types("12 34")
            terminal.until("MalformedCodeError")
            terminal.until("app shows: ")
            terminal.types(oath_code(oathtool, key).translate(PERSIAN))
            terminal.until("✓ confirm")
            terminal.until("next code: ")
            terminal.types(oath_code(oathtool, key, later=30))
            terminal.until("✓ log in")
        terminal.until("That is the whole life of an account.")
        assert terminal.process.wait(10) == 0
    finally:
        terminal.close()


@pytest.mark.requirement("R-103")
def test_demo_ends_when_the_store_fails(tmp_path: Path) -> None:
    """A failure is not one more wrong code at the prompt: it is said, and that was all."""
    terminal = Terminal(tmp_path / "qr.png")
    try:
        path = terminal.until(".db").rpartition(" ")[2]
        terminal.until("app shows: ")
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("ALTER TABLE otp_enrollment RENAME TO away")
        terminal.types("123456")
        told = terminal.until("\nStorageError: the store failed")
        assert "✗" not in told
        assert "Traceback" not in told
        assert terminal.process.wait(10) == 1
    finally:
        terminal.close()


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Interrupt, and once more if it came between the question and the wait for its answer."""
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
            return


@pytest.mark.parametrize("how", ["end of input", "interrupt"])
def test_demo_can_be_left(how: str, tmp_path: Path) -> None:
    """Who leaves in the middle sees no traceback."""
    terminal = Terminal(tmp_path / "qr.png")
    try:
        terminal.until("app shows: ")
        if how == "interrupt":
            interrupt(terminal.process)
        else:
            os.write(terminal.master, b"\x04")
        assert "Traceback" not in terminal.until("stopped")
        assert terminal.process.wait(10) == 1
    finally:
        terminal.close()
