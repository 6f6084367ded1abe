"""The Redis stores on a real server: one script, one winner, and nothing that expires."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis, RedisCluster
from redis import asyncio as aioredis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError  # noqa: A004  # redis-py's own
from redis.retry import Retry
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from helpers import servers
from otp_enroll.errors import CorruptRecordError, StorageError
from otp_enroll.storage.redis import AsyncRedisStore, RedisStore
from otp_enroll.testing import FrozenClock, run

redis_server = servers.redis_server
redis_cluster = servers.redis_cluster
record = servers.record

KINDS: Final = ("redis", "decoding", "cluster", "async", "async-cluster")
PLACE: Final = "OTP_ENROLL_TEST_REDIS"


@dataclass
class Site:
    """An empty database, and the ways to open a store there.

    Attributes:
        raw: A sync client of the tests' own, which decodes nothing.
    """

    kind: str
    server: servers.Redis
    database: servers.Database
    loop: asyncio.AbstractEventLoop
    raw: Any
    exits: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def is_async(self) -> bool:
        return self.kind.startswith("async")

    @property
    def options(self) -> dict[str, Any]:
        return {"decode_responses": True} if self.kind == "decoding" else {}

    def client(self, *, port: int | None = None, **options: Any) -> Any:
        """Make a client, closed after the test."""
        client = open_client(self.kind, self.database, port, **(self.options | options))
        if self.is_async:
            self.exits.callback(lambda: self.wait(close(client)))
        else:
            self.exits.callback(client.close)
        return client

    def store_on(self, client: Any, **options: Any) -> Any:
        """Open a store with plain methods on a client."""
        if self.is_async:
            return servers.Blocking(AsyncRedisStore(client, **options), self.loop)
        return RedisStore(client, **options)

    def store(self, *, prefix: str = "otp_enroll:", **options: Any) -> Any:
        """Open a store with plain methods."""
        return self.store_on(self.client(**options), prefix=prefix)

    def wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)


def open_client(
    kind: str, database: servers.Database, port: int | None = None, **options: Any
) -> Any:
    place: dict[str, Any] = {"host": database.host, "port": port or database.port}
    if kind == "cluster":
        return RedisCluster(**place, **options)
    if kind == "async-cluster":
        return aioredis.RedisCluster(**place, **options)
    factory: Any = aioredis.Redis if kind == "async" else Redis
    return factory(**place, db=int(database.name), **options)


async def close(client: Any) -> None:
    # Its name in redis-py 5.0.0 is another.
    await getattr(client, "aclose", client.close)()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with servers.running_loop() as running:
        yield running


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, loop: asyncio.AbstractEventLoop) -> Iterator[Site]:
    """Each kind of client in turn, on an empty database."""
    clustered = "cluster" in request.param
    server = request.getfixturevalue("redis_cluster" if clustered else "redis_server")
    database = server.fresh_database()
    with Redis(host=database.host, port=database.port, db=int(database.name)) as raw:
        opened = Site(request.param, server, database, loop, raw)
        with opened.exits:
            yield opened


def kinds(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("site", names, indirect=True)


# --- the contract ---


@contextlib.contextmanager
def open_store() -> Iterator[RedisStore]:
    """Open a store where the environment says: other processes call this."""
    with Redis.from_url(os.environ[PLACE]) as client:
        yield RedisStore(client)


@pytest.fixture
def import_path(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let other processes import this file, and tell them where the database is."""
    for folder in (Path(__file__).parent.parent, Path(__file__).parent):
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(PLACE, site.database.url("redis"))
    return f"{Path(__file__).stem}:open_store"


def failures(report: Any) -> list[str]:
    return [str(result) for result in report.results if result.verdict == "failed"]


def count_keys(site: Site, user_id: str) -> int:
    return sum(user_id.encode() in key for key in site.raw.scan_iter(match="*", count=1000))


def break_connection(store: Any) -> None:
    """Take a store's network away for good: nobody listens on port 1."""
    pool = store._client.connection_pool
    pool.connection_kwargs["port"] = 1
    pool.disconnect()
    pool.reset()


@kinds("redis", "decoding")
@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-19", "B-28", "B-29")
def test_store_keeps_the_contract(site: Site, import_path: str) -> None:
    """The sync store keeps every rule, whatever the client makes of answers."""

    @contextlib.contextmanager
    def open_handle() -> Iterator[RedisStore]:
        once = Retry(NoBackoff(), 0)
        with open_client(site.kind, site.database, retry=once, **site.options) as client:
            yield RedisStore(client)

    report = run(
        open_handle,
        import_path=import_path,
        break_connection=break_connection,
        raw_count=partial(count_keys, site),
    )
    assert failures(report) == []
    assert report.level == "core+process+fault"


