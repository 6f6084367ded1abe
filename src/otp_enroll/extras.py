"""What to install when the packages of a leaf are missing."""

from __future__ import annotations


def name_missing_extra(leaf: str, extra: str) -> ImportError:
    """Return the error of a leaf whose packages cannot be imported; chain the original to it.

    "No module named redis" does not say which version this leaf works with; the extra does.

    Args:
        leaf: The module that was imported, as its user wrote it.
        extra: What to install.
    """
    # Returned and not raised, so that the leaf's own line shows in the traceback, with its cause.
    return ImportError(
        f"{leaf} needs packages that cannot be imported: pip install 'otp-enroll[{extra}]'"
    )
