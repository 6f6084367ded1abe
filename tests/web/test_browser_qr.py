"""The QR code of the set-up page, read from screenshots of every kind of screen."""

from __future__ import annotations

import itertools

import pytest

from helpers.web_browser import Visit, Visitor

SCREENS = list(itertools.product(("light", "dark"), (1, 2), (320, 1280)))


@pytest.mark.requirement("R-28")
@pytest.mark.requirement("R-29")
@pytest.mark.requirement("R-44")
def test_every_screen_shows_the_same_code(visitor: Visitor, visit: Visit) -> None:
    """Light or dark, coarse or fine, narrow or wide: a camera reads one and the same URI."""
    visitor.sign_in()
    visitor.begin()
    shown = visitor.scan().uri
    cookies = visitor.page.context.storage_state()
    for scheme, scale, width in SCREENS:
        screen = {"width": width, "height": 900}
        other = visit(
            name=visitor.name,
            storage_state=cookies,
            color_scheme=scheme,
            device_scale_factor=scale,
            viewport=screen,
        )
        other.go("/security/setup")
        assert other.scan().uri == shown, (scheme, scale, width)
