"""Why a point that is asked for a number has none to give."""

import apsw

from invoice.errors import InvoiceError, IssueDeadlinePassed, StockExhausted
from ledger.segments import expired_level
from quota.period import civil, end_of_day


class Shortage:
    """What stands against every item of a group that a counter (tax number, point, type) has no number for."""

    def __init__(
        self, connection: apsw.Connection, counter: tuple[str, int, str], *, device: str, day: str
    ) -> None:
        self._counter = counter
        self._device = device
        self._latest, self._expired_count = expired_level(connection, counter, day)

    def refusal(self) -> InvoiceError:
        """Return the refusal of one item."""
        taxpayer, point, type_code = self._counter
        if not self._expired_count:
            return StockExhausted(
                f"point {point} has no number of type {type_code} left",
                taxpayer=taxpayer,
                point=point,
                type=type_code,
                available_count=0,
            )
        return IssueDeadlinePassed(
            f"the {self._expired_count} numbers of type {type_code} that point {point} has might be"
            f" issued until {self._latest}",
            taxpayer=taxpayer,
            machine_number=self._device,
            type=type_code,
            point=point,
            limit=self._latest,
            used=0,
            left=self._expired_count,
            until=civil(end_of_day(self._latest)),
            ends_by="STOCK",
        )
