"""Run the app on this machine: ``python -m django_app``, with PORT and DATABASE if you like."""

from __future__ import annotations

import logging
import os

from django.core.management import call_command
from pages.pages import DEMO

from django_app.app import create_app


def main() -> None:
    """Say where it is and who can sign in, then serve."""
    port = int(os.environ.get("PORT", "8000"))
    create_app(database=os.environ.get("DATABASE", "demo-django.db"))
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    print(f"\nOpen http://127.0.0.1:{port}/ and sign in:")
    for account, password in DEMO.items():
        desk = ", of the help desk, also at /admin/" if account.helps else ""
        print(f"  {account.name:6} {password}{desk}")
    print("Stop with Ctrl-C.\n", flush=True)
    # For one person at a desk; serve a project with a WSGI server.
    call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)


if __name__ == "__main__":
    main()
