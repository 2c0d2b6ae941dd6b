"""The audit of a crash campaign: after each restart, what became of every id and every number.

Over the wire alone. The journal says what was promised; the gateway's answers, its own lists and
books, and at the end the authority's record must agree with it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import grpc
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509 import load_der_x509_certificate

from taxcontrol.admin.v1.segment_pb2 import Segment
from taxcontrol.admin.v1.stock_admin_service_pb2 import VoidBlankNumberRequest
from taxcontrol.v1.invoice_pb2 import Invoice, IssuedInvoice, VoidStatement
from taxcontrol.v1.invoice_query_pb2 import ListInvoicesRequest
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest
from taxcontrol.v1.invoice_service_pb2 import BatchIssueInvoicesRequest, IssueInvoiceRequest
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller
from tests.e2e.wire import eventually, refusal_of
from tests.fakes.simulator_process import SimulatorProcess, windows_exceeded
from tests.faults import books
from tests.faults.books import Tally
from tests.faults.journal import Answer, Journal, Statement

_BATCH = 500
_DRAIN_S = 60.0
_INVOICE_TAG = b"taxcontrol.invoice.v1"
_VOID_TAG = b"taxcontrol.void.v1"
_BLANK_VOID_TAG = b"taxcontrol.blank-void.v1"
_LISTED = (
    Invoice.STATE_PARTLY_REVERSED,
    Invoice.STATE_REVERSED,
    Invoice.STATE_VOIDED,
    Invoice.STATE_BLANK_VOIDED,
)


@dataclass(slots=True)
class Audit:
    """Finds faults and counts them in ``tally``; ``recovered`` counts lost answers found again."""

    sellers: Sequence[Seller]
    tally: Tally
    journal: Journal = field(default_factory=Journal)
    recovered: int = 0
    _keys: dict[str, ec.EllipticCurvePublicKey] = field(default_factory=dict)

    @property
    def voids(self) -> list[VoidStatement]:
        """The statements about invoices."""
        return [one for one in self.journal.statements.values() if not self._blank(one)]

    @property
    def blank_voids(self) -> list[VoidStatement]:
        """The statements about blank numbers."""
        return [one for one in self.journal.statements.values() if self._blank(one)]

    @property
    def red_count(self) -> int:
        """How many of the invoices are reds."""
        return sum(b'"kind":"red"' in one.content for one in self.journal.invoices.values())

    def after_restart(self, platform: Platform, fresh: set[str], cycle: int) -> None:
        """Every answer is still what it was, every other id is decided; ``fresh`` are new answers."""
        fresh |= self._decide(platform)
        self._replay(platform, sorted(fresh))
        self._check_signatures(platform, sorted(fresh))
        self._check_custody(platform)
        self._check_books(platform, cycle)

    def at_the_end(self, platform: Platform, simulator: SimulatorProcess) -> None:
        """Let the uploads drain and compare with what the authority has."""
        tally, journal = self.tally, self.journal
        for seller in self.sellers:
            eventually(lambda one=seller: platform.drained(one), within_s=_DRAIN_S)  # type: ignore[misc]
        books.check_grants(self._segments(platform), simulator.grants(), tally)
        books.check_record(
            journal.invoices.values(),
            simulator.events(),
            tally,
            voids=self.voids,
            blank_voids=self.blank_voids,
        )
        for event in simulator.events():
            if event.result.reason:
                tally.add("diverged", f"the authority refused {event.result}")
        if platform.books().last.uploaded_count != len(journal.invoices):
            tally.add("diverged", "the ledger does not say that all is uploaded")

    def check_windows(
        self, simulator: SimulatorProcess, windows: Sequence[tuple[int, int]]
    ) -> None:
        """No call went beyond the authority's windows."""
        exceeded = windows_exceeded(simulator.calls(), windows)
        if exceeded:
            self.tally.add("diverged", f"{exceeded} calls beyond the authority's windows")

    # --- what became of every id --------------------------------------------------------

    def _decide(self, platform: Platform) -> set[str]:
        """Ask what became of the ids nobody was answered; return those that had an effect."""
        found: set[str] = set()
        for request_id in sorted(self.journal.unanswered):
            wish = self.journal.wishes[request_id]
            answer: Answer | None
            if isinstance(wish, IssueInvoiceRequest | ReverseInvoiceRequest):
                invoice = platform.found(request_id)
                answer = None if invoice is None else invoice.issued
            else:
                # Nobody can ask for a statement: the same wish again answers, or makes it now.
                answer, _ = _decided(platform, wish)
            if answer is None:
                self.journal.close(request_id)
                continue
            self.journal.note(answer, self.tally)
            self.recovered += 1
            found.add(request_id)
        return found

    def _replay(self, platform: Platform, request_ids: Sequence[str]) -> None:
        """Ask again for what was answered: the same bytes, or it was lost."""
        issues = []
        for request_id in request_ids:
            wish = self.journal.wishes[request_id]
            if isinstance(wish, IssueInvoiceRequest):
                issues.append(wish)
                continue
            answer: Answer | None
            if isinstance(wish, ReverseInvoiceRequest):
                red = platform.invoices.ReverseInvoice(wish)
                answer, replayed = red.issued, red.replayed
            else:
                answer, replayed = _decided(platform, wish)
            self._replayed(request_id, answer if replayed else None)
        for start in range(0, len(issues), _BATCH):
            batch = BatchIssueInvoicesRequest(requests=issues[start : start + _BATCH])
            for result in platform.invoices.BatchIssueInvoices(batch).results:
                self._replayed(result.request_id, result.issued if result.replayed else None)

    def _replayed(self, request_id: str, answer: Answer | None) -> None:
        if answer is None:
            self.tally.add("lost", f"{request_id}: refused or made anew")
        else:
            self.journal.note(answer, self.tally)

    # --- what must always hold ----------------------------------------------------------

    def _check_signatures(self, platform: Platform, request_ids: Iterable[str]) -> None:
        for request_id in request_ids:
            issued = self.journal.invoices.get(request_id)
            if issued is not None:
                self._check_signature(platform, issued, issued.name, _INVOICE_TAG)
                continue
            statement = self.journal.statements[request_id]
            tag = _BLANK_VOID_TAG if self._blank(statement) else _VOID_TAG
            self._check_signature(platform, statement, statement.invoice, tag)

    def _check_signature(
        self, platform: Platform, signed: IssuedInvoice | VoidStatement, name: str, tag: bytes
    ) -> None:
        if signed.key_id not in self._keys:
            found = platform.get(name=name)
            certificate = found.certificate or found.void_certificate
            if not certificate:  # what was answered as signed is not there
                self.tally.add("unsigned", name)
                return
            public = load_der_x509_certificate(certificate).public_key()
            assert isinstance(public, ec.EllipticCurvePublicKey)
            self._keys[signed.key_id] = public
        if not _signed(self._keys[signed.key_id], tag, signed):
            self.tally.add("unsigned", name)

    def _check_custody(self, platform: Platform) -> None:
        """Numbers, voids and reds add up: in the segments, and in the lists of what stands otherwise."""
        journal, tally = self.journal, self.tally
        books.check_numbers(
            journal.invoices.values(),
            self._segments(platform),
            tally,
            blank_voids=self.blank_voids,
        )
        statements = journal.statements.values()
        expected = books.standings(journal.invoices.values(), statements, tally)
        listed = (
            invoice
            for seller in self.sellers
            for state in _LISTED
            for invoice in _listed(platform, seller, state)
        )
        books.check_standings(expected, statements, listed, tally)

    def _check_books(self, platform: Platform, cycle: int) -> None:
        found = platform.books()
        for finding in found.findings:
            self.tally.add("diverged", f"cycle {cycle}: {finding}")
        last = found.last
        known = len(self.journal.invoices)
        signed = known + len(self.journal.statements)
        if (last.issued_count, last.signature_count, last.reserved_count) != (known, signed, 0):
            self.tally.add(
                "diverged",
                f"cycle {cycle}: {known} known, {last.issued_count} issued, {signed} to be signed,"
                f" {last.signature_count} signed, {last.reserved_count} reserved",
            )

    def _segments(self, platform: Platform) -> list[Segment]:
        return [one for seller in self.sellers for one in platform.segments(seller)]

    def _blank(self, statement: VoidStatement) -> bool:
        return isinstance(self.journal.wishes[statement.request_id], VoidBlankNumberRequest)


