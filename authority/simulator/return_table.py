"""Numbers given back: all of a request or none, once, and only what was never used."""

from dataclasses import dataclass
from typing import Any, Final

import apsw

from authority.simulator import grant_table
from authority.simulator.counter_table import count_up
from authority.simulator.refusal import Refusal
from authority.simulator.registry_table import require_taxpayer

_BY_REQUEST: Final = """
SELECT return_serial, request_id, tax_number, type, code, prefix, width, first, count
FROM stock_return WHERE request_id = :request_id
"""
# Returns never overlap, so the last one that starts before the end is the only one that may.
_BEFORE: Final = """
SELECT first + count FROM stock_return
WHERE code = :code AND prefix = :prefix AND width = :width AND first < :end
ORDER BY first DESC LIMIT 1
"""
_HANDED_IN: Final = """
SELECT number FROM item
WHERE tax_number = :tax_number AND code = :code AND number BETWEEN :first_number AND :last_number
  AND length(number) = :width LIMIT 1
"""
_ADD: Final = """
INSERT INTO stock_return
    (return_serial, request_id, tax_number, type, code, prefix, width, first, count, returned_ns)
VALUES (:return_serial, :request_id, :tax_number, :type, :code, :prefix, :width, :first, :count,
        :now_ns)
"""

EXPORT: Final = """
SELECT return_serial, request_id, tax_number, type, code, prefix, width, first, count
FROM stock_return WHERE :tax_number IN ('', tax_number) ORDER BY return_serial
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Numbers ``[first, first + count)`` of one taxpayer, type and code, as running parts."""

    tax_number: str
    type: str
    code: str
    prefix: str
    width: int
    first: int
    count: int

    @property
    def end(self) -> int:
        """One past the last running part."""
        return self.first + self.count

    def text(self, running: int) -> str:
        """Return a number as it is written."""
        return f"{self.prefix}{running:0{self.width - len(self.prefix)}d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReturn:
    """A return on record."""

    return_serial: str
    request_id: str
    numbers: Numbers


def return_of(row: tuple[Any, ...]) -> StockReturn:
    """Read a row of :data:`EXPORT`."""
    return StockReturn(
        return_serial=row[0],
        request_id=row[1],
        numbers=Numbers(
            tax_number=row[2],
            type=row[3],
            code=row[4],
            prefix=row[5],
            width=row[6],
            first=row[7],
            count=row[8],
        ),
    )


def return_stock(
    connection: apsw.Connection,
    *,
    request_id: str,
    numbers: Numbers,
    series: str,
    now_ns: int,
) -> StockReturn:
    """Take numbers back, or answer the return of the request. Refused: as the RPC says.

    ``series`` is what serials start with.
    """
    require_taxpayer(connection, numbers.tax_number)
    row = connection.execute(_BY_REQUEST, {"request_id": request_id}).fetchone()
    if row is not None:
        present = return_of(row)
        if present.numbers != numbers:
            raise Refusal("REQUEST_ID_REUSED", f"{request_id!r} returned something else")
        return present
    _require_granted(connection, numbers)
    _require_unreturned(connection, numbers)
    _require_unused(connection, numbers)
    grant_table.release(
        connection, tax_number=numbers.tax_number, type_=numbers.type, count=numbers.count
    )
    return _add(connection, request_id, numbers, series, now_ns)


def _require_granted(connection: apsw.Connection, numbers: Numbers) -> None:
    """Refuse NUMBER_NOT_GRANTED unless the taxpayer's confirmed grants hold every number."""
    running = numbers.first
    while running < numbers.end:
        grant = grant_table.find_granted(
            connection,
            code=numbers.code,
            prefix=numbers.prefix,
            width=numbers.width,
            running=running,
        )
        if grant is None or (grant.tax_number, grant.type) != (numbers.tax_number, numbers.type):
            raise Refusal(
                "NUMBER_NOT_GRANTED",
                f"{numbers.text(running)} is not among the numbers granted",
                number=numbers.text(running),
            )
        running = grant.first + grant.count


def _require_unreturned(connection: apsw.Connection, numbers: Numbers) -> None:
    row = connection.execute(
        _BEFORE,
        {
            "code": numbers.code,
            "prefix": numbers.prefix,
            "width": numbers.width,
            "end": numbers.end,
        },
    ).fetchone()
    if row is not None and row[0] > numbers.first:
        number = numbers.text(min(row[0], numbers.end) - 1)
        raise Refusal("ALREADY_RETURNED", f"{number} was returned before", number=number)


def _require_unused(connection: apsw.Connection, numbers: Numbers) -> None:
    row = connection.execute(
        _HANDED_IN,
        {
            "tax_number": numbers.tax_number,
            "code": numbers.code,
            "first_number": numbers.text(numbers.first),
            "last_number": numbers.text(numbers.end - 1),
            "width": numbers.width,
        },
    ).fetchone()
    if row is not None:
        raise Refusal("NUMBER_USED", f"an event of {row[0]} is on record", number=row[0])


def _add(
    connection: apsw.Connection, request_id: str, numbers: Numbers, series: str, now_ns: int
) -> StockReturn:
    serial = f"{series}{count_up(connection, 'return'):012d}"
    connection.execute(
        _ADD,
        {
            "return_serial": serial,
            "request_id": request_id,
            "tax_number": numbers.tax_number,
            "type": numbers.type,
            "code": numbers.code,
            "prefix": numbers.prefix,
            "width": numbers.width,
            "first": numbers.first,
            "count": numbers.count,
            "now_ns": now_ns,
        },
    )
    return StockReturn(return_serial=serial, request_id=request_id, numbers=numbers)
