"""The Django project over plain HTTP: the whole life of an account, and each duty of an app."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.request import build_opener

import pytest

from helpers.web_http import Browser, sabotaged
from helpers.web_server import EXAMPLES, RECOVERY_CODES, WebApp

DESK_PASSWORD: Final = "open sesame"


@pytest.fixture(scope="module")
def app() -> Iterator[WebApp]:
    with WebApp("django", "--short") as started:
        yield started


@pytest.fixture
def browser(app: WebApp) -> Browser:
    return Browser(app)


# --- the life ---


def test_whole_life_of_an_account(browser: Browser) -> None:
    """Off, set-up, on, sign in, change phone, add one, recover, new codes, off, by its forms."""
    codes = switched_on(browser)
    signed_in_again(browser)
    changed_phone(browser)
    added_and_removed_another(browser)
    lost_phone(browser, codes[0])
    browser.get("/security")
    browser.send("renew", proof=browser.code())
    assert browser.name == "codes"
    assert len(set(browser.codes) - set(codes)) == RECOVERY_CODES
    browser.get("/security")
    browser.send("disable", proof=browser.code())
    assert (browser.state, browser.notice) == ("disabled", "off")
    assert {"enrollment_disabled", "recovery_codes_issued"} <= set(browser.happened)


def switched_on(browser: Browser) -> list[str]:
    browser.sign_in()
    assert (browser.name, browser.state) == ("security", "disabled")
    browser.begin()
    assert (browser.name, browser.state) == ("setup", "pending")
    browser.confirm()
    assert browser.name == "on"
    codes = browser.codes
    assert len(codes) == RECOVERY_CODES
    browser.get("/security")
    assert browser.state == "confirmed"
    return codes


def signed_in_again(browser: Browser) -> None:
    browser.send("sign-out")
    assert browser.notice == "signed_out"
    browser.sign_in()
    assert browser.name == "code"
    browser.send("code-form", code=browser.code())
    assert (browser.name, browser.state) == ("security", "confirmed")


def changed_phone(browser: Browser) -> None:
    browser.send("change", proof=browser.code())
    browser.scan()
    assert browser.phone.label.endswith("(2)")
    browser.confirm()
    assert (browser.name, browser.codes) == ("on", [])
    assert "old-paper" in browser.forms.attributes


def added_and_removed_another(browser: Browser) -> None:
    browser.get("/security")
    browser.send("add", authenticator="tablet", proof=browser.code())
    first = browser.phone
    browser.scan()
    browser.confirm()
    browser.phone = first
    browser.get("/security")
    browser.send("rename", authenticator="tablet", new_name="لوح")
    assert (browser.notice, "لوح" in browser.text) == ("renamed", True)
    browser.send("disable", authenticator="لوح", proof=browser.code())
    assert (browser.notice, browser.state) == ("removed", "confirmed")


def lost_phone(browser: Browser, code: str) -> None:
    browser.send("sign-out")
    browser.sign_in()
    browser.send("recovery-form", code=code)
    assert browser.name == "recovered"
    browser.send("lost-phone")
    assert browser.name == "setup"
    browser.scan()
    browser.confirm()
    assert browser.name == "on"


# --- who comes in ---


@pytest.mark.requirement("R-52")
def test_first_begin_needs_the_password(browser: Browser) -> None:
    """A browser that was left signed in sets no phone up."""
    browser.sign_in()
    for typed in ({}, {"password": ""}, {"password": "wrong"}):
        browser.send("begin", **typed)
        assert (browser.page.status, browser.problem) == (403, "password")
        assert browser.state == "disabled"


@pytest.mark.requirement("R-73")
def test_code_is_asked_for_after_the_password_alone(browser: Browser) -> None:
    """Nobody can type codes for an account without its password, nor ten minutes after it."""
    browser.switch_on()
    stranger = Browser(browser.app, browser.user)
    stranger.get("/sign-in")
    stranger.send("sign-in", "/sign-in/code", code="123456")
    assert stranger.name == "sign-in"
    stranger.sign_in()
    browser.app.advance(600)
    stranger.send("code-form", code=browser.phone.code())
    assert stranger.name == "sign-in"
    stranger.get("/security")
    assert stranger.name == "sign-in"


@pytest.mark.requirement("R-98")
def test_password_alone_opens_no_page_of_any_app(app: WebApp) -> None:
    """Between password and code nobody is signed in, and the admin's sign-in is no way around."""
    member = Browser(app, "dara")
    member.sign_in(password=DESK_PASSWORD)
    member.begin(DESK_PASSWORD)
    member.confirm()
    member.send("sign-out")
    member.sign_in(password=DESK_PASSWORD)
    assert member.name == "code"
    for path in ("/security", "/help-desk", "/admin/", "/admin/login/"):
        member.get(path)
        assert member.name == "sign-in", path
    member.send("sign-in", "/admin/login/?next=/admin/", username="dara", password=DESK_PASSWORD)
    member.get("/admin/")
    assert member.name == "sign-in"
    member.sign_in(password=DESK_PASSWORD)
    member.send("code-form", code=member.code())
    member.get("/admin/")
    assert "One-time passwords" in member.text
    member.get("/security")
    member.send("disable", proof=member.code())


