"""One group commit: settles first, then reserves, together or not at all."""

from collections.abc import Callable, Sequence

import apsw

from ledger.database import Database
from ledger.meters import behind_s_max
from ledger.records import GroupResult, Reservation, Reserved, Settlement
from ledger.reserve import ItemFault, reserve_all, reserve_each
from ledger.secrets import BUYER_DIGEST, Secrets
from ledger.settle import settle

_Reserve = Callable[..., tuple[list[Reserved], float]]


class Group:
    """What one transaction of the hot path settles and reserves."""

    def __init__(
        self,
        settlements: Sequence[Settlement],
        reservations: Sequence[Reservation],
        *,
        worker: str,
        now: float,
        clock_trusted: bool,
        secrets: Secrets,
    ) -> None:
        self._settlements = settlements
        self._reservations = reservations
        self._worker = worker
        self._now = now
        self._clock_trusted = clock_trusted
        self._secrets = secrets

    def commit(self, database: Database) -> GroupResult:
        """Run the group; when one item spoils it, run it again with each item on its own.

        A savepoint behind the settles would save the second run and cost every group that has
        no such item a copy of each page it changes.
        """
        try:
            return database.write(lambda connection: self._run(connection, reserve_all))
        except ItemFault:
            return database.write(lambda connection: self._run(connection, reserve_each))

    def _run(self, connection: apsw.Connection, reserve: _Reserve) -> GroupResult:
        settled = settle(connection, self._settlements, self._now)
        if not self._reservations:
            return GroupResult(settled=settled, reserved=())
        reserved, clamped_s = reserve(
            connection,
            self._reservations,
            worker=self._worker,
            now=self._now,
            behind_s_max=behind_s_max(trusted=self._clock_trusted),
            buyer_key=self._secrets.key(connection, BUYER_DIGEST),
        )
        return GroupResult(settled=settled, reserved=reserved, clamped_s=clamped_s)
