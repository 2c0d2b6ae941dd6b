"""``python -m gateway.doctor --config FILE``: check the books when the gateway cannot start.

It reads only. Each finding is one line; the last line is ``taxctl doctor``'s.
"""

import argparse
import sys
from enum import IntEnum
from pathlib import Path

from gateway import config as configuration
from hsm.verify import verify
from invoice.errors import InvoiceError
from ledger.errors import LedgerError
from ledger.records import BooksProgress
from ledger.sqlite import SqliteLedger

_EXIT_CODES = "Exit code: 0 balanced, 1 not balanced, 2 wrong usage, or the books cannot be read."


class ExitCode(IntEnum):
    """What a script gets to know."""

    BALANCED = 0
    UNBALANCED = 1
    UNREADABLE = 2


def main() -> int:
    """Check, print, and answer the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.doctor",
        description="Check the books of a stopped gateway.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML file")
    arguments = parser.parse_args()
    try:
        path = configuration.read(arguments.config).ledger.path
    except configuration.ConfigError as error:
        return _unreadable(str(error))
    try:
        last, finding_count = _check(SqliteLedger(path, verify=verify))
    except (LedgerError, InvoiceError) as error:
        return _unreadable(f"{path}: {error}")
    print(_summary(last, finding_count))  # noqa: T201
    if last.rejected_count:
        print(f"doctor: {_refused(last.rejected_count)}", file=sys.stderr)  # noqa: T201
    return ExitCode.BALANCED if last.balanced else ExitCode.UNBALANCED


def _unreadable(why: str) -> ExitCode:
    print(f"doctor: {why}", file=sys.stderr)  # noqa: T201 - the command's answer
    return ExitCode.UNREADABLE


def _check(ledger: SqliteLedger) -> tuple[BooksProgress, int]:
    """Check; answer the last word and how many findings there were in all."""
    last = BooksProgress(checked_count=0, total_count=0)
    finding_count = 0
    shown = sys.stderr.isatty()
    for last in ledger.check_books():
        finding_count += len(last.findings)
        for finding in last.findings:
            print(f"{finding.check} {finding.subject}: {finding.message}")  # noqa: T201
        if shown:
            print(f"\r{last.checked_count}/{last.total_count}", end="", file=sys.stderr)  # noqa: T201
    if shown:
        print(file=sys.stderr)  # noqa: T201
    return last, finding_count


def _summary(last: BooksProgress, finding_count: int) -> str:
    """The line that scripts read, the same as ``taxctl doctor``'s."""
    return (
        f"doctor: balanced={'yes' if last.balanced else 'no'} issued={last.issued_count}"
        f" reserved={last.reserved_count} uploaded={last.uploaded_count}"
        f" rejected={last.rejected_count} pending={last.pending_count}"
        f" signatures={last.signature_count} findings={finding_count}"
    )


def _refused(count: int) -> str:
    what = "1 event was" if count == 1 else f"{count:,} events were"
    return f"{what} refused by the authority; `taxctl upload list` names them"


if __name__ == "__main__":
    sys.exit(main())
