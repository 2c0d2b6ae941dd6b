"""A taxpayer is registered once, whole, and seen by its own tenant only."""

import pytest

from invoice.errors import RequestIdReused, TaxpayerExists, TaxpayerNotFound
from ledger.port import Ledger
from tests.ledger import building
from tests.ledger.building import ACT, OTHER_TAX_NUMBER, TAX_NUMBER, TENANT


async def test_what_was_registered_is_read_back_whole(ledger: Ledger) -> None:
    record = building.a_taxpayer()

    stored, replayed = await ledger.register(record, building.binding("register"), ACT)

    assert (stored, replayed) == (record, False)
    assert await ledger.taxpayer(TENANT, TAX_NUMBER) == record


async def test_registering_opens_a_meter_for_each_device_and_type(ledger: Ledger) -> None:
    await building.register(ledger)

    backlog = await ledger.backlog(TENANT, TAX_NUMBER)

    assert [(meter.type, meter.change_number) for meter in backlog.meters] == [
        ("026", 0), ("028", 0),
    ]  # fmt: skip
    assert backlog.oldest_issue_time is None


async def test_the_same_registration_again_is_replayed(ledger: Ledger) -> None:
    bound = building.binding("register", name="a")
    first, _ = await ledger.register(building.a_taxpayer(), bound, ACT)

    again, replayed = await ledger.register(building.a_taxpayer(), bound, ACT)

    assert (again, replayed) == (first, True)


async def test_another_registration_under_the_id_is_refused_with_the_fields(
    ledger: Ledger,
) -> None:
    bound = building.binding("register", request_id="r-1", name="a", kind="x")
    await ledger.register(building.a_taxpayer(), bound, ACT)
    other = building.binding("register", request_id="r-1", name="b", kind="x", bank="c")

    with pytest.raises(RequestIdReused) as refused:
        await ledger.register(building.a_taxpayer(OTHER_TAX_NUMBER), other, ACT)

    assert refused.value.facts["fields"] == "bank,name"
    assert await ledger.taxpayer(TENANT, OTHER_TAX_NUMBER) is None


@pytest.mark.parametrize("tenant", [TENANT, "another"])
async def test_a_taxpayer_is_registered_once(ledger: Ledger, tenant: str) -> None:
    await building.register(ledger)

    with pytest.raises(TaxpayerExists):
        await building.register(ledger, tenant=tenant)


async def test_a_dry_run_says_what_would_happen_and_changes_nothing(ledger: Ledger) -> None:
    bound = building.binding("register", request_id="r-1")

    stored, replayed = await ledger.register(building.a_taxpayer(), bound, ACT, dry_run=True)

    assert (stored, replayed) == (building.a_taxpayer(), False)
    assert await ledger.taxpayer(TENANT, TAX_NUMBER) is None
    assert await ledger.find_binding(TENANT, "r-1") is None


async def test_a_tenant_sees_only_its_own(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.register(ledger, OTHER_TAX_NUMBER, tenant="another")

    mine = await ledger.taxpayers(TENANT)
    theirs = await ledger.taxpayers("another")

    assert [record.taxpayer.tax_number for record in mine] == [TAX_NUMBER]
    assert [record.taxpayer.tax_number for record in theirs] == [OTHER_TAX_NUMBER]
    assert await ledger.taxpayer("another", TAX_NUMBER) is None
    with pytest.raises(TaxpayerNotFound):
        await ledger.backlog("another", TAX_NUMBER)


async def test_taxpayers_are_listed_in_pages(ledger: Ledger) -> None:
    await building.register(ledger, TAX_NUMBER)
    await building.register(ledger, OTHER_TAX_NUMBER)

    first = await ledger.taxpayers(TENANT, count_max=1)
    second = await ledger.taxpayers(TENANT, after=first[0].taxpayer.tax_number, count_max=5)

    assert [record.taxpayer.tax_number for record in first + second] == [
        TAX_NUMBER, OTHER_TAX_NUMBER,
    ]  # fmt: skip
