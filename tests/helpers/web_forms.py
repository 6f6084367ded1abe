"""What the tests over plain HTTP share: the forms of a page, and a browser without script."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Final, Generic, TypeVar

from typing_extensions import override

from otp_enroll.testing import FakeAuthenticator

PASSWORD: Final = "correct horse"

Page = TypeVar("Page")
"""What an HTTP client calls an answer."""


class Forms(HTMLParser):
    """A page's forms (id → action, and hidden fields) and what has an id (id → attributes)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.actions: dict[str, str] = {}
        self.hidden: dict[str, dict[str, str]] = {}
        self.attributes: dict[str, dict[str, str]] = {"body": {}}
        self._form = ""
        self.feed(html)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            assert found["id"] not in self.attributes, f"two elements are called {found['id']}"
            self.attributes[found["id"]] = found
        if tag == "body":
            self.attributes["body"] = found
        if tag == "form":
            self._form = found.get("id", "")
            self.actions[self._form] = found["action"]
            self.hidden[self._form] = {}
        if tag == "input" and found.get("type") == "hidden":
            self.hidden[self._form][found["name"]] = found["value"]


class Browser(ABC, Generic[Page]):
    """A browser without script: it reads a page and sends its forms, and follows redirects.

    Args:
        clock: The app's, in Unix seconds.
        advance: Moves it by so many seconds.
        user: Who signs in unless a test says otherwise.
    """

    def __init__(
        self, clock: Callable[[], float], advance: Callable[[int], None], user: str = "sara"
    ) -> None:
        self.user = user
        self.phone: FakeAuthenticator
        self.page: Page
        self.text = ""
        self.forms = Forms("")
        self._clock = clock
        self._advance = advance

    @abstractmethod
    def fetch(
        self, path: str, fields: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[Page, str]:
        """Ask by POST where there are fields, else by GET; return the last answer and its text."""

    # --- act ---

    def get(self, path: str, **headers: str) -> Page:
        return self._show(*self.fetch(path, None, headers))

    def post(self, path: str, **fields: str) -> Page:
        """Send fields as a form would, without what the page hides in it."""
        return self._show(*self.fetch(path, fields, {}))

    def send(self, form: str, action: str = "", **fields: str) -> Page:
        """Send a form of the page with its hidden fields and what was typed."""
        return self.post(
            action or self.forms.actions[form], **{**self.forms.hidden[form], **fields}
        )

    def _show(self, page: Page, text: str) -> Page:
        self.page, self.text = page, text
        self.forms = Forms(text)
        return page

    def sign_in(self, name: str = "", password: str = PASSWORD) -> Page:
        self.get("/sign-in")
        return self.send("sign-in", username=name or self.user, password=password)

    def sign_out(self) -> None:
        self.get("/security")
        self.send("sign-out")

    def begin(self, password: str = PASSWORD) -> None:
        self.send("begin", password=password)
        self.scan()

    def scan(self) -> None:
        self.phone = FakeAuthenticator(self.forms.attributes["app-link"]["href"], self._clock)

    def code(self) -> str:
        """Wait for a code that was not used."""
        self._advance(30)
        return self.phone.code()

    def wrong(self) -> str:
        """Return a code that the phone does not show."""
        near = {self.phone.code(offset) for offset in range(-2, 3)}
        return next(code for code in map("{:06}".format, range(9)) if code not in near)

    def confirm(self, **fields: str) -> Page:
        return self.send("confirm", **{"code": self.code(), "backup_acknowledged": "yes", **fields})

    def switch_on(self) -> list[str]:
        """Sign in, set a phone up, and return the recovery codes."""
        self.sign_in()
        self.begin()
        self.confirm()
        return self.codes

    # --- look ---

    @property
    def name(self) -> str:
        return self.forms.attributes["body"].get("data-page", "")

    @property
    def state(self) -> str:
        return self.forms.attributes["body"].get("data-state", "")

    @property
    def problem(self) -> str:
        return self.forms.attributes.get("problem", {}).get("data-code", "")

    @property
    def notice(self) -> str:
        return self.forms.attributes.get("notice", {}).get("data-code", "")

    @property
    def key(self) -> str:
        return self.text.split('id="key-raw">')[1].split("<")[0]

    @property
    def codes(self) -> list[str]:
        shown = re.search(r'<ol id="recovery-codes".*?</ol>', self.text, re.DOTALL)
        return re.findall(r"<code>([^<]+)</code>", shown[0]) if shown else []

    @property
    def happened(self) -> list[str]:
        return re.findall(r'<li data-code="(\w+)"', self.text)
