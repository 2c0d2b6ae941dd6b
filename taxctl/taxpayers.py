"""Asking the gateway for its taxpayers."""

from collections.abc import Iterator
from typing import Final

from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer
from taxcontrol.admin.v1.taxpayer_service_pb2 import ListTaxpayersRequest
from taxcontrol.admin.v1.taxpayer_service_pb2_grpc import TaxpayerServiceStub
from taxctl.connection import Connection

_PAGE_SIZE: Final = 500


def all_taxpayers(connection: Connection) -> Iterator[Taxpayer]:
    """Yield every registered taxpayer, page by page; raise ``CallFailed``."""
    stub = TaxpayerServiceStub(connection.channel)
    request = ListTaxpayersRequest(page_size=_PAGE_SIZE)
    while True:
        page = connection.call(stub.ListTaxpayers, request)
        yield from page.taxpayers
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
