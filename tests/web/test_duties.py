"""The duties of an app, as the docs list them: each of the example apps says where it does them."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import pytest

from helpers.web_server import APPS, EXAMPLES, ROOT

LEFT_OUT: Final = {"R-79", "R-99"}
"""Holding acts back after a change, and passkeys: docs/examples.md says that they are left out."""


def duties() -> Counter[str]:
    """Return how many duties of which requirement docs/your-app.md lists."""
    rows = re.findall(
        r"^\|.*\| (R-\d+) \|$", (ROOT / "docs" / "your-app.md").read_text(), re.MULTILINE
    )
    return Counter(row for row in rows if row not in LEFT_OUT)


@pytest.mark.requirement("R-98")
@pytest.mark.parametrize("app", APPS)
def test_every_duty_is_named_where_an_app_does_it(app: str) -> None:
    """For each line of the docs there is a comment in the app, or in the pages that all share."""
    files = [*(EXAMPLES / f"{app}_app").glob("*.py"), EXAMPLES / "pages" / "pages.py"]
    named = Counter(re.findall(r"\((R-\d+)\)", "\n".join(path.read_text() for path in files)))

    assert len(duties()) >= 6
    assert not duties() - named
