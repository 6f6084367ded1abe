"""The states that every walk starts from, each made by an owner who used the library itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from otp_enroll import Override, Verification
from otp_enroll.core.oath import code_at
from otp_enroll.core.secret import Secret
from otp_enroll.policy import Parameters
from proof.interleavings.world import (
    ACCOUNT,
    PERIOD,
    POLICY,
    START,
    USER,
    MaskingCipher,
    Row,
    World,
    drive,
    enroller_over,
)

VOUCHED: Final = Override(actor="help desk", reason="re-authenticated")
NOW: Final = START // PERIOD
DAY: Final = 86_400
NO_SETUP: Final = "x" * 43
OWNER_STREAM: Final = 1000
"""The stream of the owner's random bytes: no request of a walk has it."""


@cache
def code_of(secret: bytes, counter: int) -> str:
    """Return what the owner's phone shows."""
    return code_at(Secret(secret), Parameters(), counter)


@cache
def window_of(secret: bytes, now: int) -> Mapping[str, tuple[int, ...]]:
    """Return the codes that may be right now, each with the counters that show it."""
    codes: dict[str, tuple[int, ...]] = {}
    for counter in range(now // PERIOD - 1, now // PERIOD + 2):
        code = code_of(secret, counter)
        codes[code] = (*codes.get(code, ()), counter)
    return codes


@dataclass(frozen=True, slots=True)
class Start:
    """A row, and what its owner holds: phones, setup id, recovery codes.

    Attributes:
        name: What a trace calls it.
        row: What is stored.
        secrets: Every secret that the owner was ever shown, by authenticator id.
        codes: What may be typed, by the name that requests use for it.
        setup_id: Of the setup under way, or one of no setup.
        key: The setup's key as the owner would copy it.
        recovery: Recovery codes that are not spent.
        verification: A sign-in of half a minute ago for the purpose "disable".
    """

    name: str
    row: Row
    secrets: Mapping[str, bytes]
    codes: Mapping[str, str]
    setup_id: str
    key: str
    recovery: tuple[str, ...]
    verification: Verification | None


@dataclass
class Owner:
    """Somebody who uses the library before the walk begins."""

    world: World = field(default_factory=World)
    phones: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, bytes] = field(default_factory=dict)
    recovery: list[str] = field(default_factory=list)
    spent: list[str] = field(default_factory=list)
    setup_id: str = NO_SETUP
    staged: bytes = b""
    verification: Verification | None = None

    def __post_init__(self) -> None:
        self.enroller = enroller_over(self.world)
        self.world.current = OWNER_STREAM

    def does(self, request: Any, at: int) -> Any:
        """Run one request at a time."""
        self.world.now = at
        return drive(self.world, request)

    def begin(self, at: int, name: str | None = None) -> None:
        """Begin a setup and scan it."""
        asked = self.enroller.begin(USER, account_name=ACCOUNT, authenticator=name, proof=VOUCHED)
        setup = self.does(asked, at)
        self.setup_id, self.staged = setup.id, Secret.from_base32(setup.key).reveal()

    def confirm(self, at: int, name: str = "default") -> None:
        """Confirm it."""
        code = code_of(self.staged, at // PERIOD)
        done = self.does(self.enroller.confirm(USER, code, setup_id=self.setup_id), at)
        self.phones[name] = self.staged
        self.setup_id, self.staged = NO_SETUP, b""
        if done.recovery_codes is not None:
            self.recovery = list(done.recovery_codes)

    def enroll(self, *, signs_in: bool = True) -> None:
        """Switch OTP on three days ago, and sign in half a minute ago."""
        self.begin(START - 3 * DAY)
        self.confirm(START - 3 * DAY)
        if signs_in:
            self.sign_in(code_of(self.phones["default"], NOW - 1))

    def sign_in(self, code: str) -> None:
        """Spend a code half a minute ago."""
        asked = self.enroller.verify(USER, code, purpose="disable")
        self.verification = self.does(asked, START - PERIOD)

    def fail(self, times: int, at: int, code: str = "000000", wait: int = 0) -> None:
        """Type wrong codes, the last one at this time."""
        for number in range(times):
            when = at - wait * (times - 1 - number)
            self.does(self.enroller.verify(USER, code), when)

    def lock(self, failures: int) -> None:
        """Type so many wrong codes, the last one an hour ago, and sign in by a recovery code."""
        self.fail(failures, START - 3600, wait=3600)
        self.spent.append(self.recovery.pop())
        self.sign_in(self.spent[-1])

    def spend(self, count: int) -> None:
        """Use recovery codes."""
        for _ in range(count):
            code = self.recovery.pop()
            self.spent.append(code)
            self.does(self.enroller.verify(USER, code), START - DAY // 2)

    def typed(self) -> Iterator[tuple[str, str]]:
        """Yield what may be typed: right codes, used ones, wrong ones."""
        first = self.phones.get("default", self.staged or b"nobody has this one.")
        yield "now", code_of(first, NOW)
        yield "next", code_of(first, NOW + 1)
        yield "used", code_of(first, NOW - 1)
        yield "tablet", code_of(self.phones.get("tablet", first), NOW)
        yield "staged", code_of(self.staged or first, NOW)
        yield "staged next", code_of(self.staged or first, NOW + 1)
        yield "skewed", code_of(self.staged or first, NOW + 5)
        yield "wrong", "000000"
        yield "recovery", (self.recovery or ["K" * 24])[0]
        yield "recovery 2", (self.recovery or ["K" * 24])[-1]
        yield "recovery used", (self.spent or ["K" * 24])[0]
        yield "recovery wrong", "Z" * 24

    def start(self, name: str) -> Start:
        """Stop here: walks begin."""
        codes = dict(self.typed())
        assert "000000" not in {one for what, one in codes.items() if what != "wrong"}
        return Start(
            name=name,
            row=self.world.row,
            secrets=dict(self._ids()),
            codes=codes,
            setup_id=self.setup_id,
            key=Secret(self.staged).base32 if self.staged else "A" * 32,
            recovery=tuple(self.recovery),
            verification=self.verification,
        )

    def _ids(self) -> Iterator[tuple[str, bytes]]:
        for write in self.world.history:
            if write.after is not None:
                yield from secrets_in(write.after.document, write.after.user_id)


def secrets_in(document: str, user_id: str) -> Iterator[tuple[str, bytes]]:
    """Open every secret of a document in its own context, without the library.

    Raises:
        ValueError: One was sealed for another place.
    """
    stored = json.loads(document)
    held = [(one["id"], one["sealed"]) for one in stored.get("authenticators", ())]
    if "setup" in stored:
        held.append((stored["setup"]["authenticator_id"], stored["setup"]["sealed"]))
    for name, sealed in held:
        context = b"\0".join((b"otp_enroll/1", b"secret", user_id.encode(), name.encode()))
        yield name, MaskingCipher.opened(base64.b64decode(sealed), context)


def _disabled(owner: Owner) -> None:
    """Leave the world without a row."""


def _switched_off(owner: Owner) -> None:
    owner.enroll()
    owner.does(owner.enroller.disable(USER, proof=VOUCHED), START - PERIOD)
    owner.phones, owner.recovery = {}, []


def _pending(owner: Owner) -> None:
    owner.begin(START - 60)


def _pending_expired(owner: Owner) -> None:
    owner.begin(START - POLICY.setup_lifetime)


def _pending_last_seconds(owner: Owner) -> None:
    owner.begin(START - POLICY.setup_lifetime + PERIOD // 2)


def _pending_nine_wrong(owner: Owner) -> None:
    owner.begin(START - 60)
    for _ in range(9):
        owner.does(owner.enroller.confirm(USER, "000000", setup_id=owner.setup_id), START - 60)


def _confirmed(owner: Owner) -> None:
    owner.enroll()


def _old_key(owner: Owner) -> None:
    owner.world.cipher.newest = MaskingCipher.OLD
    owner.enroll()
    owner.begin(START - 60)


def _staged(owner: Owner) -> None:
    owner.enroll()
    owner.begin(START - 60)


def _staged_tablet(owner: Owner) -> None:
    owner.enroll()
    owner.begin(START - 60, "tablet")


def _staged_expired(owner: Owner) -> None:
    owner.enroll()
    owner.begin(START - POLICY.setup_lifetime)


def _two(owner: Owner) -> None:
    owner.enroll(signs_in=False)
    owner.begin(START - 7200, "tablet")
    owner.confirm(START - 7200, "tablet")
    owner.sign_in(code_of(owner.phones["default"], NOW - 1))


def _waiting(owner: Owner) -> None:
    owner.enroll()
    owner.fail(5, START)


def _four_wrong(owner: Owner) -> None:
    owner.enroll()
    owner.fail(4, START - 60)
    owner.fail(4, START - 60, code="Z" * 24)


def _locked(owner: Owner) -> None:
    owner.enroll(signs_in=False)
    owner.lock(50)


def _last_wrong_before_lock(owner: Owner) -> None:
    owner.enroll(signs_in=False)
    owner.lock(49)


def _locked_staged(owner: Owner) -> None:
    owner.enroll(signs_in=False)
    owner.begin(START - 3 * DAY, "tablet")
    owner.confirm(START - 3 * DAY, "tablet")
    owner.lock(50)
    owner.begin(START - 60, "default")


def _one_recovery_code(owner: Owner) -> None:
    owner.enroll(signs_in=False)
    owner.spend(2)
    owner.sign_in(code_of(owner.phones["default"], NOW - 1))


_MAKERS: Final[Mapping[str, Callable[[Owner], None]]] = {
    "disabled": _disabled,
    "pending": _pending,
    "pending expired": _pending_expired,
    "confirmed": _confirmed,
    "staged": _staged,
    "two authenticators": _two,
    "waiting": _waiting,
    "locked": _locked,
    "one recovery code": _one_recovery_code,
    "switched off": _switched_off,
    "pending last seconds": _pending_last_seconds,
    "pending nine wrong": _pending_nine_wrong,
    "staged tablet": _staged_tablet,
    "staged expired": _staged_expired,
    "locked staged": _locked_staged,
    "four wrong": _four_wrong,
    "last wrong before lock": _last_wrong_before_lock,
    "old key": _old_key,
}

MAIN: Final = tuple(_MAKERS)[:9]
"""The nine states that the requirement names; the others are edges of them."""


@cache
def start_of(name: str) -> Start:
    """Make a start, once."""
    owner = Owner()
    _MAKERS[name](owner)
    return owner.start(name)


ALL: Final = tuple(_MAKERS)
