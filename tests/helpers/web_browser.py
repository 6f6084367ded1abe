"""What tests in a real browser share: Chromium, a watch on it, a phone that reads screenshots."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from PIL import Image
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    sync_playwright,
)

from conftest import path_of_tool
from helpers.scanner import scan
from helpers.web_server import WebApp

LOCALES: Final = {"en": "en-US", "fa": "fa-IR"}
PASSWORD: Final = "correct horse"
HELP_DESK: Final = "dara"
HELP_DESK_PASSWORD: Final = "open sesame"

_RECOVERY_CODE: Final = re.compile(r"\b(?:[0-9A-Z]{4}-){5}[0-9A-Z]{4}\b")
_SECRET_FIELDS: Final = ("password", "code", "proof", "copy", "setup_id")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium, which can reach nothing but the loopback.

    Its package without windows takes half the time, and draws and prints the same.
    """
    path = shutil.which("chromium-headless-shell") or path_of_tool("chromium")
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's own sandbox refuses root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


def read_qr(picture: bytes) -> str:
    """Return the text of the one QR code in a picture."""
    with Image.open(io.BytesIO(picture)) as image:
        found = scan(image)
    assert len(found) == 1, f"{len(found)} codes in the picture"
    return found[0].text


class Phone:
    """An authenticator app that scanned a URI, in which oathtool makes the codes.

    Args:
        uri: What the QR code says.
        clock: The phone's clock, in Unix seconds.

    Attributes:
        uri: The same.
        key: The setup key in it.
    """

    def __init__(self, uri: str, clock: Callable[[], float]) -> None:
        self.uri = uri
        self.key = parse_qs(urlsplit(uri).query)["secret"][0]
        self._clock = clock

    def code(self, offset: int = 0) -> str:
        """Show the code of a period, counted from now."""
        return self._codes(offset, 1)[0]

    def wrong_code(self) -> str:
        """Return six digits that it shows at no time near now."""
        near = self._codes(-10, 21)
        return next(code for code in map("{:06}".format, range(100)) if code not in near)

    def _codes(self, first: int, count: int) -> list[str]:
        at = f"@{int(self._clock()) + 30 * first}"
        command = [path_of_tool("oathtool"), "--totp", "-b", self.key, "-w", str(count - 1)]
        done = subprocess.run([*command, "--now", at], capture_output=True, text=True, check=True)  # noqa: S603  # a tool of the tests
        return done.stdout.split()


class Watch:
    """What a browser context fetches and complains of, from its first page to its last.

    Args:
        context: The context.
        origin: The only place from which it may fetch.

    Attributes:
        complaints: What it may not have done, or had done to it; stays empty.
        documents: The answers that were pages.
        secrets: Keys, codes and setup ids met so far: they may stand in no address.
    """

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.complaints: list[str] = []
        self.documents: list[Response] = []
        self.secrets: set[str] = set()
        self._origin = origin
        self._urls: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        context.on("request", self._request)
        context.on("response", self._response)

    def tells(self) -> list[str]:
        """Return the complaints, and the addresses that hold a secret."""
        urls = {url for url in self._urls for secret in self.secrets if secret in url}
        return self.complaints + [f"a secret in {url}" for url in sorted(urls)]

    def _console(self, message: ConsoleMessage) -> None:
        # A refusal is a page with a status of its own, and Chromium notes each of them.
        refused = "Failed to load resource: the server responded with a status of 4"
        if message.type in {"error", "warning"} and not message.text.startswith(refused):
            self.complaints.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if request.url.startswith("data:"):
            return
        self._urls.append(request.url)
        if not request.url.startswith(f"{self._origin}/"):
            self.complaints.append(f"fetched {request.url}")

    def _response(self, response: Response) -> None:
        if response.request.resource_type == "document":
            self.documents.append(response)
        elif response.status >= 400:
            self.complaints.append(f"{response.status} for {response.url}")
        if response.status >= 500:
            self.complaints.append(f"{response.status} for {response.url}")


Visit = Callable[..., "Visitor"]
"""Lets a person in: ``visit()``, or with a name and options of a browser context."""


