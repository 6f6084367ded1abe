"""The project's settings, from the environment: DATABASE, SECRET_KEY, OTP_KEY, SECURE_COOKIES.

OTP_KEY is 32 random bytes in Base64.
"""

from __future__ import annotations

import base64
import os
import secrets
import time
from pathlib import Path
from typing import Any, Final

from pages import pages

DATABASE: Final = Path(os.environ.get("DATABASE", "demo-django.db").removeprefix("sqlite:///"))


def secret(name: str, size: int) -> str:
    """Return a secret of the environment: none may stand in the database that it protects.

    For development a fresh one is kept in a file beside the database. Lose that of OTP_KEY, and
    every authenticator has to be set up anew.
    """
    if given := os.environ.get(name):
        return given
    path = DATABASE.with_name(f"{DATABASE.name}.{name.lower()}")
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(size)).decode())
    return path.read_text()


# --- one-time passwords ---

DATABASES: Final[dict[str, dict[str, Any]]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATABASE,
        # A code is judged outside of the request's transactions: SQLite has one lock for all, and
        # a request that had written would keep the verdict from being kept. Transactions are
        # opened where something is changed, after the code was judged.
        "ATOMIC_REQUESTS": False,
        "OPTIONS": {
            "timeout": 5,
            "init_command": "PRAGMA journal_mode=WAL",  # readers and the writer do not wait
            "transaction_mode": "IMMEDIATE",  # wait for the lock at the beginning, not in between
        },
    },
}
# The same database for the enroller alone: what a code has cost stays, whatever is rolled back on
# "default". The page on Django in the docs has the options for other databases.
DATABASES["otp_enroll"] = {**DATABASES["default"]}

OTP_ENROLL: Final = {"ENROLLER": "django_app.otp.enroller"}
OTP_KEY: Final = base64.b64decode(secret("OTP_KEY", 32))
# Tests give ``create_app`` others.
OTP_CLOCK: Final = time.time
OTP_POLICY: Final = pages.POLICY

# --- what any project has ---

DEBUG: Final = False  # its error pages show local variables: never where people have accounts
SECRET_KEY: Final = secret("SECRET_KEY", 64)
ALLOWED_HOSTS: Final = ["127.0.0.1", "localhost"]
ROOT_URLCONF: Final = "django_app.urls"
DEFAULT_AUTO_FIELD: Final = "django.db.models.BigAutoField"
TIME_ZONE: Final = "UTC"

INSTALLED_APPS: Final = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "otp_enroll.django",
    "django_app",
]
MIDDLEWARE: Final = [
    "django_app.middleware.Guard",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",  # no POST without its token
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    # Every page is for people who are signed in, unless urls.py says otherwise.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# For the admin page; the app's own pages are shared with the other examples.
TEMPLATES: Final = [
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
]
STATIC_URL: Final = "/static/"
STATICFILES_DIRS: Final = [pages.STATIC]

LOGIN_URL: Final = "/sign-in"
PASSWORD_HASHERS: Final = ["django.contrib.auth.hashers.ScryptPasswordHasher"]

# Sessions are in the database: a setup id stands in them, so they must not be in the cookie.
SESSION_ENGINE: Final = "django.contrib.sessions.backends.db"
SESSION_EXPIRE_AT_BROWSER_CLOSE: Final = True
# Set it wherever the project is served, and serve it by TLS alone.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = os.environ.get("SECURE_COOKIES") == "yes"
CSRF_COOKIE_HTTPONLY: Final = True
CSRF_FAILURE_VIEW: Final = "django_app.refusals.csrf_refused"
DATA_UPLOAD_MAX_MEMORY_SIZE: Final = 64 * 1024
