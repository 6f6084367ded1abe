"""The peers that are Django apps, in a process of their own: ``python -m benchmarks.peers_django``.

django-otp, django-two-factor-auth and allauth live with their own models in the file that
otp_enroll uses, too. Each step is one transaction, as a view is under ``ATOMIC_REQUESTS``. Where
a peer keeps a pending secret in the web session, the session is not counted.
"""

from __future__ import annotations

import itertools
import secrets
import sys
import time
from base64 import b32encode
from collections.abc import Callable, Iterable
from typing import Any, Final

import pyotp
from django.conf import settings
from django.core.management import call_command
from django.db import transaction

import django
from benchmarks.ours import ISSUER, RECOVERY_CODES
from benchmarks.peers_plain import wrong_code
from benchmarks.rounds import Steps, per_call
from benchmarks.workers import serve, wait_out_the_period

MEMORY: Final = "memory"

_numbers = itertools.count()


def set_up(path: str, synchronous: str) -> None:
    """Configure a project with all three, and make their tables in the file and in memory."""
    sqlite = {"ENGINE": "django.db.backends.sqlite3"}
    pragma = f"PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous};"
    settings.configure(
        SECRET_KEY=secrets.token_urlsafe(),
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DATABASES={
            "default": {**sqlite, "NAME": path, "OPTIONS": {"init_command": pragma}},
            MEMORY: {**sqlite, "NAME": ":memory:"},
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
            "django_otp",
            "django_otp.plugins.otp_static",
            "django_otp.plugins.otp_totp",
            "two_factor",
            "allauth",
            "allauth.account",
            "allauth.mfa",
        ],
        MIDDLEWARE=["allauth.account.middleware.AccountMiddleware"],
        MFA_TOTP_TOLERANCE=1,
    )
    django.setup()
    for alias in settings.DATABASES:
        call_command("migrate", verbosity=0, database=alias)


def new_users(count: int, using: str = "default") -> list[Any]:
    """Return users who have no second factor yet."""
    from django.contrib.auth.models import User  # noqa: PLC0415  # needs the settings

    numbers = [next(_numbers) for _ in range(count)]
    with transaction.atomic(using=using):
        return [
            User.objects.using(using).create(
                username=f"user-{number}", email=f"user-{number}@example.com"
            )
            for number in numbers
        ]


def code_of(key: bytes, offset: int) -> str:
    """Return the code of a period before or after this one."""
    return pyotp.TOTP(b32encode(key).decode()).at(time.time(), counter_offset=offset)


def atomic(act: Callable[..., object], arguments: Iterable[tuple[Any, ...]]) -> float:
    """Take the time of calls that are one transaction each."""
    return per_call(transaction.atomic(act), arguments)


def django_otp_life(count: int) -> Steps:
    """Live with a TOTPDevice and a StaticDevice."""
    from django_otp import devices_for_user, verify_token  # noqa: PLC0415  # as above
    from django_otp.plugins.otp_static.models import StaticDevice, StaticToken  # noqa: PLC0415
    from django_otp.plugins.otp_totp.models import TOTPDevice  # noqa: PLC0415

    devices: list[Any] = []

    def begin(user: Any) -> None:
        device = TOTPDevice.objects.create(user=user, name="default", confirmed=False)
        devices.append(device)

    def confirm(user: Any, device_id: str, code: str) -> None:
        device = verify_token(user, device_id, code)
        assert device is not None
        device.confirmed = True
        device.save()
        backup = StaticDevice.objects.create(user=user, name="backup")
        StaticToken.objects.bulk_create(
            [
                StaticToken(device=backup, token=StaticToken.random_token())
                for _ in range(RECOVERY_CODES)
            ]
        )

    def verify(user: Any, device_id: str, code: str) -> None:
        assert verify_token(user, device_id, code) is not None

    def disable(user: Any) -> None:
        for device in devices_for_user(user):
            device.delete()

    users = new_users(count)
    wait_out_the_period()
    steps = {"begin": atomic(begin, [(user,) for user in users])}

    def typed(offset: int) -> list[tuple[Any, str, str]]:
        return [
            (device.user, device.persistent_id, code_of(device.bin_key, offset))
            for device in devices
        ]

    steps["confirm"] = atomic(confirm, typed(-1))
    steps["verify"] = atomic(verify, typed(0))
    steps["disable"] = atomic(disable, [(user,) for user in users])
    return steps


