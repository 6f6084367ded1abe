"""Handles on a store: plain methods run in the handle's own thread, coroutines on the loop.

So one check tests both flavours, and a handle that is bound to a thread works too. A second handle
on the same data is what shows caches, and writes that one's own connection alone can see.
"""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Final, TypeVar, cast

from otp_enroll.storage.protocol import StoredEnrollment

T = TypeVar("T")

OpenStore = Callable[[], AbstractContextManager[object] | AbstractAsyncContextManager[object]]
"""Gives a new handle on the same data, and closes it on exit."""

CLOSE_LIMIT: Final = 1.0
"""Seconds that a handle may take to close; one that hangs is left behind."""


class Worker:
    """A thread that makes one call after the other.

    It is a daemon: a store that hangs must not keep the process alive.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="otp_enroll.testing", daemon=True).start()

    def submit(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """Call a function in the thread; await what is returned.

        Args:
            function: Takes nothing. What it raises is raised where the call is awaited.
        """
        future: Future[T] = Future()
        self._jobs.put(partial(_settle, future, function))
        return asyncio.wrap_future(future)

    def stop(self) -> None:
        """End the thread, after the calls that wait."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # a thread that waits must keep nobody's store alive


def _settle(future: Future[T], function: Callable[[], T]) -> None:
    """Call a function for a future, unless its caller went away while it stood in the queue."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001  # it is raised where the call is awaited
        future.set_exception(error)


class Caller:
    """Calls the methods of one object, awaited either way.

    Args:
        target: A store, an enroller, or whatever a harness gives.
        worker: The thread for its plain methods.
    """

    def __init__(self, target: object, worker: Worker) -> None:
        self.target = target
        self.worker = worker

    async def call(self, method: str, /, *args: object, **kwargs: object) -> object:
        """Call a method and return its answer.

        Raises:
            AssertionError: A plain method returned a coroutine.
        """
        return await self.apply(getattr(self.target, method), *args, **kwargs)

    async def apply(
        self, function: Callable[..., object], /, *args: object, **kwargs: object
    ) -> object:
        """Call a function where the object's methods are called.

        Raises:
            AssertionError: A plain function returned a coroutine.
        """
        if inspect.iscoroutinefunction(function):
            return await function(*args, **kwargs)
        answer = await self.worker.submit(partial(function, *args, **kwargs))
        return settled(getattr(function, "__name__", "a callable"), answer)

    def called(self, method: str, /, *args: object, **kwargs: object) -> Call:
        """Prepare a call for a race."""
        return Call(self, method, args, kwargs)


def settled(method: str, answer: object) -> object:
    """Return the answer of a plain method.

    Raises:
        AssertionError: It is a coroutine. A caller that does not await it takes it for a result,
            and a coroutine is true: each save would count as stored.
    """
    if inspect.iscoroutine(answer):
        answer.close()
        raise AssertionError(
            f"{method} is a plain function and returned a coroutine: write it with async def"
        )
    return answer


class Call:
    """A call that waits for the others of its race.

    The method is looked up when the call is prepared, so that a race holds nothing but the call.
    """

    def __init__(
        self, caller: Caller, method: str, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> None:
        self._caller = caller
        self._method = method
        self._function = partial(getattr(caller.target, method), *args, **kwargs)

    async def alone(self) -> object:
        """Make the call without a race."""
        return await self.made(threading.Barrier(1))

    async def made(self, barrier: threading.Barrier) -> object:
        """Make the call together with the others; tasks of one loop need no barrier."""
        if inspect.iscoroutinefunction(self._function):
            return await self._function()
        answer = await self._caller.worker.submit(partial(self._meet, barrier))
        return settled(self._method, answer)

    def _meet(self, barrier: threading.Barrier) -> object:
        barrier.wait(timeout=30)  # one that never comes must not hold up the others for good
        return self._function()


class Handle(Caller):
    """A handle on a store: its three methods, plain or awaited, by one spelling."""

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """Call ``load``."""
        return cast("StoredEnrollment | None", await self.call("load", user_id))

    async def present(self, user_id: str) -> StoredEnrollment:
        """Call ``load`` for a record that must be there.

        Raises:
            AssertionError: It is not.
        """
        found = await self.load(user_id)
        if found is None:
            raise AssertionError("a record that was saved is loaded as None")
        return found

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> object:
        """Call ``save``. Its answer is anything until a check has looked at it."""
        return await self.call("save", record, expected=expected)

    async def delete(self, user_id: str) -> None:
        """Call ``delete``."""
        await self.call("delete", user_id)

    @property
    def is_async(self) -> bool:
        """Whether the store is of the awaited flavour."""
        return inspect.iscoroutinefunction(getattr(self.target, "load", None))

    @property
    def is_thread_bound(self) -> bool:
        """Whether the store says that a handle serves one thread alone."""
        return getattr(self.target, "thread_bound", False) is True

    def shared(self) -> Handle:
        """Return the same handle for use from another thread; stop its worker after use."""
        return Handle(self.target, Worker())


@asynccontextmanager
async def opened(open_store: Callable[[], object]) -> AsyncGenerator[Caller]:
    """Enter what ``open_store`` returns: in a thread of its own, or on the loop if it is async.

    Args:
        open_store: Called in the thread, since sqlite3 and others bind a connection to the one
            that made it.
    """
    worker = Worker()
    try:
        manager = await worker.submit(open_store)
        if not hasattr(manager, "__enter__"):
            async with cast("AbstractAsyncContextManager[object]", manager) as target:
                yield Caller(target, worker)
            return
        plain = cast("AbstractContextManager[object]", manager)
        target = await worker.submit(plain.__enter__)
        try:
            yield Caller(target, worker)
        finally:
            await _closed(worker.submit(partial(plain.__exit__, None, None, None)))
    finally:
        worker.stop()


async def _closed(closing: asyncio.Future[bool | None]) -> None:
    """Wait for a handle to close, and leave it behind if it hangs: the check has its verdict."""
    done, _ = await asyncio.wait({closing}, timeout=CLOSE_LIMIT)
    for one in done:
        one.result()
