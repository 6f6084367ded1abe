"""When the library fails, each example app answers with its page for 500s, and lets nobody in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import pytest

from helpers.web_forms import PASSWORD
from helpers.web_http import Browser, sabotaged
from helpers.web_server import APPS, WebApp


@pytest.fixture(scope="module", params=APPS)
def app(request: pytest.FixtureRequest) -> Iterator[WebApp]:
    with WebApp(request.param) as started:
        yield started


@pytest.fixture
def browser(app: WebApp) -> Browser:
    return Browser(app)


# --- what goes wrong ---


def table_away(app: WebApp) -> AbstractContextManager[None]:
    away = "ALTER TABLE otp_enrollment RENAME TO away"
    return sabotaged(app, away, "ALTER TABLE away RENAME TO otp_enrollment")


@contextmanager
def wrong_key(app: WebApp) -> Iterator[None]:
    app.restart("--key", "ff" * 32)
    try:
        yield
    finally:
        app.restart()


@contextmanager
def clock_behind(app: WebApp) -> Iterator[None]:
    app.advance(-3600)
    yield
    app.advance(3600)


def others_first(app: WebApp) -> AbstractContextManager[None]:
    """Let each save find that another request was there before."""
    parts = ("INSERT", "UPDATE")
    before = "CREATE TRIGGER no_{0} BEFORE {0} ON otp_enrollment BEGIN SELECT RAISE(IGNORE); END;"
    after = "DROP TRIGGER no_{0};"
    return sabotaged(app, *("".join(map(sql.format, parts)) for sql in (before, after)))


FAILURES: Final = {
    "table away": (table_away, "StorageError", "OperationalError"),
    "wrong key": (wrong_key, "UnreadableSecretError", "InvalidTag"),
    "clock behind": (clock_behind, "ServerClockError", ""),
}
"""What goes wrong, as what it is logged, and because of what."""


class Log:
    """What an app has logged since a moment."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        self._start = len(app.log())

    @property
    def text(self) -> str:
        return self._app.log()[self._start :]

    @property
    def of_the_library(self) -> list[str]:
        return [line for line in self.text.splitlines() if re.match(r"[A-Z]+ otp_enroll: ", line)]


def is_broken(browser: Browser) -> bool:
    """Return whether the answer is the page that says that something failed, and no more."""
    assert browser.page.headers["Cache-Control"] == "no-store"
    return (browser.page.status, browser.name, browser.problem) == (500, "refused", "broken")


# --- failures ---


@pytest.mark.requirement("R-103")
@pytest.mark.parametrize("trouble", FAILURES)
def test_failure_at_sign_in_is_a_500_and_one_line(browser: Browser, trouble: str) -> None:
    """A right code is not called wrong, lets nobody in, and is still good when all is well."""
    fail, name, cause = FAILURES[trouble]
    browser.switch_on()
    browser.sign_out()
    browser.sign_in()
    assert browser.name == "code"
    code = browser.code()
    with fail(browser.app):
        browser.get("/sign-in/code")
        log = Log(browser.app)
        browser.send("code-form", code=code)
        assert is_broken(browser)
        (line,) = log.of_the_library
        assert re.match(rf"ERROR otp_enroll: {name} for 'user-1\d+'", line)
        assert cause in line
        assert code not in log.text
    browser.get("/security")
    assert browser.name == "sign-in"
    browser.get("/sign-in/code")
    browser.send("code-form", code=code)
    assert (browser.name, browser.state) == ("security", "confirmed")


@pytest.mark.requirement("R-103")
def test_failure_is_a_500_on_each_page_of_an_account(browser: Browser) -> None:
    """Whatever is asked for while the table is away: one line each, and nothing is changed."""
    browser.sign_in()
    off = browser.forms
    browser.begin()
    setup, key = browser.forms, browser.key
    filled = {"code": browser.code(), "backup_acknowledged": "yes"}
    with table_away(browser.app):
        for forms, form, fields in (
            (off, "begin", {"password": PASSWORD}),
            (setup, "sheet", {}),
            (setup, "check", {"copy": key}),
            (setup, "confirm", filled),
        ):
            log = Log(browser.app)
            browser.forms = forms
            browser.send(form, **fields)
            assert is_broken(browser), form
            assert len(log.of_the_library) == 1, form
            assert not [
                secret for secret in (PASSWORD, filled["code"], key) if secret in log.text
            ], form
        for path in ("/security", "/security/setup"):
            log = Log(browser.app)
            browser.get(path)
            assert is_broken(browser), path
            assert len(log.of_the_library) == 1, path
        browser.sign_in()  # the password is right, and whether a code is needed is not known
        assert is_broken(browser)
    browser.get("/security/setup")
    assert browser.key == key
    browser.send("confirm", **filled)
    assert browser.name == "on"


@pytest.mark.requirement("R-103")
def test_setup_whose_secret_cannot_be_opened_is_a_500(browser: Browser) -> None:
    """A wrong key shows no key to scan, and the setup goes on when the right one is back."""
    browser.sign_in()
    browser.begin()
    with wrong_key(browser.app):
        log = Log(browser.app)
        browser.get("/security/setup")
        assert is_broken(browser)
        (line,) = log.of_the_library
        assert line.startswith("ERROR otp_enroll: UnreadableSecretError")
    browser.get("/security/setup")
    browser.confirm()
    assert browser.name == "on"


# --- contention, which is a refusal ---


@pytest.mark.requirement("R-103")
def test_contention_is_a_503_on_the_page_that_was_sent(browser: Browser) -> None:
    """Where others are always faster the page is shown again; nothing was judged or changed."""
    browser.sign_in()
    with others_first(browser.app):
        browser.send("begin", password=PASSWORD)
        assert (refusal(browser), browser.state) == ((503, "security"), "disabled")
    assert not browser.happened
    browser.begin()
    filled, key = {"code": browser.code(), "backup_acknowledged": "yes"}, browser.key
    with others_first(browser.app):
        browser.send("confirm", **filled)
        assert (refusal(browser), browser.key) == ((503, "setup"), key)
        browser.send("cancel")
        assert (refusal(browser), browser.state) == ((503, "security"), "pending")
    browser.get("/security/setup")
    browser.send("confirm", **filled)
    assert browser.name == "on"

    browser.sign_out()
    browser.sign_in()
    code = browser.code()
    with others_first(browser.app):
        log = Log(browser.app)
        browser.send("code-form", code=code)
        assert refusal(browser) == (503, "code")
        (line,) = log.of_the_library
        assert line.startswith("WARNING otp_enroll: StoreContentionError")
    browser.send("code-form", code=code)
    assert (browser.name, browser.state) == ("security", "confirmed")


def refusal(browser: Browser) -> tuple[int, str]:
    """Return the status and the page of an answer that says that others were faster."""
    assert browser.problem == "store_contention"
    return browser.page.status, browser.name
