"""The app's own tables beside the enrollments: what an account's owner is told, and how."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.db import models
from typing_extensions import override


class Notice(models.Model):
    """Something that happened to an account; the newest comes first."""

    user: models.ForeignKey[User, User] = models.ForeignKey(User, on_delete=models.CASCADE)
    event: models.JSONField[Any, Any] = models.JSONField()

    class Meta:
        """How they are listed."""

        ordering: ClassVar = ["-id"]

    @override
    def __str__(self) -> str:
        return f"notice {self.pk}"


class Language(models.Model):
    """In which language an account's owner reads."""

    user: models.OneToOneField[User, User] = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True
    )
    code: models.CharField[str, str] = models.CharField(max_length=8)

    @override
    def __str__(self) -> str:
        return self.code
