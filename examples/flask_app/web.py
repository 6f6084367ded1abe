"""What each route is made of: this request, its account, its transaction, its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from flask import Response, abort, current_app, g, redirect, request, session
from flask_wtf.csrf import generate_csrf  # type: ignore[import-untyped]  # it has no types
from pages import pages
from pages.kept import IN_TRANSACTION
from pages.pages import Account, Answer, Refusal, Visit
from sqlalchemy.exc import OperationalError

from flask_app.database import Database
from otp_enroll import Enroller, JoinedEnroller, Policy, Setup, Verification, errors

T = TypeVar("T")

TRIES: Final = 5
EITHER: Final = ("code", "recovery_code")


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests share."""

    enroller: Enroller
    database: Database
    clock: Callable[[], float]
    policy: Policy


def site() -> Site:
    """Return what all requests share."""
    return cast("Site", current_app.extensions["site"])


def language() -> str:
    """Return the language of the page."""
    return pages.language_of(
        request.cookies.get(pages.LANGUAGE_COOKIE), request.headers.get("Accept-Language")
    )


def visit() -> Visit:
    """Describe this request to the pages."""
    return Visit(
        language=language(),
        now=site().clock(),
        csrf=("csrf_token", generate_csrf()),
        account=g.get("account"),
        policy=site().policy,
    )


def context() -> dict[str, str]:
    """Return what the events shall tell of this request."""
    return {"ip": request.remote_addr or "unknown"}


def typed(name: str) -> str:
    """Return a field of the form, empty if it is missing."""
    return request.form.get(name, "")


def answer(page: Answer) -> Response:
    """Send a page."""
    return Response(page.html, page.status, mimetype="text/html")


def see_other(path: str) -> Response:
    """Send the browser on by GET, so that a reload repeats nothing."""
    return cast("Response", redirect(path, 303))


def renew_session() -> None:
    """Give the web session a new id: one planted or seen before opens nothing (R-98)."""
    kept: Any = current_app.session_interface  # Flask-Session's
    kept.regenerate(session)


def let_in(account: Account) -> None:
    """Sign in: nothing of the session before stays, its id neither."""
    if account.language is None:
        site().database.speak(account.id, language())
    session.clear()
    session["user"] = account.id
    g.account = account
    renew_session()


def signed_in() -> Account:
    """Return who is signed in; all others go to the sign-in page."""
    account: Account | None = g.account
    return account or abort(see_other("/sign-in"))


def asked() -> Account:
    """Return whose password was right a short while ago, and whose code is still missing.

    It is asked for only after the password (R-73): else anybody could lock anybody's account.
    """
    at = session.get("asked_at", 0)
    user_id = session.get("asked") if site().clock() - at < pages.PASSWORD_STEP_SECONDS else None
    return (user_id and site().database.account(user_id)) or abort(see_other("/sign-in"))


def change(act: Callable[[JoinedEnroller], T]) -> T:
    """Change an account and write its notices in one transaction, and tell of it after that.

    Codes were judged before: inside it a rollback would give a guess back. Where another
    request was first, the whole transaction is repeated.
    """
    database = site().database
    for tries_left in reversed(range(TRIES)):
        try:
            with database.sessions.begin() as transaction:
                view = site().enroller.using(database.joined_store(transaction))
                done = act(view)
                database.note(transaction, view.events)
        except (errors.StoreContentionError, OperationalError):
            if not tries_left:
                raise
        else:
            view.deliver_events()
            return done
    raise AssertionError  # the last try returned or raised


def noted() -> dict[str, str]:
    """Return the context of a change whose notice ``change`` writes."""
    return {**context(), **IN_TRANSACTION}


def proof_for(verb: str, account: Account, accept: tuple[str, ...] = EITHER) -> Verification | None:
    """Judge the typed proof for one verb, or take the sign-in by recovery code just before."""
    if "proof" in request.form:
        return site().enroller.verify(
            account.id, typed("proof"), purpose=verb, accept=accept, context=context()
        )
    kept = session.pop("recovered", None)
    return Verification.from_dict(kept) if kept else None


def security_page(
    account: Account, refusal: Refusal = None, form: str = "", notice: str = ""
) -> Response:
    """Answer with the page that shows the state."""
    status = site().enroller.status(account.id)
    happened = site().database.notices(account.id)
    return answer(
        visit().security(
            status,
            happened=happened,
            holds_setup="setup" in session,
            refusal=refusal,
            form=form,
            notice=notice,
        )
    )


def stage(account: Account, authenticator: str | None, proof: Verification | None) -> Response:
    """Begin, and go to the page that shows the key."""

    def act(view: JoinedEnroller) -> Setup:
        return view.begin(
            account.id,
            account_name=account.mail,
            authenticator=authenticator,
            proof=proof,
            context=noted(),
        )

    # In the session for a reload, in the form for the confirm: an older tab is noticed.
    session["setup"] = change(act).id
    renew_session()
    return see_other("/security/setup")
