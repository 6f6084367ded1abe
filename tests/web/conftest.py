"""Fixtures of the browser tests: Chromium, each app that is there, each language, a visitor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from helpers.web_browser import Visit, Visitor, chromium, visiting
from helpers.web_server import APPS, WebApp


# Of the package and not of the session: while Playwright runs, its event loop is the thread's,
# and a test that starts one of its own needs a thread of its own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="package", params=APPS)
def app(request: pytest.FixtureRequest) -> Iterator[WebApp]:
    with WebApp(request.param, "--short") as started:
        yield started


@pytest.fixture(scope="package", params=["en", "fa"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def visit(browser: Browser, app: WebApp, language: str) -> Iterator[Visit]:
    """Let persons in, each with a browser context, and see that none of them met a fault."""
    with ExitStack() as stack:

        def let_in(name: str | None = None, **options: Any) -> Visitor:
            options = {"name": name or app.new_account(), "language": language, **options}
            return stack.enter_context(visiting(browser, app, **options))

        yield let_in


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """A person with an account of their own."""
    return visit()
