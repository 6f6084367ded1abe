"""Run the app on this machine: ``python -m flask_app``, with PORT and DATABASE_URL if you like."""

from __future__ import annotations

import logging
import os

from pages.pages import DEMO

from flask_app.app import create_app


def main() -> None:
    """Say where it is and who can sign in, then serve."""
    port = int(os.environ.get("PORT", "8000"))
    app = create_app(database=os.environ.get("DATABASE_URL", "sqlite:///demo.db"))
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the events are what is worth reading
    print(f"\nOpen http://127.0.0.1:{port}/ and sign in:")
    for account, password in DEMO.items():
        desk = ", of the help desk" if account.helps else ""
        print(f"  {account.name:6} {password}{desk}")
    print("Stop with Ctrl-C.\n", flush=True)
    app.run(port=port)  # for one person at a desk; serve an app with a WSGI server


if __name__ == "__main__":
    main()
