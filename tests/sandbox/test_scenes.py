"""What the scenes of the demo make and check is what they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoice import marks
from invoice.rules import violations
from sandbox.deeds import Deeds
from sandbox.invoices import request
from sandbox.reversals import red_of_first_line
from sandbox.stage import Disagreement
from sandbox.verifying import forged
from sandbox.watching import check_seen
from taxcontrol.v1.invoice_pb2 import Invoice, IssuedInvoice, VoidStatement
from taxcontrol.v1.invoice_query_pb2 import InvoiceChange
from tests.samples.translation import draft
from tests.sandbox.places import DIGITAL_PLACE, judged

NAME = "taxpayers/T/invoices/c-00000001"
ISSUED, VOIDED = InvoiceChange.TYPE_ISSUED, InvoiceChange.TYPE_VOIDED


@given(n=st.integers(0, 2_000_000))
def test_a_red_of_one_line_breaks_no_rule(n: int) -> None:
    blue = request(DIGITAL_PLACE, n, request_id="blue")
    issued = IssuedInvoice(number="26321000000000000001")

    red = red_of_first_line(blue, issued, request_id="red")

    assert violations(draft(red), judged(DIGITAL_PLACE)) == ()
    assert -blue.net_fen < red.net_fen < 0


def test_a_forged_qr_text_reads_well_and_says_another_amount() -> None:
    right = "01,10,011002600111,00000001,444.45,20261122,65096445897419672051,AB90"

    read, wrong = marks.parse_qr(right), marks.parse_qr(forged(right))

    assert wrong.net_fen != read.net_fen
    assert wrong._replace(net_fen=read.net_fen) == read


DEEDS = Deeds(issued=[IssuedInvoice(name=NAME)], voids=[VoidStatement(invoice=NAME)])


def changes(*types: "InvoiceChange.Type.ValueType") -> list[InvoiceChange]:
    invoice = Invoice(issued=IssuedInvoice(name=NAME))
    return [InvoiceChange(type=one, invoice=invoice) for one in types]


def test_a_watch_that_saw_everything_once_is_right() -> None:
    check_seen(changes(ISSUED, InvoiceChange.TYPE_UPLOAD_ACCEPTED, VOIDED), DEEDS)


@pytest.mark.parametrize("types", [[ISSUED], [VOIDED], [ISSUED, ISSUED, VOIDED]])
def test_a_watch_that_missed_or_doubled_a_change_is_found(
    types: list["InvoiceChange.Type.ValueType"],
) -> None:
    with pytest.raises(Disagreement, match=NAME):
        check_seen(changes(*types), DEEDS)
