"""AsyncEnroller: the same flow, awaited, over both bundled async stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otp_enroll import AsyncEnroller, Override, StoredEnrollment, Unencrypted, errors, events
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import AsyncMemoryStore
from otp_enroll.storage.sqlite import AsyncSQLiteStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

USER = "user-42"
VOUCHED = Override(actor="help desk", reason="re-authenticated")


class Awaited:
    """An async enroller with its clock and what it told."""

    def __init__(self, store: Any, **changes: Any) -> None:
        self.clock = FrozenClock()
        self.told: list[events.Event] = []
        self.slept: list[float] = []
        self.store = store
        settings: dict[str, Any] = {
            "issuer": "Exir",
            "cipher": Unencrypted(),
            "clock": self.clock,
            "on_event": self.listen,
            "sleep": self.sleep,
        }
        self.enroller = AsyncEnroller(store, **(settings | changes))

    async def listen(self, event: events.Event) -> None:
        self.told.append(event)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def enroll(self) -> tuple[FakeAuthenticator, list[str]]:
        setup = await self.enroller.begin(USER, account_name="sara")
        phone = FakeAuthenticator(setup.uri, self.clock)
        done = await self.enroller.confirm(USER, phone.code(), setup_id=setup.id)
        self.clock.advance(60)
        return phone, list(done.recovery_codes or ())


@asynccontextmanager
async def opened(kind: str, directory: Path) -> AsyncIterator[Any]:
    """Open a store of one kind."""
    if kind == "memory":
        yield AsyncMemoryStore()
    else:
        async with AsyncSQLiteStore(directory / "otp.db") as store:
            yield store


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_every_verb_works_awaited(kind: str, tmp_path: Path) -> None:
    """Each verb of the flow does over an async store what its twin does."""

    async def life() -> None:
        async with opened(kind, tmp_path) as store:
            it = Awaited(store)
            enroller = it.enroller
            setup = await enroller.begin(USER, account_name="sara")
            assert (await enroller.resume(USER, setup_id=setup.id)).key == setup.key
            copy = await enroller.check_key_copy(USER, setup.key, setup_id=setup.id)
            assert copy.matches
            await enroller.cancel(USER, setup_id=setup.id)
            phone, codes = await it.enroll()
            with pytest.raises(errors.WrongCodeError):
                await enroller.verify(USER, phone.code(-4))
            await enroller.verify(USER, phone.code())
            renewed = await enroller.regenerate_recovery_codes(USER, proof=VOUCHED)
            assert not set(renewed) & set(codes)
            await enroller.rename(USER, "default", "phone")
            assert (await enroller.status(USER)).authenticators[0].name == "phone"
            await enroller.disable(USER, proof=renewed[0])
            await enroller.begin(USER, account_name="sara")
            it.clock.advance(900)
            assert await enroller.purge_expired(limit=5) == 1
            report = await enroller.reseal()
            assert (report.examined, report.resealed, report.complete) == (1, 0, True)
            await enroller.erase(USER, proof=VOUCHED)
            assert await store.load(USER) is None
            assert type(it.told[-1]).__name__ == "EnrollmentErased"

    asyncio.run(life())


def test_refused_save_waits_without_a_block(tmp_path: Path) -> None:
    """A refused save awaits the injected sleep, and the default one sleeps in the loop."""

    class Rival(AsyncMemoryStore):
        rivals = 1

        async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
            if self.rivals:
                self.rivals -= 1
                await super().save(replace(record, revision="0" * 32), expected=expected)
            return await super().save(record, expected=expected)

    async def both() -> None:
        it = Awaited(Rival())
        await it.enroller.begin(USER, account_name="sara")
        assert len(it.slept) == 1
        by_default = AsyncEnroller(Rival(), issuer="Exir", cipher=Unencrypted())
        await by_default.begin(USER, account_name="sara")

    asyncio.run(both())


def test_failing_store_and_listener_behave_as_in_the_other_flavour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A store that raises is a StorageError, and a listener that raises is logged and no more."""

    class Failing(AsyncMemoryStore):
        async def load(self, user_id: str) -> StoredEnrollment | None:
            raise ConnectionError

    async def listener(event: events.Event) -> None:
        raise RuntimeError("mail server is down")

    async def run() -> None:
        with pytest.raises(errors.StorageError):
            await Awaited(Failing()).enroller.status(USER)
        await Awaited(AsyncMemoryStore(), on_event=listener).enroller.begin(
            USER, account_name="sara"
        )
        await Awaited(AsyncMemoryStore(), on_event=None).enroller.begin(USER, account_name="sara")

    asyncio.run(run())
    assert "mail server is down" in caplog.text


def damaged(record: StoredEnrollment) -> StoredEnrollment:
    """Return a record whose document is cut off."""
    return replace(record, document="{", revision="0" * 32)


def test_maintenance_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With limits and small pages every row is reached, and damaged ones are passed over."""
    monkeypatch.setattr("otp_enroll.maintenance.PAGE", 2)

    class Stale(Unencrypted):
        newest = 0

        def seal(self, plaintext: bytes, *, context: bytes) -> bytes:
            return b"\0" + bytes([self.newest]) + plaintext

        def open(self, sealed: bytes, *, context: bytes) -> bytes:
            return sealed[2:]

        def needs_reseal(self, sealed: bytes) -> bool:
            return sealed[1] != self.newest

    async def run() -> None:
        cipher = Stale()
        it = Awaited(AsyncMemoryStore(), cipher=cipher)
        for number in range(6):
            await it.enroller.begin(f"user-{number}", account_name="sara")
        record = await it.store.load("user-3")
        assert await it.store.save(damaged(record), expected=record.revision)
        cipher.newest = 1
        report = await it.enroller.reseal(limit=2)
        assert (report.resealed, report.complete) == (2, False)
        report = await it.enroller.reseal()
        assert (report.examined, report.resealed, report.unreadable) == (6, 3, 1)
        assert report.complete
        it.clock.advance(900)
        assert await it.enroller.purge_expired(limit=1) == 1
        assert await it.enroller.purge_expired() == 4

    asyncio.run(run())
    assert "passed over user-3" in caplog.text


def test_resealing_counts_busy_and_unreadable_rows(caplog: pytest.LogCaptureFixture) -> None:
    """Awaited, too, a row in motion or under a lost key keeps the report from being clean."""

    class Busy(AsyncMemoryStore):
        async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
            resealing = expected is not None and record.user_id == "busy"
            return not resealing and await super().save(record, expected=expected)

    async def run() -> None:
        it = Awaited(Busy())
        for user_id in ("busy", "fine"):
            await it.enroller.begin(user_id, account_name="sara")
        lost = Awaited(it.store, cipher=AESGCMKeyRing({"lost": bytes(32)}))
        await lost.enroller.begin("lost", account_name="sara")
        ring = AESGCMKeyRing({"2026": bytes(32)}, accept_unencrypted=True)
        report = await Awaited(it.store, cipher=ring).enroller.reseal()
        assert (report.examined, report.resealed, report.unreadable) == (3, 1, 1)
        assert not report.complete

    asyncio.run(run())
    assert "a secret of lost that no key opens" in caplog.text