def two_factor_life(count: int) -> Steps:
    """Live with the forms of django-two-factor-auth, and with backup tokens as its view makes."""
    from django_otp import devices_for_user  # noqa: PLC0415  # as above
    from django_otp.plugins.otp_static.models import StaticToken  # noqa: PLC0415
    from django_otp.util import random_hex  # noqa: PLC0415
    from two_factor.forms import AuthenticationTokenForm, TOTPDeviceForm  # noqa: PLC0415
    from two_factor.utils import default_device, get_otpauth_url  # noqa: PLC0415

    keys: list[str] = []

    def begin(user: Any) -> None:
        key = random_hex(20)
        get_otpauth_url(user.username, b32encode(bytes.fromhex(key)).decode(), ISSUER)
        keys.append(key)

    def confirm(user: Any, key: str, code: str) -> None:
        form = TOTPDeviceForm(key=key, user=user, data={"token": code})
        assert form.is_valid()
        form.save()
        backup, _ = user.staticdevice_set.get_or_create(defaults={"name": "backup"})
        backup.token_set.all().delete()
        for _ in range(RECOVERY_CODES):
            backup.token_set.create(token=StaticToken.random_token())

    def verify(user: Any, _: str, code: str) -> None:
        device = default_device(user)
        chosen = {"otp_token": code, "otp_device": device.persistent_id}
        assert AuthenticationTokenForm(user, device, data=chosen).is_valid()

    def disable(user: Any) -> None:
        for device in devices_for_user(user):
            device.delete()

    users = new_users(count)
    wait_out_the_period()
    steps = {"begin": atomic(begin, [(user,) for user in users])}

    def typed(offset: int) -> list[tuple[Any, str, str]]:
        pairs = zip(users, keys, strict=True)
        return [(user, key, code_of(bytes.fromhex(key), offset)) for user, key in pairs]

    steps["confirm"] = atomic(confirm, typed(-1))
    steps["verify"] = atomic(verify, typed(0))
    steps["disable"] = atomic(disable, [(user,) for user in users])
    return steps


def allauth_life(count: int) -> Steps:
    """Live with two Authenticators of allauth; its recovery codes are one seed."""
    from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes  # noqa: PLC0415
    from allauth.mfa.models import Authenticator  # noqa: PLC0415
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes  # noqa: PLC0415
    from allauth.mfa.totp.internal import auth  # noqa: PLC0415

    keys: list[str] = []

    def begin(_: Any) -> None:
        keys.append(auth.generate_totp_secret())

    def confirm(user: Any, key: str, code: str) -> None:
        assert auth.validate_totp_code(key, code)
        auth.TOTP.activate(user, key)
        assert len(RecoveryCodes.activate(user).generate_codes()) == RECOVERY_CODES

    def verify(user: Any, _: str, code: str) -> None:
        found = Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP)
        assert found.wrap().validate_code(code)
        found.record_usage()

    def disable(user: Any) -> None:
        Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP).delete()
        delete_dangling_recovery_codes(user)

    users = new_users(count)
    wait_out_the_period()
    steps = {"begin": atomic(begin, [(user,) for user in users])}

    def typed(offset: int) -> list[tuple[Any, str, str]]:
        now = time.time()
        pairs = zip(users, keys, strict=True)
        return [(user, key, pyotp.TOTP(key).at(now, counter_offset=offset)) for user, key in pairs]

    steps["confirm"] = atomic(confirm, typed(-1))
    steps["verify"] = atomic(verify, typed(0))
    steps["disable"] = atomic(disable, [(user,) for user in users])
    return steps


class WrongCodes:
    """Wrong codes on rows that are loaded already, from a database in memory."""

    def __init__(self) -> None:
        from allauth.mfa.models import Authenticator  # noqa: PLC0415  # as above
        from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret  # noqa: PLC0415
        from django_otp.plugins.otp_totp.models import TOTPDevice  # noqa: PLC0415

        users = new_users(25, using=MEMORY)
        devices = TOTPDevice.objects.using(MEMORY)
        self._devices: Any = devices
        self._device_codes = {
            device.pk: wrong_code(b32encode(device.bin_key).decode())
            for device in [devices.create(user=user, name="default") for user in users]
        }
        key = generate_totp_secret()
        row = Authenticator(user=users[0], type=Authenticator.Type.TOTP, data={"secret": key})
        self._allauth, self._allauth_code = TOTP(row), wrong_code(key)

    def django_otp(self, count: int) -> Steps:
        """One on each device: after that it would be throttled. It counts the failure."""
        self._devices.update(throttling_failure_count=0, throttling_failure_timestamp=None)

        def refuse(device: Any, code: str) -> None:
            assert not device.verify_token(code)

        loaded = list(self._devices.all()[:count])
        typed = [(device, self._device_codes[device.pk]) for device in loaded]
        return {"verify": per_call(refuse, typed)}

    def allauth(self, count: int) -> Steps:
        """It counts no failure there: that is the form's task."""

        def refuse(code: str) -> None:
            assert not self._allauth.validate_code(code)

        return {"verify": per_call(refuse, [(self._allauth_code,)] * count)}


def main(path: str, synchronous: str) -> None:
    """Serve batches."""
    set_up(path, synchronous)
    wrong = WrongCodes()
    serve(
        {
            "django-otp": django_otp_life,
            "django-two-factor-auth": two_factor_life,
            "allauth": allauth_life,
            "django-otp, wrong code": wrong.django_otp,
            "allauth, wrong code": wrong.allauth,
        }
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
