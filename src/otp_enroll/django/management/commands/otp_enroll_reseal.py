"""``manage.py otp_enroll_reseal``: seal with the newest key what older keys sealed.

To be run after the new key is the first one on every machine: a process that still seals with the
old one makes rows that this walk has passed.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from otp_enroll.django.conf import get_enroller


class Command(BaseCommand):
    """Reseal. It succeeds only if the old keys can go, so that a script may go on from there.

    An exit code of 0 therefore means: every row was looked at, and none needs another key.
    """

    help = "Seal with the newest key what older keys sealed. Fails while an old key is needed."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, help="reseal at most so many rows")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        report = get_enroller().reseal(limit=options["limit"])
        self.stdout.write(
            f"{report.examined} examined, {report.resealed} resealed,"
            f" {report.unreadable} unreadable"
        )
        for key_id, rows in report.keys_needed.items():
            self.stdout.write(f"{rows} of them need the key {key_id!r}")
        # Before the next one, because running it again would not help.
        if report.unreadable:
            raise CommandError("Keep the old keys: the log names the rows that cannot be read.")
        if not report.complete:
            raise CommandError("Keep the old keys: run it again for the rest.")
