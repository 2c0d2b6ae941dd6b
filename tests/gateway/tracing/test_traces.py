"""One trace from the call to its upload, whoever began it, also across a restart."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from taxcontrol.admin.v1 import upload_admin_service_pb2
from taxcontrol.v1 import invoice_reversal_pb2, invoice_service_pb2
from tests.e2e.sellers import new_id, ticket
from tests.e2e.wire import eventually
from tests.fakes.simulator_process import SimulatorProcess
from tests.fakes.software_signer import SoftwareSigner
from tests.gateway.tracing.running_gateway import Running, names_in, run, trace_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
ISSUE = "taxcontrol.v1.InvoiceService/IssueInvoice"
STEPS = ["invoice.reserve", "invoice.settle", "invoice.sign"]
UPLOAD = ["upload.result", "upload.submit"]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    home = tmp_path_factory.mktemp("authority")
    with SimulatorProcess(home, arguments=["--windows", ""]) as running:
        yield running


def traced(*, flags: str = "01") -> tuple[tuple[str, str], ...]:
    return (("traceparent", f"00-{TRACE}-{CALLER}-{flags}"),)


async def test_one_trace_from_the_call_to_the_upload(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    async with run(tmp_path, authority=simulator.target, signer=SoftwareSigner()) as gateway:
        platform = gateway.platform

        def work() -> None:
            seller = platform.new_seller("026", stock=10)
            request = ticket(seller, new_id("trace"), remark="不进追踪")
            platform.invoices.IssueInvoice(request, metadata=traced())
            eventually(lambda: platform.drained(seller))

        await gateway.call(work)

    spans = gateway.spans()
    assert names_in(spans, TRACE) == sorted([*STEPS, *UPLOAD, ISSUE])
    by_name = {span.name: span for span in spans if trace_of(span) == TRACE}
    call = by_name[ISSUE]
    assert call.parent is not None
    assert f"{call.parent.span_id:016x}" == CALLER
    assert call.context is not None
    for name in (*STEPS, *UPLOAD):
        span = by_name[name]
        assert span.parent is not None
        assert span.parent.span_id == call.context.span_id, name
        assert span.status.is_ok or span.status.is_unset
    in_order = ("invoice.reserve", "invoice.sign", "invoice.settle", "upload.submit")
    ended = [call.start_time or 0, *(by_name[name].end_time or 0 for name in in_order)]
    assert ended == sorted(ended)
    told = "".join(str(dict(span.attributes or {})) for span in spans)
    assert "不进追踪" not in told
    assert "个人" not in told
    assert gateway.tracer.counts().exported_count == len(spans)


async def test_the_upload_after_a_restart_belongs_to_the_trace_of_its_call(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    signer = SoftwareSigner()
    async with run(tmp_path, authority=simulator.target, signer=signer) as first:
        platform = first.platform

        def issue() -> str:
            seller = platform.new_seller("026", stock=10)
            platform.uploads.PauseUploads(
                upload_admin_service_pb2.PauseUploadsRequest(
                    request_id=new_id("pause"), parent=seller.name, reason="检修"
                )
            )
            platform.invoices.IssueInvoice(ticket(seller, new_id("trace")), metadata=traced())
            return seller.name

        name = await first.call(issue)
    async with run(tmp_path, authority=simulator.target, signer=signer.restarted()) as second:
        uploads = second.platform.uploads

        def resume() -> None:
            uploads.ResumeUploads(
                upload_admin_service_pb2.ResumeUploadsRequest(
                    request_id=new_id("resume"), parent=name, reason="检修完毕"
                )
            )
            asked = upload_admin_service_pb2.GetUploadStatusRequest(parent=name)
            eventually(lambda: not uploads.GetUploadStatus(asked).status.pending_count)
            eventually(lambda: not uploads.GetUploadStatus(asked).status.submitted_count)

        await second.call(resume)

    assert names_in(first.spans(), TRACE) == sorted([*STEPS, ISSUE])
    assert names_in(second.spans(), TRACE) == UPLOAD


async def test_a_void_and_its_upload_are_one_trace(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    async with run(
        tmp_path, authority=simulator.target, signer=SoftwareSigner(), sample_ratio=0.0
    ) as gateway:
        platform = gateway.platform

        def work() -> None:
            seller = platform.new_seller("026", stock=10)
            issued = platform.issue(ticket(seller, new_id("trace")))
            eventually(lambda: platform.drained(seller))
            platform.invoices.VoidInvoice(
                invoice_reversal_pb2.VoidInvoiceRequest(
                    request_id=new_id("void"), name=issued.name, reason="开具有误"
                ),
                metadata=traced(),
            )
            eventually(lambda: platform.drained(seller))

        await gateway.call(work)

    void = "taxcontrol.v1.InvoiceService/VoidInvoice"
    steps = ["statement.settle", "statement.sign"]
    assert names_in(gateway.spans(), TRACE) == sorted([void, *steps, *UPLOAD])
    assert {trace_of(span) for span in gateway.spans()} == {TRACE}  # nothing else was sampled


async def test_a_step_that_served_many_is_linked_with_each(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    async with run(
        tmp_path, authority=simulator.target, signer=SoftwareSigner(), sample_ratio=0.0
    ) as gateway:
        platform = gateway.platform

        def work() -> None:
            seller = platform.new_seller("026", stock=10)
            requests = [ticket(seller, new_id("trace")) for _ in range(5)]
            platform.invoices.BatchIssueInvoices(
                invoice_service_pb2.BatchIssueInvoicesRequest(requests=requests),
                metadata=traced(),
            )

        await gateway.call(work)

    (group,) = [span for span in gateway.spans() if span.name == "invoice.sign.group"]
    signs = [span for span in gateway.spans() if span.name == "invoice.sign"]
    assert len(signs) == len(group.links) == 5
    assert trace_of(group) != TRACE
    assert {trace_of(span) for span in signs} == {TRACE}
    assert {f"{link.context.trace_id:032x}" for link in group.links} == {TRACE}
    for span in signs:
        assert [link.context for link in span.links] == [group.context]


@pytest.mark.parametrize("flags", ["00", None])
async def test_what_is_not_sampled_has_no_span(
    simulator: SimulatorProcess, tmp_path: Path, flags: str | None
) -> None:
    async with run(
        tmp_path, authority=simulator.target, signer=SoftwareSigner(), sample_ratio=0.0
    ) as gateway:
        await gateway.call(lambda: issue_one(gateway, flags))

    assert gateway.spans() == []


async def test_a_refusal_is_told_by_name(simulator: SimulatorProcess, tmp_path: Path) -> None:
    async with run(tmp_path, authority=simulator.target, signer=SoftwareSigner()) as gateway:

        def work() -> None:
            seller = gateway.platform.new_seller("026")
            with pytest.raises(grpc.RpcError):
                gateway.platform.invoices.IssueInvoice(ticket(seller, "none"), metadata=traced())

        await gateway.call(work)

    (call,) = [span for span in gateway.spans() if span.name == ISSUE]
    assert call.status.description == "STOCK_EXHAUSTED"
    assert call.attributes is not None
    assert call.attributes["taxcontrol.reason"] == "STOCK_EXHAUSTED"
    assert call.attributes["request_id"] == "none"


def issue_one(gateway: Running, flags: str | None) -> None:
    seller = gateway.platform.new_seller("026", stock=10)
    metadata = None if flags is None else traced(flags=flags)
    gateway.platform.invoices.IssueInvoice(ticket(seller, new_id("trace")), metadata=metadata)
    eventually(lambda: gateway.platform.drained(seller))
