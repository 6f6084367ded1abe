"""Web sessions on the server, in the app's database, so that several processes share them."""

from __future__ import annotations

import hashlib
import time
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from starsessions import SessionStore

from fastapi_app.database import SESSIONS, Database

IDLE_SECONDS: Final = 12 * 60 * 60


class DatabaseSessions(SessionStore):
    """What starsessions asks for, as rows.

    A session that has ended leaves an empty row until it would have expired. Each answer saves
    its session, and a slow one must not bring a session back that ended meanwhile: whoever has
    an old cookie could keep it alive like that.

    Args:
        database: The app's; it may be opened later.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, session_id: str, lifetime: int) -> bytes:  # noqa: ARG002  # IDLE_SECONDS is it
        """Return what is kept, or nothing."""
        wanted = sa.select(SESSIONS.c.data).where(
            SESSIONS.c.digest == digest(session_id),
            SESSIONS.c.used_at > time.time() - IDLE_SECONDS,
        )
        async with self._database.sessions() as transaction:
            return (await transaction.scalar(wanted) or "").encode()

    async def write(self, session_id: str, data: bytes, lifetime: int, ttl: int) -> str:  # noqa: ARG002  # the same
        """Keep it, if it has not ended."""
        row: dict[str, str | int] = {"data": data.decode(), "used_at": int(time.time())}
        mine = SESSIONS.c.digest == digest(session_id)
        lives = sa.update(SESSIONS).where(mine, SESSIONS.c.data.is_not(None)).values(row)
        async with self._database.engine.begin() as transaction:
            found = (await transaction.execute(lives)).rowcount
        if not found:
            await self._create({"digest": digest(session_id), **row})
        return session_id

    async def remove(self, session_id: str) -> None:
        """End it, and clear away what expired."""
        mine = SESSIONS.c.digest == digest(session_id)
        old = SESSIONS.c.used_at <= int(time.time()) - IDLE_SECONDS
        async with self._database.engine.begin() as transaction:
            await transaction.execute(sa.update(SESSIONS).where(mine).values(data=None))
            await transaction.execute(sa.delete(SESSIONS).where(old))

    async def _create(self, row: dict[str, str | int]) -> None:
        try:
            async with self._database.engine.begin() as transaction:
                await transaction.execute(sa.insert(SESSIONS).values(row))
        except IntegrityError:
            return  # it has ended


def digest(session_id: str) -> str:
    """Return what a row is found by: a copy of the table signs nobody in."""
    return hashlib.sha256(session_id.encode()).hexdigest()
