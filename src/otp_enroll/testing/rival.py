"""The other process of a race: ``python -m otp_enroll.testing.rival pkg.mod:open_store``.

It saves what standard input asks for, when it says so, and answers on standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TextIO

from otp_enroll.storage.protocol import StoredEnrollment
from otp_enroll.testing.handles import Handle, opened
from otp_enroll.testing.processes import STOPPED, imported
from otp_enroll.testing.races import SlowText, Touches, slow


async def serve(import_path: str, heard: TextIO, told: TextIO) -> None:
    """Save what the other end asks for, when it says so, until it is silent.

    Args:
        import_path: ``"pkg.mod:open_store"``.
        heard: Where orders come from: a JSON line, then any line as the word to go.
        told: Where answers go, a JSON line each.
    """

    def stop() -> None:
        _tell(told, STOPPED)
        heard.readline()

    async with opened(imported(import_path)) as caller:
        handle = Handle(caller.target, caller.worker)
        _tell(told, "ready")
        # Reading blocks the loop, which has nothing else to do. An end that is closed reads as
        # the empty text, so this process never outlives the one that asks.
        while line := heard.readline():
            order = json.loads(line)
            touches = Touches(order["stop_at"], stop)
            record = slow(StoredEnrollment(**order["record"]), touches)
            expected = SlowText(order["expected"], touches)
            _tell(told, "armed")
            heard.readline()  # the word to go: opening and parsing are over, only the save is left
            answer = await _saved(handle, record, expected)
            touches.end()
            _tell(told, answer)


async def _saved(handle: Handle, record: StoredEnrollment, expected: str) -> object:
    try:
        answer = await handle.save(record, expected=expected)
    except Exception as error:  # noqa: BLE001  # the process that judges gets it
        return f"{type(error).__name__}: {error}"
    return answer if isinstance(answer, bool) else repr(answer)


def _tell(told: TextIO, message: object) -> None:
    told.write(json.dumps(message) + "\n")
    told.flush()  # a pipe is buffered, and the other end would wait for ever


def main() -> None:
    """Leave standard output to the race; what a store prints goes to the error output."""
    told, sys.stdout = sys.stdout, sys.stderr
    asyncio.run(serve(sys.argv[1], sys.stdin, told))


if __name__ == "__main__":
    main()