class Visitor:
    """A person at a browser: goes to pages, fills in forms, scans what the screen shows.

    Args:
        app: The app.
        page: A page of a context of the person's own.
        name: The user name.
        watch: On that context.
    """

    def __init__(self, app: WebApp, page: Page, name: str, watch: Watch) -> None:
        self.app = app
        self.page = page
        self.name = name
        self.watch = watch

    # --- look ---

    @property
    def where(self) -> str:
        """The page's name."""
        return self.page.locator("body").get_attribute("data-page") or ""

    @property
    def state(self) -> str:
        """The state of the account that the page shows."""
        return self.page.locator("body").get_attribute("data-state") or ""

    @property
    def problem(self) -> str | None:
        """The code of the refusal that the page explains; its sentence is never empty."""
        alert = self.page.locator("#problem[role=alert]")
        if alert.count() == 0:
            return None
        assert alert.inner_text().strip()
        return alert.get_attribute("data-code")

    @property
    def notice(self) -> str:
        """What the page says was done, or an empty text."""
        notice = self.page.locator("#notice[role=status]")
        return notice.inner_text().strip() if notice.count() else ""

    @property
    def key(self) -> str:
        """The key in groups, as its text reads."""
        return " ".join(self.page.locator("#key span").all_inner_texts())

    @property
    def setup_id(self) -> str:
        """The setup id in the form that confirms."""
        return self.page.locator("#confirm input[name=setup_id]").input_value()

    def scan(self) -> Phone:
        """Scan the QR code on the screen with a phone."""
        self.page.locator("#qr").scroll_into_view_if_needed()
        phone = Phone(read_qr(self.page.screenshot()), lambda: self.app.now)
        self.watch.secrets |= {phone.key, self.setup_id}
        return phone

    def recovery_codes(self) -> list[str]:
        """Read the recovery codes off the page."""
        codes = self.page.locator("#recovery-codes bdi[dir=ltr] code").all_inner_texts()
        self.watch.secrets.update(codes)
        return codes

    # --- act ---

    def go(self, path: str) -> None:
        """Open a page."""
        self.page.goto(self.app.origin + path)

    def tab(self) -> Visitor:
        """Open another tab of the same browser."""
        return Visitor(self.app, self.page.context.new_page(), self.name, self.watch)

    def sheet(self) -> Visitor:
        """Press the button that prints the sheet, and go to the page that opens."""
        with self.page.expect_popup() as opened:
            self.form("#sheet").locator("button").click()
        opened.value.wait_for_load_state()
        return Visitor(self.app, opened.value, self.name, self.watch)

    def form(self, selector: str) -> Locator:
        """Find a form, and unfold what hides it."""
        form = self.page.locator(selector)
        folded = form.locator("xpath=ancestor::details[not(@open)]/summary")
        while folded.count():  # the outermost first: it hides the others
            folded.first.click()
        return form

    def send(self, selector: str, button: str = "button", **fields: str | bool) -> None:
        """Fill in a form and press a button of it; a truth value ticks a box or clears it."""
        form = self.form(selector)
        for name, value in fields.items():
            field = form.locator(f"[name={name}]")
            if isinstance(value, bool):
                field.set_checked(value)
            else:
                if name in _SECRET_FIELDS and len(value) >= 6:
                    self.watch.secrets.add(value)
                field.fill(value)
        with self.page.expect_navigation():
            form.locator(button).first.click()

    def downloaded(self) -> list[str]:
        """Save the file of recovery codes and return those in it."""
        with self.page.expect_download() as download:
            self.page.locator("#download").click()
        return _RECOVERY_CODE.findall(download.value.path().read_text("utf-8"))

    def sign_in(self, code: str | None = None) -> None:
        """Sign in with the password, and with a code where one is asked for."""
        self.go("/sign-in")
        password = HELP_DESK_PASSWORD if self.name == HELP_DESK else PASSWORD
        self.send("#sign-in", username=self.name, password=password)
        if code is not None:
            self.send("#recovery-form" if "-" in code else "#code-form", code=code)

    def sign_out(self) -> None:
        """Sign out, by the button that every page of the account has."""
        self.go("/security")
        self.send("#sign-out")

    def sign_in_anew(self, code: str | None = None) -> None:
        """Sign out and in."""
        self.sign_out()
        self.sign_in(code)

    def begin(self) -> None:
        """Begin the first setup of an account."""
        self.send("#begin", password=PASSWORD)

    def set_up(self) -> tuple[Phone, list[str]]:
        """Sign in, set a phone up, confirm it, and wait for the next code."""
        self.sign_in()
        self.begin()
        phone = self.scan()
        self.confirm(phone)
        codes = self.recovery_codes()
        self.app.advance()
        return phone, codes

    def confirm(self, phone: Phone) -> None:
        """Confirm the setup with the code of its phone."""
        self.send("#confirm", code=phone.code(), backup_acknowledged=True)


@contextmanager
def visiting(
    browser: Browser, app: WebApp, *, name: str, language: str, **options: Any
) -> Iterator[Visitor]:
    """Let a person in with a browser of their own, and see that no fault was met on the way."""
    with browser.new_context(locale=LOCALES[language], **options) as context:
        watch = Watch(context, app.origin)
        yield Visitor(app, context.new_page(), name, watch)
    assert not watch.tells(), "\n".join(watch.tells())
