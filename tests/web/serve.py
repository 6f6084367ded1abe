"""Serve one example app on a free loopback port until standard input ends: ``serve.py flask``.

It keeps its database in the working directory and reads the time, in Unix seconds, from the file
``clock`` there. ``--short`` takes a policy with little to wait for, and ``--key`` another key, in
hexadecimal digits. Its first line is the port.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from otp_enroll import Policy
from otp_enroll.policy import AttemptBudget

HERE: Final = Path.cwd()
CLOCK: Final = HERE / "clock"
EXAMPLES: Final = Path(__file__).parents[2] / "examples"
SHORT: Final = Policy(backup="acknowledged", recovery_codes=4, budget=AttemptBudget(lock_after=10))
KEY: Final = "00" * 32


def now() -> float:
    """Read the clock."""
    return float(CLOCK.read_text())


def serve_wsgi(app: Any, listener: socket.socket) -> Callable[[], None]:
    """Serve it, and return what stops it."""
    from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: PLC0415  # FastAPI's process has no use for it

    class Silent(WSGIRequestHandler):
        """Tells nobody of each request."""

        def log_request(self, *_: Any) -> None:
            pass

    server = make_server(
        "127.0.0.1", 0, app, threaded=True, request_handler=Silent, fd=listener.fileno()
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.shutdown


def serve_asgi(app: Any, listener: socket.socket) -> Callable[[], None]:
    """Serve it, and return what stops it."""
    import uvicorn  # noqa: PLC0415  # the others' processes have no use for it

    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while thread.is_alive() and not server.started:  # it makes its tables and accounts meanwhile
        time.sleep(0.05)

    def stop() -> None:
        server.should_exit = True
        thread.join()

    return stop


def main() -> None:
    """Make the app, say where it is, and wait for the end of standard input."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("name", choices=["flask", "fastapi", "django"])
    arguments.add_argument("--short", action="store_true")
    arguments.add_argument("--key", type=bytes.fromhex, default=KEY)
    chosen = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    sys.path.insert(0, str(EXAMPLES))
    create_app = importlib.import_module(f"{chosen.name}_app.app").create_app
    driver = "sqlite+aiosqlite" if chosen.name == "fastapi" else "sqlite"
    options: dict[str, Any] = {"policy": SHORT} if chosen.short else {}
    database = f"{driver}:///{HERE / 'app.db'}"
    app = create_app(database=database, clock=now, key=chosen.key, **options)
    listener = socket.create_server(("127.0.0.1", 0))
    serve = serve_asgi if chosen.name == "fastapi" else serve_wsgi
    stop = serve(app, listener)
    print(listener.getsockname()[1], flush=True)  # noqa: T201  # what the parent waits for
    sys.stdin.read()
    stop()


if __name__ == "__main__":
    main()
