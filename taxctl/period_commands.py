"""``taxctl period``: a device's months, and closing one (抄报、清卡)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from taxcontrol.admin.v1.device_service_pb2 import SummarisePeriodRequest
from taxcontrol.admin.v1.device_service_pb2_grpc import DeviceServiceStub
from taxcontrol.v1 import error_reason_pb2
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.consent import carry_out, rehearsed
from taxctl.device_commands import monitor_info
from taxctl.failure import CallFailed
from taxctl.names import (
    DeviceArgument,
    DryRunOption,
    ReasonOption,
    RequestIdOption,
    YesOption,
    device_name,
    device_owner,
)
from taxctl.period_facts import PERIOD_COLUMNS, period_cells, print_period
from taxctl.screen import as_dict
from taxctl.session import ExitCode, Session, Unusable
from taxctl.words import mark, tr

_MONTH: Final = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])", re.ASCII)
# What stands in the way, by the `cause` of the refusal, and what ends it.
_IN_THE_WAY: Final = {
    "NOT_OVER": mark("the month is not over: close it from the 1st of the next month on"),
    "UNUPLOADED": mark(
        "events of it are not uploaded: `taxctl upload status {taxpayer}` says why, and when they"
        " will be"
    ),
    "RESERVED": mark(
        "invoices of it wait for their signature: look at `taxctl device list {taxpayer}`, and wait"
        " for the signing device"
    ),
    "REJECTED": mark(
        "the authority has refused events of it: `taxctl upload list {taxpayer}` says which; mend the"
        " cause, then `taxctl upload retry {taxpayer}`"
    ),
    "OUT_OF_ORDER": mark("an earlier month has to come first: close {next_period}"),
    "BEFORE_FIRST": mark("the device was not there yet: its first month is {next_period}"),
}
_LACKING: Final = mark(
    "the authority lacks {count} numbers ({numbers}): `taxctl upload list {taxpayer}`; the month stays"
    " closing, and the summary is sent again by itself"
)
_GOES_ON: Final = mark("the summary is on record and goes on by itself; `taxctl period show` tells")
_ON_ITS_WAY: Final = frozenset(
    {
        error_reason_pb2.ERROR_REASON_AUTHORITY_UNAVAILABLE,
        error_reason_pb2.ERROR_REASON_HSM_UNAVAILABLE,
    }
)

MonthOption = Annotated[
    str, typer.Option("--month", metavar="YYYY-MM", help="Which month.", show_default=False)
]


def show(session: Session, *, name: DeviceArgument, month: MonthOption = "") -> ExitCode:
    """Show the months of a device; with --month the statistics of one, so far or final.

    With --json the document is {"periods": […]}. Exit code: 0 shown, 1 refused or not found, 2 wrong
    usage, 3 the gateway was not reached, 4 it could not look now.
    """
    wanted = _month(month) if month else ""
    found = list(monitor_info(session.connection, device_name(name)).periods)
    if wanted:
        found = [period for period in found if period.period == wanted]
        if not found:
            told = tr("the device shows no month {month}").format(month=wanted)
            session.screen.note(f"taxctl: {told}")
            return ExitCode.REFUSED
    if session.screen.as_json:
        session.screen.document({"periods": [as_dict(period) for period in found]})
    elif wanted:
        print_period(session.screen, found[0])
    else:
        session.screen.table(PERIOD_COLUMNS, map(period_cells, found), tr("no months"))
    return ExitCode.DONE


def close(
    session: Session,
    *,
    name: DeviceArgument,
    month: MonthOption,
    reason: ReasonOption = "",
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Close a month: send its signed statistics (抄报) and leave it behind (清卡).

    Asks first. The gateway does so by itself from the 1st on as soon as it may. --dry-run shows the
    statistics that would be sent, or what is in the way and what to do. What the authority has not
    answered goes on by itself. Exit code: 0 closed, or shown for a dry run, 1 refused or declined, 2
    wrong usage or nobody to ask, 3 the gateway was not reached, 4 effect unknown.
    """
    device, wanted = device_name(name), _month(month)

    def send(request_id: str, *, validate_only: bool) -> None:
        request = SummarisePeriodRequest(
            name=device,
            request_id=request_id,
            period=wanted,
            reason=reason,
            validate_only=validate_only,
        )
        stub = DeviceServiceStub(session.connection.channel)
        with _explained(device_owner(device)):
            answer = session.connection.call(stub.SummarisePeriod, request)
        if session.screen.as_json:
            session.screen.document(as_dict(answer))
            return
        print_period(session.screen, answer.period)
        if answer.replayed:
            session.screen.note(tr("an earlier call with this request id did it"))

    question = tr("Send the statistics of {month} of {device} and close the month?").format(
        month=wanted, device=device
    )
    deed = rehearsed(question, send)
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def _month(given: str) -> str:
    if _MONTH.fullmatch(given) is None:
        raise Unusable(tr("--month must be YYYY-MM, not {given!r}").format(given=given))
    return given


@contextmanager
def _explained(taxpayer: str) -> Iterator[None]:
    """Say of a refusal what is in the way and what to do."""
    try:
        yield
    except CallFailed as error:
        raise CallFailed(error.failure, advised=_advice(error.failure, taxpayer)) from error


def _advice(failure: Failure, taxpayer: str) -> str:
    facts = failure.metadata
    if failure.reason == error_reason_pb2.ERROR_REASON_PERIOD_NOT_CLOSABLE:
        told = _IN_THE_WAY.get(facts.get("cause", ""), "")
        return tr(told).format(taxpayer=taxpayer, next_period=facts.get("next_period", ""))
    if failure.reason == error_reason_pb2.ERROR_REASON_AUTHORITY_REFUSED and (
        "missing_count" in facts
    ):
        return tr(_LACKING).format(
            count=facts["missing_count"],
            numbers=facts.get("missing_numbers", ""),
            taxpayer=taxpayer,
        )
    return tr(_GOES_ON) if failure.reason in _ON_ITS_WAY else ""
