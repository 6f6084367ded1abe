"""The app's own table beside the enrollments: what an account's owner is told."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import User
from django.db import models
from typing_extensions import override


class Notice(models.Model):
    """Something that happened to an account; the newest comes first."""

    user: models.ForeignKey[User, User] = models.ForeignKey(User, on_delete=models.CASCADE)
    event: models.TextField[str, str] = models.TextField()

    class Meta:
        """How they are listed."""

        ordering: ClassVar = ["-id"]

    @override
    def __str__(self) -> str:
        return f"notice {self.pk}"
