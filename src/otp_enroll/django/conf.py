"""The one setting: ``OTP_ENROLL = {"ENROLLER": "dotted.path.to.an.enroller"}``.

A path and not the enroller: settings are read before there are models, which its store needs.
"""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from otp_enroll.enroller import Enroller


def enroller_path() -> str | None:
    """Return the dotted path, or ``None`` where the setting is missing."""
    # Read at each call: a test overrides settings, and a name bound at import would not see it.
    path = getattr(settings, "OTP_ENROLL", {}).get("ENROLLER")
    return None if path is None else str(path)


def get_enroller() -> Enroller:
    """Return the enroller that the admin page and the commands use.

    Raises:
        ImproperlyConfigured: The setting is missing, or names no ``Enroller``.
    """
    path = enroller_path()
    if path is None:
        raise ImproperlyConfigured('set OTP_ENROLL = {"ENROLLER": "path.to.your.enroller"}')
    try:
        found = import_string(path)  # cheap the second time: Python keeps the module
    except ImportError as error:
        raise ImproperlyConfigured(f'OTP_ENROLL["ENROLLER"]: {error}') from error
    if not isinstance(found, Enroller):
        kind = type(found).__name__
        raise ImproperlyConfigured(
            f'OTP_ENROLL["ENROLLER"]: {path} is of type {kind}: name an Enroller over a DjangoStore'
        )
    return found
