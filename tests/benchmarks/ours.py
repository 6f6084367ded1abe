"""The side of otp_enroll, through its public API, as an app calls it."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.rounds import Side, Steps, per_call
from benchmarks.rows import OFFSETS, OURS
from otp_enroll import Enroller, Override, Setup, errors
from otp_enroll.storage.aesgcm import AESGCMKeyRing
from otp_enroll.storage.memory import MemoryStore
from otp_enroll.testing import FakeAuthenticator, FrozenClock

ISSUER: Final = "Exir"
ACCOUNT: Final = "sara@example.com"
RECOVERY_CODES: Final = 10
WRONG_CODES: Final = 4
"""So many for each account: with a fifth failure it would have to wait."""

_ACCOUNTS: Final = 25
_PERIOD: Final = 30
_VOUCHED: Final = Override(actor="benchmark", reason="the end of a life")

_numbers = itertools.count()


def key_ring() -> AESGCMKeyRing:
    """Make a ring of one key, with an id of four characters."""
    return AESGCMKeyRing({"2026": secrets.token_bytes(32)})


def user_ids(count: int) -> list[str]:
    """Return ids that nobody had before."""
    return [f"user-{next(_numbers):08d}" for _ in range(count)]


def unlike(codes: Sequence[str]) -> str:
    """Return a code that is none of these."""
    return next(code for code in map("{:06d}".format, itertools.count()) if code not in codes)


class ConfirmedAccounts:
    """Accounts as confirm leaves them, three periods later: each batch starts from them again.

    Attributes:
        document: What is stored for one of them.
        sealed: What the cipher made of a secret of that length, and the context.
        cipher: The cipher.
    """

    def __init__(self) -> None:
        self._clock = FrozenClock()
        self.cipher = key_ring()
        store = MemoryStore()
        enroller = self._over(store)
        self._phones = {
            user_id: _confirm(enroller, user_id, self._clock) for user_id in user_ids(_ACCOUNTS)
        }
        records = [store.load(user_id) for user_id in self._phones]
        self._records = [record for record in records if record is not None]
        self.document = self._records[0].document
        self._clock.advance(3 * _PERIOD)
        self._untouched = self._enroller()

    def wrong(self) -> Steps:
        """Type wrong codes, on accounts that have fewer than five failures."""
        enroller = self._enroller()

        def refuse(user_id: str, code: str) -> None:
            try:
                enroller.verify(user_id, code)
            except errors.WrongCodeError:
                return
            raise AssertionError("a wrong code was accepted")

        typed = [
            (user_id, unlike([phone.code(offset) for offset in range(-2, 3)]))
            for user_id, phone in self._phones.items()
        ]
        return {"verify": per_call(refuse, typed * WRONG_CODES)}

    def right(self, offset: int) -> Steps:
        """Type the right code of a period before or after this one, once on each account."""
        typed = [(user_id, phone.code(offset)) for user_id, phone in self._phones.items()]
        return {"verify": per_call(self._enroller().verify, typed)}

    def status(self) -> Steps:
        """Ask for the status."""
        asked = [(user_id,) for user_id in self._phones]
        return {"status": per_call(self._untouched.status, asked * 8)}

    def _over(self, store: MemoryStore) -> Enroller:
        return Enroller(store, issuer=ISSUER, cipher=self.cipher, clock=self._clock)

    def _enroller(self) -> Enroller:
        store = MemoryStore()
        for record in self._records:
            store.save(record, expected=None)
        return self._over(store)

    def sides(self) -> list[Side]:
        """Return the sides of a wrong code and of the status."""
        return [Side(name=OURS, run=self.wrong), Side(name="status", run=self.status)]

    def right_sides(self) -> list[Side]:
        """Return the sides of a right code."""
        return [
            Side(name=offset, run=lambda offset=offset: self.right(int(offset)))  # type: ignore[misc]  # bound now
            for offset in OFFSETS
        ]


def _confirm(enroller: Enroller, user_id: str, clock: FrozenClock) -> FakeAuthenticator:
    setup = enroller.begin(user_id, account_name=ACCOUNT)
    phone = FakeAuthenticator(setup.uri, clock)
    done = enroller.confirm(user_id, phone.code(), setup_id=setup.id)
    assert done.recovery_codes is not None
    assert len(done.recovery_codes) == RECOVERY_CODES
    return phone


class Lives:
    """Whole lives over one store: begin, confirm, verify, disable, each on a new account.

    Args:
        store: Any of the bundled ones, which commits by itself.
        count: How many lives a batch has.
    """

    def __init__(self, store: Any, count: int) -> None:
        self._clock = FrozenClock()
        self._count = count
        self._enroller = Enroller(store, issuer=ISSUER, cipher=key_ring(), clock=self._clock)

    def run(self) -> Steps:
        """Live them step by step; what the phones compute in between is not counted."""
        enroller, users = self._enroller, user_ids(self._count)
        setups: list[Setup] = []

        def begin(user_id: str) -> None:
            setups.append(enroller.begin(user_id, account_name=ACCOUNT))

        def confirm(user_id: str, code: str, setup_id: str) -> None:
            enroller.confirm(user_id, code, setup_id=setup_id)

        def disable(user_id: str) -> None:
            enroller.disable(user_id, proof=_VOUCHED)

        steps = {"begin": per_call(begin, [(user_id,) for user_id in users])}
        phones = [FakeAuthenticator(setup.uri, self._clock) for setup in setups]
        ids = [setup.id for setup in setups]
        codes = [phone.code() for phone in phones]
        steps["confirm"] = per_call(confirm, zip(users, codes, ids, strict=True))
        self._clock.advance(_PERIOD)
        codes = [phone.code() for phone in phones]
        steps["verify"] = per_call(enroller.verify, zip(users, codes, strict=True))
        steps["disable"] = per_call(disable, [(user_id,) for user_id in users])
        return steps

    def side(self, name: str = OURS) -> Side:
        """Return them as a side."""
        return Side(name=name, run=self.run)


def begin_sides(count: int) -> list[Side]:
    """Return the sides that begin a setup and draw its QR code."""

    def batch(draw: str) -> Steps:
        enroller = Enroller(MemoryStore(), issuer=ISSUER, cipher=key_ring())

        def begin(user_id: str) -> None:
            setup = enroller.begin(user_id, account_name=ACCOUNT)
            getattr(setup.qr, draw)()

        return {"begin": per_call(begin, [(user_id,) for user_id in user_ids(count)])}

    return [
        Side(name="SVG", run=lambda: batch("svg")),
        Side(name="PNG", run=lambda: batch("png")),
    ]
