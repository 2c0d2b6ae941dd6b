"""Returning stock on the wire: all of it or none, once, and for good."""

from dataclasses import replace
from typing import Any

import pytest

from authority.client import GrpcAuthority
from authority.port import Grant, StockReturn
from invoice.errors import AuthorityRefused, AuthorityUnavailable
from tests.authority.conftest import Connect
from tests.authority.material import (
    Trader,
    broken,
    new_id,
    new_tax_number,
    new_trader,
    seller,
    wanted,
)
from tests.fakes.simulator_process import SimulatorProcess

ACCEPTED = ("ACCEPTED", "")
NOT_GRANTED = ("REJECTED", "NUMBER_NOT_GRANTED")
ALWAYS = 1_000_000


@pytest.fixture
async def trader(authority: GrpcAuthority) -> Trader:
    return await new_trader(authority)


def request(trader: Trader, first: int, count: int, **changed: Any) -> dict[str, Any]:
    """Return a request for ``count`` numbers from the ``first``-th of the grant on, from 0."""
    grant = trader.grant
    return {
        "request_id": new_id(),
        "tax_number": trader.tax_number,
        "type": grant.type,
        "code": grant.code,
        "prefix": grant.prefix,
        "width": grant.width,
        "first": grant.first + first,
        "count": count,
    } | changed


async def back(trader: Trader, first: int, count: int) -> StockReturn:
    return await trader.authority.return_stock(**request(trader, first, count))


