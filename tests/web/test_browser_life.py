"""The whole life of an account in a browser: set up, sign in, change phones, recover, end."""

from __future__ import annotations

import re

import pytest

from helpers.web_browser import HELP_DESK, Phone, Visit, Visitor
from helpers.web_server import RECOVERY_CODES

SECOND = "tablet"


def test_the_whole_life_of_an_account(visitor: Visitor) -> None:
    """One person does all of it with a phone that reads the screen, and each step ends well."""
    first, codes = switched_on(visitor)
    signed_in_again(visitor, first)
    changed = changed_phone(visitor, first)
    second = added_another(visitor, changed)
    fresh = renewed_codes(visitor, second)
    assert not set(fresh) & set(codes)
    last = lost_phone(visitor, fresh[0])
    switched_off(visitor, last)


def switched_on(visitor: Visitor) -> tuple[Phone, list[str]]:
    visitor.sign_in()
    assert (visitor.where, visitor.state) == ("security", "disabled")
    visitor.begin()
    assert (visitor.where, visitor.state) == ("setup", "pending")
    phone = visitor.scan()
    visitor.send("#confirm", code=phone.wrong_code(), backup_acknowledged=True)
    assert (visitor.where, visitor.problem) == ("setup", "wrong_code")
    assert visitor.scan().uri == phone.uri
    visitor.confirm(phone)
    assert visitor.where == "on"
    codes = visitor.recovery_codes()
    assert len(codes) == RECOVERY_CODES
    assert visitor.downloaded() == codes
    visitor.go("/security")
    assert (visitor.where, visitor.state) == ("security", "confirmed")
    assert visitor.page.locator("#recovery-codes").count() == 0
    return phone, codes


def signed_in_again(visitor: Visitor, phone: Phone) -> None:
    visitor.app.advance()
    visitor.send("#sign-out")
    assert visitor.where == "sign-in"
    code = phone.code()
    visitor.sign_in(code)
    assert (visitor.where, visitor.state) == ("security", "confirmed")
    visitor.send("#sign-out")
    visitor.sign_in(code)
    assert (visitor.where, visitor.problem) == ("code", "code_reused")
    visitor.app.advance()
    visitor.send("#code-form", code=phone.code())
    assert visitor.where == "security"
    visitor.app.advance()


def changed_phone(visitor: Visitor, old: Phone) -> Phone:
    visitor.send("#change", proof=old.code())
    assert (visitor.where, visitor.state) == ("setup", "pending")
    phone = visitor.scan()
    assert phone.key != old.key
    visitor.confirm(phone)
    assert visitor.where == "on"
    assert visitor.recovery_codes() == []  # the old paper stays good
    visitor.app.advance()
    visitor.go("/security")
    visitor.send("#renew", proof=old.code())
    assert visitor.problem == "wrong_code"
    return phone


def added_another(visitor: Visitor, first: Phone) -> Phone:
    visitor.go("/security")
    visitor.send("#add", authenticator=SECOND, proof=first.code())
    second = visitor.scan()
    visitor.confirm(second)
    visitor.app.advance()
    visitor.go("/security")
    assert SECOND in visitor.page.locator("main").inner_text()
    visitor.send("#sign-out")
    visitor.sign_in(second.code())
    assert visitor.where == "security"
    visitor.app.advance()
    return second


def renewed_codes(visitor: Visitor, phone: Phone) -> list[str]:
    visitor.send("#renew", proof=phone.code())
    assert visitor.where == "codes"
    codes = visitor.recovery_codes()
    assert visitor.downloaded() == codes
    return codes


def lost_phone(visitor: Visitor, code: str) -> Phone:
    visitor.go("/security")
    visitor.send("#sign-out")
    visitor.sign_in(code)
    assert visitor.where == "recovered"
    visitor.send("#lost-phone")
    assert visitor.where == "setup"
    phone = visitor.scan()
    visitor.confirm(phone)
    assert visitor.where == "on"
    visitor.app.advance()
    return phone


def switched_off(visitor: Visitor, phone: Phone) -> None:
    visitor.go("/security")
    visitor.send("#disable", proof=phone.code())
    assert (visitor.where, visitor.state) == ("security", "disabled")
    assert visitor.page.locator("#notice[role=status]").inner_text().strip()
    visitor.send("#sign-out")
    visitor.sign_in()
    assert (visitor.where, visitor.state) == ("security", "disabled")


def test_last_recovery_code_begins_a_setup_by_itself(visitor: Visitor) -> None:
    """Who signs in with the last recovery code is taken to a new setup, and told why."""
    _, codes = visitor.set_up()
    for code in codes[:-1]:
        visitor.sign_in_anew(code)
        assert visitor.where == "recovered"
        visitor.send("#still-have-it")
        assert visitor.where == "security"
    visitor.sign_in_anew(codes[-1])
    assert (visitor.where, visitor.state) == ("setup", "pending")
    assert visitor.notice
    visitor.confirm(visitor.scan())
    assert visitor.where == "on"
    assert len(visitor.recovery_codes()) == RECOVERY_CODES


