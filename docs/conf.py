"""How Sphinx builds these pages; the pictures of the floors and the states are drawn first."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "tests")]

import draw_floors  # noqa: E402  # the path comes first
import draw_states  # noqa: E402  # the same
import svg  # noqa: E402  # the same

svg.write_picture(draw_floors.draw(), draw_floors.PICTURE)
svg.write_picture(draw_states.draw(), draw_states.PICTURE)

project = "otp_enroll"
copyright = "2026, the otp_enroll developers"  # noqa: A001  # Sphinx's name for it
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
myst_fence_as_directive: set[str] = set()
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
suppress_warnings = ["misc.highlighting_failure"]
exclude_patterns = ["_build"]
