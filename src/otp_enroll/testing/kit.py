"""What the checks of the store contract share: Check, Kit, and sentences instead of asserts.

A check is a coroutine whose docstring is what holds when it passes; the report and the docs quote
it whole. So why a check exists stands in comments.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import Any, Final, Literal

from typing_extensions import Self

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Caller, Handle, OpenStore, opened
from otp_enroll.testing.joined import JoinedHarness

NOW: Final = 1_800_000_000
"""The Unix second at which records of the kit are made."""

GROUPS: Final = {
    "import_path": "process",
    "joined": "joined",
    "break_connection": "fault",
    "raw_count": "raw count",
    "open_read_only": "read-only",
}
"""What a check may need besides ``open_store``, and what the report calls such checks."""

THREAD_BOUND: Final = "the store says that a handle is bound to one thread"
NO_CONFLICT: Final = "the database raised nothing in a conflict"
DECLARED: Final = (THREAD_BOUND, NO_CONFLICT)
"""The reasons for which a check may be skipped without harm to the report."""

Body = Callable[["Kit"], Coroutine[Any, Any, None]]


class CheckSkipped(Exception):  # noqa: N818  # a verdict, not an error
    """A check does not apply, for a reason that the store or its database declares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of the contract.

    Attributes:
        id: Its number, in words that sort: ``"01"`` to ``"67"``, ``"29b"``.
        level: ``"M"`` must, ``"S"`` should.
        needs: The argument of ``run`` that it cannot do without, or ``None``.
        body: A coroutine that raises ``AssertionError`` with a sentence naming the mistake.
    """

    id: str
    level: Literal["M", "S"]
    needs: str | None
    body: Body

    @property
    def name(self) -> str:
        """The name of its body."""
        return self.body.__name__

    @property
    def claim(self) -> str:
        """The sentence that holds when it passes."""
        return " ".join((self.body.__doc__ or self.name).split()).rstrip(".")

    @property
    def group(self) -> str:
        """``"core"``, or what the report calls the checks with the same need."""
        return "core" if self.needs is None else GROUPS[self.needs]


def must(number: str, *, needs: str | None = None) -> Callable[[Body], Check]:
    """Declare a check that no store may fail.

    Args:
        number: Its number in the contract.
        needs: The argument of ``run`` without which it is not run.
    """
    return lambda body: Check(id=number, level="M", needs=needs, body=body)


def should(number: str, *, needs: str | None = None) -> Callable[[Body], Check]:
    """Declare a check that a waiver with a reason may cover.

    Args:
        number: Its number in the contract.
        needs: The argument of ``run`` without which it is not run.
    """
    return lambda body: Check(id=number, level="S", needs=needs, body=body)


def require(condition: object, sentence: str) -> None:
    """Fail the check with a sentence. Unlike ``assert`` it stays under ``python -O``.

    Raises:
        AssertionError: The condition does not hold.
    """
    if not condition:
        raise AssertionError(sentence)


def require_same(found: object, saved: StoredEnrollment, when: str) -> None:
    """Compare value and type of each field.

    Args:
        found: What a load returned.
        saved: What must have come back.
        when: The end of the sentence: where and after what it was loaded.

    Raises:
        AssertionError: One differs.
    """
    # Types too: 1 equals True and 1.0, and the next database that the row meets minds.
    require(found is not None, f"load returned None {when}: the record is not there")
    require(isinstance(found, StoredEnrollment), f"load returned no StoredEnrollment {when}")
    for one in fields(StoredEnrollment):
        value, wanted = getattr(found, one.name), getattr(saved, one.name)
        require(
            type(value) is type(wanted) and value == wanted,
            f"{one.name} was saved as {_brief(wanted)} and loaded as {_brief(value)} {when}",
        )


def _brief(value: object) -> str:
    """Show a value in a sentence; a document of 64 KB is shown by its beginning."""
    shown = f"{type(value).__name__} {value!r}"
    return shown if len(shown) <= 60 else f"{shown[:40]}… ({len(shown)} characters)"


def new_revision() -> str:
    """Return a revision as the library makes them; it begins with letters, for checks of case."""
    return "abcdef" + secrets.token_hex(13)


def make_record(
    user_id: str,
    *,
    state: str = "confirmed",
    setup_expires_at: int | None = None,
    changed_at: int = NOW,
    document: str | None = None,
) -> StoredEnrollment:
    """Return a record that differs from every other one, by its revision and its document."""
    return StoredEnrollment(
        user_id=user_id,
        revision=new_revision(),
        state=state,
        setup_expires_at=setup_expires_at,
        changed_at=changed_at,
        document=json.dumps({"kit": secrets.token_hex(4)}) if document is None else document,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the author of an adapter gave to ``run``."""

    open_store: OpenStore
    import_path: str | None = None
    joined: JoinedHarness | None = None
    break_connection: Callable[[Any], object] | None = None
    raw_count: Callable[[str], object] | None = None
    open_read_only: OpenStore | None = None


@dataclass(slots=True)
class Names:
    """The user ids of one run: no other run and no account has them.

    So that a run does no harm on a database with accounts in it, and two runs may go on at once.
    """

    run: str = field(default_factory=lambda: secrets.token_hex(6))
    used: dict[str, None] = field(default_factory=dict[str, None])

    def new(self, tail: str = "") -> str:
        """Return a new user id that ends with ``tail``, and remember it."""
        return self.take(f"otp-kit-{self.run}-{len(self.used)}-{tail}")

    def take(self, user_id: str) -> str:
        """Remember a user id, to delete it after the run."""
        self.used[user_id] = None
        return user_id


class Kit:
    """What one check works with. Its handles are closed when the check is over."""

    def __init__(self, inputs: Inputs, names: Names) -> None:
        self.inputs = inputs
        self.names = names
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def caller(self, open_target: Callable[[], object]) -> Caller:
        """Enter any context manager, plain or async, until the check is over."""
        return await self._stack.enter_async_context(opened(open_target))

    async def open(self) -> Handle:
        """Open a handle until the check is over."""
        caller = await self.caller(self.inputs.open_store)
        return Handle(caller.target, caller.worker)

    async def pair(self) -> tuple[Handle, Handle]:
        """Open two handles."""
        return await self.open(), await self.open()

    async def many(self, number: int) -> list[Handle]:
        """Open so many handles."""
        return [await self.open() for _ in range(number)]

    def shared(self, handle: Handle, number: int) -> list[Handle]:
        """Return one handle for so many threads, each with a worker of its own."""
        handles = [handle.shared() for _ in range(number)]
        for one in handles:
            self._stack.callback(one.worker.stop)
        return handles

    async def created(
        self,
        handle: Handle,
        user_id: str | None = None,
        **fields_: Any,  # noqa: ANN401  # passed on
    ) -> StoredEnrollment:
        """Create a record through a handle and return it; the fields are ``make_record``'s.

        Raises:
            AssertionError: The store did not answer ``True``.
        """
        record = make_record(user_id or self.names.new(), **fields_)
        stored = await handle.save(record, expected=None)
        require(stored is True, f"save of a new id returned {stored!r} and not True")
        return record
