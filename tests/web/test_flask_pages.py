"""The Flask app over plain HTTP: the whole life of an account, and each duty of an app."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from flask_app.app import create_app
from flask_app.web import Site
from typing_extensions import override
from werkzeug.test import TestResponse

from helpers import servers, web_forms
from helpers.web_forms import PASSWORD
from otp_enroll import errors, events
from otp_enroll.testing import FrozenClock

postgresql = servers.postgresql


class Browser(web_forms.Browser[TestResponse]):
    """A browser at the Flask app."""

    def __init__(self, client: FlaskClient, clock: FrozenClock) -> None:
        super().__init__(clock, clock.advance)
        self.client = client
        self.clock = clock

    @override
    def fetch(
        self, path: str, fields: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[TestResponse, str]:
        method = "GET" if fields is None else "POST"
        page = self.client.open(
            path, method=method, data=fields, headers=dict(headers), follow_redirects=True
        )
        return page, page.text

    @property
    def session(self) -> str:
        """The id of the web session."""
        cookie = self.client.get_cookie("session")
        assert cookie is not None
        return cookie.value


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def app(tmp_path: Path, clock: FrozenClock) -> Iterator[Any]:
    app = create_app(database=f"sqlite:///{tmp_path / 'app.db'}", clock=clock)
    yield app
    site: Site = app.extensions["site"]
    site.database.close()


@pytest.fixture
def browser(app: Any, clock: FrozenClock) -> Browser:
    return Browser(app.test_client(), clock)


def test_life_from_off_to_a_new_phone(browser: Browser) -> None:
    """Off, setup, on, sign out, sign in, change phone: all by the forms of the pages."""
    browser.sign_in()
    assert (browser.name, browser.state) == ("security", "disabled")
    browser.send("begin", password=PASSWORD)
    assert (browser.name, browser.state) == ("setup", "pending")
    browser.scan()
    browser.confirm()
    assert (browser.name, len(browser.codes)) == ("on", 10)
    browser.get("/security")
    assert browser.state == "confirmed"
    browser.send("sign-out")
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
    assert "old-paper" in browser.forms.attributes


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

    browser.send("sign-out")
    browser.sign_in()
    browser.send("recovery-form", code=codes[0])
    assert browser.name == "recovered"
    browser.send("lost-phone")
    assert browser.name == "setup"
    browser.scan()
    browser.confirm()
    browser.get("/security")
    browser.send("renew", proof=browser.code())
    assert browser.name == "codes"
    assert len(set(browser.codes) - set(codes)) == 10
    browser.get("/security")
    browser.send("disable", proof=browser.code())
    assert (browser.state, browser.notice) == ("disabled", "off")


def test_life_on_postgresql(postgresql: Any, clock: FrozenClock) -> None:
    """The app runs on another database without a change: on, off again, and the notices of it."""
    url = postgresql.fresh_database().url("postgresql+psycopg")
    app = create_app(database=url, clock=clock, key=bytes(32))
    browser = Browser(app.test_client(), clock)
    try:
        assert len(browser.switch_on()) == 10
        browser.get("/security")
        browser.send("disable", proof=browser.code())
        assert (browser.state, browser.notice) == ("disabled", "off")
        assert 'data-code="enrollment_disabled"' in browser.page.text
    finally:
        app.extensions["site"].database.close()


# --- duties of an app ---


@pytest.mark.requirement("R-98")
def test_every_post_needs_a_token(app: Any, browser: Browser) -> None:
    """Whatever can be posted is refused without the form's token, also to who is signed in."""
    browser.sign_in()
    paths = [rule.rule for rule in app.url_map.iter_rules() if "POST" in rule.methods]
    assert len(paths) > 10
    for path in paths:
        answer = browser.client.post(path, data={"password": PASSWORD})
        assert (answer.status_code, 'data-code="csrf"' in answer.text) == (400, True), path
    assert browser.get("/security").status_code == 200
    assert browser.state == "disabled"


@pytest.mark.requirement("R-98")
@pytest.mark.regression_of("B-11")
def test_nothing_is_changed_by_get(app: Any, browser: Browser) -> None:
    """A link or a reload makes no secret and signs nobody out: those routes know POST alone."""
    browser.sign_in()
    changing = {rule.rule for rule in app.url_map.iter_rules() if "POST" in rule.methods}
    for path in changing - {"/sign-in", "/sign-in/code"}:
        assert browser.client.get(path).status_code == 405, path
    browser.get("/security")
    assert (browser.name, browser.state) == ("security", "disabled")


