"""``taxctl issue``: FPKJ or JSON documents in; a table, a JSON document or FPKJ replies out."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final

import typer

import fpkj
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import BatchIssueResult, IssueInvoiceRequest
from taxctl.documents import Document, documents
from taxctl.failure import reason_name, unanswered, undecided
from taxctl.issuing import BATCH_COUNT_MAX, Issuing, batches
from taxctl.names import short_name
from taxctl.screen import Screen, as_dict, civil, yuan
from taxctl.session import ExitCode, Session, Unusable, explained
from taxctl.table import Column
from taxctl.words import mark, tr

_COLUMNS: Final = (
    Column("file", fold=44),
    Column("request id", rank=1),
    Column("type", rank=3),
    Column("gross (yuan)", right=True, rank=2),
    Column("result"),
    Column("invoice, or why not"),
    Column("issued at", rank=4),
)


class Outcome(StrEnum):
    """What became of one request."""

    ISSUED = mark("issued")
    REPLAYED = mark("replayed")
    REFUSED = mark("refused")
    UNREADABLE = mark("unreadable")
    UNANSWERED = mark("unanswered")
    NOT_SENT = mark("not sent")
    UNKNOWN = mark("effect unknown")


_EXIT: Final = (
    (Outcome.UNKNOWN, ExitCode.UNDECIDED),
    (Outcome.UNANSWERED, ExitCode.UNREACHABLE),
    (Outcome.NOT_SENT, ExitCode.UNREACHABLE),
    (Outcome.UNREADABLE, ExitCode.UNUSABLE),
    (Outcome.REFUSED, ExitCode.REFUSED),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One request of one document, or an unreadable document, with what became of it."""

    path: str
    place: str = ""
    request: IssueInvoiceRequest | None = None
    result: BatchIssueResult | None = None
    problem: str = ""

    @property
    def where(self) -> str:
        """The file, and where in it the request stands when it is not alone there."""
        return f"{self.path} {self.place}".rstrip()

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        if self.request is None:
            return Outcome.UNREADABLE
        if self.result is None:
            return Outcome.NOT_SENT
        if self.result.WhichOneof("outcome") == "issued":
            return Outcome.REPLAYED if self.result.replayed else Outcome.ISSUED
        if unanswered(self.result.failure):
            return Outcome.UNANSWERED
        return Outcome.UNKNOWN if undecided(self.result.failure) else Outcome.REFUSED


def issue(
    session: Session,
    *,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="FPKJ XML or JSON files, folders (their *.xml, *.json, *.jsonl, sorted), - for"
            " stdin.",
        ),
    ],
    point: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="The issuing point of requests that name none, as FPKJ never does.",
        ),
    ] = 0,
    batch_size: Annotated[
        int,
        typer.Option(min=1, max=BATCH_COUNT_MAX, help="Invoices in one call; 1 sends each alone."),
    ] = BATCH_COUNT_MAX,
    xml: Annotated[
        bool,
        typer.Option("--xml", help="Print the FPKJ replies (GBK), one document after the other."),
    ] = False,
) -> ExitCode:
    """Issue the invoices, blue and red, of FPKJ or JSON documents.

    JSON is the contract's IssueInvoiceRequest, one object, an array, or one after another (JSON
    lines). The request id is the document's own (FPQQLSH), so running the same command again issues
    nothing twice. What fails in passing (no answer, in progress, overloaded) is sent again with the same
    id, up to five times.

    Exit code: 0 all issued, 1 some refused, 2 wrong usage or some file unreadable, 3 the gateway
    was not reached for some, 4 the effect of some is unknown: the same command again tells; the
    highest that applies.
    """
    if xml and session.screen.as_json:
        raise Unusable(tr("--xml and --json do not go together"))
    rows = _issue_all(session, list(_rows(documents(paths, point=point))), batch_size)
    if xml:
        _print_replies(session.screen, rows)
    elif session.screen.as_json:
        session.screen.document({"results": [_json(row) for row in rows], **_counts(rows)})
    else:
        _print_table(session, rows)
    return exit_code(rows)


