"""Thresholds of stock: what an operator has set for a taxpayer's points."""

import apsw

from invoice.errors import PointNotFound
from ledger.bindings import bind, first_effect
from ledger.records import Act, Binding
from ledger.survey import ALL_POINTS, thresholds_of
from ledger.survey_records import ThresholdRecord
from ledger.taxpayers import taxpayer_of
from ledger.values import Json

_SET = """
INSERT INTO stock_threshold (tax_number, point, type, low_count, target_count, auto_draw)
VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET low_count = excluded.low_count, target_count = excluded.target_count,
       auto_draw = excluded.auto_draw
"""
_CLEAR = "DELETE FROM stock_threshold WHERE tax_number = ? AND point = ? AND type = ?"


def set_threshold(
    connection: apsw.Connection, wanted: ThresholdRecord, binding: Binding, act: Act
) -> bool:
    """Set a threshold, or take it away; see ``port.Ledger.set_stock_threshold``."""
    if first_effect(connection, binding) is not None:
        return True
    owner = taxpayer_of(connection, binding.tenant, wanted.tax_number)
    if wanted.point is not None and all(place.point != wanted.point for place in owner.points):
        raise PointNotFound(wanted.tax_number, wanted.point)
    point = ALL_POINTS if wanted.point is None else wanted.point
    name = wanted.tax_number, point, wanted.type
    if wanted.low_count:
        values = (*name, wanted.low_count, wanted.target_count, int(wanted.auto_draw))
        connection.execute(_SET, values)
    else:
        connection.execute(_CLEAR, name)
    target = f"taxpayers/{wanted.tax_number}"
    if wanted.point is not None:
        target += f"/points/{wanted.point}"
    effect: Json = {
        "tax_number": wanted.tax_number,
        "threshold": {
            "point": point,
            "type": wanted.type,
            "low_count": wanted.low_count,
            "target_count": wanted.target_count if wanted.low_count else 0,
            "auto_draw": wanted.auto_draw and wanted.low_count > 0,
        },
    }
    bind(connection, binding, act, target=target, effect=effect)
    return False


def thresholds(connection: apsw.Connection, tenant: str, tax_number: str) -> list[ThresholdRecord]:
    """Return the thresholds of a tenant's taxpayer, its own first; raise ``TaxpayerNotFound``."""
    taxpayer_of(connection, tenant, tax_number)
    return list(thresholds_of(connection, tax_number))
