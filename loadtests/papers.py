"""Invoices ready to send: templates made once, and only the id changed for each call."""

from collections.abc import Sequence
from random import Random
from typing import Final
from uuid import uuid4

from sandbox.invoices import Counter, request
from taxcontrol.v1.invoice_pb2 import PRIORITY_BULK
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest

# Each place has so many different invoices: enough that no two in a row are alike.
_VARIANTS: Final = 20


class Papers:
    """What one kind of platform issues, at ``places``.

    ``orders`` is how many orders are put on one invoice (合并开票); ``bulk`` lets people go first.
    """

    def __init__(self, places: Sequence[Counter], *, orders: int = 1, bulk: bool = False) -> None:
        assert places, "nobody issues what this platform does"
        self._templates = [
            merged([request(place, n * orders + k, request_id="-") for k in range(orders)])
            for place in places
            for n in range(_VARIANTS)
        ]
        for template in self._templates if bulk else ():
            template.priority = PRIORITY_BULK

    def draw(self, random: Random) -> IssueInvoiceRequest:
        """An invoice under an id that nobody has used yet."""
        made = IssueInvoiceRequest()
        made.CopyFrom(random.choice(self._templates))
        made.request_id = new_id()
        return made


def new_id() -> str:
    """A request id; never of a seed: two runs against one gateway would share their ids."""
    return str(uuid4())


def merged(orders: Sequence[IssueInvoiceRequest]) -> IssueInvoiceRequest:
    """One invoice with the lines of all ``orders``, which are of one place."""
    whole = IssueInvoiceRequest()
    whole.CopyFrom(orders[0])
    for order in orders[1:]:
        whole.lines.extend(order.lines)
        whole.net_fen += order.net_fen
        whole.tax_fen += order.tax_fen
        whole.gross_fen += order.gross_fen
    return whole
