"""What a worker writes before and after each call, and how it is read when the worker is dead.

A line that announces a call is written before the call, and one with the answer after it, each
by one ``os.write`` of less than a pipe takes at once: so no line is torn by a kill, and whatever
was answered stands in the pipe.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

ACCEPTED: Final = "accepted"
UNKNOWN: Final = "StorageError"
"""The verdict that leaves open whether the call wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What is typed as a code or a proof.

    Attributes:
        kind: ``"code"``, ``"recovery code"`` or ``"override"``.
        text: The text itself.
        key: The setup key whose code this is; empty if it is none's.
        counter: The counter of that code.
    """

    kind: str
    text: str = ""
    key: str = ""
    counter: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a verb, as announced.

    Attributes:
        number: Counts the worker's calls.
        began: Nanoseconds of the machine's monotonic clock.
        user: Whose account.
        verb: The enroller's method.
        at: What the enroller's clock shows, in Unix seconds.
        typed: The code or proof.
        setup_id: For the verbs of a setup.
        name: Of the authenticator, for rename.
        new_name: The same.
    """

    number: int
    began: int
    user: str
    verb: str
    at: int
    typed: Typed | None = None
    setup_id: str = ""
    name: str = ""
    new_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a call answered.

    Attributes:
        number: The call's.
        ended: As ``Call.began``.
        micros: How long the call took, in microseconds.
        verdict: ``ACCEPTED``, or the name of the error that was raised.
        cause: The name of what a driver raised.
        key: The setup key that was shown.
        setup_id: The id of that setup.
        codes: The recovery codes that were shown.
        left: How many recovery codes are left, where the answer says it.
        state: The same for the state.
    """

    number: int
    ended: int
    micros: int
    verdict: str
    cause: str = ""
    key: str = ""
    setup_id: str = ""
    codes: tuple[str, ...] = ()
    left: int | None = None
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """A call with its reply, or without: then it was in flight when the worker was killed."""

    call: Call
    reply: Reply | None = None

    @property
    def acknowledged(self) -> bool:
        """Whether the caller knows what became of it."""
        return self.reply is not None and self.reply.verdict != UNKNOWN

    @property
    def accepted(self) -> bool:
        """Whether the caller was told that it was done."""
        return self.reply is not None and self.reply.verdict == ACCEPTED


def line_of(message: Call | Reply) -> str:
    """Write a message as one line."""
    return json.dumps({type(message).__name__: asdict(message)}) + "\n"


def pipe_writer(descriptor: int) -> Callable[[str], None]:
    """Return what writes each line to a pipe at once."""

    def say(line: str) -> None:
        os.write(descriptor, line.encode())

    return say


def _call(fields: dict[str, Any]) -> Call:
    typed = fields.pop("typed")
    return Call(**fields, typed=None if typed is None else Typed(**typed))


def _reply(fields: dict[str, Any]) -> Reply:
    return Reply(**{**fields, "codes": tuple(fields["codes"])})


def ops_of(lines: Iterable[str]) -> list[Op]:
    """Read one worker's lines.

    Raises:
        ValueError: A reply to another call than the last one.
    """
    ops: list[Op] = []
    for line in lines:
        ((kind, fields),) = json.loads(line).items()
        if kind == "Call":
            ops.append(Op(call=_call(fields)))
            continue
        reply = _reply(fields)
        if ops[-1].call.number != reply.number:
            raise ValueError("a reply to another call than the last one")
        ops[-1] = Op(call=ops[-1].call, reply=reply)
    return ops
