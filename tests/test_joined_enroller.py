"""Views: the verbs that judge nothing, inside a transaction that the app commits or rolls back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.flows import USER, VOUCHED, wrong_for
from otp_enroll import (
    AsyncJoinedEnroller,
    Enroller,
    JoinedEnroller,
    StoredEnrollment,
    Unencrypted,
    errors,
)
from otp_enroll.storage.sqlite import JoinedSQLiteStore, SQLiteStore, create_table
from otp_enroll.testing import FakeAuthenticator, FrozenClock


class Shop:
    """An app with a table of its own beside ours, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FrozenClock()
        self.told: list[str] = []
        with self.transaction() as connection:
            connection.execute("CREATE TABLE orders (what TEXT)")
            connection.execute("PRAGMA user_version = 7")
            create_table(connection)
        self.store = SQLiteStore(path, own_file=False, timeout=0.2)
        self.enroller = Enroller(
            self.store,
            issuer="Exir",
            cipher=Unencrypted(),
            clock=self.clock,
            on_event=lambda event: self.told.append(type(event).__name__),
        )

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One request's transaction: committed at the end, rolled back if it raises."""
        with closing(sqlite3.connect(self.path, timeout=0.2)) as connection, connection:
            yield connection

    def view(self, connection: sqlite3.Connection) -> JoinedEnroller:
        """Join the request's transaction."""
        return self.enroller.using(JoinedSQLiteStore(connection))

    def orders(self) -> int:
        """Count the app's rows."""
        with self.transaction() as connection:
            (count,) = connection.execute("SELECT count(*) FROM orders").fetchone()
        return int(count)

    def enroll(self) -> tuple[FakeAuthenticator, list[str]]:
        """Go from disabled to confirmed."""
        setup = self.enroller.begin(USER, account_name="sara")
        phone = FakeAuthenticator(setup.uri, self.clock)
        done = self.enroller.confirm(USER, phone.code(), setup_id=setup.id)
        self.clock.advance(60)
        self.told.clear()
        return phone, list(done.recovery_codes or ())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path / "shop.db")
    yield shop
    shop.store.close()


class Rolled(Exception):  # noqa: N818  # no error of anybody's
    """What makes a transaction roll back."""


def test_change_commits_with_the_apps_own_row(shop: Shop) -> None:
    """What a view changes is there after the commit, with the app's row, and told then."""
    phone, _ = shop.enroll()
    verification = shop.enroller.verify(USER, phone.code(), purpose="disable")
    shop.told.clear()
    with shop.transaction() as connection:
        view = shop.view(connection)
        connection.execute("INSERT INTO orders VALUES ('switch off')")
        view.disable(USER, proof=verification)
        assert view.status(USER).state == "disabled"
        assert shop.told == []
        assert [type(event).__name__ for event in view.events] == ["EnrollmentDisabled"]
    view.deliver_events()
    assert shop.told == ["EnrollmentDisabled"]
    assert view.events == ()
    assert shop.enroller.status(USER).state == "disabled"
    assert shop.orders() == 1


def test_change_rolls_back_with_the_apps_own_row(shop: Shop) -> None:
    """After a rollback nothing of the view is stored, and nothing was told."""
    shop.enroll()
    with pytest.raises(Rolled), shop.transaction() as connection:
        connection.execute("INSERT INTO orders VALUES ('switch off')")
        shop.view(connection).disable(USER, proof=VOUCHED)
        raise Rolled
    assert shop.enroller.status(USER).state == "confirmed"
    assert (shop.orders(), shop.told) == (0, [])


def test_every_verb_of_a_view(shop: Shop) -> None:
    """begin, resume, cancel, rename, new recovery codes, disable, erase and status work joined."""
    _, codes = shop.enroll()
    with shop.transaction() as connection:
        view = shop.view(connection)
        setup = view.begin(USER, account_name="sara", proof=VOUCHED)
        assert view.resume(USER, setup_id=setup.id).key == setup.key
        view.cancel(USER, setup_id=setup.id)
        view.rename(USER, "default", "phone")
        renewed = view.regenerate_recovery_codes(USER, proof=VOUCHED)
        assert not set(renewed) & set(codes)
        view.disable(USER, proof=VOUCHED)
        view.erase(USER, proof=VOUCHED)
        assert view.status(USER).changed_at is None
    view.deliver_events()
    assert shop.told == [
        "OverrideUsed", "SetupBegun", "SetupResumed", "SetupCancelled", "AuthenticatorRenamed",
        "OverrideUsed", "RecoveryCodesIssued", "OverrideUsed", "EnrollmentDisabled",
        "OverrideUsed", "EnrollmentErased",
    ]  # fmt: skip
    assert shop.store.load(USER) is None


def test_no_verb_of_a_view_judges(shop: Shop) -> None:
    """confirm, verify and check_key_copy are not there, nor is maintenance."""
    with shop.transaction() as connection:
        view = shop.view(connection)
    for name in ("confirm", "verify", "check_key_copy", "purge_expired", "reseal", "using"):
        assert not hasattr(view, name)
        assert not hasattr(AsyncJoinedEnroller, name)


