"""The SQLite stores: durable, atomic in one statement, safe under threads, processes and forks."""

from __future__ import annotations

import asyncio
import inspect
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otp_enroll import StoredEnrollment
from otp_enroll.errors import StorageError
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.storage.sqlite import (
    SCHEMA_VERSION,
    AsyncSQLiteStore,
    JoinedSQLiteStore,
    SQLiteStore,
    create_table,
)


def record(
    user_id: str = "user-42",
    revision: str = "1" * 32,
    state: str = "disabled",
    setup_expires_at: int | None = None,
    document: str = "{}",
) -> StoredEnrollment:
    return StoredEnrollment(
        user_id=user_id,
        revision=revision,
        state=state,
        setup_expires_at=setup_expires_at,
        changed_at=7,
        document=document,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "otp.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with SQLiteStore(path, timeout=0.2) as opened:
        yield opened


def connection_of(store: SQLiteStore) -> sqlite3.Connection:
    """Return the one connection that the store keeps when it is idle."""
    store.load("nobody")
    (connection,) = store._idle
    return connection


def connections_of_two_calls(store: SQLiteStore) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Return the connections of a call and of another that is made during it."""
    return store._call(lambda first: (first, store._call(lambda second: second)))


def pragma(connection: sqlite3.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def run_script(script: str, *arguments: str | Path) -> str:
    """Run a script in a process of its own, and return what it printed."""
    done = subprocess.run(  # noqa: S603  # our own interpreter and script
        [sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- durability ---


def test_writes_survive_a_power_cut_by_default(store: SQLiteStore) -> None:
    """Every connection has WAL and synchronous=FULL in force: a spent code stays spent."""
    connection = connection_of(store)
    assert pragma(connection, "journal_mode") == "wal"
    assert pragma(connection, "synchronous") == 2
    _, second = connections_of_two_calls(store)
    assert pragma(second, "journal_mode") == "wal"
    assert pragma(second, "synchronous") == 2


def test_normal_must_be_asked_for(path: Path) -> None:
    """The quicker setting is used where it is asked for by name."""
    with SQLiteStore(path, synchronous="NORMAL") as store:
        assert pragma(connection_of(store), "synchronous") == 1


def test_records_outlive_the_store(path: Path) -> None:
    """What was saved is there for the next store on the file, value and type alike."""
    stored = record(setup_expires_at=0, document='{"a": "é\\n\u200f"}')
    with SQLiteStore(path) as first:
        assert first.save(stored, expected=None) is True
    with SQLiteStore(path) as second:
        assert second.load("user-42") == stored


def test_file_version(path: Path, store: SQLiteStore) -> None:
    """The file carries the version of its tables."""
    assert pragma(connection_of(store), "user_version") == SCHEMA_VERSION == 1
    assert path.exists()


def test_rows_of_some_thousand_bytes_share_pages(path: Path) -> None:
    """A row that is longer than a quarter of a page does not spill into a page of its own."""
    with SQLiteStore(path) as store:
        for number in range(40):
            store.save(record(f"user-{number}", document="x" * 1500), expected=None)
        assert pragma(connection_of(store), "page_size") == 4096
        assert pragma(connection_of(store), "page_count") < 40


def test_a_newer_file_is_refused(path: Path, store: SQLiteStore) -> None:
    """A file that a newer version of the library made is a StorageError for every call."""
    store.save(record(), expected=None)
    connection_of(store).execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with SQLiteStore(path) as older:
        for _ in range(2):
            with pytest.raises(StorageError):
                older.load("user-42")
            with pytest.raises(StorageError):
                older.save(record("user-43"), expected=None)
        assert older._idle == []


# --- one statement ---


def test_one_statement_per_call(store: SQLiteStore) -> None:
    """Each call is one statement, with no transaction around it."""
    seen: list[str] = []
    connection_of(store).set_trace_callback(seen.append)
    assert store.save(record(), expected=None) is True
    assert store.save(record(), expected=None) is False
    assert store.save(record(revision="2" * 32), expected="1" * 32) is True
    assert store.save(record(revision="3" * 32), expected="1" * 32) is False
    assert store.load("user-42") == record(revision="2" * 32)
    assert store.user_ids() == ["user-42"]
    store.delete("user-42")
    words = [statement.split()[0] for statement in seen]
    assert words == ["INSERT", "INSERT", "UPDATE", "UPDATE", "SELECT", "SELECT", "DELETE"]


def test_save_is_compare_and_set(store: SQLiteStore) -> None:
    """Only a create of nothing, and an update of the stored revision, are stored."""
    for expected in ("", "1" * 32):
        assert store.save(record(), expected=expected) is False
    assert store.load("user-42") is None
    assert store.save(record(), expected=None) is True
    for other in (None, "", "1", "1" * 31, "1" * 33, "2" * 32, "%", "1" * 31 + "_"):
        assert store.save(record(revision="9" * 32), expected=other) is False
    assert store.load("user-42") == record()
    newer = record(revision="2" * 32, state="pending", setup_expires_at=5, document="{ }")
    assert store.save(newer, expected="1" * 32) is True
    assert store.load("user-42") == newer
    assert store.save(record(revision="3" * 32), expected="2" * 32) is True
    assert store.load("user-42") == record(revision="3" * 32)


@pytest.mark.regression_of("B-29")
def test_delete_is_for_good(store: SQLiteStore) -> None:
    """A deleted record is gone, may be deleted again, and no late save brings it back."""
    store.save(record(), expected=None)
    store.save(record("user-43"), expected=None)
    store.delete("user-42")
    store.delete("user-42")
    assert store.load("user-42") is None
    assert store.save(record(revision="2" * 32), expected="1" * 32) is False
    assert store.user_ids() == ["user-43"]


ODD_IDS = [
    *("1", "01", "1.0", "1e0", "0x1", " ", "1 ", " 1", "\n", "null", "None"),
    *("Alice", "alice", "ALICE", "é", "e\u0301", "📱", "سارا"),
    *("%", "_", "*", "?", "[a]", "a:b", "a/b", "'", '"', "`", ";", "--"),
    *(str(UUID(int=10)), str(UUID(int=10)).upper()),
    *("x" * 189 + "a", "x" * 189 + "b", "\U0010ffff" * 190),
]


def test_ids_are_kept_byte_for_byte(store: SQLiteStore) -> None:
    """Ids that a database might take for one another are accounts of their own."""
    for number, user_id in enumerate(ODD_IDS):
        assert store.save(record(user_id, f"{number:032x}"), expected=None) is True
    for number, user_id in enumerate(ODD_IDS):
        assert store.load(user_id) == record(user_id, f"{number:032x}")
    assert store.user_ids() == sorted(ODD_IDS)
    store.delete("%")
    store.delete("*")
    assert len(store.user_ids()) == len(ODD_IDS) - 2


# --- threads and processes ---


@pytest.mark.requirement("R-64")
def test_one_of_many_threads_saves(store: SQLiteStore) -> None:
    """In each of thirty rounds exactly one thread of eight is told that it saved, and it did."""
    gate = threading.Barrier(8)

    def save(revision: str, expected: str | None) -> bool:
        gate.wait()
        return store.save(record(revision=revision), expected=expected)

    before: str | None = None

    with ThreadPoolExecutor(8) as pool:
        for number in range(30):
            revisions = [f"{number:016x}{worker:016x}" for worker in range(8)]
            saved = list(pool.map(save, revisions, [before] * 8))
            assert saved.count(True) == 1
            assert saved.count(False) == 7
            before = revisions[saved.index(True)]
            found = store.load("user-42")
            assert found is not None
            assert found.revision == before


def test_no_two_calls_share_a_connection(store: SQLiteStore) -> None:
    """Row counts cannot be mixed up: a connection is lent to one call at a time, and kept."""
    first, second = connections_of_two_calls(store)
    assert first is not second
    assert {first, second} == set(store._idle)
    third, idle = store._call(lambda connection: (connection, list(store._idle)))
    assert {third, *idle} == {first, second}
    assert len(idle) == 1


OPEN_NEW_FILE = """
import sys
from otp_enroll import StoredEnrollment
from otp_enroll.storage.sqlite import SQLiteStore
path, number, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
for turn in range(rounds):
    print("ready", flush=True)
    sys.stdin.readline()
    record = StoredEnrollment(
        user_id=number, revision="1" * 32, state="disabled", setup_expires_at=None,
        changed_at=0, document="{}",
    )
    with SQLiteStore(f"{path}-{turn}") as store:
        print(store.save(record, expected=None), flush=True)
"""


def test_eight_processes_open_a_new_file_at_once(tmp_path: Path) -> None:
    """All of eight processes that open a file before it exists succeed, in each of ten rounds."""
    rounds = 10
    processes = [
        subprocess.Popen(  # noqa: S603  # our own interpreter and script
            [sys.executable, "-c", OPEN_NEW_FILE, str(tmp_path / "new"), str(n), str(rounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(8)
    ]
    pipes = [(one.stdin, one.stdout) for one in processes if one.stdin and one.stdout]
    try:
        for turn in range(rounds):
            assert [out.readline() for _, out in pipes] == ["ready\n"] * 8
            for into, _ in pipes:
                into.write("go\n")
                into.flush()
            assert [out.readline() for _, out in pipes] == ["True\n"] * 8
            with SQLiteStore(tmp_path / f"new-{turn}") as store:
                assert store.user_ids() == [str(n) for n in range(8)]
    finally:
        for one in processes:
            one.communicate()
    assert [one.returncode for one in processes] == [0] * 8


def test_another_writer_is_waited_for(path: Path, store: SQLiteStore) -> None:
    """A save waits for a writer that is done within the timeout."""
    store.load("user-42")
    blocker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    blocker.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.05, lambda: blocker.execute("ROLLBACK"))
    release.start()
    assert store.save(record(), expected=None) is True
    release.join()
    blocker.close()


def test_a_stuck_writer_is_an_error_and_no_hang(path: Path, store: SQLiteStore) -> None:
    """After the timeout a blocked save is a StorageError; reads go on; later the store works."""
    store.save(record(), expected=None)
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(StorageError) as caught:
        store.save(record(revision="2" * 32), expected="1" * 32)
    assert 0.15 < time.monotonic() - started < 2
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
    with pytest.raises(StorageError):
        store.delete("user-42")
    assert store.load("user-42") == record()
    blocker.execute("ROLLBACK")
    blocker.close()
    assert store.save(record(revision="2" * 32), expected="1" * 32) is True


def test_a_new_file_that_another_holds_is_an_error_and_no_hang(path: Path) -> None:
    """Also the switch to WAL gives up within seconds when somebody keeps the file locked."""
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("CREATE TABLE other (value)")
    blocker.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    with SQLiteStore(path, timeout=0.05) as store, pytest.raises(StorageError):
        store.load("user-42")
    took = time.monotonic() - started
    blocker.execute("ROLLBACK")
    blocker.close()
    assert took < 4


FORK = """
import gc, os, sqlite3, sys
from otp_enroll import StoredEnrollment
from otp_enroll.storage.sqlite import SQLiteStore

def record(revision):
    return StoredEnrollment(
        user_id="user-42", revision=revision, state="disabled", setup_expires_at=None,
        changed_at=0, document="{}",
    )

def in_child(work):
    child = os.fork()
    if not child:
        status = 1
        try:
            status = 0 if work() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def open_connections():
    gc.collect()
    return sum(isinstance(one, sqlite3.Connection) for one in gc.get_objects())

store = SQLiteStore(sys.argv[1])
assert store.save(record("0"), expected=None)
(mine,) = map(id, store._idle)

def child():
    assert store.save(record("1"), expected="0")
    assert mine not in map(id, store._idle)
    assert store.load("user-42").revision == "1"
    held = open_connections()
    return in_child(lambda: grandchild(held)) == 0

def grandchild(held):
    assert store.save(record("2"), expected="1")
    assert open_connections() == held + 1, "an inherited connection was closed"
    return True

assert in_child(child) == 0
assert store.load("user-42").revision == "2"
assert store.save(record("3"), expected="2")
assert list(map(id, store._idle)) == [mine]
store.close()
print("ok")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_connections_do_not_cross_a_fork(path: Path) -> None:
    """A child uses connections of its own, and neither it nor its child closes inherited ones."""
    assert run_script(FORK, path) == "ok\n"


def test_connections_of_another_process_are_set_aside(store: SQLiteStore) -> None:
    """A connection that another process opened is neither used nor closed, but kept alive."""
    first = connection_of(store)
    store._pid = 0  # as after a fork
    second = connection_of(store)
    store._pid = 0  # and another one
    assert connection_of(store) not in {first, second}
    assert first.execute("SELECT 1").fetchone() == second.execute("SELECT 1").fetchone() == (1,)
    assert {first, second} <= set(store._inherited)
    first.close()
    second.close()


# --- errors ---


def calls(store: SQLiteStore) -> list[Any]:
    return [
        lambda: store.load("user-42"),
        lambda: store.save(record(), expected=None),
        lambda: store.save(record(), expected="0" * 32),
        lambda: store.delete("user-42"),
        store.user_ids,
    ]


def all_raise(store: SQLiteStore) -> None:
    for call in calls(store):
        with pytest.raises(StorageError) as caught:
            call()
        assert isinstance(caught.value.__cause__, sqlite3.Error)
        assert str(caught.value.__cause__) not in str(caught.value)


def test_missing_directory(tmp_path: Path) -> None:
    """A file in a directory that does not exist is a StorageError, and never "not enrolled"."""
    with SQLiteStore(tmp_path / "missing" / "otp.sqlite3") as store:
        all_raise(store)


def test_directory_in_the_place_of_the_file(tmp_path: Path) -> None:
    """A directory is no database."""
    with SQLiteStore(tmp_path) as store:
        all_raise(store)


def test_corrupt_file(path: Path) -> None:
    """A file that is no database is a StorageError, and stays as it is."""
    path.write_bytes(b"no database, but long enough to have a header of one. " * 20)
    with SQLiteStore(path) as store:
        all_raise(store)
    assert path.read_bytes().startswith(b"no database")


def test_lost_table(store: SQLiteStore) -> None:
    """A table that is gone is a StorageError, not an empty one."""
    connection = connection_of(store)
    connection.execute("DROP TABLE otp_enrollment")
    all_raise(store)
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


def test_read_only_directory(tmp_path: Path) -> None:
    """Where no file can be made, every call is a StorageError."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(folder, os.W_OK):
        folder = Path("/proc")  # the superuser may write anywhere but there
    with SQLiteStore(folder / "otp.sqlite3") as store:
        all_raise(store)


def test_a_failed_connection_is_not_used_again(store: SQLiteStore) -> None:
    """After a failure the next call opens a new connection."""
    first = connection_of(store)
    first.close()
    with pytest.raises(StorageError):
        store.load("user-42")
    assert store.load("user-42") is None
    assert connection_of(store) is not first


def test_a_value_that_the_driver_refuses_loses_no_connection(store: SQLiteStore) -> None:
    """Whatever else is raised inside a call closes its connection, and the store goes on."""
    impossible: Any = object()
    with pytest.raises(StorageError):
        store.load(impossible)
    with pytest.raises((OverflowError, StorageError)):
        store.save(record(setup_expires_at=2**64), expected=None)
    assert store.load("user-42") is None
    assert len(store._idle) == 1


@pytest.mark.parametrize("path", [":memory:", "", "file:otp.sqlite3?mode=memory"])
def test_memory_is_refused(path: str) -> None:
    """A database of which each connection has its own is refused, in both flavours."""
    for kind in (SQLiteStore, AsyncSQLiteStore):
        with pytest.raises(ValueError, match="path of a file"):
            kind(path)


@pytest.mark.parametrize("synchronous", ["OFF", "full", "EXTRA; DROP TABLE otp_enrollment"])
def test_other_values_of_synchronous_are_refused(path: Path, synchronous: Any) -> None:
    """Nothing but FULL and NORMAL reaches the database."""
    with pytest.raises(ValueError, match="synchronous"):
        SQLiteStore(path, synchronous=synchronous)


# --- closing ---


def test_close_and_use_again(path: Path) -> None:
    """A closed store has no connection; used again, it opens one; closing twice is harmless."""
    store = SQLiteStore(path)
    assert not path.exists()
    store.save(record(), expected=None)
    connection = connection_of(store)
    store.close()
    store.close()
    assert store._idle == []
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
    assert store.load("user-42") == record()
    store.close()


def test_context_manager_closes(path: Path) -> None:
    """Leaving the context closes every idle connection, also those of other threads."""
    with SQLiteStore(path) as store, ThreadPoolExecutor(4) as pool:
        list(pool.map(store.load, ["a", "b", "c", "d"]))
        connections = list(store._idle)
    assert connections
    for connection in connections:
        with pytest.raises(sqlite3.ProgrammingError):
            connection.execute("SELECT 1")


UNCLOSED = """
import gc, sys
from otp_enroll.storage.sqlite import SQLiteStore
for path in (sys.argv[1] + "/missing/file", sys.argv[1]):
    with SQLiteStore(path) as store:
        try:
            store.load("user-42")
        except Exception as error:
            print(type(error).__name__)
with SQLiteStore(sys.argv[1] + "/file") as store:
    store.load("user-42")
del store
gc.collect()
print("ok")
"""


def test_nothing_is_left_open(tmp_path: Path) -> None:
    """No connection is left to the garbage collector, not even one that failed to open."""
    assert run_script(UNCLOSED, tmp_path) == "StorageError\nStorageError\nok\n"


# --- listing ---


@given(
    st.lists(
        st.builds(
            record,
            user_id=st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1),
            state=st.sampled_from(["disabled", "pending", "confirmed"]),
            setup_expires_at=st.none() | st.integers(0, 4),
        ),
        unique_by=lambda one: one.user_id,
        max_size=8,
    ),
    st.none() | st.sampled_from(["disabled", "pending", "confirmed"]),
    st.none() | st.integers(0, 5),
    st.integers(1, 3),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_pages_of_ids_are_those_of_the_memory_store(  # noqa: PLR0917  # hypothesis fills them
    store: SQLiteStore,
    path: Path,
    records: list[StoredEnrollment],
    state: str | None,
    before: int | None,
    limit: int,
) -> None:
    """Every page lists what the memory store lists, in its order; in both flavours."""
    model = MemoryStore()
    for user_id in store.user_ids():
        store.delete(user_id)
    for one in records:
        assert store.save(one, expected=None)
        model.save(one, expected=None)

    async def awaited(after: str | None) -> list[str]:
        async with AsyncSQLiteStore(path) as other:
            return await other.user_ids(
                state=state, setup_expired_before=before, after=after, limit=limit
            )

    after: str | None = None
    while True:
        page = model.user_ids(state=state, setup_expired_before=before, after=after, limit=limit)
        assert page == store.user_ids(
            state=state, setup_expired_before=before, after=after, limit=limit
        )
        if after is None:
            assert asyncio.run(awaited(after)) == page
        if not page:
            return
        after = page[-1]


def test_a_thousand_ids_a_page(store: SQLiteStore) -> None:
    """Without a limit, at most a thousand ids are listed, and ``after`` gives the rest."""
    connection_of(store).executemany(
        "INSERT INTO otp_enrollment VALUES (?, '1', 'disabled', NULL, 0, '{}')",
        [(f"{number:04}",) for number in range(1001)],
    )
    assert len(store.user_ids()) == 1000
    assert store.user_ids(after="0999") == ["1000"]


def test_purging_uses_the_index(store: SQLiteStore) -> None:
    """The column by which expired setups are found has an index."""
    plan = connection_of(store).execute(
        "EXPLAIN QUERY PLAN SELECT user_id FROM otp_enrollment WHERE setup_expires_at < 5"
    )
    assert "otp_enrollment_setup" in str(plan.fetchall())


# --- in the app's own file, and in its transaction ---


@pytest.fixture
def app(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the app's own connection to the app's own file, in which it made our table."""
    connection = sqlite3.connect(path, timeout=0.2, isolation_level=None)
    connection.execute("PRAGMA user_version = 77")
    connection.execute("CREATE TABLE orders (number)")
    create_table(connection)
    create_table(connection)
    yield connection
    connection.close()


def test_a_file_of_the_app_keeps_its_settings(path: Path, app: sqlite3.Connection) -> None:
    """Neither the journal mode nor the version of the app's file is touched."""
    with SQLiteStore(path, own_file=False) as store:
        assert store.save(record(), expected=None) is True
        assert store.load("user-42") == record()
        assert pragma(connection_of(store), "synchronous") == 2
    assert (pragma(app, "journal_mode"), pragma(app, "user_version")) == ("delete", 77)


def test_joined_store_leaves_the_commit_to_the_app(path: Path, app: sqlite3.Connection) -> None:
    """A joined save is seen by its own transaction, and by others when the app commits."""
    joined = JoinedSQLiteStore(app)
    assert joined.joined is True
    with SQLiteStore(path, own_file=False) as outside:
        for ending, expected in (("ROLLBACK", None), ("COMMIT", record())):
            app.execute("BEGIN")
            app.execute("INSERT INTO orders VALUES (1)")
            assert joined.save(record(), expected=None) is True
            assert joined.save(record(revision="2" * 32), expected=None) is False
            assert joined.save(record(revision="2" * 32), expected="3" * 32) is False
            assert joined.load("user-42") == record()
            assert outside.load("user-42") is None
            assert app.in_transaction
            app.execute(ending)
            assert outside.load("user-42") == joined.load("user-42") == expected
        assert app.execute("SELECT count(*) FROM orders").fetchone() == (1,)
        app.execute("BEGIN")
        joined.delete("user-42")
        assert joined.load("user-42") is None
        app.execute("ROLLBACK")
        assert joined.load("user-42") == record()


def test_joined_store_lets_errors_through(path: Path, app: sqlite3.Connection) -> None:
    """What sqlite3 raises passes unchanged, so that the app can repeat its transaction."""
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        JoinedSQLiteStore(app).save(record(), expected=None)
    blocker.close()


# --- async ---


def test_async_store_does_the_same(path: Path) -> None:
    """The async store loads, saves, lists and deletes by the same rules, on the same file."""

    async def scenario() -> None:
        async with AsyncSQLiteStore(path, timeout=0.2) as store:
            assert await store.load("user-42") is None
            assert await store.save(record(), expected=None) is True
            assert await store.save(record(revision="2" * 32), expected=None) is False
            assert await store.save(record(revision="2" * 32), expected="1" * 32) is True
            assert await store.load("user-42") == record(revision="2" * 32)
            assert await store.user_ids(state="disabled") == ["user-42"]
            await store.delete("user-42")
            assert await store.load("user-42") is None
            assert store._store._idle
        assert store._store._idle == []

    asyncio.run(scenario())


def test_async_store_does_not_block_the_loop(path: Path) -> None:
    """While a save waits for another writer, the event loop goes on."""

    async def scenario() -> int:
        async with AsyncSQLiteStore(path, timeout=0.3) as store:
            await store.load("user-42")
            blocker = sqlite3.connect(path, isolation_level=None)
            blocker.execute("BEGIN IMMEDIATE")
            saving = asyncio.create_task(store.save(record(), expected=None))
            turns = 0
            while not saving.done():
                await asyncio.sleep(0.005)
                turns += 1
            blocker.execute("ROLLBACK")
            blocker.close()
            with pytest.raises(StorageError):
                await saving
            return turns

    assert asyncio.run(scenario()) > 5


def test_flavours_have_the_same_methods() -> None:
    """The two stores differ in the awaiting alone."""
    for name in ("__init__", "load", "save", "delete", "user_ids", "close"):
        plain, awaited = getattr(SQLiteStore, name), getattr(AsyncSQLiteStore, name)
        assert inspect.signature(plain) == inspect.signature(awaited)
        assert not inspect.iscoroutinefunction(plain)
        assert inspect.iscoroutinefunction(awaited) or name == "__init__"


def test_interrupted_call_does_not_lend_its_connection_again(tmp_path: Path) -> None:
    """What is no error of the database passes unchanged, and the store goes on."""

    class Interrupting:
        def __conform__(self, protocol: object) -> str:
            raise KeyboardInterrupt

    with SQLiteStore(tmp_path / "otp.db") as store:
        assert store.load("sara") is None
        with pytest.raises(KeyboardInterrupt):
            store.load(Interrupting())  # type: ignore[arg-type]  # stands for a key that is pressed
        assert store._idle == []
        assert store.load("sara") is None
