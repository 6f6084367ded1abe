"""The numbers an app may choose, checked when chosen: Policy, STRICT, Parameters, AttemptBudget.

A number that would lock people out or let guessers in fails here, when the app starts, and not at a
login.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["STRICT", "AttemptBudget", "Parameters", "Policy"]

Algorithm = Literal["SHA1", "SHA256", "SHA512"]
Backup = Literal["none", "acknowledged", "checked"]

SECRET_BYTES: Final = {"SHA1": 20, "SHA256": 32, "SHA512": 64}
"""Bytes in a fresh secret: as long as the HMAC's output (RFC 4226 R6, RFC 6238 §5.1)."""

SETUP_WRONG_CODES: Final = 10
"""Wrong codes at one setup; the last one drops it (SP 800-63B-4 §8.1: at least 10 tries)."""


def _whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):  # True would pass as 1
        raise TypeError(f"{name} must be an int")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}")


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What an authenticator and the server must agree on besides the secret.

    The defaults are what every app understands. Google's and Microsoft's on Android ignore other
    values, and show codes that are wrong.

    Attributes:
        type: ``"totp"`` (RFC 6238) or ``"hotp"`` (RFC 4226).
        algorithm: The HMAC's hash.
        digits: Length of a code, 6 to 8 (RFC 4226 §5.3).
        period: Seconds that a code is shown, 1 to 120 (SP 800-63B-4 §3.1.4.1). A HOTP has none.
    """

    type: Literal["totp", "hotp"] = "totp"
    algorithm: Algorithm = "SHA1"
    digits: int = 6
    period: int = 30

    def __post_init__(self) -> None:
        _one_of("type", self.type, ("totp", "hotp"))
        _one_of("algorithm", self.algorithm, tuple(SECRET_BYTES))
        _whole("digits", self.digits, 6, 8)
        _whole("period", self.period, 1, 120)  # a new code at least every two minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptBudget:
    """How many wrong codes an account may have, and how long it waits between them.

    The defaults keep a guesser under 0.4 % a year with a window of three codes, and give the
    owner ten tries within 16 minutes (SP 800-63B-4 §3.2.2 and §8.1).

    Attributes:
        free_attempts: Consecutive wrong codes that are judged at once.
        first_wait: Seconds after the last of them; it doubles with each further one.
        longest_wait: Seconds that no wait exceeds.
        lock_after: Consecutive wrong codes that lock codes; at most 100.
        lock_after_in_30_days: Wrong codes in 30 days, whatever succeeded between, that lock.
        warn_after_in_30_days: Wrong codes in 30 days that an event warns of.
    """

    free_attempts: int = 5
    first_wait: int = 30
    longest_wait: int = 3600
    lock_after: int = 50
    lock_after_in_30_days: int = 100
    warn_after_in_30_days: int = 80

    def __post_init__(self) -> None:
        _whole("free_attempts", self.free_attempts, 1, 10)
        _whole("first_wait", self.first_wait, 30, 3600)  # §3.2.2: 30 seconds up to an hour
        # A wait that doubles without end overflows, or shuts the owner out (django-otp #172).
        _whole("longest_wait", self.longest_wait, self.first_wait, 86_400)
        _whole("lock_after", self.lock_after, 10, 100)  # §8.1: 10 tries; §3.2.2: 100 at most
        # 14,405 wrong codes fit in 30 days of "five tries, then 15 minutes": 41 % in a year.
        _whole("lock_after_in_30_days", self.lock_after_in_30_days, 10, 1000)
        _whole("warn_after_in_30_days", self.warn_after_in_30_days, 1, self.lock_after_in_30_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an app decides once for all its accounts: one policy for one table.

    Authenticators keep the parameters that they were set up with; the rest applies at once.

    Attributes:
        algorithm: The HMAC's hash for new setups; see ``Setup.warnings`` before changing it.
        digits: Digits of a code for new setups.
        period: Seconds of a code for new setups.
        window: Counters accepted (before, after) the current one, each 0 to 2 (RFC 6238 §5.2).
            (0, 0) is the literal reading of ASVS 6.5.5 and costs people who type slowly.
        setup_lifetime: Seconds that a setup may stay unconfirmed, 300 to 3600.
        budget: Wrong codes and waits.
        recovery_codes: How many codes a set has.
        max_authenticators: How many an account may have: each multiplies a guesser's chance.
        backup: What confirm waits for: nothing, the user's word that the key was written down
            (``"acknowledged"``), or a copy that was checked (``"checked"``).
        suffix_on_rotation: Whether the label of a replacement gets a number, because some apps
            overwrite an entry of the same name as soon as they scan.
    """

    algorithm: Algorithm = "SHA1"
    digits: int = 6
    period: int = 30
    window: tuple[int, int] = (1, 1)
    setup_lifetime: int = 900
    budget: AttemptBudget = AttemptBudget()
    recovery_codes: int = 10
    max_authenticators: int = 3
    backup: Backup = "none"
    suffix_on_rotation: bool = True

    def __post_init__(self) -> None:
        _ = self.parameters  # checks algorithm, digits and period now, not at the first begin
        if not isinstance(self.window, tuple) or len(self.window) != 2:
            raise TypeError("window must be a pair: counters before, counters after")
        # RFC 6238 §5.2 advises one for the network; each more is another code that a guess can hit.
        _whole("window[0]", self.window[0], 0, 2)
        _whole("window[1]", self.window[1], 0, 2)
        # Time to install an app and write a key down; a key must not lie on a screen for longer.
        _whole("setup_lifetime", self.setup_lifetime, 300, 3600)
        if not isinstance(self.budget, AttemptBudget):
            raise TypeError("budget must be an AttemptBudget")
        _whole("recovery_codes", self.recovery_codes, 1, 32)
        _whole("max_authenticators", self.max_authenticators, 1, 10)  # each is one more to hit
        _one_of("backup", self.backup, ("none", "acknowledged", "checked"))
        if not isinstance(self.suffix_on_rotation, bool):
            raise TypeError("suffix_on_rotation must be a bool")

    @property
    def parameters(self) -> Parameters:
        """The parameters of a new setup."""
        return Parameters(algorithm=self.algorithm, digits=self.digits, period=self.period)


def check_policy(policy: object) -> None:
    """Refuse what is no policy, when the enroller is built: a dict would fail at a login.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(policy, Policy):
        raise TypeError("policy must be a Policy, such as Policy() or STRICT")


STRICT: Final = Policy(window=(1, 0), backup="acknowledged")
"""No code from the future, and no confirmation before the user says that the key is backed up."""
