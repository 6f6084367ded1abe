"""Secrets: what no repr, log or copy gives away, and the Base32 text of a key both ways."""

from __future__ import annotations

import base64
import hashlib
import json
import traceback
from hmac import compare_digest
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.hidden import RAW, assert_hidden
from otp_enroll.core.oath import code_at
from otp_enroll.core.secret import (
    ALPHABET,
    Secret,
    SetupId,
    decode_base32,
    encode_base32,
    grouped,
    suggest,
)
from otp_enroll.core.typed_text import read_key
from otp_enroll.policy import Parameters

BASE32 = json.loads((Path(__file__).parents[1] / "vectors.json").read_text("utf-8"))[
    "rfc4648-10-plus"
]
KEY = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
SECRET = Secret(RAW)
ALL_LETTERS = Secret(base64.b32decode("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))


raw_secrets = st.binary(min_size=16, max_size=128)


@pytest.mark.requirement("R-02")
@pytest.mark.regression_of("B-40")
@pytest.mark.parametrize("length", [0, 10, 13, 14, 15])
def test_a_short_secret_is_refused(length: int) -> None:
    """Less than 16 bytes is no secret, and the error says how many there are."""
    message = rf"^a secret has 16 to 128 bytes, and this one has {length}$"

    with pytest.raises(ValueError, match=message):
        Secret(b"x" * length)


@pytest.mark.requirement("R-02")
@pytest.mark.parametrize("length", [16, 20, 32, 64, 128])
def test_a_secret_of_at_least_128_bits_is_taken(length: int) -> None:
    """16 bytes and more make a secret, up to 128."""
    assert len(Secret(b"x" * length).reveal()) == length


@pytest.mark.requirement("R-02")
def test_a_secret_of_112_bits_is_taken_when_asked_for_by_name() -> None:
    """14 and 15 bytes of an older system pass by ``allow_short``; 13 never does, nor 129."""
    assert Secret(b"x" * 14, allow_short=True).reveal() == b"x" * 14
    assert Secret.from_base32(encode_base32(b"x" * 15), allow_short=True).reveal() == b"x" * 15
    for length in (13, 129):
        with pytest.raises(ValueError, match=rf"^a secret has 14 to 128 bytes.* has {length}$"):
            Secret(b"x" * length, allow_short=True)
    with pytest.raises(ValueError, match=r"^a secret has 16 to 128 bytes"):
        Secret.from_base32(encode_base32(b"x" * 15))


@pytest.mark.requirement("R-06", "R-25")
@pytest.mark.parametrize("text", [KEY[:-10], KEY + "1", KEY + "==A", KEY * 20])
def test_a_refused_key_is_in_no_traceback(text: str) -> None:
    """Whatever is wrong with a key, no frame of the library and no error shows it."""
    for read in (Secret.from_base32, decode_base32):
        fault: BaseException | None = None
        try:
            read(text)
        except ValueError as error:
            fault = error
        if fault is None:
            assert read is decode_base32  # a short key decodes, but makes no secret
            continue
        trace = traceback.TracebackException.from_exception(fault, capture_locals=True)
        ours = [str(frame.locals) for frame in trace.stack if "otp_enroll" in frame.filename]
        assert ours
        assert_hidden(f"{fault} {ours}", KEY[:8].encode())
        assert KEY[:8] not in f"{fault} {ours}"


@pytest.mark.requirement("R-08")
@pytest.mark.parametrize(("raw", "text"), BASE32["encode"])
def test_base32_is_that_of_the_rfc_without_padding(raw: str, text: str) -> None:
    """RFC 4648 §10, upper case and unpadded."""
    assert encode_base32(raw.encode()) == text


@pytest.mark.requirement("R-08", "R-10")
@pytest.mark.parametrize(
    ("raw", "text"), [*BASE32["encode"][1:], *BASE32["padded"][:4], BASE32["padded"][5]]
)
def test_base32_of_the_rfc_is_read(raw: str, text: str) -> None:
    """RFC 4648 §10, with padding and without."""
    assert decode_base32(text) == raw.encode()
    assert decode_base32(text.lower()) == raw.encode()


@pytest.mark.requirement("R-08")
@pytest.mark.parametrize(
    ("size", "letters"), [(int(k), v) for k, v in BASE32["lengths_bytes_chars"].items()]
)
def test_the_length_of_a_key(size: int, letters: int) -> None:
    """A key of n bytes has as many letters as the vectors say."""
    assert len(encode_base32(b"\xff" * size)) == letters


@pytest.mark.requirement("R-08", "R-09")
@given(raw_secrets)
def test_a_key_read_back_is_the_secret(raw: bytes) -> None:
    """A key, in one piece or in groups of four with spaces, decodes to the secret it spells."""
    secret = Secret(raw)

    assert Secret.from_base32(secret.base32) == secret
    assert Secret.from_base32(" ".join(secret.groups).lower()) == secret
    assert set(secret.base32) <= set(ALPHABET)
    assert secret.base32 == base64.b32encode(raw).decode().rstrip("=")


@pytest.mark.requirement("R-09")
@pytest.mark.regression_of("B-35")
@given(raw_secrets)
def test_groups_are_of_four_and_lose_nothing(raw: bytes) -> None:
    """Joined, the groups are the key; all but the last have four characters, all are ASCII."""
    secret = Secret(raw)

    assert "".join(secret.groups) == secret.base32
    assert {len(group) for group in secret.groups[:-1]} == {4}
    assert 1 <= len(secret.groups[-1]) <= 4
    assert " ".join(secret.groups).isascii()


@pytest.mark.requirement("R-10", "R-40")
@pytest.mark.parametrize(
    "text",
    [*BASE32["accept_same_as"]["JBSWY3DPEHPK3PXP"], "JBSWY۳DPEHPK٣PXP", "JBSWY3DPEHPK3PXP======"],
)
def test_a_key_is_read_as_people_write_it(text: str) -> None:
    """Lower case, spaces, dashes, direction marks, padding and other digits are accepted."""
    assert decode_base32(text).hex() == BASE32["keyuri"]["hex"]


@pytest.mark.requirement("R-10")
@pytest.mark.parametrize("text", BASE32["reject"])
def test_what_no_encoder_writes_is_refused(text: str) -> None:
    """Other characters, impossible lengths, left-over bits and nothing at all are refused."""
    with pytest.raises(ValueError, match=r"^(character \d+ |no key has \d+ |the )"):
        decode_base32(text)


@pytest.mark.requirement("R-10")
def test_left_over_bits_are_refused() -> None:
    """MZ decodes to f elsewhere, but no encoder writes it: some letter of it is wrong."""
    assert decode_base32("MY") == b"f"
    with pytest.raises(ValueError, match=r"^the last character does not fit"):
        decode_base32("MZ")


@pytest.mark.requirement("R-10")
@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("0BSWY3DP", 1),
        ("JBSW Y3D1", 9),
        ("jbsw-8", 6),
        ("\u2066JB9", 4),
        ("JB!", 3),
        ("JB\u017fW", 3),
        ("JBßW", 3),
        ("JBＡW", 3),  # full width
        ("JBSW=Y3DP", 6),
    ],
)
def test_the_wrong_character_is_named_by_its_position(text: str, position: int) -> None:
    """The position counts from 1 in the text as typed, spaces and marks included."""
    for read in (Secret.from_base32, decode_base32):
        with pytest.raises(ValueError, match=rf"^character {position} is not one of A-Z and 2-7$"):
            read(text)