@kinds("cluster")
@pytest.mark.requirement("R-64")
def test_store_keeps_the_contract_on_a_cluster(site: Site) -> None:
    """The sync store keeps every rule through a cluster client."""
    # One client for all handles: it asks the cluster for its plan whenever it is made.
    client = site.client()
    open_handle = partial(contextlib.nullcontext, RedisStore(client))
    report = run(open_handle, raw_count=partial(count_keys, site))
    assert failures(report) == []
    assert report.level == "core"


@kinds("async", "async-cluster")
@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-19", "B-28", "B-29")
def test_async_store_keeps_the_contract(site: Site) -> None:
    """The async store keeps every rule, on one server and through a cluster client."""
    opened: list[Any] = []

    @contextlib.asynccontextmanager
    async def open_handle() -> AsyncIterator[AsyncRedisStore]:
        # One client for the handles of a check: a cluster's asks for the plan when it is made.
        client = opened[0] if opened else open_client(site.kind, site.database)
        opened.append(client)
        yield AsyncRedisStore(client)
        opened.pop()
        if not opened:
            await close(client)

    report = run(open_handle, raw_count=partial(count_keys, site))
    assert failures(report) == []
    assert report.level == "core"


# --- one code, one success ---


@kinds("redis", "cluster")
@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-02", "B-19")
def test_one_code_from_sixteen_threads(site: Site) -> None:
    """In each of 25 rounds one thread of sixteen gets the code accepted, and the rest do not."""
    servers.race_threads(site.store())


@kinds("async", "async-cluster")
@pytest.mark.requirement("R-64")
@pytest.mark.regression_of("B-02", "B-19")
def test_one_code_from_sixteen_tasks(site: Site) -> None:
    """In each of 25 rounds one task of sixteen gets the code accepted, and the rest do not."""
    site.wait(servers.race_tasks(AsyncRedisStore(site.client())))


@kinds("redis")
@pytest.mark.requirement("R-64", "R-66")
@pytest.mark.regression_of("B-02", "B-19")
def test_one_code_from_eight_processes(site: Site, import_path: str) -> None:
    """In each of 25 rounds one process of eight gets the code accepted, and the rest do not."""
    servers.race_processes(site.store(), import_path)


# --- what is stored ---


def test_hash_has_every_field_and_no_end(site: Site) -> None:
    """An account is one hash of six fields under the prefix, and it never expires."""
    store = site.store(prefix="app:otp:")
    full = record("sara ü", state="pending", setup_expires_at=2**62 + 1, document='{"a":"\u200f"}')
    assert store.save(full, expected=None) is True
    assert list(site.raw.scan_iter()) == ["app:otp:sara ü".encode()]
    stored = site.raw.hgetall("app:otp:sara ü")
    assert stored == {
        b"user_id": "sara ü".encode(),
        b"revision": b"1" * 32,
        b"state": b"pending",
        b"setup_expires_at": b"%d" % (2**62 + 1),
        b"changed_at": b"7",
        b"document": full.document.encode(),
    }
    cleared = replace(full, revision="2" * 32, setup_expires_at=None)
    assert store.save(cleared, expected=full.revision) is True
    assert site.raw.hget("app:otp:sara ü", "setup_expires_at") == b""
    assert site.raw.ttl("app:otp:sara ü") == -1
    assert store.load("sara ü") == cleared


def test_no_time_is_not_the_first_second(site: Site) -> None:
    """No expiry and an expiry at second 0 are different, and both come back as they were."""
    store = site.store()
    for number, expires_at in enumerate((None, 0)):
        one = record(f"user-{number}", setup_expires_at=expires_at)
        store.save(one, expected=None)
        assert store.load(one.user_id) == one
    assert store.user_ids(setup_expired_before=1) == ["user-1"]


def test_stores_of_two_prefixes_do_not_meet(site: Site) -> None:
    """Stores whose prefixes begin alike, or look like patterns, see their own accounts alone."""
    prefixes = ["otp:", "otp:x:", "o*p:", "o[t]p:", "o?p:", "o\\tp:"]
    stores = [site.store(prefix=prefix) for prefix in prefixes]
    for number, store in enumerate(stores):
        store.save(record("user-42", revision=f"{number:032x}"), expected=None)
    for number, store in enumerate(stores):
        assert store.load("user-42").revision == f"{number:032x}"
        assert store.user_ids() == ["user-42"]


@kinds("redis", "async")
def test_forgotten_scripts_do_not_matter(site: Site) -> None:
    """A server that lost its script cache, as after a failover, saves all the same."""
    store = site.store()
    store.save(record(), expected=None)
    site.raw.script_flush()
    assert store.save(record(revision="2" * 32), expected="1" * 32) is True


