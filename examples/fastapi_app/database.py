"""The app's own tables beside the enrollments, and the two engines over one database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from pages.kept import is_notice
from pages.pages import DEMO, Account
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from otp_enroll.events import Event
from otp_enroll.storage.sqlalchemy import (
    AsyncSQLAlchemyStore,
    enrollment_table,
    own_async_engine,
)

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
SESSIONS: Final = sa.Table(
    "sessions",
    METADATA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("data", sa.Text),  # none: it has ended
    sa.Column("used_at", sa.BigInteger, nullable=False, index=True),
)
NOTICES_SHOWN: Final = 8

HASHER: Final = PasswordHasher()
_NOBODY: Final = HASHER.hash("nobody's")


class Database:
    """The app's database.

    Args:
        url: Any async SQLAlchemy URL.

    Attributes:
        engine: For the app's requests.
        own: For the enroller alone: its verdicts are committed whatever a request rolls back,
            and it has connections when those of the app are taken.
        sessions: Makes the app's sessions.
    """

    engine: AsyncEngine
    own: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        """Make the engines, which belong to the event loop that runs now."""
        self.engine = create_async_engine(self._url, hide_parameters=True)
        self.own = own_async_engine(self._url)
        self.sessions = async_sessionmaker(self.engine)
        if self.engine.dialect.name == "sqlite":
            async with self.engine.connect() as connection:
                # Readers and the writer then do not wait for each other.
                await connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        async with self.engine.begin() as connection:
            await connection.run_sync(METADATA.create_all)  # an app has migrations instead
        await self._add_demo_accounts()

    def own_store(self) -> AsyncSQLAlchemyStore:
        """Return the store that judges: every call commits by itself."""
        return AsyncSQLAlchemyStore(self.own, ENROLLMENTS)

    def joined_store(self, session: AsyncSession) -> AsyncSQLAlchemyStore:
        """Return the store whose statements are part of the session's transaction."""
        return AsyncSQLAlchemyStore(session, ENROLLMENTS)

    async def account(self, user_id: str) -> Account | None:
        """Return the account with that id."""
        return await self._account(USERS.c.id == user_id)

    async def named(self, name: str) -> Account | None:
        """Return the account with that name."""
        return await self._account(USERS.c.name == name)

    async def account_of(self, name: str, password: str) -> Account | None:
        """Return the account if the password is its own."""
        async with self.sessions() as session:
            kept = await session.scalar(sa.select(USERS.c.password).where(USERS.c.name == name))
        # Hashed for an unknown name, too: else the time would tell which names there are. In a
        # thread, since it takes as long as many requests, and they would all wait for it.
        right = await asyncio.to_thread(_is_hash_of, kept or _NOBODY, password)
        return await self.named(name) if kept and right else None

    async def speak(self, user_id: str, language: str) -> None:
        """Remember in which language an account's owner reads."""
        row = sa.update(USERS).where(USERS.c.id == user_id).values(language=language)
        async with self.sessions.begin() as session:
            await session.execute(row)

    async def notices(self, user_id: str) -> list[Event]:
        """Return what happened to an account, the newest first."""
        wanted = (
            sa.select(NOTICES.c.event)
            .where(NOTICES.c.user_id == user_id)
            .order_by(NOTICES.c.id.desc())
            .limit(NOTICES_SHOWN)
        )
        async with self.sessions() as session:
            return [Event.from_dict(facts) for facts in await session.scalars(wanted)]

    @staticmethod
    async def note(session: AsyncSession, told: Iterable[Event]) -> None:
        """Write down what the owner has to know, in the session's transaction."""
        for event in told:
            if is_notice(event):
                row = {"user_id": event.user_id, "event": event.to_dict()}
                await session.execute(NOTICES.insert().values(row))

    async def close(self) -> None:
        """Give the connections back."""
        await self.engine.dispose()
        await self.own.dispose()

    async def _account(self, condition: sa.ColumnElement[bool]) -> Account | None:
        columns = USERS.c
        wanted = sa.select(
            columns.id, columns.name, columns.mail, columns.helps, columns.language
        ).where(condition)
        async with self.sessions() as session:
            row = (await session.execute(wanted)).first()
        return None if row is None else Account(*row)

    async def _add_demo_accounts(self) -> None:
        async with self.sessions.begin() as session:
            if (await session.execute(sa.select(USERS.c.id))).first():
                return
            for one, password in DEMO.items():
                row = {"id": one.id, "name": one.name, "mail": one.mail, "helps": one.helps}
                row["password"] = HASHER.hash(password)
                await session.execute(USERS.insert().values(row))


def _is_hash_of(kept: str, password: str) -> bool:
    try:
        return HASHER.verify(kept, password)
    except VerifyMismatchError:
        return False
