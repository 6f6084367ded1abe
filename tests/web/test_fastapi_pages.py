"""The FastAPI app over plain HTTP: the whole life of an account, and each duty of an app."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from fastapi_app import database, help_desk, security, sign_in
from fastapi_app.app import create_app
from fastapi_app.web import FIELD_BYTES, Site
from httpx2 import Response
from typing_extensions import override

from helpers import web_forms
from helpers.web_forms import PASSWORD
from otp_enroll.testing import FrozenClock

T = TypeVar("T")


class Browser(web_forms.Browser[Response]):
    """A browser at the FastAPI app."""

    def __init__(self, client: TestClient, clock: FrozenClock) -> None:
        super().__init__(clock, clock.advance)
        self.client = client

    @override
    def fetch(
        self, path: str, fields: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[Response, str]:
        method = "GET" if fields is None else "POST"
        page = self.client.request(method, path, data=fields, headers=headers)
        return page, page.text

    @property
    def session(self) -> str:
        """The id of the web session."""
        return str(self.client.cookies["session"])


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash the passwords of each test's new database at the least cost."""
    least = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(database, "HASHER", least)
    monkeypatch.setattr(database, "_NOBODY", least.hash("nobody's"))


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def app(tmp_path: Path, clock: FrozenClock) -> FastAPI:
    return create_app(database=f"sqlite+aiosqlite:///{tmp_path / 'app.db'}", clock=clock)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def browser(client: TestClient, clock: FrozenClock) -> Browser:
    return Browser(client, clock)


@pytest.fixture
def site(app: FastAPI, client: TestClient) -> Site:
    del client  # it is there while somebody serves
    site: Site = app.state.site
    return site


