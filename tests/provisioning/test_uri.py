"""Provisioning URIs: the exact text that apps read alike, and a strict parser for foreign ones."""

from __future__ import annotations

import dataclasses
import json
import pickle
import re
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from otp_enroll.core.secret import Secret
from otp_enroll.core.typed_text import clean_label
from otp_enroll.policy import Parameters
from otp_enroll.provisioning.uri import (
    MAX_BYTES_IN_VERSION_10,
    ProvisioningURI,
    ProvisioningWarning,
    build,
    build_from_clean,
    parse,
    warnings_for,
)

URIS = json.loads((Path(__file__).parents[1] / "vectors.json").read_text("utf-8"))["uris"]
KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
SECRET = Secret.from_base32(KEY)
PARSED = f"otpauth://totp/x?secret={KEY}"

all_parameters = st.builds(
    Parameters,
    type=st.sampled_from(["totp", "hotp"]),
    algorithm=st.sampled_from(["SHA1", "SHA256", "SHA512"]),
    digits=st.integers(6, 8),
    period=st.integers(1, 120),
)
labels = st.one_of(
    st.text(
        st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], exclude_characters=":"),
        min_size=1,
        max_size=64,
    ),
    st.text("aé %+&#?/=%2520سA\u200c", min_size=1, max_size=64),
)


def written(issuer: str = "Exir", account_name: str = "sara", **options: Any) -> str:
    settings: dict[str, Any] = {"parameters": Parameters()} | options
    return build(SECRET, issuer=issuer, account_name=account_name, **settings)


@pytest.mark.requirement("R-14", "R-15", "R-17", "R-19", "R-20")
@pytest.mark.regression_of("B-32")
@pytest.mark.parametrize(("kind", "issuer", "account_name", "uri"), URIS["cases"])
def test_a_uri_has_exactly_this_text(kind: Any, issuer: str, account_name: str, uri: str) -> None:
    """Scheme, label, and all parameters in order, percent-encoded once, a space as %20."""
    assert written(issuer, account_name, parameters=Parameters(type=kind)) == uri


@pytest.mark.requirement("R-14", "R-19", "R-20")
def test_a_hotp_has_a_counter_and_no_period() -> None:
    """A HOTP names the counter that it starts with, and has no period; a TOTP the reverse."""
    hotp = written(parameters=Parameters(type="hotp", algorithm="SHA256", digits=8), counter=7)

    assert hotp == (
        f"otpauth://hotp/Exir:sara?secret={KEY}&issuer=Exir&algorithm=SHA256&digits=8&counter=7"
    )
    assert written(parameters=Parameters(type="hotp")).endswith("&digits=6&counter=0")
    assert "counter" not in written()


@pytest.mark.requirement("R-19")
@pytest.mark.parametrize(
    ("parameters", "rest"),
    [
        (Parameters(), ""),
        (Parameters(algorithm="SHA512"), "&algorithm=SHA512"),
        (Parameters(digits=8), "&digits=8"),
        (Parameters(period=60), "&period=60"),
        (Parameters(type="hotp"), "&counter=0"),
    ],
)
def test_a_minimal_uri_leaves_out_defaults_alone(parameters: Parameters, rest: str) -> None:
    """What differs from the defaults is written, and so is the counter of a HOTP."""
    uri = written(parameters=parameters, minimal=True)

    assert uri == f"otpauth://{parameters.type}/Exir:sara?secret={KEY}&issuer=Exir{rest}"
    assert parse(uri).parameters == parameters


