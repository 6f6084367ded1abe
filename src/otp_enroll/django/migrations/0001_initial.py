"""Create the table.

Lengths and permissions are written out, not taken from the model: what was applied once must
stay what it was when the model changes.
"""

from typing import ClassVar

from django.db import migrations, models

import otp_enroll.django.fields


class Migration(migrations.Migration):
    """Create the table, empty."""

    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.CreateModel(
            name="Enrollment",
            fields=[
                (
                    "user_id",
                    otp_enroll.django.fields.ExactCharField(
                        max_length=190, primary_key=True, serialize=False
                    ),
                ),
                ("revision", otp_enroll.django.fields.ExactCharField(max_length=32)),
                ("state", otp_enroll.django.fields.ExactCharField(max_length=9)),
                ("setup_expires_at", models.BigIntegerField(null=True)),
                ("changed_at", models.BigIntegerField()),
                ("document", otp_enroll.django.fields.ExactTextField()),
            ],
            options={
                "verbose_name": "enrollment",
                "db_table": "otp_enrollment",
                "permissions": (
                    ("renew_recovery_codes", "Can make new recovery codes for a user"),
                    ("switch_off", "Can switch a user's one-time passwords off"),
                ),
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["setup_expires_at"], name="otp_enrollment_setup")],
            },
        ),
    ]
