"""Security → One-time password: the state, the setup, and every change of it."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response
from pages.pages import Account, Answer

from fastapi_app.web import Exchange, Here, SignedIn, answer, see_other, signed_in
from otp_enroll import Setup, errors

routes: Final = APIRouter()

AGAIN: Final = (errors.CodeRejectedError, errors.BackupRequiredError, errors.StoreContentionError)
"""What leaves a setup as it was: its page is shown again."""


@routes.get("/security")
async def show_state(here: Here, account: SignedIn) -> Response:
    """Show the state."""
    return await here.security_page(account, notice=here.session.pop("notice", ""))


@routes.post("/security/begin")
async def begin(here: Here, account: SignedIn) -> Response:
    """Make a fresh key: by POST alone, since a link or a reload must not (R-98)."""
    form = here.typed("form") or "change"
    name = here.typed("authenticator") if "authenticator" in here.form else None
    try:
        if (await here.site.enroller.status(account.id)).required:
            proof = await here.proof_for("begin", account)
        elif await here.site.database.account_of(account.name, here.typed("password")):
            proof = None
        else:
            # Without it, whoever finds a browser signed in could set up a phone.
            return await here.security_page(account, "password", "begin")
        return await here.stage(account, name, proof)
    except errors.RefusalError as refusal:
        return await here.security_page(account, refusal, form)
    except ValueError:
        return await here.security_page(account, "name", form)


@routes.get("/security/setup")
async def show_setup(here: Here, account: SignedIn) -> Response:
    """Show the setup that this session began, as often as it is asked for: nothing is written."""
    if "setup" not in here.session:
        return see_other("/security")
    setup = await resumed(here, account, here.session["setup"])
    return answer(here.visit().setup(setup, notice=here.session.pop("notice", "")))


@routes.post("/security/setup/sheet")
async def show_sheet(here: Here, account: SignedIn) -> Response:
    """Answer with the sheet to print."""
    setup = await resumed(here, account, here.typed("setup_id"))
    return answer(Answer(setup.sheet(here.visit().language).html()))


@routes.post("/security/setup/check")
async def check_copy(here: Here, account: SignedIn) -> Response:
    """Compare the copy on paper."""
    setup_id, copied = here.typed("setup_id"), here.typed("copy")
    setup = await resumed(here, account, setup_id)
    try:
        copy = await here.site.enroller.check_key_copy(
            account.id, copied, setup_id=setup_id, context=here.context()
        )
    except AGAIN as refusal:
        return answer(here.visit().setup(setup, refusal=refusal, form="check"))
    return answer(here.visit().setup(setup, copy=copy, copied=copied))


@routes.post("/security/setup/confirm")
async def confirm(here: Here, account: SignedIn) -> Response:
    """Make the new secret live, if the code is one of it."""
    setup_id, acknowledged = here.typed("setup_id"), "backup_acknowledged" in here.form
    try:
        done = await here.site.enroller.confirm(
            account.id,
            here.typed("code"),
            setup_id=setup_id,
            backup_acknowledged=acknowledged,
            context=here.context(),
        )
    except AGAIN as refusal:
        # The same key again: it may be in the app by now.
        setup = await resumed(here, account, setup_id)
        return answer(here.visit().setup(setup, refusal=refusal, acknowledged=acknowledged))
    here.session.pop("setup", None)
    here.session["confirmed"] = setup_id
    await here.renew_session()
    return answer(here.visit().on(done))


@routes.post("/security/setup/cancel")
async def cancel(here: Here, account: SignedIn) -> Response:
    """Give the setup up."""
    setup_id = here.typed("setup_id")
    await here.change(lambda view: view.cancel(account.id, setup_id=setup_id, context=here.noted()))
    here.session.pop("setup", None)
    here.session["notice"] = "cancelled"
    return see_other("/security")


async def resumed(here: Exchange, account: Account, setup_id: str) -> Setup:
    """Return the live setup, which the holder of its id may see."""
    return await here.site.enroller.resume(account.id, setup_id=setup_id, context=here.context())


async def not_live(request: Request, refusal: errors.RefusalError) -> Response:
    """Say that a setup is over, and forget it if it is this session's."""
    here: Exchange = request.state.here
    account, session = await signed_in(here), here.session
    setup_id = here.typed("setup_id") or session.get("setup")
    if session.get("setup") == setup_id:
        session.pop("setup", None)
    if isinstance(refusal, errors.SetupSupersededError):
        return answer(here.visit().superseded(held="setup" in session))
    if session.get("confirmed") == setup_id:
        # The page with the codes was reloaded.
        return await here.security_page(account, "done", "renew")
    return await here.security_page(account, refusal)


async def refused(request: Request, refusal: errors.RefusalError) -> Response:
    """Show a refusal that no route took: others were faster, again and again."""
    here: Exchange = request.state.here
    return await here.security_page(await signed_in(here), refusal)


@routes.post("/security/recovery-codes")
async def renew_codes(here: Here, account: SignedIn) -> Response:
    """Make new recovery codes and show them this once."""
    try:
        # No recovery code opens this: with the answer lost, its owner would have none left.
        proof = await here.proof_for("regenerate_recovery_codes", account, accept=("code",))
        codes = await here.change(
            lambda view: view.regenerate_recovery_codes(
                account.id, proof=proof, context=here.noted()
            )
        )
    except errors.RefusalError as refusal:
        return await here.security_page(account, refusal, "renew")
    return answer(here.visit().codes(codes))


@routes.post("/security/disable")
async def disable(here: Here, account: SignedIn) -> Response:
    """Switch off, or remove one of several."""
    name = here.typed("authenticator") or None
    try:
        proof = await here.proof_for("disable", account)
        await here.change(
            lambda view: view.disable(
                account.id, proof=proof, authenticator=name, context=here.noted()
            )
        )
    except errors.RefusalError as refusal:
        return await here.security_page(account, refusal, here.typed("form") or "disable")
    still_on = (await here.site.enroller.status(account.id)).required
    here.session["notice"] = "removed" if still_on else "off"
    return see_other("/security")


@routes.post("/security/rename")
async def rename(here: Here, account: SignedIn) -> Response:
    """Call an authenticator something else."""
    name, new_name = here.typed("authenticator"), here.typed("new_name")
    try:
        await here.change(
            lambda view: view.rename(account.id, name, new_name, context=here.noted())
        )
    except errors.RefusalError as refusal:
        return await here.security_page(account, refusal, "rename")
    except ValueError:
        return await here.security_page(account, "name", "rename")
    here.session["notice"] = "renamed"
    return see_other("/security")