@pytest.mark.requirement("R-15", "R-17")
@pytest.mark.regression_of("B-32")
@given(labels, labels, all_parameters, st.integers(0, 10**15))
def test_everything_is_encoded_exactly_once(
    issuer: str, account_name: str, parameters: Parameters, counter: int
) -> None:
    """One unquote restores each name, no plus stands for a space, and the parser agrees."""
    try:
        named = clean_label(issuer, "issuer", 64), clean_label(account_name, "account_name")
    except ValueError:
        reject()

    options: dict[str, Any] = {"parameters": parameters, "counter": counter}
    uri = build(SECRET, issuer=issuer, account_name=account_name, **options)
    assert uri == build_from_clean(SECRET, issuer=named[0], account_name=named[1], **options)

    label, _, query = uri.removeprefix(f"otpauth://{parameters.type}/").partition("?")
    pairs = dict(pair.split("=") for pair in query.split("&"))
    assert tuple(unquote(part) for part in label.split(":")) == named
    assert unquote(pairs["issuer"]) == named[0]
    assert label == f"{quote(named[0], safe='')}:{quote(named[1], safe='')}"
    assert pairs["issuer"] == label.split(":")[0]
    assert "+" not in uri
    assert uri.isascii()
    read = parse(uri)
    assert (read.issuer, read.account_name, read.secret) == (*named, SECRET)
    if parameters.type == "hotp":
        assert (read.counter, "period" in pairs) == (counter, False)
    else:
        assert (read.parameters, "counter" in pairs) == (parameters, False)


@pytest.mark.requirement("R-16", "R-17", "R-21")
@pytest.mark.regression_of("B-32")
@pytest.mark.parametrize(
    "name", [*URIS["refuse_issuer_or_account"], "Ex\u200f", "a\ud800"], ids=ascii
)
def test_a_name_that_apps_would_show_wrongly_is_refused(name: str) -> None:
    """A colon, a control character, a direction mark, or nothing is refused, by whose it is."""
    with pytest.raises(ValueError, match=r"^issuer must "):
        written(issuer=name)
    with pytest.raises(ValueError, match=r"^account_name must "):
        written(account_name=name)


@pytest.mark.requirement("R-17")
def test_an_issuer_is_required() -> None:
    """A URI without an issuer cannot be written."""
    with pytest.raises(TypeError, match="issuer"):
        build(SECRET, account_name="sara", parameters=Parameters())  # type: ignore[call-arg]  # that is the point
    with pytest.raises(TypeError, match=r"^issuer must be a str$"):
        written(issuer=None)  # type: ignore[arg-type]  # that is the point


@pytest.mark.requirement("R-21")
def test_names_have_a_longest_length() -> None:
    """An issuer has up to 64 characters, an account name up to 128."""
    assert f"/{'x' * 64}:{'y' * 128}?" in written("x" * 64, "y" * 128)
    with pytest.raises(ValueError, match=r"^issuer must have 1 to 64 characters$"):
        written("x" * 65)
    with pytest.raises(ValueError, match=r"^account_name must have 1 to 128 characters$"):
        written("x", "y" * 129)


@pytest.mark.requirement("R-23")
@pytest.mark.regression_of("B-32")
@pytest.mark.parametrize(("uri", "expected"), URIS["parse_ok"])
def test_a_foreign_uri_is_read(uri: str, expected: dict[str, Any]) -> None:
    """An encoded colon, a space after it, a key in lower case and unknown parameters are read."""
    read = parse(uri)

    assert read.secret == SECRET
    assert read.parameters == Parameters()
    names = {"issuer": read.issuer, "account": read.account_name, "ignored": [*read.ignored]}
    assert {name: names[name] for name in expected} == expected


@pytest.mark.requirement("R-23")
def test_what_a_uri_leaves_out_has_the_defaults() -> None:
    """A URI of a secret alone is a TOTP of SHA1, 6 digits and 30 seconds, without an issuer."""
    assert parse(PARSED) == ProvisioningURI(
        issuer=None, account_name="x", secret=SECRET, parameters=Parameters()
    )
    assert parse(f"{PARSED}&issuer=Exir").issuer == "Exir"
    assert parse(f"otpauth://totp/Exir:x?secret={KEY}").issuer == "Exir"
    assert parse(f"{PARSED}&algorithm=sha256").parameters.algorithm == "SHA256"
    assert parse(f"otpauth://hotp/x?secret={KEY}&counter=41").counter == 41


FAULT = r"^(the |issuer must |account_name must |a secret |algorithm |digits |period |character )"

