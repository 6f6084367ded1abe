"""Every page in every state: for axe, for the keyboard, for a narrow screen, in both schemes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it has no types
from playwright.sync_api import Browser, Page

from helpers.web_browser import HELP_DESK, PASSWORD, Phone, Visitor, visiting
from helpers.web_server import RECOVERY_CODES, WebApp

RUN_AXE: Final = {
    # target-size (WCAG 2.2, 2.5.8) is the one rule of level AA that axe leaves off.
    "light": "axe.run({rules: {'target-size': {enabled: true}}})",
    # The other scheme changes colours and nothing else.
    "dark": "axe.run({runOnly: ['color-contrast', 'link-in-text-block']})",
}

CONTROLS: Final = """
() => {
  const looks = (one) => {
    const style = getComputedStyle(one);
    const outline = style.outlineStyle === 'none' ? '' : style.outline;
    return [outline, style.boxShadow];
  };
  document.activeElement.blur();
  const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
    .filter((one) => one.type !== 'hidden' && !one.disabled && one.checkVisibility());
  window.resting = all.map(looks);
  window.focused = () => {
    const at = all.indexOf(document.activeElement);
    if (at < 0) return null;
    const now = looks(all[at]);
    const shows = now.some((look, i) => look && look !== 'none' && look !== resting[at][i]);
    const box = all[at].getBoundingClientRect();
    return {at, shows, seen: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0};
  };
  return all.map((one) => one.outerHTML.slice(0, 120));
}
"""


@dataclass
class Sight:
    """What was seen of one page in one state."""

    name: str
    where: str
    state: str
    axe: list[str] = field(default_factory=list)
    keyboard: list[str] = field(default_factory=list)
    sideways: int = 0
    tongue: tuple[str | None, str | None] = (None, None)


def look_at(name: str, visitor: Visitor) -> Sight:
    page = visitor.page
    sight = Sight(name, visitor.where, visitor.state)
    sight.tongue = (
        page.locator("html").get_attribute("lang"),
        page.locator("html").get_attribute("dir"),
    )
    sight.keyboard = faults_by_keyboard(page)
    page.evaluate(Axe().axe_script)
    sight.axe = [*faults_by_axe(page, "light"), *faults_by_axe(page, "dark")]
    usual = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    root = "document.documentElement"
    sight.sideways = page.evaluate(f"{root}.scrollWidth - {root}.clientWidth")
    assert usual is not None
    page.set_viewport_size(usual)
    page.emulate_media(color_scheme="light")
    return sight


def faults_by_axe(page: Page, scheme: Literal["light", "dark"]) -> list[str]:
    page.emulate_media(color_scheme=scheme)
    found: dict[str, Any] = page.evaluate(RUN_AXE[scheme])
    return [
        f"{scheme}: {fault['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


def faults_by_keyboard(page: Page) -> list[str]:
    """Press Tab through the page, and tell what is not reached, not in order, or not to be seen."""
    controls = page.evaluate(CONTROLS)
    faults = [f"no name on a {role}" for role in nameless(page)]
    order = []
    for _ in range(len(controls) + 2):  # once around, past the end of the page
        page.keyboard.press("Tab")
        stop = page.evaluate("focused()")
        if stop is None or stop["at"] in order:
            continue
        order.append(stop["at"])
        if not (stop["shows"] and stop["seen"]):
            faults.append(f"no focus to be seen on {controls[stop['at']]}")
    first = order.index(0) if 0 in order else 0  # Tab begins at a field with autofocus
    if order[first:] + order[:first] != list(range(len(controls))):
        faults.append(f"Tab goes {order} through {controls}")
    return faults


def nameless(page: Page) -> Iterator[str]:
    """Find controls of which a screen reader says no more than their kind."""
    session = page.context.new_cdp_session(page)
    for node in session.send("Accessibility.getFullAXTree")["nodes"]:
        facts = {fact["name"]: fact["value"].get("value") for fact in node.get("properties", [])}
        role = node.get("role", {}).get("value")
        is_control = facts.get("focusable") and role not in {"RootWebArea", "main"}
        if is_control and not node.get("name", {}).get("value"):
            yield str(role)
    session.detach()


def tour(visitor: Visitor, member: Visitor) -> Iterator[tuple[str, Visitor]]:
    """Lead two persons through every page and state; each name is what is on the screen then."""
    for chapter in (before_the_setup, of_the_setup):
        yield from ((name, visitor) for name in chapter(visitor))
    phone = visitor.scan()
    yield "sheet", visitor.sheet()
    visitor.confirm(phone)
    yield "recovery codes", visitor
    visitor.app.advance()
    for story in (of_an_account_that_is_on, of_recovery, of_too_many_wrong_codes):
        yield from ((name, visitor) for name in story(visitor, phone))
    yield from ((name, member) for name in at_the_help_desk(member, visitor.name))


def before_the_setup(visitor: Visitor) -> Iterator[str]:
    visitor.go("/sign-in")
    yield "sign-in"
    visitor.send("#sign-in", username=visitor.name, password="wrong")
    yield "sign-in, refused"
    visitor.go("/no-such-page")
    yield "no page"


def of_the_setup(visitor: Visitor) -> Iterator[str]:
    """Begin, refused and done; a copy that differs, a second tab, a wrong code."""
    visitor.sign_in()
    yield "off"
    visitor.send("#begin", password="wrong")
    yield "off, refused"
    visitor.begin()
    yield "set-up"
    visitor.send("#check", copy=visitor.key[:-4] + "ABCD")
    yield "set-up, copy checked"
    second = visitor.tab()
    second.go("/security")
    second.begin()
    second.page.close()
    visitor.send("#confirm", code="123456", backup_acknowledged=True)
    yield "superseded"
    visitor.go("/security")
    yield "off, a setup under way"
    visitor.go("/security/setup")
    visitor.send("#confirm", code="123456", backup_acknowledged=False)
    yield "set-up, backup missing"
    visitor.send("#confirm", code="12", backup_acknowledged=True)
    yield "set-up, refused"


def of_an_account_that_is_on(visitor: Visitor, phone: Phone) -> Iterator[str]:
    """Its page, a wrong proof, a second authenticator, and a change of the first."""
    visitor.go("/security")
    yield "on"
    visitor.send("#disable", proof=phone.wrong_code())
    yield "on, refused"
    visitor.go("/security")
    visitor.send("#add", authenticator="tablet", proof=phone.code())
    yield "set-up of a further phone"
    visitor.confirm(visitor.scan())
    yield "confirmed, old codes kept"
    visitor.page.reload()
    yield "on, and the confirm sent again"
    visitor.app.advance()
    visitor.go("/security")
    visitor.send("#change", proof=phone.code())
    yield "set-up of a new phone"
    visitor.app.advance()
    visitor.send("#cancel")
    yield "on, with a notice"


def of_recovery(visitor: Visitor, phone: Phone) -> Iterator[str]:
    """New codes, the code page, and what follows a sign-in by recovery code."""
    visitor.send("#renew", proof=phone.code())
    yield "new recovery codes"
    codes = visitor.recovery_codes()
    visitor.sign_in_anew()
    yield "code"
    visitor.send("#code-form", code="12")
    yield "code, refused"
    visitor.sign_in(codes[0])
    yield "recovered"


def of_too_many_wrong_codes(visitor: Visitor, phone: Phone) -> Iterator[str]:
    for seconds in (0, 0, 0, 0, 0, 30, 60, 120, 240, 480):
        if seconds == 30:
            visitor.go("/security")
            yield "waiting"
        visitor.app.advance(seconds)
        visitor.go("/security")
        visitor.send("#renew", proof=phone.wrong_code())
    visitor.go("/security")
    yield "locked"
    visitor.sign_in_anew()
    visitor.send("#code-form", code="123456")
    yield "code, locked"


def at_the_help_desk(member: Visitor, owner: str) -> Iterator[str]:
    member.sign_in()
    member.go("/help-desk")
    yield "help desk"
    member.send("#desk", "#desk-recovery-codes", username=owner, reason="")
    yield "help desk, refused"
    member.send("#desk", "#desk-recovery-codes", username=owner, reason="passport seen")
    yield "help desk, codes"
    for notice in ("help desk, done", "help desk, done before"):
        member.go("/help-desk")
        member.send("#desk", "#desk-disable", username=owner, reason="passport seen")
        yield notice


@pytest.fixture(scope="package")
def sights(browser: Browser, app: WebApp, language: str) -> list[Sight]:
    """What one tour saw."""
    # Nothing may be caught half way between two colours.
    options: dict[str, Any] = {"language": language, "reduced_motion": "reduce"}
    with (
        visiting(browser, app, name=app.new_account(), **options) as visitor,
        visiting(browser, app, name=HELP_DESK, **options) as member,
    ):
        return [look_at(name, person) for name, person in tour(visitor, member)]


def test_tour_comes_to_every_page_and_state(sights: list[Sight]) -> None:
    """The pages and states below are all that an app has, and each was looked at."""
    assert {(sight.where, sight.state) for sight in sights} == {
        ("sign-in", ""),
        ("refused", ""),
        ("security", "disabled"),
        ("security", "pending"),
        ("setup", "pending"),
        ("", ""),  # the sheet, which the library made
        ("superseded", ""),
        ("on", ""),
        ("security", "confirmed"),
        ("codes", ""),
        ("code", ""),
        ("recovered", ""),
        ("security", "waiting"),
        ("security", "locked"),
        ("help-desk", ""),
    }


@pytest.mark.requirement("R-32")
def test_axe_finds_nothing(sights: list[Sight]) -> None:
    """No rule of axe-core is broken on any page, in either scheme, best practices included."""
    assert [f"{sight.name}: {fault}" for sight in sights for fault in sight.axe] == []


def test_keyboard_reaches_everything_in_order(sights: list[Sight]) -> None:
    """Tab goes through all controls as they stand; each shows its focus and has a name."""
    assert [f"{sight.name}: {fault}" for sight in sights for fault in sight.keyboard] == []


def test_no_page_scrolls_sideways_on_a_narrow_screen(sights: list[Sight]) -> None:
    """At 320 pixels of width everything is within the screen (WCAG 2.2, 1.4.10)."""
    assert [sight.name for sight in sights if sight.sideways] == []


def test_every_page_names_its_language_and_direction(sights: list[Sight], language: str) -> None:
    """A screen reader and the browser are told what they need for Persian and English."""
    expected = {"en": ("en", "ltr"), "fa": ("fa", "rtl")}[language]
    assert {sight.tongue for sight in sights} == {expected}


def test_switch_turns_the_page_to_the_other_language(visitor: Visitor, language: str) -> None:
    """Its button, in the other language, leads back to the page, which is then the other way."""
    other, direction = {"en": ("fa", "rtl"), "fa": ("en", "ltr")}[language]
    visitor.sign_in()
    visitor.begin()
    key = visitor.key
    button = visitor.page.locator("#language button")
    assert button.get_attribute("lang") == other
    visitor.send("#language")
    html = visitor.page.locator("html")
    assert (html.get_attribute("lang"), html.get_attribute("dir")) == (other, direction)
    assert (visitor.where, visitor.key) == ("setup", key)


def test_account_is_set_up_by_keyboard_alone(visitor: Visitor) -> None:
    """Tab, Enter, Space and typing lead from the sign-in to the recovery codes."""
    page = visitor.page
    visitor.go("/sign-in")
    tab_to(page, "#sign-in [name=username]")
    fill_in(page, visitor.name, PASSWORD)
    page.wait_for_selector("body[data-page=security]")
    tab_to(page, "#begin [name=password]")
    fill_in(page, PASSWORD)
    page.wait_for_selector("body[data-page=setup]")
    phone = visitor.scan()
    tab_to(page, "#confirm [name=code]")
    page.keyboard.type(phone.code())
    tab_to(page, "#confirm [name=backup_acknowledged]")
    page.keyboard.press("Space")
    tab_to(page, "#confirm button")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-page=on]")
    assert len(visitor.recovery_codes()) == RECOVERY_CODES


def fill_in(page: Page, *texts: str) -> None:
    """Type into the field that has the focus and those after it, and send."""
    for number, text in enumerate(texts):
        if number:
            page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Enter")


def tab_to(page: Page, selector: str) -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"Tab does not come to {selector}")
