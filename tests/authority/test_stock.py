"""Two-phase grants through the port: found again, never overlapping, within the holding."""

import asyncio
from typing import Any

import pytest

from authority.client import GrpcAuthority
from authority.port import Grant
from invoice.errors import AuthorityRefused
from tests.authority.material import new_id, new_tax_number, new_trader, seller, wanted


async def registered(authority: GrpcAuthority, *types: str, holding: int = 10_000) -> str:
    tax_number = new_tax_number()
    await authority.register_taxpayer(seller(tax_number), wanted(*types, holding=holding))
    return tax_number


async def granted(
    authority: GrpcAuthority, tax_number: str, count: int, *, type_: str = "026"
) -> Grant:
    return await authority.grant_stock(
        request_id=new_id(), tax_number=tax_number, type=type_, count=count
    )


def span(grant: Grant) -> tuple[str, str, range]:
    return grant.code, grant.prefix, range(grant.first, grant.first + grant.count)


async def test_a_grant_is_found_again_by_its_request_and_confirmed_once(
    authority: GrpcAuthority,
) -> None:
    tax_number = await registered(authority, "026")
    request_id = new_id()
    asked = await authority.grant_stock(
        request_id=request_id, tax_number=tax_number, type="026", count=50
    )

    again = await authority.grant_stock(
        request_id=request_id, tax_number=tax_number, type="026", count=50
    )
    found = await authority.get_grant(request_id)
    confirmed = await authority.confirm_grant(asked.grant_id)
    confirmed_again = await authority.confirm_grant(asked.grant_id)
    found_after = await authority.get_grant(request_id)

    assert (asked.count, asked.confirmed, asked.request_id) == (50, False, request_id)
    assert asked == again == found
    assert confirmed.confirmed
    assert confirmed == confirmed_again == found_after
    assert span(confirmed) == span(asked)


async def test_a_grant_that_has_not_arrived_reads_as_none(authority: GrpcAuthority) -> None:
    assert await authority.get_grant(new_id()) is None


@pytest.mark.parametrize(
    ("type_", "code_tail", "code_length", "width"),
    [
        ("026", "11", 12, 8),
        ("028", "13", 12, 8),
        ("007", "04", 12, 8),
        ("025", "06", 12, 8),
        ("004", "130", 10, 8),
        ("081", "", 0, 20),
        ("082", "", 0, 20),
    ],
)
async def test_numbers_look_like_those_of_their_type(
    authority: GrpcAuthority, type_: str, code_tail: str, code_length: int, width: int
) -> None:
    tax_number = await registered(authority, type_)

    grant = await granted(authority, tax_number, 10, type_=type_)

    assert len(grant.code) == code_length
    assert grant.code.endswith(code_tail)
    assert grant.width == width
    assert len(grant.prefix) == (5 if width == 20 else 0)
    region = {0: grant.prefix[2:4], 10: grant.code[:4], 12: grant.code[1:5]}[code_length]
    assert tax_number[2:6].startswith(region)


async def test_concurrent_grants_of_one_region_never_overlap(authority: GrpcAuthority) -> None:
    taxpayers = [await registered(authority, "081", "082") for _ in range(4)]

    grants = await asyncio.gather(
        *(
            granted(authority, tax_number, 7, type_=type_)
            for tax_number in taxpayers
            for type_ in ("081", "082")
            for _ in range(5)
        )
    )

    numbers = [number for grant in grants for number in span(grant)[2]]
    assert len({(grant.code, grant.prefix) for grant in grants}) == 1
    assert len(set(numbers)) == len(numbers) == 4 * 2 * 5 * 7


async def test_a_digital_grant_has_at_most_5000_numbers(authority: GrpcAuthority) -> None:
    tax_number = await registered(authority, "082", holding=10_000)
    request_id = new_id()

    grant = await authority.grant_stock(
        request_id=request_id, tax_number=tax_number, type="082", count=9000
    )
    again = await authority.grant_stock(
        request_id=request_id, tax_number=tax_number, type="082", count=9000
    )

    assert grant.count == 5000
    assert again == grant


