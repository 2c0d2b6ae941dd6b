"""A taxpayer with invoices in every state there is, and what a list of them should answer.

world = await mixed.make_world(ledger)
for wanted in mixed.filters():
    assert mixed.names(await mixed.pages(ledger, wanted)) == world.expected(wanted)
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from invoice import content
from invoice.lifecycle import InvoiceState, UploadState
from ledger.port import Ledger
from ledger.queries import InvoiceFilter, ListPosition
from ledger.records import Entry, InvoiceRecord, Reservation
from tests.ledger import building
from tests.ledger.building import NOW, OTHER_TAX_NUMBER, TAX_NUMBER, TENANT

SEED = 20_260_705
BUYERS = ("", "91330102RH1NBN3K10", "91310115X12J2H3L4B")
BYTES_MAX = 4 * 1024 * 1024
TYPES = ("004", "007", "026")
CODES = {type_: f"0110026001{type_[1:]}" for type_ in TYPES}
ALL = InvoiceFilter(tax_number=TAX_NUMBER)


class World:
    """A taxpayer with invoices in every state, and who bought each of them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.entries: list[Entry] = []
        self.records: list[InvoiceRecord] = []
        self.buyers: dict[tuple[str, str], str] = {}

    async def look(self) -> None:
        """Look every invoice up by its name, as it stands now."""
        self.records = []
        for entry in self.entries:
            record = await self.ledger.find_invoice(
                TENANT, entry.tax_number, entry.code, entry.number
            )
            assert record is not None
            self.records.append(record)

    def expected(self, wanted: InvoiceFilter) -> list[tuple[str, str]]:
        """What fits, oldest first or by number."""
        fitting = [
            (record.entry.issue_time, at, record.entry)
            for at, record in enumerate(self.records)
            if self._fits(record, wanted)
        ]
        fitting.sort(key=lambda item: item[2].number if wanted.by_number else item[:2])
        return [(entry.code, entry.number) for _, _, entry in fitting]

    def _fits(self, record: InvoiceRecord, wanted: InvoiceFilter) -> bool:
        entry = record.entry
        unsigned = entry.signature is None and (
            entry.state is InvoiceState.RESERVED or record.statement is None
        )
        return not unsigned and all(
            (
                wanted.point in (None, entry.point),
                wanted.type in ("", entry.type),
                wanted.code in ("", entry.code),
                entry.number >= wanted.first_number,
                not wanted.last_number or entry.number <= wanted.last_number,
                wanted.issued_from is None or entry.issue_time >= wanted.issued_from,
                wanted.issued_before is None or entry.issue_time < wanted.issued_before,
                wanted.state in (None, entry.state),
                wanted.upload_state in (None, record.upload_state),
                wanted.buyer_tax_number in ("", self.buyers[entry.code, entry.number]),
            )
        )


