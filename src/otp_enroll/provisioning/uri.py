"""Provisioning URIs (Key URI format): build one that every app reads alike, parse one strictly.

The prefix of the label and the ``issuer`` parameter are always the same, because apps differ in
which of the two they believe (Aegis the prefix; Bitwarden, Ente and Yubico Authenticator the
parameter); a domain beside a display name is therefore not offered. Type, algorithm, digits and
period are written out even where they are the defaults. What apps are known to ignore is a
warning and no error: the confirming code shows whether the user's app did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, unquote

from otp_enroll.core.secret import Secret
from otp_enroll.core.typed_text import MAX_NAME, clean_label
from otp_enroll.policy import Parameters

MAX_URI: Final = 4096
"""Characters that ``parse`` looks at; no QR code holds as many."""

MAX_ISSUER: Final = MAX_NAME

MAX_BYTES_IN_VERSION_10: Final = 271
"""Bytes that a QR code of version 10 holds at level L (ISO/IEC 18004, table 7)."""

_DEFAULTS: Final = Parameters()
_KNOWN: Final = frozenset({"secret", "issuer", "algorithm", "digits", "period", "counter"})
# Read in any case and written in capitals: Google and Microsoft take "sha256" for SHA1.
_ALGORITHMS: Final = {"sha1": "SHA1", "sha256": "SHA256", "sha512": "SHA512"}
_RISKY_CHARACTERS: Final = "&#?%"  # 2FAS decodes a link as a whole before it splits it
_FORM: Final = re.compile(r"otpauth://(?P<type>totp|hotp)/(?P<label>[^?#\s]*)\?(?P<query>[^#\s]*)")
_LABEL_COLON: Final = re.compile(":|%3A", re.IGNORECASE)  # both are in use, and both separate

# By the apps' sources and by trying them out; an app that is not named is not known to be right.
_IGNORE_ALGORITHM: Final = ("Google Authenticator on Android", "Microsoft Authenticator", "Authy")
_IGNORE_DIGITS: Final = ("Google Authenticator on Android", "Microsoft Authenticator")
_IGNORE_PERIOD: Final = ("Google Authenticator", "Microsoft Authenticator")
_LONG_PERIOD: Final = (*_IGNORE_PERIOD, "KeePassXC")

WarningCode = Literal["ignored_parameters", "risky_characters", "long_uri", "may_overwrite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningWarning:
    """What may go wrong in some apps, though the URI is right.

    Show it before the picture: Google Authenticator overwrites an entry when it scans, before
    any code is confirmed.

    Attributes:
        code: ``"ignored_parameters"`` (some apps compute other codes), ``"risky_characters"``
            (some apps cut the names), ``"long_uri"`` (the QR code is dense),
            ``"may_overwrite"`` (some apps replace an entry of the same name when they scan).
        apps: The apps concerned, as far as they are known.
    """

    code: WarningCode
    apps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningURI:
    """What a provisioning URI says. Its text is a secret, and ``repr`` does not show it.

    Attributes:
        issuer: The service, or ``None`` where a foreign URI names none.
        account_name: The account.
        secret: The shared key.
        parameters: Type, algorithm, digits, period.
        counter: The first counter of a HOTP.
        ignored: Parameters that a foreign URI had and that mean nothing here.
    """

    issuer: str | None
    account_name: str
    secret: Secret
    parameters: Parameters
    counter: int = 0
    ignored: tuple[str, ...] = ()


def build(
    secret: Secret,
    *,
    issuer: str,
    account_name: str,
    parameters: Parameters,
    counter: int = 0,
    minimal: bool = False,
) -> str:
    """Build a provisioning URI from names as people wrote them.

    Args:
        secret: The shared key.
        issuer: The service, 1 to 64 characters.
        account_name: The account, 1 to 128 characters.
        parameters: Type, algorithm, digits, period.
        counter: Where a HOTP starts.
        minimal: Leave defaults out, for a smaller QR code.

    Returns:
        The URI, which is a secret.

    Raises:
        TypeError: A name that is not text.
        ValueError: A name that apps would show wrongly.
    """
    return build_from_clean(
        secret,
        issuer=clean_label(issuer, "issuer", MAX_ISSUER),
        account_name=clean_label(account_name, "account_name"),
        parameters=parameters,
        counter=counter,
        minimal=minimal,
    )


def build_from_clean(
    secret: Secret,
    *,
    issuer: str,
    account_name: str,
    parameters: Parameters,
    counter: int = 0,
    minimal: bool = False,
) -> str:
    """Build a provisioning URI from names that ``clean_label`` returned, as they are stored.

    Everything is percent-encoded once, a space as ``%20`` (RFC 3986 §2.1): apps show a ``+``.
    Defaults are written too, since some apps read a missing one as zero.

    Args:
        secret: The shared key; its Base32 is upper case without padding, as all apps take it.
        issuer: The service.
        account_name: The account.
        parameters: Type, algorithm, digits, period.
        counter: Where a HOTP starts.
        minimal: Leave defaults out, for a smaller QR code.

    Returns:
        The URI, which is a secret.
    """
    # Not urlencode: it writes a plus for a space. And "/" is encoded too (safe=""), because a
    # label with one is a path of two parts.
    prefix, account = quote(issuer, safe=""), quote(account_name, safe="")
    pairs = [("secret", secret.base32), ("issuer", prefix)]
    pairs += _pairs_of(parameters, counter, minimal=minimal)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return f"otpauth://{parameters.type}/{prefix}:{account}?{query}"


def _pairs_of(parameters: Parameters, counter: int, *, minimal: bool) -> Iterator[tuple[str, str]]:
    """Yield what a code is computed from: a counter for HOTP, a period for TOTP, never both."""
    if not (minimal and parameters.algorithm == _DEFAULTS.algorithm):
        yield "algorithm", parameters.algorithm
    if not (minimal and parameters.digits == _DEFAULTS.digits):
        yield "digits", str(parameters.digits)
    if parameters.type == "hotp":  # required, even 0: Aegis refuses a HOTP without it
        yield "counter", str(counter)
    elif not (minimal and parameters.period == _DEFAULTS.period):
        yield "period", str(parameters.period)


def parse(uri: str, *, allow_short_secret: bool = False) -> ProvisioningURI:
    """Read a provisioning URI strictly.

    What another program might read otherwise is refused, not guessed: a wrong guess imports an
    account whose codes are never right.

    Args:
        uri: The URI.
        allow_short_secret: Take a secret below 128 bits, which RFC 4226 R6 requires.

    Raises:
        TypeError: Not text.
        ValueError: What is wrong, without any of the text.
    """
    if not isinstance(uri, str):
        raise TypeError("a provisioning URI must be a str")
    # Raised here, where the URI has no name any more: a traceback with locals shows none of it.
    read, uri = _read(uri, allow_short_secret=allow_short_secret), ""
    if isinstance(read, str):
        raise ValueError(read)  # noqa: TRY004  # the str is the fault found, not a wrong type
    return read


def _read(uri: str, *, allow_short_secret: bool) -> ProvisioningURI | str:
    """Return what the URI says, or a sentence that says what is wrong with it."""
    if len(uri) > MAX_URI:
        return "the URI is too long"
    form = _FORM.fullmatch(uri)
    if form is None:
        return "the URI is not otpauth://totp/…?… or otpauth://hotp/…?…"
    try:
        pairs = _split_query(form["query"])
        issuer, account_name = _split_label(form["label"], pairs)
        if "secret" not in pairs:
            return "the URI has no secret"
        if form["type"] == "hotp" and "counter" not in pairs:
            return "the URI of a HOTP has no counter"
        return ProvisioningURI(
            issuer=issuer,
            account_name=account_name,
            secret=Secret.from_base32(pairs["secret"], allow_short=allow_short_secret),
            parameters=Parameters(
                type="hotp" if form["type"] == "hotp" else "totp",
                algorithm=_ALGORITHMS.get(pairs.get("algorithm", "SHA1").lower(), "none"),  # type: ignore[arg-type]  # checked there
                digits=_read_number(pairs, "digits", 6),
                period=_read_number(pairs, "period", 30),
            ),
            counter=_read_number(pairs, "counter", 0),
            ignored=tuple(name for name in pairs if name not in _KNOWN),
        )
    except ValueError as fault:
        return "the URI is not well-formed" if isinstance(fault, UnicodeError) else str(fault)


def _split_query(query: str) -> dict[str, str]:
    """Split and decode the parameters.

    Raises:
        ValueError: A parameter that counts stands there twice, or is not UTF-8. Readers differ
            in which of two secrets they take.
    """
    pairs: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name in pairs and name in _KNOWN:
            raise ValueError(f"the URI has two parameters {name}")
        pairs[name] = unquote(value, errors="strict")  # never unquote_plus: a plus is a plus
    return pairs


def _split_label(label: str, pairs: dict[str, str]) -> tuple[str | None, str]:
    """Split at the first colon before decoding; the prefix and the parameter must agree.

    After decoding, a colon that was part of a name would be taken for the separator. A second
    one is refused by ``clean_label``: FreeOTP drops such a URI, and Ente cuts the account there.

    Raises:
        ValueError: Two issuers, or a name that apps would show wrongly.
    """
    head, *rest = _LABEL_COLON.split(label, maxsplit=1)
    prefix = unquote(head, errors="strict") if rest else None
    account = unquote(rest[0] if rest else head, errors="strict")
    named = pairs.get("issuer", prefix)
    if prefix is not None and named != prefix:
        raise ValueError("the URI names two issuers")
    issuer = None if named is None else clean_label(named, "issuer", MAX_ISSUER)
    return issuer, clean_label(account, "account_name")


def _read_number(pairs: dict[str, str], name: str, default: int) -> int:
    """Read a parameter as a whole number of at most 18 digits.

    Raises:
        ValueError: It is none.
    """
    text = pairs.get(name, str(default))
    # int() alone takes "+6", " 6", "1_0" and other scripts' digits, and isdigit() takes "²".
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"the parameter {name} is not a number")
    return int(text)


def warnings_for(
    uri: str, *, issuer: str, account_name: str, parameters: Parameters, may_overwrite: bool
) -> tuple[ProvisioningWarning, ...]:
    """Return what may go wrong in some apps with this URI.

    Args:
        uri: The URI, of which the length counts.
        issuer: The service.
        account_name: The account.
        parameters: Type, algorithm, digits, period.
        may_overwrite: Whether the user's app has an entry of these names already.
    """
    found: list[ProvisioningWarning] = []
    ignoring = {
        *(_IGNORE_ALGORITHM if parameters.algorithm != "SHA1" else ()),
        *(_IGNORE_DIGITS if parameters.digits != 6 else ()),
        *(_IGNORE_PERIOD if parameters.period != 30 else ()),
        *(_LONG_PERIOD if parameters.period > 60 else ()),
    }
    if ignoring:
        found.append(ProvisioningWarning(code="ignored_parameters", apps=tuple(sorted(ignoring))))
    if any(letter in issuer + account_name for letter in _RISKY_CHARACTERS):
        found.append(ProvisioningWarning(code="risky_characters", apps=("2FAS on Android",)))
    if len(uri) > MAX_BYTES_IN_VERSION_10:
        found.append(ProvisioningWarning(code="long_uri"))
    if may_overwrite:
        found.append(
            ProvisioningWarning(code="may_overwrite", apps=("Google Authenticator on Android",))
        )
    return tuple(found)
