"""The help desk: two acts by its word, none of which shows a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from flask import Blueprint, Response, abort, session
from pages.pages import Account, Refusal

from flask_app.web import answer, change, noted, see_other, signed_in, site, typed, visit
from otp_enroll import JoinedEnroller, Override, errors

T = TypeVar("T")

routes: Final = Blueprint("help_desk", __name__)


def desk_member() -> Account:
    """Return who of the help desk is signed in."""
    account = signed_in()
    return account if account.helps else abort(403)


@routes.get("/help-desk")
def show_desk() -> Response:
    """Show the form."""
    desk_member()
    return answer(visit().help_desk(notice=session.pop("notice", "")))


def vouched(act: Callable[[JoinedEnroller, Account, Override], T]) -> tuple[T, Account]:
    """Act on somebody's account by the word of the help desk: who and why is recorded.

    Neither act shows a key, and there is none that sets a phone up in the owner's place.
    """
    member = desk_member()
    try:
        override = Override(actor=f"help desk: {member.name}", reason=typed("reason"))
    except ValueError:
        raise DeskRefusal("reason") from None
    owner = site().database.named(typed("username"))
    if owner is None:
        raise DeskRefusal("unknown_user")
    try:
        return change(lambda view: act(view, owner, override)), owner
    except errors.RefusalError as refusal:
        raise DeskRefusal(refusal) from None


class DeskRefusal(Exception):  # noqa: N818  # it is answered with a page
    """What the help desk asked for was refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


@routes.post("/help-desk/recovery-codes")
def desk_codes() -> Response:
    """Make new recovery codes for an owner who has none."""
    codes, owner = vouched(
        lambda view, owner, override: view.regenerate_recovery_codes(
            owner.id, proof=override, context=noted()
        )
    )
    return answer(visit().codes(codes, owner=owner.name))


@routes.post("/help-desk/disable")
def desk_disable() -> Response:
    """Switch one-time passwords off for an owner who lost everything."""
    vouched(lambda view, owner, override: view.disable(owner.id, proof=override, context=noted()))
    session["notice"] = "desk_off"
    return see_other("/help-desk")


@routes.errorhandler(DeskRefusal)
def desk_refused(error: DeskRefusal) -> Response:
    """Show the help desk's form again, as it was."""
    page = visit().help_desk(
        refusal=error.refusal, username=typed("username"), reason=typed("reason")
    )
    return answer(page)
