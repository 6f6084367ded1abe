"""Ways in which a secret could be printed, none of which may be found."""

from __future__ import annotations

import base64

RAW = b"12345678901234567890"


def spellings(raw: bytes) -> list[str]:
    """Return the ways in which a secret could stand in a log."""
    return [
        raw.decode("latin-1"),
        repr(raw)[2:-1],
        raw.hex(),
        base64.b32encode(raw).decode().rstrip("="),
        base64.b64encode(raw).decode().rstrip("="),
        str(int.from_bytes(raw, "big")),
        str(list(raw)),
    ]


def assert_hidden(text: str, raw: bytes = RAW) -> None:
    assert text
    for spelling in spellings(raw):
        assert spelling.lower() not in text.lower()
