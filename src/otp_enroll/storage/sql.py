"""What the stores in SQL databases share, whatever library they reach the database through.

Losing a race is an ordinary answer, ``False``; a database says it in a dozen ways, of which most
look like failures. What is not known here for a lost race stays a failure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from otp_enroll.storage.protocol import FIELDS, LENGTHS, StoredEnrollment

LOCK_SECONDS: Final = 5
"""How long a call in own mode waits for a row or table that another transaction has locked.

PostgreSQL waits without end by default, and InnoDB 50 seconds for a row and a year or a day for a
table: a request that judges a code while its own transaction holds the row would hang that long.
"""

# PostgreSQL: serialisation failure, deadlock. MySQL and MariaDB: deadlock, changed since read.
# A lock that was waited for in vain (55P03, 1205) is none of them: nobody has won yet, and the
# library's loop would wait for it ten times over.
_LOST_RACES: Final = ("40001", "40P01", 1213, 1020)
_DUPLICATE_KEY: Final = 1062


def row_of(record: StoredEnrollment) -> dict[str, Any]:
    """Return a record's values by the names of their columns.

    Raises:
        ValueError: A text that MySQL would cut outside its strict mode. A cut id is another
            account's, and a cut revision matches what it must not.
    """
    values = {name: getattr(record, name) for name in FIELDS}
    for name, most in LENGTHS.items():
        if len(values[name]) > most:
            raise ValueError(f"{name} is longer than {most} characters")
    return values


def record_of(row: Iterable[Any]) -> StoredEnrollment:
    """Return the record of a row whose columns are ``FIELDS``, in that order."""
    return StoredEnrollment(**dict(zip(FIELDS, row, strict=True)))


def is_lost_race(error: BaseException | None) -> bool:
    """Return whether a driver's exception means that another transaction was first."""
    return any(code in _LOST_RACES for code in _codes(error))


def is_duplicate(error: BaseException | None) -> bool:
    """Return whether a driver's exception means that MySQL found the key there already.

    A create that comes second is known by this error alone: INSERT IGNORE would let cut text
    pass, and ON DUPLICATE KEY UPDATE counts a row that was merely found (CLIENT_FOUND_ROWS).
    """
    return _DUPLICATE_KEY in _codes(error)


def _codes(error: BaseException | None) -> tuple[object, ...]:
    """Return every code that one of the drivers may have put on its exception.

    psycopg and asyncpg have ``sqlstate``, psycopg2 ``pgcode``, MySQL Connector ``errno``;
    PyMySQL and mysqlclient have a number as their first argument.
    """
    names = ("sqlstate", "pgcode", "errno")
    first = next(iter(getattr(error, "args", ())), None)
    if isinstance(first, dict):  # pg8000 has what the server sent, by the letters of its protocol
        first = first.get("C")
    return (*(getattr(error, name, None) for name in names), first)
