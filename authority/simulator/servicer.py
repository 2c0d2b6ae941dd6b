"""What taxpayers call: each RPC names its call and its effect, the desk does the rest."""

# ruff: noqa: N802 - the RPCs' own names

import time

from authority.simulator import messages
from authority.simulator.desk import Call, Context, Desk
from authority.simulator.intake import Intake
from authority.simulator.office import Office
from authority.simulator.summary_counter import SummaryCounter
from taxcontrol.authority.v1 import authority_service_pb2 as wire
from taxcontrol.authority.v1 import period_pb2
from taxcontrol.authority.v1.authority_service_pb2_grpc import AuthorityServiceServicer

_NS_PER_MS = 1_000_000


class AuthorityServicer(AuthorityServiceServicer):
    """Serves ``taxcontrol.authority.v1.AuthorityService``."""

    def __init__(
        self, *, desk: Desk, office: Office, intake: Intake, summaries: SummaryCounter
    ) -> None:
        self._desk = desk
        self._office = office
        self._intake = intake
        self._summaries = summaries

    async def RegisterTaxpayer(
        self, request: wire.RegisterTaxpayerRequest, context: Context
    ) -> wire.RegisterTaxpayerResponse:
        """See the proto."""

        async def effect() -> wire.RegisterTaxpayerResponse:
            registration = await self._office.register_taxpayer(
                messages.seller(request.seller),
                [messages.allowance(each) for each in request.wanted],
            )
            return messages.registration(registration, self._office.policy.windows)

        return await self._desk.answer(context, Call(method="RegisterTaxpayer"), effect)

    async def RegisterDevice(
        self, request: wire.RegisterDeviceRequest, context: Context
    ) -> wire.RegisterDeviceResponse:
        """See the proto."""

        async def effect() -> wire.RegisterDeviceResponse:
            machine_number = await self._office.register_device(
                request_id=request.request_id, tax_number=request.tax_number, kind=request.kind
            )
            return wire.RegisterDeviceResponse(machine_number=machine_number)

        return await self._desk.answer(context, Call(method="RegisterDevice"), effect)

    async def IssueCertificate(
        self, request: wire.IssueCertificateRequest, context: Context
    ) -> wire.IssueCertificateResponse:
        """See the proto."""

        async def effect() -> wire.IssueCertificateResponse:
            certificate = await self._office.issue_certificate(
                machine_number=request.machine_number, csr=request.csr
            )
            return wire.IssueCertificateResponse(
                certificate=certificate, ca_certificate=self._office.ca_certificate
            )

        return await self._desk.answer(context, Call(method="IssueCertificate"), effect)

    async def GrantStock(
        self, request: wire.GrantStockRequest, context: Context
    ) -> wire.GrantStockResponse:
        """See the proto."""

        async def effect() -> wire.GrantStockResponse:
            grant = await self._office.grant_stock(
                request_id=request.request_id,
                tax_number=request.tax_number,
                type_=request.type,
                count=request.count,
            )
            return wire.GrantStockResponse(grant=messages.grant(grant))

        return await self._desk.answer(context, Call(method="GrantStock"), effect)

    async def ConfirmGrant(
        self, request: wire.ConfirmGrantRequest, context: Context
    ) -> wire.ConfirmGrantResponse:
        """See the proto."""

        async def effect() -> wire.ConfirmGrantResponse:
            grant = await self._office.confirm_grant(request.grant_id)
            return wire.ConfirmGrantResponse(grant=messages.grant(grant))

        return await self._desk.answer(context, Call(method="ConfirmGrant"), effect)

    async def GetGrant(
        self, request: wire.GetGrantRequest, context: Context
    ) -> wire.GetGrantResponse:
        """See the proto."""

        async def effect() -> wire.GetGrantResponse:
            grant = await self._office.get_grant(request.request_id)
            return wire.GetGrantResponse(grant=messages.grant(grant))

        return await self._desk.answer(context, Call(method="GetGrant"), effect)

    async def ReturnStock(
        self, request: wire.ReturnStockRequest, context: Context
    ) -> wire.ReturnStockResponse:
        """See the proto."""

        async def effect() -> wire.ReturnStockResponse:
            returned = await self._office.return_stock(
                request_id=request.request_id, numbers=messages.numbers(request)
            )
            return wire.ReturnStockResponse(return_serial=returned.return_serial)

        return await self._desk.answer(context, Call(method="ReturnStock"), effect)

    async def SubmitInvoices(
        self, request: wire.SubmitInvoicesRequest, context: Context
    ) -> wire.SubmitInvoicesResponse:
        """See the proto."""

        async def effect() -> wire.SubmitInvoicesResponse:
            taken = await self._intake.submit(messages.submission(request), self._desk.mischief)
            left_ns = max(0, taken.done_ns - time.time_ns())
            return wire.SubmitInvoicesResponse(
                acceptance_serial=taken.acceptance_serial,
                result_delay_ms=-(-left_ns // _NS_PER_MS),
            )

        call = Call(method="SubmitInvoices", uploader=request.tax_number)
        return await self._desk.answer(context, call, effect)

    async def GetSubmission(
        self, request: wire.GetSubmissionRequest, context: Context
    ) -> wire.GetSubmissionResponse:
        """See the proto."""

        async def effect() -> wire.GetSubmissionResponse:
            taken = await self._intake.find(
                tax_number=request.tax_number, submission_id=request.submission_id
            )
            return wire.GetSubmissionResponse(acceptance_serial=taken.acceptance_serial)

        call = Call(method="GetSubmission", uploader=request.tax_number)
        return await self._desk.answer(context, call, effect)

    async def GetResults(
        self, request: wire.GetResultsRequest, context: Context
    ) -> wire.GetResultsResponse:
        """See the proto."""

        async def effect() -> wire.GetResultsResponse:
            found = await self._intake.results(
                tax_number=request.tax_number, serials=list(request.acceptance_serials)
            )
            return wire.GetResultsResponse(
                submissions=[messages.submission_result(serial, judged) for serial, judged in found]
            )

        call = Call(method="GetResults", uploader=request.tax_number)
        return await self._desk.answer(context, call, effect)

    async def SummarisePeriod(
        self, request: period_pb2.SummarisePeriodRequest, context: Context
    ) -> period_pb2.SummarisePeriodResponse:
        """See the proto."""

        async def effect() -> period_pb2.SummarisePeriodResponse:
            serial = await self._summaries.take(messages.summary(request))
            return period_pb2.SummarisePeriodResponse(summary_serial=serial)

        return await self._desk.answer(context, Call(method="SummarisePeriod"), effect)
