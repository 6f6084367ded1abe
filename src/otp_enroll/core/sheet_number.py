"""The number of a paper copy, by which an old sheet is known after its secret was replaced."""

from __future__ import annotations

import hashlib
from typing import Final, Literal

from otp_enroll.core.typed_text import CROCKFORD

_TAG: Final = b"otp_enroll/1\0sheet number\0"  # on paper: another one orphans every sheet


def sheet_number(of: Literal["key", "recovery codes"], named: bytes) -> str:
    """Number a sheet: ``"7K2M-94QX"``, 40 bits, the same for each printing.

    Args:
        of: What is on the sheet.
        named: What is drawn beside the secret and is none: the authenticator's id, or the salt
            of the set of recovery codes. Of the secret itself the number therefore says nothing.
    """
    digest = hashlib.sha256(_TAG + of.encode() + b"\0" + named).digest()
    # 256 is a multiple of 32, so no letter is likelier than another.
    letters = "".join(CROCKFORD[byte & 31] for byte in digest[:8])
    return f"{letters[:4]}-{letters[4:]}"
