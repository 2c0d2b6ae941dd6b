"""``taxctl taxpayer``: registering, listing, showing."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import typer

from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer, TypeGrant
from taxcontrol.admin.v1.taxpayer_service_pb2 import (
    GetTaxpayerRequest,
    ListTaxpayersResponse,
    RegisterTaxpayerRequest,
    RegisterTaxpayerResponse,
)
from taxcontrol.admin.v1.taxpayer_service_pb2_grpc import TaxpayerServiceStub
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxctl.failure import CallFailed, unanswered, undecided
from taxctl.limits_command import limits_told
from taxctl.names import DryRunOption, ReasonOption, TaxpayerArgument, taxpayer_name
from taxctl.registration import NotATaxpayer, taxpayers
from taxctl.screen import Screen, as_dict, civil, fact, yuan
from taxctl.session import ExitCode, Session, Unusable, reached
from taxctl.table import FOLD, Column
from taxctl.taxpayers import all_taxpayers
from taxctl.windows import rates
from taxctl.words import tr

_FILE_BYTES_MAX: Final = 16 * 1024 * 1024


def register(
    session: Session,
    *,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="JSON: one taxpayer or a list; the contract's Taxpayer, or as in"
            " samples/taxpayers.json.",
        ),
    ],
    request_id: Annotated[
        str,
        typer.Option(
            help="Only for a file with one taxpayer. Default: register-{tax number}, so that"
            " running the command again is safe.",
            show_default=False,
        ),
    ] = "",
    reason: ReasonOption = "",
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Register taxpayers with the authority and open their issuing points.

    One that is refused never stops the others. With --json the document is {"results": […]}. Exit
    code: 0 all registered, 1 some refused, 2 wrong usage or the file is unusable, 3 the gateway was
    not reached, 4 the effect of some is unknown; the highest that applies.
    """
    found = _read(file)
    if request_id and len(found) > 1:
        raise Unusable(
            tr("--request-id is for one taxpayer; {file} has {count}").format(
                file=file, count=len(found)
            )
        )
    requests = [
        RegisterTaxpayerRequest(
            request_id=request_id or f"register-{taxpayer.tax_number}",
            taxpayer=taxpayer,
            reason=reason,
            validate_only=dry_run,
        )
        for taxpayer in found
    ]
    outcomes = []
    with session.screen.progress(tr("registering"), len(requests)) as progress:
        for request in requests:
            outcomes.append((request, _registered(session, request)))
            progress.reach(len(outcomes), len(requests))
    if session.screen.as_json:
        session.screen.document({"results": [_result(*outcome) for outcome in outcomes]})
    else:
        _print_registered(session, outcomes)
    failures = [outcome for _, outcome in outcomes if isinstance(outcome, Failure)]
    return max(map(reached, failures), default=ExitCode.DONE)


def list_all(session: Session) -> ExitCode:
    """List the registered taxpayers.

    Exit code: 0 listed, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not
    look now.
    """
    found = ListTaxpayersResponse(taxpayers=all_taxpayers(session.connection))
    if session.screen.as_json:
        session.screen.document(as_dict(found))
        return ExitCode.DONE
    columns = (
        Column("tax number"),
        Column("name", fold=FOLD),
        Column("types"),
        Column("points", rank=2, fold=FOLD),
        Column("devices", rank=1, fold=FOLD),
        Column("registered at", rank=3),
    )
    session.screen.table(columns, map(_cells, found.taxpayers), tr("no taxpayer is registered"))
    return ExitCode.DONE


def show(session: Session, *, taxpayer: TaxpayerArgument) -> ExitCode:
    """Show one taxpayer with its grants, points, devices and limits.

    Exit code: 0 shown, 1 refused or not found, 2 wrong usage, 3 the gateway was not reached, 4 it
    could not look now.
    """
    stub = TaxpayerServiceStub(session.connection.channel)
    wanted = GetTaxpayerRequest(name=taxpayer_name(taxpayer))
    found = session.connection.call(stub.GetTaxpayer, wanted)
    if session.screen.as_json:
        session.screen.document(as_dict(found))
        return ExitCode.DONE
    _print_taxpayer(session.screen, found.taxpayer)
    return ExitCode.DONE


