"""What a store can be bound to, and what to pass in place of anything else.

The kind of bind decides whether a store commits, so nothing is guessed: what does not fit is
refused when the store is built. Of the other flavour every answer would be a coroutine, which is
true, and a refused save would count as stored.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker


def check_bind(
    bind: Engine | Connection | Session | scoped_session[Session],
) -> Engine | Connection | Session:
    """Return what a ``SQLAlchemyStore`` is bound to.

    Args:
        bind: What the app passed.

    Returns:
        The same, or the session that a ``scoped_session`` stands for in this thread.

    Raises:
        TypeError: It cannot be bound to this; the text says what to pass.
    """
    kind = type(bind).__name__
    bind = bind() if isinstance(bind, scoped_session) else bind
    # ``create_engine`` takes the URL of an async driver without a word, and fails at first use.
    if isinstance(bind, Engine) and bind.dialect.is_async:
        advice = "its driver is async, so use AsyncSQLAlchemyStore over own_async_engine"
    elif isinstance(bind, (Engine, Connection, Session)):
        return bind
    elif isinstance(bind, (AsyncEngine, AsyncConnection, AsyncSession, async_scoped_session)):
        advice = "use AsyncSQLAlchemyStore, or make the engine with own_engine"
    elif isinstance(bind, sessionmaker):
        advice = "call it, and pass the session"
    else:
        advice = "pass what own_engine returns, or a session or connection of the app"
    raise TypeError(f"a SQLAlchemyStore cannot use this {kind}: {advice}")


def check_async_bind(
    bind: AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[AsyncSession],
) -> AsyncEngine | AsyncConnection | AsyncSession:
    """Return what an ``AsyncSQLAlchemyStore`` is bound to.

    Args:
        bind: What the app passed.

    Returns:
        The same, or the session that an ``async_scoped_session`` stands for in this task.

    Raises:
        TypeError: It cannot be bound to this; the text says what to pass.
    """
    kind = type(bind).__name__
    bind = bind() if isinstance(bind, async_scoped_session) else bind
    if isinstance(bind, (AsyncEngine, AsyncConnection, AsyncSession)):
        return bind
    if isinstance(bind, (Engine, Connection, Session, scoped_session)):
        advice = "use SQLAlchemyStore, or make the engine with own_async_engine"
    elif isinstance(bind, async_sessionmaker):
        advice = "call it, and pass the session"
    else:
        advice = "pass what own_async_engine returns, or an async session or connection of the app"
    raise TypeError(f"an AsyncSQLAlchemyStore cannot use this {kind}: {advice}")
