"""The load: many processes, many accounts, mixed verbs for a while; and everything judged."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import secrets
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from proof.kills.databases import Site, open_store, site_of
from proof.kills.flows import Shared
from proof.kills.journal import Op
from proof.kills.judge import Judge
from proof.kills.nest import Nest, nest_for
from proof.kills.worker import Task

PROCESSES: Final = 8
ACCOUNTS: Final = 10_000
SECONDS: Final = 60.0
HOT: Final = 20
SPEED: Final = 60
PART: Final = 0.75
PROBED: Final = 50


@dataclass(slots=True, kw_only=True)
class LoadReport:
    """What a load run saw.

    Attributes:
        site: The database's kind.
        processes: How many worked at once.
        accounts: How many they shared.
        seconds: How long they worked.
        ops: Every call.
        errors: What the callers were told, by name.
        findings: What was wrong.
    """

    site: str
    processes: int
    accounts: int
    seconds: float
    ops: list[Op]
    errors: Counter[str] = field(default_factory=Counter[str])
    findings: list[str] = field(default_factory=list[str])

    def micros(self) -> dict[str, list[int]]:
        """Return the sorted latencies of each verb, in microseconds."""
        by_verb: defaultdict[str, list[int]] = defaultdict(list)
        for op in self.ops:
            if op.reply is not None:
                by_verb[op.call.verb].append(op.reply.micros)
        return {verb: sorted(times) for verb, times in sorted(by_verb.items())}


def percentile(times: list[int], percent: float) -> int:
    """Return the value that so many percent do not exceed (nearest rank)."""
    return times[max(0, math.ceil(len(times) * percent / 100) - 1)]


def run(
    site: Site, nest: Nest, seed: int, *, processes: int, accounts: int, seconds: float
) -> LoadReport:
    """Enroll the accounts, work on them for a while, and judge what was answered."""
    rng = random.Random(seed)  # noqa: S311  # a run to repeat
    task = Task(kind=site.kind, address=site.address, number=0, seed=0, label=secrets.token_hex(4))
    enrolled = _enrolled(nest, task, processes, accounts)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "accounts.json"
        path.write_text(json.dumps([one.as_json() for one in enrolled]))
        task = replace(
            task,
            accounts=str(path),
            origin=time.monotonic_ns(),
            speed=SPEED,
            part=PART,
            hot=HOT,
            seconds=seconds,
        )
        numbers = range(1, processes + 1)
        ops = _done(nest, [replace(task, number=n, seed=rng.randrange(2**32)) for n in numbers])
    with open_store(site.kind, site.address) as store:
        judge = Judge(store, rng)
        judge.count(ops)
        judge.own(ops)
        judge.shared(enrolled[:PROBED], ops)
        judge.shared(enrolled[PROBED:], ops, probe=False)
    return LoadReport(
        site=site.kind,
        processes=processes,
        accounts=accounts,
        seconds=seconds,
        ops=ops,
        errors=judge.errors,
        findings=judge.findings,
    )


def _done(nest: Nest, tasks: Iterable[Task]) -> list[Op]:
    """Let workers do their tasks at once, and return all calls.

    Raises:
        RuntimeError: One did not get to the end.
    """
    workers = [nest.spawn(task) for task in tasks]
    ended = [worker.finish() for worker in workers]
    if any(ended):
        raise RuntimeError("a worker did not get to the end")
    return [op for worker in workers for op in worker.ops()]


def _enrolled(nest: Nest, task: Task, processes: int, accounts: int) -> list[Shared]:
    bounds = [accounts * n // processes for n in range(processes + 1)]
    shares = itertools.pairwise(bounds)
    ops = _done(nest, [replace(task, enroll=share) for share in shares])
    keys: dict[str, str] = {}
    found = []
    for op in ops:
        call, reply = op.call, op.reply
        if reply is not None and call.verb == "begin":
            keys[call.user] = reply.key
        elif reply is not None and call.typed is not None:
            counter = call.typed.counter
            key = keys[call.user]
            found.append(Shared(user=call.user, key=key, codes=reply.codes, last=counter))
    return found


def told(report: LoadReport) -> list[str]:
    """Write a report as lines."""
    rate = len(report.ops) / report.seconds
    head = f"{report.site}: {report.processes} processes, {report.accounts} accounts"
    lines = [
        "",
        f"{head}, {report.seconds:.0f} s, {len(report.ops)} operations ({rate:.0f} a second)",
        f"{'milliseconds':<28}{'count':>8}{'p50':>8}{'p95':>8}{'p99':>8}{'max':>9}",
    ]
    for verb, times in report.micros().items():
        ranks = [percentile(times, percent) / 1000 for percent in (50, 95, 99, 100)]
        cells = "".join(f"{one:>8.1f}" for one in ranks[:3]) + f"{ranks[3]:>9.1f}"
        lines.append(f"{verb:<28}{len(times):>8}{cells}")
    lines += [f"{name:<28}{count:>8}" for name, count in report.errors.most_common()]
    return [*lines, f"{'violations':<28}{len(report.findings):>8}", *report.findings]


def main() -> int:
    """Run the load on each database, and print latencies, answers and violations."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of a run")
    parser.add_argument("databases", nargs="*", default=["postgresql", "redis"])
    chosen = parser.parse_args()
    seed = secrets.randbits(32) if chosen.seed is None else chosen.seed
    sys.stdout.write(f"seed {seed}\n")
    wrong = 0
    for kind in chosen.databases:
        with (
            tempfile.TemporaryDirectory() as directory,
            site_of(kind, Path(directory)) as site,
            nest_for(kind) as nest,
        ):
            report = run(
                site,
                nest,
                seed,
                processes=chosen.processes,
                accounts=chosen.accounts,
                seconds=chosen.seconds,
            )
        sys.stdout.write("".join(line + "\n" for line in told(report)))
        sys.stdout.flush()
        wrong += len(report.findings)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
