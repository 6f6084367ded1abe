"""What both flavours send, and how they read what comes back.

Each call is one statement that compares in its condition. Its result says whether it wrote; a
later read would show what another one wrote since.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BindParameter,
    CursorResult,
    Insert,
    Row,
    Select,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError, StatementError
from typing_extensions import override

from otp_enroll.errors import StorageError
from otp_enroll.storage.protocol import FIELDS, StoredEnrollment, storage_errors
from otp_enroll.storage.sql import is_lost_race, record_of, row_of
from otp_enroll.storage.sqlalchemy.engines import check_dialect


class Statements:
    """What both flavours send, built once a store, so that SQLAlchemy compiles them once.

    Args:
        table: What ``enrollment_table`` returned.
        dialect: The one of the connection that writes, not of a replica.

    Attributes:
        load: The record of ``:account``, as columns in the order of ``FIELDS``.
        create: Takes a record's columns.
        replace: Takes a record's columns, ``:account`` and ``:expected``.
        delete: Deletes ``:account``.
    """

    def __init__(self, table: Table, dialect: Dialect) -> None:
        columns = table.c
        account = columns.user_id == _whole("account")
        self._user_id = columns.user_id
        self._state = columns.state
        self._setup_expires_at = columns.setup_expires_at
        # Columns and no entity: an identity map would return what it read before.
        self.load = select(*(columns[name] for name in FIELDS)).where(account)
        self.create = _insert(table, check_dialect(dialect))
        self.replace = update(table).where(account, columns.revision == _whole("expected"))
        self.delete = delete(table).where(account)

    def save(
        self, record: StoredEnrollment, expected: str | None
    ) -> tuple[Any, dict[str, str | int | None]]:
        """Return the statement of a save, and its parameters.

        Raises:
            ValueError: A text that is longer than its column.
        """
        values = row_of(record)
        if expected is None:
            return self.create, values
        account = values.pop("user_id")
        return self.replace, {**values, "account": account, "expected": expected}

    def listing(
        self, state: str | None, setup_expired_before: int | None, after: str | None, limit: int
    ) -> Select[str]:
        """Return the statement of ``user_ids``.

        Keyset and not OFFSET: rows that come and go meanwhile would shift the pages, and an
        account would be passed over.
        """
        wanted = select(self._user_id).order_by(self._user_id).limit(limit)
        if state is not None:
            wanted = wanted.where(self._state == _whole("wanted", state))
        if setup_expired_before is not None:
            wanted = wanted.where(self._setup_expires_at < setup_expired_before)
        if after is not None:
            wanted = wanted.where(self._user_id > _whole("after", after))
        return wanted


def _whole(name: str, value: str | None = None) -> BindParameter[str]:
    """Return a text to compare with, which no cast to the column's type cuts to its length.

    For psycopg and asyncpg early releases of SQLAlchemy 2 write ``::VARCHAR(32)`` behind a
    parameter (its issue 9511), and PostgreSQL cuts in a cast without a word: the stored revision
    with more behind it would match.
    """
    return bindparam(name, value, String(), required=value is None)


def _insert(table: Table, dialect: str) -> Insert:
    """Build an INSERT that overwrites no duplicate and, on PostgreSQL, does not fail at one.

    There a failed statement would end the app's transaction. MySQL undoes the statement alone,
    and its INSERT IGNORE would let cut text pass.
    """
    if dialect == "postgresql":
        # RETURNING, because psycopg's row count is gone when SQLAlchemy has closed the cursor.
        return postgresql.insert(table).on_conflict_do_nothing().returning(table.c.user_id)
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return insert(table)


def has_stored(result: CursorResult[Any]) -> bool:
    """Return whether a save found what it expected.

    The rows matched, not those changed, which MySQL counts unless it is asked otherwise (and
    SQLAlchemy asks): a save may change nothing but the revision.
    """
    return result.first() is not None if result.returns_rows else result.rowcount == 1


def read_row(row: Row[Any] | None) -> StoredEnrollment | None:
    """Return the record of a row, if there is one.

    Args:
        row: Columns in the order of ``FIELDS``.
    """
    return None if row is None else record_of(row)


def means_lost_race(error: StorageError) -> bool:
    """Return whether the database failed because another transaction was first.

    Above READ COMMITTED a database ends such a statement with an error, where below it says that
    no row matched. The store answers the same ``False`` at every level.
    """
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and is_lost_race(cause.orig)


class statement_errors(storage_errors):  # noqa: N801  # as its base
    """As ``storage_errors``, and hide the parameters of the statement that failed.

    An app's engine shows them by default, and to log the chain of causes would be to log the row
    (CWE-532).
    """

    __slots__ = ()

    @override
    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, StatementError):
            # Its text is made when it is asked for, so this is early enough.
            error.hide_parameters = True
        super().__exit__(kind, error, traceback)