async def make_world(ledger: Ledger, *, count: int = 40) -> World:
    """``count`` invoices of three types at two points, many of one second, in all states there are."""
    rng = Random(SEED)
    world = World(ledger)
    await building.register(ledger, types=TYPES)
    for type_, point in itertools.product(TYPES, (0, 1)):
        first = 1 + 5_000 * point
        await building.draw(ledger, 500, first, type=type_, code=CODES[type_])
        await building.assign(ledger, 500, point, type=type_)
    await building.register(ledger, OTHER_TAX_NUMBER)
    for at in range(count):
        buyer = rng.choice(BUYERS)
        reservation = bought_by(buyer, f"r-{at}", point=rng.choice((0, 1)), type_=rng.choice(TYPES))
        entries = await building.issue_all(ledger, reservation, now=NOW + at // 5)
        _note(world, entries, buyer)
    await _void_and_reverse(world, rng)
    await _upload(world, rng)
    await world.look()
    return world


def bought_by(buyer: str, request_id: str, *, point: int, type_: str) -> Reservation:
    """One draft for a buyer."""
    draft = building.a_draft(type=type_)
    draft = replace(draft, buyer=replace(draft.buyer, tax_number=buyer))
    tail = content.tail(draft, taxpayer=TAX_NUMBER, point=point)
    return replace(
        building.a_reservation(request_id, point=point, type=type_),
        fingerprint=content.fingerprint(tail),
        tail=tail,
        buyer_tax_number=buyer,
    )


def _note(world: World, entries: Sequence[Entry], buyer: str) -> None:
    world.entries += entries
    world.buyers |= {(entry.code, entry.number): buyer for entry in entries}


async def _void_and_reverse(world: World, rng: Random) -> None:
    ledger, later = world.ledger, NOW + 100
    general = [entry for entry in world.entries if entry.type == "007"]
    rng.shuffle(general)
    for entry in general[:3]:
        await building.void(ledger, entry, now=later)
    for at, entry in enumerate(general[3:6]):
        red = building.a_red(f"red-{at}", entry, None if at else 100)
        _note(world, await building.issue_all(ledger, red, now=later), red.buyer_tax_number)
    number = f"{sum(entry.type == '026' and entry.point == 0 for entry in world.entries) + 1:08}"
    blank = await building.void_blank(ledger, number, code=CODES["026"], now=later)
    found = await ledger.find_invoice(TENANT, TAX_NUMBER, blank.code, blank.number)
    assert found is not None
    _note(world, [found.entry], "")
    waiting = await building.reserve(ledger, building.a_reservation("reserved"), now=later)
    _note(world, waiting, BUYERS[1])


async def _upload(world: World, rng: Random) -> None:
    """Some accepted, some refused, some under way in each way, some not begun."""
    ledger, later = world.ledger, NOW + 200
    refused = [entry.number for entry in rng.sample(world.entries, 10)]
    await building.upload(ledger, "s-1", count_max=20, rejected=refused, now=later)
    for submission_id in ("s-2", "s-3", "s-4"):
        await ledger.prepare_submission(TAX_NUMBER, submission_id, count_max=4, now=later)
    await ledger.mark_submitted("s-2", "serial-2", poll_at=later)
    await ledger.mark_in_doubt("s-3")


async def pages(
    ledger: Ledger,
    wanted: InvoiceFilter,
    *,
    count_max: int = 500,
    bytes_max: int = BYTES_MAX,
    newest_first: bool = False,
) -> list[list[InvoiceRecord]]:
    """Every page of a list."""
    found: list[list[InvoiceRecord]] = []
    after: ListPosition | None = None
    while True:
        page = await ledger.list_invoices(
            TENANT,
            wanted,
            after=after,
            count_max=count_max,
            bytes_max=bytes_max,
            newest_first=newest_first,
        )
        assert len(page.positions) == len(page.records) <= count_max
        found.append(list(page.records))
        after = page.next
        if after is None:
            return found


def names(found: list[list[InvoiceRecord]]) -> list[tuple[str, str]]:
    """Code and number of each."""
    return [(record.entry.code, record.entry.number) for page in found for record in page]


def filters() -> Iterator[InvoiceFilter]:
    """Every filter alone, and with each of the others."""
    parts: list[dict[str, object]] = [
        {"point": 1},
        {"type": "007"},
        {"code": CODES["026"]},
        {"code": CODES["007"], "first_number": "00000003", "last_number": "00005004"},
        {"code": CODES["026"], "last_number": "00000004"},
        {"issued_from": int(NOW) + 3},
        {"issued_before": int(NOW) + 5},
        {"buyer_tax_number": BUYERS[1]},
    ]
    parts += [{"state": state} for state in InvoiceState if state is not InvoiceState.RESERVED]
    parts += [{"upload_state": state} for state in UploadState]
    yield ALL
    for one, other in itertools.combinations_with_replacement(parts, 2):
        yield replace(ALL, **(one | other))  # type: ignore[arg-type]
