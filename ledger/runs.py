"""Ways through the journal: ranges of an index whose rows come in the order of a list.

The most selective filter leads. A run stops at its horizon, a fixed number of rows ahead, whatever
it has found until then, so that a search costs the same in a small ledger and in a large one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import apsw

from invoice.lifecycle import InvoiceState, UploadState
from ledger.queries import InvoiceFilter, ListPosition
from ledger.secrets import BUYER_DIGEST, buyer_digest, secret
from ledger.values import Value, fetch, fetch_one

# So many open events are sorted for a page; when there are more, their invoices are common enough
# to be met on the way.
_EVENTS_MAX: Final = 2_000

_TYPES = "SELECT DISTINCT type FROM meter WHERE tax_number = ? ORDER BY type"
_EVENTS_BEYOND = "SELECT 1 FROM outbox WHERE tax_number = ? AND state = ? LIMIT 1 OFFSET ?"
_RUN = """
SELECT i.issue_time, i.invoice_id, i.number
  FROM {source}
 WHERE {conditions}
 ORDER BY {sorting}
 LIMIT ? OFFSET ?
"""
# A number that waits for its signature, or for that of the statement that voids it, is not shown.
_SHOWN = """
i.state <> 'RESERVED'
   AND (i.state <> 'BLANK_VOIDED'
        OR EXISTS (SELECT 1 FROM statement AS s
                    WHERE s.invoice_id = i.invoice_id AND s.state = 'SETTLED'))
"""
# The very words of the index, which holds no others.
_OF_STATE_INDEX = "i.state NOT IN ('RESERVED', 'ISSUED')"
# The last event: the statement's once it is signed, else the issue.
_LAST_EVENT: Final = """ifnull((SELECT s.kind FROM statement AS s
                 WHERE s.invoice_id = i.invoice_id AND s.state = 'SETTLED'), 'ISSUE')"""
# An accepted event leaves the outbox.
_ACCEPTED = f"""
NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.invoice_id = i.invoice_id AND o.event = {_LAST_EVENT})
"""  # noqa: S608 - put together from constants
_LAST_EVENT_IN = f"""
(SELECT o.state FROM outbox AS o WHERE o.invoice_id = i.invoice_id AND o.event = {_LAST_EVENT})
   IN ({{states}})
"""  # noqa: S608 - the same
_EVENTS = "outbox AS e CROSS JOIN invoice AS i ON i.invoice_id = e.invoice_id"
_EVENT_IN = f"e.tax_number = ? AND e.state IN ({{states}}) AND e.event = {_LAST_EVENT}"
# Stored but not yet sent looks no different from outside.
_STORED: Final = {UploadState.PENDING: ("PENDING", "PREPARED")}


class Order(NamedTuple):
    """What rows are sorted by, and which way."""

    columns: tuple[str, ...]
    newest_first: bool

    @property
    def sorting(self) -> str:
        """As SQL has it."""
        way = " DESC" if self.newest_first else ""
        return ", ".join(f"{column}{way}" for column in self.columns)

    def values(self, position: ListPosition) -> tuple[int | str, ...]:
        """What of a position counts."""
        if self.columns == BY_NUMBER:
            return (position.number,)
        return (position.issue_time, position.invoice_id)

    def reaches(self, position: ListPosition, edge: ListPosition) -> bool:
        """Whether ``position`` comes no later than ``edge``."""
        mine, last = self.values(position), self.values(edge)
        return mine >= last if self.newest_first else mine <= last

    def after(self, position: ListPosition) -> "Clause":
        """Only what comes behind ``position``."""
        return self._beside(position, "<" if self.newest_first else ">")

    def up_to(self, position: ListPosition) -> "Clause":
        """Only what comes before ``position``, and itself."""
        return self._beside(position, ">=" if self.newest_first else "<=")

    def _beside(self, position: ListPosition, relation: str) -> "Clause":
        places = ", ".join("?" * len(self.columns))
        return Clause(f"({', '.join(self.columns)}) {relation} ({places})", self.values(position))


BY_NUMBER: Final = ("i.number",)
BY_TIME: Final = ("i.issue_time", "i.invoice_id")


class Clause(NamedTuple):
    """A condition, and the values of its places."""

    text: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A range of one index: ``lead`` and the bounds are answered by it, ``rest`` row by row.

    Without a horizon it is all of a small table, sorted.
    """

    source: str
    lead: tuple[Clause, ...]
    lower: Clause | None = None
    upper: Clause | None = None
    rest: tuple[Clause, ...] = ()
    horizon: bool = True


class Found(NamedTuple):
    """What a run found, in order, and how far it has looked; None when it came to its end."""

    positions: list[ListPosition]
    horizon: ListPosition | None


def runs_for(connection: apsw.Connection, wanted: InvoiceFilter) -> list[Run]:
    """Choose the ways to what is wanted; together they meet every row once."""
    equal = _equal(connection, wanted)
    if wanted.by_number:
        return [_run("invoice_number", ("code",), equal, wanted)]
    if wanted.buyer_tax_number:
        return [_run("invoice_by_buyer", ("buyer_digest",), equal, wanted)]
    if _few_events(connection, wanted):
        return [_run_of_events(equal, wanted)]
    if wanted.state not in (None, InvoiceState.ISSUED):
        return [_run("invoice_by_state", ("state",), equal, wanted)]
    types = (wanted.type,) if wanted.type else _types(connection, wanted.tax_number)
    lead: tuple[str, ...] = ("type",) if wanted.point is None else ("point", "type")
    index = "invoice_by_type" if wanted.point is None else "invoice_by_point"
    return [_run(index, lead, {**equal, "type": type_}, wanted) for type_ in types]


