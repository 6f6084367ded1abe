"""Sign in: the password first, then the code, or a recovery code where the phone is lost."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, g, session
from pages import pages

from flask_app.web import (
    answer,
    asked,
    context,
    let_in,
    proof_for,
    renew_session,
    see_other,
    signed_in,
    site,
    stage,
    typed,
    visit,
)
from otp_enroll import Verification, errors

routes: Final = Blueprint("sign_in", __name__)


@routes.get("/")
def start() -> Response:
    """Send people where they want to go."""
    return see_other("/security" if g.account else "/sign-in")


@routes.get("/sign-in")
def ask_password() -> Response:
    """Show the form."""
    return answer(visit().sign_in(notice=session.pop("notice", "")))


@routes.post("/sign-in")
def check_password() -> Response:
    """Check the password. Limits by address, and against robots, belong here (R-73)."""
    account = site().database.account_of(typed("username"), typed("password"))
    if account is None:
        return answer(visit().sign_in(refusal="sign_in"))
    if not site().enroller.status(account.id).required:
        let_in(account)
        return see_other("/security")
    session.clear()
    session.update(asked=account.id, asked_at=site().clock())
    renew_session()
    return see_other("/sign-in/code")


@routes.get("/sign-in/code")
def ask_code() -> Response:
    """Show the form."""
    asked()
    return answer(visit().code())


@routes.post("/sign-in/code")
def check_code() -> Response:
    """Let in whoever has the second factor, too."""
    account = asked()
    enroller = site().enroller
    try:
        verification = enroller.verify(account.id, typed("code"), context=context())
    except errors.NotEnrolledError:
        return see_other("/sign-in")  # it was switched off elsewhere
    except errors.RefusalError as refusal:
        return answer(visit().code(refusal=refusal, form=typed("form") or "code-form"))
    let_in(account)
    if verification.method == "code":
        return see_other("/security")
    # On the server alone: anyone who can write it can open the account.
    session["recovered"] = verification.to_dict()
    name = pages.begins_at_once(verification, enroller.status(account.id))
    if name is None:
        return see_other("/security/recovered")
    session["notice"] = "locked" if verification.locked else "last_recovery_code"
    return stage(account, name, proof_for("begin", account))


@routes.get("/security/recovered")
def ask_for_phone() -> Response:
    """Ask whether the phone is lost, right after a sign-in by recovery code."""
    account = signed_in()
    kept = session.get("recovered")
    if kept is None:
        return see_other("/security")
    status = site().enroller.status(account.id)
    return answer(visit().recovered(Verification.from_dict(kept), status))


@routes.post("/sign-out")
def sign_out() -> Response:
    """End the session."""
    session.clear()
    session["notice"] = "signed_out"
    renew_session()
    return see_other("/sign-in")


@routes.post("/language")
def choose_language() -> Response:
    """Remember the language."""
    response = see_other(pages.local_path(typed("next")))
    if typed("language") in pages.LANGUAGES:
        response.set_cookie(
            pages.LANGUAGE_COOKIE, typed("language"), max_age=31_536_000, samesite="Lax"
        )
        if g.account:
            site().database.speak(g.account.id, typed("language"))
    return response