def _read(file: Path) -> list[Taxpayer]:
    try:
        with file.open("rb") as stream:
            data = stream.read(_FILE_BYTES_MAX + 1)
        if len(data) > _FILE_BYTES_MAX:
            raise Unusable(
                tr("{file}: more than {most} bytes").format(file=file, most=_FILE_BYTES_MAX)
            )
        return taxpayers(data)
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}") from error
    except NotATaxpayer as error:
        raise Unusable(f"{file}: {error}") from error


def _registered(
    session: Session, request: RegisterTaxpayerRequest
) -> RegisterTaxpayerResponse | Failure:
    """Register one; a refusal is an answer like any other, no answer at all is raised."""
    stub = TaxpayerServiceStub(session.connection.channel)
    try:
        return session.connection.call(stub.RegisterTaxpayer, request)
    except CallFailed as error:
        if unanswered(error.failure):
            raise
        return error.failure


def _result(
    request: RegisterTaxpayerRequest, outcome: RegisterTaxpayerResponse | Failure
) -> dict[str, object]:
    told = as_dict(outcome)
    if isinstance(outcome, Failure):
        told = {"failure": told}
    return {"request_id": request.request_id, **told}


def _print_registered(
    session: Session,
    outcomes: Iterable[tuple[RegisterTaxpayerRequest, RegisterTaxpayerResponse | Failure]],
) -> None:
    columns = (
        Column("tax number"),
        Column("name", fold=FOLD),
        Column("result"),
        Column("device", rank=1),
    )
    rows = []
    for request, outcome in outcomes:
        seller = [request.taxpayer.tax_number, request.taxpayer.display_name]
        if isinstance(outcome, Failure):
            rows.append(
                [*seller, tr("effect unknown") if undecided(outcome) else tr("refused"), ""]
            )
            session.screen.refusal(outcome, subject=request.taxpayer.tax_number)
            continue
        done = tr("would be registered") if request.validate_only else tr("registered")
        devices = " ".join(device.machine_number for device in outcome.taxpayer.devices)
        rows.append([*seller, tr("registered before") if outcome.replayed else done, devices])
    session.screen.table(columns, rows, "")


def _cells(taxpayer: Taxpayer) -> list[str]:
    return [
        taxpayer.tax_number,
        taxpayer.display_name,
        " ".join(grant.type for grant in taxpayer.type_grants),
        " ".join(str(point.number) for point in taxpayer.points),
        " ".join(device.machine_number for device in taxpayer.devices),
        civil(taxpayer.registration_time),
    ]


def _print_taxpayer(screen: Screen, taxpayer: Taxpayer) -> None:
    screen.facts(_facts(taxpayer))
    screen.line("")
    columns = (
        Column("type"),
        Column("rates", fold=FOLD),
        Column("limit per invoice (yuan)", right=True),
        Column("may hold", right=True),
    )
    screen.table(columns, map(_grant_cells, taxpayer.type_grants), tr("no types"))
    screen.line("")
    columns = (Column("device"), Column("kind"), Column("key"), Column("algorithm"))
    devices = [
        [device.machine_number, device.kind, device.key_id, device.key_algorithm]
        for device in taxpayer.devices
    ]
    screen.table(columns, devices, tr("no devices"))


def _facts(taxpayer: Taxpayer) -> list[tuple[str, str]]:
    return [
        fact("tax number", taxpayer.tax_number),
        fact("name", taxpayer.display_name),
        fact("address, phone", taxpayer.address_phone),
        fact("bank, account", taxpayer.bank_account),
        fact("points", " ".join(str(point.number) for point in taxpayer.points)),
        fact("offline limits", limits_told(taxpayer.offline_limits)),
        fact("granted by the authority", _granted(taxpayer)),
        fact("upload windows", rates(taxpayer.windows) or tr("no limit")),
        fact("version", str(taxpayer.version)),
        fact("registered at", civil(taxpayer.registration_time)),
    ]


def _grant_cells(grant: TypeGrant) -> list[str]:
    return [
        grant.type,
        " ".join(f"{rate / 10_000:g}%" for rate in grant.rates_ppm),
        # Every limit is above zero; a donation receipt has none.
        yuan(grant.invoice_limit_fen) if grant.invoice_limit_fen else tr("no limit"),
        f"{grant.holding_count_max:,}",
    ]


def _granted(taxpayer: Taxpayer) -> str:
    """The authority's own limits, where an operator's are lower."""
    if not taxpayer.HasField("granted_offline_limits"):
        return ""
    granted, held = taxpayer.granted_offline_limits, taxpayer.offline_limits
    return "" if granted == held else limits_told(granted)
