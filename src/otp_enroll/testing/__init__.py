"""For users of the library: a clock that stands still, an authenticator app, checks for a store.

None of it needs a test framework, but for ``pytest_contract``. It is public API: the adapters of
the library pass the same checks as a stranger's.
"""

from otp_enroll.testing.contract import run
from otp_enroll.testing.fakes import FakeAuthenticator, FrozenClock
from otp_enroll.testing.joined import JoinedHarness, JoinedTransaction
from otp_enroll.testing.report import CheckResult, Report

__all__ = [
    "CheckResult",
    "FakeAuthenticator",
    "FrozenClock",
    "JoinedHarness",
    "JoinedTransaction",
    "Report",
    "run",
]
