"""The page "Security → One-time password" with Django: ``create_app`` makes it, ready to serve."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from pages import pages

from otp_enroll import Policy


def create_app(
    *,
    database: str,
    clock: Callable[[], float] = time.time,
    policy: Policy = pages.POLICY,
    key: bytes | None = None,
) -> WSGIHandler:
    """Make the app, once a process: its settings are the process's.

    Args:
        database: The path of an SQLite file.
        clock: Unix seconds, for the enroller and the pages; NTP keeps a server's right (R-98).
        policy: One for the whole table.
        key: 32 bytes that seal the secrets; else ``OTP_KEY``, or a file beside the database.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "django_app.settings"
    os.environ["DATABASE"] = database
    if key is not None:
        os.environ["OTP_KEY"] = base64.b64encode(key).decode()
    settings.OTP_CLOCK, settings.OTP_POLICY = clock, policy
    app = get_wsgi_application()
    call_command("migrate", verbosity=0)  # with several servers, a step of the deployment
    from django_app.accounts import add_demo_accounts  # noqa: PLC0415  # models need the settings

    add_demo_accounts()
    return app
