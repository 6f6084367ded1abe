"""What is shown once, by a real enroller: Setup, RecoveryCodes, Confirmation."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import hashlib
import inspect
import json
import logging
import os
import pickle
import random
import re
import secrets
import traceback
from typing import Any, NoReturn

import pytest

from otp_enroll import AsyncEnroller, Confirmation, Enroller, Override, Policy, RecoveryCodes, Setup
from otp_enroll.core.secret import Secret
from otp_enroll.display.setup import spoken
from otp_enroll.provisioning.uri import parse

USER = "user-42"
VOUCHED = Override(actor="help desk", reason="re-authenticated")


@pytest.fixture
def setup(enroller: Enroller) -> Setup:
    return enroller.begin(USER, account_name="sara@example.com")


@pytest.fixture
def confirmation(flow: Any) -> Confirmation:
    confirmed: Confirmation = flow.enroll()[1]
    return confirmed


@pytest.fixture
def codes(confirmation: Confirmation) -> RecoveryCodes:
    assert confirmation.recovery_codes is not None
    return confirmation.recovery_codes


def every_printing_of(value: object, caplog: pytest.LogCaptureFixture) -> str:
    """Print a value in all ways in which it may reach a log."""
    logging.getLogger("somewhere").warning("%s %r", value, value)
    try:
        raise_beside(value)
    except LookupError as error:
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(
        [repr(value), str(value), f"{value}", repr([value]), caplog.text, *trace.format()]
    )


def raise_beside(value: object) -> NoReturn:
    local = value
    raise LookupError(str(local))


def secrets_of(setup: Setup) -> list[str]:
    raw = Secret.from_base32(setup.key).reveal()
    return [
        setup.id,
        setup.key,
        setup.key[:8],
        setup.uri,
        raw.hex(),
        repr(raw)[2:-1],
        setup.key_groups[0],
    ]


@pytest.mark.requirement("R-14", "R-17", "R-19", "R-26")
def test_a_setup_shows_uri_key_and_picture_of_one_secret(setup: Setup) -> None:
    """The URI, the key, its groups and its spelling are those of one fresh secret."""
    read = parse(setup.uri)

    assert setup.uri == (
        f"otpauth://totp/Exir:sara%40example.com?secret={setup.key}"
        "&issuer=Exir&algorithm=SHA1&digits=6&period=30"
    )
    assert read.secret.base32 == setup.key
    assert (setup.issuer, setup.account_name) == ("Exir", "sara@example.com")
    assert (setup.authenticator, setup.replaces) == ("default", False)
    assert setup.qr.description.startswith("QR code to add Exir to an authenticator app")


@pytest.mark.requirement("R-09")
@pytest.mark.regression_of("B-35")
def test_the_key_is_written_in_groups_with_spaces(setup: Setup) -> None:
    """Eight groups of four ASCII letters and digits; the machine form has no separators."""
    assert [len(group) for group in setup.key_groups] == [4] * 8
    assert "".join(setup.key_groups) == setup.key
    assert re.fullmatch("[A-Z2-7]{32}", setup.key)


@pytest.mark.requirement("R-06", "R-09")
def test_the_groups_of_a_key_are_read_like_a_tuple(setup: Setup) -> None:
    """They join, count, index, slice and compare as a tuple, and ``str`` puts spaces between."""
    groups, key = setup.key_groups, setup.key
    expected = tuple(key[start : start + 4] for start in range(0, 32, 4))

    assert f"{groups}" == " ".join(groups) == " ".join(expected)
    assert groups == expected
    assert expected == groups
    assert groups == setup.key_groups
    assert groups != expected[1:]
    assert groups != [*expected]
    assert (len(groups), groups[-1], groups[:2]) == (8, expected[-1], expected[:2])
    assert (expected[3] in groups, groups.index(expected[0])) == (True, 0)


@pytest.mark.requirement("R-06")
def test_the_groups_of_a_key_are_a_secret(setup: Setup) -> None:
    """Only ``str`` writes them: no repr, pickle, hash, JSON or copy has them."""
    groups = setup.key_groups

    assert repr(groups) == "KeyGroups(8 groups)"
    assert copy.deepcopy(groups) is copy.copy(groups) is groups
    for dump in (json.dumps, hash, vars):
        with pytest.raises(TypeError):
            dump(groups)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="KeyGroups holds a secret and is not pickled"):
            pickle.dumps(groups, protocol)


@pytest.mark.requirement("R-14")
def test_a_uri_is_built_once(setup: Setup) -> None:
    """A page asks for it four times, and gets the same object each time."""
    first = setup.uri

    assert setup.uri is first


@pytest.mark.requirement("R-32")
def test_the_spoken_key_is_the_key(setup: Setup) -> None:
    """Each character is said, in its group, with digits as words."""
    words = {
        f"digit {word}": str(n)
        for n, word in enumerate(["two", "three", "four", "five", "six", "seven"], 2)
    }

    groups = [
        "".join(words.get(said, said) for said in group.split(", "))
        for group in setup.key_spoken.split("; ")
    ]

    assert groups == [*setup.key_groups]


@pytest.mark.requirement("R-13")
def test_the_check_word_belongs_to_the_key(setup: Setup, enroller: Enroller) -> None:
    """Four letters, the same after a reload, and another for another key."""
    again = enroller.resume(USER, setup_id=setup.id)
    other = enroller.begin(USER, account_name="sara@example.com")

    assert setup.check_word == again.check_word == Secret.from_base32(setup.key).check_word
    assert re.fullmatch("[A-Z2-7]{4}", setup.check_word)
    assert (other.key, other.id) != (setup.key, setup.id)


@pytest.mark.requirement("R-06", "R-25")
def test_no_printing_shows_a_setup(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    """Repr, str, logs and tracebacks with locals show the name and the end, and no secret."""
    printed = every_printing_of(setup, caplog)

    assert repr(setup) == f"Setup(authenticator='default', expires_at={setup.expires_at!r}, …)"
    for secret in secrets_of(setup):
        assert secret not in printed


@pytest.mark.requirement("R-06", "R-84")
def test_no_printing_shows_a_confirmation(
    confirmation: Confirmation, codes: RecoveryCodes, caplog: pytest.LogCaptureFixture
) -> None:
    """Repr, str, logs, tracebacks and asdict count the recovery codes, and show none."""
    printed = every_printing_of(confirmation, caplog) + every_printing_of(codes, caplog)
    printed += f"{dataclasses.asdict(confirmation)} {dataclasses.astuple(confirmation)}"

    assert "RecoveryCodes(10 codes)" in printed
    for code in codes:
        for spelling in (code, code.replace("-", ""), code[:9]):
            assert spelling not in printed
            assert spelling.lower() not in printed


@pytest.mark.requirement("R-06")
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_shown_once_is_pickled(
    setup: Setup, codes: RecoveryCodes, confirmation: Confirmation, protocol: int
) -> None:
    """A session or a queue that pickles cannot keep a secret by accident."""
    for value in (setup, codes, confirmation):
        with pytest.raises(
            TypeError, match=r"^(Setup|RecoveryCodes) holds a secret and is not pickled$"
        ):
            pickle.dumps(value, protocol)


@pytest.mark.requirement("R-06")
def test_nothing_shown_once_is_json(
    setup: Setup, codes: RecoveryCodes, confirmation: Confirmation
) -> None:
    """An app picks what it sends; nothing goes out as a whole."""
    for value in (setup, codes, confirmation, dataclasses.asdict(confirmation)):
        with pytest.raises(TypeError, match="not JSON serializable"):
            json.dumps(value)


@pytest.mark.requirement("R-06")
def test_a_copy_is_the_object_itself_or_refused(setup: Setup, codes: RecoveryCodes) -> None:
    """No copy makes a second holder of the secret."""
    for value in (setup, codes):
        assert copy.deepcopy(value) is value
        try:
            copied = copy.copy(value)
        except TypeError:
            continue
        assert copied is value


@pytest.mark.requirement("R-06")
def test_what_is_shown_once_has_no_fields(setup: Setup, codes: RecoveryCodes) -> None:
    """Neither has a ``__dict__`` to dump, nor fields, and their answers cannot be changed."""
    for value in (setup, codes):
        assert not dataclasses.is_dataclass(value)
        with pytest.raises(TypeError):
            vars(value)
    for name in ("id", "uri", "key", "key_groups", "qr"):
        with pytest.raises(AttributeError):
            setattr(setup, name, "x")


@pytest.mark.requirement("R-80")
def test_recovery_codes_are_a_sequence_of_grouped_text(codes: RecoveryCodes) -> None:
    """Ten codes of six groups of four, by index, slice, iteration and membership."""
    listed = list(codes)

    assert len(codes) == len(set(listed)) == 10
    for code in listed:
        assert re.fullmatch("([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}", code)
    assert [codes[n] for n in range(10)] == listed
    assert (codes[-1], codes[2:4], listed[3] in codes) == (listed[-1], tuple(listed[2:4]), True)
    with pytest.raises(IndexError):
        codes[10]


@pytest.mark.requirement("R-80")
@pytest.mark.parametrize("count", [1, 32])
def test_a_policy_says_how_many_recovery_codes_a_set_has(count: int, make_flow: Any) -> None:
    """A set has as many codes as the policy says, and no shorter ones."""
    _, confirmation = make_flow(policy=Policy(recovery_codes=count)).enroll()

    assert [len(code) for code in confirmation.recovery_codes] == [29] * count


def test_a_confirmation_says_what_it_did(flow: Any) -> None:
    """The first confirm brings codes; a replacement keeps the old ones and brings none."""
    _, first = flow.enroll()
    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)
    second = flow.enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)

    assert (first.authenticator, first.replaced, first.removed) == ("default", False, ())
    assert second == Confirmation(
        authenticator="default", replaced=True, removed=(), recovery_codes=None
    )


@pytest.mark.parametrize("lifetime", [300, 900, 3600])
def test_the_end_of_a_setup_is_in_utc(lifetime: int, make_flow: Any) -> None:
    """``expires_at`` is an aware time, one lifetime from the beginning."""
    flow = make_flow(policy=Policy(setup_lifetime=lifetime))
    setup = flow.enroller.begin(USER, account_name="sara")

    assert setup.expires_at == dt.datetime.fromtimestamp(
        flow.clock() + lifetime, tz=dt.timezone.utc
    )
    assert setup.expires_at.utcoffset() == dt.timedelta(0)


@pytest.mark.requirement("R-04", "R-22", "R-30")
def test_a_setup_warns_of_what_apps_do(flow: Any, make_flow: Any) -> None:
    """Usual setups warn of nothing; parameters, names, length and a replacement have a warning."""
    assert flow.enroller.begin(USER, account_name="sara").warnings == ()
    odd = make_flow(policy=Policy(algorithm="SHA512", digits=8))
    setup = odd.enroller.begin(USER, account_name="sara & " + "x" * 100)
    assert [warning.code for warning in setup.warnings] == [
        "ignored_parameters",
        "risky_characters",
        "long_uri",
    ]
    assert setup.qr.version > 10


@pytest.mark.requirement("R-77")
@pytest.mark.parametrize(("suffix", "label"), [(True, "sara (2)"), (False, "sara")])
def test_a_replacement_has_a_number_and_a_warning(suffix: bool, label: str, make_flow: Any) -> None:
    """The label of a replacement gets a number, unless the policy says otherwise."""
    flow = make_flow(policy=Policy(suffix_on_rotation=suffix))
    flow.enroll()

    setup = flow.enroller.begin(USER, account_name="sara", proof=VOUCHED)

    assert (setup.account_name, setup.replaces) == (label, True)
    assert parse(setup.uri).account_name == label
    assert [warning.code for warning in setup.warnings] == ["may_overwrite"]


@pytest.mark.requirement("R-02")
@pytest.mark.regression_of("B-40")
@pytest.mark.parametrize(("algorithm", "letters"), [("SHA1", 32), ("SHA256", 52), ("SHA512", 103)])
def test_a_fresh_key_is_as_long_as_its_hash(algorithm: Any, letters: int, make_flow: Any) -> None:
    """20, 32 or 64 bytes, unpadded."""
    setup = make_flow(policy=Policy(algorithm=algorithm)).enroller.begin(USER, account_name="sara")

    assert re.fullmatch(f"[A-Z2-7]{{{letters}}}", setup.key)


class CountedBytes:
    """A byte source that can be repeated: SHA-512 of a counter."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, length: int) -> bytes:
        self.asked.append(length)
        drawn = b""
        while len(drawn) < length:
            drawn += hashlib.sha512(f"{len(self.asked)} {len(drawn)}".encode()).digest()
        return drawn[:length]


