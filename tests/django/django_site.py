"""A Django project for the tests, and the databases that it can stand on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.db.backends.signals import connection_created

from otp_enroll import Enroller, StoredEnrollment, Unencrypted
from otp_enroll.testing import FakeAuthenticator, FrozenClock

if find_spec("MySQLdb") is None:
    # Django asks for mysqlclient, which has to be compiled. PyMySQL can stand in for it, if it
    # calls itself new enough.
    pymysql: Any = import_module("pymysql")
    pymysql.version_info = (2, 2, 8, "final", 0)
    pymysql.install_as_MySQLdb()

DATABASES: Final = "OTP_ENROLL_TEST_DATABASES"
"""The environment variable by which other processes learn where the databases are."""

USER: Final = "user-42"
ACCOUNT: Final = "sara@example.com"

CLOCK: Final = FrozenClock()


def configure() -> None:
    """Set the project up, once a process."""
    if settings.configured:
        return
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES=json.loads(os.environ.get(DATABASES, "{}")),
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "otp_enroll.django",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        OTP_ENROLL={"ENROLLER": "django_urls.enroller"},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF="django_urls",
        SECRET_KEY="only for tests",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        USE_TZ=True,
    )
    apps.populate(settings.INSTALLED_APPS)


configure()

from otp_enroll.django.store import DjangoStore  # noqa: E402  # it needs the settings

LOCK_TIMEOUTS: Final[dict[str, dict[str, Any]]] = {
    "sqlite": {"timeout": 5, "init_command": "PRAGMA journal_mode=WAL"},
    "postgresql": {"options": "-c lock_timeout=5s"},
    "mariadb": {"init_command": "SET SESSION innodb_lock_wait_timeout=5"},
}
ENGINES: Final = {
    "postgresql": "django.db.backends.postgresql",
    "mariadb": "django.db.backends.mysql",
}


def use(databases: dict[str, Any]) -> None:
    """Set DATABASES, and forget this thread's connections."""
    handler: Any = connections
    for alias in list(handler):
        vars(handler._connections._storage).pop(alias, None)
    vars(handler)["settings"] = settings.DATABASES = handler.configure_settings(databases)


@dataclass
class Site:
    """An empty database, with an alias for requests and one for the store.

    Attributes:
        kind: ``"sqlite"``, ``"postgresql"`` or ``"mariadb"``.
        databases: The setting.
        path: A directory for the test.
    """

    kind: str
    path: Path
    databases: dict[str, dict[str, Any]]
    opened: list[Any] = field(default_factory=list)

    def set(self, alias: str, **changes: Any) -> None:
        """Change an alias, as an edit of the settings and a restart would."""
        options = {**self.databases[alias]["OPTIONS"], **changes.pop("OPTIONS", {})}
        self.databases[alias] |= {**changes, "OPTIONS": options}
        self.restart()

    def restart(self) -> None:
        """Begin anew with the settings as they are, and no connection."""
        for connection in self.opened:
            connection.inc_thread_sharing()
            connection.close()
        self.opened.clear()
        use(json.loads(json.dumps(self.databases)))

    def sql(self, statement: str, *values: Any, alias: str = "default") -> list[Any]:
        """Run a statement past the store."""
        with connections[alias].cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []


def databases_of(
    kind: str, request: pytest.FixtureRequest, path: Path
) -> dict[str, dict[str, Any]]:
    if kind == "sqlite":
        entry: dict[str, Any] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(path / "app.sqlite3"),
        }
    else:
        database = request.getfixturevalue(kind).fresh_database()
        entry = {
            "ENGINE": ENGINES[kind],
            "NAME": database.name,
            "USER": database.user,
            "PASSWORD": database.password,
            "HOST": database.host,
            "PORT": database.port,
        }
    # The server has no TLS, and PyMySQL would read all certificates for each connection.
    plain = {"ssl_disabled": True} if kind == "mariadb" else {}
    options = {**LOCK_TIMEOUTS[kind], **plain}
    return {alias: {**entry, "OPTIONS": options} for alias in ("default", "otp_enroll")}


@contextmanager
def site_of(kind: str, request: pytest.FixtureRequest, path: Path) -> Iterator[Site]:
    """Stand the project on an empty database for the length of a block."""
    site = Site(kind, path, databases_of(kind, request, path))

    def remember(connection: Any, **_: Any) -> None:
        site.opened.append(connection)

    site.restart()
    connection_created.connect(remember)
    try:
        call_command("migrate", "otp_enroll", verbosity=0)
        site.sql("CREATE TABLE note (name VARCHAR(100) PRIMARY KEY)")
        yield site
    finally:
        connection_created.disconnect(remember)
        site.databases.clear()
        site.restart()


def kinds(*names: str) -> pytest.MarkDecorator:
    """Run a test on these databases alone."""
    return pytest.mark.parametrize("site", names, indirect=True)


def record(user_id: str = USER, revision: str = "1" * 32, **changes: Any) -> StoredEnrollment:
    plain: dict[str, Any] = {"state": "disabled", "setup_expires_at": None, "changed_at": 7}
    return StoredEnrollment(
        user_id=user_id, revision=revision, **{**plain, "document": "{}", **changes}
    )


def make_enroller(store: Any = None, **changes: Any) -> Enroller:
    """Build an enroller on the frozen clock."""
    plain: dict[str, Any] = {"issuer": "Exir", "cipher": Unencrypted(), "clock": CLOCK}
    return Enroller(store or DjangoStore(), **{**plain, **changes})


def enroll(enroller: Enroller, user_id: str = USER) -> FakeAuthenticator:
    """Confirm an account, and go on to the next period."""
    setup = enroller.begin(user_id, account_name=ACCOUNT)
    phone = FakeAuthenticator(setup.uri, CLOCK)
    enroller.confirm(user_id, phone.code(), setup_id=setup.id)
    CLOCK.advance(60)
    return phone


@contextmanager
def open_store() -> Iterator[DjangoStore]:
    """Open a store as a thread or process of the app would, and hang up after it."""
    yield DjangoStore()
    connections.close_all()
