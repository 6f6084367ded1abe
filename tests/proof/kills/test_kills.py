"""Workers and servers killed for a few seconds; `make kills` does it hundreds of times."""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from helpers import servers
from otp_enroll import StoredEnrollment
from otp_enroll.storage.memory import MemoryStore
from proof.kills import codes, databases, runner
from proof.kills.calls import OUTSIDE, caller_over
from proof.kills.flows import START, Choice, Fast, Flows, Life
from proof.kills.journal import ACCEPTED, UNKNOWN, Op, Typed, ops_of
from proof.kills.judge import Judge
from proof.kills.nest import nest_for
from proof.kills.worker import Task, enroll

KILLS: Final = 6
CREW: Final = 3
OWN: Final = "own-sara"

DURABLE: Final[dict[str, dict[str, str]]] = {
    "postgresql": {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
    "mariadb": {"innodb_flush_log_at_trx_commit": "1"},
    "redis": {"appendonly": "yes", "appendfsync": "always"},
    "sqlite": {},
}


# --- processes ---


@pytest.mark.requirement("R-45", "R-65")
@pytest.mark.parametrize("kind", list(DURABLE))
def test_what_was_acknowledged_outlives_the_kill(kind: str, tmp_path: Path) -> None:
    """Whatever a killed worker, or a client of a killed server, was told is true afterwards."""
    seed = secrets.randbits(32)
    with databases.site_of(kind, tmp_path) as site, nest_for(kind) as nest:
        assert databases.durability(site, list(DURABLE[kind])) == DURABLE[kind]
        reports = [runner.kill_workers(site, nest, seed, KILLS, crew=CREW)]
        if site.server is not None:
            reports.append(runner.kill_servers(site, nest, seed, 1, crew=CREW))
    for report in reports:
        assert report.findings == [], f"seed {seed}"
        assert report.answers > 0
    assert reports[0].kills == KILLS


def test_a_store_that_acknowledges_before_it_writes_is_found(tmp_path: Path) -> None:
    """Workers whose store keeps the last saves to itself are convicted when they are killed."""
    with databases.site_of("sqlite", tmp_path) as site, nest_for("sqlite") as nest:
        report = runner.kill_workers(site, nest, 1, CREW, crew=CREW, behind=20)
    assert report.findings != []


def test_a_server_that_forgets_is_found(tmp_path: Path) -> None:
    """A Redis that acknowledges what it writes nowhere is convicted when it is killed."""
    with servers.running(databases.ForgetfulRedis) as server, nest_for("redis") as nest:
        site = databases.site_on("redis", server)
        report = runner.kill_servers(site, nest, 1, 1, crew=CREW)
    assert report.findings != []


def test_a_worker_that_ended_by_itself_is_no_kill(tmp_path: Path) -> None:
    """A worker that stops without a kill is an error of the run and not a quiet success."""
    with databases.site_of("sqlite", tmp_path) as site, nest_for("sqlite") as nest:
        task = Task(kind=site.kind, address=site.address, number=1, seed=1, seconds=0.0)
        worker = nest.spawn(task)
        with pytest.raises(TimeoutError):
            worker.wait_for(10**6)
        assert worker.finish() == 0


# --- the judge: accounts of one worker ---

STEPS: Final[list[Choice]] = [
    ("begin", ""),
    ("confirm", "wrong code"),
    ("confirm", "code"),
    ("verify", "code"),
    ("verify", "wrong code"),
    ("verify", "recovery code"),
    ("verify", "wrong recovery code"),
    ("begin", "code"),
    ("cancel", ""),
    ("begin", "override"),
    ("confirm", "code"),
    ("rename", ""),
    ("regenerate_recovery_codes", "code"),
    ("begin", "recovery code"),
    ("verify", "code"),
    ("disable", "code"),
    ("begin", ""),
    ("erase", ""),
]
"""Calls that write, all of them, one after the other."""

NAMES: Final = [f"{n}, {verb} {kind}".rstrip() for n, (verb, kind) in enumerate(STEPS)]


@dataclass
class Story:
    """An account that went through the first steps, with its record after each of them."""

    store: MemoryStore = field(default_factory=MemoryStore)
    lines: list[str] = field(default_factory=list)
    records: list[StoredEnrollment | None] = field(default_factory=lambda: [None])

    def go(self, steps: int) -> Story:
        """Make so many calls, and remember what was stored after each."""
        rng = random.Random(steps)  # noqa: S311  # choices, not secrets
        caller = caller_over(self.store, self.lines.append)
        flows = Flows(caller=caller, rng=rng, name="", shared=[], fast=Fast(0, 1), part=0)
        life = Life(OWN, START)
        for verb, kind in STEPS[:steps]:
            life.now += 90
            flows.do(life, verb, kind)
            self.records.append(self.store.load(OWN))
        return self

    @property
    def ops(self) -> list[Op]:
        """The calls."""
        return ops_of(self.lines)

    def put(self, record: StoredEnrollment | None) -> None:
        """Put a record in the place of what is stored."""
        self.store.delete(OWN)
        if record is not None:
            assert self.store.save(record, expected=None)

    def findings(self, ops: list[Op] | None = None) -> list[str]:
        """Return what the judge finds."""
        judge = Judge(self.store, random.Random(0))  # noqa: S311  # choices, not secrets
        ops = self.ops if ops is None else ops
        judge.count(ops)
        judge.own(ops)
        return judge.findings


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1), ids=NAMES)
def test_an_honest_story_is_believed(step: int) -> None:
    """Nothing is found where every acknowledged call is stored."""
    assert Story().go(step).findings() == []


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1), ids=NAMES)
def test_a_lost_write_is_found(step: int) -> None:
    """Any one acknowledged write that is gone is found, whatever the verb."""
    story = Story().go(step)
    story.put(story.records[-2])
    assert story.findings() != []


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("step", range(1, len(STEPS) + 1), ids=NAMES)
def test_a_call_in_flight_may_be_done_or_not(step: int, done: bool) -> None:
    """The call that was cut off by the kill may have been written, or not."""
    story = Story().go(step)
    *ops, last = story.ops
    if not done:
        story.put(story.records[-2])
    assert story.findings([*ops, Op(call=last.call)]) == []


