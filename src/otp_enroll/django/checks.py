"""System checks for settings that would make every code fail, or every secret readable.

What they find would else be found at the first login, by a user. An ``Error`` is what cannot
work; a ``Warning`` is what works and should not be left so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004  # their names
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections

from otp_enroll.django.conf import enroller_path, get_enroller
from otp_enroll.django.fields import VENDORS
from otp_enroll.django.store import DjangoStore
from otp_enroll.storage.protocol import Unencrypted
from otp_enroll.storage.sql import LOCK_SECONDS

# Where each of Django's backends takes a lock timeout; it has no setting of its own for one.
_TIMEOUTS: Final = {
    "sqlite": f'"timeout": {LOCK_SECONDS}',
    "postgresql": f'"options": "-c lock_timeout={LOCK_SECONDS}s"',
    "mysql": f'"init_command": "SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS}"',
}


def check_settings(**_: Any) -> list[CheckMessage]:  # noqa: ANN401  # whatever Django passes
    """Check ``OTP_ENROLL`` and the alias of its enroller's store.

    W001: no enroller is named. E001: what is named is none. W002: secrets are not encrypted.
    E002 to E004, W003 and W004: the alias cannot serve, or not well.

    Returns:
        What was found, each with an id by which a project can silence it.
    """
    # A warning, since an app that never uses the admin page or the commands needs no setting.
    if enroller_path() is None:
        hint = 'Set OTP_ENROLL = {"ENROLLER": "path.to.your.enroller"}.'
        text = "The admin page and the commands of otp_enroll have no enroller."
        return [Warning(text, hint=hint, id="otp_enroll.W001")]
    try:
        enroller = get_enroller()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="otp_enroll.E001")]
    found: list[CheckMessage] = []
    # First steps are made without a key, and with DEBUG on.
    if isinstance(enroller.cipher, Unencrypted) and not settings.DEBUG:
        hint = "Use otp_enroll.storage.aesgcm.AESGCMKeyRing."
        text = "Anyone who reads the database has the secret of every user."
        found.append(Warning(text, hint=hint, id="otp_enroll.W002"))
    store = enroller.store
    if isinstance(store, DjangoStore):
        found.extend(_check_alias(store.alias))
    return found


def _check_alias(alias: str) -> Iterator[CheckMessage]:
    """Yield what is wrong with the entry of ``DATABASES`` on which codes are judged.

    No connection is made: checks run in builds and migrations, where there is no database.
    """
    if alias not in connections:
        hint = "Add a second entry for the app's database: see the page on Django in the docs."
        yield Error(f"DATABASES has no entry {alias!r}.", hint=hint, id="otp_enroll.E002")
        return
    connection = connections[alias]
    if connection.vendor not in VENDORS:
        text = f"otp_enroll has no store for {connection.vendor}."
        yield Error(text, id="otp_enroll.E003")
        return
    if connection.settings_dict["ATOMIC_REQUESTS"] or not connection.settings_dict["AUTOCOMMIT"]:
        hint = "Set ATOMIC_REQUESTS to False and AUTOCOMMIT to True there."
        text = f"Requests run in a transaction on {alias!r}: no code will be judged."
        yield Error(text, hint=hint, id="otp_enroll.E004")
    if alias == DEFAULT_DB_ALIAS:
        hint = "Give the store an alias of its own."
        text = "The app's own transactions run on 'default': no code will be judged in them."
        yield Warning(text, hint=hint, id="otp_enroll.W003")
    if not _has_lock_timeout(connection.vendor, connection.settings_dict["OPTIONS"]):
        hint = f"Set one of {LOCK_SECONDS} s in its OPTIONS: {_TIMEOUTS[connection.vendor]}"
        text = f"Calls on {alias!r} may wait very long for a lock."
        yield Warning(text, hint=hint, id="otp_enroll.W004")


def _has_lock_timeout(vendor: str, options: dict[str, Any]) -> bool:
    """Return whether a limit is set; SQLite's is a number, so its length is looked at too."""
    if vendor == "postgresql":
        return "lock_timeout" in str(options.get("options"))
    if vendor == "mysql":
        return "innodb_lock_wait_timeout" in str(options.get("init_command"))
    return float(options.get("timeout", LOCK_SECONDS)) <= LOCK_SECONDS  # the driver's default is 5
