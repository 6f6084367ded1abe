"""Flask-Security, in a process of its own: ``python -m benchmarks.peers_flask``.

Its models for SQLAlchemy live in the file that otp_enroll uses, too. Each time that it opens or
seals a TOTP secret it derives a key from the app's with PBKDF2, and it keeps no counter.
"""

from __future__ import annotations

import itertools
import secrets
import sys
from typing import Any, Final

from flask import Flask
from flask_security import Security, SQLAlchemySessionUserDatastore
from flask_security.models import sqla
from passlib.totp import generate_secret
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, scoped_session, sessionmaker

from benchmarks.ours import ISSUER, RECOVERY_CODES
from benchmarks.peers_plain import wrong_code
from benchmarks.rounds import Steps, per_call
from benchmarks.workers import serve, wait_out_the_period

_WINDOW: Final = 30
"""Seconds before and after the code's own: one period, as the others accept."""

_numbers = itertools.count()


class Base(DeclarativeBase):
    """The app's tables."""


sqla.FsModels.set_db_info(base_model=Base)


class Role(Base, sqla.FsRoleMixin):  # type: ignore[misc]  # types are checked without it
    """A role, which the users' model asks for."""

    __tablename__ = "role"


class User(Base, sqla.FsUserMixin):  # type: ignore[misc]  # the same
    """A user, with the columns for a second factor."""

    __tablename__ = "user"


class Peer:
    """An app with two-factor sign-in by an authenticator app, and ten recovery codes.

    Args:
        path: The file.
        synchronous: ``"NORMAL"`` or ``"FULL"``.
    """

    def __init__(self, path: str, synchronous: str) -> None:
        engine = create_engine(f"sqlite:///{path}")

        @event.listens_for(engine, "connect")
        def set_pragmas(connection: Any, _: object) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {synchronous}")

        Base.metadata.create_all(engine)
        self._session = scoped_session(sessionmaker(engine))
        self._users: Any = SQLAlchemySessionUserDatastore(self._session, User, Role)
        self.app = Flask(__name__)
        self.app.config.update(
            SECRET_KEY=secrets.token_urlsafe(),
            SECURITY_PASSWORD_SALT=secrets.token_urlsafe(),
            SECURITY_TWO_FACTOR=True,
            SECURITY_TWO_FACTOR_ENABLED_METHODS=["authenticator"],
            SECURITY_TOTP_SECRETS={"1": generate_secret()},
            SECURITY_TOTP_ISSUER=ISSUER,
            SECURITY_MULTI_FACTOR_RECOVERY_CODES=True,
            SECURITY_MULTI_FACTOR_RECOVERY_CODES_N=RECOVERY_CODES,
        )
        security: Any = Security(self.app, self._users)
        self._totp = security.totp_factory
        self._recovery = security.mf_recovery_codes_util

    def life(self, count: int) -> Steps:
        """Live in the user's own row; each step ends its session, as a request does."""
        sealed: list[str] = []

        def begin(_: int) -> None:
            sealed.append(self._totp.generate_totp_secret())

        def confirm(number: int, secret: str, code: str) -> None:
            user = self._users.find_user(id=number)
            assert self._totp.verify_totp(code, secret, user, window=_WINDOW)
            self._users.tf_set(user, "authenticator", totp_secret=secret)
            assert len(self._recovery.create_recovery_codes(user)) == RECOVERY_CODES
            self._end()

        def verify(number: int, code: str) -> None:
            user = self._users.find_user(id=number)
            assert self._totp.verify_totp(code, user.tf_totp_secret, user, window=_WINDOW)
            self._end()

        def disable(number: int) -> None:
            user = self._users.find_user(id=number)
            self._users.tf_reset(user)
            self._users.mf_set_recovery_codes(user, None)
            self._end()

        users = self._new_users(count)
        wait_out_the_period()
        steps = {"begin": per_call(begin, [(user,) for user in users])}
        codes = [self._totp.generate_totp_password(secret) for secret in sealed]
        steps["confirm"] = per_call(confirm, zip(users, sealed, codes, strict=True))
        codes = [self._totp.generate_totp_password(secret) for secret in sealed]
        steps["verify"] = per_call(verify, zip(users, codes, strict=True))
        steps["disable"] = per_call(disable, [(user,) for user in users])
        return steps

    def wrong(self, count: int) -> Steps:
        """Judge wrong codes; a sealed secret is at hand."""
        secret = self._totp.generate_totp_secret()
        code = wrong_code(self._totp.get_totp_b32_key(secret))

        def refuse() -> None:
            assert not self._totp.verify_totp(code, secret, None, window=_WINDOW)

        return {"verify": per_call(refuse, [()] * count)}

    def _end(self) -> None:
        self._users.commit()
        self._session.remove()

    def _new_users(self, count: int) -> list[int]:
        names = [f"user-{next(_numbers)}" for _ in range(count)]
        users: list[Any] = [
            User(email=f"{name}@example.com", active=True, fs_uniquifier=name) for name in names
        ]
        self._session.add_all(users)
        self._session.commit()
        numbers = [user.id for user in users]
        self._session.remove()
        return numbers


def main(path: str, synchronous: str) -> None:
    """Serve batches."""
    peer = Peer(path, synchronous)
    with peer.app.app_context():
        serve({"Flask-Security": peer.life, "Flask-Security, wrong code": peer.wrong})


if __name__ == "__main__":
    main(*sys.argv[1:])
