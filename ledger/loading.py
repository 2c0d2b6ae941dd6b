"""Many invoices read back whole, no more at a time than the memory a piece may take."""

from collections.abc import Iterable
from typing import Final

import apsw

from ledger.backlog import with_upload
from ledger.records import InvoiceRecord
from ledger.rows import entry_by_id

# What a record carries beside its content: marks, signatures, ids, the statement that voids it.
_RECORD_BYTES: Final = 2_048


def load(
    connection: apsw.Connection, invoice_ids: Iterable[int], *, bytes_max: int
) -> dict[int, InvoiceRecord]:
    """Return invoices by id, from the first one as far as ``bytes_max`` goes; at least one."""
    loaded: dict[int, InvoiceRecord] = {}
    size = 0
    for invoice_id in invoice_ids:
        if invoice_id in loaded:
            continue
        entry = entry_by_id(connection, invoice_id)
        size += len(entry.content) + _RECORD_BYTES
        if loaded and size > bytes_max:
            break
        loaded[invoice_id] = with_upload(connection, entry)
    return loaded
