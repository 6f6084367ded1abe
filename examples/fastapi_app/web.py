"""What each route is made of: this request, its account, its transaction, its answer."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pages import pages
from pages.kept import IN_TRANSACTION
from pages.pages import Account, Answer, Refusal, Visit
from sqlalchemy.exc import DBAPIError
from starlette.datastructures import FormData
from starsessions import SessionStore, get_session_id, regenerate_session_id

from fastapi_app.database import Database
from otp_enroll import AsyncEnroller, AsyncJoinedEnroller, Policy, Setup, Verification, errors

T = TypeVar("T")

TRIES: Final = 5
EITHER: Final = ("code", "recovery_code")
CSRF_FIELD: Final = "csrf_token"
FIELDS: Final = 20
FIELD_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests share."""

    enroller: AsyncEnroller
    database: Database
    web_sessions: SessionStore
    clock: Callable[[], float]
    policy: Policy


class SignInFirstError(Exception):
    """It is answered with the way to the sign-in page."""


class CSRFError(Exception):
    """A form of another site, or one whose session is over."""


@dataclass(slots=True)
class Exchange:
    """One request, and what its route needs of it."""

    request: Request
    form: FormData = field(default_factory=FormData)
    account: Account | None = None

    @property
    def site(self) -> Site:
        """What all requests share."""
        site: Site = self.request.app.state.site
        return site

    @property
    def session(self) -> dict[str, Any]:
        """The web session."""
        return self.request.session

    @property
    def language(self) -> str:
        """The language of the page."""
        request = self.request
        return pages.language_of(
            request.cookies.get(pages.LANGUAGE_COOKIE), request.headers.get("Accept-Language")
        )

    def visit(self, token: str | None = None) -> Visit:
        """Describe this request to the pages; their forms have the session's token."""
        return Visit(
            language=self.language,
            now=self.site.clock(),
            csrf=(CSRF_FIELD, self.token() if token is None else token),
            account=self.account,
            policy=self.site.policy,
        )

    def token(self) -> str:
        """Return the session's CSRF token.

        The packages for it compare a cookie with the form, which whoever can plant a cookie
        passes, or read a header alone. What the server remembers needs neither.
        """
        if not self.session:
            # It begins here. starsessions would take the id that the browser sent: one that was
            # planted, or that has ended.
            regenerate_session_id(self.request)
        return str(self.session.setdefault(CSRF_FIELD, secrets.token_urlsafe(32)))

    def check_token(self) -> None:
        """Refuse what was not sent by a form of this session's pages."""
        kept = str(self.session.get(CSRF_FIELD, ""))
        if not kept or not compare_digest(self.typed(CSRF_FIELD).encode(), kept.encode()):
            raise CSRFError

    def context(self) -> dict[str, str]:
        """Return what the events shall tell of this request."""
        return {"ip": self.request.client.host if self.request.client else "unknown"}

    def noted(self) -> dict[str, str]:
        """Return the context of a change whose notice ``change`` writes."""
        return {**self.context(), **IN_TRANSACTION}

    def typed(self, name: str) -> str:
        """Return a field of the form, empty if it is missing."""
        value = self.form.get(name)
        return value if isinstance(value, str) else ""

    async def renew_session(self) -> None:
        """Give the web session a new id: one planted or seen before opens nothing (R-98)."""
        # starsessions would leave the old one as it is.
        if old := get_session_id(self.request):
            await self.site.web_sessions.remove(old)
        regenerate_session_id(self.request)

    async def let_in(self, account: Account) -> None:
        """Sign in: nothing of the session before stays, its id neither."""
        if account.language is None:
            await self.site.database.speak(account.id, self.language)
        self.session.clear()
        self.session["user"] = account.id
        self.account = account
        await self.renew_session()

    async def change(self, act: Callable[[AsyncJoinedEnroller], Awaitable[T]]) -> T:
        """Change an account and write its notices in one transaction, and tell of it after that.

        Codes were judged before: inside it a rollback would give a guess back. Where another
        request was first, the whole transaction is repeated.
        """
        database = self.site.database
        for tries_left in reversed(range(TRIES)):
            try:
                async with database.sessions.begin() as transaction:
                    view = self.site.enroller.using(database.joined_store(transaction))
                    done = await act(view)
                    await database.note(transaction, view.events)
            except (errors.StoreContentionError, DBAPIError):
                if not tries_left:
                    raise
            else:
                await view.deliver_events()
                return done
        raise AssertionError  # the last try returned or raised

    async def proof_for(
        self, verb: str, account: Account, accept: tuple[str, ...] = EITHER
    ) -> Verification | None:
        """Judge the typed proof for one verb, or take the sign-in by recovery code just before."""
        if "proof" in self.form:
            return await self.site.enroller.verify(
                account.id,
                self.typed("proof"),
                purpose=verb,
                accept=accept,
                context=self.context(),
            )
        kept = self.session.pop("recovered", None)
        return Verification.from_dict(kept) if kept else None

    async def security_page(
        self, account: Account, refusal: Refusal = None, form: str = "", notice: str = ""
    ) -> Response:
        """Answer with the page that shows the state."""
        status = await self.site.enroller.status(account.id)
        happened = await self.site.database.notices(account.id)
        return answer(
            self.visit().security(
                status,
                happened=happened,
                holds_setup="setup" in self.session,
                refusal=refusal,
                form=form,
                notice=notice,
            )
        )

    async def stage(
        self, account: Account, authenticator: str | None, proof: Verification | None
    ) -> Response:
        """Begin, and go to the page that shows the key."""

        async def act(view: AsyncJoinedEnroller) -> Setup:
            return await view.begin(
                account.id,
                account_name=account.mail,
                authenticator=authenticator,
                proof=proof,
                context=self.noted(),
            )

        # In the session for a reload, in the form for the confirm: an older tab is noticed.
        self.session["setup"] = (await self.change(act)).id
        await self.renew_session()
        return see_other("/security/setup")


def answer(page: Answer) -> Response:
    """Send a page."""
    return HTMLResponse(page.html, page.status)


def see_other(path: str) -> Response:
    """Send the browser on by GET, so that a reload repeats nothing."""
    return RedirectResponse(path, 303)


async def exchange(request: Request) -> Exchange:
    """Read the request, look up who is signed in, and refuse a form without its token."""
    here = request.state.here = Exchange(request)
    here.form = await request.form(max_files=0, max_fields=FIELDS, max_part_size=FIELD_BYTES)
    if user_id := here.session.get("user"):
        here.account = await here.site.database.account(user_id)
    if request.method == "POST":
        here.check_token()
    return here


Here = Annotated[Exchange, Depends(exchange)]


async def signed_in(here: Here) -> Account:
    """Return who is signed in; all others go to the sign-in page."""
    if here.account is None:
        raise SignInFirstError
    return here.account


async def asked(here: Here) -> Account:
    """Return whose password was right a short while ago, and whose code is still missing.

    It is asked for only after the password (R-73): else anybody could lock anybody's account.
    """
    is_fresh = here.site.clock() - here.session.get("asked_at", 0) < pages.PASSWORD_STEP_SECONDS
    user_id = here.session.get("asked") if is_fresh else None
    account = await here.site.database.account(user_id) if user_id else None
    if account is None:
        raise SignInFirstError
    return account


SignedIn = Annotated[Account, Depends(signed_in)]
Asked = Annotated[Account, Depends(asked)]
