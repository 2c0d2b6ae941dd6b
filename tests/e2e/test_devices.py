"""Devices over the wire, on a real token: shown, refused by name, and given a new key."""

import threading
from datetime import UTC, datetime

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm.verify import verify
from invoice import content
from taxcontrol.admin.v1 import device_service_pb2, device_service_pb2_grpc
from taxcontrol.v1 import invoice_pb2
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, ticket
from tests.e2e.wire import eventually, refused


@pytest.fixture
def devices(platform: Platform) -> device_service_pb2_grpc.DeviceServiceStub:
    return device_service_pb2_grpc.DeviceServiceStub(platform.channel)


def _of(
    devices: device_service_pb2_grpc.DeviceServiceStub, seller: Seller
) -> device_service_pb2.DeviceStatus:
    listed = devices.ListDevices(device_service_pb2.ListDevicesRequest(parent=seller.name))
    (device,) = listed.devices
    status: device_service_pb2.DeviceStatus = device
    return status


def test_a_device_that_is_not_is_not_found(
    seller: Seller, devices: device_service_pb2_grpc.DeviceServiceStub
) -> None:
    name = f"{seller.name}/devices/661999999999"

    with refused("DEVICE_NOT_FOUND", grpc.StatusCode.NOT_FOUND) as caught:
        devices.GetMonitorInfo(device_service_pb2.GetMonitorInfoRequest(name=name))
    with refused("DEVICE_NOT_FOUND"):
        devices.RotateKey(
            device_service_pb2.RotateKeyRequest(request_id=new_id(), name=name, reason="试")
        )

    assert caught[0].facts["machine_number"] == "661999999999"


def test_a_month_that_is_not_over_is_not_summarised(
    seller: Seller, devices: device_service_pb2_grpc.DeviceServiceStub
) -> None:
    device = _of(devices, seller)
    request = device_service_pb2.SummarisePeriodRequest(
        request_id=new_id(), name=device.name, period=device.open_period, validate_only=True
    )

    with refused("PERIOD_NOT_CLOSABLE", grpc.StatusCode.FAILED_PRECONDITION) as caught:
        devices.SummarisePeriod(request)

    assert caught[0].facts == {"period": device.open_period, "cause": "NOT_OVER"}


def test_devices_are_listed_page_by_page(
    platform: Platform, devices: device_service_pb2_grpc.DeviceServiceStub
) -> None:
    sellers = [platform.new_seller("026") for _ in range(3)]
    found, token = [], ""
    while True:
        page = devices.ListDevices(
            device_service_pb2.ListDevicesRequest(page_size=1, page_token=token)
        )
        found += [device.name for device in page.devices]
        token = page.next_page_token
        if not token:
            break

    assert {_of(devices, seller).name for seller in sellers} <= set(found)
    assert len(found) == len(set(found))
    with refused("INVALID_REQUEST"):
        devices.ListDevices(device_service_pb2.ListDevicesRequest(page_token="1"))


def test_a_key_is_changed_in_the_token_while_sixteen_issue(
    platform: Platform, devices: device_service_pb2_grpc.DeviceServiceStub
) -> None:
    seller = platform.new_seller("026", stock=600)
    device = _of(devices, seller)
    issued: list[invoice_pb2.IssuedInvoice] = []
    failed: list[grpc.RpcError] = []
    stop = threading.Event()

    def issue_on() -> None:
        while not stop.is_set() and len(issued) < 550:
            try:
                issued.append(platform.issue(ticket(seller)))
            except grpc.RpcError as error:
                failed.append(error)

    callers = [threading.Thread(target=issue_on) for _ in range(16)]
    for caller in callers:
        caller.start()
    eventually(lambda: len(issued) >= 16)
    request = device_service_pb2.RotateKeyRequest(
        request_id=new_id("rotate"), name=device.name, reason="证书将到期", validate_only=True
    )
    dry = devices.RotateKey(request).device
    request.validate_only = False
    rotated = devices.RotateKey(request).device
    eventually(lambda: any(one.key_id == rotated.keys[0].key_id for one in issued))
    stop.set()
    for caller in callers:
        caller.join()
    eventually(lambda: platform.drained(seller))

    assert failed == []
    assert [key.key_id for key in dry.keys] == [key.key_id for key in device.keys]
    assert [key.active for key in rotated.keys] == [True, False]
    assert {one.key_id for one in issued} == {key.key_id for key in rotated.keys}
    assert rotated.keys[0].expire_time.ToDatetime(UTC) > datetime.now(tz=UTC)
    for one in issued:
        got = platform.get(name=one.name)
        public = _public(got.certificate)
        digest = content.digest(content.INVOICE_TAG, one.content)
        assert verify(public, "P-256", digest, one.signature)
    assert platform.unuploaded(seller) == []
    assert platform.books().findings == []


def _public(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