async def refusal_of(authority: GrpcAuthority, wanted_: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(AuthorityRefused) as refusal:
        await authority.return_stock(**wanted_)
    return refusal.value.facts["authority_reason"], refusal.value.facts["grpc_code"]


async def confirmed(authority: GrpcAuthority, tax_number: str, count: int) -> Grant:
    grant = await authority.grant_stock(
        request_id=new_id(), tax_number=tax_number, type="026", count=count
    )
    return await authority.confirm_grant(grant.grant_id)


async def test_returned_numbers_are_nobodys(trader: Trader, simulator: SimulatorProcess) -> None:
    returned = await back(trader, 60, 40)

    items = [trader.issue(trader.number(59)), trader.issue(trader.number(60))]
    blanks = [trader.blank_void(trader.number(98)), trader.blank_void(trader.number(99))]
    assert await trader.verdicts(*items, *blanks) == [ACCEPTED] + [NOT_GRANTED] * 3
    (record,) = simulator.returns(trader.tax_number)
    assert (record.return_serial, record.code) == (returned.return_serial, trader.grant.code)
    assert (record.first, record.count) == (trader.grant.first + 60, 40)


async def test_a_return_in_the_middle_leaves_both_sides(trader: Trader) -> None:
    await back(trader, 10, 5)

    items = [trader.issue(trader.number(ordinal)) for ordinal in (9, 10, 14, 15)]

    assert await trader.verdicts(*items) == [ACCEPTED, NOT_GRANTED, NOT_GRANTED, ACCEPTED]


async def test_returned_numbers_are_not_held_and_never_granted_again(
    authority: GrpcAuthority,
) -> None:
    trader = await new_trader(authority, count=10_000)

    await back(trader, 9000, 1000)
    following = await confirmed(authority, trader.tax_number, 1000)

    assert following.code == trader.grant.code
    assert following.first >= trader.grant.first + 10_000
    with pytest.raises(AuthorityRefused) as refusal:
        await confirmed(authority, trader.tax_number, 1)
    assert refusal.value.facts["authority_reason"] == "HOLDING_EXCEEDED"


async def test_a_return_may_span_grants(authority: GrpcAuthority) -> None:
    trader = await new_trader(authority)
    following = await confirmed(authority, trader.tax_number, 50)
    assert following.first == trader.grant.first + 100

    await back(trader, 90, 20)

    assert await trader.verdicts(
        trader.issue(trader.number(109)), trader.issue(trader.number(110))
    ) == [NOT_GRANTED, ACCEPTED]


@pytest.mark.parametrize("type_", ["004", "081", "082"])
async def test_numbers_of_every_layout_are_returned(authority: GrpcAuthority, type_: str) -> None:
    trader = await new_trader(authority, type_=type_)

    await back(trader, 50, 50)

    assert await trader.verdicts(
        trader.issue(trader.number(49)), trader.issue(trader.number(50))
    ) == [ACCEPTED, NOT_GRANTED]


async def test_the_same_return_again_answers_the_same_serial(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    wanted_ = request(trader, 90, 10)

    first = await trader.authority.return_stock(**wanted_)
    again = await trader.authority.return_stock(**wanted_)
    other = await back(trader, 80, 10)

    assert first == again
    assert other.return_serial > first.return_serial
    assert len(simulator.returns(trader.tax_number)) == 2


@pytest.mark.parametrize(
    "changed", [{"count": 9}, {"first": 0}, {"type": "028"}, {"code": "x"}, {"width": 10}]
)
async def test_another_return_under_the_same_id_is_refused(
    trader: Trader, changed: dict[str, Any]
) -> None:
    wanted_ = request(trader, 90, 10)
    await trader.authority.return_stock(**wanted_)

    assert await refusal_of(trader.authority, wanted_ | changed) == (
        "REQUEST_ID_REUSED",
        "ALREADY_EXISTS",
    )


async def test_a_lost_answer_is_had_again(trader: Trader, simulator: SimulatorProcess) -> None:
    wanted_ = request(trader, 90, 10)
    simulator.set_faults(lost_answer_ppm=ALWAYS)
    with pytest.raises(AuthorityUnavailable):
        await trader.authority.return_stock(**wanted_)
    simulator.set_faults()
    (record,) = simulator.returns(trader.tax_number)

    again = await trader.authority.return_stock(**wanted_)

    assert again.return_serial == record.return_serial
    assert len(simulator.returns(trader.tax_number)) == 1


async def test_a_return_survives_kill(own_simulator: SimulatorProcess, connect: Connect) -> None:
    own_simulator.start()
    trader = await new_trader(connect(own_simulator))
    wanted_ = request(trader, 90, 10)
    returned = await trader.authority.return_stock(**wanted_)

    own_simulator.restart()
    trader.authority = connect(own_simulator)

    assert await trader.authority.return_stock(**wanted_) == returned
    assert await trader.verdicts(trader.issue(trader.number(90))) == [NOT_GRANTED]
    assert (await back(trader, 80, 10)).return_serial > returned.return_serial


@pytest.mark.parametrize(("first", "count"), [(90, 10), (85, 6), (99, 1), (0, 100), (94, 2)])
async def test_what_was_returned_before_is_refused_whole(
    trader: Trader, simulator: SimulatorProcess, first: int, count: int
) -> None:
    await back(trader, 90, 10)

    refused = await refusal_of(trader.authority, request(trader, first, count))

    assert refused == ("ALREADY_RETURNED", "FAILED_PRECONDITION")
    assert len(simulator.returns(trader.tax_number)) == 1
    await back(trader, 80, 10)


@pytest.mark.parametrize("event", ["issue", "rejected issue", "void", "blank void"])
async def test_a_number_with_an_event_on_record_is_not_taken_back(
    trader: Trader, event: str
) -> None:
    number = trader.number(95)
    items = {
        "issue": trader.issue(number),
        "rejected issue": broken(trader.issue(number)),
        "void": trader.void(number),
        "blank void": trader.blank_void(number),
    }
    await trader.submit(items[event])

    refused = await refusal_of(trader.authority, request(trader, 90, 10))

    assert refused == ("NUMBER_USED", "FAILED_PRECONDITION")
    await back(trader, 96, 4)
    await back(trader, 90, 5)


async def test_a_strangers_event_of_a_number_is_no_use_of_it(
    trader: Trader, authority: GrpcAuthority
) -> None:
    stranger = replace(await new_trader(authority), grant=trader.grant)
    assert await stranger.verdicts(stranger.issue(trader.number(95))) == [NOT_GRANTED]

    await back(trader, 90, 10)


@pytest.mark.parametrize(
    ("first", "count"), [(-1, 10), (95, 6), (200, 1), (0, 2_000_000_000)], ids=str
)
async def test_numbers_outside_the_grant_are_refused(
    trader: Trader, first: int, count: int
) -> None:
    wanted_ = request(trader, first, min(count, 90_000_000 - trader.grant.first))

    assert await refusal_of(trader.authority, wanted_) == (
        "NUMBER_NOT_GRANTED",
        "FAILED_PRECONDITION",
    )


async def test_only_confirmed_numbers_of_that_taxpayer_and_type_are_taken_back(
    trader: Trader, authority: GrpcAuthority
) -> None:
    unconfirmed = await authority.grant_stock(
        request_id=new_id(), tax_number=trader.tax_number, type="026", count=10
    )
    other = await new_trader(authority, type_="028")
    not_granted = ("NUMBER_NOT_GRANTED", "FAILED_PRECONDITION")
    requests = [
        request(trader, 0, 1) | {"first": unconfirmed.first},
        request(trader, 0, 1, type="028"),
        request(trader, 0, 1, type="nonsense"),
        request(other, 0, 1, tax_number=trader.tax_number),
        request(trader, 0, 1, prefix="0"),
        request(trader, 0, 1, width=10),
    ]

    assert [await refusal_of(authority, each) for each in requests] == [not_granted] * 6
    await authority.confirm_grant(unconfirmed.grant_id)
    await authority.return_stock(**requests[0])


async def test_a_refused_return_leaves_its_id_free(trader: Trader) -> None:
    wanted_ = request(trader, 95, 6)
    await refusal_of(trader.authority, wanted_)

    await trader.authority.return_stock(**(wanted_ | {"count": 5}))


async def test_the_id_of_a_grant_may_be_that_of_a_return(trader: Trader) -> None:
    wanted_ = request(trader, 98, 1, request_id=trader.grant.request_id)

    await trader.authority.return_stock(**wanted_)


async def test_a_taxpayer_nobody_knows_returns_nothing(trader: Trader) -> None:
    wanted_ = request(trader, 0, 1, tax_number=new_tax_number())

    assert await refusal_of(trader.authority, wanted_) == ("TAXPAYER_UNKNOWN", "NOT_FOUND")


@pytest.mark.parametrize(
    "changed",
    [
        {"request_id": ""},
        {"request_id": "票"},
        {"count": 0},
        {"count": -1},
        {"first": -1},
        {"first": 99_999_999, "count": 2},
        {"first": 2**63 - 1},
        {"width": 0},
        {"width": -8},
        {"width": 20},
        {"prefix": "x"},
        {"prefix": "12345678"},
    ],
    ids=str,
)
async def test_a_malformed_return_is_refused_with_its_field(
    trader: Trader, changed: dict[str, Any]
) -> None:
    refused = await refusal_of(trader.authority, request(trader, 0, 1) | changed)

    assert refused == ("REQUEST_INVALID", "INVALID_ARGUMENT")


async def test_a_return_counts_in_no_window(trader: Trader, simulator: SimulatorProcess) -> None:
    simulator.set_windows((1, 3_600_000))

    await back(trader, 98, 1)
    await back(trader, 99, 1)

    assert simulator.calls(trader.tax_number) == []


async def test_a_holder_of_nothing_is_answered_like_any_other(authority: GrpcAuthority) -> None:
    tax_number = new_tax_number()
    await authority.register_taxpayer(seller(tax_number), wanted("026"))

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.return_stock(
            request_id=new_id(),
            tax_number=tax_number,
            type="026",
            code="031012600111",
            prefix="",
            width=8,
            first=1,
            count=1,
        )

    assert refusal.value.facts["authority_reason"] == "NUMBER_NOT_GRANTED"
