"""Documents of every schema that was ever written: they must open, verify and spend for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from otp_enroll import Enroller, StoredEnrollment, Unencrypted, errors
from otp_enroll.core.oath import code_at, counter_at
from otp_enroll.core.secret import Secret
from otp_enroll.core.states import Confirmed, Disabled, Pending
from otp_enroll.policy import Parameters
from otp_enroll.storage import codec
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.storage.protocol import SecretCipher

pytestmark = pytest.mark.requirement("R-93")

FOLDER: Final = Path(__file__).parent / "golden"
USER: Final = "user-42"
BEGAN: Final = 1_800_000_000

FIRST_KEY: Final = "43JDHH35MG52S2RFJQJJCAFOAK7IUD4U"
SECOND_KEY: Final = "22KH3I6DVNHTBILY3EP25GC2ZQPED3BI"
WATCH_KEY: Final = (
    "WBQFBTW6CFQEJ6J6TUOEV5LZJZMXWI4DYXYETGVZSUZEK33UXC56"
    "6BY3M2O5TWPEZMI7GWG4QOTFF5ZK6BIH2BRYVXQOFQIIZHCIRQI"
)
WATCH: Final = Parameters(algorithm="SHA512", digits=8, period=60)
TABLET: Final = "تبلت"
PENDING_SETUP_ID: Final = "Wt-NSfyJvSjMlaI1oMOQCYFvTeQ64zrEa8A3En3hPnw"
STAGED_SETUP_ID: Final = "35D3nVSMDyzyIymsX8klQSit67kuwEmsm7CSffvCW2A"
RECOVERY_CODES: Final = (
    "EGH9-MC84-3BCF-746X-QPP7-CKFC",
    "HBZR-DEGW-RD5S-MAA6-VE19-RFPM",
    "H63H-7VRM-XAJ9-FRMP-CYZ3-E7Y9",
    "JQ68-QDES-1MVN-PQ94-RDME-KFEZ",
    "JR24-0FX2-W2SM-PJ67-C5WE-YGX5",
    "42WR-B4K0-58BT-WCZN-AX9N-44VC",
    "FA0X-T1YW-PSY7-16AQ-BMF7-3Y9W",
    "QNV7-BE2G-W3RF-QN84-TTT5-81K8",
    "3PA2-VA1H-QFFV-6RQD-ASBN-5VM8",
    "QDER-FWZ7-4H32-2BZD-M60K-DZPE",
)

EVERY: Final = tuple(sorted(path.name for path in FOLDER.glob("*.json")))
CIPHERS: Final[dict[str, SecretCipher]] = {
    "aesgcm": AESGCMKeyRing({"golden": bytes(range(32))}),
    "unencrypted": Unencrypted(),
}
EACH_CIPHER: Final = pytest.mark.parametrize("sealed", sorted(CIPHERS))


def record_of(name: str) -> StoredEnrollment:
    return StoredEnrollment(**json.loads((FOLDER / name).read_text("utf-8")))


class Account(NamedTuple):
    """A golden record in a store, with an enroller that can open it."""

    store: MemoryStore
    enroller: Enroller


def account_of(state: str, sealed: str, now: int) -> Account:
    """Put the golden record of a state into a store, at a time."""
    store = MemoryStore()
    assert store.save(record_of(f"schema-1-{state}-{sealed}.json"), expected=None)
    return Account(
        store, Enroller(store, issuer="Exir", cipher=CIPHERS[sealed], clock=lambda: float(now))
    )


def code_of(key: str, now: int) -> str:
    return code_at(Secret.from_base32(key), Parameters(), counter_at(now, 30))


def content(record: StoredEnrollment) -> dict[str, Any]:
    """Return a document without the trail, which each save lengthens."""
    document: dict[str, Any] = json.loads(record.document)
    document.pop("trail", None)
    return document


def test_every_schema_has_golden_documents() -> None:
    """Each schema from the first to the present one has a document of every state."""
    states = ("disabled", "pending", "confirmed", "staged", "waiting", "locked", "used", "future")
    for schema in range(1, codec.SCHEMA + 1):
        for state in states:
            assert [name for name in EVERY if name.startswith(f"schema-{schema}-{state}")]
    assert len(EVERY) == 15


@pytest.mark.parametrize("name", EVERY)
def test_golden_documents_decode(name: str) -> None:
    """A golden document is read as the state that its name tells."""
    enrollment, envelope = codec.decode(record_of(name))
    state = name.removesuffix(".json").split("-")[2]
    kinds = {"disabled": Disabled, "pending": Pending}
    assert kinds.get(state, Confirmed) is type(enrollment)
    assert set(envelope.extra) == ({"future"} if state == "future" else set())


@pytest.mark.parametrize("name", [name for name in EVERY if f"schema-{codec.SCHEMA}-" in name])
def test_golden_documents_are_written_as_they_were(name: str) -> None:
    """What this version writes of a golden document is the golden document, byte for byte."""
    record = record_of(name)
    enrollment, envelope = codec.decode(record)
    again = codec.encode(
        enrollment,
        envelope,
        user_id=record.user_id,
        revision="0" * 32,
        replaces=None,
        changed_at=record.changed_at,
    )
    assert (record.state, record.setup_expires_at) == (again.state, again.setup_expires_at)
    assert json.loads(record.document) == json.loads(again.document)
    if "future" not in name:  # what we do not know is written before what we know
        assert record.document == again.document


def test_golden_disabled_account_remembers_the_change() -> None:
    """A disabled account tells when it changed, and a first setup can begin on it."""
    store = MemoryStore()
    assert store.save(record_of("schema-1-disabled.json"), expected=None)
    enroller = Enroller(store, issuer="Exir", cipher=Unencrypted())
    status = enroller.status(USER)
    assert (status.state, status.required) == ("disabled", False)
    assert status.changed_at is not None
    assert status.changed_at.timestamp() == BEGAN + 60
    assert enroller.begin(USER, account_name="sara@example.com").replaces is False


@EACH_CIPHER
def test_golden_pending_setup_resumes_and_confirms(sealed: str) -> None:
    """A pending setup shows the key that was made then, and a code of it confirms."""
    _, enroller = account_of("pending", sealed, BEGAN + 300)
    setup = enroller.resume(USER, setup_id=PENDING_SETUP_ID)
    assert setup.key == FIRST_KEY
    confirmation = enroller.confirm(
        USER, code_of(FIRST_KEY, BEGAN + 300), setup_id=PENDING_SETUP_ID
    )
    assert confirmation.recovery_codes is not None
    assert enroller.status(USER).state == "confirmed"


@EACH_CIPHER
def test_golden_confirmed_account_verifies_and_spends(sealed: str) -> None:
    """A confirmed account takes a code and each of its recovery codes, once."""
    now = BEGAN + 60
    _, enroller = account_of("confirmed", sealed, now)
    assert enroller.verify(USER, code_of(FIRST_KEY, now)).method == "code"
    with pytest.raises(errors.CodeReusedError):
        enroller.verify(USER, code_of(FIRST_KEY, now))
    left = [enroller.verify(USER, code).recovery_codes_left for code in RECOVERY_CODES]
    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    with pytest.raises(errors.CodeReusedError):
        enroller.verify(USER, RECOVERY_CODES[0])


@EACH_CIPHER
def test_golden_confirmed_account_refuses_the_code_that_confirmed_it(sealed: str) -> None:
    """The code that confirmed the account then is still spent."""
    _, enroller = account_of("confirmed", sealed, BEGAN)
    with pytest.raises(errors.CodeReusedError):
        enroller.verify(USER, code_of(FIRST_KEY, BEGAN))


@EACH_CIPHER
def test_golden_staged_setup_stands_beside_the_working_secret(sealed: str) -> None:
    """The working secret verifies, the staged one resumes, and confirming swaps the two."""
    now = BEGAN + 120
    _, enroller = account_of("staged", sealed, now)
    assert enroller.verify(USER, code_of(FIRST_KEY, now)).authenticator == "default"
    setup = enroller.resume(USER, setup_id=STAGED_SETUP_ID)
    assert (setup.key, setup.replaces) == (SECOND_KEY, True)
    assert setup.account_name == "sara@example.com (2)"
    with pytest.raises(errors.WrongCodeError) as wrong:
        enroller.confirm(USER, "000000", setup_id=STAGED_SETUP_ID)
    assert wrong.value.attempts_left == 8
    confirmation = enroller.confirm(USER, code_of(SECOND_KEY, now), setup_id=STAGED_SETUP_ID)
    assert (confirmation.replaced, confirmation.recovery_codes) == (True, None)
    with pytest.raises(errors.WrongCodeError):
        enroller.verify(USER, code_of(FIRST_KEY, now + 30))


@EACH_CIPHER
@pytest.mark.parametrize(("key", "name"), [(FIRST_KEY, "default"), (SECOND_KEY, TABLET)])
def test_golden_waiting_account_waits_and_then_verifies(sealed: str, key: str, name: str) -> None:
    """Six wrong codes make the account wait to the second; either authenticator ends it."""
    _, enroller = account_of("waiting", sealed, BEGAN + 86_760)
    with pytest.raises(errors.TooManyAttemptsError) as waiting:
        enroller.verify(USER, code_of(key, BEGAN + 86_760))
    assert waiting.value.retry_at is not None
    assert waiting.value.retry_at.timestamp() == BEGAN + 86_790
    _, enroller = account_of("waiting", sealed, BEGAN + 86_790)
    assert enroller.verify(USER, code_of(key, BEGAN + 86_790)).authenticator == name
    with pytest.raises(errors.CodeReusedError):
        enroller.verify(USER, RECOVERY_CODES[3])
    enrollment, _ = codec.decode(record_of(f"schema-1-waiting-{sealed}.json"))
    assert isinstance(enrollment, Confirmed)
    assert enrollment.budgets.code.failures_in_30_days == 9


@EACH_CIPHER
def test_golden_locked_account_opens_with_a_recovery_code(sealed: str) -> None:
    """A locked account refuses a right code, waits for recovery codes, then takes one."""
    store, enroller = account_of("locked", sealed, BEGAN + 353_100)
    with pytest.raises(errors.LockedError) as locked:
        enroller.verify(USER, code_of(FIRST_KEY, BEGAN + 353_100))
    assert locked.value.recovery_codes_left == 8
    with pytest.raises(errors.TooManyAttemptsError):
        enroller.verify(USER, RECOVERY_CODES[1])
    later = Enroller(
        store, issuer="Exir", cipher=CIPHERS[sealed], clock=lambda: float(BEGAN + 353_130)
    )
    for spent in (RECOVERY_CODES[0], RECOVERY_CODES[9]):
        with pytest.raises(errors.CodeReusedError):
            later.verify(USER, spent)
    verification = later.verify(USER, RECOVERY_CODES[1])
    assert (verification.locked, verification.recovery_codes_left) == (True, 7)


@EACH_CIPHER
def test_golden_account_without_failures_keeps_what_is_spent(sealed: str) -> None:
    """A document that does not mention a budget is of an account that may guess five times."""
    now = BEGAN + 60
    store, enroller = account_of("used", sealed, now)
    assert "budgets" not in content(record_of(f"schema-1-used-{sealed}.json"))
    with pytest.raises(errors.CodeReusedError):
        enroller.verify(USER, code_of(FIRST_KEY, now))
    with pytest.raises(errors.CodeReusedError):
        enroller.verify(USER, RECOVERY_CODES[0])
    status = enroller.status(USER)
    assert status.recovery_codes_left == 9
    assert status.authenticators[0].last_used_at is not None
    assert status.authenticators[0].last_used_at.timestamp() == now
    with pytest.raises(errors.WrongCodeError) as wrong:
        enroller.verify(USER, "000000")
    assert wrong.value.attempts_left == 4
    later = Enroller(store, issuer="Exir", cipher=CIPHERS[sealed], clock=lambda: float(now + 30))
    later.verify(USER, code_of(FIRST_KEY, now + 30))
    assert later.verify(USER, RECOVERY_CODES[1]).recovery_codes_left == 8


def future_of(value: Any) -> list[str]:
    """Return of which objects a document still has what a newer version put there."""
    found: list[str] = []
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if name == "future":
            found.append(inner["of"])
        elif isinstance(inner, (dict, list)):
            found += future_of(inner)
    return sorted(found)


@EACH_CIPHER
def test_golden_account_keeps_what_a_newer_version_put_into_each_object(sealed: str) -> None:
    """Keys that we do not know stand in every object, and go with their object alone."""
    now = BEGAN + 120
    store, enroller = account_of("future", sealed, now)
    name = f"schema-1-future-{sealed}.json"
    every = ["account", "budgets", "code", "first", "recovery", "recovery waits"]
    every += ["setup", "waits", "watch"]
    assert future_of(content(record_of(name))) == every
    watch = code_at(Secret.from_base32(WATCH_KEY), WATCH, counter_at(now, WATCH.period))
    assert enroller.verify(USER, watch).authenticator == "watch"
    with pytest.raises(errors.WrongCodeError) as wrong:
        enroller.verify(USER, "Z" * 24)
    assert wrong.value.attempts_left == 3
    assert enroller.verify(USER, RECOVERY_CODES[3]).recovery_codes_left == 8
    record = store.load(USER)
    assert record is not None
    assert future_of(content(record)) == every
    setup = enroller.resume(USER, setup_id=STAGED_SETUP_ID)
    assert (setup.key, setup.replaces) == (SECOND_KEY, True)
    enroller.confirm(USER, code_of(SECOND_KEY, now), setup_id=STAGED_SETUP_ID)
    record = store.load(USER)
    assert record is not None
    assert future_of(content(record)) == [one for one in every if one not in {"first", "setup"}]
    enroller.disable(USER, proof=RECOVERY_CODES[4])
    record = store.load(USER)
    assert record is not None
    assert content(record) == {"schema": 1}


def test_golden_ciphertexts_are_bound_to_their_row() -> None:
    """A golden ciphertext that is moved to another user does not open."""
    record = json.loads((FOLDER / "schema-1-confirmed-aesgcm.json").read_text("utf-8"))
    store = MemoryStore()
    assert store.save(StoredEnrollment(**(record | {"user_id": "user-43"})), expected=None)
    enroller = Enroller(
        store, issuer="Exir", cipher=CIPHERS["aesgcm"], clock=lambda: float(BEGAN + 60)
    )
    with pytest.raises(errors.UnreadableSecretError):
        enroller.verify("user-43", code_of(FIRST_KEY, BEGAN + 60))
