"""A change of the cipher's key while several processes run, step by step, with users logging in."""

from __future__ import annotations

import multiprocessing
import secrets
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from otp_enroll import Enroller, ResealReport
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.sqlite import SQLiteStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

START = 1_800_000_000


def serve(path: Path, keys: dict[str, bytes], pipe: Connection) -> None:
    """Be a process of the app with one configuration, and do what the pipe says."""
    clock = FrozenClock(START)
    with SQLiteStore(path) as store:
        enroller = Enroller(store, issuer="Exir", cipher=AESGCMKeyRing(keys), clock=clock)
        while (order := pipe.recv()) is not None:
            verb, user_id, text, clock.now = order
            if verb == "enroll":
                setup = enroller.begin(user_id, account_name=user_id)
                code = FakeAuthenticator(setup.uri, clock).code()
                enroller.confirm(user_id, code, setup_id=setup.id)
                pipe.send(setup.uri)
            elif verb == "verify":
                pipe.send(enroller.verify(user_id, text).method)
            else:
                pipe.send(enroller.reseal(limit=text))


class Process:
    """One running process of the app."""

    def __init__(self, path: Path, keys: dict[str, bytes]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(path, keys, theirs))
        self._process.start()
        theirs.close()

    def ask(self, verb: str, user_id: str = "", text: object = None, now: float = START) -> object:
        """Have it do something, and return its answer."""
        self._pipe.send((verb, user_id, text, now))
        return self._pipe.recv()

    def stop(self) -> None:
        """End it, as a deployment does."""
        self._pipe.send(None)
        self._process.join(20)
        self._pipe.close()
        self._process.close()


@pytest.mark.requirement("R-91")
def test_key_changes_without_a_failed_login(tmp_path: Path) -> None:
    """Old and new processes serve side by side in each step, and at the end the old key can go."""
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    steps = [{"2025": old}, {"2025": old, "2026": new}, {"2026": new, "2025": old}, {"2026": new}]
    path = tmp_path / "otp.db"
    phone_clock = FrozenClock(START)
    phones: dict[str, FakeAuthenticator] = {}
    running = Process(path, steps[0])
    for number, keys in enumerate(steps[1:], start=1):
        deployed = Process(path, keys)
        for which, process in enumerate((running, deployed)):
            user_id = f"user-{number}-{which}"
            uri = process.ask("enroll", user_id, now=phone_clock.now)
            assert isinstance(uri, str)
            phones[user_id] = FakeAuthenticator(uri, phone_clock)
        for process in (running, deployed):
            phone_clock.advance(60)
            for user_id, phone in phones.items():
                answer = process.ask("verify", user_id, phone.code(), phone_clock.now)
                assert answer == "code"
        running.stop()
        running = deployed
        if number == 2:
            reports = [running.ask("reseal", text=1, now=phone_clock.now) for _ in range(9)]
            last = reports[-1]
            assert isinstance(last, ResealReport)
            assert (last.complete, last.unreadable, last.resealed) == (True, 0, 0)
            assert last.keys_needed == {}
    running.stop()
