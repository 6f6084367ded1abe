"""The floors: what the raw drivers and the bare arithmetic take for the same, without a library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sqlite3
from pathlib import Path
from typing import Any, Final, Literal

import psycopg

from benchmarks.ours import ConfirmedAccounts, user_ids
from benchmarks.rounds import Side, Steps, per_call
from benchmarks.rows import POSTGRESQL_FLOOR, SQLITE_FLOOR

_DOCUMENT: Final = "x" * 720
_NOW: Final = 1_800_000_000
_AFTER_BEGIN: Final = (
    ("confirm", "confirmed"),
    ("verify", "confirmed"),
    ("disable", "disabled"),
)
_COLUMNS: Final = """(
    user_id {text} NOT NULL PRIMARY KEY,
    revision TEXT NOT NULL,
    state TEXT NOT NULL,
    setup_expires_at {integer},
    changed_at {integer} NOT NULL,
    document TEXT NOT NULL
)"""


class SQLiteFloor:
    """sqlite3 doing the four write transactions of a life, in a table with rowid.

    Args:
        path: The file; it is in WAL mode already.
        synchronous: ``"NORMAL"`` or ``"FULL"``.
        count: How many lives a batch has.
    """

    def __init__(self, path: Path, synchronous: Literal["NORMAL", "FULL"], count: int) -> None:
        self._count = count
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        columns = _COLUMNS.format(text="TEXT", integer="INTEGER")
        self._connection.execute(f"CREATE TABLE floor {columns}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def run(self) -> Steps:
        """Live: one insert, three updates, each a transaction."""
        execute = self._connection.execute

        def insert(*values: Any) -> None:
            assert execute("INSERT INTO floor VALUES (?, ?, ?, ?, ?, ?)", values).rowcount == 1

        def update(*values: Any) -> None:
            cursor = execute(
                "UPDATE floor SET revision = ?, state = ?, setup_expires_at = ?, changed_at = ?,"
                " document = ? WHERE user_id = ? AND revision = ?",
                values,
            )
            assert cursor.rowcount == 1

        users = user_ids(self._count)
        steps = {"begin": per_call(insert, _inserts(users))}
        for number, (step, state) in enumerate(_AFTER_BEGIN):
            steps[step] = per_call(update, _updates(users, state, number))
        return steps

    def side(self) -> Side:
        """Return it as a side."""
        return Side(name=SQLITE_FLOOR, run=self.run)


class PostgreSQLFloor:
    """psycopg doing four selects and four write transactions, on one connection.

    Args:
        address: The database, as a URL.
        count: How many lives a batch has.
    """

    def __init__(self, address: str, count: int) -> None:
        self._count = count
        self._connection = psycopg.connect(address, autocommit=True)
        columns = _COLUMNS.format(text='VARCHAR(190) COLLATE "C"', integer="BIGINT")
        self._connection.execute(f"CREATE TABLE floor {columns}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def version(self) -> str:
        """The server's version."""
        return (self._connection.info.parameter_status("server_version") or "").split()[0]

    def run(self) -> Steps:
        """Live: before each write, a select."""
        execute = self._connection.execute
        select = (
            "SELECT user_id, revision, state, setup_expires_at, changed_at, document"
            " FROM floor WHERE user_id = %s"
        )

        def insert(*values: Any) -> None:
            assert execute(select, values[:1]).fetchone() is None
            done = execute("INSERT INTO floor VALUES (%s, %s, %s, %s, %s, %s)", values)
            assert done.rowcount == 1

        def update(*values: Any) -> None:
            assert execute(select, values[-2:-1]).fetchone() is not None
            done = execute(
                "UPDATE floor SET revision = %s, state = %s, setup_expires_at = %s,"
                " changed_at = %s, document = %s WHERE user_id = %s AND revision = %s",
                values,
            )
            assert done.rowcount == 1

        users = user_ids(self._count)
        steps = {"begin": per_call(insert, _inserts(users))}
        for number, (step, state) in enumerate(_AFTER_BEGIN):
            steps[step] = per_call(update, _updates(users, state, number))
        return steps

    def side(self) -> Side:
        """Return it as a side."""
        return Side(name=POSTGRESQL_FLOOR, run=self.run)


def _revision(number: int) -> str:
    return f"{number:032x}"


def _inserts(users: list[str]) -> list[tuple[Any, ...]]:
    return [(user, _revision(0), "pending", _NOW + 900, _NOW, _DOCUMENT) for user in users]


def _updates(users: list[str], state: str, number: int) -> list[tuple[Any, ...]]:
    old, new = _revision(number), _revision(number + 1)
    return [(new, state, None, _NOW, _DOCUMENT, user, old) for user in users]


class BareVerify:
    """The parts of a verify that nobody can leave out: read, open, three HMACs, write.

    Args:
        accounts: Whose document is read and written.
        count: How many codes a batch has.
    """

    def __init__(self, accounts: ConfirmedAccounts, count: int) -> None:
        self._count = count
        self._document = accounts.document
        self._cipher = accounts.cipher
        self._context = b"the same for all"
        sealed = self._cipher.seal(secrets.token_bytes(20), context=self._context)
        self._sealed = base64.b64encode(sealed)

    def run(self) -> Steps:
        """Do each part often enough."""
        sealed, context = self._sealed, self._context
        key = self._cipher.open(base64.b64decode(sealed), context=context)
        tree = json.loads(self._document)

        def judge() -> None:
            for counter in range(60_000_000, 60_000_003):
                digest = hmac.digest(key, counter.to_bytes(8, "big"), hashlib.sha1)
                start = digest[-1] & 15
                number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
                hmac.compare_digest(f"{number % 1_000_000:06d}", "000000")

        calls: list[tuple[Any, ...]] = [()] * self._count
        return {
            "read": per_call(lambda: json.loads(self._document), calls),
            "open": per_call(
                lambda: self._cipher.open(base64.b64decode(sealed), context=context), calls
            ),
            "judge": per_call(judge, calls),
            "write": per_call(
                lambda: (secrets.token_hex(16), json.dumps(tree, separators=(",", ":"))), calls
            ),
        }

    def side(self) -> Side:
        """Return it as a side."""
        return Side(name="its bare parts", run=self.run)
