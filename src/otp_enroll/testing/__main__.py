"""The store contract from the command line: ``python -m otp_enroll.testing pkg.mod:open_store``.

The path is imported here and again in the processes of a race, so it must name a function of a
module, and what it opens must be found from both: a file, a server, not a dict.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from otp_enroll.testing.contract import run
from otp_enroll.testing.processes import imported


def _waiver(text: str) -> tuple[str, str]:
    """Read ``NUMBER=REASON``; that a reason is there is checked where waivers are."""
    number, _, reason = text.partition("=")
    return number, reason


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m otp_enroll.testing",
        description="Check a store against the contract. Every name is given as pkg.mod:name.",
    )
    parser.add_argument("open_store", help="gives a new handle on the same data")
    parser.add_argument("--joined", type=imported, help="a harness for joined transactions")
    parser.add_argument("--break-connection", type=imported, help="breaks a store's connection")
    parser.add_argument("--raw-count", type=imported, help="counts what is stored of a user id")
    parser.add_argument("--open-read-only", type=imported, help="gives a handle that cannot write")
    parser.add_argument(
        "--waive", type=_waiver, action="append", default=[], metavar="NUMBER=REASON"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks and print the report.

    Args:
        arguments: Those of the command line, if they are not given.

    Returns:
        0 if the report is ok, else 1, so that CI fails by it.
    """
    given = _parser().parse_args(arguments)
    report = run(
        imported(given.open_store),
        import_path=given.open_store,
        joined=given.joined,
        break_connection=given.break_connection,
        raw_count=given.raw_count,
        open_read_only=given.open_read_only,
        waivers=dict(given.waive),
    )
    print(report.to_json() if given.json else report)  # noqa: T201  # what the command is for
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
