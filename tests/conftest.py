"""What most tests share: a clock that stands still, a store that counts, an enroller, a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from otp_enroll import Confirmation, Enroller, Policy, Setup, StoredEnrollment, Unencrypted, events
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

USER = "user-42"
ACCOUNT = "sara@example.com"


class CountingStore(MemoryStore):
    """A memory store that counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.loads = 0
        self.saves = 0
        self.deletes = 0

    def load(self, user_id: str) -> StoredEnrollment | None:
        self.loads += 1
        return super().load(user_id)

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        self.saves += 1
        return super().save(record, expected=expected)

    def delete(self, user_id: str) -> None:
        self.deletes += 1
        super().delete(user_id)


@dataclass
class Flow:
    """An enroller over a counting store, with its clock, its events and short cuts."""

    clock: FrozenClock = field(default_factory=FrozenClock)
    store: CountingStore = field(default_factory=CountingStore)
    told: list[events.Event] = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    cipher: Any = field(default_factory=Unencrypted)

    def __post_init__(self) -> None:
        self.enroller = self.another()

    def another(self, **changes: Any) -> Enroller:
        """Build an enroller over the same store and clock."""
        settings: dict[str, Any] = {
            "issuer": "Exir",
            "cipher": self.cipher,
            "policy": self.policy,
            "clock": self.clock,
            "on_event": self.told.append,
            "sleep": lambda seconds: None,
        }
        return Enroller(self.store, **(settings | changes))

    def phone(self, setup: Setup) -> FakeAuthenticator:
        """Scan a setup's URI."""
        return FakeAuthenticator(setup.uri, self.clock)

    def enroll(self, user_id: str = USER) -> tuple[FakeAuthenticator, Confirmation]:
        """Go from disabled to confirmed, and on to the next period."""
        setup = self.enroller.begin(user_id, account_name=ACCOUNT)
        phone = self.phone(setup)
        confirmation = self.enroller.confirm(user_id, phone.code(), setup_id=setup.id)
        self.clock.advance(60)
        return phone, confirmation

    def add(self, name: str, proof: Any, user_id: str = USER) -> FakeAuthenticator:
        """Add an authenticator to a confirmed account, and go on to the next period."""
        setup = self.enroller.begin(user_id, account_name=ACCOUNT, authenticator=name, proof=proof)
        phone = self.phone(setup)
        self.enroller.confirm(user_id, phone.code(), setup_id=setup.id)
        self.clock.advance(60)
        return phone

    def names_of_events(self) -> list[str]:
        """Return the class names of the events told so far, and forget them."""
        names = [type(event).__name__ for event in self.told]
        self.told.clear()
        return names


@pytest.fixture
def flow() -> Flow:
    return Flow()


@pytest.fixture
def clock(flow: Flow) -> FrozenClock:
    return flow.clock


@pytest.fixture
def enroller(flow: Flow) -> Enroller:
    return flow.enroller


@pytest.fixture
def store(flow: Flow) -> CountingStore:
    return flow.store


def path_of_tool(name: str) -> str:
    """Return the path of a program, or skip; on CI its absence is a failure."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture
def need_tool() -> Callable[[str], str]:
    return path_of_tool


Make = Callable[..., Flow]


@pytest.fixture
def make_flow() -> Make:
    return Flow
