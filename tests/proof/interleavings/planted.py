"""Bugs planted in a store, an enroller or a rule: the walk must find each of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from otp_enroll import AsyncEnroller, Setup, StoredEnrollment, async_enroller
from otp_enroll.async_enroller import send
from otp_enroll.attempt import MAX_TRIES, Attempt, Write
from otp_enroll.core import judging, transitions
from otp_enroll.core.account_verbs import Disable
from otp_enroll.core.budget import Waits
from otp_enroll.core.judging import Judged
from otp_enroll.core.proofs import Proving
from otp_enroll.core.secret import Secret
from otp_enroll.core.setup_verbs import Begin
from otp_enroll.core.states import Phase, StoredSetup
from otp_enroll.core.verb import Decision, Verb
from otp_enroll.errors import StorageError, UnreadableSecretError, WrongCodeError
from otp_enroll.vault import Vault
from proof.interleavings.prover import Prover
from proof.interleavings.starts import secrets_in
from proof.interleavings.world import LOAD, Call, Row, SuspendingStore, World, ask

Plant = Callable[[pytest.MonkeyPatch], Prover]


class IgnoresExpected(World):
    """A database whose save replaces whatever it finds."""

    def save(self, record: StoredEnrollment, expected: str | None) -> bool:
        self.write(record, expected)
        return True


class Lies(World):
    """A database that says "stored" of a save that it refused."""

    def save(self, record: StoredEnrollment, expected: str | None) -> bool:
        super().save(record, expected)
        return True


class PutsLater(World):
    """A database that also puts without a comparison."""

    def perform(self, call: Call) -> object:
        if call.kind != "put":
            return super().perform(call)
        self.write(call.record, call.expected)
        return True


class NotesTheKey(World):
    """A database that keeps the key in plain text beside the sealed one."""

    def save(self, record: StoredEnrollment, expected: str | None) -> bool:
        keys = [Secret(raw).base32 for _, raw in secrets_in(record.document, record.user_id)]
        noted = json.dumps({**json.loads(record.document), "note": keys}, separators=(",", ":"))
        return super().save(replace(record, document=noted), expected)


class ChecksThenActs(SuspendingStore):
    """A store that compares in one statement and writes in the next."""

    async def save(self, record: StoredEnrollment, *, expected: str | None) -> bool:
        found: Row = await ask(LOAD)
        if (found and found.revision) != expected:
            return False
        stored: bool = await ask(Call("put", record, expected))
        return stored


class ReadsNothingWhenBroken(SuspendingStore):
    """A store whose load says "no record" when the connection breaks."""

    async def load(self, user_id: str) -> StoredEnrollment | None:
        try:
            return await super().load(user_id)
        except OSError:
            return None


class AnswersFirst(AsyncEnroller):
    """An enroller that answers before it saves, and is stopped before it does."""

    async def _apply(self, verb: Verb[Any]) -> Any:
        attempt = self._start(verb, MAX_TRIES)
        attempt.decide(await self._store.load(verb.user_id))
        return attempt.answer()


class TakesFailureForSuccess(AsyncEnroller):
    """An enroller that takes a save that raised for one that was stored."""

    async def _send(self, write: Write) -> object:
        try:
            return await super()._send(write)
        except StorageError:
            return True


class SavesTheOldDecision(AsyncEnroller):
    """An enroller that looks up the new revision and saves again what it had decided before."""

    async def _apply(self, verb: Verb[Any]) -> Any:
        attempt = self._start(verb, MAX_TRIES)
        write = attempt.decide(await self._store.load(verb.user_id))
        while write is not None and not await send(self._store, write):
            found = await self._store.load(verb.user_id)
            write = replace(write, expected=found.revision if found else None)
        return attempt.answer()


class SavesTwice(AsyncEnroller):
    """An enroller that writes the same state once more, under a revision of its own."""

    async def _apply(self, verb: Verb[Any]) -> Any:
        attempt = self._start(verb, MAX_TRIES)
        write = None
        while not attempt.settled:
            write = attempt.decide(await self._store.load(verb.user_id))
            if write is not None:
                attempt.saved(await send(self._store, write))
        if write is not None and write.record is not None:
            again = replace(write.record, revision=self._vault.draw(16).hex())
            await self._store.save(again, expected=write.record.revision)
        return attempt.answer()


class RemembersTheSetup(AsyncEnroller):
    """An enroller that shows the setup out of its memory when a page is reloaded."""

    shown: Setup | None = None

    async def resume(self, user_id: str, *, setup_id: str, context: Any = None) -> Setup:
        if self.shown is None:
            self.shown = await super().resume(user_id, setup_id=setup_id, context=context)
        return self.shown


def _in_world(kind: type[World]) -> Plant:
    return lambda _patch: Prover(kind())


def _with_store(kind: type[SuspendingStore], world: type[World] = World) -> Plant:
    return lambda _patch: Prover(world(), store=kind())


def _as_enroller(kind: type[AsyncEnroller]) -> Plant:
    return lambda _patch: Prover(kind=kind)


def _patched(where: Any, name: str, value: Any) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> Prover:
        prover = Prover()
        patch.setattr(where, name, value)
        return prover

    return plant


def _wrong_and_not_counted(*_: Any) -> Decision[Any]:
    return Decision(WrongCodeError("code", 4))


def _taken_and_not_spent(account: Any, shown: Any, *_: Any) -> Judged:
    return Judged(account=account, authenticator=shown[0].name)


def _proved_by_nothing(self: Proving[Any], account: Any, world: Any) -> Any:
    return Judged(account=account) if self.proof is None else _PROVE(self, account, world)


def _opened_or_zeros(self: Vault, sealed: Any, user_id: str, name: str) -> Any:
    opened = _OPEN(self, sealed, user_id, name)
    return Secret(bytes(20)) if isinstance(opened, UnreadableSecretError) else opened


def _sealed_for_nobody(self: Vault, secret: Secret, user_id: str, name: str) -> Any:
    return _SEAL(self, secret, user_id, "")


def _a_day_from_the_last_one(self: Waits, now: int, budget: Any) -> int | None:
    return None if self.failures < budget.free_attempts else self.since + 86_400


def _removal_forbidden() -> Mapping[str, Mapping[Phase, transitions.Cell]]:
    """Return a table in which removing the last authenticator leads nowhere."""
    row = transitions.TRANSITIONS["disable"]
    stays = replace(row[Phase.CONFIRMED], to=(Phase.CONFIRMED,))
    return {**transitions.TRANSITIONS, "disable": {**row, Phase.CONFIRMED: stays}}


_PROVE: Final = Proving.prove
_OPEN: Final = Vault.open
_SEAL: Final = Vault.seal


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug, a scenario that meets it, and the laws that it must break.

    Attributes:
        plant: Makes a prover with the bug.
        scenario: What to walk.
        laws: The names of the laws; others may break too.
        faults: Whether it takes a fault to show.
    """

    plant: Plant
    scenario: str
    laws: frozenset[str]
    faults: bool = False


