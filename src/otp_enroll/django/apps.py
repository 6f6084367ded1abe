"""The app as Django sees it."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from typing_extensions import override


class OtpEnrollConfig(AppConfig):
    """The app ``otp_enroll``: one table, its admin page, two commands, system checks."""

    name = "otp_enroll.django"
    label = "otp_enroll"  # the last part of the name would be "django"
    verbose_name = "One-time passwords"

    @override
    def ready(self) -> None:
        from otp_enroll.django.checks import check_settings  # noqa: PLC0415  # it needs the model

        # Not by import alone: Django loads models, admin and commands of an app, and no checks.
        register(check_settings, "otp_enroll")
