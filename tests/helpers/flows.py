"""What tests of the whole flow share: whose account it is, wrong codes, and what is stored."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from otp_enroll import Enroller, Override, StoredEnrollment, Unencrypted, errors
from otp_enroll.core.states import Confirmed
from otp_enroll.storage import codec
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator

USER = "user-42"
VOUCHED = Override(actor="help desk", reason="re-authenticated")
Make = Callable[..., Any]


async def settled(answer: Any) -> Any:
    """Await what has to be awaited."""
    return await answer if inspect.isawaitable(answer) else answer


def wrong_for(*phones: FakeAuthenticator) -> str:
    """Return six digits that none of the phones shows these minutes.

    They are no round number, so that a search for them in a log finds nothing else.
    """
    near = {phone.code(offset) for phone in phones for offset in range(-12, 13)}
    return next(f"{n:06d}" for n in range(271_828, 272_000) if f"{n:06d}" not in near)


def fail(flow: Any, *phones: FakeAuthenticator, times: int = 1) -> errors.WrongCodeError:
    """Have codes counted that are wrong, waiting before each as long as the library says."""
    error = errors.WrongCodeError()
    for _ in range(times):
        retry_at = flow.enroller.status(USER).retry_at
        if retry_at is not None:
            flow.clock.now = retry_at.timestamp()
        with pytest.raises(errors.WrongCodeError) as refusal:
            # A fresh one: over hours the same six digits may come to be right.
            flow.enroller.verify(USER, wrong_for(*phones))
        error = refusal.value
    return error


def confirmed_of(flow: Any) -> Confirmed:
    """Return the stored state of a confirmed account."""
    enrollment, _ = codec.decode(flow.store.load(USER))
    assert isinstance(enrollment, Confirmed)
    return enrollment


def stored_as(flow: Any, enrollment: Confirmed) -> None:
    """Put another state of the account in the place of the stored one."""
    record = flow.store.load(USER)
    rewritten = codec.encode(
        enrollment,
        codec.decode(record)[1],
        user_id=USER,
        revision="f" * 32,
        replaces=record.revision,
        changed_at=record.changed_at,
    )
    assert flow.store.save(rewritten, expected=record.revision)


def build(store: Any, flow: Any, **changes: Any) -> Enroller:
    """Build an enroller over another store with the flow's clock."""
    settings: dict[str, Any] = {"issuer": "Exir", "cipher": Unencrypted(), "clock": flow.clock}
    return Enroller(store, **(settings | changes))


class PlainStore:
    """The rows of another store, saved once."""

    joined = False

    def __init__(self, store: MemoryStore) -> None:
        self._rows = store
        self.load = store.load
        self.delete = store.delete

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        return MemoryStore.save(self._rows, record, expected=expected)