@pytest.mark.requirement("R-98")
def test_every_page_is_for_the_signed_in_unless_it_says_otherwise(browser: Browser) -> None:
    """Without a session each address of an account leads to the sign-in."""
    browser.get("/sign-in")
    token = browser.forms.hidden["sign-in"]
    for path in ("", "/recovered", "/setup"):
        browser.get(f"/security{path}")
        assert browser.name == "sign-in", path
    changes = ("begin", "setup/sheet", "setup/check", "setup/confirm", "setup/cancel")
    for path in (*changes, "recovery-codes", "disable", "rename"):
        browser.post(f"/security/{path}", **token)
        assert browser.name == "sign-in", path


@pytest.mark.requirement("R-98")
def test_session_is_renewed(browser: Browser) -> None:
    """At sign-in, begin and confirm it has another id, and an id from before opens nothing."""
    browser.get("/sign-in")
    browser.send("sign-in", "/sign-out")  # its notice makes a session
    met = [browser.session]
    for step in (browser.sign_in, browser.begin, browser.confirm):
        step()
        met.append(browser.session)
    assert len(set(met)) == len(met)
    thief = Browser(browser.app, browser.user)
    for old in met[:-1]:
        thief.get("/security", Cookie=f"sessionid={old}")
        assert thief.name == "sign-in"
    thief.get("/security", Cookie=f"sessionid={met[-1]}")
    assert thief.name == "security"


def test_help_desk_is_for_who_has_its_permissions(browser: Browser) -> None:
    """Others see nothing of it; a member gives new codes or switches off, and says why."""
    browser.switch_on()
    for path in ("/help-desk", "/admin/otp_enroll/enrollment/"):
        browser.get(path)
        assert browser.name in {"refused", "sign-in"}, path
    member = Browser(browser.app, "dara")
    member.sign_in(password=DESK_PASSWORD)
    member.get("/help-desk")
    member.send("desk", username=browser.user, reason=" ")
    assert (member.page.status, member.problem) == (400, "reason")
    member.send("desk", username="nobody", reason="passport seen")
    assert (member.page.status, member.problem) == (404, "unknown_user")
    member.send("desk", username=browser.user, reason="passport seen")
    assert len(member.codes) == RECOVERY_CODES
    member.get("/help-desk")
    member.send("desk", "/help-desk/disable", username=browser.user, reason="passport seen")
    assert member.notice == "desk_off"
    browser.get("/security")
    assert browser.state == "disabled"
    assert browser.happened[:2] == ["enrollment_disabled", "override_used"]
    member.get("/help-desk")
    member.send("desk", "/help-desk/disable", username=browser.user, reason="once more")
    assert (member.page.status, member.problem) == (409, "not_enrolled")


# --- what is written, and what is not ---


@pytest.mark.requirement("R-96")
def test_owner_is_told_of_every_change(browser: Browser) -> None:
    """Each change is a notice on the page once, and a mail; no log line holds a secret."""
    codes = browser.switch_on()
    key = browser.phone._scanned.secret.base32
    browser.get("/security")
    browser.send("disable-by-recovery-code", proof=codes[0])
    assert browser.happened == [
        "enrollment_disabled",
        "recovery_code_used",
        "recovery_codes_issued",
        "authenticator_confirmed",
        "setup_begun",
    ]
    assert len(mails_to(browser)) == 5
    for secret in (key, codes[0], codes[0].replace("-", "")):
        assert secret not in browser.app.log()


@pytest.mark.requirement("R-96")
def test_mails_are_in_the_owners_language(browser: Browser) -> None:
    """That of the first sign-in, until its owner chooses another one."""
    browser.get("/sign-in")
    browser.send("language", language="fa")
    browser.switch_on()
    persian = mails_to(browser)
    browser.get("/security")
    browser.send("language", language="en")
    browser.send("rename", new_name="phone")
    assert len(persian) == 3
    assert all(re.search("[آ-ی]", mail) for mail in persian)
    english = mails_to(browser)[3:]
    assert len(english) == 1
    assert "was given a name" in english[0]


def mails_to(browser: Browser) -> list[str]:
    start = f"INFO django_app.otp.outbox: to {browser.user}@example.com: "
    return [line for line in browser.app.log().splitlines() if line.startswith(start)]


