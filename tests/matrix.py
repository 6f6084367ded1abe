"""Run the tests on every Python from 3.10 up, with the oldest and the newest of the dependencies.

``make matrix`` does; each pair gets a virtual environment of its own. Arguments choose pairs:
``3.12 oldest`` runs one, ``oldest`` all of that kind. The oldest versions are those that
pyproject.toml names. What no version can change is left out: the pages in a browser, processes
that are killed, mutants.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

PROJECT: Final = Path(__file__).parent.parent
PLACE: Final = PROJECT / ".matrix"
OLDEST_PYTHON: Final = (3, 10)
LEFT_OUT: Final = ("tests/web", "tests/proof/kills")
SHOWN: Final = ("pyotp", "segno", "sqlalchemy", "redis", "django", "cryptography")

_REQUIREMENT: Final = re.compile(
    r'"(?P<name>[a-z-]+)(?:\[[a-z]+\])?>=(?P<version>[0-9.]+)'
    r"(?:; python_version (?P<order><|>=) '3\.(?P<minor>\d+)')?\""
)


def pythons() -> Iterator[tuple[str, str]]:
    """Yield (version, path) of each interpreter on this machine, the oldest first."""
    tried: set[str] = set()
    places = [Path(place) for place in os.environ.get("PATH", "").split(os.pathsep)]
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    places += sorted((root / "versions").glob("*/bin"))
    for minor in range(OLDEST_PYTHON[1], 30):
        for place in places:
            path = shutil.which(f"python3.{minor}", path=str(place))
            version = f"3.{minor}"
            if path and version not in tried and _runs(path):
                tried.add(version)
                yield version, path


def _runs(path: str) -> bool:
    """Tell whether an interpreter starts; the ones of a version manager may be mere signposts."""
    return subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0  # noqa: S603  # found above


def oldest(python: str) -> Iterator[str]:
    """Yield a constraint for each dependency and extra: the lowest version that it may have.

    But for typing-extensions, an old one of which would make pip choose old test tools.
    """
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    project = text[text.index("\ndependencies") : text.index("\n[dependency-groups]")]
    for found in _REQUIREMENT.finditer(project):
        minor = int(found["minor"] or 0)
        newer = int(python.removeprefix("3.")) >= minor
        fits = found["order"] is None or newer == (found["order"] == ">=")
        if fits and found["name"] in SHOWN:
            yield f"{found['name']}=={found['version']}"


def run(command: Sequence[object], output: int | IO[str] = subprocess.PIPE) -> tuple[int, str]:
    """Run a command in the project; return how it ended, and what it said unless a file has it."""
    done = subprocess.run(  # noqa: S603  # our own command lines
        [str(part) for part in command],
        cwd=PROJECT,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout or ""


def installed(version: str, path: str, kind: str) -> Path | str:
    """Make a virtual environment and return its Python, or what went wrong."""
    place = PLACE / f"{version}-{kind}"
    python = place / "bin" / "python"
    shutil.rmtree(place, ignore_errors=True)
    constraints = PLACE / f"{version}-{kind}.txt"
    PLACE.mkdir(exist_ok=True)
    constraints.write_text("\n".join(oldest(version)) if kind == "oldest" else "")
    for command in (
        (path, "-m", "venv", place),
        (python, "-m", "pip", "install", "-qq", "--upgrade", "pip>=25.1"),
        (
            *(python, "-m", "pip", "install", "-qq", "--constraint", constraints),
            *("--editable", ".[crypto,sqlalchemy,redis,django]", "--group", "test"),
        ),
    ):
        failed, said = run(command)
        if failed:
            return said
    return python


def versions(python: Path) -> str:
    """Tell what was installed."""
    script = f"from importlib.metadata import version as v; print(*(v(n) for n in {SHOWN!r}))"
    _, told = run((python, "-c", script))
    return ", ".join(f"{name} {version}" for name, version in zip(SHOWN, told.split(), strict=True))


def tested(version: str, path: str, kind: str) -> bool:
    """Run the tests on one pair, with a log that can be followed, and tell what came of it."""
    started = time.monotonic()
    python = installed(version, path, kind)
    if isinstance(python, str):
        print(f"{version} {kind}: not installed\n{python}", flush=True)
        return False
    left_out = [f"--ignore={name}" for name in LEFT_OUT]
    log = PLACE / f"{version}-{kind}.log"
    with log.open("w", encoding="utf-8") as file:
        failed, _ = run(
            (python, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *left_out), file
        )
    minutes = (time.monotonic() - started) / 60
    said = log.read_text(encoding="utf-8")
    last = said.strip().splitlines()[-1]
    print(f"{version} {kind} ({versions(python)}): {last}; {minutes:.1f} min", flush=True)
    if failed:
        print(said, flush=True)
    return not failed


def main(arguments: Sequence[str]) -> int:
    """Run the pairs that the arguments choose, or all."""
    kinds = [kind for kind in ("oldest", "newest") if kind in arguments] or ["oldest", "newest"]
    chosen = [argument for argument in arguments if argument.startswith("3.")]
    results = [
        tested(version, path, kind)
        for version, path in pythons()
        if not chosen or version in chosen
        for kind in kinds
    ]
    print(f"{sum(results)} of {len(results)} passed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
