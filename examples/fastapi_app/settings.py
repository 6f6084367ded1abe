"""What the app is given from outside: the key that seals the secrets."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from sqlalchemy.engine import make_url

KEY_BYTES = 32


def key_for(database: str) -> bytes:
    """Return the key that seals the secrets.

    It comes from the environment (``OTP_KEY``, Base64), because it must not stand in the
    database that it protects. For development a fresh one is kept in a file beside the
    database; lose it, and every authenticator has to be set up anew.

    Raises:
        RuntimeError: The database is not a file, and there is no ``OTP_KEY``.
    """
    if given := os.environ.get("OTP_KEY"):
        return base64.b64decode(given)
    path = beside(database, "key")
    if path is None:
        raise RuntimeError("set OTP_KEY to 32 random bytes in Base64")
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    return path.read_bytes()


def beside(database: str, what: str) -> Path | None:
    """Return a path beside a database that is a file."""
    url = make_url(database)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(f"{url.database}.{what}")
