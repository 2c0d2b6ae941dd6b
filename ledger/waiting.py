"""Where something waits for a signature: from place to place, past whatever waits at each."""

from collections.abc import Iterator
from heapq import merge
from itertools import groupby, islice

import apsw

from ledger.records import SigningPlace
from ledger.values import fetch

# At most two looks of the index: the rows between two places are not gone through, as they would be
# for a comparison of both columns at once.
_NEXT_OF_ENTRIES = """
SELECT * FROM (SELECT tax_number, machine_number, tenant
                 FROM invoice INDEXED BY invoice_reserved
                WHERE state = 'RESERVED' AND tax_number = ?1 AND machine_number > ?2
                ORDER BY machine_number
                LIMIT 1)
UNION ALL
SELECT * FROM (SELECT tax_number, machine_number, tenant
                 FROM invoice INDEXED BY invoice_reserved
                WHERE state = 'RESERVED' AND tax_number > ?1
                ORDER BY tax_number, machine_number
                LIMIT 1)
LIMIT 1
"""
_NEXT_OF_STATEMENTS = _NEXT_OF_ENTRIES.replace(
    "invoice INDEXED BY invoice_reserved", "statement INDEXED BY statement_reserved"
)


def places(
    connection: apsw.Connection, after: tuple[str, str], count_max: int
) -> list[SigningPlace]:
    """Return places with a RESERVED entry or statement, by taxpayer and machine number."""
    entries = _places(connection, _NEXT_OF_ENTRIES, after)
    statements = _places(connection, _NEXT_OF_STATEMENTS, after)
    distinct = (place for place, _ in groupby(merge(entries, statements)))
    return list(islice(distinct, count_max))


def _places(
    connection: apsw.Connection, statement: str, after: tuple[str, str]
) -> Iterator[SigningPlace]:
    while rows := fetch(connection, statement, after):
        place = SigningPlace(*rows[0])
        yield place
        after = place.tax_number, place.machine_number