def exit_code(rows: Sequence[Row]) -> ExitCode:
    """The exit code of ``taxctl issue``: the worst of what happened."""
    outcomes = {row.outcome for row in rows}
    return next((code for outcome, code in _EXIT if outcome in outcomes), ExitCode.DONE)


def _rows(found: Iterable[Document]) -> Iterator[Row]:
    for document in found:
        if document.problem:
            yield Row(path=document.path, problem=document.problem)
        for place, request in zip(document.places, document.requests, strict=True):
            yield Row(path=document.path, place=place, request=request)


def _issue_all(session: Session, rows: list[Row], batch_size: int) -> list[Row]:
    """Send every readable row; stop when the gateway cannot be reached."""
    readable = [place for place, row in enumerate(rows) if row.request is not None]
    requests = [row.request for row in rows if row.request is not None]
    issuing = Issuing(session.connection)
    done = 0
    with session.screen.progress(tr("issuing"), len(requests)) as progress:
        for batch in batches(requests, count_max=batch_size):
            results = issuing.issue(batch)
            for place, result in zip(readable[done : done + len(batch)], results, strict=True):
                rows[place] = replace(rows[place], result=result)
            done += len(batch)
            progress.reach(done)
            if all(_unanswered(result) for result in results):
                break
    return rows


def _unanswered(result: BatchIssueResult) -> bool:
    return result.WhichOneof("outcome") != "issued" and unanswered(result.failure)


def _print_table(session: Session, rows: Sequence[Row]) -> None:
    screen = session.screen
    screen.table(_COLUMNS, [_cells(row) for row in rows], tr("nothing to issue"))
    for row in rows:
        match row.outcome:
            case Outcome.UNREADABLE:
                screen.note(f"taxctl: {row.path}: {row.problem}")
            case Outcome.REFUSED | Outcome.UNKNOWN if row.result is not None:
                screen.refusal(row.result.failure, subject=row.where)
    lost = next((row.result for row in rows if row.outcome is Outcome.UNANSWERED), None)
    if lost is not None:
        screen.refusal(explained(lost.failure, session.connection.target))
    counts = " ".join(f"{name.removesuffix('_count')}={n}" for name, n in _counts(rows).items())
    screen.line(f"issue: {counts}")


def _cells(row: Row) -> list[str]:
    if row.request is None:
        return [row.where, "", "", "", tr(row.outcome), tr("see below"), ""]
    request = row.request
    cells = [row.where, request.request_id, request.type, yuan(request.gross_fen), tr(row.outcome)]
    if row.result is None:
        return [*cells, tr("gateway not reached"), ""]
    if row.outcome in (Outcome.ISSUED, Outcome.REPLAYED):
        issued = row.result.issued
        return [*cells, short_name(issued.name), civil(issued.issue_time)]
    return [*cells, reason_name(row.result.failure), ""]


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    counted = Counter(row.outcome for row in rows)
    return {f"{outcome.name.lower()}_count": counted[outcome] for outcome in Outcome}


def _json(row: Row) -> dict[str, object]:
    if row.request is None:
        return {"path": row.path, "outcome": row.outcome, "problem": row.problem}
    told: dict[str, object] = {"path": row.path, "place": row.place, "outcome": row.outcome}
    if row.result is None:
        return {**told, "request_id": row.request.request_id}
    return {**told, **as_dict(row.result)}


def _print_replies(screen: Screen, rows: Sequence[Row]) -> None:
    """Write a reply per request. An unreadable document names no request to reply to."""
    for row in rows:
        if row.request is None:
            screen.note(f"taxctl: {row.where}: {row.problem}")
            continue
        reply = fpkj.reply(_replied(row), request_id=row.request.request_id)
        sys.stdout.buffer.write(reply)
    sys.stdout.buffer.flush()


def _replied(row: Row) -> IssuedInvoice | str:
    if row.result is None:
        return "not sent: the gateway was not reached"
    if row.result.WhichOneof("outcome") == "issued":
        return row.result.issued
    return f"{reason_name(row.result.failure)}: {row.result.failure.message}"
