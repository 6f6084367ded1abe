"""The set-up page as people use it: they reload, go back, mistype, open tabs, paste, and copy."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import Page

from helpers.web_browser import Phone, Visitor
from otp_enroll.display.setup import CODE_FIELD

PERSIAN: Final = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
RIGHT_TO_LEFT_MARK, ISOLATE, POP_ISOLATE = "\u200f", "\u2067", "\u2069"


@pytest.fixture
def phone(visitor: Visitor) -> Phone:
    """The visitor's phone, which scanned a setup that is not confirmed."""
    visitor.sign_in()
    visitor.begin()
    return visitor.scan()


@pytest.mark.requirement("R-44")
def test_nothing_but_begin_changes_the_key(visitor: Visitor, phone: Phone) -> None:
    """A reload, the way back, a wrong and a malformed code all show the key that was scanned."""
    page = visitor.page
    page.reload()
    assert visitor.scan().uri == phone.uri
    visitor.go("/security")
    page.go_back()
    assert visitor.scan().uri == phone.uri
    for wrong in (phone.wrong_code(), "12"):
        visitor.send("#confirm", code=wrong, backup_acknowledged=True)
        assert visitor.problem in {"wrong_code", "malformed_code"}
        assert visitor.scan().uri == phone.uri
    visitor.confirm(phone)
    assert visitor.where == "on"


@pytest.mark.requirement("R-44")
def test_reload_of_a_refusal_costs_an_attempt_and_not_the_key(
    visitor: Visitor, phone: Phone
) -> None:
    """Sending a wrong code again by a reload keeps the key, and the right code still counts."""
    visitor.send("#confirm", code=phone.wrong_code(), backup_acknowledged=True)
    visitor.page.reload()
    assert visitor.problem == "wrong_code"
    assert visitor.scan().uri == phone.uri
    visitor.confirm(phone)
    assert visitor.where == "on"


@pytest.mark.requirement("R-53")
def test_second_tab_that_begins_anew_is_noticed_in_the_first(
    visitor: Visitor, phone: Phone
) -> None:
    """The first tab's confirm says so, and leads to the setup that the second tab shows."""
    second = visitor.tab()
    second.go("/security")
    second.begin()
    newer = second.scan()
    assert newer.key != phone.key
    visitor.confirm(phone)
    assert visitor.where == "superseded"
    visitor.page.locator("main a[href='/security/setup']").click()
    assert visitor.scan().uri == newer.uri
    visitor.confirm(newer)
    assert visitor.where == "on"


@pytest.mark.requirement("R-33")
@pytest.mark.requirement("R-34")
@pytest.mark.requirement("R-39")
def test_code_pasted_in_persian_with_direction_marks_is_accepted(
    visitor: Visitor, phone: Phone
) -> None:
    """What a messenger puts on the clipboard, "۲۸۷ ۰۸۲" between invisible marks, confirms."""
    code = phone.code().translate(PERSIAN)
    pasted = f"{RIGHT_TO_LEFT_MARK}{ISOLATE}{code[:3]} {code[3:]}{POP_ISOLATE}"
    page = visitor.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", pasted)
    form = visitor.form("#confirm")
    form.locator("[name=backup_acknowledged]").check()
    form.locator("[name=code]").focus()
    page.keyboard.press("Control+V")
    assert form.locator("[name=code]").input_value() == pasted
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-page=on]")


@pytest.mark.requirement("R-26")
def test_copy_button_copies_the_key(visitor: Visitor, phone: Phone) -> None:
    """One press, and the clipboard holds the key, bare: no spaces, no direction marks."""
    page = visitor.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator("#copy")
    label = button.inner_text()
    button.click()
    page.wait_for_function(
        "label => document.getElementById('copy').textContent !== label", arg=label
    )
    assert button.inner_text() in {"Copied", "کپی شد"}
    assert page.evaluate("navigator.clipboard.readText()") == phone.key


@pytest.mark.requirement("R-12")
def test_copy_on_paper_is_compared_in_place(visitor: Visitor, phone: Phone) -> None:
    """A wrong group is named, a right copy is called right, and the key stays."""
    wrong = ("B" if phone.key[9] == "A" else "A").join((phone.key[:9], phone.key[10:]))
    visitor.send("#check", copy=wrong)
    assert visitor.problem == "copy_differs"
    assert visitor.page.locator("#problem").get_attribute("data-groups") == "3"
    visitor.send("#check", copy=visitor.key.lower())
    assert visitor.page.locator("#notice").get_attribute("data-code") == "copy_matches"
    assert visitor.scan().uri == phone.uri


@pytest.mark.requirement("R-39")
def test_every_field_for_a_code_takes_what_people_type(visitor: Visitor, phone: Phone) -> None:
    """It has the attributes that the library names, and nothing that shortens what is pasted."""
    has_the_hints(visitor, "#confirm [name=code]")
    visitor.confirm(phone)
    visitor.go("/security")
    for form in ("#change", "#add", "#renew", "#disable"):
        has_the_hints(visitor, f"{form} [name=proof]")
    visitor.sign_in_anew()
    has_the_hints(visitor, "#code-form [name=code]")


def has_the_hints(visitor: Visitor, selector: str) -> None:
    names = [*CODE_FIELD, "maxlength", "pattern"]
    read = "(field, names) => names.map(name => field.getAttribute(name))"
    found = dict(zip(names, visitor.page.locator(selector).evaluate(read, names), strict=True))
    longest, pattern = found.pop("maxlength"), found.pop("pattern")
    assert found == dict(CODE_FIELD), selector
    assert longest is None or int(longest) >= 16, selector
    assert pattern is None, selector


@pytest.mark.requirement("R-86")
@pytest.mark.requirement("R-87")
@pytest.mark.parametrize("width", [320, 1280])
def test_key_reads_from_left_to_right_in_any_language(
    visitor: Visitor, phone: Phone, width: int
) -> None:
    """Its groups stand in their order on the screen, also where they are digits alone."""
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 900})
    assert visitor.key.replace(" ", "") == phone.key
    assert places_of_groups(page) == sorted(places_of_groups(page))
    # Digits are neutral: without isolation they take the direction of a Persian page. Such keys
    # are one in a thousand, so the page is given one.
    page.locator("#key span").evaluate_all("all => all.forEach(one => one.textContent = '2345')")
    assert places_of_groups(page) == sorted(places_of_groups(page))


def places_of_groups(page: Page) -> list[tuple[int, float]]:
    """Return where each group of the key stands: on which line, and how far from the left."""
    boxes = page.locator("#key span").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => [box.top, box.left])"
    )
    places = [(round(top), left) for top, left in boxes]
    assert len(set(places)) == len(places)
    return places
