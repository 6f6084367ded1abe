"""The example adapter is certified by the kit, as a stranger's would be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from otp_enroll import Enroller, Unencrypted
from otp_enroll.testing import FakeAuthenticator, FrozenClock, run

EXAMPLE = Path(__file__).parent.parent / "examples" / "custom_store" / "peewee_store.py"
sys.path.insert(0, str(EXAMPLE.parent))

import peewee_store  # noqa: E402  # the example stands beside no test


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Any]:
    peewee_store.database.init(str(tmp_path / "app.db"))
    with peewee_store.database.connection_context():
        peewee_store.database.create_tables([peewee_store.Enrollment])
    yield peewee_store.database
    peewee_store.database.close()


@pytest.mark.requirement("R-93")
def test_example_store_is_certified(database: Any) -> None:
    """The kit finds nothing wrong with the adapter of the example."""

    @contextmanager
    def open_store() -> Iterator[peewee_store.PeeweeStore]:
        yield peewee_store.PeeweeStore()

    def count(user_id: str) -> int:
        found = peewee_store.Enrollment.select().where(peewee_store.Enrollment.user_id == user_id)
        with database.connection_context():
            return int(found.count())

    report = run(open_store, raw_count=count)
    assert report.ok, str(report)


def test_example_store_carries_a_flow(database: Any) -> None:
    """An enroller over the example store confirms and verifies."""
    clock = FrozenClock()
    enroller = Enroller(
        peewee_store.PeeweeStore(), issuer="Exir", cipher=Unencrypted(), clock=clock
    )
    setup = enroller.begin("sara", account_name="sara")
    phone = FakeAuthenticator(setup.uri, clock)
    enroller.confirm("sara", phone.code(), setup_id=setup.id)
    clock.advance(30)
    assert enroller.verify("sara", phone.code()).method == "code"
    assert database.is_closed()


def test_example_store_is_short() -> None:
    """The example has fewer than sixty lines."""
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 60
