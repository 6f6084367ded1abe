"""How to get back in, for the owner of an account, written from the policy in force.

Advice that is written by hand goes stale when the policy changes; this one cannot. Amft and others
(CCS 2023) found no site whose documentation of recovery matched what the site then did.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from otp_enroll.messages.catalogue import Catalogue, Phrase
from otp_enroll.policy import AttemptBudget, Parameters, Policy

_PAPER: Final = {
    "none": "paper",
    "acknowledged": "paper.acknowledged",
    "checked": "paper.checked",
}
"""The text about the key on paper, by the backup that the policy asks for."""


def how_to_get_back_in(
    policy: Policy, *, locale: str = "en", catalogues: Path | None = None
) -> tuple[str, ...]:
    """Say in a few paragraphs how the owner gets back in, and what stands in a guesser's way.

    Args:
        policy: The policy of your enroller.
        locale: The language: ``"fa"``, ``"fa-IR"``; English where there is no catalogue.
        catalogues: Where you keep catalogues of your own, which come first.

    Returns:
        One text a paragraph, without markup, for a page, a mail or a sheet.

    Raises:
        TypeError: A wrong type.
    """
    if not isinstance(policy, Policy):
        raise TypeError("policy must be a Policy")
    catalogue = Catalogue.of(locale, catalogues)
    return tuple(" ".join(sentences) for sentences in _paragraphs(catalogue, policy))


def _paragraphs(catalogue: Catalogue, policy: Policy) -> Iterator[Iterator[str]]:
    """Yield the sentences of each paragraph, the quickest way back first."""
    yield _recovery_codes(catalogue, policy)
    yield _phone_and_paper(catalogue, policy)
    yield _waits_and_lock(catalogue, policy.budget)
    yield iter([catalogue.say("recovery", "help_desk")])


def _recovery_codes(catalogue: Catalogue, policy: Policy) -> Iterator[str]:
    yield catalogue.count("recovery", "codes", policy.recovery_codes)
    yield catalogue.say("recovery", "new_codes")


def _phone_and_paper(catalogue: Catalogue, policy: Policy) -> Iterator[str]:
    yield catalogue.say("recovery", "lost_phone")
    if policy.max_authenticators > 1:
        yield catalogue.say("recovery", "another")
    yield catalogue.say("recovery", _PAPER[policy.backup])
    # A new phone is set up by hand from the paper, and an app assumes the usual values.
    if policy.parameters != Parameters():
        yield catalogue.say(
            "recovery",
            "paper.settings",
            digits=policy.digits,
            period=Phrase(catalogue.count("unit", "seconds", policy.period)),
            algorithm=policy.algorithm,
        )


def _waits_and_lock(catalogue: Catalogue, budget: AttemptBudget) -> Iterator[str]:
    """Say how long wrong codes make one wait, and when they lock (SP 800-63B-4 §3.2.2)."""
    lock_after = min(budget.lock_after, budget.lock_after_in_30_days)
    # Where the lock comes no later than the first wait, recovery codes alone ever wait.
    waits = "waits" if budget.free_attempts < lock_after else "waits.recovery_codes"
    wait = Phrase(catalogue.duration(budget.first_wait))
    yield catalogue.count("recovery", waits, budget.free_attempts, wait=wait)
    if budget.first_wait < budget.longest_wait:
        longest = Phrase(catalogue.duration(budget.longest_wait))
        yield catalogue.say("recovery", "waits.doubling", longest=longest)
    else:
        yield catalogue.say("recovery", "waits.steady")
    if budget.free_attempts < lock_after:
        yield catalogue.say("recovery", "waits.apart")
    in_30_days = budget.lock_after_in_30_days
    yield catalogue.count("recovery", "lock", budget.lock_after, in_30_days=in_30_days)
