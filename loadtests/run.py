"""What every load run does round its load: a folder, a gateway, stock, and the books at the end."""

import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from loadtests import account
from loadtests.account import Total
from loadtests.world import gateway, prepare
from sandbox.layout import ROOT
from taxcontrol.admin.v1.audit_service_pb2 import CheckBooksResponse
from taxctl.connection import connect
from taxctl.doctor_command import check_books, summary

FOLDER: Final = ROOT / "var" / "load"


class RunFailed(Exception):
    """The run says nothing; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the account and the books say of a run."""

    total: Total
    answered_count: int
    duplicates: list[str]
    books: CheckBooksResponse

    @property
    def missing_count(self) -> int:
        """Invoices that were answered and are not in the books; others may issue beside us."""
        return max(0, self.answered_count - self.books.issued_count)

    @property
    def right(self) -> bool:
        """Whether nothing is wrong, doubled or out of balance."""
        wrong = self.total.wrong_count or self.duplicates or self.missing_count
        return not wrong and self.books.balanced

    def demand_right(self, folder: Path) -> None:
        """Raise :class:`RunFailed` unless the run is right, so that ``folder`` is kept whole."""
        if not self.right:
            raise RunFailed(f"see above; all of it is kept in {folder}")

    @property
    def words(self) -> str:
        """The end of the line for scripts."""
        return (
            f"requests={self.total.request_count} failures={self.total.failure_count}"
            f" wrong={self.total.wrong_count} duplicated={len(self.duplicates)}"
            f" balanced={'yes' if self.books.balanced else 'no'}"
        )


@contextmanager
def prepared(target: str, folder: Path) -> Iterator[str]:
    """A gateway with taxpayers and stock; yields where it is called.

    One of our own lies in ``folder``/system, and is removed at the end unless the run fails.
    """
    own = folder / "system"
    with gateway(target, own) as address:
        print(f"gateway {address}: registering taxpayers, drawing stock", flush=True)
        prepare(address)
        yield address
    shutil.rmtree(own, ignore_errors=True)


def new_folder(parent: Path, name: str) -> Path:
    """A folder of the run's own."""
    folder = parent / f"{datetime.now():%Y%m%d-%H%M%S}-{name}-{os.getpid()}"  # noqa: DTZ005 - for people here
    folder.mkdir(parents=True)
    return folder


def judge(target: str, folder: Path) -> Verdict:
    """Add up the accounts in ``folder`` and check the gateway's books; print what is wrong."""
    total = account.read(folder)
    answered_count, duplicates = account.numbers(folder)
    print("checking the books", flush=True)
    connection = connect(target, operator="loadtest")
    with connection.channel:
        books = check_books(connection, lambda _checked, _total: None)
    for sentence in total.wrong:
        print(f"WRONG {sentence}")
    for sentence in duplicates:
        print(f"DUPLICATED {sentence}")
    for finding in books.findings:
        print(f"UNBALANCED {finding.check} {finding.subject}: {finding.message}")
    print(summary(books))
    verdict = Verdict(total, answered_count, duplicates, books)
    print(
        f"callers were answered {answered_count:,} invoices, the books have {books.issued_count:,}"
    )
    if verdict.missing_count:
        print(f"MISSING {verdict.missing_count} answered invoices are not in the books")
    return verdict


def machine() -> str:
    """The machine and the libraries whose figures these are."""
    return (
        f"{time.strftime('%Y-%m-%d %H:%M %Z')}, {os.cpu_count()} cores {platform.machine()},"
        f" {_memory_gib():.0f} GiB, {platform.system()} {platform.release()}, Python"
        f" {platform.python_version()}, grpcio {version('grpcio')}; callers, gateway and simulators on"
        f" the same machine, load of others {os.getloadavg()[0]:.1f} at the start"
    )


def fail(program: str, error: object) -> int:
    """Say why there is no result, and answer the exit status."""
    print(f"{program}: FAILED {error}", file=sys.stderr)
    return 1


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
