"""What is left to the app, as the browser sees it: headers, cookies, tokens, renewed sessions."""

from __future__ import annotations

from typing import Any, Final

import pytest

from helpers.web_browser import PASSWORD, Visit, Visitor
from otp_enroll.display import sheet

POLICY: Final = {
    "default-src": {"'none'"},
    "style-src": {"'self'", sheet.STYLE_SOURCE},
    "script-src": {"'self'"},
    "img-src": {"'self'", "data:"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
    "base-uri": {"'none'"},
}
CHANGES: Final = (
    "/sign-in",
    "/sign-in/code",
    "/sign-out",
    "/language",
    "/security/begin",
    "/security/setup/sheet",
    "/security/setup/check",
    "/security/setup/confirm",
    "/security/setup/cancel",
    "/security/recovery-codes",
    "/security/disable",
    "/security/rename",
    "/help-desk/recovery-codes",
    "/help-desk/disable",
)


@pytest.fixture
def language() -> str:
    """None of this depends on the language."""
    return "en"


@pytest.mark.requirement("R-89")
@pytest.mark.requirement("R-98")
def test_every_page_carries_the_headers(visitor: Visitor) -> None:
    """No page may be kept or framed, nor run or fetch what is not the app's own."""
    phone, _ = visitor.set_up()
    visitor.go("/security")
    visitor.send("#change", proof=phone.wrong_code())
    visitor.go("/no-such-page")
    visitor.sign_in_anew(phone.code())
    assert len(visitor.watch.documents) >= 10
    for page in visitor.watch.documents:
        headers = page.headers
        assert "no-store" in headers["cache-control"], page.url
        assert headers["x-content-type-options"] == "nosniff", page.url
        assert headers["referrer-policy"] in {"no-referrer", "same-origin"}, page.url
        rules = [rule.split() for rule in headers["content-security-policy"].split(";")]
        assert {rule[0]: set(rule[1:]) for rule in rules} == POLICY, page.url


@pytest.mark.requirement("R-98")
def test_script_that_gets_into_a_page_does_not_run(visitor: Visitor) -> None:
    """The policy is in force in this very browser: it stops an inline script."""
    visitor.go("/sign-in")
    visitor.page.evaluate(
        """() => {
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.head.append(script);
        }"""
    )
    assert visitor.page.evaluate("window.ran") is None
    told = visitor.watch.complaints
    assert len(told) == 1
    assert "Content Security Policy" in told.pop()


@pytest.mark.requirement("R-98")
def test_session_is_renewed_at_sign_in_begin_and_confirm(visitor: Visitor, visit: Visit) -> None:
    """Its cookie is out of reach of scripts and other sites, and an older one opens nothing."""
    visitor.go("/sign-in")
    kept = [visitor.page.context.storage_state()]
    for step in (visitor.sign_in, visitor.begin, lambda: visitor.confirm(visitor.scan())):
        step()
        cookie = last_session_cookie(visitor)
        assert "; httponly" in cookie
        assert "; samesite=" in cookie  # said, and not left to the browser
        kept.append(visitor.page.context.storage_state())
    names = [where_it_leads(visit, visitor, state) for state in kept]
    assert names == ["sign-in", "sign-in", "sign-in", "security"]


def last_session_cookie(visitor: Visitor) -> str:
    """Return the header that set the session's cookie last."""
    pages = reversed(visitor.watch.documents)
    cookies = (cookie for page in pages for cookie in page.header_values("set-cookie"))
    return next(cookie.lower() for cookie in cookies if cookie.startswith("session"))


def where_it_leads(visit: Visit, visitor: Visitor, state: Any) -> str:
    """Open the security page with the cookies of an earlier moment."""
    other = visit(name=visitor.name, storage_state=state)
    other.go("/security")
    return other.where


@pytest.mark.requirement("R-98")
def test_change_without_a_token_is_refused(visitor: Visitor) -> None:
    """No form that another site could send changes anything, whatever else it has right."""
    phone, _ = visitor.set_up()
    fields: dict[str, str | float | bool] = {
        **dict.fromkeys(("code", "proof"), phone.code()),
        "username": visitor.name,
        "password": PASSWORD,
        "reason": "none",
        "authenticator": "default",
        "new_name": "x",
        "language": "fa",
        "setup_id": "x" * 43,
        "copy": phone.key,
    }
    for path in CHANGES:
        answer = visitor.page.request.post(
            visitor.app.origin + path,
            form=fields,
            headers={"Referer": f"{visitor.app.origin}/security", "Origin": visitor.app.origin},
            max_redirects=0,
        )
        assert answer.status in {400, 403}, path
        visitor.go("/security")
        assert (visitor.where, visitor.state) == ("security", "confirmed"), path
    visitor.send("#disable", proof=phone.code())  # nothing above has spent it
    assert visitor.state == "disabled"


@pytest.mark.requirement("R-98")
def test_link_changes_nothing(visitor: Visitor) -> None:
    """A GET of what only a POST may do is answered with no page of the app."""
    visitor.sign_in()
    for path in CHANGES[2:]:
        answer = visitor.page.request.get(visitor.app.origin + path, max_redirects=0)
        assert answer.status in {404, 405}, path
    visitor.go("/security")
    assert (visitor.where, visitor.state) == ("security", "disabled")
