"""``taxctl device``: signing devices, what they show, and their keys."""

from collections.abc import Iterator
from typing import Final

from taxcontrol.admin.v1.device_service_pb2 import (
    DeviceKey,
    DeviceStatus,
    GetMonitorInfoRequest,
    GetMonitorInfoResponse,
    ListDevicesRequest,
    ListDevicesResponse,
    MonitoredType,
    RotateKeyRequest,
)
from taxcontrol.admin.v1.device_service_pb2_grpc import DeviceServiceStub
from taxctl.connection import Connection
from taxctl.consent import carry_out, rehearsed
from taxctl.desk_rows import used_of
from taxctl.invoice_facts import Facts
from taxctl.names import (
    AnyTaxpayerArgument,
    DeviceArgument,
    DryRunOption,
    RequestIdOption,
    RequiredReasonOption,
    YesOption,
    device_name,
    device_owner,
    taxpayer_name,
)
from taxctl.period_facts import PERIOD_COLUMNS, period_cells
from taxctl.screen import Screen, as_dict, civil, fact, yuan
from taxctl.session import ExitCode, Session
from taxctl.table import FOLD, Column
from taxctl.wire_words import grade_word, limit_word
from taxctl.words import tr

_PAGE_SIZE: Final = 1000
_KEY_COLUMNS: Final = (
    Column("key", fold=FOLD),
    Column("algorithm"),
    Column("signs"),
    Column("signs since", rank=1),
    Column("certificate ends"),
)


def list_devices(session: Session, *, taxpayer: AnyTaxpayerArgument = "") -> ExitCode:
    """List the devices of a taxpayer, or of all, with the key that signs and the worst grade.

    Exit code: 0 listed, 1 refused, 2 wrong usage, 3 the gateway was not reached, 4 it could not look
    now.
    """
    parent = taxpayer_name(taxpayer) if taxpayer else ""
    found = list(_all_devices(session.connection, parent))
    if session.screen.as_json:
        session.screen.document(as_dict(ListDevicesResponse(devices=found)))
        return ExitCode.DONE
    columns = (
        Column("taxpayer"),
        Column("device"),
        Column("signing"),
        Column("grade"),
        Column("not uploaded", right=True, rank=1),
        Column("this month", right=True, rank=3),
        Column("certificate ends", rank=2),
        Column("open month", rank=2),
        Column("last issue", rank=5),
        Column("key", rank=6),
        Column("points", rank=7, fold=FOLD),
    )
    session.screen.table(columns, map(_cells, found), tr("no devices"))
    return ExitCode.DONE


def monitor(session: Session, *, name: DeviceArgument) -> ExitCode:
    """Show what a device would show on its panel (监控信息): clock, limits, backlog and months.

    Exit code: 0 shown, 1 refused or not found, 2 wrong usage, 3 the gateway was not reached, 4 it
    could not look now.
    """
    found = monitor_info(session.connection, device_name(name))
    if session.screen.as_json:
        session.screen.document(as_dict(found))
    else:
        _print(session.screen, found)
    return ExitCode.DONE