class Search(NamedTuple):
    """One page's search: where it begins, how much it wants and how far it looks."""

    connection: apsw.Connection
    order: Order
    after: ListPosition | None
    count_max: int
    examined_count_max: int

    def follow(self, run: Run) -> Found:
        """Find the first rows of a run, as far as its horizon."""
        begin, end = run.lower, run.upper
        if self.order.newest_first:
            begin, end = end, begin
        # One bound each way: of two the database would take either.
        if self.after is not None:
            begin = self.order.after(self.after)
        horizon = None
        if run.horizon:
            horizon = self._horizon(run, [*run.lead, *_some(begin, end)])
        if horizon is not None:
            end = self.order.up_to(horizon)
        found = self._select(run, [*run.lead, *_some(begin, end), *run.rest], limit=self.count_max)
        if len(found) == self.count_max:
            return Found(found, found[-1])
        return Found(found, horizon)

    def _horizon(self, run: Run, where: list[Clause]) -> ListPosition | None:
        """The last row to be looked at; None when the run ends before. The index alone knows."""
        ahead = self._select(run, where, limit=1, offset=self.examined_count_max - 1)
        return ahead[0] if ahead else None

    def _select(
        self, run: Run, where: list[Clause], *, limit: int, offset: int = 0
    ) -> list[ListPosition]:
        statement = _RUN.format(
            source=run.source,
            conditions="\n   AND ".join(clause.text.strip() for clause in where),
            sorting=self.order.sorting,
        )
        values = [value for clause in where for value in clause.values]
        rows = fetch(self.connection, statement, (*values, limit, offset))
        return [ListPosition(*row) for row in rows]


def _run(index: str, names: tuple[str, ...], equal: dict[str, Value], wanted: InvoiceFilter) -> Run:
    lead = [Clause("i.tax_number = ?", (wanted.tax_number,))]
    lead += [Clause(f"i.{name} = ?", (equal[name],)) for name in names]
    if index == "invoice_by_state":
        lead.append(Clause(_OF_STATE_INDEX))
    rest = [Clause(f"i.{name} = ?", (it,)) for name, it in equal.items() if name not in names]
    bounds = _numbers(wanted) if wanted.by_number else _times(wanted)
    return Run(
        source=f"invoice AS i INDEXED BY {index}",
        lead=tuple(lead),
        lower=bounds[0],
        upper=bounds[1],
        rest=(*rest, *_filters(wanted)),
    )


def _run_of_events(equal: dict[str, Value], wanted: InvoiceFilter) -> Run:
    assert wanted.upload_state is not None
    stored = _stored(wanted.upload_state)
    event = Clause(_EVENT_IN.format(states=_places(stored)), (wanted.tax_number, *stored))
    rest = [Clause(f"i.{name} = ?", (it,)) for name, it in equal.items()]
    return Run(
        source=_EVENTS, lead=(event,), rest=(*rest, *_filters(wanted, upload=False)), horizon=False
    )


def _equal(connection: apsw.Connection, wanted: InvoiceFilter) -> dict[str, Value]:
    """What must be equal, by column."""
    equal: dict[str, Value] = {}
    if wanted.type:
        equal["type"] = wanted.type
    if wanted.point is not None:
        equal["point"] = wanted.point
    if wanted.state is not None:
        equal["state"] = wanted.state
    if wanted.code or wanted.by_number:
        equal["code"] = wanted.code
    if wanted.buyer_tax_number:
        key = secret(connection, BUYER_DIGEST)
        equal["buyer_digest"] = buyer_digest(key, wanted.buyer_tax_number)
    return equal


def _filters(wanted: InvoiceFilter, *, upload: bool = True) -> Iterator[Clause]:
    """Everything else a row must fulfil. A plus keeps a condition from leading through an index."""
    yield Clause(_SHOWN)
    if wanted.issued_from is not None:
        yield Clause("+i.issue_time >= ?", (wanted.issued_from,))
    if wanted.issued_before is not None:
        yield Clause("+i.issue_time < ?", (wanted.issued_before,))
    if not upload or wanted.upload_state is None:
        return
    if wanted.upload_state is UploadState.ACCEPTED:
        yield Clause(_ACCEPTED)
    else:
        stored = _stored(wanted.upload_state)
        yield Clause(_LAST_EVENT_IN.format(states=_places(stored)), stored)


def _times(wanted: InvoiceFilter) -> tuple[Clause | None, Clause | None]:
    low, high = wanted.issued_from, wanted.issued_before
    return (
        None if low is None else Clause("i.issue_time >= ?", (low,)),
        None if high is None else Clause("i.issue_time < ?", (high,)),
    )


def _numbers(wanted: InvoiceFilter) -> tuple[Clause | None, Clause | None]:
    return (
        Clause("i.number >= ?", (wanted.first_number,)) if wanted.first_number else None,
        Clause("i.number <= ?", (wanted.last_number,)) if wanted.last_number else None,
    )


def _few_events(connection: apsw.Connection, wanted: InvoiceFilter) -> bool:
    if wanted.upload_state in (None, UploadState.ACCEPTED):
        return False
    return not any(
        fetch_one(connection, _EVENTS_BEYOND, (wanted.tax_number, state, _EVENTS_MAX))
        for state in _stored(wanted.upload_state)
    )


def _stored(state: UploadState) -> tuple[str, ...]:
    return _STORED.get(state, (state,))


def _types(connection: apsw.Connection, tax_number: str) -> list[str]:
    return [row[0] for row in fetch(connection, _TYPES, (tax_number,))]


def _places(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))


def _some(*clauses: Clause | None) -> list[Clause]:
    return [clause for clause in clauses if clause is not None]