async def test_unconfirmed_grants_count_as_held(authority: GrpcAuthority) -> None:
    tax_number = await registered(authority, "026", holding=100)
    await granted(authority, tax_number, 60)

    await granted(authority, tax_number, 40)
    with pytest.raises(AuthorityRefused) as refusal:
        await granted(authority, tax_number, 1)

    assert refusal.value.facts["authority_reason"] == "HOLDING_EXCEEDED"
    assert refusal.value.facts["grpc_code"] == "FAILED_PRECONDITION"


async def test_an_accepted_invoice_makes_room_and_a_rejected_or_repeated_one_does_not(
    authority: GrpcAuthority,
) -> None:
    trader = await new_trader(authority, count=10_000)
    number = trader.number(0)
    accepted = trader.issue(number)
    assert await trader.verdicts(accepted, accepted) == [("ACCEPTED", "")] * 2
    assert await trader.verdicts(trader.issue(number, remark="other")) == [
        ("REJECTED", "DUPLICATE_CONTENT")
    ]
    assert await trader.verdicts(trader.void(number)) == [("ACCEPTED", "")]
    assert await trader.verdicts(trader.blank_void(trader.number(1))) == [("ACCEPTED", "")]

    await granted(authority, trader.tax_number, 2)
    with pytest.raises(AuthorityRefused) as refusal:
        await granted(authority, trader.tax_number, 1)

    assert refusal.value.facts["authority_reason"] == "HOLDING_EXCEEDED"


async def test_a_grant_request_that_says_something_else_is_refused(
    authority: GrpcAuthority,
) -> None:
    tax_number = await registered(authority, "026")
    request_id = new_id()
    await authority.grant_stock(request_id=request_id, tax_number=tax_number, type="026", count=5)

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.grant_stock(
            request_id=request_id, tax_number=tax_number, type="026", count=6
        )

    assert refusal.value.facts["authority_reason"] == "REQUEST_ID_REUSED"
    assert refusal.value.facts["grpc_code"] == "ALREADY_EXISTS"


@pytest.mark.parametrize(
    ("changed", "reason", "code"),
    [
        ({"type": "028"}, "TYPE_NOT_GRANTED", "FAILED_PRECONDITION"),
        ({"type": "nonsense"}, "TYPE_NOT_GRANTED", "FAILED_PRECONDITION"),
        ({"tax_number": "91310115000000001X"}, "TAXPAYER_UNKNOWN", "NOT_FOUND"),
        ({"count": 0}, "REQUEST_INVALID", "INVALID_ARGUMENT"),
        ({"count": -1}, "REQUEST_INVALID", "INVALID_ARGUMENT"),
        ({"request_id": ""}, "REQUEST_INVALID", "INVALID_ARGUMENT"),
        ({"request_id": "票"}, "REQUEST_INVALID", "INVALID_ARGUMENT"),
        ({"request_id": "a" * 121}, "REQUEST_INVALID", "INVALID_ARGUMENT"),
    ],
)
async def test_a_grant_that_may_not_be_is_refused_by_name(
    authority: GrpcAuthority, changed: dict[str, Any], reason: str, code: str
) -> None:
    right: dict[str, Any] = {
        "request_id": new_id(),
        "tax_number": await registered(authority, "026"),
        "type": "026",
        "count": 5,
    }

    with pytest.raises(AuthorityRefused) as refusal:
        await authority.grant_stock(**(right | changed))

    assert refusal.value.facts["authority_reason"] == reason
    assert refusal.value.facts["grpc_code"] == code


async def test_an_unknown_grant_cannot_be_confirmed(authority: GrpcAuthority) -> None:
    with pytest.raises(AuthorityRefused) as refusal:
        await authority.confirm_grant("G999999999999")

    assert refusal.value.facts["authority_reason"] == "GRANT_UNKNOWN"
    assert refusal.value.facts["grpc_code"] == "NOT_FOUND"
