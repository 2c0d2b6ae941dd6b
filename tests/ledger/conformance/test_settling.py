"""Settling happens once: whoever comes second answers the stored row, never its own signature."""

from dataclasses import replace

import pytest

from invoice.lifecycle import InvoiceState, UploadState
from ledger.port import Ledger
from tests.ledger import building
from tests.ledger.building import TAX_NUMBER, TENANT, a_reservation


async def test_a_settled_entry_is_issued_with_its_signature_and_marks(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))
    settlement = building.signed(entry)

    result = await building.commit(ledger, [settlement])

    (settled,) = result.settled
    assert settled.state is InvoiceState.ISSUED
    assert settled.signature == settlement.signature
    assert (settled.key_id, settled.check_code, settled.fiscal_code) == (
        building.KEY_ID,
        settlement.check_code,
        settlement.fiscal_code,
    )
    assert settled == await ledger.find_request(TENANT, "r-1")


async def test_the_second_settle_answers_the_first_signature(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))
    won = (await building.commit(ledger, [building.signed(entry)])).settled
    late = replace(building.signed(entry), signature=b"another signature", check_code="0" * 20)

    lost = (await building.commit(ledger, [late])).settled

    assert lost == won
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    assert backlog.pending_count == 1
    assert [meter.change_number for meter in backlog.meters] == [1, 0]


async def test_two_settles_of_one_entry_in_a_group_store_one_signature(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry, other) = await building.reserve(ledger, a_reservation("r-1"), a_reservation("r-2"))
    first = building.signed(entry)
    second = replace(first, signature=b"another signature")

    result = await building.commit(ledger, [first, building.signed(other), second])

    assert result.settled[0] == result.settled[2]
    assert result.settled[0].signature == first.signature
    assert result.settled[1].number == other.number


async def test_settles_and_reserves_share_a_transaction(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    entries = await building.reserve(ledger, *(a_reservation(f"a-{at}") for at in range(3)))

    result = await building.commit(
        ledger,
        [building.signed(entry) for entry in entries],
        [a_reservation(f"b-{at}") for at in range(3)],
    )

    assert [entry.number for entry in result.settled] == ["00000001", "00000002", "00000003"]
    assert [item.entry.number for item in result.reserved if item.entry] == [
        "00000004", "00000005", "00000006",
    ]  # fmt: skip


async def test_an_issued_invoice_waits_for_its_upload(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry,) = await building.issue(ledger, "r-1")

    record = await ledger.find_invoice(TENANT, TAX_NUMBER, entry.code, entry.number)

    assert record is not None
    assert record == await ledger.invoice_of(entry)
    assert record.upload_state is UploadState.PENDING
    assert (record.rejection, record.acceptance_serial) == ("", "")
    assert record.certificate == b"certificate of 661000000001"
    assert record.algorithm == building.ALGORITHM


async def test_an_invoice_that_is_not_there_is_none(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.issue(ledger, "r-1")

    assert await ledger.find_invoice(TENANT, TAX_NUMBER, building.CODE, "00000002") is None
    assert await ledger.find_invoice("another", TAX_NUMBER, building.CODE, "00000001") is None
    assert await ledger.find_request(TENANT, "r-2") is None
    assert await ledger.find_request("another", "r-1") is None


@pytest.mark.parametrize("count", [1, 2, 63, 65, 300, 500])
async def test_groups_of_any_size_come_back_in_order(ledger: Ledger, count: int) -> None:
    await building.open_shop(ledger)

    issued = await building.issue(ledger, *(f"r-{at}" for at in range(count)))

    assert [entry.request_id for entry in issued] == [f"r-{at}" for at in range(count)]
    assert [int(entry.number) for entry in issued] == list(range(1, count + 1))
