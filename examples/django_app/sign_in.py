"""Sign in: the password first, then the code, or a recovery code where the phone is lost."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from pages import pages

from django_app.accounts import account_of
from django_app.models import Language
from django_app.otp import clock, enroller
from django_app.web import (
    answer,
    asked,
    context,
    let_in,
    proof_for,
    see_other,
    signed_in,
    stage,
    typed,
    visit,
)
from otp_enroll import Verification, errors


def start(request: HttpRequest) -> HttpResponse:
    """Send people where they want to go."""
    return see_other("/security" if request.user.is_authenticated else "/sign-in")


def ask_password(request: HttpRequest) -> HttpResponse:
    """Show the form."""
    return answer(visit(request).sign_in(notice=request.session.pop("notice", "")))


def check_password(request: HttpRequest) -> HttpResponse:
    """Check the password. Limits by address, and against robots, belong here (R-73)."""
    form = AuthenticationForm(request, request.POST)
    if not form.is_valid():
        return answer(visit(request).sign_in(refusal="sign_in"))
    user = cast("User", form.get_user())
    if not enroller.status(account_of(user).id).required:
        let_in(request, user)
        return see_other("/security")
    # Not login(): until the code is right nobody is signed in, for no view of any app.
    logout(request)
    request.session.update({"asked": user.pk, "asked_at": clock()})
    return see_other("/sign-in/code")


def ask_code(request: HttpRequest) -> HttpResponse:
    """Show the form."""
    return answer(visit(request).code()) if asked(request) else see_other("/sign-in")


def check_code(request: HttpRequest) -> HttpResponse:
    """Let in whoever has the second factor, too."""
    user = asked(request)
    if user is None:
        return see_other("/sign-in")
    account = account_of(user)
    try:
        verification = enroller.verify(account.id, typed(request, "code"), context=context(request))
    except errors.NotEnrolledError:
        return see_other("/sign-in")  # it was switched off elsewhere
    except errors.RefusalError as refusal:
        form = typed(request, "form") or "code-form"
        return answer(visit(request).code(refusal=refusal, form=form))
    let_in(request, user)
    if verification.method == "code":
        return see_other("/security")
    # On the server alone: anyone who can write it can open the account.
    request.session["recovered"] = verification.to_dict()
    name = pages.begins_at_once(verification, enroller.status(account.id))
    if name is None:
        return see_other("/security/recovered")
    request.session["notice"] = "locked" if verification.locked else "last_recovery_code"
    return stage(request, account, name, proof_for("begin", request, account))


def ask_for_phone(request: HttpRequest) -> HttpResponse:
    """Ask whether the phone is lost, right after a sign-in by recovery code."""
    account = signed_in(request)
    kept = request.session.get("recovered")
    if kept is None:
        return see_other("/security")
    status = enroller.status(account.id)
    return answer(visit(request, account).recovered(Verification.from_dict(kept), status))


def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    request.session["notice"] = "signed_out"
    return see_other("/sign-in")


def choose_language(request: HttpRequest) -> HttpResponse:
    """Remember the language."""
    response = see_other(pages.local_path(typed(request, "next")))
    if typed(request, "language") in pages.LANGUAGES:
        response.set_cookie(
            pages.LANGUAGE_COOKIE,
            typed(request, "language"),
            max_age=31_536_000,
            samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE,
        )
        if request.user.is_authenticated:
            Language.objects.update_or_create(
                user=request.user, defaults={"code": typed(request, "language")}
            )
    return response
