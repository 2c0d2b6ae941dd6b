"""What the record knows of a month of one device, from the events it has accepted.

What was taken by an older simulator says nothing of its device and month: such a taxpayer's counts and
amounts are not measured.
"""

import json
from collections import defaultdict
from typing import Any, Final

import apsw

from authority.simulator.summaries import COUNTS, Figures, Totals

# The authority's own time decides when a grant was confirmed; the taxpayer heard of it later.
DAY_NS: Final = 86_400 * 1_000_000_000

# An invoice that was refused and voided is one that was issued: its void carried it.
_INVOICES: Final = """
SELECT use.type, use.red, use.net_fen, use.tax_fen, use.rates,
       void.accepted IS NOT NULL AND void.accepted
FROM number_use AS use
LEFT JOIN number_use AS void
  ON void.code = use.code AND void.number = use.number AND void.event = 'VOID'
WHERE use.tax_number = :tax_number AND use.machine_number = :machine_number
  AND use.month = :month AND use.event = 'ISSUE'
  AND (use.accepted OR (void.accepted IS NOT NULL AND void.accepted))
"""
_BLANK_VOIDS: Final = """
SELECT type, count(*) FROM number_use
WHERE tax_number = :tax_number AND machine_number = :machine_number AND month = :month
  AND event = 'BLANK_VOID' AND accepted
GROUP BY type
"""
_TAKEN_BEFORE: Final = """
SELECT use.type, count(*)
FROM number_use AS use
WHERE use.tax_number = :tax_number AND use.machine_number = :machine_number
  AND use.month < :month
  AND ((use.event = 'ISSUE'
        AND (use.accepted OR EXISTS (SELECT 1 FROM number_use AS void
                                     WHERE void.code = use.code AND void.number = use.number
                                       AND void.event = 'VOID' AND void.accepted)))
       OR (use.event = 'BLANK_VOID' AND use.accepted))
GROUP BY use.type
"""
_UNMEASURED: Final = """
SELECT EXISTS (SELECT 1 FROM number_use WHERE tax_number = :tax_number AND machine_number IS NULL)
"""
_DEVICE_COUNT: Final = """
SELECT count(DISTINCT certificate.machine_number)
FROM device JOIN certificate USING (machine_number) WHERE device.tax_number = :tax_number
"""
_GRANTS: Final = """
SELECT type, count, confirmed_ns FROM stock_grant WHERE tax_number = :tax_number AND confirmed
"""
_RETURNS: Final = """
SELECT type, count, returned_ns FROM stock_return WHERE tax_number = :tax_number
"""
_MISSING_OF: Final = """
SELECT code, prefix, width, first, count FROM stock_grant
WHERE tax_number = :tax_number AND type = :type AND confirmed ORDER BY grant_id
"""
_HAD: Final = """
SELECT DISTINCT number FROM number_use
WHERE tax_number = :tax_number AND code = :code AND number BETWEEN :first AND :last AND accepted
ORDER BY number
"""
_RETURNED_IN: Final = """
SELECT first, count FROM stock_return WHERE code = :code AND prefix = :prefix AND width = :width
"""


def measured(connection: apsw.Connection, tax_number: str) -> bool:
    """Say whether the record tells what a month of this taxpayer must add up to."""
    return not connection.execute(_UNMEASURED, {"tax_number": tax_number}).get


def single_device(connection: apsw.Connection, tax_number: str) -> bool:
    """Say whether all numbers of a taxpayer are one device's."""
    return int(connection.execute(_DEVICE_COUNT, {"tax_number": tax_number}).get) == 1


def known(
    connection: apsw.Connection, *, tax_number: str, machine_number: str, period: str
) -> dict[str, Figures]:
    """Return what was accepted of a month, by type; stock is not among it."""
    whose = {"tax_number": tax_number, "machine_number": machine_number, "month": period}
    counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COUNTS, 0))
    totals: defaultdict[str, Totals] = defaultdict(dict)
    for type_, red, net_fen, tax_fen, rates, voided in connection.execute(_INVOICES, whose):
        del net_fen, tax_fen
        group = "red" if red else "blue"
        for name in (group, f"{group}_void") if voided else (group,):
            counts[type_][name] += 1
            for rate_ppm, rate_net_fen, rate_tax_fen in json.loads(rates):
                count, net_sum_fen, tax_sum_fen = totals[type_].get((name, rate_ppm), (0, 0, 0))
                totals[type_][name, rate_ppm] = (
                    count + 1,
                    net_sum_fen + rate_net_fen,
                    tax_sum_fen + rate_tax_fen,
                )
    for type_, count in connection.execute(_BLANK_VOIDS, whose):
        counts[type_]["blank_void"] = count
    return {type_: Figures(counts=counts[type_], totals=totals[type_]) for type_ in counts}


def taken_before(
    connection: apsw.Connection, *, tax_number: str, machine_number: str, period: str
) -> dict[str, int]:
    """Return how many numbers were used up in earlier months, by type."""
    whose = {"tax_number": tax_number, "machine_number": machine_number, "month": period}
    rows: list[tuple[Any, ...]] = connection.execute(_TAKEN_BEFORE, whose).fetchall()
    return {row[0]: row[1] for row in rows}


def drawn(
    connection: apsw.Connection, tax_number: str, type_: str, from_ns: int, to_ns: int
) -> tuple[int, int]:
    """Return the fewest and the most numbers drawn in ``[from_ns, to_ns)``, give or take a day."""
    return _between(connection.execute(_GRANTS, {"tax_number": tax_number}), type_, from_ns, to_ns)


def returned(
    connection: apsw.Connection, tax_number: str, type_: str, from_ns: int, to_ns: int
) -> tuple[int, int]:
    """Return the fewest and the most numbers returned in ``[from_ns, to_ns)``, give or take a day."""
    return _between(connection.execute(_RETURNS, {"tax_number": tax_number}), type_, from_ns, to_ns)


def missing(connection: apsw.Connection, tax_number: str, type_: str, count_max: int) -> list[str]:
    """Return the first numbers without an accepted event below others of their grant that have one."""
    found: list[str] = []
    whose = {"tax_number": tax_number, "type": type_}
    grants: list[tuple[Any, ...]] = connection.execute(_MISSING_OF, whose).fetchall()
    for code, prefix, width, first, count in grants:
        place = {"code": code, "prefix": prefix, "width": width}
        back: list[tuple[Any, ...]] = connection.execute(_RETURNED_IN, place).fetchall()
        digits = width - len(prefix)
        ends = {"first": f"{prefix}{first:0{digits}d}"}
        ends["last"] = f"{prefix}{first + count - 1:0{digits}d}"
        whose_numbers = {"tax_number": tax_number, "code": code} | ends
        numbers: list[tuple[Any, ...]] = connection.execute(_HAD, whose_numbers).fetchall()
        had = [int(row[0][len(prefix) :]) for row in numbers]
        due = first
        for running in had:
            for number in range(due, running):
                if len(found) == count_max:
                    return found
                if not any(start <= number < start + many for start, many in back):
                    found.append(f"{prefix}{number:0{digits}d}")
            due = running + 1
    return found


def _between(rows: apsw.Cursor, type_: str, from_ns: int, to_ns: int) -> tuple[int, int]:
    fewest = most = 0
    found: list[tuple[Any, ...]] = rows.fetchall()
    for row_type, count, at_ns in found:
        if row_type != type_:
            continue
        if at_ns is None or from_ns - DAY_NS <= at_ns < to_ns + DAY_NS:
            most += count
        if at_ns is not None and from_ns + DAY_NS <= at_ns < to_ns - DAY_NS:
            fewest += count
    return fewest, most
