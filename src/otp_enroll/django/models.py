"""The table: one row an account.

No relation to the user model: an id is any text of the app's, and the row may stand in another
database. Who deletes an account erases its enrollment, or a new account of that id inherits it.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from typing_extensions import override

from otp_enroll.django.fields import ExactCharField, ExactTextField
from otp_enroll.storage.protocol import LENGTHS


class Enrollment(models.Model):
    """One account's row. Only a store writes it: editing a row by hand breaks the account.

    The columns are the fields of ``StoredEnrollment``. Times are integers of Unix seconds, since
    MySQL's DATETIME knows no zone, and a server that moves to another one would shift them.
    """

    user_id = ExactCharField(primary_key=True, max_length=LENGTHS["user_id"])
    revision = ExactCharField(max_length=LENGTHS["revision"])
    state = ExactCharField(max_length=LENGTHS["state"])
    setup_expires_at: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        null=True
    )
    changed_at: models.BigIntegerField[int, int] = models.BigIntegerField()
    document = ExactTextField()

    class Meta:
        """The table's name and index, and permissions for acts on an account, not on its row."""

        db_table = "otp_enrollment"
        verbose_name = "enrollment"
        default_permissions = ("view",)  # the others would promise what the admin page refuses
        permissions = (
            ("renew_recovery_codes", "Can make new recovery codes for a user"),
            ("switch_off", "Can switch a user's one-time passwords off"),
        )
        indexes: ClassVar = [models.Index(fields=["setup_expires_at"], name="otp_enrollment_setup")]

    @override
    def __str__(self) -> str:
        return str(self.user_id)
