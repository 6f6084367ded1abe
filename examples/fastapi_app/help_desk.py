"""The help desk: two acts by its word, none of which shows a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pages.pages import Account, Refusal

from fastapi_app.web import Exchange, Here, SignedIn, answer, see_other
from otp_enroll import AsyncJoinedEnroller, Override, errors

T = TypeVar("T")

routes: Final = APIRouter()


async def desk_member(account: SignedIn) -> Account:
    """Return who of the help desk is signed in."""
    if not account.helps:
        raise HTTPException(403)
    return account


DeskMember = Annotated[Account, Depends(desk_member)]


@routes.get("/help-desk")
async def show_desk(here: Here, _: DeskMember) -> Response:
    """Show the form."""
    return answer(here.visit().help_desk(notice=here.session.pop("notice", "")))


async def vouched(
    here: Exchange,
    member: Account,
    act: Callable[[AsyncJoinedEnroller, Account, Override], Awaitable[T]],
) -> tuple[T, Account]:
    """Act on somebody's account by the word of the help desk: who and why is recorded.

    Neither act shows a key, and there is none that sets a phone up in the owner's place.
    """
    try:
        override = Override(actor=f"help desk: {member.name}", reason=here.typed("reason"))
    except ValueError:
        raise DeskRefusal("reason") from None
    owner = await here.site.database.named(here.typed("username"))
    if owner is None:
        raise DeskRefusal("unknown_user")
    try:
        return await here.change(lambda view: act(view, owner, override)), owner
    except errors.RefusalError as refusal:
        raise DeskRefusal(refusal) from None


class DeskRefusal(Exception):  # noqa: N818  # it is answered with a page
    """What the help desk asked for was refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__()
        self.refusal = refusal


@routes.post("/help-desk/recovery-codes")
async def desk_codes(here: Here, member: DeskMember) -> Response:
    """Make new recovery codes for an owner who has none."""
    codes, owner = await vouched(
        here,
        member,
        lambda view, owner, override: view.regenerate_recovery_codes(
            owner.id, proof=override, context=here.noted()
        ),
    )
    return answer(here.visit().codes(codes, owner=owner.name))


@routes.post("/help-desk/disable")
async def desk_disable(here: Here, member: DeskMember) -> Response:
    """Switch one-time passwords off for an owner who lost everything."""
    await vouched(
        here,
        member,
        lambda view, owner, override: view.disable(owner.id, proof=override, context=here.noted()),
    )
    here.session["notice"] = "desk_off"
    return see_other("/help-desk")


async def desk_refused(request: Request, error: DeskRefusal) -> Response:
    """Show the help desk's form again, as it was."""
    here: Exchange = request.state.here
    page = here.visit().help_desk(
        refusal=error.refusal, username=here.typed("username"), reason=here.typed("reason")
    )
    return answer(page)
