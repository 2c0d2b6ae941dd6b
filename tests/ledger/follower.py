"""Somebody who follows the changes of the sample taxpayer, as a watch does."""

from ledger.port import Ledger
from ledger.queries import ChangeRecord
from tests.ledger import building
from tests.ledger.building import SPECIAL_TYPE, TAX_NUMBER, TENANT

BYTES_MAX = 4 * 1024 * 1024


class Follower:
    """Reads on from where it is, as a watch does, and keeps what it saw."""

    def __init__(self, *, type: str = "", point: int | None = None, count_max: int = 500) -> None:
        self.positions: dict[int, int] = {}
        self.seen: list[ChangeRecord] = []
        self._type = type
        self._point = point
        self._count_max = count_max

    async def read(self, ledger: Ledger, *, bytes_max: int = BYTES_MAX) -> list[ChangeRecord]:
        """One piece."""
        piece = await ledger.changes(
            TENANT,
            TAX_NUMBER,
            after=self.positions,
            type=self._type,
            point=self._point,
            count_max=self._count_max,
            bytes_max=bytes_max,
        )
        for change in piece:
            # Without a gap: that is what makes a number say that nothing before it is missing.
            assert change.change_number == self.positions.get(change.meter_id, 0) + 1
            self.positions[change.meter_id] = change.change_number
        self.seen += piece
        return piece

    async def read_all(self, ledger: Ledger) -> None:
        """Everything there is."""
        while await self.read(ledger):
            pass

    def issued(self) -> list[str]:
        """Request ids of what was issued, as it came."""
        return [
            change.record.entry.request_id
            for change in self.seen
            if change.record is not None and change.what == "ISSUED"
        ]


async def open_two_meters(ledger: Ledger, count: int = 100) -> None:
    """One taxpayer, two types, so two meters."""
    await building.open_shop(ledger, count)
    await building.draw(ledger, count, type=SPECIAL_TYPE, code="011002600113")
    await building.assign(ledger, count, type=SPECIAL_TYPE)
