"""Codes and changes inside an app's transaction, over SQLAlchemy on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from helpers import servers
from otp_enroll import Enroller, Unencrypted, errors
from otp_enroll.storage.sqlalchemy import SQLAlchemyStore, enrollment_table, own_engine
from otp_enroll.testing import FakeAuthenticator, FrozenClock

postgresql = servers.postgresql
mariadb = servers.mariadb

USER = "user-42"
METADATA = sa.MetaData()
TABLE = enrollment_table(METADATA)
ORDERS = sa.Table("orders", METADATA, sa.Column("what", sa.String(40)))
PREFIXES = {"postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}


class Rolled(Exception):  # noqa: N818  # no error of anybody's
    """What makes a request roll back."""


class App:
    """A web app with a pool of one connection for its requests, and ours beside it."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.5)
        METADATA.create_all(self.engine)
        options: dict[str, Any] = {"connect_args": {"timeout": 0.2}} if kind == "sqlite" else {}
        self.own = own_engine(url, **options)
        self.clock = FrozenClock()
        self.enroller = Enroller(
            SQLAlchemyStore(self.own, TABLE),
            issuer="Exir",
            cipher=Unencrypted(),
            clock=self.clock,
        )
        setup = self.enroller.begin(USER, account_name="sara")
        self.phone = FakeAuthenticator(setup.uri, self.clock)
        self.enroller.confirm(USER, self.phone.code(), setup_id=setup.id)
        self.clock.advance(60)

    def wrong(self) -> str:
        """Return a code that the phone does not show."""
        near = {self.phone.code(offset) for offset in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)

    def rolled_back(self, act: Callable[[], object], *, write: bool) -> None:
        """Act inside a request that fails, after it wrote or before it did anything."""
        with pytest.raises(Rolled), Session(self.engine) as session, session.begin():
            if write:
                session.execute(ORDERS.insert().values(what="first"))
            else:
                session.execute(sa.select(ORDERS)).all()
            act()
            raise Rolled

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()
        self.own.dispose()


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'app.db'}"
    else:
        url = request.getfixturevalue(request.param).fresh_database().url(PREFIXES[request.param])
    app = App(request.param, url)
    yield app
    app.close()


def refused(kind: type[Exception], act: Callable[[], object]) -> Callable[[], None]:
    """Return a call that must be refused."""

    def call() -> None:
        with pytest.raises(kind):
            act()

    return call


@pytest.mark.requirement("R-65")
@pytest.mark.regression_of("B-25")
@pytest.mark.parametrize("write", [False, True], ids=["read before", "wrote before"])
def test_failure_is_counted_though_the_request_rolls_back(app: App, write: bool) -> None:
    """A wrong code stays counted, with the request's pool empty; or it gets no verdict at all."""
    locked = app.kind == "sqlite" and write
    expected = errors.StorageError if locked else errors.WrongCodeError
    wrong = app.wrong()
    for _ in range(2):
        app.rolled_back(refused(expected, lambda: app.enroller.verify(USER, wrong)), write=write)
    with pytest.raises(errors.WrongCodeError) as refusal:
        app.enroller.verify(USER, wrong)
    assert refusal.value.attempts_left == (4 if locked else 2)


@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-25")
@pytest.mark.parametrize("write", [False, True], ids=["read before", "wrote before"])
def test_code_is_spent_though_the_request_rolls_back(app: App, write: bool) -> None:
    """A right code that a request judged is gone; where it got no verdict it is still good."""
    code = app.phone.code()
    if app.kind == "sqlite" and write:
        app.rolled_back(
            refused(errors.StorageError, lambda: app.enroller.verify(USER, code)), write=True
        )
        assert app.enroller.verify(USER, code).method == "code"
        return
    app.rolled_back(lambda: app.enroller.verify(USER, code), write=write)
    with pytest.raises(errors.CodeReusedError):
        app.enroller.verify(USER, code)


def test_change_in_a_view_lives_and_dies_with_the_apps_row(app: App) -> None:
    """Judge first, then change in the app's transaction: both rows are there, or neither."""
    verification = app.enroller.verify(USER, app.phone.code(), purpose="disable")

    def switch_off(session: Session) -> None:
        session.execute(ORDERS.insert().values(what="switch off"))
        view = app.enroller.using(SQLAlchemyStore(session, TABLE))
        view.disable(USER, proof=verification)

    with pytest.raises(Rolled), Session(app.engine) as session, session.begin():
        switch_off(session)
        raise Rolled
    assert app.enroller.status(USER).required
    with Session(app.engine) as session, session.begin():
        switch_off(session)
    assert not app.enroller.status(USER).required
    with app.engine.connect() as connection:
        assert len(connection.execute(sa.select(ORDERS)).all()) == 1


def test_row_that_the_request_itself_holds_is_an_error_and_no_hang(app: App) -> None:
    """A code judged after a view changed the row waits for the lock timeout, and is not spent."""
    code = app.phone.code()

    def change_then_judge() -> None:
        with Session(app.engine) as session, session.begin():
            view = app.enroller.using(SQLAlchemyStore(session, TABLE))
            view.rename(USER, "default", "phone")
            with pytest.raises(errors.StorageError):
                app.enroller.verify(USER, code)
            raise Rolled

    with pytest.raises(Rolled):
        change_then_judge()
    assert app.enroller.verify(USER, code).authenticator == "default"
