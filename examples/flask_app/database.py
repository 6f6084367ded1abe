"""The app's own tables beside the enrollments, and the two engines over one database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from pages.kept import is_notice
from pages.pages import DEMO, Account
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.security import check_password_hash, generate_password_hash

from otp_enroll.events import Event
from otp_enroll.storage.sqlalchemy import SQLAlchemyStore, enrollment_table, own_engine

METADATA: Final = sa.MetaData()
ENROLLMENTS: Final = enrollment_table(METADATA)
USERS: Final = sa.Table(
    "users",
    METADATA,
    # Not the mail address: people change it, and ciphertexts are bound to the id.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("mail", sa.String(254), nullable=False),
    sa.Column("password", sa.String(255), nullable=False),
    sa.Column("helps", sa.Boolean, nullable=False),
    sa.Column("language", sa.String(8)),
)
NOTICES: Final = sa.Table(
    "notices",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.String(32), sa.ForeignKey("users.id"), nullable=False, index=True),
    sa.Column("event", sa.JSON, nullable=False),
)
NOTICES_SHOWN: Final = 8

_NOBODY: Final = generate_password_hash("nobody's")


class Database:
    """The app's database.

    Args:
        url: Any SQLAlchemy URL.

    Attributes:
        engine: For the app's requests.
        own: For the enroller alone: its verdicts are committed whatever a request rolls back,
            and it has connections when those of the app are taken.
        sessions: Makes the app's sessions.
    """

    def __init__(self, url: str) -> None:
        self.engine = sa.create_engine(url, hide_parameters=True)
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                # Readers and the writer then do not wait for each other.
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        self.own = own_engine(url)
        self.sessions = sessionmaker(self.engine)
        METADATA.create_all(self.engine)  # an app has migrations instead
        self._add_demo_accounts()

    def own_store(self) -> SQLAlchemyStore:
        """Return the store that judges: every call commits by itself."""
        return SQLAlchemyStore(self.own, ENROLLMENTS)

    def joined_store(self, session: Session) -> SQLAlchemyStore:
        """Return the store whose statements are part of the session's transaction."""
        return SQLAlchemyStore(session, ENROLLMENTS)

    def account(self, user_id: str) -> Account | None:
        """Return the account with that id."""
        return self._account(USERS.c.id == user_id)

    def named(self, name: str) -> Account | None:
        """Return the account with that name."""
        return self._account(USERS.c.name == name)

    def account_of(self, name: str, password: str) -> Account | None:
        """Return the account if the password is its own."""
        with self.sessions() as session:
            kept = session.scalar(sa.select(USERS.c.password).where(USERS.c.name == name))
        # Hashed for an unknown name, too: else the time would tell which names there are.
        right = check_password_hash(kept or _NOBODY, password)
        return self.named(name) if kept and right else None

    def speak(self, user_id: str, language: str) -> None:
        """Remember in which language an account's owner reads."""
        row = sa.update(USERS).where(USERS.c.id == user_id).values(language=language)
        with self.sessions.begin() as session:
            session.execute(row)

    def notices(self, user_id: str) -> list[Event]:
        """Return what happened to an account, the newest first."""
        wanted = (
            sa.select(NOTICES.c.event)
            .where(NOTICES.c.user_id == user_id)
            .order_by(NOTICES.c.id.desc())
            .limit(NOTICES_SHOWN)
        )
        with self.sessions() as session:
            return [Event.from_dict(facts) for facts in session.scalars(wanted)]

    @staticmethod
    def note(session: Session, told: Iterable[Event]) -> None:
        """Write down what the owner has to know, in the session's transaction."""
        for event in told:
            if is_notice(event):
                row = {"user_id": event.user_id, "event": event.to_dict()}
                session.execute(NOTICES.insert().values(row))

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()
        self.own.dispose()

    def _account(self, condition: sa.ColumnElement[bool]) -> Account | None:
        columns = USERS.c
        wanted = sa.select(
            columns.id, columns.name, columns.mail, columns.helps, columns.language
        ).where(condition)
        with self.sessions() as session:
            row = session.execute(wanted).first()
        return None if row is None else Account(*row)

    def _add_demo_accounts(self) -> None:
        with self.sessions.begin() as session:
            if session.execute(sa.select(USERS.c.id)).first():
                return
            for one, password in DEMO.items():
                row = {"id": one.id, "name": one.name, "mail": one.mail, "helps": one.helps}
                row["password"] = generate_password_hash(password)
                session.execute(USERS.insert().values(row))
