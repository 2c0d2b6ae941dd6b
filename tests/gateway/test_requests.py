"""What all requests of operators have in common: types there are, what an id stands for."""

import orjson
import pytest

from gateway import requests, status
from invoice.errors import InvalidRequest
from invoice.types import TYPES
from taxcontrol.admin.v1.stock_admin_service_pb2 import DrawStockRequest


@pytest.mark.parametrize("type_code", sorted(TYPES))
def test_an_invoice_type_there_is_passes(type_code: str) -> None:
    requests.check_type(type_code)


@pytest.mark.parametrize(
    ("type_code", "rule"),
    [("", "FIELD_REQUIRED"), ("999", "FIELD_FORMAT"), ("0" * 5000, "FIELD_FORMAT")],
)
def test_another_type_is_refused_without_being_repeated(type_code: str, rule: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        requests.check_type(type_code)

    assert refused.value.facts == {"field": "type", "rule": rule}
    assert status.to_status(refused.value).ByteSize() < 500


def test_an_id_stands_for_what_is_asked_not_for_how() -> None:
    request = DrawStockRequest(request_id="a", parent="taxpayers/x", count=3, reason="why")

    bound = requests.binding("default", "draw_stock", request, "a")

    assert orjson.loads(bound.request) == {"parent": "taxpayers/x", "count": "3"}
