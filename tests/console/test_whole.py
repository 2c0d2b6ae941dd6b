"""The page before a real gateway with device and authority: what is typed there is done there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from sandbox.invoices import counters, request
from sandbox.system import System
from sandbox.taxpayers import register_samples, stock_up
from taxcontrol.admin.v1.upload_admin_service_pb2 import GetUploadStatusRequest
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub
from taxcontrol.admin.v1.upload_pb2 import UploadStatus
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import Connection, connect
from tests.console.conftest import console

_ENGLISH = {"Accept-Language": "en"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A console's client, the gateway behind it, and an invoice that was issued there."""

    client: httpx.Client
    connection: Connection
    taxpayer: str
    issued: IssuedInvoice

    def status(self) -> UploadStatus:
        """Where the uploads stand, as the gateway itself says."""
        stub = UploadAdminServiceStub(self.connection.channel)
        wanted = GetUploadStatusRequest(parent=self.taxpayer)
        return self.connection.call(stub.GetUploadStatus, wanted).status

    def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page as a browser would, with what the page has hidden in it."""
        page = self.client.get(path)
        return self.client.post(path, data={**hidden(page.text), **fields})


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's last form."""
    form = page[page.rindex("<form") :]
    return dict(re.findall(r'type="hidden" name="([a-z_0-9]+)" value="([^"]*)"', form))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Token, simulators, gateway and console; one invoice issued."""
    folder = tmp_path_factory.mktemp("whole")
    with System(folder / "system") as system:
        connection = connect(system.target)
        process = console(folder / "console.log", "--target", system.target)
        with connection.channel:
            places = counters(register_samples(connection, "taxpayers.json"))[:1]
            stock_up(connection, places, low=1, count=20)
            stub = InvoiceServiceStub(connection.channel)
            wanted = request(places[0], 1, request_id="page-of-a-real-gateway")
            issued = connection.call(stub.IssueInvoice, wanted).issued
            with httpx.Client(
                base_url=f"http://{process.start()}",
                headers=_ENGLISH,
                trust_env=False,
                follow_redirects=True,
                timeout=30,
            ) as client:
                yield Whole(client, connection, places[0].taxpayer.name, issued)
            assert process.stop() == 0


def test_an_invoice_is_found_by_its_request_id_and_shown_as_it_was_signed(whole: Whole) -> None:
    answer = whole.send("/invoices", text=whole.issued.request_id, taxpayer="")

    assert answer.url.path == f"/{whole.issued.name}"
    assert whole.issued.check_code in answer.text
    assert "示例采购丙有限公司" in answer.text
    assert "电热水壶" in answer.text


def test_its_qr_text_is_genuine_to_a_stranger(whole: Whole) -> None:
    answer = whole.send("/invoices", text=whole.issued.qr_text, taxpayer="")

    assert "Genuine: issued here and in force" in answer.text


def test_uploads_are_paused_and_resumed_by_the_gateway_once_they_are_confirmed(
    whole: Whole,
) -> None:
    path = f"/{whole.taxpayer}/uploads/pause"
    asked = whole.send(path, minutes="60", reason="Maintenance", operator="wang.li")
    assert "Nothing is sent to the authority until" in asked.text
    assert not whole.status().paused

    done = whole.client.post(path, data=hidden(asked.text))
    assert done.status_code == 200
    status = whole.status()
    assert (status.paused, status.pause_reason) == (True, "Maintenance")
    assert status.HasField("paused_until")

    path = f"/{whole.taxpayer}/uploads/resume"
    asked = whole.send(path)
    whole.client.post(path, data=hidden(asked.text))
    assert not whole.status().paused


def test_the_rate_is_set_as_it_was_confirmed_and_taken_back(whole: Whole) -> None:
    path = f"/{whole.taxpayer}/uploads/rate"
    window = whole.status().windows[0]
    field = f"calls_{window.period_ms}"

    asked = whole.send(path, **{field: "1"}, reason="Slowly", operator="wang.li")
    whole.client.post(path, data=hidden(asked.text))
    [lowered] = whole.status().set_windows
    assert (lowered.period_ms, lowered.call_count_max) == (window.period_ms, 1)

    asked = whole.send(path, reason="Fast again", operator="wang.li")
    assert "as fast as the authority allows" in asked.text
    whole.client.post(path, data=hidden(asked.text))
    assert list(whole.status().set_windows) == []
