"""Taking numbers for a group: each leaves its segment and enters the journal in one transaction."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import apsw

from invoice.content import complete
from invoice.document import Kind
from invoice.errors import InvoiceError, RedOriginalNotFound
from invoice.lifecycle import InvoiceState
from ledger.bindings import ISSUE
from ledger.bulk import Bulk
from ledger.meters import Load, add_reserved
from ledger.month_totals import Month, MonthTotals
from ledger.records import Entry, Reservation, Reserved
from ledger.reds import Reds
from ledger.secrets import buyer_digest
from ledger.segments import open_segments, store_taken
from ledger.shortages import Shortage
from ledger.values import Value
from quota.budget import Budget, Whose
from quota.offline import MeterState, OfflineLimits
from quota.period import day_of, period_of
from stock.segment import Segment, take_across

_BIND = Bulk(
    "INSERT INTO request_id (tenant, request_id, action, invoice_id) VALUES {rows}", column_count=4
)
_JOURNAL = Bulk(
    """
INSERT INTO invoice (invoice_id, tax_number, code, number, tenant, request_id, fingerprint,
    machine_number, point, type, kind, issue_time, net_fen, tax_fen, state, worker, reserved_at,
    buyer_digest)
VALUES {rows}
""",
    column_count=18,
)
_CONTENT = Bulk("INSERT INTO content (invoice_id, content) VALUES {rows}", column_count=2)


class CounterName(NamedTuple):
    """A point of a taxpayer, issuing one type."""

    tax_number: str
    point: int
    type: str


class OpenSegment(NamedTuple):
    """A segment with numbers left, and the last day of its grant, ``""`` for none."""

    segment: Segment
    issue_deadline: str


class Counter(NamedTuple):
    """Where a point issues one type: its taxpayer, device and meter, as the group found them.

    Nothing is dated before ``issue_time_min``: that is the last issue time, or the end of a closed month.
    ``first`` is what its next number comes from, unless that is past its day.
    """

    name: CounterName
    tenant: str
    version: int
    machine_number: str | None
    meter_id: int | None
    issue_time_min: int
    limits: OfflineLimits
    state: MeterState | None
    first: OpenSegment | None

    def segments(self, connection: apsw.Connection, day: str, count: int) -> list[Segment]:
        """What the next ``count`` numbers come from on ``day``, oldest assigned first."""
        if self.first is None:
            return []
        segment, deadline = self.first
        if segment.available_count >= count and (not deadline or deadline >= day):
            return [segment]
        return list(open_segments(connection, self.name, day, count))


@dataclass(slots=True)
class Taking:
    """What a group is about to store, and what its items are answered.

    ``reds`` is None while the group has none. ``buyer_key`` makes the digest of a buyer.
    """

    worker: str
    now: float
    buyer_key: bytes
    reds: Reds | None = None
    next_invoice_id: int = 0
    answers: dict[int, Reserved] = field(default_factory=dict)
    bound: list[Value] = field(default_factory=list)
    journal: list[Value] = field(default_factory=list)
    contents: list[Value] = field(default_factory=list)
    loads: defaultdict[int, Load] = field(default_factory=lambda: defaultdict(lambda: Load(0, 0)))
    issue_times: dict[int, int] = field(default_factory=dict)
    nexts: list[Value] = field(default_factory=list)
    totals: MonthTotals = field(default_factory=MonthTotals)
    clamped_s: float = 0.0
    _budgets: dict[int, Budget] = field(default_factory=dict)
    _unknown: list[tuple[int, Reservation]] = field(default_factory=list)

    def take(
        self,
        connection: apsw.Connection,
        counter: Counter,
        takers: Sequence[tuple[int, Reservation]],
    ) -> None:
        """Give each taker (position, item) the counter's next number, or say why it gets none."""
        name = counter.name
        issue_time = max(int(self.now), counter.issue_time_min)
        day = day_of(issue_time)
        segments = counter.segments(connection, day, len(takers))
        left = sum(segment.available_count for segment in segments)
        takers = list(self._admitted(self._budget(counter, issue_time), takers, left))
        waiting = iter(takers)
        served: list[Entry] = []
        month = Month(
            name.tax_number, counter.machine_number or "", name.type, period_of(issue_time)
        )
        for part in take_across(segments, len(takers)):
            code = part.segment.code
            self.nexts += (part.segment.segment_id, part.segment.next)
            # Numbers first: when they end, no taker has been drawn in vain.
            for number, (at, item) in zip(part.numbers, waiting, strict=False):
                entry = self._write(item, counter, code=code, number=number, issue_time=issue_time)
                self.answers[at] = Reserved(entry=entry)
                served.append(entry)
                self.totals.add(month, item.kind.name, item.net_fen, item.tax_fen, item.rates)
        if unserved := list(waiting):
            device = counter.machine_number or ""
            shortage = Shortage(connection, name, device=device, day=day)
            for at, _ in unserved:
                self.answers[at] = Reserved(error=shortage.refusal())
        if served:
            self._load(counter, served, issue_time)

    def judge_unknown(self) -> None:
        """Judge once more the reds whose blue was not found: the group itself may have taken it.

        A type or point that was served before may have named it.
        """
        if self.reds is None or not self._unknown:
            return
        self.reds.add_reserved(
            answer.entry for answer in self.answers.values() if answer.entry is not None
        )
        for at, item in self._unknown:
            self.answers[at] = Reserved(error=self.reds.refusal(item))
        self._unknown.clear()

    def store(self, connection: apsw.Connection) -> None:
        """Store what was taken since the last time."""
        if not self.bound:
            return
        _BIND.run(connection, self.bound)
        _JOURNAL.run(connection, self.journal)
        _CONTENT.run(connection, self.contents)
        store_taken(connection, self.nexts)
        add_reserved(connection, self.loads, self.issue_times)
        self.totals.store(connection)
        if self.reds is not None:
            self.reds.store(connection)
        for stored in (self.bound, self.journal, self.contents, self.nexts):
            stored.clear()
        self.loads.clear()
        self._budgets.clear()

    def _admitted(
        self, budget: Budget | None, takers: Sequence[tuple[int, Reservation]], left: int
    ) -> Iterator[tuple[int, Reservation]]:
        """Say no to what must not be; what gets no number takes nothing of its blue or of the budget."""
        for at, item in takers:
            amount_fen = abs(item.net_fen)
            error = self._red_refusal(at, item) if item.kind is Kind.RED else None
            if error is None and budget is not None:
                error = budget.refusal(amount_fen, bulk=item.bulk)
            if error is not None:
                self.answers[at] = Reserved(error=error)
                continue
            if left > 0:
                # Without a meter there is no granted type, and nothing left.
                assert budget is not None
                budget.take(amount_fen)
                if self.reds is not None and item.kind is Kind.RED:
                    self.reds.take(item)
            left -= 1
            yield at, item

    def _red_refusal(self, at: int, item: Reservation) -> InvoiceError | None:
        assert self.reds is not None
        error = self.reds.refusal(item)
        if isinstance(error, RedOriginalNotFound):
            self._unknown.append((at, item))
        return error

    def _budget(self, counter: Counter, issue_time: int) -> Budget | None:
        """The budget of the counter's meter: one for all the points that share it."""
        if counter.meter_id is None or counter.state is None:
            return None
        budget = self._budgets.get(counter.meter_id)
        if budget is None:
            taxpayer, _, type_code = counter.name
            whose = Whose(taxpayer, counter.machine_number or "", type_code)
            budget = Budget(counter.limits, counter.state, issue_time, whose=whose)
            self._budgets[counter.meter_id] = budget
        return budget

    def _load(self, counter: Counter, served: Sequence[Entry], issue_time: int) -> None:
        # Without a meter there is no granted type, and without that no segment to come from.
        assert counter.meter_id is not None
        load = self.loads[counter.meter_id]
        self.loads[counter.meter_id] = Load(
            load.invoice_count + len(served),
            load.amount_fen + sum(abs(entry.net_fen) for entry in served),
        )
        self.issue_times[counter.meter_id] = issue_time
        self.clamped_s = max(self.clamped_s, counter.issue_time_min - self.now)

    def _write(
        self, item: Reservation, counter: Counter, *, code: str, number: str, issue_time: int
    ) -> Entry:
        machine_number = counter.machine_number
        assert machine_number is not None
        content = complete(
            item.tail, device=machine_number, code=code, number=number, issue_time=issue_time
        )
        invoice_id = self.next_invoice_id
        self.next_invoice_id = invoice_id + 1
        self.bound += (item.tenant, item.request_id, ISSUE, invoice_id)
        self.journal += (
            invoice_id,
            item.tax_number,
            code,
            number,
            item.tenant,
            item.request_id,
            item.fingerprint,
            machine_number,
            item.point,
            item.type,
            item.kind,
            issue_time,
            item.net_fen,
            item.tax_fen,
            "RESERVED",
            self.worker,
            self.now,
            buyer_digest(self.buyer_key, item.buyer_tax_number),
        )
        self.contents += (invoice_id, content)
        if self.reds is not None and item.kind is Kind.RED:
            self.reds.link(item, invoice_id)
        return Entry(
            tenant=item.tenant,
            request_id=item.request_id,
            fingerprint=item.fingerprint,
            tax_number=item.tax_number,
            machine_number=machine_number,
            point=item.point,
            type=item.type,
            kind=item.kind,
            code=code,
            number=number,
            issue_time=issue_time,
            net_fen=item.net_fen,
            tax_fen=item.tax_fen,
            content=content,
            state=InvoiceState.RESERVED,
            worker=self.worker,
            reserved_at=self.now,
        )
