"""Statements over many rows at once.

SQLite gives the interpreter lock away at every step and has to win it back; beside a busy event
loop that costs far more than the row itself. One statement over a ``VALUES`` list takes a whole
group in one step. Lists are cut so that up to 72 rows take two steps, and few statements stay prepared.
"""

import apsw

from ledger.values import Row, Value

# 256 rows of the widest table keep below SQLite's count of parameters and below the longest
# statement that apsw keeps prepared (16 KiB).
_SIZES = (256, 128, *range(64, 8, -8), *range(8, 0, -1))


class Bulk:
    """A statement with ``{rows}`` where its list of ``column_count`` columns stands."""

    def __init__(self, statement: str, *, column_count: int) -> None:
        row = f"({','.join('?' * column_count)})"
        self._column_count = column_count
        self._statements = tuple(
            (size, statement.format(rows=",".join([row] * size))) for size in _SIZES
        )

    def run(self, connection: apsw.Connection, values: list[Value]) -> list[Row]:
        """Run it over ``values``, the rows laid end to end; answer the rows it returns."""
        column_count = self._column_count
        at, left = 0, len(values) // column_count
        answer: list[Row] = []
        for size, statement in self._statements:
            while left >= size:
                end = at + size * column_count
                answer.extend(connection.execute(statement, values[at:end]))
                at, left = end, left - size
        return answer
