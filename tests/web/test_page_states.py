"""What the example pages say in each state, rendered without an app: true there, and said once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pages import pages
from pages.pages import Account, Visit

from helpers.web_forms import Forms
from otp_enroll import AttemptBudget, Confirmation, Enroller, Override, Policy, Unencrypted, errors
from otp_enroll.events import Event
from otp_enroll.messages import text
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

USER = "user-1"
VOUCHED = Override(actor="help desk", reason="passport seen")
POLICY = Policy(backup="acknowledged", recovery_codes=4, budget=AttemptBudget(lock_after=10))
LANGUAGES = sorted(pages.LANGUAGES)

each_language = pytest.mark.parametrize("language", LANGUAGES)


class Life:
    """An account, and what its owner would see of it.

    Attributes:
        told: What happened, the newest first.
    """

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.told: list[Event] = []
        self.enroller = Enroller(
            MemoryStore(),
            issuer=pages.ISSUER,
            cipher=Unencrypted(),
            policy=POLICY,
            clock=self.clock,
            on_event=lambda event: self.told.insert(0, event),
        )

    def visit(self, language: str = "en") -> Visit:
        return Visit(
            language=language,
            now=self.clock(),
            csrf=("token", "x"),
            account=Account(USER, "sara", "sara@example.com"),
            policy=POLICY,
        )

    def set_up(self, authenticator: str | None = None) -> Confirmation:
        setup = self.begin(authenticator)
        code = FakeAuthenticator(setup.uri, self.clock).code()
        return self.enroller.confirm(USER, code, setup_id=setup.id, backup_acknowledged=True)

    def begin(self, authenticator: str | None = None) -> Any:
        proof = VOUCHED if self.enroller.status(USER).required else None
        return self.enroller.begin(
            USER, account_name="sara@example.com", authenticator=authenticator, proof=proof
        )

    def lock(self) -> None:
        for _ in range(10):
            self.clock.advance(3600)
            with pytest.raises(errors.WrongCodeError):
                self.enroller.verify(USER, "000000")

    def security(self, language: str = "en", **facts: Any) -> str:
        status = self.enroller.status(USER)
        return self.visit(language).security(status, happened=self.told, **facts).html


@pytest.fixture
def life() -> Life:
    return Life()


def texts(html: str) -> str:
    """Return what a reader sees, in single spaces."""
    body = html.partition("<body")[2]
    return " ".join(re.sub("<[^>]*>", " ", body).split())


def focused(html: str) -> list[str]:
    """Name the fields that say that they are wrong and have the cursor."""
    found = Forms(html).attributes.values()
    wrong = [one for one in found if one.get("aria-invalid") == "true"]
    assert all("autofocus" in one for one in wrong)
    assert all(one["aria-describedby"].split()[0] == "problem" for one in wrong)
    return [one["id"] for one in wrong]


@pytest.mark.requirement("R-85")
@each_language
def test_every_paper_that_is_good_is_numbered(life: Life, language: str) -> None:
    """The page shows the numbers of both sheets, so that "cut it up once it is not shown" holds."""
    codes = life.set_up().recovery_codes
    assert codes is not None
    key = life.enroller.status(USER).authenticators[0].sheet_number

    for number in (key, codes.sheet().number):
        assert f'<bdi dir="ltr"><code>{number}</code></bdi>' in life.security(language)
    life.enroller.regenerate_recovery_codes(USER, proof=VOUCHED)
    assert codes.sheet().number not in life.security(language)
    assert key in life.security(language)


def test_spent_paper_is_not_numbered(life: Life) -> None:
    """With its last code a paper is void, though no new set was made."""
    codes = life.set_up().recovery_codes
    assert codes is not None
    for code in codes:
        life.enroller.verify(USER, code)

    assert codes.sheet().number not in life.security()


@pytest.mark.requirement("R-96")
@pytest.mark.parametrize(("language", "not_you"), [("en", "was not you"), ("fa", "کار شما نبوده")])
def test_what_to_do_about_a_stranger_is_said_once(life: Life, language: str, not_you: str) -> None:
    """However much happened, it stands once above the list."""
    life.set_up()
    life.set_up("tablet")
    assert len(life.told) >= 5

    assert texts(life.security(language)).count(not_you) == 1


@each_language
def test_locked_sign_in_asks_for_a_recovery_code_alone(life: Life, language: str) -> None:
    """No code of an app counts, so no form asks for one; the cursor is where one has to type."""
    page = life.visit(language).code(refusal=errors.LockedError(3), form="code-form").html

    forms = Forms(page)
    assert "code-form" not in forms.actions
    assert forms.attributes["problem"]["data-code"] == "locked"
    assert focused(page) == ["recovery-code"]


def test_locked_sign_in_is_told_once(life: Life) -> None:
    """So it is where the refused code was typed into the form for recovery codes."""
    page = life.visit().code(refusal=errors.LockedError(3), form="recovery-form").html

    assert page.count('id="problem"') == 1
    assert focused(page) == ["recovery-code"]


@pytest.mark.requirement("R-68")
def test_locked_account_is_told_what_opening_the_lock_removes(life: Life) -> None:
    """Who has several authenticators is told before that one will be left, and who has one, not."""
    removal = "Any other authenticator is removed then."
    life.set_up()
    life.lock()
    assert removal not in texts(life.security())
    setup = life.begin()
    assert removal in texts(life.visit().setup(setup, notice="locked").html)

    several = Life()
    several.set_up()
    several.set_up("tablet")
    several.lock()
    assert removal in texts(several.security())


@pytest.mark.parametrize("spent", [2, 3, 4])
def test_locked_account_is_not_sent_to_make_codes(life: Life, spent: int) -> None:
    """Few are left, and new ones take a code of the app: the page does not advise them."""
    codes = life.set_up().recovery_codes
    assert codes is not None
    for code in codes[:spent]:
        life.enroller.verify(USER, code)
    assert "Make new ones" in texts(life.security())

    life.lock()

    assert "Make new ones" not in texts(life.security())
    assert f'data-count="{4 - spent}"' in life.security()


@pytest.mark.parametrize(("language", "listed"), [("en", "one, two."), ("fa", "one، two.")])
def test_removed_authenticators_are_listed_as_the_language_does(
    life: Life, language: str, listed: str
) -> None:
    """A Persian list has the Persian comma."""
    life.set_up()
    life.set_up("one")
    life.set_up("two")
    life.lock()

    page = life.visit(language).on(life.set_up("default")).html

    assert listed in re.sub("</?bdi>", "", page)


def test_setup_says_what_becomes_of_the_others(life: Life) -> None:
    """The first switches on, a further one comes beside what works, a new phone replaces it."""
    first = texts(life.visit().setup(life.begin()).html)
    life.set_up()
    further = texts(life.visit().setup(life.begin("tablet")).html)
    changed = texts(life.visit().setup(life.begin()).html)

    assert "Switch it on" in first
    assert "It will be called tablet . What you have set up before keeps working." in further
    assert "Switch it on" not in further + changed
    assert "Your old phone works until" in changed
    assert "Your old phone" not in first + further


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_desk_is_told_in_words_of_its_own(life: Life, language: str) -> None:
    """Where an account is off already, the sentence does not speak to its owner."""
    refusal = errors.NotEnrolledError()

    page = life.visit(language).help_desk(refusal=refusal, username="sara", reason="x")

    assert page.status == 409
    assert text(refusal, locale=language) not in page.html
    assert focused(page.html) == ["desk-username"]


def test_field_that_is_wrong_says_so(life: Life) -> None:
    """The mark and the cursor are on the field that the refusal is about, and on no other."""
    setup = life.begin()
    visit = life.visit()
    assert focused(visit.setup(setup, refusal=errors.BackupRequiredError("acknowledged")).html) == [
        "backup"
    ]
    assert focused(visit.setup(setup, refusal=errors.WrongCodeError("code", 3)).html) == ["code"]
    assert focused(life.security(refusal="password", form="begin")) == ["password"]
    assert focused(visit.help_desk(refusal="reason").html) == ["reason"]
    assert focused(visit.help_desk(refusal="unknown_user").html) == ["desk-username"]

    life.set_up()
    assert focused(life.security(refusal="name", form="rename")) == ["new-name"]
    assert focused(life.security(refusal="name", form="add")) == ["add-authenticator"]
    wrong = errors.WrongCodeError("code", 3)
    assert focused(life.security(refusal=wrong, form="add")) == ["add-proof"]