@pytest.mark.requirement("R-10")
@pytest.mark.parametrize("letters", [1, 3, 6, 9, 11, 14])
def test_an_impossible_length_is_told(letters: int) -> None:
    """No number of bytes is spelt in 1, 3 or 6 letters more than a multiple of 8."""
    with pytest.raises(ValueError, match=rf"^no key has {letters} characters$"):
        decode_base32("A" * letters)


@pytest.mark.regression_of("B-41")
def test_an_endless_key_is_refused() -> None:
    """More than 512 characters are refused before they are looked at."""
    assert len(decode_base32("A" * 512)) == 320
    with pytest.raises(ValueError, match=r"^the key is too long$"):
        decode_base32("A" * 513)
    with pytest.raises(ValueError, match=r"^the key is too long$"):
        decode_base32("A" * 10_000_000)


@pytest.mark.requirement("R-10")
@given(
    st.one_of(
        st.text(), st.text(st.sampled_from([*ALPHABET, *ALPHABET.lower(), *" -=01\u017f\u00df"]))
    )
)
def test_any_text_decodes_to_what_encodes_it_or_is_refused(text: str) -> None:
    """A text that is taken is the spelling of its bytes, up to case, spaces and padding."""
    try:
        raw = decode_base32(text)
    except ValueError:
        return
    assert encode_base32(raw) == read_key(text).text


