"""Whose invoices are asked for: a taxpayer's, or those of one of its points."""

from typing import NamedTuple

from gateway.registry import Registry
from invoice.errors import PointNotFound
from invoice.identifiers import parse_point_name, parse_taxpayer_name
from ledger.records import TaxpayerRecord


class Scope(NamedTuple):
    """A taxpayer, and its point where only that is meant."""

    tax_number: str
    point: int | None


async def scope_of(parent: str, *, registry: Registry, tenant: str) -> Scope:
    """Read the field ``parent``.

    Raises:
        InvalidRequest, TaxpayerNotFound, PointNotFound
    """
    if "/points/" not in parent:
        tax_number = parse_taxpayer_name(parent, field="parent")
        await registry.record(tenant, tax_number)
        return Scope(tax_number, None)
    tax_number, point = parse_point_name(parent, field="parent")
    known = _has(await registry.record(tenant, tax_number), point)
    # It may have been opened since the registration was read.
    if not (known or _has(await registry.reload(tenant, tax_number), point)):
        raise PointNotFound(tax_number, point)
    return Scope(tax_number, point)


def _has(record: TaxpayerRecord, point: int) -> bool:
    return any(place.point == point for place in record.points)
