"""The workers' side: a nest that has imported everything, and forks a worker when it is told.

A worker is a process of its own with a handle of its own, which it opens after the fork. It is
there within milliseconds, so that hundreds can be killed in a minute.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import random
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from proof.kills import codes
from proof.kills.calls import Caller, ForgetfulStore, caller_over
from proof.kills.databases import open_store
from proof.kills.flows import START, Fast, Flows, Shared
from proof.kills.journal import ACCEPTED, pipe_writer
from proof.kills.model import PERIOD

LARGEST_MESSAGE = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker is to do.

    Attributes:
        kind: The database's.
        address: Where it is.
        number: The worker's own.
        seed: For its choices.
        label: Keeps the ids of its accounts apart from those of other runs.
        origin: Where the fast clock begins.
        speed: How fast it goes.
        part: How many calls of 1 go to accounts that all workers share.
        accounts: The file that lists them.
        hot: How many of the first of them get a part of the calls to themselves.
        seconds: How long it works; until it is killed if ``None``.
        behind: How many saves a lying store keeps to itself; 0 is an honest one.
        enroll: Ids of accounts to enroll instead of random flows, as (first, one after the last).
    """

    kind: str
    address: str
    number: int
    seed: int
    label: str = ""
    origin: int = 0
    speed: int = 600
    part: float = 0.4
    accounts: str = ""
    hot: int = 0
    seconds: float | None = None
    behind: int = 0
    enroll: tuple[int, int] | None = None


def work(task: Task, descriptor: int) -> None:
    """Do it, and journal to a pipe."""
    with open_store(task.kind, task.address) as opened:
        store = ForgetfulStore(opened, task.behind) if task.behind else opened
        caller = caller_over(store, pipe_writer(descriptor))
        if task.enroll is not None:
            for number in range(*task.enroll):
                enroll(caller, f"shared-{number}")
            return
        shared = json.loads(Path(task.accounts).read_text()) if task.accounts else []
        flows = Flows(
            caller=caller,
            rng=random.Random(task.seed),  # noqa: S311  # a run to repeat
            name=f"{task.label}-{task.number}",
            shared=[Shared(**{**one, "codes": tuple(one["codes"])}) for one in shared],
            fast=Fast(task.origin, task.speed),
            part=task.part,
            hot=task.hot,
        )
        end = None if task.seconds is None else time.monotonic() + task.seconds
        while end is None or time.monotonic() < end:
            flows.step()


def enroll(caller: Caller, user: str) -> Shared:
    """Confirm an account at ``START``.

    Raises:
        RuntimeError: It cannot be begun.
    """
    _, begun = caller.call(user, "begin", START)
    if begun.verdict != ACCEPTED:
        raise RuntimeError(f"begin was told {begun.verdict}")
    tried = (codes.code_of(begun.key, START // PERIOD + n, (), START) for n in (0, -1, 1))
    typed = next(one for one in tried if one is not None)
    _, done = caller.call(user, "confirm", START, typed=typed, setup_id=begun.setup_id)
    return Shared(user=user, key=begun.key, codes=done.codes, last=typed.counter)


def nest(control: socket.socket) -> None:
    """Fork and kill workers as told, until the other end is closed."""
    alive: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, LARGEST_MESSAGE, 1)
        if not message:
            break
        told = json.loads(message)
        if "kill" in told:
            alive.discard(told["kill"])
            answer = _killed(told["kill"])
        else:
            answer = _forked(Task(**told["work"]), descriptors[0], control)
            alive.add(answer)
            os.close(descriptors[0])
        control.sendall(json.dumps(answer).encode())
    for pid in alive:
        _killed(pid)


def _killed(pid: int) -> int:
    """Kill a worker, which may have ended, and return how it ended. Its id is its own till then."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _forked(task: Task, descriptor: int, control: socket.socket) -> int:
    if (pid := os.fork()) != 0:
        return pid
    status = 1
    try:
        control.close()
        work(task, descriptor)
        status = 0
    except BaseException:  # noqa: BLE001  # nothing of the nest may run in the worker
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    logging.disable()  # a pool writes at length about each connection that a dead server closed
    for module in sys.argv[2:]:
        importlib.import_module(module)
    nest(socket.socket(fileno=int(sys.argv[1])))
