"""The railway (铁路): single tickets, one call each, and a refund now and then as a red invoice."""

from collections import deque

from locust import between, task

from loadtests import checks
from loadtests.grpc_user import GrpcUser
from loadtests.papers import Papers
from loadtests.world import of_types
from taxcontrol.v1.invoice_pb2 import IssuedInvoice
from taxcontrol.v1.invoice_reversal_pb2 import ReverseInvoiceRequest

# Tickets that may still be refunded; the oldest travel first.
_TRAVELLERS = 50


class RailwayUser(GrpcUser):
    """A ticket office: the traveller waits at the counter for the answer."""

    weight = 5
    wait_time = between(0.1, 0.5)

    def on_start(self) -> None:
        """Open the office."""
        super().on_start()
        self.tickets = Papers(of_types(self.worker.places["railway"], "026", "007"))
        self.sold: deque[IssuedInvoice] = deque(maxlen=_TRAVELLERS)

    @task(20)
    def sell(self) -> None:
        """Sell a ticket; one traveller in fifty asks again because the line was bad."""
        request = self.tickets.draw(self.random)
        ticket = self.issue("railway: ticket", request)
        if ticket is None:
            return
        self.sold.append(ticket)
        if not self.random.randrange(50):
            self.again("railway: ticket again", request, ticket)

    @task(1)
    def refund(self) -> None:
        """Take a ticket back (退票): its full red."""
        if not self.sold:
            return
        ticket = self.sold.popleft()
        request = ReverseInvoiceRequest(
            request_id=self.new_id, name=ticket.name, red_reason="旅客退票"
        )
        answer = self.call("railway: refund", self.invoices.ReverseInvoice, request)
        if answer is not None:
            faults = checks.red_faults(ticket, answer.issued, request_id=request.request_id)
            self.check("railway: refund", faults, answer.issued)
