"""Columns that the database compares byte for byte: no case folded, no trailing space ignored.

Under MariaDB's default collation ``Alice``, ``alicé`` and "alice " are one id, and the second
account could not enrol, or would be asked for the codes of the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db import NotSupportedError, models
from django.db.backends.base.base import BaseDatabaseWrapper
from typing_extensions import override

if TYPE_CHECKING:
    Field = models.Field[Any, Any]
else:
    Field = models.Field

# Of MySQL's older collations even utf8mb4_bin ignores trailing spaces. A collation brings its
# character set along, whatever the database's default is.
_COLLATIONS: Final = {
    "sqlite": "BINARY",
    "postgresql": "C",
    "mariadb": "utf8mb4_nopad_bin",
    "mysql": "utf8mb4_0900_bin",
}

VENDORS: Final = ("sqlite", "postgresql", "mysql")
"""What Django calls the databases that the table can be in; MariaDB goes by ``mysql``."""


def _collation(connection: BaseDatabaseWrapper) -> str:
    """Return the collation that compares bytes on a database.

    Raises:
        NotSupportedError: None is known. The migration then fails, and no table is made that
            would take one account for another.
    """
    name = "mariadb" if getattr(connection, "mysql_is_mariadb", False) else connection.vendor
    if name not in _COLLATIONS:
        raise NotSupportedError(f"otp_enroll has no table for {name}: route it to another database")
    return _COLLATIONS[name]


class _ByteForByte(Field):
    """A text whose collation is chosen when the database is known.

    Django's own ``db_collation`` is one name for all databases, and they share none.
    """

    @override
    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        return {**super().db_parameters(connection), "collation": _collation(connection)}


class ExactCharField(_ByteForByte, models.CharField):  # type: ignore[type-arg]  # has none at run time
    """A ``CharField`` whose values differ if their bytes do."""


class ExactTextField(_ByteForByte, models.TextField):  # type: ignore[type-arg]  # has none at run time
    """A ``TextField`` whose values differ if their bytes do."""
