"""A browser without script at an example app that serves in a process of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPErrorProcessor, Request, build_opener

from typing_extensions import override

from helpers import web_forms
from helpers.web_server import WebApp


class Answers(HTTPErrorProcessor):
    """Takes a refusal for an answer, and follows what leads elsewhere."""

    @override
    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:
        if response.status >= 400:
            return response
        answer: HTTPResponse = super().http_response(request, response)
        return answer


class Browser(web_forms.Browser[HTTPResponse]):
    """A browser at an app, by default with an account of its own."""

    def __init__(self, app: WebApp, name: str = "") -> None:
        super().__init__(lambda: app.now, app.advance, name or app.new_account())
        self.app = app
        self.cookies = CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self.cookies), Answers)

    @override
    def fetch(
        self, path: str, fields: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[HTTPResponse, str]:
        data = None if fields is None else urlencode(fields).encode()
        request = Request(self.app.origin + path, data, dict(headers))  # noqa: S310  # the loopback
        with self._opener.open(request) as page:
            return page, page.read().decode()

    @property
    def session(self) -> str | None:
        """The id of the web session."""
        found = (one.value for one in self.cookies if one.name.startswith("session"))
        return next(found, None)


@contextmanager
def sabotaged(app: WebApp, sabotage: str, repair: str) -> Iterator[None]:
    """Run SQL on the app's database before and after a block."""
    with closing(sqlite3.connect(app.directory / "app.db", isolation_level=None)) as database:
        database.executescript(sabotage)
        try:
            yield
        finally:
            database.executescript(repair)
