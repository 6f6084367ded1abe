"""All that a request can touch, under the walk's hand: the row, the clock, randomness, the cipher.

Nothing here decides anything. The store suspends before each call, so that the walk chooses which
request goes on; the random bytes of a request are hashed counters of its own, so that it draws
the same ones in any order of requests.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from otp_enroll import AsyncEnroller, Policy, StoredEnrollment

USER: Final = "user-42"
ISSUER: Final = "Exir"
ACCOUNT: Final = "sara@example.com"
POLICY: Final = Policy(recovery_codes=3)
START: Final = 1_800_000_000
PERIOD: Final = 30

Row = StoredEnrollment | None


@dataclass(frozen=True, slots=True)
class Call:
    """What a request asks the store for: it waits until the walk answers."""

    kind: str
    record: StoredEnrollment | None = None
    expected: str | None = None
    expired_before: int | None = None


LOAD: Final = Call("load")
DELETE: Final = Call("delete")


@types.coroutine
def ask(call: Call) -> Generator[Call, Any, Any]:
    """Suspend until the walk answers the call, or raises in its place."""
    return (yield call)


class SuspendingStore:
    """A store that hands each call to the walk and waits for its answer."""

    joined = False

    async def load(self, user_id: str) -> StoredEnrollment | None:
        found: StoredEnrollment | None = await ask(LOAD)
        return found

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        stored: bool = await ask(Call("save", record, expected))
        return stored

    async def delete(self, user_id: str) -> None:
        await ask(DELETE)

    async def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[str]:
        listed: list[str] = await ask(Call("list", expired_before=setup_expired_before))
        return listed


@cache
def _mask(key: bytes, context: bytes) -> tuple[bytes, int]:
    bound = hashlib.sha256(context).digest()[:8]
    return key + bound, int.from_bytes(hashlib.sha256(key + context).digest()[:20], "big")


class MaskingCipher:
    """Binds what it seals to its context as a real cipher does, and is quicker.

    ``fails`` is asked before each call, with the call and what it is about (the context, or the
    sealed bytes where there is none); where it says so, the call raises.
    """

    OLD = b"o"
    NEW = b"n"

    def __init__(self) -> None:
        self.newest = self.NEW
        self.fails: Callable[[str, bytes], bool] = lambda _what, _about: False

    def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
        self._may_fail("seal", context)
        head, mask = _mask(self.newest, context)
        return head + (int.from_bytes(plaintext, "big") ^ mask).to_bytes(20, "big")

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        self._may_fail("open", context)
        return self.opened(sealed, context)

    def needs_reseal(self, sealed: bytes) -> bool:
        self._may_fail("needs_reseal", sealed)
        return sealed[:1] != self.newest

    @staticmethod
    def opened(sealed: bytes, context: bytes) -> bytes:
        """Open what was sealed in this context, and nothing else."""
        head, mask = _mask(sealed[:1], context)
        if sealed[:9] != head:
            raise ValueError("this was sealed in another context")
        return (int.from_bytes(sealed[9:], "big") ^ mask).to_bytes(20, "big")

    def _may_fail(self, what: str, about: bytes) -> None:
        if self.fails(what, about):
            raise OSError("the key service is away")


@cache
def drawn(stream: int, number: int, length: int) -> bytes:
    """Return the random bytes of one draw: hashed counters, so any run can be repeated."""
    return hashlib.shake_256(b"%d/%d" % (stream, number)).digest(length)


class Landed:
    """A write that reached the row: whose, when, and what stood there before and after."""

    __slots__ = ("after", "before", "by", "expected", "step")

    def __init__(self, by: int, step: int, before: Row, after: Row, expected: str | None) -> None:
        self.by = by
        self.step = step
        self.before = before
        self.after = after
        self.expected = expected


class World:
    """The one row, the clock, and a history of both; ``current`` is the request that runs.

    ``foreseen`` and ``listings`` hold readings of the clock and lists of ids that requests will
    have instead of those of the moment; lists are also remembered there.
    """

    def __init__(self) -> None:
        self.cipher = MaskingCipher()
        self.reset(None, START)

    def reset(self, row: Row, now: int) -> None:
        """Begin again with this row, at this time."""
        self.row = row
        self.now = now
        self.current = 0
        self.step = 0
        self.draws: dict[int, int] = {}
        self.readings: dict[int, list[int]] = {}
        self.loaded: dict[int, list[Row]] = {}
        self.history: list[Landed] = []
        self.foreseen: dict[int, list[int]] = {}
        self.listings: dict[int, list[str]] = {}

    def clock(self) -> float:
        """Read the clock, for the request that runs."""
        readings = self.readings.setdefault(self.current, [])
        foreseen = self.foreseen.get(self.current)
        now = foreseen[min(len(readings), len(foreseen) - 1)] if foreseen else self.now
        readings.append(now)
        return now

    def random_bytes(self, length: int) -> bytes:
        """Draw from the stream of the request that runs."""
        number = self.draws.get(self.current, 0)
        self.draws[self.current] = number + 1
        return drawn(self.current, number, length)

    def perform(self, call: Call) -> object:
        """Do what a correct store does."""
        if call.kind == "load":
            self.loaded.setdefault(self.current, []).append(self.row)
            return self.row
        if call.kind == "save":
            assert call.record is not None
            return self.save(call.record, call.expected)
        if call.kind == "delete":
            self.write(None, None)
            return None
        return self.listings.setdefault(self.current, self.listed(call.expired_before))

    def save(self, record: StoredEnrollment, expected: str | None) -> bool:
        """Store if the revision is the expected one."""
        if (self.row.revision if self.row else None) != expected:
            return False
        self.write(record, expected)
        return True

    def write(self, record: Row, expected: str | None) -> None:
        """Put the row, and remember it."""
        self.history.append(Landed(self.current, self.step, self.row, record, expected))
        self.row = record

    def listed(self, expired_before: int | None) -> list[str]:
        """Name the account if the row is listed."""
        row = self.row
        if row is None:
            return []
        expires = row.setup_expires_at
        if expired_before is not None and (expires is None or expires >= expired_before):
            return []
        return [USER]


async def no_sleep(_seconds: float) -> None:
    """Wait for nobody: who goes on is chosen at the next load."""


def enroller_over(
    world: World, kind: type[AsyncEnroller] = AsyncEnroller, store: Any = None
) -> AsyncEnroller:
    """Build the enroller whose coroutines are driven by hand; one serves all walks."""
    return kind(
        store or SuspendingStore(),
        issuer=ISSUER,
        cipher=world.cipher,
        policy=POLICY,
        clock=world.clock,
        random_bytes=world.random_bytes,
        sleep=no_sleep,
    )


def drive(world: World, request: Coroutine[Call, Any, Any]) -> Any:
    """Run one request to its end with nobody in between; returns what it returned, or its error."""
    answer: object = None
    try:
        while True:
            answer = world.perform(request.send(answer))
    except StopIteration as done:
        return done.value
    except Exception as error:  # noqa: BLE001  # whatever is raised is the answer
        return error.with_traceback(None)
