"""Sign in: the password first, then the code, or a recovery code where the phone is lost."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from pages import pages

from fastapi_app.web import Asked, Here, SignedIn, answer, see_other
from otp_enroll import Verification, errors

routes: Final = APIRouter()


@routes.get("/")
async def start(here: Here) -> Response:
    """Send people where they want to go."""
    return see_other("/security" if here.account else "/sign-in")


@routes.get("/sign-in")
async def ask_password(here: Here) -> Response:
    """Show the form."""
    return answer(here.visit().sign_in(notice=here.session.pop("notice", "")))


@routes.post("/sign-in")
async def check_password(here: Here) -> Response:
    """Check the password. Limits by address, and against robots, belong here (R-73)."""
    site = here.site
    account = await site.database.account_of(here.typed("username"), here.typed("password"))
    if account is None:
        return answer(here.visit().sign_in(refusal="sign_in"))
    if not (await site.enroller.status(account.id)).required:
        await here.let_in(account)
        return see_other("/security")
    here.session.clear()
    here.session.update(asked=account.id, asked_at=site.clock())
    await here.renew_session()
    return see_other("/sign-in/code")


@routes.get("/sign-in/code")
async def ask_code(here: Here, _: Asked) -> Response:
    """Show the form."""
    return answer(here.visit().code())


@routes.post("/sign-in/code")
async def check_code(here: Here, account: Asked) -> Response:
    """Let in whoever has the second factor, too."""
    enroller = here.site.enroller
    try:
        verification = await enroller.verify(account.id, here.typed("code"), context=here.context())
    except errors.NotEnrolledError:
        return see_other("/sign-in")  # it was switched off elsewhere
    except errors.RefusalError as refusal:
        form = here.typed("form") or "code-form"
        return answer(here.visit().code(refusal=refusal, form=form))
    await here.let_in(account)
    if verification.method == "code":
        return see_other("/security")
    # On the server alone: anyone who can write it can open the account.
    here.session["recovered"] = verification.to_dict()
    name = pages.begins_at_once(verification, await enroller.status(account.id))
    if name is None:
        return see_other("/security/recovered")
    here.session["notice"] = "locked" if verification.locked else "last_recovery_code"
    return await here.stage(account, name, await here.proof_for("begin", account))


@routes.get("/security/recovered")
async def ask_for_phone(here: Here, account: SignedIn) -> Response:
    """Ask whether the phone is lost, right after a sign-in by recovery code."""
    kept = here.session.get("recovered")
    if kept is None:
        return see_other("/security")
    status = await here.site.enroller.status(account.id)
    return answer(here.visit().recovered(Verification.from_dict(kept), status))


@routes.post("/sign-out")
async def sign_out(here: Here) -> Response:
    """End the session."""
    here.session.clear()
    here.session["notice"] = "signed_out"
    await here.renew_session()
    return see_other("/sign-in")


@routes.post("/language")
async def choose_language(here: Here) -> Response:
    """Remember the language."""
    response = see_other(pages.local_path(here.typed("next")))
    if (language := here.typed("language")) in pages.LANGUAGES:
        response.set_cookie(pages.LANGUAGE_COOKIE, language, max_age=31_536_000, samesite="lax")
        if here.account:
            await here.site.database.speak(here.account.id, language)
    return response
