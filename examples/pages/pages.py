"""Which page an app answers with, and what stands on it: the part that no web framework needs.

An app reads the request, calls the enroller, picks a method of ``Visit`` and sends the
``Answer`` with ``HEADERS``. All decisions about texts, status numbers and languages are here.

What an app has to know:

- ``Visit(language=…, now=…, csrf=(field name, token), account=…)`` is made once a request;
  ``now`` is Unix seconds of the enroller's own clock.
- A refusal is passed as it was raised: ``visit.security(status, refusal=error, form="change")``.
  ``form`` is the id of the form that was sent; the sentence stands in that form. What the app
  itself refuses is passed by a word: ``"sign_in"``, ``"password"``, ``"name"``, ``"reason"``,
  ``"unknown_user"``, ``"done"``. Each ``Answer`` has the right status.
- A failure is no refusal: it goes on to the app's handler of 500s, which answers with
  ``visit.refused("broken", 500)``.
- What happened before a redirect is a word in the web session, passed as ``notice``: ``"off"``,
  ``"removed"``, ``"renamed"``, ``"cancelled"``, ``"signed_out"``, ``"last_recovery_code"``,
  ``"locked"``, ``"desk_off"``.
- ``POST /security/begin`` on an account without a confirmed authenticator has the field
  ``password`` (form ``begin``); wrong or missing: ``visit.security(…, refusal="password",
  form="begin")``. On a confirmed account it has ``proof``, and ``authenticator`` in the forms
  ``change`` and ``add``; the page ``recovered`` has the form ``lost-phone`` without ``proof``.
- The code and proof forms of /security stand in ``<details>``; ``change-by-recovery-code`` and
  ``disable-by-recovery-code`` are the same requests with a field in which letters can be typed,
  and so is ``recovery-form`` beside ``code-form``.
- While codes are locked, ``change`` and ``disable`` ask for a recovery code, and the forms that
  none opens (``add``, ``renew``) are missing.
- The language form is missing where codes are shown once, since a reload would lose them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from gettext import translation
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from otp_enroll import (
    Confirmation,
    KeyCopy,
    Policy,
    ProvisioningWarning,
    RecoveryCodes,
    Setup,
    Status,
    Verification,
    errors,
)
from otp_enroll.display import sheet
from otp_enroll.display.setup import CODE_FIELD
from otp_enroll.events import Event
from otp_enroll.messages import Catalogue, duration, how_to_get_back_in, text

HERE: Final = Path(__file__).parent
STATIC: Final = HERE / "static"

ISSUER: Final = "Exir"
POLICY: Final = Policy(backup="acknowledged")
LANGUAGES: Final = {"en": "English", "fa": "فارسی"}
LANGUAGE_COOKIE: Final = "language"

PASSWORD_STEP_SECONDS: Final = 600
"""For how long a right password waits for its code."""

HEADERS: Final[Mapping[str, str]] = {
    # Keys and codes must be in no cache and no history.
    "Cache-Control": "no-store",
    # No script and no style of others can read the key; no form can send it elsewhere.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'self' {sheet.STYLE_SOURCE}; script-src 'self'; "
        "img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    # Not "no-referrer": browsers then send "Origin: null", and CSRF checks by origin refuse it.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Account:
    """Who is signed in; ``id`` never changes, so it is what the library is given.

    ``language`` is that of the first sign-in, until another one is chosen: mails are written in it.
    """

    id: str
    name: str
    mail: str
    helps: bool = False
    language: str | None = None


DEMO: Final[Mapping[Account, str]] = {
    Account("user-1", "sara", "sara@example.com"): "correct horse",
    Account("user-2", "navid", "navid@example.com"): "battery staple",
    Account("user-3", "dara", "dara@example.com", helps=True): "open sesame",
}
"""The accounts of a new database, with their passwords. Dara is of the help desk."""


class Answer(NamedTuple):
    """A page and its HTTP status."""

    html: str
    status: int = 200


class Problem(NamedTuple):
    """A refusal on a page: its code, the form that it belongs to, and its sentence.

    A sentence is empty where the page has its own for the code.
    """

    code: str
    form: str
    text: str


Refusal = errors.RefusalError | str | None

_STATUS_OF_WORD: Final = {
    "sign_in": 401,
    "password": 403,
    "unknown_user": 404,
    "not_enrolled": 409,
    "done": 409,
}


def language_of(cookie: str | None, accept_language: str | None) -> str:
    """Choose a language: the cookie's, else the browser's first that is spoken here, else en."""
    wanted = [cookie or ""]
    ranked = [part.partition(";q=") for part in (accept_language or "").split(",")]
    ranked.sort(key=lambda part: _rank(part[2]), reverse=True)
    wanted += [tag.strip().partition("-")[0].lower() for tag, _, rank in ranked if _rank(rank)]
    return next((one for one in wanted if one in LANGUAGES), "en")


def _rank(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0


def mail(event: Event, language: str | None) -> str:
    """Write to an account's owner what happened, and what to do if it was a stranger."""
    return text(event, locale=language or "en", now=event.time)


