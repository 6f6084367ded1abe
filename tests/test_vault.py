"""Sealing, opening and resealing secrets, with keys that are lost, and the source of randomness."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.ciphers import BadCipher, Rotating, Unsure
from helpers.flows import USER, VOUCHED, Make, build, confirmed_of, wrong_for
from otp_enroll import Unencrypted, errors
from otp_enroll.core.secret import Sealed, Secret
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.vault import Vault


@pytest.mark.requirement("R-01")
@pytest.mark.regression_of("B-40")
def test_injected_bytes_are_the_only_randomness(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every other source broken the flow works on the injected one, and is repeatable."""
    import os  # noqa: PLC0415  # broken here alone
    import random  # noqa: PLC0415  # the same
    import secrets  # noqa: PLC0415  # the same

    def broken(*args: object) -> Any:
        raise AssertionError("another source of randomness was used")

    for module, names in (
        (random, ("random", "randbytes")),
        (secrets, ("token_bytes",)),
        (os, ("urandom",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, broken)

    def life() -> list[str]:
        drawn = iter(range(1, 100))
        store = MemoryStore()
        enroller = build(store, flow, random_bytes=lambda length: bytes([next(drawn)]) * length)
        setup = enroller.begin(USER, account_name="sara")
        confirmation = enroller.confirm(USER, flow.phone(setup).code(), setup_id=setup.id)
        return [setup.key, setup.id, *(confirmation.recovery_codes or ())]

    assert life() == life()


@pytest.mark.regression_of("B-40")
@pytest.mark.parametrize("short", [b"", b"\1" * 10, bytearray(20), "x" * 20])
def test_short_read_of_randomness_is_an_error(short: Any, flow: Any) -> None:
    """A source that gives fewer bytes, or something else, makes no secret."""
    enroller = build(MemoryStore(), flow, random_bytes=lambda length: short)
    with pytest.raises(ValueError, match="random_bytes must return exactly"):
        enroller.begin(USER, account_name="sara")
    assert enroller.status(USER).state == "disabled"


@pytest.mark.regression_of("B-38")
@pytest.mark.parametrize("returned", [RuntimeError("boom"), None, "text", 7])
def test_cipher_that_cannot_seal_makes_no_setup(returned: Any, flow: Any) -> None:
    """A secret that cannot be sealed is not stored, and not shown."""
    enroller = build(MemoryStore(), flow, cipher=BadCipher(seal=returned))
    with pytest.raises(errors.UnreadableSecretError):
        enroller.begin(USER, account_name="sara")
    assert enroller.status(USER).state == "disabled"


@pytest.mark.regression_of("B-38")
@pytest.mark.parametrize("returned", [None, "text", 7, b"", bytearray(b"sealed")])
def test_seal_that_returns_no_bytes_has_that_for_a_cause(returned: Any) -> None:
    """Whoever writes a cipher reads in the cause what was wrong with it."""
    vault = Vault(cipher=BadCipher(seal=returned), random_bytes=bytes)
    failure = vault.seal(Secret(bytes(20)), USER, "11bad248")
    assert isinstance(failure, errors.UnreadableSecretError)
    assert isinstance(failure.__cause__, TypeError)
    assert str(failure.__cause__) == "seal returned no bytes"


@pytest.mark.requirement("R-06")
def test_a_vault_does_not_show_its_cipher() -> None:
    """An app's cipher may print its keys, and the vault is a local of every request."""

    class Talkative(BadCipher):
        def __repr__(self) -> str:
            return "key=never shown"

    assert "never shown" not in repr(Vault(cipher=Talkative(), random_bytes=bytes))


@pytest.mark.requirement("R-06")
@pytest.mark.regression_of("B-38")
def test_the_cause_of_a_failure_of_the_cipher_has_no_frames() -> None:
    """Its frames hold the secret; class and text of the cause are left for whoever runs the app."""
    boom = RuntimeError("boom")
    vault = Vault(
        cipher=BadCipher(seal=boom, open=boom, needs_reseal=boom), random_bytes=lambda n: b"\1" * n
    )
    secret = Secret(b"12345678901234567890")
    failed = [
        vault.seal(secret, USER, "11bad248"),
        vault.open(Sealed(b"\0sealed"), USER, "11bad248"),
        vault.needs_reseal(Sealed(b"\0sealed")),
    ]
    for failure in failed:
        assert isinstance(failure, errors.UnreadableSecretError)
        assert failure.__cause__ is boom
        assert boom.__traceback__ is None
        assert failure.__traceback__ is None


def test_begin_without_a_proof_seals_nothing(flow: Any) -> None:
    """A refused begin says why it is refused, also when the cipher could not seal."""
    flow.enroll()
    enroller = flow.another(cipher=BadCipher(seal=RuntimeError("boom")))
    with pytest.raises(errors.ProofRequiredError):
        enroller.begin(USER, account_name="sara")


@pytest.mark.requirement("R-62")
@pytest.mark.regression_of("B-38")
@pytest.mark.parametrize(
    ("verb", "returned"),
    [
        ("open", RuntimeError("boom")),
        ("open", None),
        ("open", "a text of twenty let"),
        ("open", b"too short"),
    ],
)
def test_cipher_that_cannot_open_judges_nothing(verb: str, returned: Any, flow: Any) -> None:
    """Whatever the cipher does wrong, a right code is an error and is not spent."""
    phone, _ = flow.enroll()
    stored = flow.store.load(USER)
    broken = flow.another(cipher=BadCipher(**{verb: returned}))
    with pytest.raises(errors.UnreadableSecretError):
        broken.verify(USER, phone.code())
    assert flow.store.load(USER) == stored
    flow.enroller.verify(USER, phone.code())


@pytest.mark.requirement("R-62")
@pytest.mark.regression_of("B-38", "B-39")
def test_lost_key_is_an_error_and_never_shuts_the_way_back(flow: Any) -> None:
    """With the key lost no code is judged or counted, and recovery code, begin and confirm work."""
    phone, confirmation = flow.enroll()
    lost = {confirmed_of(flow).authenticators[0].sealed.reveal()}

    class LosingCipher:
        def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
            return b"\0" + plaintext

        def open(self, sealed: bytes, *, context: bytes) -> bytes:
            if sealed in lost:
                raise KeyError("2025")
            return sealed[1:]

        def needs_reseal(self, sealed: bytes) -> bool:
            return False

    enroller = flow.another(cipher=LosingCipher())
    stored = flow.store.load(USER)
    for code in (phone.code(), wrong_for(phone)):
        with pytest.raises(errors.UnreadableSecretError) as refusal:
            enroller.verify(USER, code)
        assert isinstance(refusal.value.__cause__, KeyError)
    assert flow.store.load(USER) == stored
    assert enroller.status(USER).state == "confirmed"
    verification = enroller.verify(USER, confirmation.recovery_codes[0])
    setup = enroller.begin(USER, account_name="sara", proof=verification)
    new = flow.phone(setup)
    enroller.confirm(USER, new.code(), setup_id=setup.id)
    enroller.verify(USER, new.code(1))


@pytest.mark.regression_of("B-38")
@pytest.mark.parametrize(
    "broken", [{"needs_reseal": RuntimeError("boom")}, {"needs_reseal": True, "seal": None}]
)
def test_failed_resealing_on_the_way_fails_no_login(broken: dict[str, Any], flow: Any) -> None:
    """That a secret cannot be sealed anew is no reason to refuse a code; maintenance says so."""
    phone, _ = flow.enroll()
    enroller = flow.another(cipher=BadCipher(**broken))
    assert enroller.verify(USER, phone.code()).method == "code"
    report = enroller.reseal()
    assert (report.resealed, report.unreadable) == (0, 1)


def test_login_seals_anew_what_an_older_key_sealed(make_flow: Make) -> None:
    """A code that opens an old secret also seals it under the newest key, in the same write."""
    flow = make_flow(cipher=Rotating())
    phone, _ = flow.enroll()
    flow.cipher.key = 2
    saves = flow.store.saves
    flow.enroller.verify(USER, phone.code())
    assert flow.store.saves == saves + 1
    flow.cipher.lost = {1}
    flow.clock.advance(30)
    flow.enroller.verify(USER, phone.code())


def test_login_leaves_what_the_newest_key_sealed(make_flow: Make) -> None:
    """A login that is written has no reason to seal a secret again, and does not."""
    flow = make_flow(cipher=AESGCMKeyRing({"2026": bytes(32)}))  # no two of its seals are equal
    phone, _ = flow.enroll()
    (before,) = confirmed_of(flow).authenticators
    flow.enroller.verify(USER, phone.code())
    (after,) = confirmed_of(flow).authenticators
    assert after.sealed == before.sealed
    assert after != before


def test_resealing_opens_what_an_older_key_sealed_and_nothing_else(make_flow: Make) -> None:
    """A row of the newest key is not written, and a lost key leaves its row as it was."""
    flow = make_flow(cipher=Rotating())
    flow.enroll()
    stored = flow.store.load(USER)
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable) == (0, 0)
    flow.cipher.key, flow.cipher.lost = 2, {1}
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable, report.keys_needed) == (0, 1, {})
    assert flow.store.load(USER) == stored


