"""``python -m sandbox demo``: the main job on real components, and the books checked."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from sandbox import listing, pausing, reversals, stocking, streaming, verifying
from sandbox.callers import issue_all, mixed
from sandbox.deeds import Deeds
from sandbox.invoices import counters, requests
from sandbox.process import CannotStart
from sandbox.record import differences
from sandbox.samples import issue_samples, mismatch, read_samples
from sandbox.stage import DONATION, ELECTRONIC, Disagreement, Stage
from sandbox.system import System
from sandbox.taxpayers import register_samples, stock_up
from sandbox.uploads import NotUploaded, wait_for_uploads
from sandbox.watching import Watch
from taxcontrol.admin.v1.audit_service_pb2 import CheckBooksResponse
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import BatchIssueResult
from taxctl.connection import Connection, connect
from taxctl.doctor_command import check_books, summary
from taxctl.failure import CallFailed, reason_name
from taxctl.screen import Screen

_UPLOAD_S_MAX: Final = 150.0
_RECONNECT_S_MAX: Final = 20.0
# More than samples, stream and scenes take of any one point and type.
_SCENE_STOCK: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a run came to."""

    issued: int
    refused: int
    uploaded: int
    signatures: int
    reds: int
    voided: int
    blank_voided: int
    returned: int

    def line(self) -> str:
        """The line that scripts read."""
        return (
            f"demo: ok issued={self.issued} refused={self.refused} uploaded={self.uploaded}"
            f" signatures={self.signatures} balanced=yes reds={self.reds} voided={self.voided}"
            f" blank_voided={self.blank_voided} returned={self.returned}"
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
        connection = connect(self._system.target)
        tax = connect(self._system.simulator_target)
        finance = connect(self._system.finance_target)
        with connection.channel, tax.channel, finance.channel:
            stage = self._prepare(connection)
            refused = self._issue_samples(stage)
            self._issue_more(stage)
            streaming.stream(stage)
            self._take_back(stage)
            self._interrupt(stage, tax)
            listing.list_all(stage)
            stocking.give_back(stage)
            self._upload(stage)
            books = self._check(stage)
            self._compare(stage, tax, finance)
        deeds = stage.deeds
        return Figures(
            issued=books.issued_count,
            refused=refused,
            uploaded=books.uploaded_count,
            signatures=books.signature_count,
            reds=deeds.reds,
            voided=len(deeds.voids),
            blank_voided=len(deeds.blank_voids),
            returned=deeds.returned_count,
        )

    def _prepare(self, connection: Connection) -> Stage:
        stage = Stage(screen=self._screen, connection=connection, taxpayers=[])
        stage.tell(
            "gateway",
            f"up at {self._system.target}; the tax authority and the finance department simulated",
        )
        stage.taxpayers = register_samples(connection)
        places = counters(stage.taxpayers)
        count = _SCENE_STOCK + -(-self._invoice_count // len(places))
        drawn = stock_up(connection, places, low=1, count=count)
        stage.tell(
            "taxpayers",
            f"{len(stage.taxpayers)} registered; {drawn:,} numbers drawn and assigned to"
            f" {len(places)} points and types",
        )
        return stage

    def _issue_samples(self, stage: Stage) -> int:
        """Issue the samples twice: the verdicts must be right, the second time the same bytes."""
        samples = read_samples()
        results = issue_samples(stage.connection, samples)
        pairs = zip(samples, results, strict=True)
        wrong = [found for sample, result in pairs if (found := mismatch(sample, result))]
        if wrong:
            raise Disagreement(f"{len(wrong)} samples got another verdict, first {wrong[0]}")
        issued = _issued(results)
        again = issue_samples(stage.connection, samples)
        if _issued(again) != issued or not all(r.replayed for r in again if r.HasField("issued")):
            raise Disagreement("a request sent again did not get the same invoice")
        stage.deeds.issued += issued
        refused = len(samples) - len(issued)
        stage.tell(
            "samples",
            f"{len(issued)} issued, {refused} refused, each as samples/ has it; sent again: the same"
            " bytes",
        )
        return refused

    def _issue_more(self, stage: Stage) -> None:
        wanted = list(requests(counters(stage.taxpayers), self._invoice_count, prefix="demo"))
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
        stage.deeds.issued += issued
        stage.tell(
            "issued",
            f"{len(issued):,} more by {self._caller_count} callers in {elapsed_s:.1f} s,"
            " single and in batches",
        )

    def _take_back(self, stage: Stage) -> None:
        blues = reversals.reverse(stage)
        voided = reversals.void(stage, blues[1])
        reversals.void_blank(stage)
        genuine = stage.issue(stage.make(stage.place(DONATION)))
        verifying.verify(stage, genuine=genuine, voided=voided, reversed_blues=blues)

    def _interrupt(self, stage: Stage, tax: Connection) -> None:
        """Restart the gateway under a watch and under a pause."""
        place = stage.place(ELECTRONIC)
        watch = Watch(stage, place.taxpayer.name)
        watch.until_half()
        seen = len(watch.changes)
        held = pausing.pause(stage, place)
        self._system.restart_gateway()
        _reconnect(stage.connection)
        pausing.resume(stage, place, held, tax)
        watch.until(stage.issue(stage.make(place)))
        watch.check()
        stage.tell(
            "watch",
            f"cut off after {seen} changes, gateway restarted, resumed by its token: {len(watch.changes)}"
            " changes,",
            "none missed, none twice",
        )
        stage.tell(
            "pause",
            f"uploads paused: {len(held)} invoices waited, over the restart too; then resumed",
        )

    def _upload(self, stage: Stage) -> None:
        began, total = time.monotonic(), stage.deeds.event_count
        with self._screen.progress("uploading", total) as progress:
            wait_for_uploads(
                stage.connection,
                stage.taxpayers,
                wait_s=_UPLOAD_S_MAX,
                progress=lambda waiting: progress.reach(max(0, total - waiting)),
            )
        stage.tell("uploaded", f"everything, {time.monotonic() - began:.1f} s after the last step")

    def _check(self, stage: Stage) -> CheckBooksResponse:
        with self._screen.progress("checking the books", None) as progress:
            books = check_books(stage.connection, progress.reach)
        for finding in books.findings:
            self._screen.note(f"  {finding.check} {finding.subject}: {finding.message}")
        issued_count = len(stage.deeds.issued)
        counts = (books.issued_count, books.uploaded_count, books.signature_count)
        # Statements of voids are signed, too.
        expected = (issued_count, issued_count, stage.deeds.event_count)
        if not books.balanced or books.reserved_count or counts != expected:
            raise Disagreement(f"{issued_count} were issued, and {summary(books)}")
        self._screen.line(f"  {summary(books)}")
        return books

    def _compare(self, stage: Stage, tax: Connection, finance: Connection) -> None:
        """Hold each authority's own record against what was done for its taxpayers."""
        charities = {
            one.tax_number
            for one in stage.taxpayers
            if any(grant.type == DONATION for grant in one.type_grants)
        }
        sellers = {one.tax_number for one in stage.taxpayers} - charities
        for label, authority, owners in (
            ("tax office", tax, sellers),
            ("finance", finance, charities),
        ):
            deeds = stage.deeds.of(owners)
            found = differences(authority, deeds)
            if found:
                raise Disagreement(f"{label}: {found[0]} ({len(found)} differences in all)")
            stage.tell(
                label,
                f"has on record {_listed(deeds)}: the same",
                "bytes and numbers as here, each once, and nothing else",
            )


def _reconnect(connection: Connection) -> None:
    """Wait until the channel has found the gateway again."""
    try:
        grpc.channel_ready_future(connection.channel).result(_RECONNECT_S_MAX)
    except grpc.FutureTimeoutError as error:
        raise Disagreement("the restarted gateway was not reached again") from error


def _listed(deeds: Deeds) -> str:
    """What an authority heard of, for people."""
    counts = (
        (len(deeds.issued), "invoices"),
        (len(deeds.voids), "voids"),
        (len(deeds.blank_voids), "blank voids"),
        (deeds.returned_count, "returned numbers"),
    )
    return ", ".join(
        f"{count:,} {what if count != 1 else what[:-1]}" for count, what in counts if count
    )


def _issued(results: Sequence[BatchIssueResult]) -> list[IssuedInvoice]:
    return [result.issued for result in results if result.HasField("issued")]


def _sentence(error: Exception) -> str:
    if isinstance(error, CallFailed):
        return f"{reason_name(error.failure)}: {error.failure.message}"
    return str(error)