@kinds("redis", "decoding", "async")
def test_damaged_hash_is_an_error(site: Site) -> None:
    """A hash without a field, or whose time is no number, is an error and not "not enrolled"."""
    store = site.store()
    for damage in (
        ("HDEL", "revision"),
        ("HDEL", "setup_expires_at"),
        ("HSET", "changed_at", "soon"),
        ("HSET", "document", b"\xff"),
    ):
        store.delete("user-42")
        store.save(record(), expected=None)
        command, *arguments = damage
        site.raw.execute_command(command, "otp_enroll:user-42", *arguments)
        with pytest.raises(StorageError) as caught:
            store.load("user-42")
        text_is_damaged = arguments[0] == "document"
        assert isinstance(caught.value, CorruptRecordError) is not text_is_damaged


@kinds("redis", "async")
def test_key_of_another_kind_is_an_error(site: Site) -> None:
    """A key that is no hash is an error for every method but delete."""
    site.raw.set("otp_enroll:user-42", "x")
    store = site.store()
    for call in (
        partial(store.load, "user-42"),
        partial(store.save, record(), expected="1" * 32),
        store.user_ids,
    ):
        with pytest.raises(StorageError):
            call()
    assert store.save(record(), expected=None) is False
    store.delete("user-42")
    assert store.save(record(), expected=None) is True


# --- listing ---


def test_ids_come_in_the_order_of_their_bytes(site: Site) -> None:
    """Pages of ids follow one another in byte order, though a scan has none."""
    servers.list_in_order_of_bytes(site.store())


def test_ids_are_filtered(site: Site) -> None:
    """Only records of the state, and whose setup expires before the second, are listed."""
    servers.list_filtered(site.store())


@kinds("redis", "async", "cluster")
def test_more_ids_than_one_look(site: Site) -> None:
    """Among thousands of accounts and other keys, every id is listed once."""
    pipeline = site.raw.pipeline(transaction=False)
    ids = [f"user-{number:05}" for number in range(2500)]
    for user_id in ids:
        mapping = {"user_id": user_id, "state": "pending", "setup_expires_at": "100"}
        pipeline.hset(f"otp_enroll:{user_id}", mapping=mapping)
        pipeline.set(f"session:{user_id}", "x")
    pipeline.execute()
    store = site.store()
    assert store.user_ids(limit=3000) == ids
    assert store.user_ids(state="pending", after=ids[999], limit=1000) == ids[1000:2000]


# --- lost connections ---


@pytest.fixture
def proxied(site: Site) -> Iterator[tuple[servers.Proxy, Any]]:
    """A store whose way to the server can be cut, and whose client sends everything once."""
    retry: Any = Retry(NoBackoff(), 0)
    if site.is_async:
        from redis.asyncio.retry import Retry as AsyncRetry  # noqa: PLC0415  # of the same name

        retry = AsyncRetry(NoBackoff(), 0)
    with servers.Proxy(site.server.port) as proxy:
        store = site.store(port=proxy.port, retry=retry)
        store.load("nobody")
        yield proxy, store


@kinds("redis", "async")
@pytest.mark.requirement("R-62")
@pytest.mark.parametrize("delivered", [True, False], ids=["after", "before"])
def test_connection_lost_around_a_save(
    site: Site, proxied: tuple[servers.Proxy, Any], delivered: bool
) -> None:
    """A reply that is lost is an error, whether the write landed or not, and nothing is half."""
    servers.cut_around_a_save(*proxied, delivered=delivered)


@kinds("redis", "async")
@pytest.mark.requirement("R-62")
def test_connection_lost_at_a_load(site: Site, proxied: tuple[servers.Proxy, Any]) -> None:
    """A load whose connection breaks is an error and never "not enrolled"."""
    servers.cut_at_a_load(*proxied, site.store())


@kinds("redis")
@pytest.mark.requirement("R-64")
def test_script_that_is_sent_twice(site: Site) -> None:
    """A client that repeats the script after a lost reply spends the code once, and it counts."""
    with servers.Proxy(site.server.port) as proxy:
        store = site.store(
            port=proxy.port, retry=Retry(NoBackoff(), 3), retry_on_error=[ConnectionError]
        )
        clock = FrozenClock()
        enroller = servers.enroller_over(store, clock)
        phone = servers.enroll(enroller, clock)
        proxy.cut_at(b"replace", deliver=True)
        assert enroller.verify(servers.RACER, phone.code()).method == "code"
        assert proxy.cuts == 1
        second = servers.outcome_of(partial(enroller.verify, servers.RACER, phone.code()))
        assert second == "CodeReusedError"


@kinds("redis")
@pytest.mark.requirement("R-62")
def test_server_that_crashes(site: Site) -> None:
    """With ``appendfsync always`` a crash loses nothing; meanwhile calls are errors."""
    servers.crash(site.server, site.store(retry=Retry(NoBackoff(), 0)))


