"""Each taxpayer uploads to its own authority, and one that is away is not asked for the other's sake."""

from dataclasses import replace
from random import Random
from typing import cast

from gateway.authorities import Authorities
from gateway.upload.uploader import Uploader
from invoice.document import TypeGrant
from ledger.port import Ledger
from tests.fakes import virtual_time
from tests.fakes.strict_authority import Call, StrictAuthority, lost
from tests.fakes.tax_office import bureau, tax_office
from tests.fakes.upload_ledger import Shelf, UploadLedger
from tests.fakes.upload_world import OTHER as CHARITY
from tests.fakes.upload_world import TAXPAYER
from tests.fakes.virtual_time import VirtualClock, virtual_guard


def a_shelf() -> Shelf:
    """A merchant, and a charity that is granted D01."""
    shelf = Shelf()
    shelf.register(TAXPAYER, ((1.0, 10),), batch_count_max=1)
    shelf.register(CHARITY)
    record = shelf.taxpayers[CHARITY]
    grants = {"D01": TypeGrant(type="D01", rates_ppm=frozenset(), invoice_limit_fen=0)}
    shelf.taxpayers[CHARITY] = replace(record, taxpayer=replace(record.taxpayer, grants=grants))
    return shelf


def an_uploader(shelf: Shelf, authorities: Authorities, clock: VirtualClock) -> Uploader:
    ledger = UploadLedger(shelf)
    ledger.start(clock.now())
    return Uploader(
        ledger=cast("Ledger", ledger),
        authorities=authorities,
        clock=clock,
        rng=Random(1),
        guard=virtual_guard,
    )


async def unreachable(_: str, __: Call) -> None:
    raise lost()


def test_each_uploads_to_its_own_and_the_answers_of_one_do_not_call_back_for_the_other() -> None:
    async def story() -> None:
        shelf, clock = a_shelf(), VirtualClock()
        tax = StrictAuthority(windows=((1.0, 10),))
        finance = StrictAuthority(fault=unreachable)
        both = Authorities(tax=bureau(tax), finance=bureau(finance))
        uploader = an_uploader(shelf, both, clock)
        await uploader.start()
        shelf.issue(TAXPAYER, 3000)
        shelf.issue(CHARITY, 3)
        await clock.sleep(300)
        while_away = len(finance.calls)
        finance.fault = StrictAuthority().fault
        await clock.sleep(10)
        finished = shelf.finished(CHARITY)
        await uploader.stop()

        assert len(tax.calls) > 2000
        assert while_away < 400  # a lookout every 1.5 s on average
        assert finished
        assert {call.tax_number for call in tax.calls} == {TAXPAYER}
        assert {call.tax_number for call in finance.calls} == {CHARITY}

    virtual_time.run(story())


def test_uploads_wait_for_an_authority_that_is_not_configured() -> None:
    async def story() -> None:
        shelf, clock = a_shelf(), VirtualClock()
        tax = StrictAuthority()
        uploader = an_uploader(shelf, tax_office(tax), clock)
        await uploader.start()
        shelf.issue(CHARITY, 3)
        shelf.issue(TAXPAYER, 3)
        await clock.sleep(100)
        await uploader.stop()
        left = shelf.states(CHARITY)
        again = an_uploader(
            shelf, Authorities(tax=bureau(tax), finance=bureau(StrictAuthority())), clock
        )
        await again.start()
        await clock.sleep(10)
        await again.stop()

        assert set(left.values()) == {"PENDING"}
        assert {call.tax_number for call in tax.calls} == {TAXPAYER}
        assert set(shelf.states(CHARITY).values()) == {"ACCEPTED"}

    virtual_time.run(story())
