"""Stores in Redis: one hash an account, changed by one script.

This Redis is a database and not a cache: a key that is evicted, expired or lost in a failover is
an account without its second factor. So no key has a time to live, the eviction policy is asked
for, and replicas are never read.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any, Final

from otp_enroll.errors import CorruptRecordError
from otp_enroll.extras import name_missing_extra
from otp_enroll.storage.protocol import FIELDS, StoredEnrollment, storage_errors

try:
    from redis import Redis, RedisCluster
    from redis import asyncio as aioredis
    from redis.exceptions import ResponseError
except ImportError as missing:
    raise name_missing_extra(__name__, "redis") from missing

# A script and not WATCH with MULTI, which would need a connection to itself and a loop under
# contention. One key, so that it runs on a cluster. Of a missing hash HGET returns false, which
# in Lua equals no text, so an update creates nothing. It is sent by EVAL: after a failover the
# new primary does not know the digest that EVALSHA would name.
SAVE: Final = """
if ARGV[1] == 'create' then
  if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
elseif redis.call('HGET', KEYS[1], 'revision') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
"""
"""The whole of a save. It writes once, so that a full memory refuses all of it or nothing."""

_LISTED_FIELDS: Final = ("user_id", "state", "setup_expires_at")
_POLICY: Final = "maxmemory-policy"
_SAFE_POLICY: Final = "noeviction"
_PAGE: Final = 1000


class _Commands:
    """What both flavours send, and how they read what comes back.

    Keys and values are encoded here, so that the client's own encoding does not matter.
    """

    def __init__(self, client: Any, prefix: str) -> None:  # noqa: ANN401  # either flavour
        # A replica that lags answers "not enrolled" right after a confirm, and a login passes.
        for reads_elsewhere in ("read_from_replicas", "load_balancing_strategy"):
            if getattr(client, reads_elsewhere, None):
                raise ValueError("the client reads from replicas, which may lag behind a save")
        encoder = client.get_encoder()
        # In Latin-1 anything decodes, and an id that is not ASCII would come back as another.
        if encoder.decode_responses and encoder.encoding.lower().replace("-", "") != "utf8":
            raise ValueError("the client decodes what it reads, and not as UTF-8")
        self.prefix = prefix
        self.checked = False

    def key(self, user_id: str) -> bytes:
        """Return the key of an account, byte for byte: nothing is folded, trimmed or escaped."""
        return (self.prefix + user_id).encode()

    @property
    def pattern(self) -> bytes:
        """The glob that all keys match."""
        # A prefix such as "app[1]:" would else list the keys of others, and none of its own.
        escaped = "".join(f"\\{char}" if char in r"\*?[]^-" else char for char in self.prefix)
        return f"{escaped}*".encode()

    def save(self, record: StoredEnrollment, expected: str | None) -> list[bytes]:
        """Return the key and the arguments of the script.

        No time is the empty text, so that every save sets every field: HSET leaves a field that
        is not named as it was, and an expiry that was cleared would come back.
        """
        how, found = ("create", "") if expected is None else ("replace", expected)
        arguments = [self.key(record.user_id), how.encode(), found.encode()]
        for name in FIELDS:
            value = getattr(record, name)
            arguments += [name.encode(), b"" if value is None else str(value).encode()]
        return arguments

    def check_policy(self, settings: Mapping[Any, Any]) -> None:
        """Refuse a server that deletes what nobody asked it to delete.

        Args:
            settings: What it answered, empty where it does not let anyone ask.

        Raises:
            ValueError: It does. The next call asks again, so that the answer may be put right
                without a restart of the app.
        """
        policy = settings.get(_POLICY, _SAFE_POLICY)
        if policy != _SAFE_POLICY:
            raise ValueError(f"{_POLICY} is {policy}: a full memory would switch users' OTP off")
        self.checked = True


class _Listing:
    """The smallest ids found so far, of those asked for, while a scan goes on.

    SCAN has no order and its cursor no meaning to anyone else, so a page is made by looking at
    all keys and keeping the smallest ids after the last one. Memory holds one page, not all.
    """

    def __init__(
        self,
        prefix: str,
        state: str | None,
        setup_expired_before: int | None,
        after: str | None,
        limit: int,
    ) -> None:
        self._prefix = prefix
        self._state = state
        self._before = setup_expired_before
        self._after = after
        self._limit = limit
        self.ids: list[str] = []
        self.pending: list[str] = []

    def note(self, key: bytes | str) -> bool:
        """Note a key, and return whether it is time to look at what was noted."""
        user_id = _decode(key)[len(self._prefix) :]
        if self._after is None or user_id > self._after:
            self.pending.append(user_id)
        return len(self.pending) == _PAGE

    def keep(self, answers: Iterable[list[bytes | str | None]]) -> None:
        """Keep what was asked for. A scan may find a key twice, and one of a longer prefix.

        Args:
            answers: For each noted id its ``_LISTED_FIELDS``; three times ``None`` where the
                account was deleted since the scan saw it.
        """
        kept = set(self.ids)
        for user_id, answer in zip(self.pending, answers, strict=True):
            stored_id, state, expires_at = (
                None if value is None else _decode(value) for value in answer
            )
            # Of another store whose prefix begins like this one the key would give a wrong id,
            # and its account is none of ours to purge.
            if (
                stored_id == user_id
                and self._state in {None, state}
                and (self._before is None or (expires_at and int(expires_at) < self._before))
            ):
                kept.add(user_id)
        self.ids = heapq.nsmallest(self._limit, kept)
        self.pending = []


def _decode(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _read_hash(answer: Mapping[bytes | str, bytes | str]) -> StoredEnrollment | None:
    """Return the record of a hash, or ``None`` if there is no hash.

    Raises:
        CorruptRecordError: The hash is not a record. It is never taken for "no record": a hash
            of which half is there is damage, and a login must not pass by it.
    """
    if not answer:
        return None
    texts = {_decode(name): _decode(value) for name, value in answer.items()}
    try:
        expires_at = texts["setup_expires_at"]
        return StoredEnrollment(
            user_id=texts["user_id"],
            revision=texts["revision"],
            state=texts["state"],
            setup_expires_at=int(expires_at) if expires_at else None,
            changed_at=int(texts["changed_at"]),
            document=texts["document"],
        )
    except (KeyError, ValueError):
        raise CorruptRecordError(
            "the hash in Redis lacks a field, or a time in it is none"
        ) from None


class RedisStore:
    """Enrollments in Redis, each in a hash of its own that never expires.

    Safe to use from several threads. How much a crash can take back is up to the server:
    with ``appendfsync always`` nothing, with ``everysec`` the last second, without an
    append-only file everything since the last snapshot; and a failover forgets what the
    replica had not received. What is forgotten can happen again: a spent code is good for a
    second time while it is in its window, and a wrong one was not counted.

    At its first call it asks for ``maxmemory-policy``. If that is not ``noeviction``, a full
    memory deletes accounts' enrollments, and every call is a ``StorageError``; a server that
    does not let it ask is taken at its word.

    Args:
        client: Of a primary or of a cluster, in any encoding of answers that is UTF-8 or none.
            Give it a ``socket_timeout``, or a call waits for a silent server without end.
        prefix: What all keys begin with. Do not change it.

    Raises:
        TypeError: Not a client, or one for ``AsyncRedisStore``.
        ValueError: The client reads from replicas, or decodes as something else than UTF-8.
    """

    joined = False

    def __init__(self, client: Redis | RedisCluster, *, prefix: str = "otp_enroll:") -> None:
        if isinstance(client, (aioredis.Redis, aioredis.RedisCluster)):
            raise TypeError(
                "this client is of redis.asyncio: use AsyncRedisStore, or pass a redis.Redis"
            )
        if not isinstance(client, (Redis, RedisCluster)):
            raise TypeError("pass a redis.Redis or a redis.RedisCluster to a RedisStore")
        self._client: Any = client
        self._commands = _Commands(client, prefix)

    def load(self, user_id: str) -> StoredEnrollment | None:
        """Return the latest record, or ``None``.

        Raises:
            StorageError: Redis failed, the hash is damaged, or the server evicts.
        """
        with storage_errors():
            self._get_ready()
            return _read_hash(self._client.hgetall(self._commands.key(user_id)))

    def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """Store by one script.

        The client may send it again when a reply is lost; the second is then refused, and the
        library finds its own write at the next load.

        Raises:
            StorageError: Redis failed. Whether it stored is then unknown.
        """
        with storage_errors():
            self._get_ready()
            stored = self._client.eval(SAVE, 1, *self._commands.save(record, expected))
        return bool(stored == 1)  # not bool(stored): what is neither 0 nor 1 was not stored

    def delete(self, user_id: str) -> None:
        """Delete the record, whether there is one or not.

        Raises:
            StorageError: Redis failed.
        """
        with storage_errors():
            self._get_ready()
            self._client.delete(self._commands.key(user_id))

    def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[str]:
        """Return ids in ascending order of their UTF-8 bytes.

        Redis keeps no order, so each call scans every key of the database: for maintenance.

        The arguments are those of ``ListingStore.user_ids``.

        Raises:
            StorageError: Redis failed.
        """
        listing = _Listing(self._commands.prefix, state, setup_expired_before, after, limit)
        with storage_errors():
            self._get_ready()
            for key in self._client.scan_iter(match=self._commands.pattern, count=_PAGE):
                if listing.note(key):
                    self._look_up(listing)
            self._look_up(listing)
        return listing.ids

    def _look_up(self, listing: _Listing) -> None:
        # No MULTI: on a cluster the keys lie in many slots, and nothing here must be atomic.
        pipeline = self._client.pipeline(transaction=False)
        for user_id in listing.pending:
            pipeline.hmget(self._commands.key(user_id), _LISTED_FIELDS)
        listing.keep(pipeline.execute())

    def _get_ready(self) -> None:
        # At the first call and not in the constructor, which an app runs where no server is.
        if not self._commands.checked:
            self._commands.check_policy(self._read_settings())

    def _read_settings(self) -> Mapping[Any, Any]:
        try:
            return dict(self._client.config_get(_POLICY))
        except ResponseError:
            return {}  # hosted servers often forbid it


class AsyncRedisStore:
    """As ``RedisStore``, awaited, over a client of ``redis.asyncio``.

    Args:
        client: Of a primary or of a cluster.
        prefix: What all keys begin with. Do not change it.

    Raises:
        TypeError: Not a client, or one for ``RedisStore``.
        ValueError: As for ``RedisStore``.
    """

    joined = False

    def __init__(
        self, client: aioredis.Redis | aioredis.RedisCluster, *, prefix: str = "otp_enroll:"
    ) -> None:
        if isinstance(client, (Redis, RedisCluster)):
            raise TypeError(
                "this client is not of redis.asyncio: use RedisStore, or pass a redis.asyncio.Redis"
            )
        if not isinstance(client, (aioredis.Redis, aioredis.RedisCluster)):
            raise TypeError(
                "pass a redis.asyncio.Redis or a redis.asyncio.RedisCluster to an AsyncRedisStore"
            )
        self._client: Any = client
        self._commands = _Commands(client, prefix)

    async def load(self, user_id: str) -> StoredEnrollment | None:
        """As ``RedisStore.load``."""
        with storage_errors():
            await self._get_ready()
            return _read_hash(await self._client.hgetall(self._commands.key(user_id)))

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        """As ``RedisStore.save``."""
        with storage_errors():
            await self._get_ready()
            stored = await self._client.eval(SAVE, 1, *self._commands.save(record, expected))
        return bool(stored == 1)

    async def delete(self, user_id: str) -> None:
        """As ``RedisStore.delete``."""
        with storage_errors():
            await self._get_ready()
            await self._client.delete(self._commands.key(user_id))

    async def user_ids(
        self,
        *,
        state: str | None = None,
        setup_expired_before: int | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[str]:
        """As ``RedisStore.user_ids``."""
        listing = _Listing(self._commands.prefix, state, setup_expired_before, after, limit)
        with storage_errors():
            await self._get_ready()
            async for key in self._client.scan_iter(match=self._commands.pattern, count=_PAGE):
                if listing.note(key):
                    await self._look_up(listing)
            await self._look_up(listing)
        return listing.ids

    async def _look_up(self, listing: _Listing) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for user_id in listing.pending:
            pipeline.hmget(self._commands.key(user_id), _LISTED_FIELDS)
        listing.keep(await pipeline.execute())

    async def _get_ready(self) -> None:
        if not self._commands.checked:
            self._commands.check_policy(await self._read_settings())

    async def _read_settings(self) -> Mapping[Any, Any]:
        try:
            return dict(await self._client.config_get(_POLICY))
        except ResponseError:
            return {}
