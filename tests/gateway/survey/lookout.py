"""A surveyor on a real ledger, with a clock that is moved by hand, and sellers enough to look at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from gateway.desk.surveyor import Surveyor
from gateway.health import Vitals
from gateway.metrics.measures import Measures
from gateway.upload.uploader import Uploader
from ledger.sqlite import SqliteLedger
from tests.fakes.granting_authority import GrantingAuthority
from tests.fakes.software_signer import SoftwareSigner
from tests.fakes.tax_office import tax_office
from tests.gateway.hand_clock import HandClock
from tests.ledger import building
from tests.ledger.building import TAX_NUMBER


@dataclass(slots=True)
class Lookout:
    """A surveyor on a real ledger, with a clock moved by hand."""

    ledger: SqliteLedger
    surveyor: Surveyor
    clock: HandClock
    vitals: Vitals
    measures: Measures


@asynccontextmanager
async def open_lookout(folder: Path) -> AsyncIterator[Lookout]:
    ledger = SqliteLedger(folder / "ledger.db", verify=building.verify)
    clock, vitals, measures = HandClock(building.NOW), Vitals(), Measures()
    await ledger.start(building.WORKER, clock.now())
    authorities = tax_office(GrantingAuthority())
    uploader = Uploader(ledger=ledger, authorities=authorities, clock=clock, rng=Random(1))
    surveyor = Surveyor(
        ledger=ledger,
        uploader=uploader,
        signer=SoftwareSigner(),
        authorities=authorities,
        clock=clock,
        measures=measures,
        survey_s=5.0,
        vitals=vitals,
        watched=lambda: False,
    )
    try:
        yield Lookout(ledger, surveyor, clock, vitals, measures)
    finally:
        await surveyor.close()
        await ledger.close()


async def register_crowd(ledger: SqliteLedger, count: int) -> None:
    """Sellers without a thing."""
    for at in range(count):
        tax_number = f"{TAX_NUMBER[:-4]}{at:04}"
        building.MACHINE_NUMBERS[tax_number] = f"67{at:010}"
        try:
            await building.register(ledger, tax_number)
        finally:
            del building.MACHINE_NUMBERS[tax_number]
