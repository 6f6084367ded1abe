"""The enroller, which judges codes, and what it tells of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from django.conf import settings
from pages.kept import is_noted, is_notice
from pages.pages import ISSUER, mail

from django_app.accounts import language_of, note, user_of
from otp_enroll import Enroller, Policy
from otp_enroll.django.store import DjangoStore
from otp_enroll.events import Event
from otp_enroll.storage.aesgcm import AESGCMKeyRing

log: Final = logging.getLogger(__name__)
outbox: Final = logging.getLogger(f"{__name__}.outbox")

clock: Final[Callable[[], float]] = settings.OTP_CLOCK
policy: Final[Policy] = settings.OTP_POLICY


def tell(event: Event) -> None:
    """Log what happened, and let the account's owner know: no event holds a secret or a code."""
    log.info("%s account=%s purpose=%s %s", event.code, event.user_id, event.purpose, event.context)
    if not is_notice(event):
        return
    if not is_noted(event):
        note([event])
    # The owner has to hear of it where a thief of the session does not: send a mail here,
    # by a queue that outlives this request.
    if owner := user_of(event.user_id):
        outbox.info("to %s: %s", owner.email, mail(event, language_of(owner)))


enroller: Final = Enroller(
    DjangoStore(),  # on the alias "otp_enroll": every call commits by itself
    issuer=ISSUER,
    # A new key comes first in the ring, and the old ones stay to open what they sealed.
    cipher=AESGCMKeyRing({"1": settings.OTP_KEY}),
    policy=policy,
    clock=clock,
    on_event=tell,
)
