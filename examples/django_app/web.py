"""What each view is made of: this request, its account, its transaction, its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar, cast

from django.contrib.auth import login, logout
from django.contrib.auth.models import User
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import get_token
from pages import pages
from pages.kept import IN_TRANSACTION
from pages.pages import Account, Answer, Refusal, Visit

from django_app.accounts import account_of, note, notices
from django_app.models import Language
from django_app.otp import clock, enroller, policy
from otp_enroll import JoinedEnroller, Setup, Verification, errors
from otp_enroll.django.store import JoinedDjangoStore

T = TypeVar("T")

TRIES: Final = 5
EITHER: Final = ("code", "recovery_code")


def language(request: HttpRequest) -> str:
    """Return the language of the page."""
    return pages.language_of(
        request.COOKIES.get(pages.LANGUAGE_COOKIE), request.headers.get("Accept-Language")
    )


def visit(request: HttpRequest, account: Account | None = None) -> Visit:
    """Describe this request to the pages."""
    return Visit(
        language=language(request),
        now=clock(),
        csrf=("csrfmiddlewaretoken", get_token(request)),
        account=account,
        policy=policy,
    )


def context(request: HttpRequest) -> dict[str, str]:
    """Return what the events shall tell of this request."""
    return {"ip": request.META.get("REMOTE_ADDR") or "unknown"}


def typed(request: HttpRequest, name: str) -> str:
    """Return a field of the form, empty if it is missing."""
    return request.POST.get(name, "")


def answer(page: Answer) -> HttpResponse:
    """Send a page."""
    return HttpResponse(page.html, status=page.status)


def see_other(path: str) -> HttpResponse:
    """Send the browser on by GET, so that a reload repeats nothing."""
    return HttpResponseRedirect(path, status=303)


def let_in(request: HttpRequest, user: User) -> None:
    """Sign in: nothing of the session before stays, its id neither."""
    Language.objects.get_or_create(user=user, defaults={"code": language(request)})
    logout(request)
    login(request, user)


def signed_in(request: HttpRequest) -> Account:
    """Return who is signed in; LoginRequiredMiddleware sent all others to the sign-in page."""
    return account_of(cast("User", request.user))


def asked(request: HttpRequest) -> User | None:
    """Return whose password was right a short while ago, and whose code is still missing.

    It is asked for only after the password (R-73): else anybody could lock anybody's account.
    """
    if clock() - request.session.get("asked_at", 0) >= pages.PASSWORD_STEP_SECONDS:
        return None
    return User.objects.filter(pk=request.session.get("asked"), is_active=True).first()


def change(act: Callable[[JoinedEnroller], T]) -> T:
    """Change an account and write its notices in one transaction, and tell of it after that.

    Codes were judged before: inside it a rollback would give a guess back. Where another
    request was first, the whole transaction is repeated.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                view = enroller.using(JoinedDjangoStore())
                done = act(view)
                note(view.events)
                transaction.on_commit(view.deliver_events)
        except (errors.StoreContentionError, OperationalError):
            if not tries_left:
                raise
        else:
            return done
    raise AssertionError  # the last try returned or raised


def noted(request: HttpRequest) -> dict[str, str]:
    """Return the context of a change whose notice ``change`` writes."""
    return {**context(request), **IN_TRANSACTION}


def proof_for(
    verb: str, request: HttpRequest, account: Account, accept: tuple[str, ...] = EITHER
) -> Verification | None:
    """Judge the typed proof for one verb, or take the sign-in by recovery code just before."""
    if "proof" in request.POST:
        return enroller.verify(
            account.id,
            typed(request, "proof"),
            purpose=verb,
            accept=accept,
            context=context(request),
        )
    kept = request.session.pop("recovered", None)
    return Verification.from_dict(kept) if kept else None


def security_page(
    request: HttpRequest,
    account: Account,
    refusal: Refusal = None,
    form: str = "",
    notice: str = "",
) -> HttpResponse:
    """Answer with the page that shows the state."""
    page = visit(request, account).security(
        enroller.status(account.id),
        happened=notices(account),
        holds_setup="setup" in request.session,
        refusal=refusal,
        form=form,
        notice=notice,
    )
    return answer(page)


def stage(
    request: HttpRequest, account: Account, authenticator: str | None, proof: Verification | None
) -> HttpResponse:
    """Begin, and go to the page that shows the key."""

    def act(view: JoinedEnroller) -> Setup:
        return view.begin(
            account.id,
            account_name=account.mail,
            authenticator=authenticator,
            proof=proof,
            context=noted(request),
        )

    # In the session for a reload, in the form for the confirm: an older tab is noticed.
    request.session["setup"] = change(act).id
    # A new id for the session: one that was planted or seen before shows no key.
    request.session.cycle_key()
    return see_other("/security/setup")
