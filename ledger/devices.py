"""Devices as operators see them, and the change of the key one signs with."""

import apsw

from ledger.bindings import bind, first_effect
from ledger.period_records import DeviceName, DeviceStatusRecord, TypeMeterRecord
from ledger.periods import check_device
from ledger.records import Act, Binding, DeviceKeyRecord
from ledger.taxpayers import taxpayer_of
from ledger.values import fetch
from quota.offline import MeterState

_PAGE = """
SELECT d.tax_number, d.machine_number
  FROM device AS d
  JOIN taxpayer AS t ON t.tax_number = d.tax_number
 WHERE t.tenant = ? AND ? IN (d.tax_number, '') AND (d.tax_number, d.machine_number) > (?, ?)
 ORDER BY d.tax_number, d.machine_number
 LIMIT ?
"""
_METERS = """
SELECT m.type, ifnull(t.invoice_limit_fen, 0), m.last_issue_time, m.issue_time_min,
       m.unuploaded_count, m.unuploaded_amount_fen, m.oldest_issue_time, m.open_period,
       m.summarised_at
  FROM meter AS m
  LEFT JOIN taxpayer_type AS t ON t.tax_number = m.tax_number AND t.type = m.type
 WHERE m.tax_number = ? AND m.machine_number = ?
 ORDER BY m.type
"""
_ISSUED = """
SELECT ifnull(sum(invoice_count), 0)
  FROM month_total
 WHERE tax_number = ? AND machine_number = ? AND period = ? AND rate_ppm = -1
   AND what IN ('BLUE', 'RED')
"""
_RETIRE = """
UPDATE device_key SET active = 0 WHERE tax_number = ? AND machine_number = ? AND active = 1
"""
_ADD_KEY = """
INSERT INTO device_key (tax_number, machine_number, key_id, label, algorithm, public_key,
    certificate, active, activated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)
"""
_NEXT_VERSION = "UPDATE taxpayer SET version = version + 1 WHERE tax_number = ?"


def device_statuses(
    connection: apsw.Connection,
    tenant: str,
    tax_number: str,
    *,
    after: tuple[str, str],
    period: str,
    count_max: int,
) -> list[DeviceStatusRecord]:
    """Return devices by tax number and machine number, from the first one after ``after``."""
    if tax_number:
        taxpayer_of(connection, tenant, tax_number)
    rows = fetch(connection, _PAGE, (tenant, tax_number, *after, count_max))
    return [_status(connection, tenant, DeviceName(*row), period) for row in rows]


def device_status(
    connection: apsw.Connection, tenant: str, name: DeviceName, *, period: str
) -> DeviceStatusRecord:
    """Return one device; raise ``TaxpayerNotFound``, ``DeviceNotFound``."""
    check_device(connection, tenant, name)
    return _status(connection, tenant, name, period)


def rotate_key(
    connection: apsw.Connection,
    name: DeviceName,
    key: DeviceKeyRecord,
    binding: Binding,
    act: Act,
) -> bool:
    """Let a device sign with ``key``; return whether that was replayed. See ``port.Ledger.rotate_key``."""
    if first_effect(connection, binding) is not None:
        return True
    check_device(connection, binding.tenant, name)
    connection.execute(_RETIRE, name)
    connection.execute(
        _ADD_KEY,
        (
            *name,
            key.key_id,
            key.label,
            key.algorithm,
            key.public_key,
            key.certificate,
            act.at,
        ),
    )
    # Whoever has checked an invoice against the record with the old key is told to read it again.
    connection.execute(_NEXT_VERSION, (name.tax_number,))
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{name.tax_number}/devices/{name.machine_number}",
        effect={
            "tax_number": name.tax_number,
            "machine_number": name.machine_number,
            "key_id": key.key_id,
            "activated_at": act.at,
        },
    )
    return False


def _status(
    connection: apsw.Connection, tenant: str, name: DeviceName, period: str
) -> DeviceStatusRecord:
    owner = taxpayer_of(connection, tenant, name.tax_number)
    device = next(one for one in owner.devices if one.machine_number == name.machine_number)
    meters = tuple(_meter(*row) for row in fetch(connection, _METERS, name))
    ((issued_count,),) = fetch(connection, _ISSUED, (*name, period))
    return DeviceStatusRecord(
        tax_number=name.tax_number,
        device=device,
        points=tuple(
            point.point for point in owner.points if point.machine_number == name.machine_number
        ),
        meters=meters,
        limits=owner.limits_in_force,
        open_period=min((meter.state.open_period for meter in meters), default=""),
        month_issued_count=issued_count,
    )


def _meter(  # noqa: PLR0917 - the columns of a row
    type_code: str,
    invoice_limit_fen: int,
    last_issue_time: int,
    issue_time_min: int,
    unuploaded_count: int,
    unuploaded_amount_fen: int,
    oldest_issue_time: int,
    open_period: str,
    summarised_at: float,
) -> TypeMeterRecord:
    return TypeMeterRecord(
        type=type_code,
        invoice_limit_fen=invoice_limit_fen,
        last_issue_time=last_issue_time,
        issue_time_min=issue_time_min,
        state=MeterState(
            unuploaded_count=unuploaded_count,
            unuploaded_amount_fen=unuploaded_amount_fen,
            oldest_issue_time=oldest_issue_time,
            open_period=open_period,
            summarised_at=summarised_at,
        ),
    )
