"""``python -m gateway.doctor --config FILE``: check the books when the gateway cannot start.

It reads only. Exit code 0: balanced; 1: not, or it could not look; each finding is one line.
"""

import argparse
import sys
from pathlib import Path

from gateway import config as configuration
from hsm.verify import verify
from invoice.errors import InvoiceError
from ledger.errors import LedgerError
from ledger.records import BooksProgress
from ledger.sqlite import SqliteLedger


def main() -> int:
    """Check, print, and answer the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m gateway.doctor", description="Check the books of a stopped gateway."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML file")
    arguments = parser.parse_args()
    try:
        config = configuration.read(arguments.config)
        last = _check(SqliteLedger(config.ledger.path, verify=verify))
    except (configuration.ConfigError, LedgerError, InvoiceError) as error:
        print(f"doctor: {error}", file=sys.stderr)  # noqa: T201 - the command's answer
        return 1
    print(  # noqa: T201
        f"doctor: balanced={'yes' if last.balanced else 'no'} issued={last.issued_count}"
        f" reserved={last.reserved_count} uploaded={last.uploaded_count}"
        f" signatures={last.signature_count}"
    )
    return 0 if last.balanced else 1


def _check(ledger: SqliteLedger) -> BooksProgress:
    last = BooksProgress(checked_count=0, total_count=0)
    shown = sys.stderr.isatty()
    for last in ledger.check_books():
        for finding in last.findings:
            print(f"{finding.check} {finding.subject}: {finding.message}")  # noqa: T201
        if shown:
            print(f"\r{last.checked_count}/{last.total_count}", end="", file=sys.stderr)  # noqa: T201
    if shown:
        print(file=sys.stderr)  # noqa: T201
    return last


if __name__ == "__main__":
    sys.exit(main())