@pytest.mark.requirement("R-91")
@pytest.mark.parametrize("cipher", [Rotating, Unsure])
def test_resealing_goes_on_behind_a_secret_that_stays_shut(make_flow: Make, cipher: Any) -> None:
    """What can be opened is sealed anew, although a secret before it cannot."""
    flow = make_flow(cipher=cipher())
    flow.enroll()
    flow.cipher.key = 2
    tablet = flow.add("tablet", VOUCHED)
    flow.cipher.key, flow.cipher.lost = 3, {1}
    report = flow.enroller.reseal()
    assert (report.resealed, report.unreadable) == (1, 1)
    flow.cipher.lost = {1, 2}
    flow.enroller.disable(USER, authenticator="default", proof=VOUCHED)
    assert flow.enroller.verify(USER, tablet.code()).authenticator == "tablet"


class Wrapped(Unencrypted):
    """A cipher over a key service, which raises one exception from another, or several at once."""

    def __init__(self, at: str) -> None:
        self.at = at

    def fail(self, secret: bytes) -> None:
        try:
            _ = {b"": secret}[b"a key of the service"]
        except KeyError as inner:
            raise RuntimeError("no connection") from inner

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        if self.at == "seal":
            self.fail(plaintext)
        return super().seal(plaintext, context=context)

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        opened = super().open(sealed, context=context)
        if self.at == "open":
            self.fail(opened)
        return opened


