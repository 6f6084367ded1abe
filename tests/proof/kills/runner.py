"""The run: workers at work on one database, one after the other killed, and everything judged."""

from __future__ import annotations

import argparse
import json
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from proof.kills.calls import caller_over
from proof.kills.databases import SERVERS, Site, open_store, site_of
from proof.kills.flows import Shared
from proof.kills.journal import Op
from proof.kills.judge import Judge
from proof.kills.nest import Nest, Worker, nest_for
from proof.kills.worker import Task, enroll

CREW: Final = 4
SHARED: Final = 4
KILLS_AN_EPOCH: Final = 25
LINES: Final = (20, 60)
"""How much a worker writes, at least and at most, before the next kill; two lines a call."""

KILLED: Final = -9
WORKERS: Final = "workers"


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run saw.

    Attributes:
        site: The database's kind.
        of: What was killed.
        kills: How often.
        answers: Acknowledged answers that were checked.
        landed: Calls in flight at a kill that had been written.
        lost: Calls in flight at a kill that had not.
        findings: What was wrong.
        seconds: How long it took.
        errors: What workers were told, by name.
    """

    site: str
    of: str
    kills: int = 0
    answers: int = 0
    landed: int = 0
    lost: int = 0
    findings: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter[str])

    def take(self, judge: Judge) -> None:
        """Add what a judge saw."""
        self.answers += judge.answers
        self.landed += judge.landed
        self.lost += judge.lost
        self.findings += judge.findings
        self.errors += judge.errors


@dataclass(slots=True, kw_only=True)
class Epoch:
    """A crew at work on fresh accounts, from its start to the judgement of all it did.

    Attributes:
        site: The database.
        nest: Where workers come from.
        rng: Chooses whom to kill, and when.
        report: What is filled in.
        accounts: Those that all workers share.
        task: What each worker does, but for number and seed.
        crew: Who works.
        journals: What each of the dead did.
        number: The last worker's.
    """

    site: Site
    nest: Nest
    rng: random.Random
    report: Report
    accounts: list[Shared]
    task: Task
    crew: list[Worker] = field(default_factory=list[Worker])
    journals: list[list[Op]] = field(default_factory=list[list[Op]])
    number: int = 0

    def start(self) -> None:
        """Add a worker to the crew."""
        self.number += 1
        seed = self.rng.randrange(2**32)
        self.crew.append(self.nest.spawn(replace(self.task, number=self.number, seed=seed)))

    def kill(self, worker: Worker) -> None:
        """Kill a worker and keep what it had written.

        Raises:
            RuntimeError: It had ended before.
        """
        self.crew.remove(worker)
        if (status := worker.kill()) != KILLED:
            raise RuntimeError(f"a worker had ended by itself: {status}")
        self.journals.append(worker.ops())
        self.report.kills += self.report.of == WORKERS

    def kill_one_at_random(self) -> None:
        """Kill one in the middle of whatever it does."""
        worker = self.rng.choice(self.crew)
        worker.wait_for(self.rng.randint(*LINES))
        time.sleep(self.rng.uniform(0, 0.01))
        self.kill(worker)

    def kill_server(self) -> None:
        """Kill the server in the middle of whatever it does, and start it again."""
        server = self.site.server
        if server is None:
            raise ValueError("SQLite has no server")
        for worker in self.crew:
            worker.wait_for(self.rng.randint(*LINES))
        time.sleep(self.rng.uniform(0, 0.05))
        server.kill()
        server.start()
        self.report.kills += 1

    def end(self) -> None:
        """Kill who is left, and judge all that was answered by a handle that no kill reached."""
        for worker in list(self.crew):
            self.kill(worker)
        with open_store(self.site.kind, self.site.address) as store:
            judge = Judge(store, self.rng)
            for ops in self.journals:
                judge.count(ops)
                judge.own(ops)
            judge.shared(self.accounts, [op for ops in self.journals for op in ops])
        self.report.take(judge)


@contextmanager
def epoch(
    site: Site, nest: Nest, rng: random.Random, report: Report, *, crew: int, behind: int = 0
) -> Generator[Epoch]:
    """Put a crew to work on fresh accounts, and judge everything in the end."""
    label = secrets.token_hex(4)  # not the seed's: two runs may share a database
    with tempfile.TemporaryDirectory() as directory:
        with open_store(site.kind, site.address) as store:
            making = caller_over(store, lambda line: None)
            accounts = [enroll(making, f"shared-{label}-{n}") for n in range(SHARED)]
        path = Path(directory) / "accounts.json"
        path.write_text(json.dumps([one.as_json() for one in accounts]))
        task = Task(
            kind=site.kind,
            address=site.address,
            number=0,
            seed=0,
            label=label,
            origin=time.monotonic_ns(),
            accounts=str(path),
            behind=behind,
        )
        one = Epoch(site=site, nest=nest, rng=rng, report=report, accounts=accounts, task=task)
        for _ in range(crew):
            one.start()
        yield one
        one.end()


def kill_workers(
    site: Site, nest: Nest, seed: int, kills: int, *, crew: int = CREW, behind: int = 0
) -> Report:
    """Kill so many workers, one after the other, while the rest of the crew works on."""
    report, rng = Report(site=site.kind, of=WORKERS), random.Random(seed)  # noqa: S311  # to repeat
    started = time.monotonic()
    while report.kills < kills:
        with epoch(site, nest, rng, report, crew=crew, behind=behind) as one:
            # The crew that is left is killed in the end.
            for _ in range(min(KILLS_AN_EPOCH, kills - report.kills) - crew):
                one.kill_one_at_random()
                one.start()
            for worker in one.crew:
                worker.wait_for(rng.randint(*LINES))
    report.seconds = time.monotonic() - started
    return report


def kill_servers(site: Site, nest: Nest, seed: int, kills: int, *, crew: int = CREW) -> Report:
    """Kill the server so many times, while the crew works on as well as it can."""
    report, rng = Report(site=site.kind, of="server"), random.Random(seed)  # noqa: S311  # to repeat
    started = time.monotonic()
    with epoch(site, nest, rng, report, crew=crew) as one:
        for _ in range(kills):
            one.kill_server()
        for worker in one.crew:
            worker.wait_for(rng.randint(*LINES))
    report.seconds = time.monotonic() - started
    return report


COLUMNS: Final = (
    "database",
    "killed",
    "kills",
    "answers checked",
    "in flight: done",
    "not done",
    "violations",
    "seconds",
)


def row(report: Report) -> str:
    """Write a report as a line of the table."""
    cells = (
        report.site,
        report.of,
        report.kills,
        report.answers,
        report.landed,
        report.lost,
        len(report.findings),
        f"{report.seconds:.1f}",
    )
    return "  ".join(f"{cell!s:>{len(name)}}" for name, cell in zip(COLUMNS, cells, strict=True))


def _say(*lines: str) -> None:
    sys.stdout.write("".join(line + "\n" for line in lines))
    sys.stdout.flush()


def main() -> int:
    """Kill workers and servers on each database, and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--workers", type=int, default=200, help="kills of workers a database")
    parser.add_argument("--servers", type=int, default=10, help="kills of each server")
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run")
    parser.add_argument("databases", nargs="*", default=[*SERVERS, "sqlite"])
    chosen = parser.parse_args()
    seed = secrets.randbits(32) if chosen.seed is None else chosen.seed
    _say(f"seed {seed}", "  ".join(COLUMNS))
    findings: list[str] = []
    for kind in chosen.databases:
        with (
            tempfile.TemporaryDirectory() as directory,
            site_of(kind, Path(directory)) as site,
            nest_for(kind) as nest,
        ):
            runs = [partial(kill_workers, kills=chosen.workers)]
            if site.server is not None and chosen.servers:
                runs.append(partial(kill_servers, kills=chosen.servers))
            for run in runs:
                report = run(site, nest, seed)
                _say(row(report))
                findings += report.findings
    _say(*findings)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
