"""The help desk: two acts by its word, none of which shows a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from pages.pages import Account, Refusal

from django_app.accounts import DESK, account_of
from django_app.web import answer, change, noted, see_other, signed_in, typed, visit
from otp_enroll import JoinedEnroller, Override, errors

T = TypeVar("T")

for_the_desk = permission_required(DESK, raise_exception=True)


@for_the_desk
def show_desk(request: HttpRequest) -> HttpResponse:
    """Show the form."""
    page = visit(request, signed_in(request))
    return answer(page.help_desk(notice=request.session.pop("notice", "")))


def vouched(
    request: HttpRequest, act: Callable[[JoinedEnroller, Account, Override], T]
) -> tuple[T, Account]:
    """Act on somebody's account by the word of the help desk: who and why is recorded.

    Neither act shows a key, and there is none that sets a phone up in the owner's place.
    """
    actor = f"help desk: {signed_in(request).name}"
    try:
        override = Override(actor=actor, reason=typed(request, "reason"))
    except ValueError:
        raise DeskRefusal("reason") from None
    user = User.objects.filter(username=typed(request, "username")).first()
    if user is None:
        raise DeskRefusal("unknown_user")
    owner = account_of(user)
    try:
        return change(lambda view: act(view, owner, override)), owner
    except errors.RefusalError as refusal:
        raise DeskRefusal(refusal) from None


class DeskRefusal(Exception):  # noqa: N818  # it is answered with a page
    """What the help desk asked for was refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


@for_the_desk
def desk_codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes for an owner who has none."""
    try:
        codes, owner = vouched(
            request,
            lambda view, owner, override: view.regenerate_recovery_codes(
                owner.id, proof=override, context=noted(request)
            ),
        )
    except DeskRefusal as error:
        return desk_refused(request, error)
    return answer(visit(request, signed_in(request)).codes(codes, owner=owner.name))


@for_the_desk
def desk_disable(request: HttpRequest) -> HttpResponse:
    """Switch one-time passwords off for an owner who lost everything."""
    try:
        vouched(
            request,
            lambda view, owner, override: view.disable(
                owner.id, proof=override, context=noted(request)
            ),
        )
    except DeskRefusal as error:
        return desk_refused(request, error)
    request.session["notice"] = "desk_off"
    return see_other("/help-desk")


def desk_refused(request: HttpRequest, error: DeskRefusal) -> HttpResponse:
    """Show the help desk's form again, as it was."""
    page = visit(request, signed_in(request)).help_desk(
        refusal=error.refusal,
        username=typed(request, "username"),
        reason=typed(request, "reason"),
    )
    return answer(page)
