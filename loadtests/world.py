"""The gateway that is loaded: one of our own, or a running one, with taxpayers and stock."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.invoices import Counter, counters
from sandbox.layout import SAMPLES
from sandbox.system import System
from sandbox.taxpayers import stock_up
from taxcontrol.admin.v1.device_service_pb2 import ListDevicesRequest
from taxcontrol.admin.v1.device_service_pb2_grpc import DeviceServiceStub
from taxcontrol.admin.v1.taxpayer_pb2 import Point, Taxpayer
from taxcontrol.admin.v1.taxpayer_service_pb2 import (
    ListTaxpayersRequest,
    RegisterTaxpayerRequest,
)
from taxcontrol.admin.v1.taxpayer_service_pb2_grpc import TaxpayerServiceStub
from taxctl import registration
from taxctl.connection import Connection, connect

# No windows and no offline limits: the load is not to end at what an authority allows.
_UNLIMITED: Final = (
    "--windows",
    "",
    "--age-hours",
    "-1",
    "--amount-yuan",
    str(10**12),
    "--count",
    "-1",
)
_FILES: Final = ("taxpayers.json", "taxpayers-json.json")
_MERCHANT: Final = "merchant"
_MERCHANT_POINTS: Final = 8

STOCK_LOW: Final = 2_000
STOCK: Final = 5_000


@contextmanager
def gateway(target: str, folder: Path) -> Iterator[str]:
    """Where to call: ``target``, or without one a gateway of our own in ``folder``, as long as needed."""
    if target:
        yield target
        return
    with System(folder, simulator_options=_UNLIMITED) as system:
        yield system.target


def prepare(target: str) -> None:
    """Register who is missing and give every point stock of every type; raise ``CallFailed``."""
    connection = connect(target, operator="loadtest")
    with connection.channel:
        there = {taxpayer.tax_number for taxpayer in _registered(connection)}
        for taxpayer in _wanted():
            if taxpayer.tax_number not in there:
                _register(connection, taxpayer)
        places = [place for of_role in by_role(connection).values() for place in of_role]
        stock_up(connection, places, low=STOCK_LOW, count=STOCK)


def by_role(connection: Connection) -> dict[str, list[Counter]]:
    """The points and types of each sample taxpayer, by what it is, such as ``railway``."""
    taxpayers = {taxpayer.tax_number: taxpayer for taxpayer in _registered(connection)}
    return {
        role: counters([taxpayers[tax_number]])
        for tax_number, role in _roles().items()
        if tax_number in taxpayers
    }


def of_types(places: Sequence[Counter], *types: str) -> list[Counter]:
    """Those ``places`` that issue one of ``types``."""
    return [place for place in places if place.grant.type in types]


def certificates(connection: Connection) -> dict[tuple[str, str], bytes]:
    """The certificate (X.509 DER) of every device by machine number and key id."""
    stub = DeviceServiceStub(connection.channel)
    found: dict[tuple[str, str], bytes] = {}
    request = ListDevicesRequest(page_size=1000)
    while True:
        page = connection.call(stub.ListDevices, request)
        for device in page.devices:
            for key in device.keys:
                found[device.machine_number, key.key_id] = key.certificate
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def _registered(connection: Connection) -> list[Taxpayer]:
    stub = TaxpayerServiceStub(connection.channel)
    found: list[Taxpayer] = []
    request = ListTaxpayersRequest()
    while True:
        page = connection.call(stub.ListTaxpayers, request)
        found += page.taxpayers
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def _register(connection: Connection, taxpayer: Taxpayer) -> None:
    request = RegisterTaxpayerRequest(
        request_id=f"loadtest-{taxpayer.tax_number}", taxpayer=taxpayer, reason="load test"
    )
    connection.call(TaxpayerServiceStub(connection.channel).RegisterTaxpayer, request)


def _wanted() -> list[Taxpayer]:
    """The sample taxpayers; the merchant is a chain with more shops than the sample has."""
    roles = _roles()
    found = []
    for file in _FILES:
        for taxpayer in registration.taxpayers((SAMPLES / file).read_bytes()):
            if roles[taxpayer.tax_number] == _MERCHANT:
                del taxpayer.points[:]
                taxpayer.points.extend(Point(number=n) for n in range(_MERCHANT_POINTS))
            found.append(taxpayer)
    return found


def _roles() -> Mapping[str, str]:
    return {
        entry["tax_no"]: entry["key"]
        for file in _FILES
        for entry in json.loads((SAMPLES / file).read_text(encoding="utf-8"))
    }
