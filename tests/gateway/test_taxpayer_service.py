"""Registrations at their limits: every answer fits a message, and what only answers have is ignored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.authorities import Authorities, Bureau
from gateway.register import Registrar
from gateway.registry import Registry
from gateway.taxpayer_service import TaxpayerServicer
from invoice.errors import InvalidRequest
from taxcontrol.admin.v1 import taxpayer_pb2
from taxcontrol.admin.v1.taxpayer_service_pb2 import (
    GetTaxpayerRequest,
    ListTaxpayersRequest,
    RegisterTaxpayerRequest,
)
from tests.e2e.sellers import new_tax_number
from tests.fakes.granting_authority import GrantingAuthority
from tests.fakes.tax_office import bureau
from tests.gateway.desk import TENANT, open_desk

# What a gRPC client takes unless told otherwise.
ANSWER_BYTES_MAX = 4 * 1024 * 1024
POINT_COUNT_MAX = 5000
NOBODY = cast("Any", None)


@asynccontextmanager
async def open_servicer(
    folder: Path, finance: Bureau | None = None
) -> AsyncIterator[TaxpayerServicer]:
    async with open_desk(folder) as desk:
        yield TaxpayerServicer(
            registrar=Registrar(
                ledger=desk.ledger,
                authorities=Authorities(tax=bureau(GrantingAuthority()), finance=finance),
                signer=desk.signer,
            ),
            registry=Registry(desk.ledger),
            ledger=desk.ledger,
            clock=desk.clock,
            tenant=TENANT,
        )


def registration(
    request_id: str, *, point_count: int = 1, organisation: str = "", rate_count: int = 1
) -> RegisterTaxpayerRequest:
    grant = taxpayer_pb2.TypeGrant(
        type="026", rates_ppm=range(rate_count), invoice_limit_fen=10_000_000
    )
    return RegisterTaxpayerRequest(
        request_id=request_id,
        taxpayer=taxpayer_pb2.Taxpayer(
            tax_number=new_tax_number(),
            display_name="示例公司",
            address_phone="某路1号",
            type_grants=[grant],
            points=[
                taxpayer_pb2.Point(number=number, organisation=organisation)
                for number in range(point_count)
            ],
        ),
    )


def a_charity(request_id: str, **grant: Any) -> RegisterTaxpayerRequest:
    request = registration(request_id)
    del request.taxpayer.type_grants[:]
    request.taxpayer.type_grants.add(type="D01", **grant)
    return request


def largest(request_id: str) -> RegisterTaxpayerRequest:
    return registration(
        request_id, point_count=POINT_COUNT_MAX, organisation="\U00020000" * 100, rate_count=100
    )


@pytest.mark.parametrize(
    ("request_", "rule", "field"),
    [
        (registration("r", organisation="x" * 101), "FIELD_TOO_LONG", "points[0].organisation"),
        (registration("r", point_count=POINT_COUNT_MAX + 1), "FIELD_RANGE", "points"),
        (registration("r", rate_count=101), "FIELD_RANGE", "type_grants[0].rates_ppm"),
    ],
)
async def test_more_than_an_answer_can_hold_is_refused(
    tmp_path: Path, request_: RegisterTaxpayerRequest, rule: str, field: str
) -> None:
    async with open_servicer(tmp_path) as servicer:
        with pytest.raises(InvalidRequest) as refused:
            await servicer.RegisterTaxpayer(request_, NOBODY)

    assert refused.value.facts == {"field": f"taxpayer.{field}", "rule": rule}


async def test_the_largest_taxpayers_fit_every_answer(tmp_path: Path) -> None:
    async with open_servicer(tmp_path) as servicer:
        registered = [
            await servicer.RegisterTaxpayer(largest(f"r{each}"), NOBODY) for each in range(3)
        ]
        name = registered[0].taxpayer.name
        shown = await servicer.GetTaxpayer(GetTaxpayerRequest(name=name), NOBODY)
        listed, token = [], ""
        while True:
            page = await servicer.ListTaxpayers(ListTaxpayersRequest(page_token=token), NOBODY)
            assert page.ByteSize() < ANSWER_BYTES_MAX
            listed += [one.name for one in page.taxpayers]
            token = page.next_page_token
            if not token:
                break

    assert all(answer.ByteSize() < ANSWER_BYTES_MAX for answer in (*registered, shown))
    assert listed == sorted(set(listed))
    assert {one.taxpayer.name for one in registered} < set(listed)
    assert len(listed) == len(registered) + 1  # the desk's own


@pytest.mark.parametrize(
    ("types", "rule", "field"),
    [
        (["026", "D01"], "AUTHORITY_MIXED", "type_grants"),
        (["026"], "FIELD_REQUIRED", "type_grants[0].rates_ppm"),
        (["D01", "D01"], "FIELD_DUPLICATE", "type_grants"),
    ],
)
async def test_types_that_cannot_be_registered_together_are_refused(
    tmp_path: Path, types: list[str], rule: str, field: str
) -> None:
    request = registration("r")
    del request.taxpayer.type_grants[:]
    for type_code in types:
        rates = [0] if len(types) > 1 else []
        request.taxpayer.type_grants.add(type=type_code, rates_ppm=rates, invoice_limit_fen=1)
    async with open_servicer(tmp_path) as servicer:
        with pytest.raises(InvalidRequest) as refused:
            await servicer.RegisterTaxpayer(request, NOBODY)

    assert refused.value.facts == {"field": f"taxpayer.{field}", "rule": rule}


async def test_a_type_without_tax_has_neither_rates_nor_a_limit(tmp_path: Path) -> None:
    async with open_servicer(tmp_path, bureau(GrantingAuthority())) as servicer:
        with pytest.raises(InvalidRequest) as refused:
            await servicer.RegisterTaxpayer(a_charity("r", rates_ppm=[0, 60_000]), NOBODY)
        bare = await servicer.RegisterTaxpayer(a_charity("s"), NOBODY)
        stated = await servicer.RegisterTaxpayer(
            a_charity("t", rates_ppm=[0], invoice_limit_fen=1_000_000), NOBODY
        )

    assert refused.value.facts == {
        "field": "taxpayer.type_grants[0].rates_ppm",
        "rule": "FIELD_NOT_ALLOWED",
    }
    for registered in (bare, stated):
        [grant] = registered.taxpayer.type_grants
        assert (list(grant.rates_ppm), grant.invoice_limit_fen) == ([], 0)


async def test_what_only_answers_have_is_no_part_of_a_registration(tmp_path: Path) -> None:
    request = registration("r")
    filled = RegisterTaxpayerRequest()
    filled.CopyFrom(request)
    taxpayer = filled.taxpayer
    taxpayer.name, taxpayer.version = "taxpayers/another", 7
    taxpayer.registration_time.seconds = 2**61  # no such time, so no JSON of it
    taxpayer.offline_limits.count_max = 1
    taxpayer.granted_offline_limits.count_max = 1
    taxpayer.devices.add(machine_number="1")
    taxpayer.windows.add(period_ms=1)
    taxpayer.points[0].name, taxpayer.points[0].machine_number = "points/9", "1"
    async with open_servicer(tmp_path) as servicer:
        first = await servicer.RegisterTaxpayer(filled, NOBODY)
        again = await servicer.RegisterTaxpayer(request, NOBODY)

    assert (first.replayed, again.replayed) == (False, True)
    assert first.taxpayer == again.taxpayer
    assert taxpayer.registration_time.seconds == 2**61  # the caller's message is left alone
