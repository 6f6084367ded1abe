"""What a run measured, on what, and with which versions: kept as JSON without names of places."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.rounds import Samples

_DISTRIBUTIONS: Final = (
    "otp-enroll",
    "pyotp",
    "segno",
    "cryptography",
    "SQLAlchemy",
    "psycopg",
    "libpass",
    "Django",
    "django-otp",
    "django-two-factor-auth",
    "django-allauth",
    "Flask-Security",
)


@dataclass(slots=True, kw_only=True)
class Results:
    """One run.

    Attributes:
        machine: The kind of machine, in general words.
        versions: Of everything that was measured.
        samples: Microseconds a call (of the document: bytes) by part, side and step, one value
            a round.
    """

    machine: str
    versions: dict[str, str]
    samples: dict[str, Samples] = field(default_factory=dict[str, Samples])

    def write(self, path: Path) -> None:
        """Write a line a step, so that two runs can be compared by eye."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{{\n{_nested(_lines(self))}\n}}\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what ``write`` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def _lines(results: Results) -> Iterable[str]:
    yield f'"machine": {json.dumps(results.machine)}'
    yield f'"versions": {json.dumps(results.versions)}'
    parts = [
        f"{json.dumps(part)}: {{\n"
        + _nested(f"{json.dumps(side)}: {json.dumps(steps)}" for side, steps in samples.items())
        + "\n}"
        for part, samples in results.samples.items()
    ]
    yield f'"samples": {{\n{_nested(parts)}\n}}'


def _nested(lines: Iterable[str]) -> str:
    return ",\n".join(lines)


def of_this_machine() -> Results:
    """Start the results of a run here."""
    versions = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version}
    versions |= {name: version(name) for name in _DISTRIBUTIONS}
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    return Results(machine=machine, versions=versions)
