"""Security → One-time password: the state, the setup, and every change of it."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from pages.pages import Answer

from django_app.otp import enroller
from django_app.web import (
    answer,
    change,
    context,
    noted,
    proof_for,
    security_page,
    see_other,
    signed_in,
    stage,
    typed,
    visit,
)
from otp_enroll import Setup, errors

AGAIN: Final = (errors.CodeRejectedError, errors.BackupRequiredError, errors.StoreContentionError)
"""What leaves a setup as it was: its page is shown again."""


def show_state(request: HttpRequest) -> HttpResponse:
    """Show the state."""
    notice = request.session.pop("notice", "")
    return security_page(request, signed_in(request), notice=notice)


def begin(request: HttpRequest) -> HttpResponse:
    """Make a fresh key: by POST alone, since a link or a reload must not (R-98)."""
    account, form = signed_in(request), typed(request, "form") or "change"
    try:
        if enroller.status(account.id).required:
            proof = proof_for("begin", request, account)
        elif request.user.check_password(typed(request, "password")):
            proof = None
        else:
            # Without it, whoever finds a browser signed in could set up a phone.
            return security_page(request, account, "password", "begin")
        return stage(request, account, request.POST.get("authenticator"), proof)
    except errors.RefusalError as refusal:
        return security_page(request, account, refusal, form)
    except ValueError:
        return security_page(request, account, "name", form)


def resumed(request: HttpRequest, setup_id: str) -> Setup:
    """Return the live setup, which the holder of its id may see."""
    user_id = signed_in(request).id
    return enroller.resume(user_id, setup_id=setup_id, context=context(request))


def refused(request: HttpRequest, refusal: errors.RefusalError) -> HttpResponse:
    """Show a refusal that no view took: a setup is over, or others were faster, again and again."""
    if isinstance(refusal, (errors.SetupError, errors.NotPendingError)):
        return not_live(request, refusal)
    return security_page(request, signed_in(request), refusal)


def not_live(request: HttpRequest, refusal: errors.RefusalError) -> HttpResponse:
    """Say that a setup is over, and forget it if it is this session's."""
    account, session = signed_in(request), request.session
    setup_id = typed(request, "setup_id") or session.get("setup")
    if session.get("setup") == setup_id:
        session.pop("setup", None)
    if isinstance(refusal, errors.SetupSupersededError):
        return answer(visit(request, account).superseded(held="setup" in session))
    if session.get("confirmed") == setup_id:
        # The page with the codes was reloaded.
        return security_page(request, account, "done", "renew")
    return security_page(request, account, refusal)


def show_setup(request: HttpRequest) -> HttpResponse:
    """Show the setup that this session began, as often as it is asked for: nothing is written."""
    if "setup" not in request.session:
        return see_other("/security")
    setup = resumed(request, request.session["setup"])
    notice = request.session.pop("notice", "")
    return answer(visit(request, signed_in(request)).setup(setup, notice=notice))


def show_sheet(request: HttpRequest) -> HttpResponse:
    """Answer with the sheet to print."""
    setup = resumed(request, typed(request, "setup_id"))
    return answer(Answer(setup.sheet(visit(request).language).html()))


def check_copy(request: HttpRequest) -> HttpResponse:
    """Compare the copy on paper."""
    account, setup_id = signed_in(request), typed(request, "setup_id")
    copied = typed(request, "copy")
    setup = resumed(request, setup_id)
    try:
        copy = enroller.check_key_copy(
            account.id, copied, setup_id=setup_id, context=context(request)
        )
    except AGAIN as refusal:
        return answer(visit(request, account).setup(setup, refusal=refusal, form="check"))
    return answer(visit(request, account).setup(setup, copy=copy, copied=copied))


def confirm(request: HttpRequest) -> HttpResponse:
    """Make the new secret live, if the code is one of it."""
    account, setup_id = signed_in(request), typed(request, "setup_id")
    acknowledged = "backup_acknowledged" in request.POST
    try:
        done = enroller.confirm(
            account.id,
            typed(request, "code"),
            setup_id=setup_id,
            backup_acknowledged=acknowledged,
            context=context(request),
        )
    except AGAIN as refusal:
        # The same key again: it may be in the app by now.
        setup = resumed(request, setup_id)
        page = visit(request, account)
        return answer(page.setup(setup, refusal=refusal, acknowledged=acknowledged))
    request.session.pop("setup", None)
    request.session["confirmed"] = setup_id
    request.session.cycle_key()  # here, too: what was seen before opens nothing
    return answer(visit(request, account).on(done))


def cancel(request: HttpRequest) -> HttpResponse:
    """Give the setup up."""
    user_id, setup_id = signed_in(request).id, typed(request, "setup_id")
    change(lambda view: view.cancel(user_id, setup_id=setup_id, context=noted(request)))
    request.session.pop("setup", None)
    request.session["notice"] = "cancelled"
    return see_other("/security")


def renew_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes and show them this once."""
    account = signed_in(request)
    try:
        # No recovery code opens this: with the answer lost, its owner would have none left.
        proof = proof_for("regenerate_recovery_codes", request, account, accept=("code",))
        codes = change(
            lambda view: view.regenerate_recovery_codes(
                account.id, proof=proof, context=noted(request)
            )
        )
    except errors.RefusalError as refusal:
        return security_page(request, account, refusal, "renew")
    return answer(visit(request, account).codes(codes))


def disable(request: HttpRequest) -> HttpResponse:
    """Switch off, or remove one of several."""
    account, name = signed_in(request), typed(request, "authenticator") or None
    try:
        proof = proof_for("disable", request, account)
        change(
            lambda view: view.disable(
                account.id, proof=proof, authenticator=name, context=noted(request)
            )
        )
    except errors.RefusalError as refusal:
        return security_page(request, account, refusal, typed(request, "form") or "disable")
    still_on = enroller.status(account.id).required
    request.session["notice"] = "removed" if still_on else "off"
    return see_other("/security")


def rename(request: HttpRequest) -> HttpResponse:
    """Call an authenticator something else."""
    account = signed_in(request)
    name, new_name = typed(request, "authenticator"), typed(request, "new_name")
    try:
        change(lambda view: view.rename(account.id, name, new_name, context=noted(request)))
    except errors.RefusalError as refusal:
        return security_page(request, account, refusal, "rename")
    except ValueError:
        return security_page(request, account, "name", "rename")
    request.session["notice"] = "renamed"
    return see_other("/security")