@pytest.mark.requirement("R-69")
def test_five_wrong_codes_wait_and_ten_lock(visitor: Visitor) -> None:
    """A wait is told with its length and ends; a recovery code and a new setup open the lock."""
    phone, codes = visitor.set_up()
    visitor.sign_in_anew()
    mistype(visitor, phone, times=5)
    visitor.send("#code-form", code=phone.code())
    assert (visitor.where, visitor.problem) == ("code", "too_many_attempts")
    assert re.search("30|۳۰", visitor.page.locator("#problem").inner_text())
    for seconds in (30, 60, 120, 240, 480):
        visitor.app.advance(seconds)
        visitor.sign_in()
        mistype(visitor, phone, times=1)
    visitor.app.advance(960)
    visitor.sign_in(phone.code())
    assert (visitor.where, visitor.problem) == ("code", "locked")
    visitor.sign_in(codes[0])
    assert (visitor.where, visitor.state) == ("setup", "pending")
    assert visitor.notice
    new = visitor.scan()
    visitor.go("/security")
    assert visitor.state == "locked"
    visitor.go("/security/setup")
    visitor.confirm(new)
    visitor.go("/security")
    assert visitor.state == "confirmed"


def mistype(visitor: Visitor, phone: Phone, *, times: int) -> None:
    for _ in range(times):
        visitor.send("#code-form", code=phone.wrong_code())
        assert visitor.problem == "wrong_code"


@pytest.mark.requirement("R-69")
def test_wait_is_counted_down_on_the_security_page(visitor: Visitor) -> None:
    """Who is signed in sees a clock run down, and the page is usable when the wait is over."""
    phone, _ = visitor.set_up()
    for _ in range(5):
        visitor.go("/security")
        visitor.send("#renew", proof=phone.wrong_code())
        assert visitor.problem == "wrong_code"
    visitor.app.advance(10)
    visitor.go("/security")
    assert visitor.state == "waiting"
    assert visitor.page.locator(".left").first.get_attribute("data-seconds") == "20"
    visitor.page.clock.install()
    visitor.page.reload()
    left = visitor.page.locator(".clock")
    visitor.page.clock.run_for(15_000)
    assert left.inner_text() in {"0:05", "۰:۰۵"}
    visitor.page.clock.run_for(15_000)
    assert left.inner_text() in {"none", "تمام شد"}
    visitor.app.advance(20)
    visitor.go("/security")
    assert visitor.state == "confirmed"
    visitor.send("#renew", proof=phone.code())
    assert visitor.where == "codes"


def test_phone_whose_clock_is_off_is_told_so(visitor: Visitor) -> None:
    """At confirm a code of another time is explained, and the setup goes on."""
    visitor.sign_in()
    visitor.begin()
    phone = visitor.scan()
    visitor.send("#confirm", code=phone.code(-8), backup_acknowledged=True)
    assert (visitor.where, visitor.problem) == ("setup", "clock_skew")
    assert re.search("4|۴", visitor.page.locator("#problem").inner_text())  # minutes
    visitor.confirm(phone)
    assert visitor.where == "on"


def test_setup_that_expires_or_is_given_up_leaves_nothing(visitor: Visitor) -> None:
    """A setup ends by a button and by time; the account is off as before, and can begin anew."""
    visitor.sign_in()
    visitor.begin()
    visitor.send("#cancel")
    assert (visitor.where, visitor.state) == ("security", "disabled")
    assert visitor.notice
    visitor.begin()
    phone = visitor.scan()
    visitor.app.advance(900)
    visitor.send("#confirm", code=phone.code(), backup_acknowledged=True)
    assert visitor.problem == "setup_expired"
    visitor.go("/security")
    assert visitor.state == "disabled"
    visitor.begin()
    assert visitor.scan().key != phone.key


def test_help_desk_lets_an_owner_in_again(visitor: Visitor, visit: Visit) -> None:
    """A member hands out new codes or switches off, with a reason; nobody else sees the page."""
    _, lost = visitor.set_up()
    visitor.go("/help-desk")
    assert visitor.problem == "forbidden"
    member = visit(name=HELP_DESK)
    member.sign_in()
    member.go("/help-desk")
    member.send("#desk", "#desk-recovery-codes", username=visitor.name, reason="")
    assert member.problem == "reason"
    member.send("#desk", "#desk-recovery-codes", username=visitor.name, reason="passport seen")
    assert member.where == "codes"
    codes = member.recovery_codes()
    visitor.sign_out()
    visitor.sign_in(lost[0])
    assert visitor.problem == "wrong_code"
    visitor.sign_in(codes[0])
    assert visitor.where == "recovered"
    member.go("/help-desk")
    member.send("#desk", "#desk-disable", username=visitor.name, reason="passport seen")
    assert (member.where, member.notice != "") == ("help-desk", True)
    visitor.go("/security")
    assert visitor.state == "disabled"
    told = visitor.page.locator(".happened li").evaluate_all(
        "all => all.map(one => one.dataset.code)"
    )
    assert {"override_used", "enrollment_disabled"} <= set(told)
