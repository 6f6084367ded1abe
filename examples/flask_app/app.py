"""The page "Security → One-time password" with Flask and SQLAlchemy: ``create_app``.

Each route reads the request, calls the enroller, and picks a page. Codes are judged by
``site().enroller``, which commits every verdict by itself; changes go through ``change``, in one
transaction with a row of the app's own. Comments mark what a library cannot do for an app.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable
from typing import Final

from cachelib.file import FileSystemCache
from flask import Flask, Response, g, request, session
from flask_session import Session as ServerSideSessions  # type: ignore[import-untyped]  # it has no types
from flask_wtf.csrf import CSRFError, CSRFProtect  # type: ignore[import-untyped]  # it has no types
from pages import pages
from pages.kept import is_noted, is_notice
from werkzeug.exceptions import HTTPException

from flask_app import help_desk, security, sign_in
from flask_app.database import Database
from flask_app.settings import key_for, session_directory
from flask_app.web import Site, answer, site, visit
from otp_enroll import Enroller, Policy, errors
from otp_enroll.events import Event
from otp_enroll.storage.aesgcm import AESGCMKeyRing

log: Final = logging.getLogger(__name__)
outbox: Final = logging.getLogger(f"{__name__}.outbox")


def create_app(
    *,
    database: str,
    clock: Callable[[], float] = time.time,
    policy: Policy = pages.POLICY,
    key: bytes | None = None,
) -> Flask:
    """Make the app.

    Args:
        database: Any SQLAlchemy URL; ``sqlite:///…`` for a file.
        clock: Unix seconds, for the enroller and the pages; NTP keeps a server's right (R-98).
        policy: One for the whole table.
        key: 32 bytes that seal the secrets; else ``OTP_KEY``, or a file beside the database.
    """
    app = Flask(__name__, static_folder=pages.STATIC, static_url_path="/static")
    app.config.from_mapping(
        # It signs the CSRF tokens. Several processes need the same one, from the environment.
        SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_hex(32),
        SESSION_TYPE="cachelib",
        SESSION_CACHELIB=FileSystemCache(str(session_directory(database)), mode=0o600),
        SESSION_PERMANENT=False,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # Set it wherever the app is served, and serve it by TLS alone.
        SESSION_COOKIE_SECURE=os.environ.get("SECURE_COOKIES") == "yes",
        WTF_CSRF_TIME_LIMIT=None,  # a token is as good as its session
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    ServerSideSessions(app)
    CSRFProtect(app)  # no POST of any route without its form's token
    kept = Database(database)
    enroller = Enroller(
        kept.own_store(),
        issuer=pages.ISSUER,
        # A new key comes first in the ring, and the old ones stay to open what they sealed.
        cipher=AESGCMKeyRing({"1": key or key_for(database)}),
        policy=policy,
        clock=clock,
        on_event=lambda event: tell(kept, event),
    )
    app.extensions["site"] = Site(enroller, kept, clock, policy)
    for part in (sign_in, security, help_desk):
        app.register_blueprint(part.routes)
    app.before_request(recognise)
    app.after_request(protect)
    app.register_error_handler(CSRFError, csrf_refused)
    app.register_error_handler(HTTPException, http_refused)
    app.register_error_handler(errors.RefusalError, security.refused)
    return app


def tell(database: Database, event: Event) -> None:
    """Log what happened, and let the account's owner know: no event holds a secret or a code."""
    log.info("%s account=%s purpose=%s %s", event.code, event.user_id, event.purpose, event.context)
    if not is_notice(event):
        return
    if not is_noted(event):
        with database.sessions.begin() as transaction:
            database.note(transaction, [event])
    # The owner has to hear of it where a thief of the session does not: send a mail here,
    # by a queue that outlives this request.
    if owner := database.account(event.user_id):
        outbox.info("to %s: %s", owner.mail, pages.mail(event, owner.language))


def recognise() -> None:
    """Look up who is signed in."""
    user_id = session.get("user") if request.endpoint != "static" else None
    g.account = site().database.account(user_id) if user_id else None


def protect(response: Response) -> Response:
    """Put the headers on each page; style and script may be cached."""
    if request.endpoint != "static":
        response.headers.update(pages.HEADERS)
    return response


def csrf_refused(_: CSRFError) -> Response:
    """A form of another site, or one whose session is over."""
    return answer(visit().refused("csrf", 400))


def http_refused(error: HTTPException) -> Response:
    """Say why there is no page; what failed was logged, and comes here as a 500."""
    status = error.code or 500
    why = {403: "forbidden", 404: "missing", 405: "missing"}.get(status, "broken")
    return answer(visit().refused(why, status))
