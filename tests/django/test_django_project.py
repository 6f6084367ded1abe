"""What the app adds to a project: settings, system checks, commands, migrations."""

from __future__ import annotations

import io
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

for folder in (Path(__file__).parent, Path(__file__).parent.parent):
    sys.path.insert(0, str(folder))  # for the modules beside this file

import django_urls  # noqa: E402
import pytest  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.checks import run_checks  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.management.base import CommandError  # noqa: E402
from django.db import NotSupportedError, connections  # noqa: E402
from django.test import override_settings  # noqa: E402
from django_site import ACCOUNT, CLOCK, USER, Site, enroll, kinds, make_enroller, use  # noqa: E402

from otp_enroll import AsyncEnroller  # noqa: E402
from otp_enroll.django.conf import get_enroller  # noqa: E402
from otp_enroll.django.fields import ExactCharField  # noqa: E402
from otp_enroll.django.models import Enrollment  # noqa: E402
from otp_enroll.django.store import DjangoStore  # noqa: E402
from otp_enroll.storage.aesgcm import AESGCMKeyRing  # noqa: E402
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore  # noqa: E402

pytest_plugins = ["django_servers"]

CIPHER = AESGCMKeyRing({"2026": secrets.token_bytes(32)})


def command(name: str, *arguments: str) -> str:
    output = io.StringIO()
    call_command(name, *arguments, stdout=output)
    return output.getvalue().strip()


def install(monkeypatch: pytest.MonkeyPatch, store: Any = None, **changes: Any) -> None:
    """Make an enroller the project's."""
    changes = {"cipher": CIPHER, **changes}
    monkeypatch.setattr(django_urls, "enroller", make_enroller(store, **changes))


def found() -> list[str]:
    return [message.id or "" for message in run_checks(tags=["otp_enroll"])]


# --- settings ---


def test_setting_names_the_enroller() -> None:
    """The dotted path of the setting is where the enroller is found."""
    assert get_enroller() is django_urls.enroller


@pytest.mark.parametrize(
    ("setting", "check"),
    [
        ({}, "otp_enroll.W001"),
        ({"ENROLLER": "no.such.module"}, "otp_enroll.E001"),
        ({"ENROLLER": "django_urls.nothing"}, "otp_enroll.E001"),
        ({"ENROLLER": "django_urls.urlpatterns"}, "otp_enroll.E001"),
    ],
)
def test_wrong_setting(setting: dict[str, str], check: str) -> None:
    """A missing or wrong setting is told by a check, and raises where the enroller is needed."""
    with override_settings(OTP_ENROLL=setting):
        assert found() == [check]
        with pytest.raises(ImproperlyConfigured):
            get_enroller()


def test_setting_that_names_another_enroller(monkeypatch: pytest.MonkeyPatch) -> None:
    """An async enroller is refused in words that say what the setting must name."""
    awaited = AsyncEnroller(AsyncMemoryStore(), issuer="Exir", cipher=CIPHER)
    monkeypatch.setattr(django_urls, "enroller", awaited)
    with pytest.raises(
        ImproperlyConfigured, match=r"of type AsyncEnroller: name an Enroller over a DjangoStore$"
    ):
        get_enroller()


@pytest.fixture
def databases() -> Iterator[Callable[[dict[str, Any]], None]]:
    """Set DATABASES for a test that does not connect."""
    yield use
    use({})


# --- system checks ---


