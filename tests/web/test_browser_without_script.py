"""The pages without JavaScript: nothing that has to be done needs it."""

from __future__ import annotations

import pytest

from helpers.web_browser import Visit


@pytest.mark.requirement("R-26")
def test_account_is_set_up_without_a_script(visit: Visit) -> None:
    """From the password to the recovery codes and their file, with scripts switched off."""
    visitor = visit(java_script_enabled=False)
    visitor.sign_in()
    visitor.begin()
    phone = visitor.scan()
    page = visitor.page
    assert page.locator("#key-raw").inner_text().strip() == phone.key
    assert page.locator("#app-link").get_attribute("href") == phone.uri
    visitor.send("#check", copy=phone.key)
    assert visitor.where == "setup"
    visitor.confirm(phone)
    assert visitor.where == "on"
    codes = visitor.recovery_codes()
    assert visitor.downloaded() == codes
    visitor.app.advance()
    visitor.sign_in_anew(phone.code())
    assert (visitor.where, visitor.state) == ("security", "confirmed")