@pytest.mark.requirement("R-89")
@pytest.mark.requirement("R-98")
def test_pages_carry_the_headers(browser: Browser) -> None:
    """No cache, no foreign script, no referrer to others: on every page, refusals too."""
    pages = [browser.get("/sign-in"), browser.get("/nowhere"), browser.client.post("/sign-in")]
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


def test_style_of_the_sheet_is_what_the_policy_allows(browser: Browser) -> None:
    """The one inline style has the hash that the header names; pages have no script inline."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    browser.scan()
    for page in (browser.send("sheet"), browser.get("/security/setup"), browser.confirm()):
        for style in re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in page.headers["Content-Security-Policy"]
        assert not re.search(r"\sstyle=|\son\w+=|<script(?! src=)", page.text)


@pytest.mark.requirement("R-98")
def test_session_has_a_new_id_at_each_step(browser: Browser) -> None:
    """The id changes at the password, the code, begin and confirm; the old one opens nothing."""
    browser.get("/sign-in")
    seen = [browser.session]
    browser.sign_in()
    seen.append(browser.session)
    browser.send("begin", password=PASSWORD)
    seen.append(browser.session)
    browser.scan()
    browser.confirm()
    seen.append(browser.session)
    browser.get("/security")
    browser.send("sign-out")
    seen.append(browser.session)
    browser.sign_in()
    seen.append(browser.session)
    browser.send("code-form", code=browser.code())
    seen.append(browser.session)
    assert len(set(seen)) == len(seen)
    for old in seen[:-1]:
        browser.client.set_cookie("session", old)
        assert browser.get("/security").request.path == "/sign-in"


@pytest.mark.requirement("R-73")
def test_code_is_judged_after_the_password_alone(app: Any, browser: Browser) -> None:
    """Who did not give the password can neither sign in with a code nor use up its attempts."""
    browser.switch_on()
    browser.get("/security")
    browser.send("sign-out")
    for code in [browser.wrong()] * 9 + [browser.code()]:
        browser.send("sign-in", "/sign-in/code", code=code)
        assert browser.page.request.path == "/sign-in"
    assert app.extensions["site"].enroller.status("user-1").retry_at is None
    assert browser.get("/security").request.path == "/sign-in"


@pytest.mark.requirement("R-73")
def test_password_waits_ten_minutes_for_its_code(browser: Browser, clock: FrozenClock) -> None:
    """A browser that was left after the password does not stay half signed in."""
    browser.switch_on()
    browser.get("/security")
    browser.send("sign-out")
    browser.sign_in()
    clock.advance(599)
    assert browser.get("/sign-in/code").status_code == 200
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
    answers = [browser.sign_in("nobody", PASSWORD), browser.sign_in("sara", "nope")]
    assert [answer.status_code for answer in answers] == [401, 401]
    one, other = (re.sub(r'name="csrf_token" value="[^"]+"', "", answer.text) for answer in answers)
    assert one == other


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
    assert key not in caplog.text
    assert codes[0] not in caplog.text
    assert codes[0].replace("-", "") not in caplog.text


@pytest.mark.requirement("R-96")
def test_mails_are_in_the_owners_language(
    app: Any, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """That of the first sign-in, then the chosen one: whatever language the help desk reads."""
    caplog.set_level("INFO")
    browser.client.set_cookie("language", "fa")
    browser.switch_on()
    browser.client.set_cookie("language", "en")
    browser.get("/security")
    browser.send("rename", new_name="phone")
    desk = Browser(app.test_client(), browser.clock)
    desk.sign_in("dara", "open sesame")
    desk.get("/help-desk")
    desk.send("desk", username="sara", reason="passport")
    persian = mails_in(caplog)
    browser.get("/security")
    browser.send("language", language="en")
    browser.send("rename", new_name="slate")
    assert len(persian) == 6
    assert all(re.search("[آ-ی]", mail) for mail in persian)
    english = mails_in(caplog)[6:]
    assert len(english) == 1
    assert "has a new name" in english[0]


def mails_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.name.endswith("outbox")]


@pytest.mark.requirement("R-65")
@pytest.mark.regression_of("B-25")
def test_change_and_notice_are_one_transaction(app: Any, browser: Browser) -> None:
    """Where the notice cannot be written, nothing is switched off, and the code stays spent."""
    browser.switch_on()
    site: Site = app.extensions["site"]
    code = browser.code()
    browser.get("/security")
    with site.database.sessions.begin() as session:
        session.execute(sa.text("ALTER TABLE notices RENAME TO elsewhere"))
    assert browser.send("disable", proof=code).status_code == 500
    with site.database.sessions.begin() as session:
        session.execute(sa.text("ALTER TABLE elsewhere RENAME TO notices"))
    browser.get("/security")
    assert browser.state == "confirmed"
    browser.send("disable", proof=code)
    assert browser.problem == "code_reused"


# --- the setup page ---


@pytest.mark.requirement("R-44")
@pytest.mark.regression_of("B-10")
def test_reload_and_wrong_code_keep_the_key(app: Any, browser: Browser) -> None:
    """The page shows the same key as often as it is asked for, and writes nothing by that."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    browser.scan()
    key, store = browser.key, app.extensions["site"].database.own_store()
    before = store.load("user-1")
    for _ in range(3):
        browser.get("/security/setup")
        assert browser.key == key
    assert store.load("user-1") == before
    page = browser.send("confirm", code=browser.wrong(), backup_acknowledged="yes")
    assert (page.status_code, browser.problem, browser.key) == (403, "wrong_code", key)
    browser.confirm()
    assert browser.name == "on"