@pytest.mark.requirement("R-52")
@pytest.mark.regression_of("B-25")
@pytest.mark.parametrize("typed", ["123456", "", "abc", "Z" * 24])
def test_view_given_typed_text_raises_before_anything_is_loaded(typed: str, shop: Shop) -> None:
    """A code typed where a rollback could give it back is a mistake of the caller's."""

    class Unreachable(JoinedSQLiteStore):
        def load(self, user_id: str) -> StoredEnrollment | None:
            raise AssertionError("loaded")

    with shop.transaction() as connection:
        view = shop.enroller.using(Unreachable(connection))
        calls: list[Callable[[], object]] = [
            lambda: view.begin(USER, account_name="sara", proof=typed),
            lambda: view.disable(USER, proof=typed),
            lambda: view.regenerate_recovery_codes(USER, proof=typed),
            lambda: view.erase(USER, proof=typed),  # type: ignore[arg-type]  # refused at run time
        ]
        for call in calls:
            with pytest.raises(ValueError, match="verify first, pass the Verification"):
                call()


@pytest.mark.regression_of("B-25")
def test_code_judged_beside_a_transaction_stays_judged(shop: Shop) -> None:
    """A wrong code is counted and a right one spent although the request rolls back."""
    phone, _ = shop.enroll()
    with pytest.raises(Rolled), shop.transaction():
        with pytest.raises(errors.WrongCodeError) as refusal:
            shop.enroller.verify(USER, wrong_for(phone))
        assert refusal.value.attempts_left == 4
        shop.enroller.verify(USER, phone.code())
        raise Rolled
    with pytest.raises(errors.CodeReusedError):
        shop.enroller.verify(USER, phone.code())


@pytest.mark.regression_of("B-25")
def test_code_is_not_judged_while_the_request_holds_the_write_lock(shop: Shop) -> None:
    """SQLite has one writer: inside a writing request a code is an error, and not spent."""
    phone, _ = shop.enroll()
    code = phone.code()
    with pytest.raises(Rolled), shop.transaction() as connection:
        connection.execute("INSERT INTO orders VALUES ('first')")
        for typed in (code, "000000"):
            with pytest.raises(errors.StorageError):
                shop.enroller.verify(USER, typed)
        raise Rolled
    shop.enroller.verify(USER, code)


def test_refused_save_in_a_view_is_contention_at_once(shop: Shop) -> None:
    """A view does not retry: the app repeats its transaction, which then sees the newer row."""
    shop.enroll()

    class Stale(JoinedSQLiteStore):
        def load(self, user_id: str) -> StoredEnrollment | None:
            record = super().load(user_id)
            return record and replace(record, revision="0" * 32)

    with shop.transaction() as connection:
        view = shop.enroller.using(Stale(connection))
        with pytest.raises(errors.StoreContentionError):
            view.disable(USER, proof=VOUCHED)
        assert view.events == ()
    with shop.transaction() as connection:
        shop.view(connection).disable(USER, proof=VOUCHED)
    assert shop.enroller.status(USER).state == "disabled"


def test_exceptions_of_the_driver_pass_a_view_unchanged(shop: Shop) -> None:
    """The app's own retry needs to see what its driver raised."""
    with shop.transaction() as connection:
        view = shop.view(connection)
    with pytest.raises(sqlite3.ProgrammingError):
        view.status(USER)
    with pytest.raises(sqlite3.ProgrammingError):
        view.erase(USER, proof=VOUCHED)


def test_using_wants_a_joined_store_and_an_enroller_does_not(shop: Shop) -> None:
    """Each refuses the other's store, and says which one it wants."""
    with pytest.raises(ValueError, match=r"using\(\) takes a joined one"):
        shop.enroller.using(shop.store)
    with pytest.raises(TypeError):
        shop.enroller.using(object())  # type: ignore[arg-type]  # refused at run time
    with (
        shop.transaction() as connection,
        pytest.raises(ValueError, match=r"pass this one to using"),
    ):
        Enroller(JoinedSQLiteStore(connection), issuer="Exir", cipher=Unencrypted())


def test_the_apps_file_stays_the_apps(shop: Shop) -> None:
    """A store on a file of the app's touches neither its user_version nor its journal mode."""
    shop.enroll()
    with shop.transaction() as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (7,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_pending_setup_begun_in_a_view_is_confirmed_by_the_enroller(shop: Shop) -> None:
    """A setup that a committed transaction began is confirmed outside of it."""
    with shop.transaction() as connection:
        setup = shop.view(connection).begin(USER, account_name="sara")
    phone = FakeAuthenticator(setup.uri, shop.clock)
    shop.enroller.confirm(USER, phone.code(), setup_id=setup.id)
    assert shop.enroller.status(USER).required
