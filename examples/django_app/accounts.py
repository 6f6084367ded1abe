"""Django's users as the pages and the library know them, and those of a new database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from pages.kept import is_notice
from pages.pages import DEMO, Account

from django_app.models import Language, Notice
from otp_enroll.events import Event

DESK: Final = ("otp_enroll.renew_recovery_codes", "otp_enroll.switch_off")
"""The permissions of the help desk; ``otp_enroll.django`` brings them for its admin page."""

NOTICES_SHOWN: Final = 8


def account_of(user: User) -> Account:
    """Describe a user.

    Not the mail address is the id, nor the name: people change them, and the library's
    ciphertexts are bound to the id (R-90).
    """
    helps = user.has_perms(DESK)
    return Account(
        f"user-{user.pk}", user.get_username(), user.email, helps=helps, language=language_of(user)
    )


def language_of(user: User) -> str | None:
    """Return in which language a user reads: that of the first sign-in, or what was chosen."""
    return Language.objects.filter(user=user).values_list("code", flat=True).first()


def user_of(user_id: str) -> User | None:
    """Return the user of an account that was described."""
    return User.objects.filter(pk=_pk(user_id)).first()


def note(told: Iterable[Event]) -> None:
    """Write down what the owner has to know, in the transaction that runs, if one does."""
    for event in told:
        if is_notice(event):
            Notice.objects.create(user_id=_pk(event.user_id), event=event.to_dict())


def notices(account: Account) -> list[Event]:
    """Return what happened to an account, the newest first."""
    found = Notice.objects.filter(user_id=_pk(account.id))[:NOTICES_SHOWN]
    return [Event.from_dict(notice.event) for notice in found]


def add_demo_accounts() -> None:
    """Make the accounts of a new database, and the group of the help desk."""
    with transaction.atomic():
        if User.objects.exists():
            return
        desk = Group.objects.create(name="help desk")
        desk.permissions.set(Permission.objects.filter(content_type__app_label="otp_enroll"))
        for one, password in DEMO.items():
            user = User.objects.create_user(one.name, one.mail, password, is_staff=one.helps)
            if one.helps:
                user.groups.add(desk)


def _pk(user_id: str) -> int:
    return int(user_id.removeprefix("user-"))