@pytest.mark.requirement("R-11")
@pytest.mark.parametrize(("typed", "keys"), BASE32["suggest"].items())
def test_a_mistyped_key_has_suggestions(typed: str, keys: list[str]) -> None:
    """0 was an O, 8 a B, and 1 an I or an L: both are offered."""
    assert sorted(suggest(typed)) == keys
    assert sorted(suggest(f"{typed[:4]} {typed[4:].lower()}\n")) == keys


@pytest.mark.requirement("R-11")
@pytest.mark.parametrize(
    "typed",
    ["JBSWY3DPEHPK3PX9", "JBSWY3DP!", "", "0", "11111111", "MZXW6YT8OI=", "ß" * 4, "\u017fBSWY3DP"],
)
def test_a_hopeless_key_has_no_suggestion(typed: str) -> None:
    """Another wrong character, too many guesses, or nothing that decodes: no suggestion."""
    expected = ("MZXW6YTBOI",) if typed == "MZXW6YT8OI=" else ()

    assert tuple(guess.rstrip("=") for guess in suggest(typed)) == expected


@pytest.mark.requirement("R-11")
def test_sixteen_suggestions_are_offered_and_no_more() -> None:
    """Four letters that are an I or an L make sixteen keys; a fifth makes too many."""
    assert len(suggest("1111AAAA")) == len(set(suggest("1111AAAA"))) == 16
    assert suggest("11111AAA") == ()


@pytest.mark.requirement("R-11")
@given(st.text(st.sampled_from([*ALPHABET, *"0189 -=\u017f\u00df"]), max_size=600))
def test_every_suggestion_decodes(typed: str) -> None:
    """Whatever is suggested is a key, and differs from what was typed in look-alikes alone."""
    for guess in suggest(typed):
        assert decode_base32(guess)
        for was, now in zip(read_key(typed).text, guess, strict=False):
            assert now in {"0": "O", "8": "B", "1": "IL"}.get(was, was)
    assert len(suggest(typed)) <= 16


@pytest.mark.requirement("R-12")
def test_a_right_copy_has_no_differing_group() -> None:
    """The key itself, and the key as people type it, is a right copy."""
    assert SECRET.differing_groups(KEY) == ()
    assert SECRET.differing_groups(read_key(" ".join(grouped(KEY)).lower()).text) == ()


@pytest.mark.requirement("R-12")
def test_each_confusion_that_base32_rules_out_passes() -> None:
    """0 for O, 8 for B, 1 for I and 1 for L pass wherever they stand."""
    found = set()
    for secret in (SECRET, ALL_LETTERS):
        for place, letter in enumerate(secret.base32):
            for typed, meant in (("0", "O"), ("8", "B"), ("1", "I"), ("1", "L")):
                if letter == meant:
                    copied = secret.base32[:place] + typed + secret.base32[place + 1 :]
                    assert secret.differing_groups(copied) == ()
                    found.add((typed, meant))
    assert len(found) == 4


