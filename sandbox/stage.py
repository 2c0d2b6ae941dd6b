"""What every scene of the demo plays on: a gateway, its taxpayers, and what was done so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import grpc
from google.protobuf.message import Message

from sandbox.deeds import Deeds
from sandbox.invoices import Counter, counters, request
from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer
from taxcontrol.v1.invoice_pb2 import Invoice, IssuedInvoice
from taxcontrol.v1.invoice_service_pb2 import GetInvoiceRequest, IssueInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import Connection
from taxctl.failure import CallFailed, reason_name
from taxctl.screen import Screen

DIGITAL: Final = "082"
ELECTRONIC: Final = "026"
DONATION: Final = "D01"
_LABEL_WIDTH: Final = 11

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)


class Disagreement(Exception):
    """Something is not as it must be; the sentence says what."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """A gateway and how to call it. ``deeds`` are what the authorities must have heard of."""

    screen: Screen
    connection: Connection
    taxpayers: Sequence[Taxpayer]
    deeds: Deeds = field(default_factory=Deeds)
    _made: int = 0

    @property
    def invoices(self) -> InvoiceServiceStub:
        """The stub of ``InvoiceService``."""
        return InvoiceServiceStub(self.connection.channel)

    def tell(self, label: str, *lines: str) -> None:
        """Print what was done, under a label."""
        for line in lines:
            self.screen.line(f"  {label:<{_LABEL_WIDTH}}{line}")
            label = ""

    def place(self, type_code: str, at: int = 0) -> Counter:
        """The ``at``-th point where a type is issued."""
        places = [one for one in counters(self.taxpayers) if one.grant.type == type_code]
        return places[at]

    def make(self, place: Counter) -> IssueInvoiceRequest:
        """Make a request that nobody has sent yet."""
        self._made += 1
        return request(place, self._made, request_id=f"scene-{self._made}")

    def request_id(self) -> str:
        """A request id that nobody has used yet."""
        self._made += 1
        return f"scene-{self._made}"

    def issue(self, wanted: IssueInvoiceRequest) -> IssuedInvoice:
        """Issue one invoice and note it."""
        issued = self.connection.call(self.invoices.IssueInvoice, wanted).issued
        self.deeds.issued.append(issued)
        return issued

    def expect_state(self, issued: IssuedInvoice, state: "Invoice.State.ValueType") -> None:
        """Raise :class:`Disagreement` unless an invoice stands like this."""
        wanted = GetInvoiceRequest(name=issued.name)
        found = self.connection.call(self.invoices.GetInvoice, wanted).invoice.state
        if found != state:
            raise Disagreement(
                f"{issued.name} is {Invoice.State.Name(found)}, not {Invoice.State.Name(state)}"
            )

    def expect_refusal(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        reason: str,
    ) -> None:
        """Raise :class:`Disagreement` unless a call is refused for ``reason``."""
        try:
            self.connection.call(method, request)
        except CallFailed as error:
            found = reason_name(error.failure)
        else:
            found = "not refused"
        if found != reason:
            raise Disagreement(f"a call that must be refused as {reason} was {found}")


def short(name: str) -> str:
    """``{code}-{number}`` of an invoice's name."""
    return name.rpartition("/")[2]