def _law(*names: str) -> frozenset[str]:
    return frozenset(names)


TWO_LOGINS: Final = "confirmed: verify/now | verify/now"

PLANTED: Final[Mapping[str, Planted]] = {
    "save ignores expected": Planted(
        _in_world(IgnoresExpected),
        TWO_LOGINS,
        _law("one_code_one_success", "each_write_replaces_what_it_read", "explains"),
    ),
    "save lies": Planted(
        _in_world(Lies),
        TWO_LOGINS,
        _law("one_code_one_success", "verdict_comes_after_its_write", "explains"),
    ),
    "save checks, then acts": Planted(
        _with_store(ChecksThenActs, PutsLater),
        "confirmed: verify/recovery | verify/recovery",
        _law("one_code_one_success", "each_write_replaces_what_it_read"),
    ),
    "lost update of a counter": Planted(
        _in_world(IgnoresExpected),
        "confirmed: verify/now | verify/next",
        _law("counter_never_goes_down"),
    ),
    "spent recovery code comes back": Planted(
        _in_world(IgnoresExpected),
        "confirmed: verify/recovery | verify/now",
        _law("spent_stays_spent"),
    ),
    "wrong code lost": Planted(
        _in_world(IgnoresExpected),
        "confirmed: verify/wrong | verify/wrong",
        _law("each_write_replaces_what_it_read", "explains"),
    ),
    "setup over another one": Planted(
        _in_world(IgnoresExpected),
        "pending: confirm/staged | begin",
        _law("confirmed_is_what_was_proved", "explains"),
    ),
    "key in plain text": Planted(
        _in_world(NotesTheKey),
        "disabled: begin | status",
        _law("copy_of_the_row_is_useless"),
    ),
    "state written twice": Planted(
        _as_enroller(SavesTwice),
        "confirmed: verify/now | status",
        _law("each_request_writes_once"),
    ),
    "setup shown from memory": Planted(
        _as_enroller(RemembersTheSetup),
        "staged: confirm/staged | resume > resume",
        _law("nobody_reads_a_secret_back"),
    ),
    "endless wait": Planted(
        _patched(Waits, "until", _a_day_from_the_last_one),
        "last wrong before lock: verify/now | status",
        _law("budget_is_bounded", "gets_in"),
    ),
    "load says nothing when broken": Planted(
        _with_store(ReadsNothingWhenBroken),
        "confirmed: status | verify/now",
        _law("failure_is_an_error", "not_enrolled_is_the_truth"),
        faults=True,
    ),
    "answer before the save": Planted(
        _as_enroller(AnswersFirst),
        TWO_LOGINS,
        _law("one_code_one_success", "verdict_comes_after_its_write", "explains"),
    ),
    "failure taken for success": Planted(
        _as_enroller(TakesFailureForSuccess),
        TWO_LOGINS,
        _law("failure_is_an_error", "verdict_comes_after_its_write"),
        faults=True,
    ),
    "retry without deciding again": Planted(
        _as_enroller(SavesTheOldDecision),
        TWO_LOGINS,
        _law("one_code_one_success", "explains"),
    ),
    "conflict given back at once": Planted(
        _patched(async_enroller, "MAX_TRIES", 1),
        TWO_LOGINS,
        _law("failure_is_an_error", "explains"),
    ),
    "verb leaves the table": Planted(
        _patched(transitions, "TRANSITIONS", _removal_forbidden()),
        "confirmed: disable/now | status",
        _law("failure_is_an_error"),
    ),
    "own write not recognised": Planted(
        _patched(Attempt, "_has_landed", lambda *_: False),
        TWO_LOGINS,
        _law("refusal_writes_nothing", "explains"),
        faults=True,
    ),
    "any setup id will do": Planted(
        _patched(StoredSetup, "is_named_by", lambda *_: True),
        "disabled: begin > confirm/own | begin",
        _law("setup_is_its_holders"),
    ),
    "code taken and not spent": Planted(
        _patched(judging, "_accept_code", _taken_and_not_spent),
        TWO_LOGINS,
        _law("one_code_one_success"),
    ),
    "wrong code not counted": Planted(
        _patched(judging, "_count_wrong_code", _wrong_and_not_counted),
        "confirmed: verify/wrong | status",
        _law("verdict_comes_after_its_write", "wrong_code_counts_once"),
    ),
    "change without a proof": Planted(
        _patched(Disable, "prove", _proved_by_nothing),
        "confirmed: disable/none | status",
        _law("change_needs_a_proof"),
    ),
    "begin without a proof": Planted(
        _patched(Begin, "prove", _proved_by_nothing),
        "confirmed: begin | status",
        _law("change_needs_a_proof"),
    ),
    "unreadable secret compared": Planted(
        _patched(Vault, "open", _opened_or_zeros),
        "confirmed: verify/now | status",
        _law("old_secret_works_until_the_swap", "wrong_code_counts_once"),
        faults=True,
    ),
    "sealed for no place": Planted(
        _patched(Vault, "seal", _sealed_for_nobody),
        "disabled: begin | status",
        _law("Happened"),
    ),
}