def run(client: TestClient, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await something in the loop that serves."""
    assert client.portal is not None
    answer: T = client.portal.call(act)
    return answer


def execute(client: TestClient, site: Site, statement: str) -> None:
    """Change the database behind the app's back."""

    async def act() -> None:
        async with site.database.engine.begin() as connection:
            await connection.execute(sa.text(statement))

    run(client, act)


def test_life_from_off_to_a_new_phone(browser: Browser) -> None:
    """Off, setup, on, sign out, sign in, change phone: all by the forms of the pages."""
    browser.sign_in()
    assert (browser.name, browser.state) == ("security", "disabled")
    browser.begin()
    assert (browser.name, browser.state) == ("setup", "pending")
    browser.confirm()
    assert (browser.name, len(browser.codes)) == ("on", 10)
    browser.sign_out()
    assert (browser.name, browser.notice) == ("sign-in", "signed_out")

    browser.sign_in()
    assert browser.name == "code"
    browser.send("code-form", code=browser.code())
    assert (browser.name, browser.state) == ("security", "confirmed")

    browser.send("change", proof=browser.code())
    browser.scan()
    assert browser.phone.label.endswith("(2)")
    browser.confirm()
    assert (browser.name, browser.codes) == ("on", [])


def test_life_from_a_second_phone_to_off(browser: Browser) -> None:
    """Add one, rename and remove it, sign in by recovery code, new phone, new codes, off."""
    codes = browser.switch_on()
    phone = browser.phone
    browser.get("/security")
    browser.send("add", authenticator="tablet", proof=browser.code())
    browser.scan()
    browser.confirm()
    browser.phone = phone
    browser.get("/security")
    browser.send("rename", authenticator="tablet", new_name="لوح")
    assert browser.notice == "renamed"
    assert 'data-name="لوح"' in browser.page.text
    browser.send("disable", authenticator="لوح", proof=browser.code())
    assert (browser.notice, browser.state) == ("removed", "confirmed")

    browser.sign_out()
    browser.sign_in()
    browser.send("recovery-form", code=codes[0])
    assert browser.name == "recovered"
    browser.send("lost-phone")
    browser.scan()
    browser.confirm()
    browser.get("/security")
    browser.send("renew", proof=browser.code())
    assert browser.name == "codes"
    assert len(set(browser.codes) - set(codes)) == 10
    browser.get("/security")
    browser.send("disable", proof=browser.code())
    assert (browser.state, browser.notice) == ("disabled", "off")


# --- duties of an app ---


def changes() -> list[str]:
    """Name what can be posted to."""
    routes = [one for part in (sign_in, security, help_desk) for one in part.routes.routes]
    found = [
        one.path for one in routes if isinstance(one, APIRoute) and "POST" in (one.methods or ())
    ]
    assert len(found) == 14
    return found


@pytest.mark.requirement("R-98")
def test_every_post_needs_a_token(browser: Browser) -> None:
    """Whatever can be posted is refused without the session's token, also to who is signed in."""
    browser.sign_in()
    for path in changes():
        for token in ({}, {"csrf_token": ""}, {"csrf_token": "x" * 43}, {"csrf_token": "é"}):
            page = browser.post(path, password=PASSWORD, **token)
            assert (page.status_code, browser.problem) == (400, "csrf"), path
    browser.get("/security")
    assert browser.state == "disabled"


@pytest.mark.requirement("R-98")
def test_token_of_another_session_opens_nothing(browser: Browser) -> None:
    """Who has a session of his own cannot use its token in the form that a victim sends."""
    browser.get("/sign-in")
    theirs = browser.forms.hidden["sign-in"]["csrf_token"]
    browser.client.cookies.clear()
    browser.sign_in()
    browser.send("begin", csrf_token=theirs, password=PASSWORD)
    assert browser.problem == "csrf"


@pytest.mark.requirement("R-98")
def test_form_without_a_session_signs_nobody_in(browser: Browser) -> None:
    """Another site cannot sign a browser in to an account of its choice that has been nowhere."""
    page = browser.post("/sign-in", username="navid", password="battery staple")
    assert (page.status_code, browser.problem) == (400, "csrf")


def test_route_that_forgets_the_token_has_it_checked(app: FastAPI, browser: Browser) -> None:
    """The check is the app's, so a route that is added later has it too."""

    @app.post("/added-later")
    async def added_later() -> str:
        return "done"

    browser.sign_in()
    assert browser.post("/added-later").status_code == 400
    browser.get("/security")
    assert browser.client.post("/added-later", data=browser.forms.hidden["begin"]).json() == "done"


@pytest.mark.requirement("R-98")
@pytest.mark.regression_of("B-11")
def test_nothing_is_changed_by_get(browser: Browser) -> None:
    """A link or a reload makes no secret and signs nobody out: those routes know POST alone."""
    browser.sign_in()
    for path in set(changes()) - {"/sign-in", "/sign-in/code"}:
        assert browser.get(path).status_code == 405, path
    browser.get("/security")
    assert (browser.name, browser.state) == ("security", "disabled")


@pytest.mark.requirement("R-89")
@pytest.mark.requirement("R-98")
def test_pages_carry_the_headers(browser: Browser) -> None:
    """No cache, no foreign script, no referrer to others: on every page, refusals too."""
    pages = [browser.get("/sign-in"), browser.get("/nowhere"), browser.post("/sign-in")]
    pages.append(browser.sign_in())
    pages.append(browser.send("begin", password=PASSWORD))
    pages.append(browser.send("sheet"))
    browser.get("/security/setup")
    browser.scan()
    pages.append(browser.send("confirm", code=browser.code()))
    pages.append(browser.confirm())
    assert browser.name == "on"
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["Referrer-Policy"] == "same-origin"
        assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_no_route_describes_the_others(browser: Browser) -> None:
    """The pages that FastAPI would add by itself, with scripts of others, are not there."""
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert browser.get(path).status_code == 404


def test_endless_field_is_refused(browser: Browser) -> None:
    """A field that no form has is not read to its end."""
    browser.get("/sign-in")
    page = browser.send("sign-in", username="x" * (FIELD_BYTES + 1))
    assert (page.status_code, browser.problem) == (400, "broken")


def test_file_in_place_of_a_field_is_refused(browser: Browser) -> None:
    """A form that carries a file is none of this app's."""
    browser.get("/sign-in")
    page = browser.client.post(
        "/sign-in", data=browser.forms.hidden["sign-in"], files={"password": b"x"}
    )
    assert page.status_code == 400


# --- web sessions ---


@pytest.mark.requirement("R-98")
def test_session_has_a_new_id_at_each_step(browser: Browser) -> None:
    """The id changes at the password, the code, begin and confirm; the old one opens nothing."""
    browser.get("/sign-in")
    seen = [browser.session]
    for step in (browser.sign_in, browser.begin, browser.confirm, browser.sign_out):
        step()
        seen.append(browser.session)
    browser.sign_in()
    seen.append(browser.session)
    browser.send("code-form", code=browser.code())
    seen.append(browser.session)
    assert len(set(seen)) == len(seen)
    for old in seen[:-1]:
        browser.client.cookies.clear()
        browser.get("/security", Cookie=f"session={old}")
        assert browser.name == "sign-in"
    browser.client.cookies.clear()
    browser.get("/security", Cookie=f"session={seen[-1]}")
    assert browser.name == "security"


@pytest.mark.requirement("R-98")
def test_planted_session_id_is_not_taken(browser: Browser) -> None:
    """The id of a new session is the server's: who planted one does not know it."""
    page = browser.get("/sign-in", Cookie="session=planted")
    assert "session=" in page.headers["set-cookie"]
    assert "planted" not in page.headers["set-cookie"]


def test_slow_answer_brings_no_ended_session_back(
    client: TestClient, site: Site, browser: Browser
) -> None:
    """What a request saves after the sign-out of another one is not kept."""
    browser.sign_in()
    old = browser.session
    kept = run(client, lambda: site.web_sessions.read(old, 0))
    assert json.loads(kept)["user"] == "user-1"
    browser.sign_out()
    run(client, lambda: site.web_sessions.write(old, kept, 0, 0))
    assert run(client, lambda: site.web_sessions.read(old, 0)) == b""


def test_idle_session_ends_and_is_cleared_away(
    client: TestClient, site: Site, browser: Browser
) -> None:
    """After half a day the cookie opens nothing, and the row goes when others sign in or out."""
    browser.sign_in()
    execute(client, site, "UPDATE sessions SET used_at = used_at - 43201")
    browser.get("/security")
    assert browser.name == "sign-in"
    browser.sign_in()
    assert browser.name == "security"

    async def count() -> Any:
        async with site.database.engine.connect() as connection:
            old = "SELECT count(*) FROM sessions WHERE used_at < unixepoch() - 43200"
            return (await connection.execute(sa.text(old))).scalar_one()

    assert run(client, count) == 0


def test_database_knows_no_session_id(tmp_path: Path, browser: Browser) -> None:
    """A copy of the database signs nobody in."""
    browser.sign_in()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"user-1" in kept
    assert browser.session.encode() not in kept


# --- signing in ---


@pytest.mark.requirement("R-73")
def test_code_is_judged_after_the_password_alone(
    client: TestClient, site: Site, browser: Browser
) -> None:
    """Who did not give the password can neither sign in with a code nor use up its attempts."""
    browser.switch_on()
    browser.sign_out()
    for code in [browser.wrong()] * 9 + [browser.code()]:
        browser.send("sign-in", "/sign-in/code", code=code)
        assert browser.name == "sign-in"
    assert run(client, lambda: site.enroller.status("user-1")).retry_at is None
    browser.get("/security")
    assert browser.name == "sign-in"


@pytest.mark.requirement("R-73")
def test_password_waits_ten_minutes_for_its_code(browser: Browser, clock: FrozenClock) -> None:
    """A browser that was left after the password does not stay half signed in."""
    browser.switch_on()
    browser.sign_out()
    browser.sign_in()
    clock.advance(599)
    browser.get("/sign-in/code")
    assert browser.name == "code"
    clock.advance(1)
    browser.send("code-form", code=browser.phone.code())
    assert browser.name == "sign-in"


@pytest.mark.requirement("R-52")
@pytest.mark.parametrize("password", ["", "battery staple"])
def test_first_setup_needs_the_password_again(browser: Browser, password: str) -> None:
    """A session alone cannot enrol a phone: without the password nothing begins."""
    browser.sign_in()
    page = browser.send("begin", password=password)
    assert (page.status_code, browser.problem, browser.state) == (403, "password", "disabled")


def test_unknown_name_and_wrong_password_are_told_alike(browser: Browser) -> None:
    """The page does not tell which names exist."""
    pages = [browser.sign_in("nobody", PASSWORD), browser.sign_in("sara", "nope")]
    assert [page.status_code for page in pages] == [401, 401]
    assert pages[0].text == pages[1].text


def test_password_is_hashed_beside_the_loop(
    client: TestClient, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one password is hashed, the requests of others are answered."""
    threads = []

    class Watched(PasswordHasher):
        def verify(self, *arguments: Any) -> Any:
            threads.append(threading.get_ident())
            return super().verify(*arguments)

    monkeypatch.setattr(database, "HASHER", Watched())
    browser.sign_in()
    browser.sign_in("nobody")

    async def loop() -> int:
        return threading.get_ident()

    assert len(threads) == 2
    assert run(client, loop) not in threads


# --- changes ---


@pytest.mark.requirement("R-96")
def test_owner_is_told_of_every_change(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """Each change is a notice on the page once, and a mail; no log line holds a secret."""
    caplog.set_level("INFO")
    codes = browser.switch_on()
    key = browser.phone._scanned.secret.base32
    browser.get("/security")
    browser.send("disable-by-recovery-code", proof=codes[0])
    assert browser.happened == [
        "enrollment_disabled",
        "recovery_code_used",
        "recovery_codes_issued",
        "authenticator_confirmed",
        "setup_begun",
    ]
    mails = mails_in(caplog)
    assert len(mails) == 5
    assert all(mail.startswith("to sara@example.com: ") for mail in mails)
    for secret in (key, codes[0], codes[0].replace("-", "")):
        assert secret not in caplog.text


@pytest.mark.requirement("R-96")
def test_mails_are_in_the_owners_language(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """That of the first sign-in, until its owner chooses another one."""
    caplog.set_level("INFO")
    browser.client.headers["Accept-Language"] = "fa"
    browser.switch_on()
    browser.client.headers["Accept-Language"] = "en"
    browser.get("/security")
    browser.send("rename", new_name="phone")
    persian = mails_in(caplog)
    browser.send("language", language="en")
    browser.send("rename", new_name="slate")
    assert len(persian) == 4
    assert all(re.search("[آ-ی]", mail) for mail in persian)
    english = mails_in(caplog)[4:]
    assert len(english) == 1
    assert "has a new name" in english[0]


def mails_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.name.endswith("outbox")]


@pytest.mark.requirement("R-65")
@pytest.mark.regression_of("B-25")
def test_change_and_notice_are_one_transaction(
    client: TestClient, site: Site, browser: Browser
) -> None:
    """Where the notice cannot be written, nothing is switched off, and the code stays spent."""
    browser.switch_on()
    code = browser.code()
    browser.get("/security")
    execute(client, site, "ALTER TABLE notices RENAME TO elsewhere")
    assert browser.send("disable", proof=code).status_code == 500
    execute(client, site, "ALTER TABLE elsewhere RENAME TO notices")
    browser.get("/security")
    assert browser.state == "confirmed"
    browser.send("disable", proof=code)
    assert browser.problem == "code_reused"


def test_empty_proof_is_malformed_and_not_missing(browser: Browser) -> None:
    """A form that was sent without its code is told so; FastAPI would drop an empty field."""
    browser.switch_on()
    browser.get("/security")
    page = browser.send("disable", proof="")
    assert (page.status_code, browser.problem, browser.state) == (
        403,
        "malformed_code",
        "confirmed",
    )


@pytest.mark.requirement("R-44")
@pytest.mark.regression_of("B-10")
def test_reload_and_wrong_code_keep_the_key(
    client: TestClient, site: Site, browser: Browser
) -> None:
    """The page shows the same key as often as it is asked for, and writes nothing by that."""
    browser.sign_in()
    browser.begin()
    key, store = browser.key, site.database.own_store()
    before = run(client, lambda: store.load("user-1"))
    for _ in range(3):
        browser.get("/security/setup")
        assert browser.key == key
    assert run(client, lambda: store.load("user-1")) == before
    page = browser.send("confirm", code=browser.wrong(), backup_acknowledged="yes")
    assert (page.status_code, browser.problem, browser.key) == (403, "wrong_code", key)
    browser.confirm()
    assert browser.name == "on"


@pytest.mark.requirement("R-53")
def test_second_tab_makes_the_first_ones_confirm_say_so(browser: Browser) -> None:
    """The code of an older page confirms nothing, and the page leads to the newer setup."""
    browser.sign_in()
    browser.begin()
    older = browser.forms
    browser.get("/security")
    browser.send("begin", password=PASSWORD)
    newer = browser.key
    browser.forms = older
    page = browser.confirm()
    assert (page.status_code, browser.name) == (409, "superseded")
    assert browser.forms.attributes["live-setup"]["href"] == "/security/setup"
    browser.get("/security/setup")
    assert browser.key == newer


@pytest.mark.requirement("R-84")
def test_reload_of_the_codes_shows_them_no_more(browser: Browser) -> None:
    """Sent again, the confirm says that it is on, and offers new codes."""
    browser.sign_in()
    browser.begin()
    form = browser.forms
    browser.confirm()
    browser.forms = form
    page = browser.confirm()
    assert (page.status_code, browser.state, browser.problem) == (409, "confirmed", "done")
    assert not browser.codes


def test_setup_that_is_over_says_so(browser: Browser, clock: FrozenClock) -> None:
    """Expired or cancelled, the page that was left open leads to a new beginning."""
    browser.sign_in()
    browser.begin()
    clock.advance(900)
    assert browser.get("/security/setup").status_code == 409
    assert (browser.problem, browser.state) == ("setup_expired", "disabled")
    browser.begin()
    form = browser.forms
    browser.send("cancel")
    assert (browser.state, browser.notice) == ("disabled", "cancelled")
    browser.forms = form
    assert (browser.confirm().status_code, browser.problem) == (409, "not_pending")


def test_copy_of_the_key_is_compared(browser: Browser) -> None:
    """The page names the group that differs, and knows a right copy."""
    browser.sign_in()
    browser.begin()
    key = browser.key
    browser.send("check", copy=key[:9] + ("A" if key[9] != "A" else "B") + key[10:])
    assert browser.forms.attributes["problem"]["data-groups"] == "3"
    browser.send("check", copy=key.lower())
    assert browser.notice == "copy_matches"
    assert browser.send("check", copy="").status_code == 403


@pytest.mark.parametrize("name", [" ", "x" * 65, "a\u202eb"])
def test_impossible_name_is_refused_on_the_page(browser: Browser, name: str) -> None:
    """A name that no authenticator can have is a sentence, and no failure of the app."""
    browser.switch_on()
    browser.get("/security")
    page = browser.send("add", authenticator=name, proof=browser.code())
    assert (page.status_code, browser.problem) == (400, "name")
    page = browser.send("rename", new_name=name)
    assert (page.status_code, browser.problem) == (400, "name")


def test_wait_is_told_with_its_end(browser: Browser) -> None:
    """The fifth wrong code is answered with a wait, the sixth is not looked at."""
    browser.switch_on()
    browser.sign_out()
    browser.sign_in()
    wrong = browser.wrong()
    for _ in range(5):
        assert browser.send("code-form", code=wrong).status_code == 403
    assert browser.send("code-form", code=browser.phone.code()).status_code == 429
    assert browser.problem == "too_many_attempts"


def test_last_recovery_code_leads_to_a_new_phone(browser: Browser) -> None:
    """Who has spent the last one sets a phone up at once, since the next sign-in needs it."""
    for code in browser.switch_on():
        browser.sign_out()
        browser.sign_in()
        browser.send("code-form", code=code)
    assert (browser.name, browser.notice) == ("setup", "last_recovery_code")


# --- help desk, languages ---


def test_help_desk_is_for_its_members(browser: Browser) -> None:
    """Others get neither the page nor the acts."""
    browser.sign_in()
    assert browser.get("/help-desk").status_code == 403
    for act in ("recovery-codes", "disable"):
        browser.get("/security")
        browser.send("begin", f"/help-desk/{act}", username="navid", reason="I say so")
        assert (browser.page.status_code, browser.problem) == (403, "forbidden")


def test_help_desk_acts_by_its_word(browser: Browser) -> None:
    """New codes, then off: the owner reads who did it and why, and no page shows the key."""
    browser.switch_on()
    key = browser.phone._scanned.secret.base32
    browser.client.cookies.clear()
    browser.sign_in("dara", "open sesame")
    browser.get("/help-desk")
    assert browser.send("desk", username="sara", reason=" ").status_code == 400
    assert browser.send("desk", username="nobody", reason="passport").status_code == 404
    browser.send("desk", username="sara", reason="passport")
    assert (browser.name, len(browser.codes)) == ("codes", 10)
    assert key not in browser.page.text
    browser.get("/help-desk")
    browser.send("desk", "/help-desk/disable", username="sara", reason="lost it all")
    assert browser.notice == "desk_off"
    browser.send("desk", username="sara", reason="again")
    assert (browser.page.status_code, browser.problem) == (409, "not_enrolled")
    browser.client.cookies.clear()
    browser.sign_in()
    assert browser.state == "disabled"
    assert browser.happened.count("override_used") == 2


def test_language_is_the_browsers_until_one_is_chosen(browser: Browser) -> None:
    """Accept-Language decides, then the form; the text and the direction follow."""
    page = browser.get("/sign-in", **{"Accept-Language": "fa-IR,fa;q=0.9,en;q=0.1"})
    assert '<html lang="fa" dir="rtl">' in page.text
    page = browser.get("/sign-in")
    assert '<html lang="en" dir="ltr">' in page.text
    page = browser.send("language", language="fa")
    assert '<html lang="fa" dir="rtl">' in page.text
    assert browser.name == "sign-in"


# --- the loop, and failures ---


def test_app_that_was_made_in_one_loop_serves_in_others(tmp_path: Path) -> None:
    """Nothing of it belongs to the loop in which the factory ran, or to an earlier server's."""

    async def make() -> FastAPI:
        return create_app(database=f"sqlite+aiosqlite:///{tmp_path / 'app.db'}")

    # A thread of its own: a browser test of the package may have left its loop in this one.
    with ThreadPoolExecutor(1) as pool:
        app = pool.submit(lambda: asyncio.run(make())).result()
    for _ in range(2):
        with TestClient(app) as client:
            browser = Browser(client, FrozenClock())
            browser.sign_in()
            assert browser.name == "security"


def test_failure_is_a_page_that_lets_nobody_in(
    client: TestClient, site: Site, browser: Browser
) -> None:
    """Without its sessions the app answers with a page, with the headers of the others."""
    browser.sign_in()
    execute(client, site, "DROP TABLE sessions")
    page = browser.get("/security")
    assert (page.status_code, browser.name, browser.problem) == (500, "refused", "broken")
    assert page.headers["Cache-Control"] == "no-store"


def test_key_is_kept_for_its_owner_alone(tmp_path: Path, client: TestClient) -> None:
    """The key beside a database of the developer's is readable for nobody else."""
    del client
    key = tmp_path / "app.db.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32
