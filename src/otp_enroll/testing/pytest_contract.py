"""The store contract for pytest: a class with a named test for each check.

The one module of the kit that imports pytest, and no other imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from otp_enroll.testing.contract import CHECKS, judge_one
from otp_enroll.testing.joined import JoinedHarness
from otp_enroll.testing.kit import Check, Inputs
from otp_enroll.testing.report import CheckResult


class StoreContract:
    """Derive a test class from it and say how to open the store.

    The attributes are the arguments of ``otp_enroll.testing.run``; wrap functions in
    ``staticmethod``. What a check needs and is not given skips it, and says so.

    Example:
        >>> class TestMyStore(StoreContract):
        ...     open_store = staticmethod(open_my_store)  # doctest: +SKIP
    """

    # Functions in a class look like methods to a type checker, hence Any.
    open_store: ClassVar[Any]
    import_path: ClassVar[str | None] = None
    joined: ClassVar[JoinedHarness | None] = None
    break_connection: ClassVar[Any] = None
    raw_count: ClassVar[Any] = None
    open_read_only: ClassVar[Any] = None
    waivers: ClassVar[Mapping[str, str]] = {}

    @pytest.mark.parametrize(
        "check", [pytest.param(one, id=f"{one.id}-{one.name}") for one in CHECKS]
    )
    def test_store_contract(self, check: Check) -> None:
        """The store passes the check."""
        # Synchronous, so that no plugin's event loop and no fixture of a database is in the way.
        judge_or_skip(self.judge(check))

    @classmethod
    def judge(cls, check: Check) -> CheckResult:
        """Judge one check on the store of this class."""
        inputs = Inputs(
            open_store=cls.open_store,
            import_path=cls.import_path,
            joined=cls.joined,
            break_connection=cls.break_connection,
            raw_count=cls.raw_count,
            open_read_only=cls.open_read_only,
        )
        return judge_one(check, inputs, cls.waivers)


def judge_or_skip(result: CheckResult) -> None:
    """Turn a verdict into pytest's own; what is waived passes."""
    # A skip that no store may declare is a failure: else a fixture that skips where it finds no
    # server would turn the whole contract green.
    if result.verdict == "not run" or (result.verdict == "skipped" and result.ok):
        pytest.skip(result.sentence)
    if not result.ok:
        # The sentence names the mistake; the frames would be the kit's and not the store's.
        pytest.fail(f"{result.id} {result.name}: {result.sentence}", pytrace=False)