def test_change_and_its_notice_are_one_and_the_code_is_spent_anyway(browser: Browser) -> None:
    """Where the notice cannot be written nothing is changed, but the code has had its verdict."""
    browser.switch_on()
    browser.get("/security")
    page = browser.forms
    code = browser.code()
    no_notice = (
        "CREATE TRIGGER full BEFORE INSERT ON django_app_notice "
        "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )
    with sabotaged(browser.app, no_notice, "DROP TRIGGER full"):
        browser.send("disable", proof=code)
        assert (browser.page.status, browser.problem) == (500, "broken")
    browser.get("/security")
    assert browser.state == "confirmed"
    assert "enrollment_disabled" not in browser.happened
    browser.forms = page
    browser.send("disable", proof=code)
    assert browser.problem == "code_reused"


def test_request_waits_while_another_writes(browser: Browser) -> None:
    """SQLite lets one write at a time: a change goes on when the other is done, code and all."""
    browser.switch_on()
    browser.get("/security")
    code = browser.code()
    waiting = subprocess.Popen(  # noqa: S603  # our own words
        [sys.executable, "-c", HOLD, str(browser.app.directory / "app.db")], stdout=subprocess.PIPE
    )
    with waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == b"held\n"
        browser.send("disable", proof=code)
    assert (browser.state, browser.notice) == ("disabled", "off")


HOLD: Final = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(1)
database.execute("COMMIT")
"""


# --- what goes over the wire ---


@pytest.mark.requirement("R-89")
@pytest.mark.requirement("R-98")
def test_every_answer_has_the_headers(browser: Browser) -> None:
    """Refusals of all kinds have them as pages do; style alone may be kept."""
    browser.get("/sign-in")
    seen = [browser.page]
    for path, fields in (
        ("/no-such-page", None),
        ("/sign-out", None),  # no GET
        ("/sign-out", {}),  # no token
        ("/sign-in", {"username": "x" * 70_000}),  # too large
    ):
        browser.get(path) if fields is None else browser.post(path, **fields)
        seen.append(browser.page)
    assert [page.status for page in seen] == [200, 404, 405, 403, 400]
    for page in seen:
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
    browser.get("/static/style.css")
    assert browser.page.headers["Content-Type"].startswith("text/css")
    assert browser.page.headers["Cache-Control"] is None


# --- the project as such ---


def run(database: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "DATABASE": str(database), **environment}
    command = [sys.executable, str(EXAMPLES / "django_app" / "manage.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables)  # noqa: S603  # our own script


def test_project_passes_djangos_checks(tmp_path: Path) -> None:
    """No check warns, and the migrations make what the models say."""
    for arguments in (["check", "--fail-level", "WARNING"], ["makemigrations", "--check"]):
        done = run(tmp_path / "app.db", *arguments)
        assert done.returncode == 0, done.stderr


def test_secrets_come_from_the_environment_or_a_file_of_the_owner(tmp_path: Path) -> None:
    """None stands in the database; a file that is made for development is nobody else's to read."""
    run(tmp_path / "given.db", "check", OTP_KEY="AAAA", SECRET_KEY="given")
    assert not list(tmp_path.glob("given.db.*key"))
    run(tmp_path / "app.db", "check")
    kept = sorted(tmp_path.glob("app.db.*key"))
    assert [path.name for path in kept] == ["app.db.otp_key", "app.db.secret_key"]
    before = [path.read_text() for path in kept]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    run(tmp_path / "app.db", "check")
    assert [path.read_text() for path in kept] == before


@pytest.mark.requirement("R-89")
def test_report_of_a_failure_shows_nothing_that_was_typed(tmp_path: Path) -> None:
    """What Django mails to ADMINS names the page, and neither the code nor the password."""
    report = run(tmp_path / "app.db", "shell", "-c", REPORT).stdout
    assert "/sign-in/code" in report
    assert "the store failed" in report
    assert "typed by a person" not in report


REPORT: Final = """
from django.test import RequestFactory
from django.urls import resolve
from django.views.debug import ExceptionReporter
from otp_enroll.errors import StorageError

class Session(dict):
    def get(self, *_):
        raise StorageError

request = RequestFactory().post("/sign-in/code", {"code": "typed by a person"})
request.session = Session()
try:
    resolve("/sign-in/code").func(request)
except StorageError as error:
    reporter = ExceptionReporter(request, type(error), error, error.__traceback__)
    print(reporter.get_traceback_text(), reporter.get_traceback_html())
"""


def test_it_starts_by_one_command(tmp_path: Path) -> None:
    """``python -m django_app`` says where it is and who can sign in, and is there."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = str(free.getsockname()[1])
    variables = {"PORT": port, "DATABASE": "app.db", "PYTHONPATH": str(EXAMPLES)}
    with subprocess.Popen(
        [sys.executable, "-m", "django_app"],
        cwd=tmp_path,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = ""
        try:
            for line in process.stdout:
                told += line
                if "Quit the server" in line:
                    break
            assert f"http://127.0.0.1:{port}/" in told
            assert re.search(r"sara +correct horse", told)
            with build_opener().open(f"http://127.0.0.1:{port}/") as page:
                assert 'data-page="sign-in"' in page.read().decode()
        finally:
            process.terminate()
