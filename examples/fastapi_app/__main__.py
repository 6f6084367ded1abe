"""Run the app on this machine: ``python -m fastapi_app``, with PORT and DATABASE_URL."""

from __future__ import annotations

import logging
import os

import uvicorn
from pages.pages import DEMO

from fastapi_app.app import create_app


def main() -> None:
    """Say where it is and who can sign in, then serve."""
    port = int(os.environ.get("PORT", "8000"))
    database = os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///demo-fastapi.db")
    app = create_app(database=database)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    print(f"\nOpen http://127.0.0.1:{port}/ and sign in:")
    for account, password in DEMO.items():
        desk = ", of the help desk" if account.helps else ""
        print(f"  {account.name:6} {password}{desk}")
    print("Stop with Ctrl-C.\n", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main()
