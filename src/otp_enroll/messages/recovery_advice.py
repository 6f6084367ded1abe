"""How to get back in, told to the owner of an account from the policy in force.

Advice that is written by hand goes stale when the policy changes; this one cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from otp_enroll.messages.catalogue import Catalogue, Phrase
from otp_enroll.policy import AttemptBudget, Parameters, Policy


def how_to_get_back_in(
    policy: Policy, *, locale: str = "en", catalogues: Path | None = None
) -> tuple[str, ...]:
    """Say in a few paragraphs how the owner gets back in, and what stands in a guesser's way.

    Args:
        policy: The policy of your enroller.
        locale: The language: ``"fa"``, ``"fa-IR"``; English where there is no catalogue.
        catalogues: Where you keep catalogues of your own, which come first.

    Raises:
        TypeError: A wrong type.
    """
    if not isinstance(policy, Policy):
        raise TypeError("policy must be a Policy")
    speaker = Catalogue.of(locale, catalogues)
    return tuple(" ".join(told) for told in _paragraphs(speaker, policy))


def _paragraphs(speaker: Catalogue, policy: Policy) -> Iterator[Iterator[str]]:
    yield _recovery_codes(speaker, policy)
    yield _phone_and_paper(speaker, policy)
    yield _waits_and_lock(speaker, policy.budget)
    yield iter([speaker.say("recovery", "help_desk")])


def _recovery_codes(speaker: Catalogue, policy: Policy) -> Iterator[str]:
    yield speaker.count("recovery", "codes", policy.recovery_codes)
    yield speaker.say("recovery", "new_codes")


def _phone_and_paper(speaker: Catalogue, policy: Policy) -> Iterator[str]:
    yield speaker.say("recovery", "lost_phone")
    if policy.max_authenticators > 1:
        yield speaker.say("recovery", "another")
    yield speaker.say("recovery", _PAPER[policy.backup])
    if policy.parameters != Parameters():
        yield speaker.say(
            "recovery",
            "paper.settings",
            digits=policy.digits,
            period=Phrase(speaker.count("unit", "seconds", policy.period)),
            algorithm=policy.algorithm,
        )


_PAPER = {"none": "paper", "acknowledged": "paper.acknowledged", "checked": "paper.checked"}


def _waits_and_lock(speaker: Catalogue, budget: AttemptBudget) -> Iterator[str]:
    lock_after = min(budget.lock_after, budget.lock_after_in_30_days)
    # Where the lock comes no later than the first wait, recovery codes alone ever wait.
    waits = "waits" if budget.free_attempts < lock_after else "waits.recovery_codes"
    wait = Phrase(speaker.duration(budget.first_wait))
    yield speaker.count("recovery", waits, budget.free_attempts, wait=wait)
    if budget.first_wait < budget.longest_wait:
        longest = Phrase(speaker.duration(budget.longest_wait))
        yield speaker.say("recovery", "waits.doubling", longest=longest)
    else:
        yield speaker.say("recovery", "waits.steady")
    if budget.free_attempts < lock_after:
        yield speaker.say("recovery", "waits.apart")
    in_30_days = budget.lock_after_in_30_days
    yield speaker.count("recovery", "lock", budget.lock_after, in_30_days=in_30_days)
