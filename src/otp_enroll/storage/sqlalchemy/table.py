"""The table, and the type of its texts, which every database compares byte for byte.

Under MariaDB's default collation ``Alice``, ``alicé`` and "alice " are one id: the second of
them would be asked for the codes of the first.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.mysql.base import MySQLTypeCompiler
from sqlalchemy.ext.compiler import compiles

from otp_enroll.storage.protocol import LENGTHS


class ExactString(String):
    """Text that the database compares byte for byte: no case folded, no trailing space ignored.

    A type of its own because MariaDB and MySQL have no such collation in common, and which of
    them answers is known when the table is created, not when it is declared.
    """


@compiles(ExactString, "postgresql")
def _compile_for_postgresql(kind: ExactString, *_: object, **__: object) -> str:
    return f'VARCHAR({kind.length}) COLLATE "C"'


@compiles(ExactString, "mysql", "mariadb")
def _compile_for_mysql(kind: ExactString, compiler: MySQLTypeCompiler, **_: object) -> str:
    # Of the older collations even utf8mb4_bin ignores spaces at the end. MariaDB has one without
    # that padding and MySQL another, and neither knows the other's name.
    collation = "utf8mb4_nopad_bin" if compiler.dialect.is_mariadb else "utf8mb4_0900_bin"
    return f"VARCHAR({kind.length}) CHARACTER SET utf8mb4 COLLATE {collation}"


def enrollment_table(
    metadata: MetaData, *, name: str = "otp_enrollment", schema: str | None = None
) -> Table:
    """Declare the table, for ``metadata.create_all`` or a migration.

    Times are integers of Unix seconds, because a DATETIME loses the zone and the fraction. No
    column expires a row. A table written by hand must keep the collations of the ids.

    Args:
        metadata: The app's.
        name: The table's name.
        schema: The schema that it is in, if not the connection's own.

    Returns:
        The table, for the stores.
    """
    # TEXT is cut at 64 KB on MySQL, and silently so outside its strict mode.
    document = Text().with_variant(
        mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )
    return Table(
        name,
        metadata,
        Column("user_id", ExactString(LENGTHS["user_id"]), primary_key=True),
        Column("revision", ExactString(LENGTHS["revision"]), nullable=False),
        Column("state", ExactString(LENGTHS["state"]), nullable=False),
        Column("setup_expires_at", BigInteger, index=True),
        Column("changed_at", BigInteger, nullable=False),
        Column("document", document, nullable=False),
        schema=schema,
        # MyISAM, which an old server may make, knows no transaction.
        mysql_engine="InnoDB",
        mariadb_engine="InnoDB",
    )