@pytest.mark.requirement("R-12")
@pytest.mark.parametrize("secret", [SECRET, ALL_LETTERS], ids=["RFC", "all letters"])
def test_each_real_change_of_one_letter_is_found_in_its_group(secret: Secret) -> None:
    """Any other character, I for L and L for I among them, is named by its group, from 1."""
    key = secret.base32
    passes = {("O", "0"), ("B", "8"), ("I", "1"), ("L", "1")}
    for place, letter in enumerate(key):
        for other in ALPHABET + "0189!é\ud800ЈА":  # Cyrillic look-alikes
            if other != letter and (letter, other) not in passes:
                copied = key[:place] + other + key[place + 1 :]
                assert secret.differing_groups(copied) == (place // 4 + 1,), (letter, other)


@pytest.mark.requirement("R-12")
def test_i_and_l_are_two_letters() -> None:
    """A paper with an L for an I restores another secret, so the copy is wrong."""
    assert {"I", "L"} <= set(ALL_LETTERS.base32)
    for letter, other in (("I", "L"), ("L", "I")):
        swapped = ALL_LETTERS.base32.replace(letter, other)
        assert ALL_LETTERS.differing_groups(swapped) == (3,)
        assert Secret.from_base32(swapped) != ALL_LETTERS


@pytest.mark.requirement("R-12")
@pytest.mark.parametrize(
    ("copied", "groups"),
    [
        ("", (1, 2, 3, 4, 5, 6, 7, 8)),
        (KEY[:-1], (8,)),
        (KEY[:-4], (8,)),
        (KEY[4:], (1, 2, 3, 4, 5, 6, 7, 8)),
        (KEY + "A", (9,)),
        (KEY + "AAAAA", (9, 10)),
        ("A" + KEY[1:-1] + "A", (1, 8)),
    ],
)
def test_a_short_or_long_copy_is_wrong_where_it_ends(copied: str, groups: tuple[int, ...]) -> None:
    """Missing letters and letters too many are named by their groups."""
    assert SECRET.differing_groups(copied) == groups


@pytest.mark.requirement("R-12")
@pytest.mark.parametrize(
    ("letters", "typed"), [("S", "\u017f"), ("I", "\u0131"), ("SS", "\u00df"), ("FI", "\ufb01")]
)
def test_a_letter_of_another_alphabet_is_no_copy(letters: str, typed: str) -> None:
    """What only becomes a letter of the alphabet in upper case was not copied from the key."""
    key = letters + KEY[len(letters) :]
    copied = read_key(typed + key[len(letters) :])

    assert Secret.from_base32(key).differing_groups(copied.text) != ()


@pytest.mark.requirement("R-12")
@pytest.mark.parametrize("place", range(32))
def test_a_copy_is_compared_to_its_end(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many comparisons are made for a letter that is wrong early, late or nowhere, or alike."""
    compared: list[bytes] = []

    def spy(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return compare_digest(one, other)

    monkeypatch.setattr("otp_enroll.core.secret.hmac.compare_digest", spy)
    SECRET.differing_groups(KEY)
    right = len(compared)
    for letter in "9081":
        SECRET.differing_groups(KEY[:place] + letter + KEY[place + 1 :])

    assert right >= 32
    assert len(compared) == 5 * right


@pytest.mark.requirement("R-13")
def test_the_check_word_is_a_digest_of_its_own() -> None:
    """Four letters of a SHA-256 over a domain tag and the secret."""
    digest = hashlib.sha256(b"otp_enroll/1\0check word\0" + RAW).digest()

    assert base64.b32encode(digest)[:4].decode() == SECRET.check_word
    assert Secret(RAW).check_word == SECRET.check_word


@pytest.mark.requirement("R-13")
def test_the_check_word_is_no_code() -> None:
    """The word tells nothing of a code that would be live for a HOTP."""
    first = code_at(SECRET, Parameters(type="hotp"), 0)

    assert first not in SECRET.check_word
    assert encode_base32(int(first).to_bytes(20, "big"))[:4] != SECRET.check_word


@pytest.mark.requirement("R-13")
@pytest.mark.parametrize("secret", [SECRET, ALL_LETTERS], ids=["RFC", "all letters"])
def test_each_change_of_one_letter_changes_the_check_word(secret: Secret) -> None:
    """No single wrong letter in these keys leaves the check word as it was."""
    key = secret.base32
    for place in range(len(key)):
        for other in set(ALPHABET) - {key[place]}:
            wrong = Secret.from_base32(key[:place] + other + key[place + 1 :])
            assert wrong.check_word != secret.check_word


@given(st.binary(min_size=32, max_size=32), st.text(max_size=30))
def test_the_digest_of_a_setup_id_is_bound_to_the_user(fresh: bytes, user_id: str) -> None:
    """An id has 43 URL-safe characters; its digest differs for another user and another id."""
    user_id = user_id.encode("utf-8", "ignore").decode()
    setup_id = SetupId.from_bytes(fresh)

    assert len(setup_id.text) == 43
    assert base64.urlsafe_b64decode(setup_id.text + "=") == fresh
    assert SetupId.from_text(setup_id.text) == setup_id
    assert setup_id.digest(user_id) == SetupId.from_text(setup_id.text).digest(user_id)
    assert setup_id.digest(user_id) != setup_id.digest(user_id + "x")
    assert setup_id.digest(user_id) != SetupId.from_text(setup_id.text + "x").digest(user_id)
    assert setup_id.digest(user_id) != hashlib.sha256(setup_id.reveal()).digest()


def test_the_digest_of_a_setup_id_is_stored_format() -> None:
    """SHA-256 over a domain tag, the user and the id: a setup outlives a new version of ours."""
    setup_id = SetupId.from_bytes(bytes(32))
    text = b"otp_enroll/1\0setup id\0user-42\0" + b"A" * 43
    assert setup_id.digest("user-42") == hashlib.sha256(text).digest()


@given(st.text())
def test_any_text_can_be_compared_as_a_setup_id(text: str) -> None:
    """What a request brings need not be well-formed, nor encodable, to be compared."""
    assert len(SetupId.from_text(text).digest("user-42")) == 32
