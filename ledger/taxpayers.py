"""Registrations: taxpayers with their types, limits, devices, keys and points."""

import apsw

from invoice.document import Taxpayer, TypeGrant
from invoice.errors import TaxpayerExists, TaxpayerNotFound
from ledger.bindings import bind, first_effect
from ledger.records import (
    Act,
    Binding,
    DeviceKeyRecord,
    DeviceRecord,
    PointRecord,
    RateWindow,
    TaxpayerRecord,
)
from ledger.values import Json, fetch, fetch_one, from_json, to_json
from quota.offline import OfflineLimits
from quota.period import period_of

_COLUMNS = """
SELECT t.tax_number, t.tenant, t.name, t.address_phone, t.bank_account, t.version, t.age_hours_max,
       t.amount_fen_max, t.count_max, t.lock_day, t.windows, t.batch_count_max, t.registered_at,
       o.age_hours_max, o.amount_fen_max, o.count_max, o.lock_day
  FROM taxpayer AS t
  LEFT JOIN offline_control AS o ON o.tax_number = t.tax_number
"""
_ONE = _COLUMNS + "WHERE t.tenant = ? AND t.tax_number = ?"
_PAGE = _COLUMNS + "WHERE t.tenant = ? AND t.tax_number > ? ORDER BY t.tax_number LIMIT ?"
_EXISTS = "SELECT tenant FROM taxpayer WHERE tax_number = ?"
_TYPES = """
SELECT type, rates_ppm, invoice_limit_fen, holding_count_max
  FROM taxpayer_type WHERE tax_number = ? ORDER BY type
"""
_POINTS = """
SELECT point, machine_number, organisation FROM point WHERE tax_number = ? ORDER BY point
"""
_DEVICES = """
SELECT machine_number, kind FROM device WHERE tax_number = ? ORDER BY machine_number
"""
_KEYS = """
SELECT key_id, label, algorithm, public_key, certificate, active, activated_at
  FROM device_key WHERE tax_number = ? AND machine_number = ? ORDER BY key_id
"""
_ADD = """
INSERT INTO taxpayer (tax_number, tenant, name, address_phone, bank_account, version,
    age_hours_max, amount_fen_max, count_max, lock_day, windows, longest_window_s,
    batch_count_max, registered_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_TYPE = """
