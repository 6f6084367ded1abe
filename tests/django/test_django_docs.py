"""The page on Django is true: its blocks are a project, which passes the tests that it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parent.parent):
    sys.path.insert(0, str(folder))  # for the modules beside this file

import pytest  # noqa: E402
from django_site import LOCK_TIMEOUTS, Site, kinds  # noqa: E402

pytest_plugins = ["django_servers"]

PAGE = Path(__file__).parent.parent.parent / "docs" / "django.md"

BEGUN = """
import os
SECRET_KEY = "only for tests"
OTP_KEY = bytes(32)
ROOT_URLCONF = "shop.urls"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {{"default": {entry!r}}}
"""
URLS = """
from django.urls import path
from shop import views
urlpatterns = [path("second-step/", views.second_step), path("switch-off/", views.switch_off)]
"""
MORE_TESTS = """
from django.db import transaction
from django.test import TestCase
from otp_enroll.errors import StorageError
from otp_enroll.django.conf import get_enroller

class RefusedTest(TestCase):
    databases = {"default", "otp_enroll"}

    def test_a_test_case_is_a_transaction(self):
        with self.assertRaises(StorageError):
            get_enroller().begin("sara", account_name="sara")

class ForbiddenTest(TestCase):
    def test_another_alias_is_not_for_this_test(self):
        with self.assertRaises(StorageError):
            get_enroller().begin("sara", account_name="sara")
"""


@kinds("postgresql", "sqlite")
def test_project_of_the_page_passes_its_tests(site: Site, tmp_path: Path) -> None:
    """The files of the page, put together, pass the checks and the tests that the page shows."""
    page = PAGE.read_text(encoding="utf-8")
    files = dict(re.findall(r"```python\n# (shop/\w+\.py)\n(.*?)```", page, re.DOTALL))
    assert sorted(files) == [f"shop/{name}.py" for name in ("otp", "settings", "tests", "views")]
    entry = {name: value for name, value in site.databases["default"].items() if name.isupper()} | {
        "OPTIONS": {}
    }
    settings = BEGUN.format(entry=entry) + files["shop/settings.py"]
    if site.kind == "sqlite":
        test = {"NAME": str(tmp_path / "test.sqlite3")}
        settings += f"DATABASES['default']['TEST'] = DATABASES['otp_enroll']['TEST'] = {test!r}\n"
        settings += f"DATABASES['otp_enroll']['OPTIONS'] = {LOCK_TIMEOUTS['sqlite']!r}\n"
    files |= {
        "shop/settings.py": settings,
        "shop/urls.py": URLS,
        "shop/__init__.py": "",
        "shop/test_more.py": MORE_TESTS,
    }
    (tmp_path / "shop").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    manage(tmp_path, "check", "--fail-level", "WARNING")
    assert "Ran 4 tests" in manage(tmp_path, "test")


def manage(folder: Path, *command: str) -> str:
    """Run a command of the project, and return what it says, if it ends well."""
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-m", "django", *command, "--settings=shop.settings", "--pythonpath=."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr)
    return done.stdout + done.stderr


def test_tables_of_the_page_are_right() -> None:
    """The page names each permission, each command and the check that may be silenced."""
    page = PAGE.read_text(encoding="utf-8")
    for name in ("view_enrollment", "renew_recovery_codes", "switch_off"):
        assert f"| `otp_enroll.{name}` |" in page
    for name in ("otp_enroll_purge", "otp_enroll_reseal", "otp_enroll.W004"):
        assert name in page
