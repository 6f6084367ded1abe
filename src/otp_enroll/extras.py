"""What to install when the packages of a leaf are missing."""

from __future__ import annotations


def name_missing_extra(leaf: str, extra: str) -> ImportError:
    """Return the error of a leaf whose packages cannot be imported; chain the original to it."""
    return ImportError(
        f"{leaf} needs packages that cannot be imported: pip install 'otp-enroll[{extra}]'"
    )
