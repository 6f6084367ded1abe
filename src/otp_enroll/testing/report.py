"""What a run of the store contract found: a verdict and a sentence for each check.

For people as text, and for CI as JSON. It claims no more than what was run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Literal

from otp_enroll.testing.kit import DECLARED

Verdict = Literal["passed", "failed", "skipped", "not run", "waived"]

LEVELS: Final = ("core", "process", "joined", "fault")
"""The groups that a level names, in its order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check found.

    Attributes:
        id: The check's number, as in the documentation.
        name: The check's name.
        level: ``"M"`` must, ``"S"`` should.
        group: ``"core"``, or what it needed besides ``open_store``.
        verdict: ``"passed"``, ``"failed"``, ``"skipped"`` (it does not apply), ``"not run"``
            (it was not given what it needs, or the shape is wrong), ``"waived"``.
        seconds: How long it took.
        sentence: What holds, or what is wrong, or why it was not checked.
    """

    id: str
    name: str
    level: Literal["M", "S"]
    group: str
    verdict: Verdict
    seconds: float
    sentence: str

    @property
    def ok(self) -> bool:
        """Whether it passed, is waived, or is skipped for a reason that a store may declare."""
        skipped = self.verdict == "skipped" and self.sentence in DECLARED
        return skipped or self.verdict in {"passed", "waived"}

    def __str__(self) -> str:
        return (
            f"{self.id:<3} {self.level} {self.verdict:<7} {self.seconds:6.2f}s  "
            f"{self.name}: {self.sentence}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run found.

    Attributes:
        results: One for each check, in order.
        environment: Versions, the store's class, and what the caller added.
        left_behind: User ids of the run that could not be deleted after it.
    """

    results: tuple[CheckResult, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    left_behind: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every check that was given what it needs passed or is waived.

        What was not given is in ``unchecked``, and the level does not claim it.
        """
        # ``all`` of nothing is true, and a report without a result must not be.
        ran = [result for result in self.results if result.group not in self.unchecked]
        return bool(ran) and all(result.ok for result in ran)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The groups of checks that were not given what they need."""
        groups = dict.fromkeys(result.group for result in self.results)
        return tuple(
            group
            for group in groups
            if group != "core"
            and all(one.verdict == "not run" for one in self.results if one.group == group)
        )

    @property
    def level(self) -> str:
        """What the store was shown to do.

        ``"core"``, then ``"+process"``, ``"+joined"`` and ``"+fault"`` as far as the must-checks
        of these groups passed; ``"none"`` if the core did not.
        """
        proved = [group for group in LEVELS if self._is_proved(group)]
        return "+".join(proved) if "core" in proved else "none"

    def _is_proved(self, group: str) -> bool:
        """Return whether all must-checks of a group passed; should-checks do not count here."""
        musts = [one for one in self.results if one.group == group and one.level == "M"]
        return bool(musts) and all(one.ok for one in musts)

    def __str__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.environment.items())
        lines = [str(result) for result in self.results]
        if self.unchecked:
            lines.append("not checked: " + ", ".join(self.unchecked))
        if self.left_behind:
            lines.append(f"left behind: {len(self.left_behind)} accounts of this run")
        return "\n".join([*lines, facts, f"{'ok' if self.ok else 'NOT OK'}, level {self.level}"])

    def to_json(self) -> str:
        """Return all of it as JSON, with what it comes to first."""
        summary = {"ok": self.ok, "level": self.level, "unchecked": self.unchecked}
        return json.dumps({**summary, **asdict(self)}, indent=2)