BAD = [
    *URIS["parse_error"],
    "",
    "otpauth://totp/x",
    "otpauth://totp/x?",
    "OTPAUTH://totp/x?secret=" + KEY,
    f" {PARSED}",
    f"{PARSED}\n",
    f"{PARSED}#fragment",
    f"{PARSED}&secret={KEY}",
    f"{PARSED}&digits=6&digits=6",
    f"{PARSED}&issuer=a&issuer=a",
    f"{PARSED}&digits=5",
    f"{PARSED}&digits=9",
    f"{PARSED}&digits=",
    f"{PARSED}&digits=6.0",
    f"{PARSED}&digits=-6",
    f"{PARSED}&digits=%DB%B6",
    f"{PARSED}&digits={'6' * 19}",
    f"{PARSED}&period=121",
    f"{PARSED}&period=3_0",
    f"{PARSED}&algorithm=MD5",
    f"{PARSED}&algorithm=",
    f"{PARSED}&algorithm=%C5%BFha1",
    f"{PARSED}&issuer=",
    f"{PARSED}&issuer=a%3Ab",
    f"{PARSED}&issuer=%FF",
    f"otpauth://totp/%FF?secret={KEY}",
    f"otpauth://totp/a:x?secret={KEY}&issuer=b",
    f"otpauth://totp/:x?secret={KEY}",
    f"otpauth://totp/a:?secret={KEY}",
    f"otpauth://totp/a%3Ab%3Ac?secret={KEY}",
    f"otpauth://totp/a:b%3ac?secret={KEY}",
    f"otpauth://totp/u%E2%80%AEevil:x?secret={KEY}",
    f"otpauth://totp/{'x' * 129}?secret={KEY}",
    f"otpauth://totp/{'x' * 65}:y?secret={KEY}",
    f"otpauth://hotp/x?secret={KEY}&counter=",
    f"otpauth://hotp/x?secret={KEY}&counter=-1",
    "otpauth://totp/x?secret=",
    f"otpauth://totp/x?secret={KEY[:-1]}1",
    f"otpauth://totp/x?secret={KEY[:-1]}",
    f"otpauth://totp/x?secret={KEY[:24]}",
    f"{PARSED}&x={'y' * 4096}",
]


@pytest.mark.requirement("R-23")
@pytest.mark.regression_of("B-32")
@pytest.mark.parametrize("uri", BAD, ids=range(len(BAD)))
def test_a_malformed_uri_is_refused(uri: str) -> None:
    """Duplicates, a second colon, an unknown type, bad numbers and bad encodings are errors."""
    with pytest.raises(
        ValueError,
        match=FAULT,
    ):
        parse(uri)


@pytest.mark.requirement("R-02")
def test_a_short_secret_is_read_when_asked_for_by_name() -> None:
    """15 bytes need ``allow_short_secret``, 13 are never read."""
    short = f"otpauth://totp/x?secret={KEY[:24]}"

    assert len(parse(short, allow_short_secret=True).secret.reveal()) == 15
    with pytest.raises(ValueError, match=r"^a secret has 14 to 128 bytes, and this one has 10$"):
        parse(f"otpauth://totp/x?secret={KEY[:16]}", allow_short_secret=True)


@pytest.mark.requirement("R-23", "R-25")
@pytest.mark.parametrize("uri", [uri for uri in BAD if KEY[:16] in uri])
def test_no_part_of_a_refused_uri_is_in_its_error(uri: str) -> None:
    """Neither the message nor a frame of the library shows the key or the label."""
    marked = uri.replace("evil", "MARKEDMARKED").replace("/x", "/MARKEDMARKED")
    with pytest.raises(ValueError, match=FAULT) as raised:
        parse(marked)

    trace = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    ours = [frame for frame in trace.stack if "otp_enroll" in frame.filename]
    told = f"{trace} {[frame.locals for frame in ours]}"
    assert ours
    assert (trace.__cause__, trace.__context__) == (None, None)
    for hidden in (KEY[:8], "MARKED", "fragment", "yyyy", "xxxx"):
        assert hidden not in told


@pytest.mark.requirement("R-23")
@given(
    st.one_of(
        st.text(),
        st.text().map(lambda text: f"otpauth://totp/{text}"),
        st.text().map(lambda text: f"otpauth://totp/{text}?secret={KEY}"),
        st.text().map(lambda text: f"{PARSED}&issuer={text}"),
        st.text("%0123456789ABCDEF+&=:").map(lambda text: f"{PARSED}&{text}"),
        st.text(max_size=40).map(lambda text: f"otpauth://totp/x?secret={text}"),
    )
)
def test_any_text_is_parsed_or_refused(uri: str) -> None:
    """Whatever the text, the parser returns what it says or raises ValueError."""
    try:
        read = parse(uri)
    except ValueError:
        return
    assert read.account_name == clean_label(read.account_name, "account_name")