@kinds("sqlite")
def test_sound_project_has_no_complaint(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key ring and an alias of its own the project passes every check of Django's."""
    install(monkeypatch)
    assert run_checks() == []


@kinds("sqlite")
def test_unencrypted_secrets_in_production(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that is not being debugged and does not encrypt is told so."""
    monkeypatch.setattr(django_urls, "enroller", make_enroller())
    assert found() == ["otp_enroll.W002"]
    with override_settings(DEBUG=True):
        assert found() == []


def test_other_stores_have_no_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    """An enroller on another store is not asked for an alias."""
    install(monkeypatch, MemoryStore())
    assert found() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql"])
@pytest.mark.parametrize(
    ("alias", "changes", "checks"),
    [
        ("shop", {}, []),
        ("nowhere", {}, ["otp_enroll.E002"]),
        ("shop", {"ATOMIC_REQUESTS": True}, ["otp_enroll.E004"]),
        ("shop", {"AUTOCOMMIT": False}, ["otp_enroll.E004"]),
        ("default", {}, ["otp_enroll.W003"]),
        ("shop", {"OPTIONS": {"timeout": 60}}, ["otp_enroll.W004"]),
    ],
)
def test_alias_of_the_store(  # noqa: PLR0917  # pytest fills them
    databases: Callable[[dict[str, Any]], None],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    alias: str,
    changes: Any,
    checks: list[str],
) -> None:
    """The checks find a missing alias, transactions around requests, and endless waits."""
    engines = {"sqlite": "sqlite3", "postgresql": "postgresql", "mysql": "mysql"}
    options = {
        "sqlite": {},
        "postgresql": {"options": "-c lock_timeout=5s"},
        "mysql": {"init_command": "SET SESSION innodb_lock_wait_timeout = 5"},
    }[kind]
    entry = {"ENGINE": f"django.db.backends.{engines[kind]}", "NAME": "x", "OPTIONS": options}
    databases({"default": entry | changes, "shop": entry | changes})
    install(monkeypatch, DjangoStore(alias))
    assert found() == checks


def test_other_databases_are_refused(
    databases: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that might fold ids together gets no table, and a check says so."""
    entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"}
    databases({"default": entry, "shop": entry})
    monkeypatch.setattr(connections["shop"], "vendor", "oracle")
    install(monkeypatch, DjangoStore("shop"))
    assert found() == ["otp_enroll.E003"]
    with pytest.raises(NotSupportedError, match="oracle"):
        ExactCharField(max_length=1).db_parameters(connections["shop"])


# --- commands ---


@kinds("sqlite")
def test_purge(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command erases expired setups, as many as it is told, and says how many."""
    install(monkeypatch)
    for user_id in ("a", "b", "c"):
        get_enroller().begin(user_id, account_name=ACCOUNT)
    assert command("otp_enroll_purge") == "0 erased"
    CLOCK.advance(3600)
    assert command("otp_enroll_purge", "--limit", "1") == "1 erased"
    assert command("otp_enroll_purge") == "2 erased"
    assert DjangoStore().user_ids(state="pending") == []


@kinds("sqlite")
def test_reseal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command reseals, and ends well only when the old key can go."""
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    install(monkeypatch, cipher=AESGCMKeyRing({"2025": old}))
    for user_id in ("a", "b"):
        enroll(get_enroller(), user_id)
    install(monkeypatch, cipher=AESGCMKeyRing({"2026": new}))
    output = io.StringIO()
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("otp_enroll_reseal", stdout=output)
    assert output.getvalue().splitlines()[1:] == ["2 of them need the key '2025'"]
    install(monkeypatch, cipher=AESGCMKeyRing({"2026": new, "2025": old}))
    with pytest.raises(CommandError, match="again"):
        command("otp_enroll_reseal", "--limit", "1")
    assert command("otp_enroll_reseal") == "2 examined, 1 resealed, 0 unreadable"
    install(monkeypatch, cipher=AESGCMKeyRing({"2026": new}))
    assert command("otp_enroll_reseal") == "2 examined, 0 resealed, 0 unreadable"


# --- migrations ---


def test_migrations_go_forwards_and_backwards(site: Site) -> None:
    """The table comes and goes with the migration, on each database, with its index."""
    enroll(make_enroller())
    command("migrate", "otp_enroll", "zero")
    assert Enrollment._meta.db_table not in tables()
    command("migrate", "otp_enroll")
    assert Enrollment._meta.db_table in tables()
    with connections["default"].cursor() as cursor:
        constraints = connections["default"].introspection.get_constraints(
            cursor, Enrollment._meta.db_table
        )
    assert constraints["otp_enrollment_setup"]["columns"] == ["setup_expires_at"]
    enroll(make_enroller())
    assert str(Enrollment.objects.get()) == USER


def tables() -> list[str]:
    return connections["default"].introspection.table_names()


@kinds("sqlite")
def test_model_has_its_migrations(site: Site) -> None:
    """No migration is missing."""
    assert "No changes" in command("makemigrations", "--check", "--dry-run")
    assert settings.INSTALLED_APPS[-1] == "otp_enroll.django"
