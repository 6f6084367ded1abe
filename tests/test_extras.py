"""A leaf whose packages are missing says what to install."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires

import pytest

LEAVES = {
    "otp_enroll.storage.aesgcm": ("cryptography", "crypto"),
    "otp_enroll.storage.redis": ("redis", "redis"),
    "otp_enroll.storage.sqlalchemy": ("sqlalchemy", "sqlalchemy"),
    "otp_enroll.django": ("django", "django"),
}
ROOMS = {
    "otp_enroll.storage.sqlalchemy.table": "otp_enroll.storage.sqlalchemy",
    "otp_enroll.django.store": "otp_enroll.django",
}


def import_without(package: str, module: str) -> subprocess.CompletedProcess[str]:
    """Import a module in a process of its own in which a package is not there."""
    # None in sys.modules is what makes Python say that there is no such module.
    script = f"import sys; sys.modules[{package!r}] = None; import {module}"
    return subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False
    )


@pytest.mark.requirement("R-127")
@pytest.mark.parametrize("module", [*LEAVES, *ROOMS])
def test_missing_package_is_named_by_its_extra(module: str) -> None:
    """An import without the package ends in a sentence with the command, after the original."""
    leaf = ROOMS.get(module, module)
    package, extra = LEAVES[leaf]
    done = import_without(package, module)
    assert done.returncode == 1
    *before, last = done.stderr.splitlines()
    assert last == (
        f"ImportError: {leaf} needs packages that cannot be imported:"
        f" pip install 'otp-enroll[{extra}]'"
    )
    assert any(line.startswith("ModuleNotFoundError:") and package in line for line in before)
    assert any("direct cause" in line for line in before)


@pytest.mark.requirement("R-127")
@pytest.mark.parametrize("leaf", LEAVES)
def test_extra_brings_the_package(leaf: str) -> None:
    """What the sentence says to install is an extra of the library that has the package."""
    package, extra = LEAVES[leaf]
    line = re.compile(rf"{package}\b.*extra == ['\"]{extra}['\"]$")
    assert any(line.match(needed) for needed in requires("otp-enroll") or ())
