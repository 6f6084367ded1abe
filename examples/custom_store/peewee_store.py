"""An adapter of one's own: enrollments through the peewee ORM, in under sixty lines."""

from __future__ import annotations

import dataclasses

from peewee import BigIntegerField, CharField, Model, SqliteDatabase, TextField

from otp_enroll import StoredEnrollment

database = SqliteDatabase(None, timeout=5, pragmas={"journal_mode": "wal", "synchronous": "full"})


class Enrollment(Model):
    """The table: a column for each field of the record."""

    user_id = CharField(190, primary_key=True)
    revision = CharField(32)
    state = CharField(12)
    setup_expires_at = BigIntegerField(null=True)
    changed_at = BigIntegerField()
    document = TextField()

    class Meta:
        """Where it is."""

        database = database
        table_name = "otp_enrollment"


class PeeweeStore:
    """Each call is one statement, on a connection of its own, that commits by itself."""

    joined = False

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Read the row past all caches."""
        with database.connection_context():
            row = Enrollment.select().where(Enrollment.user_id == user_id).dicts().first()
        return None if row is None else StoredEnrollment(**row)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Insert where there is nothing, or update where the revision is the expected one."""
        row = dataclasses.asdict(record)
        right = (Enrollment.user_id == record.user_id) & (Enrollment.revision == expected)
        with database.connection_context():
            if expected is None:
                count = Enrollment.insert(row).on_conflict_ignore().as_rowcount().execute()
            else:
                count = Enrollment.update(row).where(right).execute()
        return bool(count == 1)

    def delete(self, user_id: str) -> None:
        """Delete the row, whether there is one or not."""
        with database.connection_context():
            Enrollment.delete().where(Enrollment.user_id == user_id).execute()