INSERT INTO taxpayer_type (tax_number, type, rates_ppm, invoice_limit_fen, holding_count_max)
VALUES (?, ?, ?, ?, ?)
"""
_ADD_DEVICE = "INSERT INTO device (tax_number, machine_number, kind) VALUES (?, ?, ?)"
_ADD_KEY = """
INSERT INTO device_key (tax_number, machine_number, key_id, label, algorithm, public_key,
    certificate, active, activated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_POINT = """
INSERT INTO point (tax_number, point, machine_number, organisation) VALUES (?, ?, ?, ?)
"""
_ADD_METER = """
INSERT INTO meter (tax_number, machine_number, type, open_period, summarised_at)
VALUES (?, ?, ?, ?, ?)
"""


def register(
    connection: apsw.Connection, record: TaxpayerRecord, binding: Binding, act: Act
) -> tuple[TaxpayerRecord, bool]:
    """Store a taxpayer whole; see ``port.Ledger.register``."""
    tax_number = record.taxpayer.tax_number
    if first_effect(connection, binding) is not None:
        return taxpayer_of(connection, binding.tenant, tax_number), True
    if fetch_one(connection, _EXISTS, (tax_number,)) is not None:
        raise TaxpayerExists(tax_number)
    _store(connection, record)
    effect: Json = {
        "tax_number": tax_number,
        "types": sorted(record.taxpayer.grants),
        "points": [point.point for point in record.points],
        "devices": [device.machine_number for device in record.devices],
    }
    bind(connection, binding, act, target=f"taxpayers/{tax_number}", effect=effect)
    return taxpayer_of(connection, record.tenant, tax_number), False


def find_taxpayer(
    connection: apsw.Connection, tenant: str, tax_number: str
) -> TaxpayerRecord | None:
    """Return a tenant's taxpayer; None when it has no such one."""
    rows = fetch(connection, _ONE, (tenant, tax_number))
    return _record(connection, *rows[0]) if rows else None


def taxpayer_of(connection: apsw.Connection, tenant: str, tax_number: str) -> TaxpayerRecord:
    """Return a tenant's taxpayer; raise :class:`TaxpayerNotFound` when it has no such one."""
    record = find_taxpayer(connection, tenant, tax_number)
    if record is None:
        raise TaxpayerNotFound(tax_number)
    return record


def check_owned(connection: apsw.Connection, tenant: str, tax_number: str) -> None:
    """Raise :class:`TaxpayerNotFound` unless a tenant has such a taxpayer."""
    if fetch_one(connection, _EXISTS, (tax_number,)) != tenant:
        raise TaxpayerNotFound(tax_number)


def page(
    connection: apsw.Connection, tenant: str, after: str, count_max: int
) -> list[TaxpayerRecord]:
    """Return a tenant's taxpayers by tax number, from the first one after ``after``."""
    rows = fetch(connection, _PAGE, (tenant, after, count_max))
    return [_record(connection, *row) for row in rows]


def _store(connection: apsw.Connection, record: TaxpayerRecord) -> None:
    taxpayer, limits = record.taxpayer, record.offline_limits
    tax_number = taxpayer.tax_number
    windows = [[window.period_s, window.call_count_max] for window in record.windows]
    connection.execute(
        _ADD,
        (
            tax_number,
            record.tenant,
            taxpayer.name,
            taxpayer.address_phone,
            taxpayer.bank_account,
            taxpayer.version,
            limits.age_hours_max,
            limits.amount_fen_max,
            limits.count_max,
            limits.lock_day,
            to_json(windows),
            max((window.period_s for window in record.windows), default=0.0),
            record.batch_count_max,
            record.registered_at,
        ),
    )
    for grant in taxpayer.grants.values():
        rates, held = to_json(sorted(grant.rates_ppm)), record.holding_count_max.get(grant.type)
        connection.execute(
            _ADD_TYPE, (tax_number, grant.type, rates, grant.invoice_limit_fen, held)
        )
    for device in record.devices:
        _store_device(connection, record, device)
    for point in record.points:
        connection.execute(
            _ADD_POINT, (tax_number, point.point, point.machine_number, point.organisation)
        )


def _store_device(
    connection: apsw.Connection, record: TaxpayerRecord, device: DeviceRecord
) -> None:
    name = record.taxpayer.tax_number, device.machine_number
    connection.execute(_ADD_DEVICE, (*name, device.kind))
    for key in device.keys:
        connection.execute(
            _ADD_KEY,
            (
                *name,
                key.key_id,
                key.label,
                key.algorithm,
                key.public_key,
                key.certificate,
                int(key.active),
                key.activated_at,
            ),
        )
    for type_code in sorted(record.taxpayer.grants):
        began = period_of(record.registered_at), record.registered_at
        connection.execute(_ADD_METER, (*name, type_code, *began))


def _record(  # noqa: PLR0917 - the columns of a row
    connection: apsw.Connection,
    tax_number: str,
    tenant: str,
    name: str,
    address_phone: str,
    bank_account: str,
    version: int,
    age_hours_max: int | None,
    amount_fen_max: int | None,
    count_max: int | None,
    lock_day: int | None,
    windows: str,
    batch_count_max: int,
    registered_at: float,
    *lowered: int | None,
) -> TaxpayerRecord:
    types = fetch(connection, _TYPES, (tax_number,))
    return TaxpayerRecord(
        tenant=tenant,
        taxpayer=Taxpayer(
            tax_number=tax_number,
            name=name,
            address_phone=address_phone,
            bank_account=bank_account,
            grants={
                type_code: TypeGrant(
                    type=type_code,
                    rates_ppm=frozenset(from_json(rates)),
                    invoice_limit_fen=limit,
                )
                for type_code, rates, limit, _ in types
            },
            version=version,
        ),
        points=_points(connection, tax_number),
        devices=_devices(connection, tax_number),
        holding_count_max={row[0]: row[3] for row in types if row[3] is not None},
        offline_limits=_limits(age_hours_max, amount_fen_max, count_max, lock_day),
        windows=tuple(
            RateWindow(period_s=period_s, call_count_max=call_count_max)
            for period_s, call_count_max in from_json(windows)
        ),
        batch_count_max=batch_count_max,
        registered_at=registered_at,
        lowered_limits=_limits(*lowered),
    )


def _limits(
    age_hours_max: int | None,
    amount_fen_max: int | None,
    count_max: int | None,
    lock_day: int | None,
) -> OfflineLimits:
    return OfflineLimits(
        age_hours_max=age_hours_max,
        amount_fen_max=amount_fen_max,
        count_max=count_max,
        lock_day=lock_day,
    )


def _points(connection: apsw.Connection, tax_number: str) -> tuple[PointRecord, ...]:
    rows = fetch(connection, _POINTS, (tax_number,))
    return tuple(
        PointRecord(point=point, machine_number=machine_number, organisation=organisation)
        for point, machine_number, organisation in rows
    )


def _devices(connection: apsw.Connection, tax_number: str) -> tuple[DeviceRecord, ...]:
    rows = fetch(connection, _DEVICES, (tax_number,))
    return tuple(
        DeviceRecord(
            machine_number=machine_number,
            kind=kind,
            keys=_keys(connection, tax_number, machine_number),
        )
        for machine_number, kind in rows
    )


def _keys(
    connection: apsw.Connection, tax_number: str, machine_number: str
) -> tuple[DeviceKeyRecord, ...]:
    rows = fetch(connection, _KEYS, (tax_number, machine_number))
    return tuple(
        DeviceKeyRecord(
            key_id=row[0],
            label=row[1],
            algorithm=row[2],
            public_key=row[3],
            certificate=row[4],
            active=bool(row[5]),
            activated_at=row[6],
        )
        for row in rows
    )