def rotate_key(
    session: Session,
    *,
    name: DeviceArgument,
    reason: RequiredReasonOption,
    request_id: RequestIdOption = "",
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> ExitCode:
    """Make a new key for a device, have it certified and sign with it, while work goes on.

    Asks first. Signatures of the old key stay verifiable. Exit code: 0 rotated, or shown for a dry run,
    1 refused or declined, 2 wrong usage or nobody to ask, 3 the gateway was not reached, 4 effect
    unknown.
    """
    device = device_name(name)

    def send(request_id: str, *, validate_only: bool) -> None:
        request = RotateKeyRequest(
            name=device, request_id=request_id, reason=reason, validate_only=validate_only
        )
        stub = DeviceServiceStub(session.connection.channel)
        answer = session.connection.call(stub.RotateKey, request)
        if session.screen.as_json:
            session.screen.document(as_dict(answer))
            return
        _print_keys(session.screen, answer.device)
        if validate_only:
            session.screen.line(tr("a new key would be made and certified, and would sign"))
        elif answer.replayed:
            session.screen.note(tr("an earlier call with this request id did it"))

    question = tr("Make a new key for {device} and sign with it from now on?").format(device=device)
    deed = rehearsed(question, send)
    return carry_out(session, deed, request_id=request_id, yes=yes, dry_run=dry_run)


def monitor_info(connection: Connection, device: str) -> GetMonitorInfoResponse:
    """Ask for what a device shows; raise ``CallFailed``."""
    stub = DeviceServiceStub(connection.channel)
    return connection.call(stub.GetMonitorInfo, GetMonitorInfoRequest(name=device))


def _all_devices(connection: Connection, parent: str) -> Iterator[DeviceStatus]:
    stub = DeviceServiceStub(connection.channel)
    request = ListDevicesRequest(parent=parent, page_size=_PAGE_SIZE)
    while True:
        page = connection.call(stub.ListDevices, request)
        yield from page.devices
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _signing_key(device: DeviceStatus) -> DeviceKey:
    return next((key for key in device.keys if key.active), DeviceKey())


def _signs(device: DeviceStatus) -> str:
    return tr("ok") if device.signing_available else tr("AWAY")


def _cells(device: DeviceStatus) -> list[str]:
    key = _signing_key(device)
    return [
        device_owner(device.name),
        device.machine_number,
        _signs(device),
        grade_word(device.grade),
        f"{device.unuploaded_count:,}",
        f"{device.month_issued_count:,}",
        civil(key.expire_time),
        device.open_period,
        civil(device.last_issue_time),
        key.key_id,
        " ".join(map(str, device.points)),
    ]


def _print(screen: Screen, found: GetMonitorInfoResponse) -> None:
    screen.facts(_facts(found))
    screen.line("")
    _print_keys(screen, found.device)
    screen.line("")
    columns = (
        Column("type"),
        Column("limit per invoice (yuan)", right=True, rank=3),
        Column("not uploaded", right=True),
        Column("amount (yuan)", right=True, rank=1),
        Column("oldest", rank=4),
        Column("limits used", fold=FOLD),
        Column("grade"),
    )
    screen.table(columns, map(_type_cells, found.types), tr("no types"))
    screen.line("")
    screen.table(PERIOD_COLUMNS, map(period_cells, found.periods), tr("no months"))


def _print_keys(screen: Screen, device: DeviceStatus) -> None:
    rows = [
        [
            key.key_id,
            key.algorithm,
            tr("yes") if key.active else "",
            civil(key.activate_time),
            civil(key.expire_time),
        ]
        for key in device.keys
    ]
    screen.table(_KEY_COLUMNS, rows, tr("no keys"))


def _facts(found: GetMonitorInfoResponse) -> Facts:
    device = found.device
    ahead = f"{found.clock_ahead_ms:+,} ms" if found.HasField("clock_ahead_ms") else tr("not known")
    return [
        fact("device", device.name),
        fact("kind", device.kind),
        fact("signing", _signs(device)),
        fact("grade", grade_word(device.grade)),
        fact("clock", civil(found.clock_time)),
        fact("ahead of the authority", ahead),
        fact("points", " ".join(map(str, device.points))),
        fact("issued this month", f"{device.month_issued_count:,}"),
        fact("not uploaded", f"{device.unuploaded_count:,}"),
        fact("last issue", civil(device.last_issue_time)),
        fact("open month", device.open_period),
    ]


def _type_cells(one: MonitoredType) -> list[str]:
    limits = ", ".join(f"{limit_word(limit.limit)} {used_of(limit)}" for limit in one.limits)
    return [
        one.type,
        yuan(one.invoice_limit_fen) if one.invoice_limit_fen else tr("no limit"),
        f"{one.unuploaded_count:,}",
        yuan(one.unuploaded_amount_fen),
        civil(one.oldest_issue_time),
        limits,
        grade_word(one.grade),
    ]
