"""``taxctl doctor``: are the books in order?"""

from collections.abc import Callable, Iterable

from google.rpc import code_pb2

from taxcontrol.admin.v1.audit_service_pb2 import CheckBooksRequest, CheckBooksResponse, Finding
from taxcontrol.admin.v1.audit_service_pb2_grpc import AuditServiceStub
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.connection import Connection
from taxctl.failure import CallFailed
from taxctl.screen import as_dict
from taxctl.session import ExitCode, Session
from taxctl.table import FOLD, Column
from taxctl.words import tr, tr_n

Progress = Callable[[int, int], None]


def check_books(connection: Connection, progress: Progress) -> CheckBooksResponse:
    """Check the books of the gateway; the last message, with the findings of all.

    Raises:
        CallFailed: The check was refused, or ended before it was done.
    """
    stub = AuditServiceStub(connection.channel)
    findings: list[Finding] = []
    whole: CheckBooksResponse | None = None
    for step in connection.stream(stub.CheckBooks, CheckBooksRequest()):
        findings.extend(step.findings)
        progress(step.checked_count, step.total_count)
        if step.done:
            whole = CheckBooksResponse()
            whole.CopyFrom(step)
            del whole.findings[:]
            whole.findings.extend(findings)
    if whole is not None:
        return whole
    failure = Failure(code=code_pb2.UNAVAILABLE, message=tr("the check ended before it was done"))
    raise CallFailed(failure)


def summary(books: CheckBooksResponse) -> str:
    """The line that scripts read."""
    return (
        f"doctor: balanced={'yes' if books.balanced else 'no'} issued={books.issued_count}"
        f" reserved={books.reserved_count} uploaded={books.uploaded_count}"
        f" rejected={books.rejected_count} pending={books.pending_count}"
        f" signatures={books.signature_count} findings={len(books.findings)}"
    )


def doctor(session: Session) -> ExitCode:
    """Check that nothing is missing, doubled or changed, on live data.

    Takes as long as it takes: --timeout does not apply. The last line is "doctor: balanced=yes
    issued=N reserved=N uploaded=N rejected=N pending=N signatures=N findings=N"; rejected and pending
    are events that the authority has refused, or has not finally answered. They break no invariant.
    Exit code: 0 balanced, 1 not balanced or refused, 2 wrong usage, 3 the gateway was not reached, 4
    it could not look now.
    """
    with session.screen.progress(tr("checking the books"), None) as progress:
        books = check_books(session.connection, progress.reach)
    if session.screen.as_json:
        session.screen.document(as_dict(books))
    else:
        _print(session, books.findings)
        session.screen.line(summary(books))
        if books.rejected_count:
            session.screen.note(f"taxctl: {_refused(books.rejected_count)}")
    return ExitCode.DONE if books.balanced else ExitCode.REFUSED


def _refused(count: int) -> str:
    return tr_n(
        "{n:,} event was refused by the authority: `taxctl upload status` says whose, `taxctl upload"
        " list TAXPAYER` which",
        "{n:,} events were refused by the authority: `taxctl upload status` says whose, `taxctl upload"
        " list TAXPAYER` which",
        count,
    ).format(n=count)


def _print(session: Session, findings: Iterable[Finding]) -> None:
    rows = [[finding.check, finding.subject, finding.message] for finding in findings]
    columns = (Column("broken"), Column("at", fold=FOLD), Column("what", fold=FOLD))
    session.screen.table(columns, rows, tr("nothing found"))
