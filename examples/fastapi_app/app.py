"""The page "Security → One-time password" with FastAPI and async SQLAlchemy: ``create_app``.

Each route reads the request, calls the enroller, and picks a page. Codes are judged by
``site.enroller``, which commits every verdict by itself; changes go through ``change``, in one
transaction with a row of the app's own. Comments mark what a library cannot do for an app.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from pages import pages
from pages.kept import is_noted, is_notice
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.types import Lifespan
from starsessions import SessionAutoloadMiddleware, SessionMiddleware

from fastapi_app import help_desk, security, sign_in
from fastapi_app.database import Database
from fastapi_app.sessions import DatabaseSessions
from fastapi_app.settings import key_for
from fastapi_app.web import (
    CSRFError,
    Exchange,
    SignInFirstError,
    Site,
    answer,
    exchange,
    see_other,
)
from otp_enroll import AsyncEnroller, Policy, errors
from otp_enroll.events import Event
from otp_enroll.storage.aesgcm import AESGCMKeyRing

STATIC: Final = "/static"

log: Final = logging.getLogger(__name__)
outbox: Final = logging.getLogger(f"{__name__}.outbox")


def create_app(
    *,
    database: str,
    clock: Callable[[], float] = time.time,
    policy: Policy = pages.POLICY,
    key: bytes | None = None,
) -> FastAPI:
    """Make the app.

    Args:
        database: Any async SQLAlchemy URL; ``sqlite+aiosqlite:///…`` for a file.
        clock: Unix seconds, for the enroller and the pages; NTP keeps a server's right (R-98).
        policy: One for the whole table.
        key: 32 bytes that seal the secrets; else ``OTP_KEY``, or a file beside the database.
    """
    kept = Database(database)
    web_sessions = DatabaseSessions(kept)
    # A new key comes first in the ring, and the old ones stay to open what they sealed.
    cipher = AESGCMKeyRing({"1": key or key_for(database)})

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncGenerator[None]:
        # In the loop that serves: async engines belong to one, and create_app may run in none.
        await kept.open()
        enroller = AsyncEnroller(
            kept.own_store(),
            issuer=pages.ISSUER,
            cipher=cipher,
            policy=policy,
            clock=clock,
            on_event=partial(tell, kept),
        )
        app.state.site = Site(enroller, kept, web_sessions, clock, policy)
        try:
            yield
        finally:
            await kept.close()

    return assembled(serving, web_sessions)


def assembled(serving: Lifespan[FastAPI], web_sessions: DatabaseSessions) -> FastAPI:
    """Put the parts together."""
    app = FastAPI(
        lifespan=serving,
        openapi_url=None,  # these are pages, and nobody has to read how they are called
        redirect_slashes=False,
        # Of every route, also of one that is written tomorrow: no POST without its token.
        dependencies=[Depends(exchange)],
        middleware=middleware(web_sessions),
        exception_handlers=HANDLERS,
    )
    for part in (sign_in, security, help_desk):
        app.include_router(part.routes)
    app.mount(STATIC, StaticFiles(directory=pages.STATIC))
    return app


def middleware(web_sessions: DatabaseSessions) -> list[Middleware]:
    """Return what every request goes through, the outermost first."""
    return [
        Middleware(BaseHTTPMiddleware, dispatch=protect),
        Middleware(
            SessionMiddleware,
            store=web_sessions,
            # Set it wherever the app is served, and serve it by TLS alone.
            cookie_https_only=os.environ.get("SECURE_COOKIES") == "yes",
        ),
        Middleware(SessionAutoloadMiddleware, paths=[re.compile(f"(?!{STATIC}/)")]),
    ]


async def tell(database: Database, event: Event) -> None:
    """Log what happened, and let the account's owner know: no event holds a secret or a code."""
    log.info("%s account=%s purpose=%s %s", event.code, event.user_id, event.purpose, event.context)
    if not is_notice(event):
        return
    if not is_noted(event):
        async with database.sessions.begin() as transaction:
            await database.note(transaction, [event])
    # The owner has to hear of it where a thief of the session does not: send a mail here,
    # by a queue that outlives this request.
    if owner := await database.account(event.user_id):
        outbox.info("to %s: %s", owner.mail, pages.mail(event, owner.language))


async def protect(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Put the headers on each page; style and script may be cached."""
    response = await call_next(request)
    if not request.url.path.startswith(f"{STATIC}/"):
        response.headers.update(pages.HEADERS)
    return response


def refused(request: Request, why: str, status: int) -> Response:
    """Say why there is no page, which has forms only where somebody is signed in."""
    here: Exchange = getattr(request.state, "here", None) or Exchange(request)
    token = here.token() if here.account else ""
    return answer(here.visit(token).refused(why, status))


async def sign_in_first(_: Request, __: SignInFirstError) -> Response:
    """Send whoever is not signed in to where that is done."""
    return see_other("/sign-in")


async def csrf_refused(request: Request, _: CSRFError) -> Response:
    """A form of another site, or one whose session is over."""
    return refused(request, "csrf", 400)


async def http_refused(request: Request, error: HTTPException) -> Response:
    """Say why there is no page."""
    why = {403: "forbidden", 404: "missing", 405: "missing"}.get(error.status_code, "broken")
    return refused(request, why, error.status_code)


async def failed(request: Request, _: Exception) -> Response:
    """Let nobody in when something failed; the server logs it after this answer."""
    response = refused(request, "broken", 500)
    # It is made outside of ``protect``.
    response.headers.update(pages.HEADERS)
    return response


HANDLERS: Final[dict[int | type[Exception], Any]] = {
    SignInFirstError: sign_in_first,
    CSRFError: csrf_refused,
    HTTPException: http_refused,
    errors.SetupError: security.not_live,
    errors.NotPendingError: security.not_live,
    errors.RefusalError: security.refused,
    help_desk.DeskRefusal: help_desk.desk_refused,
    Exception: failed,
}
