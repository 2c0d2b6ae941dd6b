"""The made-up invoices pass every rule, on every type, and no two under one id differ."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice.rules import violations
from invoice.types import TYPES
from sandbox.invoices import Counter, request, requests
from taxcontrol.admin.v1 import taxpayer_pb2
from tests.samples.translation import draft
from tests.sandbox.places import PLACES, SELLERS, judged


@given(place=st.sampled_from(PLACES), n=st.integers(0, 2_000_000))
def test_a_made_up_invoice_breaks_no_rule(place: Counter, n: int) -> None:
    made = request(place, n, request_id="r")

    assert violations(draft(made), judged(place)) == ()
    assert len(made.lines) == 2


@pytest.mark.parametrize("type_code", sorted(TYPES))
def test_every_type_can_be_made_up(type_code: str) -> None:
    grant = taxpayer_pb2.TypeGrant(type=type_code, rates_ppm=[130_000], invoice_limit_fen=10**6)
    place = Counter(SELLERS[0], 0, grant)

    assert violations(draft(request(place, 1, request_id="r")), judged(place)) == ()


def test_requests_go_over_every_point_and_type_in_turn() -> None:
    made = list(requests(PLACES, 2 * len(PLACES), prefix="x"))

    places = [(one.point, one.type) for one in made]
    assert len({one.request_id for one in made}) == len(made)
    assert places[: len(PLACES)] == places[len(PLACES) :]
    assert len(set(places)) == len(PLACES) == 26