@pytest.mark.requirement("R-53")
def test_second_tab_makes_the_first_ones_confirm_say_so(browser: Browser) -> None:
    """The code of an older page confirms nothing, and the page leads to the newer setup."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    browser.scan()
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


@pytest.mark.requirement("R-54")
def test_backup_is_acknowledged_before_the_code_counts(browser: Browser) -> None:
    """Without the tick the right code confirms nothing and is still good."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    browser.scan()
    code = browser.code()
    page = browser.send("confirm", code=code)
    assert (page.status_code, browser.problem) == (409, "backup_required")
    browser.send("confirm", code=code, backup_acknowledged="yes")
    assert browser.name == "on"


@pytest.mark.requirement("R-84")
def test_reload_of_the_codes_shows_them_no_more(browser: Browser) -> None:
    """Sent again, the confirm says that it is on, and offers new codes."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    browser.scan()
    form = browser.forms
    browser.confirm()
    browser.forms = form
    page = browser.confirm()
    assert (page.status_code, browser.state, browser.problem) == (409, "confirmed", "done")
    assert not browser.codes


@pytest.mark.requirement("R-39")
def test_code_is_read_as_people_type_it(browser: Browser) -> None:
    """One field without a limit takes Persian digits with a space between."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    browser.scan()
    field = browser.forms.attributes["code"]
    assert (field["inputmode"], field["autocomplete"]) == ("numeric", "one-time-code")
    assert not {"maxlength", "pattern"} & set(field)
    code = browser.code().translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    browser.confirm(code=f" {code[:3]} {code[3:]}")
    assert browser.name == "on"


def test_clock_that_is_off_is_named(browser: Browser) -> None:
    """A code of two minutes ago is answered with what to do about the phone's clock."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    browser.scan()
    browser.send("confirm", code=browser.phone.code(-4), backup_acknowledged="yes")
    assert browser.problem == "clock_skew"
    assert "2 minutes behind" in browser.page.text


def test_copy_of_the_key_is_compared(browser: Browser) -> None:
    """The page names the group that differs, and knows a right copy."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    key = browser.key
    wrong = key[:9] + ("A" if key[9] != "A" else "B") + key[10:]
    browser.send("check", copy=wrong)
    assert browser.forms.attributes["problem"]["data-groups"] == "3"
    browser.send("check", copy=key.lower())
    assert browser.notice == "copy_matches"
    assert browser.send("check", copy="").status_code == 403
    assert browser.problem == "malformed_code"


