"""What operators decide about offline limits: lower ones than the authority's."""

from dataclasses import asdict, fields

import apsw

from invoice.errors import InvalidRequest
from ledger.bindings import bind, first_effect
from ledger.records import Act, Binding
from ledger.taxpayers import taxpayer_of
from quota.offline import OfflineLimits

_SET = """
INSERT INTO offline_control (tax_number, age_hours_max, amount_fen_max, count_max, lock_day)
VALUES (:tax_number, :age_hours_max, :amount_fen_max, :count_max, :lock_day)
ON CONFLICT (tax_number) DO UPDATE
   SET age_hours_max = excluded.age_hours_max, amount_fen_max = excluded.amount_fen_max,
       count_max = excluded.count_max, lock_day = excluded.lock_day
"""


def set_limits(
    connection: apsw.Connection,
    *,
    tax_number: str,
    limits: OfflineLimits,
    binding: Binding,
    act: Act,
) -> tuple[OfflineLimits, bool]:
    """Lower a taxpayer's offline limits; see ``port.Ledger.set_offline_limits``."""
    if first_effect(connection, binding) is not None:
        return taxpayer_of(connection, binding.tenant, tax_number).limits_in_force, True
    granted = taxpayer_of(connection, binding.tenant, tax_number).offline_limits
    _check_lower(limits, granted)
    lowered = asdict(limits)
    connection.execute(_SET, {"tax_number": tax_number, **lowered})
    bind(
        connection,
        binding,
        act,
        target=f"taxpayers/{tax_number}",
        effect={"tax_number": tax_number, "offline_limits": lowered},
    )
    return granted.lowered(limits), False


def _check_lower(limits: OfflineLimits, granted: OfflineLimits) -> None:
    for name in (field.name for field in fields(OfflineLimits)):
        wanted, most = getattr(limits, name), getattr(granted, name)
        if wanted is not None and most is not None and wanted > most:
            raise InvalidRequest(
                f"offline_limits.{name}",
                "FIELD_RANGE",
                f"the authority allows {most}, and a limit can only be lowered",
            )
