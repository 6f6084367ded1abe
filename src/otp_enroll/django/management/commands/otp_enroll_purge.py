"""``manage.py otp_enroll_purge``: erase the secrets of expired setups.

They open nothing any more, and the next write to their account erases them; this is for accounts
to which nobody comes back (ASVS 14.2.7: keep no sensitive data that is not needed).
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from typing_extensions import override

from otp_enroll.django.conf import get_enroller


class Command(BaseCommand):
    """Erase expired setups, which are dead already. Run it every hour or so.

    Two at once do no harm: each row goes by a save that compares, as a request's does.
    """

    help = "Erase the secrets of expired setups."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--limit", type=int, help="erase at most so many")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        purged = get_enroller().purge_expired(limit=options["limit"])
        self.stdout.write(f"{purged} erased")
