"""One request id, at most one effect: the same request gets the same bytes, another is named (I3)."""

import pytest

from invoice.errors import RequestIdReused
from ledger.port import Ledger
from ledger.records import Reserved
from tests.ledger import building
from tests.ledger.building import TENANT, a_reservation


def _fields(reserved: Reserved) -> str:
    assert isinstance(reserved.error, RequestIdReused)
    return reserved.error.facts["fields"]


async def test_the_same_request_answers_the_reserved_entry_again(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (entry,) = await building.reserve(ledger, a_reservation("r-1"))

    again = await building.commit(ledger, (), [a_reservation("r-1")])

    assert again.reserved[0] == Reserved(entry=entry, replayed=True)


async def test_the_same_request_answers_the_issued_invoice_again(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    (issued,) = await building.issue(ledger, "r-1")

    again = await building.commit(ledger, (), [a_reservation("r-1")])

    assert again.reserved[0] == Reserved(entry=issued, replayed=True)
    assert issued.signature is not None


async def test_another_request_under_the_id_is_refused_with_the_fields(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.reserve(ledger, a_reservation("r-1"))

    amount = await building.commit(ledger, (), [a_reservation("r-1", net_fen=777)])
    point = await building.commit(ledger, (), [a_reservation("r-1", point=1)])
    kind = await building.commit(ledger, (), [a_reservation("r-1", type="028")])

    assert "net_fen" in _fields(amount.reserved[0]).split(",")
    assert _fields(point.reserved[0]) == "point"
    assert _fields(kind.reserved[0]) == "type"


async def test_a_replay_wins_over_everything_that_changed_since(ledger: Ledger) -> None:
    await building.open_shop(ledger, 1)
    (issued,) = await building.issue(ledger, "r-1")

    # No stock is left, the registration has moved on, the clock is off: it was issued all the same.
    again = await building.commit(
        ledger, (), [a_reservation("r-1", version=9)], now=building.NOW - 9_999
    )

    assert again.reserved[0] == Reserved(entry=issued, replayed=True)


async def test_an_id_twice_in_a_group_takes_one_number(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    twice = a_reservation("r-1")

    result = await building.commit(
        ledger, (), [twice, a_reservation("r-2"), twice, a_reservation("r-1", net_fen=1)]
    )

    first, second, third, fourth = result.reserved
    assert (first.replayed, third.replayed) == (False, True)
    assert first.entry == third.entry
    assert second.entry is not None
    assert second.entry.number == "00000002"
    assert "net_fen" in _fields(fourth).split(",")


async def test_an_id_twice_in_a_group_is_free_again_when_the_first_was_refused(
    ledger: Ledger,
) -> None:
    await building.open_shop(ledger)

    result = await building.commit(
        ledger, (), [a_reservation("r-1", point=9), a_reservation("r-1")]
    )

    refused, reserved = result.reserved
    assert refused.error is not None
    assert reserved.entry is not None
    assert not reserved.replayed


async def test_a_refused_request_leaves_its_id_free(ledger: Ledger) -> None:
    await building.register(ledger)
    await building.commit(ledger, (), [a_reservation("r-1")])
    await building.draw(ledger, 5)
    await building.assign(ledger, 5)

    (entry,) = await building.reserve(ledger, a_reservation("r-1", net_fen=5))

    assert entry.number == "00000001"


async def test_an_id_of_an_admin_write_takes_no_number(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    wish, bound = building.a_wish(5, request_id="r-1")
    await ledger.request_grant(wish, bound, building.ACT)

    result = await building.commit(ledger, (), [a_reservation("r-1")])

    assert _fields(result.reserved[0]) == "action"
    assert await ledger.find_request(TENANT, "r-1") is None


async def test_an_id_of_an_invoice_does_no_admin_write(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.issue(ledger, "r-1")
    wish, bound = building.a_wish(5, request_id="r-1")

    with pytest.raises(RequestIdReused) as refused:
        await ledger.request_grant(wish, bound, building.ACT)

    assert refused.value.facts["fields"] == "action"
    binding = await ledger.find_binding(TENANT, "r-1")
    assert binding is not None
    assert (binding.action, binding.request) == ("issue", a_reservation("r-1").tail)


async def test_ids_of_different_tenants_do_not_meet(ledger: Ledger) -> None:
    await building.open_shop(ledger)
    await building.open_shop(
        ledger, tax_number=building.OTHER_TAX_NUMBER, tenant="another", code="031002600111"
    )

    mine, theirs = await building.reserve(
        ledger,
        a_reservation("r-1"),
        a_reservation("r-1", tax_number=building.OTHER_TAX_NUMBER, tenant="another"),
    )

    assert mine.tax_number != theirs.tax_number
    assert await ledger.find_request("another", "r-1") == theirs
