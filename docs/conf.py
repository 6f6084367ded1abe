"""How Sphinx builds these pages."""

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
