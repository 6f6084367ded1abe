"""The house: its rooms and floors, and which file imports what; its tests and its picture read it.

A room is a module or a package below ``otp_enroll``; whatever stands inside belongs to it, unless
a longer name has a room of its own.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import otp_enroll

ROOT: Final = Path(otp_enroll.__file__).parent

FLOORS: Final[tuple[tuple[str, ...], ...]] = (
    ("json_values", "extras", "errors", "events", "policy"),
    ("core",),
    (
        "provisioning",
        "storage",
        "storage.protocol",
        "storage.sql",
        "storage.document",
        "storage.codec",
    ),
    ("messages",),
    ("display",),
    ("vault",),
    ("attempt",),
    ("maintenance",),
    ("enroller", "async_enroller"),
    ("__init__",),
)
"""From the ground up. A room may import from floors below and, without a cycle, from its own."""

LEAVES: Final = (
    "storage.memory", "storage.sqlite", "storage.sqlalchemy", "storage.redis", "storage.aesgcm",
    "django", "testing",
)  # fmt: skip
"""Rooms that nothing imports, not even another leaf."""

THIRD_PARTIES: Final = {
    "core": {"pyotp", "typing_extensions"},
    "provisioning": {"segno", "typing_extensions"},
    "storage.sqlalchemy": {"sqlalchemy", "typing_extensions"},
    "storage.redis": {"redis", "typing_extensions"},
    "storage.aesgcm": {"cryptography", "typing_extensions"},
    "django": {"django", "asgiref", "typing_extensions"},  # asgiref is a part of Django
    "testing": {"pytest", "typing_extensions"},
}
"""What a room may import from outside; a room without a line has typing_extensions alone."""


def module_of(path: Path) -> str:
    """Return a file's module name below the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES: Final = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports_of(path: Path) -> set[str]:
    """Return all modules that a file imports, in functions and under TYPE_CHECKING too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: a relative import hides its floor"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            files = {name for name in names if name.removeprefix("otp_enroll.") in MODULES}
            found |= files or {node.module}
    return found


def inner_imports(path: Path) -> set[str]:
    """Return the package's own modules that a file imports."""
    names = {
        name.removeprefix("otp_enroll.")
        for name in imports_of(path)
        if name.startswith("otp_enroll.")
    }
    return {name for name in names if name in MODULES}


def room_of(module: str) -> str:
    """Return the room that a module stands in."""
    rooms = [*(room for floor in FLOORS for room in floor), *LEAVES]
    fitting = [room for room in rooms if module == room or module.startswith(room + ".")]
    assert fitting, f"{MODULES[module]} stands in no room of the house"
    return max(fitting, key=len)


def floor_of(module: str) -> int:
    """Return how high a module stands, from 0; leaves stand above all else."""
    room = room_of(module)
    if room in LEAVES:
        return len(FLOORS)
    return next(n for n, floor in enumerate(FLOORS) if room in floor)
