"""What operators call for taxpayers: registering replays, a dry run changes nothing."""

import grpc
import pytest

from taxcontrol.admin.v1 import (
    stock_admin_service_pb2,
    taxpayer_service_pb2,
)
from taxcontrol.v1 import stock_service_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, new_tax_number
from tests.e2e.wire import refused

DrawStockRequest = stock_admin_service_pb2.DrawStockRequest
AssignStockRequest = stock_admin_service_pb2.AssignStockRequest
GetTaxpayerRequest = taxpayer_service_pb2.GetTaxpayerRequest
ListTaxpayersRequest = taxpayer_service_pb2.ListTaxpayersRequest
GetStockRequest = stock_service_pb2.GetStockRequest


def test_a_registered_taxpayer_has_a_device_with_a_certified_key(platform: Platform) -> None:
    seller = Seller(tax_number=new_tax_number(), points=(0, 7))
    registered = platform.taxpayers.RegisterTaxpayer(seller.registration(new_id())).taxpayer
    shown = platform.taxpayers.GetTaxpayer(GetTaxpayerRequest(name=seller.name)).taxpayer

    assert shown == registered
    assert registered.name == seller.name
    [device] = registered.devices
    assert (device.kind, device.key_algorithm) == ("new-server", "P-256")
    assert device.certificate.startswith(b"\x30")
    assert [point.name for point in registered.points] == [seller.point(0), seller.point(7)]
    assert {point.machine_number for point in registered.points} == {device.machine_number}
    assert registered.type_grants[0].holding_count_max > 0
    assert registered.offline_limits.age_hours_max == 72
    assert not registered.offline_limits.HasField("count_max")


def test_registering_again_replays_and_another_id_is_refused(platform: Platform) -> None:
    seller = Seller(tax_number=new_tax_number())
    request = seller.registration(new_id())
    first = platform.taxpayers.RegisterTaxpayer(request)

    again = platform.taxpayers.RegisterTaxpayer(request)
    with refused("TAXPAYER_EXISTS", grpc.StatusCode.ALREADY_EXISTS) as exists:
        platform.taxpayers.RegisterTaxpayer(seller.registration(new_id()))
    request.taxpayer.display_name = "另一家有限公司"
    with refused("REQUEST_ID_REUSED", grpc.StatusCode.ALREADY_EXISTS) as reused:
        platform.taxpayers.RegisterTaxpayer(request)

    assert (first.replayed, again.replayed) == (False, True)
    assert again.taxpayer == first.taxpayer
    assert exists[0].facts == {"taxpayer": seller.tax_number}
    assert reused[0].facts["fields"].startswith("taxpayer")


def test_a_dry_registration_changes_nothing(platform: Platform) -> None:
    seller = Seller(tax_number=new_tax_number())
    request = seller.registration(new_id())
    request.validate_only = True

    planned = platform.taxpayers.RegisterTaxpayer(request)
    with refused("TAXPAYER_NOT_FOUND", grpc.StatusCode.NOT_FOUND):
        platform.taxpayers.GetTaxpayer(GetTaxpayerRequest(name=seller.name))
    request.validate_only = False

    assert planned.taxpayer.tax_number == seller.tax_number
    assert not platform.taxpayers.RegisterTaxpayer(request).replayed


@pytest.mark.parametrize(
    ("change", "rule", "field"),
    [
        ({"tax_number": "911100000000000000"}, "TAX_NUMBER_INVALID", "taxpayer.tax_number"),
        ({"display_name": ""}, "FIELD_REQUIRED", "taxpayer.display_name"),
        ({"address_phone": "址" * 51}, "FIELD_TOO_LONG", "taxpayer.address_phone"),
        ({"display_name": "\U0001f600"}, "FIELD_FORMAT", "taxpayer.display_name"),
        ({"types": ("999",)}, "FIELD_FORMAT", "taxpayer.type_grants[0].type"),
        ({"types": ("026", "026")}, "FIELD_DUPLICATE", "taxpayer.type_grants"),
        ({"rates_ppm": ()}, "FIELD_REQUIRED", "taxpayer.type_grants[0].rates_ppm"),
        ({"invoice_limit_fen": 0}, "FIELD_RANGE", "taxpayer.type_grants[0].invoice_limit_fen"),
        ({"points": ()}, "FIELD_REQUIRED", "taxpayer.points"),
        ({"points": (0, 65536)}, "FIELD_RANGE", "taxpayer.points[1].number"),
        ({"points": (3, 3)}, "FIELD_DUPLICATE", "taxpayer.points"),
    ],
)
def test_a_wrong_registration_names_the_field(
    platform: Platform, change: dict[str, object], rule: str, field: str
) -> None:
    facts: dict[str, object] = {"tax_number": new_tax_number(), **change}
    seller = Seller(**facts)  # type: ignore[arg-type]

    with refused("INVALID_REQUEST", grpc.StatusCode.INVALID_ARGUMENT) as found:
        platform.taxpayers.RegisterTaxpayer(seller.registration(new_id()))

    assert found[0].violations == {(rule, field)}


def test_taxpayers_are_listed_page_by_page(platform: Platform) -> None:
    mine = {platform.new_seller("026").tax_number for _ in range(3)}
    listed: list[str] = []
    token = ""
    while True:
        page = platform.taxpayers.ListTaxpayers(ListTaxpayersRequest(page_size=2, page_token=token))
        assert len(page.taxpayers) <= 2
        assert not any(device.certificate for one in page.taxpayers for device in one.devices)
        listed += [one.tax_number for one in page.taxpayers]
        token = page.next_page_token
        if not token:
            break

    assert listed == sorted(set(listed))
    assert mine <= set(listed)


@pytest.mark.parametrize(
    ("page", "field"),
    [
        (ListTaxpayersRequest(page_size=-1), "page_size"),
        (ListTaxpayersRequest(page_token="' OR 1=1"), "page_token"),
    ],
)
def test_a_page_nobody_gave_out_is_refused(
    platform: Platform, page: taxpayer_service_pb2.ListTaxpayersRequest, field: str
) -> None:
    with refused("INVALID_REQUEST") as found:
        platform.taxpayers.ListTaxpayers(page)

    assert found[0].facts["field"] == field