# --- a server that is set up to forget ---


@contextlib.contextmanager
def configured(site: Site, **settings: str) -> Iterator[None]:
    """Change the server's settings for the block."""
    names = {name: name.replace("_", "-") for name in settings}
    before = {names[name]: site.raw.config_get(names[name])[names[name]] for name in settings}
    for name, value in settings.items():
        site.raw.config_set(names[name], value)
    try:
        yield
    finally:
        for name, value in before.items():
            site.raw.config_set(name, value)


def test_server_that_evicts_is_refused(site: Site) -> None:
    """While a full memory would delete accounts, every call is an error; then the store works."""
    store = site.store()
    with configured(site, maxmemory_policy="allkeys-lru"):
        for call in (
            partial(store.load, "user-42"),
            partial(store.save, record(), expected=None),
            partial(store.delete, "user-42"),
            store.user_ids,
        ):
            with pytest.raises(StorageError) as caught:
                call()
            assert "maxmemory-policy is allkeys-lru" in str(caught.value.__cause__)
    assert store.save(record(), expected=None) is True


def test_server_that_tells_nothing_is_believed(site: Site) -> None:
    """Where CONFIG is forbidden, as at most hosts, the store works."""
    rules = ("reset", "on", ">secret", "~*", "&*", "+@all", "-config")
    site.raw.execute_command("ACL", "SETUSER", "guest", *rules)
    store = site.store(username="guest", password="secret")
    assert store.save(record(), expected=None) is True
    assert store.load("user-42") == record()


@kinds("redis", "async")
def test_full_memory_changes_nothing(site: Site) -> None:
    """A save that the full memory refuses is an error, and the record is the old one, whole."""
    store = site.store()
    first = record(state="pending", setup_expires_at=100)
    store.save(first, expected=None)
    with configured(site, maxmemory="1"):
        with pytest.raises(StorageError):
            store.save(record(revision="2" * 32), expected=first.revision)
        with pytest.raises(StorageError):
            store.save(record("another"), expected=None)
        assert store.load("user-42") == first
    assert store.load("another") is None


# --- what is refused ---


def test_other_clients_are_refused(site: Site) -> None:
    """A client of the other flavour, or none, is refused in words that say what to pass."""
    other: Any = RedisStore if site.is_async else AsyncRedisStore
    same: Any = AsyncRedisStore if site.is_async else RedisStore
    client = "redis.Redis" if site.is_async else "redis.asyncio.Redis"
    with pytest.raises(TypeError, match=f"use {same.__name__}, or pass a {re.escape(client)}$"):
        other(site.client())
    for wrong in (object(), None, "redis://localhost"):
        with pytest.raises(TypeError, match=rf"pass a redis\..*Redis.* to an? {same.__name__}$"):
            same(wrong)


@kinds("cluster", "async-cluster")
def test_reading_from_replicas_is_refused(site: Site) -> None:
    """A cluster client that reads from replicas would find "not enrolled" for a while."""
    with (
        pytest.warns(DeprecationWarning, match="read_from_replicas")
        if newer()
        else contextlib.nullcontext()
    ):
        client = site.client(read_from_replicas=True)
    with pytest.raises(ValueError, match="reads from replicas"):
        site.store_on(client)
    if newer():
        from redis.cluster import LoadBalancingStrategy  # noqa: PLC0415  # not in redis-py 5.0

        client = site.client(load_balancing_strategy=LoadBalancingStrategy.ROUND_ROBIN)
        with pytest.raises(ValueError, match="reads from replicas"):
            site.store_on(client)


def newer() -> bool:
    """Whether redis-py knows more than one way to read from replicas."""
    import redis.cluster  # noqa: PLC0415  # for its attributes

    return hasattr(redis.cluster, "LoadBalancingStrategy")


@kinds("redis", "async")
def test_other_encodings_are_refused(site: Site) -> None:
    """A client that decodes answers as Latin-1 would change documents; one that does not may be."""
    with pytest.raises(ValueError, match="not as UTF-8"):
        site.store(decode_responses=True, encoding="latin-1")
    store = site.store(encoding="latin-1")
    store.save(record("é"), expected=None)
    assert store.load("é") == record("é")
    assert site.store(decode_responses=True, encoding="UTF8").load("é") == record("é")


# --- the docs ---


@kinds("redis")
def test_code_of_the_docs_runs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's code runs as it stands, but for the address of the server."""
    page = Path(__file__).parent.parent.parent / "docs" / "redis.md"
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)
    code = "\n".join(str(one.parsed) for one in document.examples())
    assert "redis://localhost:6379/0" in code
    code = code.replace("redis://localhost:6379/0", site.database.url("redis"))
    exec(code, {})  # noqa: S102  # the docs' own code
    assert site.store().user_ids() == ["user-42"]
