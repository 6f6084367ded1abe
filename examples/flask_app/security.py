"""Security → One-time password: the state, the setup, and every change of it."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, Response, request, session
from pages.pages import Account, Answer

from flask_app.web import (
    answer,
    change,
    context,
    noted,
    proof_for,
    renew_session,
    security_page,
    see_other,
    signed_in,
    site,
    stage,
    typed,
    visit,
)
from otp_enroll import Setup, errors

routes: Final = Blueprint("security", __name__)

AGAIN: Final = (errors.CodeRejectedError, errors.BackupRequiredError, errors.StoreContentionError)
"""What leaves a setup as it was: its page is shown again."""


@routes.get("/security")
def show_state() -> Response:
    """Show the state."""
    return security_page(signed_in(), notice=session.pop("notice", ""))


@routes.post("/security/begin")
def begin() -> Response:
    """Make a fresh key: by POST alone, since a link or a reload must not (R-98)."""
    account = signed_in()
    form = typed("form") or "change"
    try:
        if site().enroller.status(account.id).required:
            proof = proof_for("begin", account)
        elif site().database.account_of(account.name, typed("password")):
            proof = None
        else:
            # Without it, whoever finds a browser signed in could set up a phone.
            return security_page(account, "password", "begin")
        return stage(account, request.form.get("authenticator"), proof)
    except errors.RefusalError as refusal:
        return security_page(account, refusal, form)
    except ValueError:
        return security_page(account, "name", form)


@routes.get("/security/setup")
def show_setup() -> Response:
    """Show the setup that this session began, as often as it is asked for: nothing is written."""
    account = signed_in()
    if "setup" not in session:
        return see_other("/security")
    setup = resumed(account, session["setup"])
    return answer(visit().setup(setup, notice=session.pop("notice", "")))


@routes.post("/security/setup/sheet")
def show_sheet() -> Response:
    """Answer with the sheet to print."""
    setup = resumed(signed_in(), typed("setup_id"))
    return answer(Answer(setup.sheet(visit().language).html()))


@routes.post("/security/setup/check")
def check_copy() -> Response:
    """Compare the copy on paper."""
    account, setup_id, copied = signed_in(), typed("setup_id"), typed("copy")
    setup = resumed(account, setup_id)
    try:
        copy = site().enroller.check_key_copy(
            account.id, copied, setup_id=setup_id, context=context()
        )
    except AGAIN as refusal:
        return answer(visit().setup(setup, refusal=refusal, form="check"))
    return answer(visit().setup(setup, copy=copy, copied=copied))


@routes.post("/security/setup/confirm")
def confirm() -> Response:
    """Make the new secret live, if the code is one of it."""
    account, setup_id = signed_in(), typed("setup_id")
    acknowledged = "backup_acknowledged" in request.form
    try:
        done = site().enroller.confirm(
            account.id,
            typed("code"),
            setup_id=setup_id,
            backup_acknowledged=acknowledged,
            context=context(),
        )
    except AGAIN as refusal:
        # The same key again: it may be in the app by now.
        setup = resumed(account, setup_id)
        return answer(visit().setup(setup, refusal=refusal, acknowledged=acknowledged))
    session.pop("setup", None)
    session["confirmed"] = setup_id
    renew_session()
    return answer(visit().on(done))


@routes.post("/security/setup/cancel")
def cancel() -> Response:
    """Give the setup up."""
    account, setup_id = signed_in(), typed("setup_id")
    change(lambda view: view.cancel(account.id, setup_id=setup_id, context=noted()))
    session.pop("setup", None)
    session["notice"] = "cancelled"
    return see_other("/security")


def resumed(account: Account, setup_id: str) -> Setup:
    """Return the live setup, which the holder of its id may see."""
    return site().enroller.resume(account.id, setup_id=setup_id, context=context())


@routes.errorhandler(errors.SetupError)
@routes.errorhandler(errors.NotPendingError)
def not_live(refusal: errors.RefusalError) -> Response:
    """Say that a setup is over, and forget it if it is this session's."""
    account, setup_id = signed_in(), typed("setup_id") or session.get("setup")
    if session.get("setup") == setup_id:
        session.pop("setup", None)
    if isinstance(refusal, errors.SetupSupersededError):
        return answer(visit().superseded(held="setup" in session))
    if session.get("confirmed") == setup_id:
        return security_page(account, "done", "renew")  # the page with the codes was reloaded
    return security_page(account, refusal)


def refused(refusal: errors.RefusalError) -> Response:
    """Show a refusal that no route took: others were faster, again and again."""
    return security_page(signed_in(), refusal)


@routes.post("/security/recovery-codes")
def renew_codes() -> Response:
    """Make new recovery codes and show them this once."""
    account = signed_in()
    try:
        # No recovery code opens this: with the answer lost, its owner would have none left.
        proof = proof_for("regenerate_recovery_codes", account, accept=("code",))
        codes = change(
            lambda view: view.regenerate_recovery_codes(account.id, proof=proof, context=noted())
        )
    except errors.RefusalError as refusal:
        return security_page(account, refusal, "renew")
    return answer(visit().codes(codes))


@routes.post("/security/disable")
def disable() -> Response:
    """Switch off, or remove one of several."""
    account, name = signed_in(), typed("authenticator") or None
    try:
        proof = proof_for("disable", account)
        change(
            lambda view: view.disable(account.id, proof=proof, authenticator=name, context=noted())
        )
    except errors.RefusalError as refusal:
        return security_page(account, refusal, typed("form") or "disable")
    still_on = site().enroller.status(account.id).required
    session["notice"] = "removed" if still_on else "off"
    return see_other("/security")


@routes.post("/security/rename")
def rename() -> Response:
    """Call an authenticator something else."""
    account, name, new_name = signed_in(), typed("authenticator"), typed("new_name")
    try:
        change(lambda view: view.rename(account.id, name, new_name, context=noted()))
    except errors.RefusalError as refusal:
        return security_page(account, refusal, "rename")
    except ValueError:
        return security_page(account, "name", "rename")
    session["notice"] = "renamed"
    return see_other("/security")
