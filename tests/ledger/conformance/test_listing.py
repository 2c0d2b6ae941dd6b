"""A list answers exactly the invoices that fit, in its order, each once, however it is cut in pages."""

from dataclasses import replace

import pytest

from invoice.errors import TaxpayerNotFound
from invoice.lifecycle import InvoiceState, UploadState
from ledger.port import Ledger
from tests.ledger import building
from tests.ledger.building import TAX_NUMBER, TENANT
from tests.ledger.mixed import ALL, BYTES_MAX, SEED, filters, make_world, names, pages


async def test_every_combination_answers_what_fits_in_its_order(ledger: Ledger) -> None:
    world = await make_world(ledger)
    tried = met = 0

    for wanted in filters():
        expected = world.expected(wanted)
        whole = names(await pages(ledger, wanted))
        turned = names(await pages(ledger, wanted, count_max=3, newest_first=True))

        assert whole == expected, wanted
        assert turned == expected[::-1], wanted
        tried, met = tried + 1, met + bool(expected)

    print(f"seed {SEED}: {tried} filters, {met} of them met something")
    assert met > tried / 2


async def test_every_state_is_met(ledger: Ledger) -> None:
    await make_world(ledger)

    found = [record for page in await pages(ledger, ALL) for record in page]

    assert {record.entry.state for record in found} == set(InvoiceState) - {InvoiceState.RESERVED}
    assert {record.upload_state for record in found} == set(UploadState) - {
        UploadState.SIGNATURE_REJECTED
    }


@pytest.mark.parametrize("count_max", [1, 7])
@pytest.mark.parametrize("newest_first", [False, True])
async def test_small_pages_neither_miss_nor_repeat(
    ledger: Ledger, count_max: int, newest_first: bool
) -> None:
    world = await make_world(ledger)
    expected = world.expected(ALL)

    found = names(await pages(ledger, ALL, count_max=count_max, newest_first=newest_first))

    assert found == (expected[::-1] if newest_first else expected)


async def test_what_is_issued_meanwhile_comes_at_the_end(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.issue(ledger, "a", "b", "c")
    first = await ledger.list_invoices(TENANT, ALL, count_max=2, bytes_max=BYTES_MAX)
    await building.issue(ledger, "d", "e")

    rest = await ledger.list_invoices(
        TENANT, ALL, after=first.next, count_max=9, bytes_max=BYTES_MAX
    )

    listed = [record.entry.request_id for page in (first, rest) for record in page.records]
    assert listed == ["a", "b", "c", "d", "e"]
    assert rest.next is None


async def test_a_page_ends_before_it_is_too_large(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    entries = await building.issue(ledger, *(f"r-{at}" for at in range(9)))

    found = await pages(ledger, ALL, bytes_max=3 * (len(entries[0].content) + 2_100))
    one_by_one = await pages(ledger, ALL, bytes_max=1)

    assert [len(page) for page in found] == [3, 3, 3]
    assert [len(page) for page in one_by_one] == [1] * 9
    assert names(found) == names(one_by_one)


async def test_a_listed_invoice_is_whole(ledger: Ledger) -> None:
    world = await make_world(ledger)

    for record in (record for page in await pages(ledger, ALL) for record in page):
        entry = record.entry
        assert record == await ledger.find_invoice(TENANT, TAX_NUMBER, entry.code, entry.number)
    assert len(world.entries) > len(world.expected(ALL))


async def test_nobody_lists_another_tenants_invoices(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.issue(ledger, "a")

    with pytest.raises(TaxpayerNotFound):
        await ledger.list_invoices("another", ALL, count_max=9, bytes_max=BYTES_MAX)


async def test_a_long_search_goes_on_behind_empty_pages(ledger: Ledger) -> None:
    """More rows than one page looks at, and what is wanted behind them all."""
    await building.register(ledger)
    await building.draw(ledger, 5_000)
    await building.assign(ledger, 4_999)
    await building.assign(ledger, 1, 1)
    for at in range(0, 4_999, 500):
        ids = [f"r-{one}" for one in range(at, min(at + 500, 4_999))]
        await building.issue(ledger, *ids)
    last = building.a_reservation("last", point=1)
    await building.issue_all(ledger, last)

    found = await pages(ledger, replace(ALL, state=InvoiceState.ISSUED, point=1))
    searched = await pages(ledger, replace(ALL, upload_state=UploadState.ACCEPTED))
    pending = await pages(ledger, replace(ALL, upload_state=UploadState.PENDING))
    everything = names(await pages(ledger, ALL))

    assert [len(page) for page in found] == [1]
    assert len(searched) > 1
    assert names(searched) == []
    assert names(pending) == everything
    assert len(everything) == len(set(everything)) == 5_000
