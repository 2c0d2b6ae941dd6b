"""``python -m sandbox demo``: the main job on real components, and the books checked."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.callers import issue_all, mixed
from sandbox.invoices import counters, requests
from sandbox.process import CannotStart
from sandbox.record import differences
from sandbox.samples import issue_samples, mismatch, read_samples
from sandbox.system import System
from sandbox.taxpayers import register_samples, stock_up
from sandbox.uploads import NotUploaded, wait_for_uploads
from taxcontrol.admin.v1.audit_service_pb2 import CheckBooksResponse
from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import BatchIssueResult
from taxctl.connection import Connection, connect
from taxctl.doctor_command import check_books, summary
from taxctl.failure import CallFailed, reason_name
from taxctl.screen import Screen

_UPLOAD_S_MAX: Final = 150.0
# More than the samples of any one point and type.
_SAMPLE_STOCK: Final = 50


class Disagreement(Exception):
    """Something is not as it must be; the sentence says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a run came to."""

    issued: int
    refused: int
    uploaded: int
    signatures: int

    def line(self) -> str:
        """The line that scripts read."""
        return (
            f"demo: ok issued={self.issued} refused={self.refused} uploaded={self.uploaded}"
            f" signatures={self.signatures} balanced=yes"
        )


def run(*, invoice_count: int, caller_count: int, keep: bool) -> int:
    """Run the demo; the answer is the exit status. Raises ``KeyboardInterrupt`` when stopped."""
    screen = Screen(as_json=False)
    try:
        folder = Path(tempfile.mkdtemp(prefix="taxcontrol-demo-"))
    except OSError as error:
        screen.line(f"demo: FAILED {error}")
        return 1
    keeping = keep
    try:
        with System(folder) as system:
            demo = Demo(system, screen, invoice_count=invoice_count, caller_count=caller_count)
            figures = demo.run()
    except (CannotStart, CallFailed, NotUploaded, Disagreement, OSError) as error:
        keeping = True
        screen.line(f"  kept       logs and ledger in {folder}")
        screen.line(f"demo: FAILED {_sentence(error)}")
        return 1
    finally:
        if not keeping:
            shutil.rmtree(folder, ignore_errors=True)
    if keep:
        screen.line(f"  kept       logs and ledger in {folder}")
    screen.line(figures.line())
    return 0


class Demo:
    """One run on a running system. Each step prints a line when it is done."""

    def __init__(
        self, system: System, screen: Screen, *, invoice_count: int, caller_count: int
    ) -> None:
        self._system = system
        self._screen = screen
        self._invoice_count = invoice_count
        self._caller_count = caller_count

    def run(self) -> Figures:
        """Do the main job and check everything; raise :class:`Disagreement` and what calls raise."""
        self._screen.line(f"  gateway    up at {self._system.target}, simulator beside it")
        connection = connect(self._system.target)
        simulator = connect(self._system.simulator_target)
        with connection.channel, simulator.channel:
            taxpayers = self._prepare(connection)
            issued, refused = self._issue_samples(connection)
            issued += self._issue_more(taxpayers)
            self._upload(connection, taxpayers, len(issued))
            books = self._check(connection, len(issued))
            self._compare(simulator, issued)
        return Figures(
            issued=books.issued_count,
            refused=refused,
            uploaded=books.uploaded_count,
            signatures=books.signature_count,
        )

    def _prepare(self, connection: Connection) -> list[Taxpayer]:
        taxpayers = register_samples(connection)
        places = counters(taxpayers)
        count = _SAMPLE_STOCK + -(-self._invoice_count // len(places))
        drawn = stock_up(connection, places, low=1, count=count)
        self._screen.line(
            f"  taxpayers  {len(taxpayers)} registered; {drawn:,} numbers drawn"
            f" and assigned to {len(places)} points and types"
        )
        return taxpayers

    def _issue_samples(self, connection: Connection) -> tuple[list[IssuedInvoice], int]:
        """Issue the samples twice: the verdicts must be right, the second time the same bytes."""
        samples = read_samples()
        results = issue_samples(connection, samples)
        pairs = zip(samples, results, strict=True)
        wrong = [found for sample, result in pairs if (found := mismatch(sample, result))]
        if wrong:
            raise Disagreement(f"{len(wrong)} samples got another verdict, first {wrong[0]}")
        issued = _issued(results)
        again = issue_samples(connection, samples)
        if _issued(again) != issued or not all(r.replayed for r in again if r.HasField("issued")):
            raise Disagreement("a request sent again did not get the same invoice")
        refused = len(samples) - len(issued)
        self._screen.line(
            f"  samples    {len(issued)} issued, {refused} refused, all as samples/verdicts.csv"
            " has it; sent again: the same bytes"
        )
        return issued, refused

    def _issue_more(self, taxpayers: Sequence[Taxpayer]) -> list[IssuedInvoice]:
        wanted = list(requests(counters(taxpayers), self._invoice_count, prefix="demo"))
        began = time.monotonic()
        with self._screen.progress("issuing", len(wanted)) as progress:
            results = issue_all(
                self._system.target,
                list(mixed(wanted)),
                caller_count=self._caller_count,
                progress=progress.reach,
            )
        elapsed_s = time.monotonic() - began
        issued = _issued(results)
        failed = [result for result in results if not result.HasField("issued")]
        if failed or len(issued) != len(wanted):
            why = reason_name(failed[0].failure) if failed else "no answer"
            raise Disagreement(f"{len(wanted) - len(issued)} invoices were not issued, first {why}")
        self._screen.line(
            f"  issued     {len(issued):,} more by {self._caller_count} callers"
            f" in {elapsed_s:.1f} s, single and in batches"
        )
        return issued

    def _upload(self, connection: Connection, taxpayers: Sequence[Taxpayer], total: int) -> None:
        began = time.monotonic()
        with self._screen.progress("uploading", total) as progress:
            wait_for_uploads(
                connection,
                taxpayers,
                wait_s=_UPLOAD_S_MAX,
                progress=lambda waiting: progress.reach(max(0, total - waiting)),
            )
        self._screen.line(
            f"  uploaded   everything, {time.monotonic() - began:.1f} s after the last one issued"
        )

    def _check(self, connection: Connection, issued_count: int) -> CheckBooksResponse:
        with self._screen.progress("checking the books", None) as progress:
            books = check_books(connection, progress.reach)
        for finding in books.findings:
            self._screen.note(f"  {finding.check} {finding.subject}: {finding.message}")
        counts = (books.issued_count, books.uploaded_count, books.signature_count)
        if not books.balanced or books.reserved_count or set(counts) != {issued_count}:
            raise Disagreement(f"{issued_count} were issued, and {summary(books)}")
        self._screen.line(f"  {summary(books)}")
        return books

    def _compare(self, simulator: Connection, issued: Sequence[IssuedInvoice]) -> None:
        found = differences(simulator, issued)
        if found:
            raise Disagreement(f"the authority's record differs: {found[0]} ({len(found)} in all)")
        self._screen.line("  authority  its record has the same invoices, byte for byte, once each")


def _issued(results: Sequence[BatchIssueResult]) -> list[IssuedInvoice]:
    return [result.issued for result in results if result.HasField("issued")]


def _sentence(error: Exception) -> str:
    if isinstance(error, CallFailed):
        return f"{reason_name(error.failure)}: {error.failure.message}"
    return str(error)