def local_path(path: str) -> str:
    """Return a path of this site, or "/": a form must not send people elsewhere."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local and path.isprintable() else "/"


def begins_at_once(verification: Verification, status: Status) -> str | None:
    """Return the authenticator to set up anew right after a sign-in by recovery code.

    That is so where the next sign-in would need help otherwise: codes are locked, or that was
    the last recovery code. Where several work, the owner is asked which one is lost.
    """
    names = [one.name for one in status.authenticators]
    last = verification.recovery_codes_left == 0 and len(names) == 1
    return names[0] if verification.locked or last else None


def _status_of(refusal: Refusal) -> int:
    """Return an error's own status, and for a word the one that it has here."""
    if refusal is None:
        return 200
    if isinstance(refusal, str):
        return _STATUS_OF_WORD.get(refusal, 400)
    return refusal.http_status


def _environment(language: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    texts = translation("pages", HERE / "locale", [language], fallback=language == "en")
    environment.install_gettext_callables(texts.gettext, texts.ngettext, newstyle=True)  # type: ignore[attr-defined]
    return environment


_PAGES: Final = {language: _environment(language) for language in LANGUAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request, and the pages that it can be answered with.

    Attributes:
        language: What ``language_of`` returned.
        now: Unix seconds, of the clock that the enroller reads.
        csrf: The name of the hidden field and the token that belongs in it.
        account: Who is signed in.
        policy: The enroller's.
    """

    language: str
    now: float
    csrf: tuple[str, str]
    account: Account | None = None
    policy: Policy = POLICY

    def sign_in(self, *, refusal: Refusal = None, notice: str = "") -> Answer:
        """Ask for name and password."""
        return self._page("sign_in", "/sign-in", refusal, "sign-in", notice=notice)

    def code(self, *, refusal: Refusal = None, form: str = "code-form") -> Answer:
        """Ask for the code, after the password."""
        return self._page("code", "/sign-in/code", refusal, form)

    def recovered(self, verification: Verification, status: Status) -> Answer:
        """Ask whether the phone is lost, after a sign-in by recovery code."""
        return self._page(
            "recovered", "/security/recovered", left=verification.recovery_codes_left, status=status
        )

    def security(
        self,
        status: Status,
        *,
        happened: Sequence[Event] = (),
        holds_setup: bool = False,
        refusal: Refusal = None,
        form: str = "",
        notice: str = "",
    ) -> Answer:
        """Show the state, and what can be done.

        Args:
            status: Of the account.
            happened: The owner's notices, newest first.
            holds_setup: Whether this web session has the id of a setup.
            refusal: What was refused.
            form: Which form it was.
            notice: What was done before.
        """
        waits = next(
            (
                name
                for name, is_so in (
                    ("locked", status.locked),
                    ("waiting", status.retry_at is not None),
                )
                if is_so
            ),
            status.state,
        )
        return self._page(
            "security",
            "/security",
            refusal,
            form,
            state=waits,
            status=status,
            happened=[(event, self._say(event, not_you=False)) for event in happened],
            holds_setup=holds_setup,
            notice=notice,
            way_back=how_to_get_back_in(self.policy, locale=self.language),
        )

    def setup(
        self,
        setup: Setup,
        *,
        refusal: Refusal = None,
        form: str = "confirm",
        copy: KeyCopy | None = None,
        copied: str = "",
        acknowledged: bool = False,
        notice: str = "",
    ) -> Answer:
        """Show the QR code, the key, and the form for the code. It can be shown again and again.

        Args:
            setup: What ``resume`` returned.
            refusal: What was refused.
            form: Which form it was: ``"confirm"`` or ``"check"``.
            copy: How the copy of the key compares.
            copied: The copy as it was typed, so that it need not be typed again.
            acknowledged: Whether the box for the backup was ticked.
            notice: Why the setup began by itself.
        """
        return self._page(
            "setup",
            "/security/setup",
            refusal,
            form,
            state="pending",
            setup=setup,
            sheet=setup.sheet(self.language),
            cautions=[(one.code, self._say(one)) for one in setup.warnings],
            copy=copy,
            copied=copied,
            acknowledged=acknowledged,
            notice=notice,
        )

    def superseded(self, *, held: bool) -> Answer:
        """Say that the page that was sent shows an old key; ``held``: this session has another."""
        refusal = errors.SetupSupersededError()
        return self._page("superseded", "/security", refusal, "page", held=held)

    def on(self, confirmation: Confirmation) -> Answer:
        """Say that it is on, and show the new recovery codes, if any, this once."""
        codes = confirmation.recovery_codes
        return self._page("on", None, done=confirmation, **self._shown_once(codes))

    def codes(self, codes: RecoveryCodes, *, owner: str | None = None) -> Answer:
        """Show new recovery codes this once; ``owner``: whose they are, at the help desk."""
        return self._page("codes", None, owner=owner, **self._shown_once(codes))

    def help_desk(
        self, *, refusal: Refusal = None, username: str = "", reason: str = "", notice: str = ""
    ) -> Answer:
        """Offer the help desk's two acts."""
        if isinstance(refusal, errors.NotEnrolledError):
            refusal = refusal.code  # the library's sentence speaks to the owner
        return self._page(
            "help_desk",
            "/help-desk",
            refusal,
            "page",
            username=username,
            reason=reason,
            notice=notice,
        )

    def refused(self, why: str, status: int) -> Answer:
        """Say why there is no page: ``"csrf"``, ``"forbidden"``, ``"missing"``, ``"broken"``."""
        return Answer(self._page("refused", None, why=why).html, status)

    def _page(
        self,
        name: str,
        here: str | None,
        refusal: Refusal = None,
        form: str = "",
        *,
        state: str | None = None,
        notice: str = "",
        **facts: object,
    ) -> Answer:
        """Render a page; ``here`` is where a change of the language leads."""
        template = _PAGES[self.language].get_template(f"{name}.html")
        catalogue = Catalogue.of(self.language)
        html = template.render(
            visit=self,
            page=name.replace("_", "-"),
            state=state,
            here=here,
            problem=self._problem(refusal, form),
            notice=notice,
            direction=catalogue.direction,
            number=catalogue.number,
            date=catalogue.date,
            comma=catalogue.say("form", "list"),
            languages=LANGUAGES,
            code_field=CODE_FIELD,
            issuer=ISSUER,
            **facts,
        )
        return Answer(html, _status_of(refusal))

    def _problem(self, refusal: Refusal, form: str) -> Problem | None:
        if refusal is None:
            return None
        if isinstance(refusal, str):
            return Problem(refusal, form, "")
        return Problem(refusal.code, form, self._say(refusal))

    def _say(
        self, about: errors.RefusalError | Event | ProvisioningWarning, *, not_you: bool = True
    ) -> str:
        return text(about, locale=self.language, now=self.at, not_you=not_you)

    def _shown_once(self, codes: RecoveryCodes | None) -> dict[str, Any]:
        if codes is None:
            return {"codes": None, "sheet": None}
        paper = codes.sheet(self.language)
        return {
            "codes": codes,
            "sheet": paper,
            "style": sheet.STYLE,
            "download": "data:text/plain;charset=utf-8," + quote(paper.text()),
        }

    @property
    def at(self) -> datetime:
        """Now, as an aware datetime."""
        return datetime.fromtimestamp(self.now, tz=timezone.utc)

    def seconds_until(self, moment: datetime) -> int:
        """Return how long until then, at least a second."""
        return max(1, round(moment.timestamp() - self.now))

    def wait(self, moment: datetime) -> str:
        """Return how long until then, in words."""
        return duration(self.seconds_until(moment), locale=self.language)