def test_cancelled_setup_is_gone(browser: Browser) -> None:
    """Cancelling leads back to off, and the page that was left open says that nothing is there."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    browser.scan()
    form = browser.forms
    browser.send("cancel")
    assert (browser.state, browser.notice) == ("disabled", "cancelled")
    browser.forms = form
    assert (browser.confirm().status_code, browser.problem) == (409, "not_pending")


def test_expired_setup_says_so(browser: Browser, clock: FrozenClock) -> None:
    """After its time the page is a refusal that leads to a new beginning."""
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    clock.advance(900)
    assert browser.get("/security/setup").status_code == 409
    assert (browser.problem, browser.state) == ("setup_expired", "disabled")


# --- refusals and ways back ---


def test_wait_is_told_with_its_end(browser: Browser) -> None:
    """The fifth wrong code is answered with a wait, the sixth is not looked at."""
    browser.switch_on()
    browser.get("/security")
    browser.send("sign-out")
    browser.sign_in()
    wrong = browser.wrong()
    for _ in range(5):
        assert browser.send("code-form", code=wrong).status_code == 403
    assert browser.send("code-form", code=browser.phone.code()).status_code == 429
    assert browser.problem == "too_many_attempts"
    assert "30 seconds" in browser.page.text


def test_waiting_account_shows_the_time_left(app: Any, browser: Browser) -> None:
    """Who is signed in while a stranger guesses sees the wait, and how long it lasts."""
    browser.switch_on()
    browser.clock.advance(60)
    for _ in range(5):
        with pytest.raises(errors.WrongCodeError):
            app.extensions["site"].enroller.verify("user-1", browser.wrong())
    browser.get("/security")
    assert browser.state == "waiting"
    assert 'data-seconds="30"' in browser.page.text


def lock(app: Any, clock: FrozenClock) -> None:
    """Guess until codes are locked."""
    enroller = app.extensions["site"].enroller
    while not enroller.status("user-1").locked:
        clock.advance(3600)
        with contextlib.suppress(errors.WrongCodeError):
            enroller.verify("user-1", "000000")
    clock.advance(3600)


def test_lock_opens_with_a_recovery_code(app: Any, browser: Browser, clock: FrozenClock) -> None:
    """A sign-in by recovery code on a locked account leads at once to the setup that ends it."""
    codes = browser.switch_on()
    lock(app, clock)
    browser.get("/security")
    assert browser.state == "locked"
    browser.send("sign-out")
    browser.sign_in()
    browser.send("code-form", code=browser.phone.code())
    assert (browser.page.status_code, browser.problem) == (403, "locked")
    browser.send("recovery-form", code=codes[0])
    assert (browser.name, browser.notice) == ("setup", "locked")
    browser.scan()
    browser.confirm()
    browser.get("/security")
    assert browser.state == "confirmed"


def test_last_recovery_code_leads_to_a_new_phone(browser: Browser) -> None:
    """Who has spent the last one sets a phone up at once, since the next sign-in needs it."""
    codes = browser.switch_on()
    for code in codes:
        browser.get("/security")
        browser.send("sign-out")
        browser.sign_in()
        browser.send("code-form", code=code)
    assert (browser.name, browser.notice) == ("setup", "last_recovery_code")


def test_sign_in_by_recovery_code_opens_a_setup_for_a_minute(
    browser: Browser, clock: FrozenClock
) -> None:
    """Later the page asks for a proof."""
    codes = browser.switch_on()
    browser.get("/security")
    browser.send("sign-out")
    browser.sign_in()
    browser.send("recovery-form", code=codes[0])
    clock.advance(61)
    assert browser.send("lost-phone").status_code == 403
    assert (browser.name, browser.problem) == ("security", "proof_required")


def test_reused_code_is_told_in_the_form_that_was_sent(browser: Browser) -> None:
    """A code opens one change; the second form that gets it says to wait for the next one."""
    browser.switch_on()
    browser.get("/security")
    code = browser.code()
    browser.send("change", proof=code)
    browser.get("/security")
    assert browser.send("disable", proof=code).status_code == 403
    assert browser.problem == "code_reused"
    form = browser.page.text.split('<form id="disable"')[1].split("</form>")[0]
    assert 'id="problem"' in form


def test_recovery_code_makes_no_recovery_codes(browser: Browser) -> None:
    """It is refused, and not spent."""
    codes = browser.switch_on()
    browser.get("/security")
    assert browser.send("renew", proof=codes[0]).status_code == 403
    assert 'data-count="10"' in browser.page.text


@pytest.mark.parametrize("name", [" ", "x" * 65, "a\u202eb"])
def test_impossible_name_is_refused_on_the_page(browser: Browser, name: str) -> None:
    """A name that no authenticator can have is a sentence, and no failure of the app."""
    browser.switch_on()
    browser.get("/security")
    page = browser.send("add", authenticator=name, proof=browser.code())
    assert (page.status_code, browser.problem) == (400, "name")
    page = browser.send("rename", new_name=name)
    assert (page.status_code, browser.problem) == (400, "name")


# --- help desk ---


def test_help_desk_is_for_its_members(browser: Browser) -> None:
    """Others get neither the page nor the acts."""
    browser.sign_in()
    assert browser.get("/help-desk").status_code == 403
    browser.get("/security")
    fields = {"username": "navid", "reason": "I say so"}
    for act in ("recovery-codes", "disable"):
        answer = browser.send("begin", f"/help-desk/{act}", **fields)
        assert (answer.status_code, browser.problem) == (403, "forbidden")
        browser.get("/security")


def test_help_desk_acts_by_its_word(app: Any, browser: Browser) -> None:
    """New codes, then off: both with who and why, and no key on any page."""
    browser.switch_on()
    key = browser.phone._scanned.secret.base32
    desk = Browser(app.test_client(), browser.clock)
    desk.sign_in("dara", "open sesame")
    desk.get("/help-desk")
    assert desk.send("desk", username="sara", reason=" ").status_code == 400
    assert desk.problem == "reason"
    assert desk.send("desk", username="nobody", reason="passport").status_code == 404
    assert desk.problem == "unknown_user"
    desk.send("desk", username="sara", reason="passport")
    assert (desk.name, len(desk.codes)) == ("codes", 10)
    assert key not in desk.page.text
    desk.get("/help-desk")
    desk.send("desk", "/help-desk/disable", username="sara", reason="lost it all")
    assert desk.notice == "desk_off"
    desk.send("desk", username="sara", reason="again")
    assert (desk.page.status_code, desk.problem) == (409, "not_enrolled")
    browser.get("/security")
    assert browser.state == "disabled"
    told = app.extensions["site"].database.notices("user-1")
    vouched = [event for event in told if isinstance(event, events.OverrideUsed)]
    assert [(event.actor, event.reason) for event in vouched] == [
        ("help desk: dara", "lost it all"),
        ("help desk: dara", "passport"),
    ]


# --- languages ---


def test_language_is_the_browsers_until_one_is_chosen(browser: Browser) -> None:
    """Accept-Language decides, then the form; the text and the direction follow."""
    persian = browser.client.get("/sign-in", headers={"Accept-Language": "fa-IR,fa;q=0.9,en;q=0.1"})
    assert '<html lang="fa" dir="rtl">' in persian.text
    browser.get("/sign-in")
    assert '<html lang="en" dir="ltr">' in browser.page.text
    browser.send("language", language="fa")
    assert browser.page.request.path == "/sign-in"
    assert "گذرواژه" in browser.page.text


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil", ""])
def test_language_form_leads_nowhere_else(browser: Browser, path: str) -> None:
    """A link made by somebody else cannot send people away from the site."""
    browser.get("/sign-in")
    answer = browser.client.post(
        "/language", data={**browser.forms.hidden["language"], "next": path, "language": "fa"}
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


@pytest.mark.requirement("R-86")
@pytest.mark.requirement("R-87")
def test_persian_pages_isolate_keys_and_codes(browser: Browser) -> None:
    """Key, words and codes are ASCII, and left to right in the right-to-left page."""
    browser.get("/sign-in")
    browser.send("language", language="fa")
    browser.sign_in()
    browser.send("begin", password=PASSWORD)
    assert 'dir="rtl"' in browser.page.text
    assert browser.forms.attributes["key"]["dir"] == "ltr"
    assert browser.key.isascii()
    browser.scan()
    browser.confirm()
    assert len(browser.codes) == 10
    assert all(code.isascii() for code in browser.codes)
    assert browser.page.text.count('<li><bdi dir="ltr"><code>') == 10
    browser.get("/security")
    assert "۱۰ کد باقی مانده است." in browser.page.text