@pytest.mark.requirement("R-01")
@pytest.mark.regression_of("B-40")
def test_the_injected_byte_source_is_the_only_one(
    make_flow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every other source broken, two enrollers on equal bytes make equal secrets and codes."""

    def broken(*_: object, **__: object) -> NoReturn:
        raise AssertionError("another source of randomness")

    for module, names in (
        (
            random,
            ("random", "randbytes", "getrandbits", "randrange", "choice", "choices", "uniform"),
        ),
        (secrets, ("token_bytes", "token_hex", "token_urlsafe", "choice", "randbelow", "randbits")),
        (os, ("urandom",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, broken)
    monkeypatch.setattr(random.Random, "random", broken)
    monkeypatch.setattr(random.Random, "getrandbits", broken)
    made = []
    for _ in range(2):
        flow, source = make_flow(), CountedBytes()
        enroller = flow.another(random_bytes=source)
        setup = enroller.begin(USER, account_name="sara")
        done = enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
        made.append(
            (setup.id, setup.key, tuple(done.recovery_codes), flow.store.load(USER).revision)
        )
        assert {20, 32, 16, 150} <= set(source.asked)

    assert made[0] == made[1]


@pytest.mark.requirement("R-01")
@pytest.mark.parametrize("kind", [Enroller, AsyncEnroller])
def test_the_byte_source_is_the_operating_systems(kind: type[Any]) -> None:
    """Unless an app injects another, bytes come from ``secrets.token_bytes``."""
    assert inspect.signature(kind).parameters["random_bytes"].default is secrets.token_bytes


@pytest.mark.regression_of("B-40")
@pytest.mark.parametrize("answer", [b"", b"x" * 10, b"x" * 65, "x" * 20, None])
def test_a_byte_source_that_falls_short_is_refused(answer: Any, flow: Any) -> None:
    """Fewer bytes, more, or something else make no secret, and nothing is stored."""
    enroller = flow.another(random_bytes=lambda length: answer)

    with pytest.raises(
        ValueError, match=r"^random_bytes must return exactly the \d+ bytes asked for$"
    ):
        enroller.begin(USER, account_name="sara")
    assert flow.store.load(USER) is None


@pytest.mark.requirement("R-32")
def test_a_spoken_key_names_its_digits() -> None:
    """A screen reader hears each character, digits as words, and where a group ends."""
    assert spoken("JBSWY3DP") == "J, B, S, W; Y, digit three, D, P"
    assert spoken("234567") == (
        "digit two, digit three, digit four, digit five; digit six, digit seven"
    )


def test_parameters_are_those_of_the_uri(setup: Setup) -> None:
    """What stands beside the key is what the URI says: type, algorithm, digits, period."""
    assert setup.parameters == parse(setup.uri).parameters