def _decided(platform: Platform, wish: Statement) -> tuple[VoidStatement | None, bool]:
    """What a wish to void comes to once nobody is at it any more, and whether it was made before.

    None when it is refused.
    """
    outcomes: list[tuple[VoidStatement | None, bool]] = []

    def ended() -> bool:
        try:
            outcomes.append(_stated(platform, wish))
        except grpc.RpcError as error:
            if refusal_of(error).reason != "IN_PROGRESS":
                outcomes.append((None, False))
        return bool(outcomes)

    eventually(ended)
    return outcomes[0]


def _stated(platform: Platform, wish: Statement) -> tuple[VoidStatement, bool]:
    if isinstance(wish, VoidBlankNumberRequest):
        blank = platform.stock_admin.VoidBlankNumber(wish)
        return blank.void_statement, blank.replayed
    void = platform.invoices.VoidInvoice(wish)
    return void.void_statement, void.replayed


def _listed(
    platform: Platform, seller: Seller, state: "Invoice.State.ValueType"
) -> Iterable[Invoice]:
    request = ListInvoicesRequest(parent=seller.name, state=state, page_size=500)
    while True:
        page = platform.invoices.ListInvoices(request)
        yield from page.invoices
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _signed(
    key: ec.EllipticCurvePublicKey, tag: bytes, signed: IssuedInvoice | VoidStatement
) -> bool:
    r, s = (int.from_bytes(part, "big") for part in (signed.signature[:32], signed.signature[32:]))
    message = tag + b"\x00" + signed.content
    try:
        key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