@pytest.mark.parametrize("step", range(2, len(STEPS)), ids=NAMES[1:-1])
def test_a_call_in_flight_excuses_no_other(step: int) -> None:
    """A lost write is found also where the call after it was cut off (if that was no erase)."""
    story = Story().go(step)
    *ops, last = story.ops
    story.put(story.records[-3])
    assert story.findings([*ops, Op(call=last.call)]) != []


def test_a_call_with_a_storage_error_may_be_done_or_not() -> None:
    """A call that ended in a StorageError leaves both accounts possible for those after it."""
    story = Story().go(5)
    ops = story.ops
    assert ops[3].reply is not None
    ops[3] = replace(ops[3], reply=replace(ops[3].reply, verdict=UNKNOWN))
    assert story.findings(ops) == []


HALF: Final[dict[str, Callable[[dict[str, Any]], object]]] = {
    "the last counter": lambda d: d["authenticators"][0].update(last_counter=-1),
    "a wrong code": lambda d: d["budgets"]["code"]["waits"].update(failures=0),
    "the wrong codes of 30 days": lambda d: d["budgets"]["code"].update(days={}),
    "a wrong recovery code": lambda d: d["budgets"]["recovery"].update(failures=0),
    "a spent recovery code": lambda d: d["recovery"].update(spent="0" * 10),
    "another spent recovery code": lambda d: d["recovery"].update(
        spent=d["recovery"]["spent"][::-1]
    ),
    "the recovery codes": lambda d: d["recovery"].update(digests=d["recovery"]["digests"][::-1]),
    "the sealed secret": lambda d: d["authenticators"][0].update(sealed="AAAA"),
    "the authenticator's id": lambda d: d["authenticators"][0].update(id="0" * 32),
    "the name": lambda d: d["authenticators"][0].update(name="other"),
    "a further authenticator": lambda d: d["authenticators"].append(
        d["authenticators"][0] | {"name": "other"}
    ),
}


@pytest.mark.parametrize("what", list(HALF))
def test_a_half_written_account_is_found(what: str) -> None:
    """A record of which one part is another than was acknowledged is found, or does not open."""
    story = Story().go(7)
    record = story.records[-1]
    assert record is not None
    document = json.loads(record.document)
    HALF[what](document)
    story.put(replace(record, document=json.dumps(document)))
    assert story.findings() != []


def test_a_half_swapped_secret_is_found() -> None:
    """The new secret beside the staged one, as if the swap had stopped midway, is found."""
    story = Story().go(11)
    before, after = story.records[-2:]
    assert before is not None
    assert after is not None
    document = json.loads(after.document) | {"setup": json.loads(before.document)["setup"]}
    story.put(replace(after, document=json.dumps(document)))
    assert story.findings() != []


def test_a_column_that_disagrees_is_found() -> None:
    """A row whose state column was written without its document is found."""
    story = Story().go(3)
    record = story.records[-1]
    assert record is not None
    story.put(replace(record, state="pending"))
    assert story.findings() != []


@pytest.mark.parametrize("verdict", ["CodeReusedError", "CorruptRecordError", OUTSIDE + "KeyError"])
def test_a_wrong_answer_is_found(verdict: str) -> None:
    """An answer other than the one due is found, even where the record is right."""
    story = Story().go(4)
    *ops, last = story.ops
    assert last.reply is not None
    assert story.findings([*ops, replace(last, reply=replace(last.reply, verdict=verdict))]) != []


