"""Taxpayers, what they may issue, their devices and certificates."""

import json
from dataclasses import asdict, dataclass
from typing import Final

import apsw

from authority.simulator.counter_table import count_up
from authority.simulator.identifiers import machine_number
from authority.simulator.policy import OfflineLimits
from authority.simulator.refusal import Refusal

_SELLER: Final = """
SELECT tax_number, name, address_phone, bank_account, offline_limits FROM taxpayer
WHERE tax_number = :tax_number
"""
_ADD_SELLER: Final = """
INSERT INTO taxpayer (tax_number, name, address_phone, bank_account, offline_limits)
VALUES (:tax_number, :name, :address_phone, :bank_account, :offline_limits)
"""
_ALLOWANCES: Final = """
SELECT type, rates_ppm, invoice_limit_fen, holding_count_max FROM allowance
WHERE tax_number = :tax_number ORDER BY ordinal
"""
_ADD_ALLOWANCE: Final = """
INSERT INTO allowance (tax_number, type, ordinal, rates_ppm, invoice_limit_fen, holding_count_max)
VALUES (:tax_number, :type, :ordinal, :rates_ppm, :invoice_limit_fen, :holding_count_max)
"""
_DEVICE_BY_REQUEST: Final = """
SELECT machine_number, tax_number, kind FROM device WHERE request_id = :request_id
"""
_DEVICE: Final = "SELECT tax_number FROM device WHERE machine_number = :machine_number"
_ADD_DEVICE: Final = """
INSERT INTO device (machine_number, request_id, tax_number, kind)
VALUES (:machine_number, :request_id, :tax_number, :kind)
"""
_CERTIFICATE: Final = """
SELECT machine_number, certificate FROM certificate WHERE key_digest = :key_digest
"""
_ADD_CERTIFICATE: Final = """
INSERT INTO certificate (key_digest, machine_number, certificate)
VALUES (:key_digest, :machine_number, :certificate)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """A taxpayer as it registers."""

    tax_number: str
    name: str
    address_phone: str
    bank_account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a taxpayer may issue of one type."""

    type: str
    rates_ppm: tuple[int, ...]
    invoice_limit_fen: int
    holding_count_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A taxpayer as registered."""

    seller: Seller
    allowances: tuple[Allowance, ...]
    offline_limits: OfflineLimits


def find_registration(connection: apsw.Connection, tax_number: str) -> Registration | None:
    """Return a taxpayer's registration, None when there is none."""
    row = connection.execute(_SELLER, {"tax_number": tax_number}).fetchone()
    if row is None:
        return None
    allowances = tuple(
        Allowance(
            type=type_,
            rates_ppm=tuple(json.loads(rates_ppm)),
            invoice_limit_fen=invoice_limit_fen,
            holding_count_max=holding_count_max,
        )
        for type_, rates_ppm, invoice_limit_fen, holding_count_max in connection.execute(
            _ALLOWANCES, {"tax_number": tax_number}
        )
    )
    return Registration(
        seller=Seller(tax_number=row[0], name=row[1], address_phone=row[2], bank_account=row[3]),
        allowances=allowances,
        offline_limits=OfflineLimits(**json.loads(row[4])),
    )


def require_taxpayer(connection: apsw.Connection, tax_number: str) -> None:
    """Refuse TAXPAYER_UNKNOWN unless registered."""
    if connection.execute(_SELLER, {"tax_number": tax_number}).fetchone() is None:
        raise Refusal("TAXPAYER_UNKNOWN", f"{tax_number!r} is not registered")


def register_taxpayer(connection: apsw.Connection, wanted: Registration) -> Registration:
    """Register, or answer the registration there is.

    Refused: REGISTERED_OTHERWISE when the seller differs.
    """
    present = find_registration(connection, wanted.seller.tax_number)
    if present is None:
        _add_registration(connection, wanted)
        return wanted
    if present.seller != wanted.seller:
        raise Refusal("REGISTERED_OTHERWISE", "the tax number is registered with other fields")
    return present


def _add_registration(connection: apsw.Connection, registration: Registration) -> None:
    limits = json.dumps(asdict(registration.offline_limits))
    connection.execute(_ADD_SELLER, asdict(registration.seller) | {"offline_limits": limits})
    for ordinal, allowance in enumerate(registration.allowances):
        connection.execute(
            _ADD_ALLOWANCE,
            {
                "tax_number": registration.seller.tax_number,
                "type": allowance.type,
                "ordinal": ordinal,
                "rates_ppm": json.dumps(allowance.rates_ppm),
                "invoice_limit_fen": allowance.invoice_limit_fen,
                "holding_count_max": allowance.holding_count_max,
            },
        )


def register_device(
    connection: apsw.Connection,
    *,
    request_id: str,
    tax_number: str,
    kind: str,
    machine_first: int,
) -> str:
    """Return the machine number, new or that of the request. Refused: as the RPC says."""
    require_taxpayer(connection, tax_number)
    row = connection.execute(_DEVICE_BY_REQUEST, {"request_id": request_id}).fetchone()
    if row is not None:
        if row[1:] != (tax_number, kind):
            raise Refusal("REQUEST_ID_REUSED", f"{request_id!r} registered another device")
        return str(row[0])
    machine = machine_number(count_up(connection, "device"), machine_first=machine_first)
    connection.execute(
        _ADD_DEVICE,
        {
            "machine_number": machine,
            "request_id": request_id,
            "tax_number": tax_number,
            "kind": kind,
        },
    )
    return machine


def owner_of(connection: apsw.Connection, machine: str) -> str:
    """Return whose device it is. Refused: DEVICE_UNKNOWN."""
    row = connection.execute(_DEVICE, {"machine_number": machine}).fetchone()
    if row is None:
        raise Refusal("DEVICE_UNKNOWN", f"no device {machine!r}")
    return str(row[0])


def find_certificate(connection: apsw.Connection, key_digest: bytes) -> tuple[str, bytes] | None:
    """Return the machine number and certificate of a key, None when it has none."""
    row = connection.execute(_CERTIFICATE, {"key_digest": key_digest}).fetchone()
    return None if row is None else (row[0], row[1])


def add_certificate(
    connection: apsw.Connection, *, key_digest: bytes, machine: str, certificate: bytes
) -> None:
    """Keep the certificate of a key that has none."""
    connection.execute(
        _ADD_CERTIFICATE,
        {"key_digest": key_digest, "machine_number": machine, "certificate": certificate},
    )
