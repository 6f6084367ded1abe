"""Codes judged in requests that run in a transaction: what they cost stays, come what may."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parent.parent):
    sys.path.insert(0, str(folder))  # for the modules beside this file

import pytest  # noqa: E402
from asgiref.sync import async_to_sync  # noqa: E402
from django.db import transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django_site import ACCOUNT, CLOCK, USER, Site, enroll, kinds, make_enroller  # noqa: E402

from otp_enroll import AsyncEnroller, Override, Unencrypted, errors  # noqa: E402
from otp_enroll.django.store import (  # noqa: E402
    AsyncDjangoStore,
    AsyncJoinedDjangoStore,
    JoinedDjangoStore,
)

pytest_plugins = ["django_servers"]

WRONG = "000000"
DESK = Override(actor="desk", reason="lost phone")


@pytest.fixture
def atomic(site: Site) -> Site:
    """The project with a transaction around each request."""
    site.set("default", ATOMIC_REQUESTS=True)
    if site.kind == "sqlite":
        site.set("otp_enroll", OPTIONS={"timeout": 0.2})
    return site


def ask(code: str, address: str = "/login/", **done: str) -> str:
    client = Client(raise_request_exception=False)
    response = client.post(address, {"code": code, **done})
    return response.content.decode() if response.status_code == 200 else "failed"


def attempts_left() -> int | None:
    """Count one more wrong code, and return how many more will be judged."""
    with pytest.raises(errors.WrongCodeError) as wrong:
        make_enroller().verify(USER, WRONG)
    return wrong.value.attempts_left


def shut_out(site: Site, before: str) -> bool:
    """Tell whether the request itself holds the one lock that SQLite has."""
    return site.kind == "sqlite" and before == "writes"


@pytest.mark.requirement("R-65")
@pytest.mark.regression_of("B-25")
@pytest.mark.parametrize("before", ["nothing", "reads", "writes"])
def test_wrong_code_counts_though_the_request_rolls_back(atomic: Site, before: str) -> None:
    """A refused code costs its attempt though the view's transaction rolls back; or no verdict."""
    enroll(make_enroller())
    first = attempts_left()
    assert first is not None
    if shut_out(atomic, before):
        assert ask(WRONG, **{before: "1"}) == "StorageError"
        assert attempts_left() == first - 1
    else:
        assert ask(WRONG, **{before: "1"}) == "WrongCodeError"
        assert attempts_left() == first - 2
    assert atomic.sql("SELECT * FROM note") == []


@pytest.mark.requirement("R-63", "R-65")
@pytest.mark.parametrize("before", ["nothing", "reads", "writes"])
def test_right_code_is_spent_though_the_request_fails(atomic: Site, before: str) -> None:
    """A code called right is not right again after the request rolled back; or no verdict."""
    phone = enroll(make_enroller())
    if shut_out(atomic, before):
        assert ask(phone.code(), fails="1", **{before: "1"}) == "StorageError"
        assert ask(phone.code()) == "accepted"
    else:
        assert ask(phone.code(), fails="1", **{before: "1"}) == "failed"
        assert ask(phone.code()) == "CodeReusedError"
    assert atomic.sql("SELECT * FROM note") == []


@kinds("sqlite")
def test_sqlite_without_wal_is_locked_by_a_view_that_read(site: Site) -> None:
    """Without WAL a transaction that has only read shuts the store out: an error, no verdict."""
    site.set("default", ATOMIC_REQUESTS=True, OPTIONS={"init_command": ""})
    site.set("otp_enroll", OPTIONS={"timeout": 0.2, "init_command": ""})
    phone = enroll(make_enroller())
    assert ask(phone.code(), reads="1") == "accepted"
    CLOCK.advance(30)
    site.restart()
    site.sql("PRAGMA journal_mode=DELETE")
    assert ask(phone.code(), reads="1") == "StorageError"
    assert ask(phone.code()) == "accepted"


def test_view_that_reads_judges_and_writes(atomic: Site) -> None:
    """On SQLite such a view is undone, unless no transaction is around it; the code is spent."""
    phone = enroll(make_enroller())
    undone = atomic.kind == "sqlite"
    code, later = phone.code(), phone.code(1)
    assert ask(code, reads="1", writes_later="1") == ("failed" if undone else "accepted")
    assert ask(code) == "CodeReusedError"
    if undone:
        assert ask(later, "/non-atomic-login/", reads="1", writes_later="1") == "accepted"
    assert atomic.sql("SELECT * FROM note") == [("written after",)]


def test_view_commits_and_rolls_back_with_the_app(site: Site) -> None:
    """A change made through a joined store lives and dies with the app's own row."""
    enroller = make_enroller()
    phone = enroll(enroller)
    for rolls_back in (True, False):
        CLOCK.advance(30)
        verification = enroller.verify(USER, phone.code(), purpose="disable")
        with transaction.atomic():
            site.sql("INSERT INTO note VALUES ('switched off')")
            view = enroller.using(JoinedDjangoStore())
            view.disable(USER, proof=verification)
            assert view.status(USER).state == "disabled"
            transaction.set_rollback(rolls_back)
        state = "confirmed" if rolls_back else "disabled"
        assert enroller.status(USER).state == state
        assert len(site.sql("SELECT * FROM note")) == (not rolls_back)


def test_async_flow(site: Site) -> None:
    """The awaited flavour goes through the whole life of an account, and joins a transaction."""
    awaited = AsyncEnroller(AsyncDjangoStore(), issuer="Exir", cipher=Unencrypted(), clock=CLOCK)

    async def scenario() -> None:
        setup = await awaited.begin(USER, account_name=ACCOUNT)
        assert (await awaited.resume(USER, setup_id=setup.id)).key == setup.key
        await awaited.cancel(USER, setup_id=setup.id)

    async def change() -> None:
        view = awaited.using(AsyncJoinedDjangoStore())
        await view.disable(USER, proof=DESK)

    async_to_sync(scenario)()
    enroll(make_enroller())
    with transaction.atomic():
        async_to_sync(change)()
        transaction.set_rollback(True)
    assert make_enroller().status(USER).required
    with transaction.atomic():
        async_to_sync(change)()
    assert not make_enroller().status(USER).required
