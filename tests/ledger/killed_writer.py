"""A writer to be killed: reserves and settles for ever, one line for each group that was answered.

    python tests/ledger/killed_writer.py PATH CYCLE

Lines: ``reserved ID NUMBER`` and ``issued ID SIGNATURE``. At start it finishes what the one
before has left reserved, by the same path.
"""

import asyncio
import itertools
import sys
import time
from pathlib import Path

from ledger.records import Settlement
from ledger.sqlite import SqliteLedger
from tests.ledger import building
from tests.ledger.building import a_reservation


async def write(path: Path, cycle: str) -> None:
    """Write until killed."""
    worker = f"worker-{cycle}"
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(worker, time.time())
    left = await ledger.orphans(worker=worker, now=time.time(), count_max=10_000)
    settlements = [building.signed(entry) for entry in left]
    _tell([f"started {len(left)}"])
    for group in itertools.count():
        settlements = await one_group(ledger, worker, f"{cycle}-{group}", settlements)


async def one_group(
    ledger: SqliteLedger, worker: str, name: str, settlements: list[Settlement]
) -> list[Settlement]:
    """Settle the last group and reserve the next; answer its signatures."""
    drafts = [a_reservation(f"{name}-{at}") for at in range(16)]
    result = await ledger.commit(settlements, drafts, worker=worker, now=time.time())
    lines = [
        f"issued {entry.request_id} {(entry.signature or b'').hex()}" for entry in result.settled
    ]
    entries = [reserved.entry for reserved in result.reserved if reserved.entry]
    lines += [f"reserved {entry.request_id} {entry.number}" for entry in entries]
    _tell(lines)
    return [building.signed(entry) for entry in entries]


def _tell(lines: list[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), sys.argv[2]))
