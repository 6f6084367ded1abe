"""Stores in the app's SQL database, through SQLAlchemy 2: PostgreSQL, MariaDB, MySQL or SQLite.

Over an engine a store commits by itself, and judges codes; over the app's session or connection
it is joined, and the app commits. What a code has cost must not go with the app's roll-back.
"""

from otp_enroll.extras import name_missing_extra

try:
    import sqlalchemy
except ImportError as missing:
    raise name_missing_extra(__name__, "sqlalchemy") from missing
else:
    del sqlalchemy  # what follows imports from it

from otp_enroll.storage.sql import LOCK_SECONDS
from otp_enroll.storage.sqlalchemy.engines import own_async_engine, own_engine
from otp_enroll.storage.sqlalchemy.store import AsyncSQLAlchemyStore, SQLAlchemyStore
from otp_enroll.storage.sqlalchemy.table import ExactString, enrollment_table

__all__ = [
    "LOCK_SECONDS",
    "AsyncSQLAlchemyStore",
    "ExactString",
    "SQLAlchemyStore",
    "enrollment_table",
    "own_async_engine",
    "own_engine",
]