# --- the judge: accounts that workers share ---


SHARED: Final = "shared-1"


@dataclass
class Crowd:
    """An account that several workers used, with its record after each call.

    The calls: a right code, the next one, that one again, a recovery code, a wrong code.
    """

    store: MemoryStore = field(default_factory=MemoryStore)
    lines: list[str] = field(default_factory=list)
    records: list[StoredEnrollment] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.account = enroll(caller_over(self.store, lambda line: None), SHARED)
        self.caller = caller_over(self.store, self.lines.append)
        self._remember()

    def go(self, steps: int) -> Crowd:
        """Make so many of the calls."""
        key, last = self.account.key, self.account.last
        now = (last + 5) * 30
        right = [
            Typed(kind="code", text=codes.code(key, last + n), key=key, counter=last + n)
            for n in (4, 5)
        ]
        recovery = codes.recovery_code(self.account.codes[0])
        wrong = codes.wrong_code([key], now, random.Random(1))  # noqa: S311  # no secret
        for typed in (*right, right[1], recovery, wrong)[:steps]:
            self.caller.call(SHARED, "verify", now, typed=typed)
            self._remember()
        return self

    def _remember(self) -> None:
        record = self.store.load(SHARED)
        assert record is not None
        self.records.append(record)

    @property
    def ops(self) -> list[Op]:
        """The calls."""
        return ops_of(self.lines)

    def findings(self, ops: list[Op], stored: int = -1) -> list[str]:
        """Return what the judge finds if this record is stored."""
        self.store.delete(SHARED)
        assert self.store.save(self.records[stored], expected=None)
        judge = Judge(self.store, random.Random(0))  # noqa: S311  # choices, not secrets
        judge.count(ops)
        judge.shared([self.account], ops)
        return judge.findings


CALLS: Final = range(1, 6)
WRITES: Final = (1, 2, 4, 5)


@pytest.mark.parametrize("calls", CALLS)
def test_an_honest_crowd_is_believed(calls: int) -> None:
    """Nothing is found where every acknowledged call on a shared account is stored."""
    crowd = Crowd().go(calls)
    assert crowd.findings(crowd.ops) == []


@pytest.mark.parametrize("calls", WRITES)
def test_a_lost_write_of_a_crowd_is_found(calls: int) -> None:
    """Any acknowledged write that a shared account lost is found."""
    crowd = Crowd().go(calls)
    assert crowd.findings(crowd.ops, stored=-2) != []


@pytest.mark.parametrize("stored", [-1, -2])
@pytest.mark.parametrize("calls", WRITES)
def test_a_crowd_may_have_a_call_in_flight(calls: int, stored: int) -> None:
    """The call on a shared account that a kill cut off may have been written, or not."""
    crowd = Crowd().go(calls)
    *ops, last = crowd.ops
    assert crowd.findings([*ops, Op(call=last.call)], stored=stored) == []


def test_two_successes_of_one_code_are_found() -> None:
    """One code that two callers were let in with is found."""
    crowd = Crowd().go(3)
    *ops, again = crowd.ops
    assert again.reply is not None
    lie = replace(again, reply=replace(again.reply, verdict=ACCEPTED))
    assert any("succeeded 2 times" in one for one in crowd.findings([*ops, lie]))


def test_two_successes_of_one_recovery_code_are_found() -> None:
    """One recovery code that two callers were let in with is found."""
    crowd = Crowd().go(4)
    assert any("succeeded 2 times" in one for one in crowd.findings([*crowd.ops, crowd.ops[3]]))


def test_a_code_that_succeeds_after_a_later_one_is_found() -> None:
    """A code that is accepted in a call that began after a later code's success is found."""
    crowd = Crowd().go(2)
    early, late = crowd.ops
    assert early.reply is not None
    assert late.reply is not None
    after = late.reply.ended + 1
    lie = Op(call=replace(early.call, began=after), reply=replace(early.reply, ended=after + 1))
    assert any("succeeded after" in one for one in crowd.findings([lie, late]))


def test_a_code_called_used_that_nobody_used_is_found() -> None:
    """An owner who is told that a fresh code was used is found."""
    crowd = Crowd().go(3)
    first, second, again = crowd.ops
    assert again.call.typed is not None
    ahead = replace(again.call.typed, counter=again.call.typed.counter + 1)
    lie = replace(again, call=replace(again.call, typed=ahead))
    assert any("nobody used it" in one for one in crowd.findings([first, second, lie]))


def test_a_reply_to_another_call_is_no_journal() -> None:
    """A journal whose replies do not follow their calls is refused."""
    crowd = Crowd().go(2)
    with pytest.raises(ValueError, match="another call"):
        ops_of([crowd.lines[0], crowd.lines[3]])