@pytest.mark.requirement("R-06")
@pytest.mark.parametrize("at", ["seal", "open"])
def test_whole_chain_of_what_a_cipher_raised_has_no_frames(at: str, make_flow: Any) -> None:
    """Not only the outermost exception of a cipher lets go of the frames that hold the secret."""
    flow = make_flow(cipher=Wrapped("never"))
    setup = flow.enroller.begin(USER, account_name="sara")
    flow.cipher.at = at
    with pytest.raises(errors.UnreadableSecretError) as failure:
        if at == "open":
            flow.enroller.resume(USER, setup_id=setup.id)
        else:
            flow.enroller.begin(USER, account_name="sara")
    link, links = failure.value.__cause__, 0
    while link is not None:
        assert link.__traceback__ is None
        link, links = link.__cause__ or link.__context__, links + 1
    assert links == 2


class Several(Exception):  # noqa: N818  # stands for an ExceptionGroup, which 3.10 has not
    """Several exceptions at once, as a group of them is; asked without end, it says so."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = errors
        self.looks = 0

    @property
    def exceptions(self) -> tuple[Exception, ...]:
        """The members, a few times."""
        self.looks += 1
        assert self.looks < 5, "a chain that leads back to itself was followed again and again"
        return self.errors


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """Return an exception that was raised, with the frame in which it was."""
    with pytest.raises(type(error)):
        raise error from cause
    return error


@pytest.mark.requirement("R-06")
def test_every_member_of_a_group_that_a_cipher_raised_has_no_frames() -> None:
    """All members let go of their frames with all that led to them, also in a circle."""
    root, other = raised(OSError("no route")), raised(KeyError("2025"))
    members = (raised(RuntimeError("first"), root), raised(RuntimeError("second"), other))
    several = Several(*members)
    other.__cause__ = several  # as a retry may leave it, that raises the first failure again
    assert all(link.__traceback__ is not None for link in (root, other, *members))
    vault = Vault(cipher=BadCipher(open=several), random_bytes=bytes)
    failure = vault.open(Sealed(b"\0sealed"), USER, "11bad248")
    assert isinstance(failure, errors.UnreadableSecretError)
    assert failure.__cause__ is several
    for link in (root, other, *members, several):
        assert link.__traceback__ is None


@pytest.mark.parametrize("length", [14, 16, 128])
def test_secret_of_any_length_that_can_be_stored_opens(length: int) -> None:
    """Short ones, too, which an older system made and which were imported when that was allowed."""
    secret = Secret(bytes(range(length)), allow_short=True)
    vault = Vault(cipher=Unencrypted(), random_bytes=bytes)
    sealed = vault.seal(secret, USER, "11bad248")
    assert isinstance(sealed, Sealed)
    assert vault.open(sealed, USER, "11bad248") == secret


class Forgetful(Unencrypted):
    """A cipher that wants all sealed again, and then returns something else."""

    returns: bytes | None = None

    def needs_reseal(self, sealed: bytes) -> bool:
        return self.returns is not None

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        sealed = super().seal(plaintext, context=context)
        return sealed if self.returns is None else self.returns


@pytest.mark.requirement("R-91")
@pytest.mark.parametrize("returned", [b"", b"x", b"\0" + bytes(20)], ids=["none", "shut", "other"])
def test_seal_that_does_not_open_again_replaces_none(returned: bytes, make_flow: Any) -> None:
    """What is stored nowhere else stays as it is until the new seal opens to the same secret."""
    flow = make_flow(cipher=Forgetful())
    phone, _ = flow.enroll()
    before = confirmed_of(flow).authenticators[0].sealed
    flow.cipher.returns = returned
    flow.enroller.verify(USER, phone.code())
    assert confirmed_of(flow).authenticators[0].sealed == before
    assert flow.enroller.reseal().unreadable == 1
    flow.cipher.returns = None
    flow.clock.advance(60)
    flow.enroller.verify(USER, phone.code())


class AwaitedCipher(Unencrypted):
    """A cipher whose seal nobody would await."""

    async def seal(self, plaintext: bytes, *, context: bytes) -> bytes:  # type: ignore[override]  # wrong on purpose
        return plaintext


def test_what_nobody_would_await_is_refused(make_flow: Any) -> None:
    """A cipher or a source of randomness with a coroutine function is refused when it is built."""

    async def draw(length: int) -> bytes:
        return bytes(length)

    with pytest.raises(TypeError, match="method seal must not be a coroutine function"):
        make_flow(cipher=AwaitedCipher())
    with pytest.raises(TypeError, match="random_bytes must be a function"):
        make_flow().another(random_bytes=draw)