@pytest.mark.parametrize("value", [None, 7, PARSED.encode()])
def test_a_uri_that_is_no_text_is_a_type_error(value: Any) -> None:
    """A URI of a wrong type is the caller's mistake."""
    with pytest.raises(TypeError, match=r"^a provisioning URI must be a str$"):
        parse(value)


@pytest.mark.requirement("R-25")
def test_what_was_parsed_is_redacted() -> None:
    """Neither repr, nor asdict, nor a pickle of a parsed URI gives the key away."""
    read = parse(PARSED)

    assert KEY[:8] not in f"{read} {dataclasses.asdict(read)}"
    assert repr(SECRET.reveal())[2:-1] not in f"{read} {dataclasses.asdict(read)}"
    with pytest.raises(TypeError, match=r"^Secret holds a secret and is not pickled$"):
        pickle.dumps(read)


def warned(
    issuer: str = "Exir",
    account_name: str = "sara",
    uri: str = PARSED,
    *,
    may_overwrite: bool = False,
    **parameters: Any,
) -> dict[str, tuple[str, ...]]:
    found = warnings_for(
        uri,
        issuer=issuer,
        account_name=account_name,
        parameters=Parameters(**parameters),
        may_overwrite=may_overwrite,
    )
    assert all(isinstance(one, ProvisioningWarning) for one in found)
    assert len({one.code for one in found}) == len(found)
    return {one.code: one.apps for one in found}


@pytest.mark.requirement("R-04")
@pytest.mark.parametrize(
    ("parameters", "app", "silent"),
    [
        ({"algorithm": "SHA256"}, "Authy", "KeePassXC"),
        ({"algorithm": "SHA512"}, "Google Authenticator on Android", "KeePassXC"),
        ({"digits": 8}, "Microsoft Authenticator", "Authy"),
        ({"period": 60}, "Google Authenticator", "KeePassXC"),
        ({"period": 61}, "KeePassXC", "Authy"),
    ],
)
def test_other_parameters_warn_of_the_apps_that_ignore_them(
    parameters: dict[str, Any], app: str, silent: str
) -> None:
    """The warning names the apps that would show wrong codes, and no others."""
    apps = warned(**parameters)["ignored_parameters"]

    assert app in apps
    assert silent not in apps
    assert list(apps) == sorted(set(apps))


@pytest.mark.requirement("R-04", "R-22")
def test_the_defaults_warn_of_nothing() -> None:
    """Usual parameters and names need no warning."""
    assert warned() == {}
    assert warned("Üñïcödé صرافی", "sara+2@example.com") == {}


@pytest.mark.requirement("R-22")
@pytest.mark.parametrize("letter", "&#?%")
def test_characters_that_an_app_cuts_at_are_told(letter: str) -> None:
    """A name with one of these is written, and the warning says which app cuts it."""
    assert warned(issuer=f"A{letter}B") == {"risky_characters": ("2FAS on Android",)}
    assert warned(account_name=f"A{letter}B") == {"risky_characters": ("2FAS on Android",)}
    assert quote(letter) in written(f"A{letter}B")


@pytest.mark.requirement("R-22")
def test_a_uri_has_no_parameters_beyond_the_format() -> None:
    """No image, colour or lock, which single apps invented."""
    uri = written(parameters=Parameters(algorithm="SHA256", digits=8, period=60))

    assert re.findall(r"[?&](\w+)=", uri) == ["secret", "issuer", "algorithm", "digits", "period"]


@pytest.mark.requirement("R-30")
def test_a_dense_code_is_told() -> None:
    """A URI that needs a QR code above version 10 is warned of, from the first letter too many."""
    assert warned(uri="x" * MAX_BYTES_IN_VERSION_10) == {}
    assert warned(uri="x" * (MAX_BYTES_IN_VERSION_10 + 1)) == {"long_uri": ()}


def test_an_entry_that_may_be_overwritten_is_told() -> None:
    """A replacement warns of the app that overwrites an entry of the same name."""
    assert warned(may_overwrite=True) == {"may_overwrite": ("Google Authenticator on Android",)}
