"""What the stores in SQL databases share: rows, and the errors that are refusals."""

from __future__ import annotations

import asyncpg  # type: ignore[import-untyped]  # it has no types
import psycopg
import pymysql  # type: ignore[import-untyped]  # nor has it
import pytest

from helpers.servers import record
from otp_enroll.storage.protocol import FIELDS, LENGTHS
from otp_enroll.storage.sql import is_duplicate, is_lost_race, record_of, row_of


class ConnectorError(Exception):
    """An error of MariaDB's or MySQL's own connector, whose arguments begin with its text."""

    def __init__(self, errno: int) -> None:
        super().__init__(f"number {errno}")
        self.errno = errno


def test_row_and_record_are_the_same() -> None:
    """A record's row has the stored columns, in the order in which they make it again."""
    row = row_of(record())
    columns = ("user_id", "revision", "state", "setup_expires_at", "changed_at", "document")
    assert tuple(row) == FIELDS == columns
    assert record_of(row.values()) == record()
    with pytest.raises(ValueError, match="shorter"):
        record_of(list(row.values())[:-1])


@pytest.mark.parametrize("name", LENGTHS)
def test_row_takes_what_its_columns_hold(name: str) -> None:
    """A text as long as its column is stored, and a character more is refused."""
    longest = "x" * LENGTHS[name]
    assert row_of(record(**{name: longest}))[name] == longest
    with pytest.raises(ValueError, match=f"^{name} is longer than {LENGTHS[name]} "):
        row_of(record(**{name: longest + "x"}))


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.SerializationFailure(),
        psycopg.errors.DeadlockDetected(),
        asyncpg.SerializationError(),
        asyncpg.DeadlockDetectedError(),
        *(pymysql.err.OperationalError(code, "text") for code in (1213, 1020)),
        *(ConnectorError(code) for code in (1213, 1020)),
        *(Exception({"S": "ERROR", "C": code}) for code in ("40001", "40P01")),  # as pg8000's
    ],
    ids=repr,
)
def test_lost_race_is_known_by_its_code(error: Exception) -> None:
    """Whatever the driver, a lost race is told from other errors, and is no duplicate."""
    assert is_lost_race(error)
    assert not is_duplicate(error)


@pytest.mark.parametrize(
    "error", [pymysql.err.IntegrityError(1062, "text"), ConnectorError(1062)], ids=repr
)
def test_duplicate_is_known_by_its_code(error: Exception) -> None:
    """A key that is there already is told from other errors, and is no lost race."""
    assert is_duplicate(error)
    assert not is_lost_race(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        Exception(),
        Exception("1213 40001 1062", 1213, 1062),
        psycopg.errors.LockNotAvailable(),
        psycopg.errors.UniqueViolation(),
        pymysql.err.OperationalError(1205, "lock wait timeout"),
        pymysql.err.IntegrityError(1452, "foreign key"),
        ConnectorError(2013),
        Exception({"S": "ERROR", "C": "23505"}),
        Exception({}),
    ],
    ids=repr,
)
def test_other_errors_are_no_refusals(error: Exception | None) -> None:
    """A wait that was too long, a lost connection, another constraint: none is a refusal."""
    assert not is_lost_race(error)
    assert not is_duplicate(error)
