"""What the users send is right: no rule is broken, and no id is used twice."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from invoice.rules import violations
from loadtests.papers import Papers, merged
from sandbox.invoices import Counter, request
from taxcontrol.v1.invoice_pb2 import PRIORITY_BULK
from tests.samples.translation import draft
from tests.sandbox.places import PLACES, judged


@given(place=st.sampled_from(PLACES), orders=st.integers(1, 4), n=st.integers(0, 500))
def test_orders_on_one_invoice_break_no_rule(place: Counter, orders: int, n: int) -> None:
    whole = merged([request(place, n + k, request_id="r") for k in range(orders)])

    assert violations(draft(whole), judged(place)) == ()
    assert len(whole.lines) == 2 * orders


def test_every_paper_has_an_id_of_its_own_whatever_the_seed() -> None:
    drawn = [
        one.request_id
        for _ in range(2)
        for random in [Random(1)]
        for papers in [Papers(PLACES)]
        for one in [papers.draw(random) for _ in range(200)]
    ]

    assert len(set(drawn)) == 400


def test_bulk_goes_behind_everybody_else() -> None:
    paper = Papers(PLACES, bulk=True).draw(Random(1))

    assert paper.priority == PRIORITY_BULK
