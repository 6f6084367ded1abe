"""The protocols: the record that stores pass along, and the cipher that does not encrypt."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otp_enroll import Enroller, StoredEnrollment, Unencrypted
from otp_enroll.errors import AdapterError, StorageError
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import AsyncMemoryStore, MemoryStore
from otp_enroll.storage.protocol import (
    UNENCRYPTED_MARK,
    AsyncListingStore,
    EnrollmentStore,
    ListingStore,
    SecretCipher,
    storage_errors,
)
from otp_enroll.storage.sqlite import AsyncSQLiteStore, SQLiteStore

RECORD = StoredEnrollment(
    user_id="user-42",
    revision="0" * 32,
    state="disabled",
    setup_expires_at=None,
    changed_at=0,
    document='{"sealed":"AHNlY3JldA=="}',
)


def test_record_hides_its_document() -> None:
    """The repr of a record tells all but the document."""
    assert "AHNl" not in repr(RECORD)
    assert "user-42" in repr(RECORD)


def test_record_is_frozen() -> None:
    """A record cannot be changed after it was made, and has no further attributes."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECORD.state = "confirmed"  # type: ignore[misc]  # that it is refused is the test
    assert not hasattr(RECORD, "__dict__")


def test_record_is_made_by_name() -> None:
    """The record takes its values by name alone: two of them in the wrong order are a TypeError."""
    positional: Any = StoredEnrollment
    with pytest.raises(TypeError):
        positional("user-42", "0" * 32, "disabled", None, 0, "{}")


def test_bundled_classes_satisfy_the_protocols(tmp_path: Path) -> None:
    """The bundled stores and ciphers are what the protocols ask for, and commit by themselves."""
    path = tmp_path / "otp.sqlite3"
    stores: list[ListingStore] = [MemoryStore(), SQLiteStore(path)]
    async_stores: list[AsyncListingStore] = [AsyncMemoryStore(), AsyncSQLiteStore(path)]
    ciphers: list[SecretCipher] = [Unencrypted(), AESGCMKeyRing({"2026": bytes(32)})]
    assert [store.joined for store in stores] == [False, False]
    assert [store.joined for store in async_stores] == [False, False]
    for cipher in ciphers:
        sealed = cipher.seal(b"secret", context=b"context")
        assert cipher.open(sealed, context=b"context") == b"secret"
        assert cipher.needs_reseal(sealed) is False


class Unsaid:
    """A store that does not yet say whether it is joined."""

    def __init__(self) -> None:
        store = MemoryStore()
        self.load = store.load
        self.save = store.save
        self.delete = store.delete


class OnItself(Unsaid):
    """It says so on each instance."""

    def __init__(self) -> None:
        super().__init__()
        self.joined: bool = False


class OnItsClass(Unsaid):
    """It says so on the class, as the bundled ones do."""

    joined = False


class Declared(Unsaid):
    """It says so on the class, and that no instance may say otherwise."""

    joined: ClassVar[bool] = False


class WorkedOut(Unsaid):
    """It says so when it is asked."""

    @property
    def joined(self) -> bool:
        return False


def test_joined_may_be_any_attribute() -> None:
    """A store may have ``joined`` on itself, on its class, or as a property; types say so too."""
    stores: list[EnrollmentStore] = [
        OnItself(),
        OnItsClass(),
        Declared(),  # pyright: ignore[reportAssignmentType]  # it wants both or neither ClassVar
        WorkedOut(),
    ]
    enrollers = [Enroller(store, issuer="Exir", cipher=Unencrypted()) for store in stores]
    assert [one.status("user-42").state for one in enrollers] == ["disabled"] * len(stores)


# --- failures ---


def test_failure_of_a_store_is_a_storage_error() -> None:
    """Whatever a store raises is a ``StorageError`` with that cause and without its text."""
    fault = OSError("the password is in here")
    with pytest.raises(StorageError) as caught, storage_errors():
        raise fault
    assert caught.value.__cause__ is fault
    assert str(caught.value) == "the store failed"


def test_errors_of_the_library_pass() -> None:
    """What the library raised about a store, or Python about the process, stays what it is."""
    for error in (AdapterError("it broke"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, storage_errors():
            raise error
        assert caught.value is error
        assert error.__cause__ is None


def test_call_that_succeeds_is_left_alone() -> None:
    """Where nothing is raised, nothing is."""
    with storage_errors():
        found = MemoryStore().load("user-42")
    assert found is None


# --- the cipher that does not encrypt ---


@given(st.binary(), st.binary(), st.binary())
def test_unencrypted_gives_back_what_it_took(
    plaintext: bytes, context: bytes, other: bytes
) -> None:
    """What Unencrypted stores is a mark and the plaintext, and no context binds it."""
    sealed = Unencrypted().seal(plaintext, context=context)
    assert sealed == b"\0" + plaintext
    assert Unencrypted().open(sealed, context=other) == plaintext
    assert sealed.startswith(UNENCRYPTED_MARK)


@pytest.mark.parametrize("sealed", [b"", b"\1\x04ring", b"secret"])
def test_unencrypted_opens_nothing_else(sealed: bytes) -> None:
    """What a cipher sealed is refused, and never taken for a plaintext."""
    with pytest.raises(ValueError, match="a cipher sealed this"):
        Unencrypted().open(sealed, context=b"")


def test_unencrypted_does_not_open_what_a_key_ring_sealed() -> None:
    """Going from a key ring back to Unencrypted fails closed."""
    ring = AESGCMKeyRing({"2026": bytes(32)})
    with pytest.raises(ValueError, match="a cipher sealed this"):
        Unencrypted().open(ring.seal(b"secret", context=b""), context=b"")


def test_unencrypted_never_wants_a_reseal() -> None:
    """There is no newer key than none."""
    assert Unencrypted().needs_reseal(b"\0secret") is False


@pytest.mark.requirement("R-92")
def test_unencrypted_says_what_it_is() -> None:
    """The cipher that does not encrypt says so by its name and in its docstring."""
    assert Unencrypted.__name__ == "Unencrypted"
    assert Unencrypted.__doc__ is not None
    assert "No encryption" in Unencrypted.__doc__


@pytest.mark.requirement("R-92")
def test_a_cipher_must_be_chosen() -> None:
    """There is no default cipher: building an enroller without one is a TypeError."""
    build: Any = Enroller
    with pytest.raises(TypeError, match="cipher"):
        build(MemoryStore(), issuer="Exir")
    with pytest.raises(TypeError, match="cipher"):
        build(MemoryStore(), issuer="Exir", cipher=None)
