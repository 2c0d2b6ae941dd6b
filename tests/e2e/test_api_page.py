"""The pages of the API are true: every example is sent and compared, every reason has its test.

What may happen between two examples, as a comment in the page:

- ``again: Service.Method field=value …``: the first example of that method once more, with these
  fields of its own.
- ``authority: fault=value …``: the simulated authority has these faults from now on; none ends them.
- ``uploads: wait``: every seller's uploads have their final answers.
- ``charity: tax number``: a charity is registered with the finance department, and has stock.
"""

import ast
import base64
import itertools
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from taxcontrol.admin.v1 import (
    alert_service_pb2,
    audit_service_pb2,
    desk_service_pb2,
    device_service_pb2,
    stock_admin_service_pb2,
    taxpayer_service_pb2,
    upload_admin_service_pb2,
)
from taxcontrol.authority.v1 import simulator_service_pb2
from taxcontrol.v1 import invoice_service_pb2, stock_service_pb2
from tests.e2e import api_page
from tests.e2e.api_page import Example, Happening, Known
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller
from tests.e2e.wire import eventually
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess

_FILES = (
    invoice_service_pb2,
    stock_service_pb2,
    taxpayer_service_pb2,
    stock_admin_service_pb2,
    upload_admin_service_pb2,
    device_service_pb2,
    desk_service_pb2,
    alert_service_pb2,
    audit_service_pb2,
)
METHODS: dict[str, MethodDescriptor] = {
    f"{service.name}.{method.name}": method
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
_WITHIN_S = 20.0
# What uploads make true is true soon; and strangers may not ask too often.
_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.4, *[1.0] * 19)
BIN = Path(sys.prefix) / "bin"
STORY = api_page.read_story()
REASONS = {reason.name: reason for reason in api_page.read_reasons()}


class Teller:
    """Tells the story of the pages to a gateway, through stubs made of descriptors."""

    def __init__(
        self, gateway: GatewayProcess, simulator: SimulatorProcess, known: Known | None = None
    ) -> None:
        self._gateway = gateway
        self._simulator = simulator
        self.known: Known = known or {}
        self._firsts: dict[str, Example] = {}

    def tell(self, example: Example) -> None:
        """Send one example and compare; a read is asked again until it is as the page says."""
        self._firsts.setdefault(example.method, example)
        requests = api_page.filled(example.requests, self.known)
        level = METHODS[example.method].GetOptions().idempotency_level
        reads = level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS
        for pause_s in (*(_PAUSES_S if reads else ()), None):
            known = dict(self.known)
            actual = self._call(example, requests)
            differences = _differences(example, actual, known)
            if not differences:
                self.known.update(known)
                return
            if pause_s is not None:
                time.sleep(pause_s)
        shown = json.dumps(actual, ensure_ascii=False, indent=2)
        raise AssertionError("\n".join([example.where, *differences, shown]))

    def let_happen(self, happening: Happening) -> None:
        """Do what a comment says."""
        words = happening.words.split()
        match happening.kind:
            case "again":
                example = self._firsts[words[0]]
                changed = {**example.requests[0], **dict(word.split("=") for word in words[1:])}
                self._call(example, api_page.filled([changed], self.known))
            case "authority":
                faults = dict(word.split("=") for word in words)
                plan = json_format.ParseDict(faults, simulator_service_pb2.FaultPlan())
                self._simulator.set_faults(plan)
            case "uploads":
                eventually(lambda: _drained(Platform(self._gateway.channel)))
            case "charity":
                _open_charity(Platform(self._gateway.channel), happening.words)
            case _:
                raise api_page.PageError(f"{happening.where}: nobody knows {happening.kind!r}")

    def _call(self, example: Example, requests: list[Any]) -> list[Any]:
        """The replies as proto JSON, or the status of the refusal."""
        method = METHODS[example.method]
        messages = [
            json_format.ParseDict(one, GetMessageClass(method.input_type)()) for one in requests
        ]
        try:
            replies = _answers(self._gateway.channel, method, messages, example)
            return [json_format.MessageToDict(reply) for reply in replies]
        except grpc.RpcError as error:
            status = rpc_status.from_call(error)
            if example.answer != "Refused:" or status is None:
                raise AssertionError(f"{example.where}: {error}") from error
            return [json_format.MessageToDict(status)]


def _answers(
    channel: grpc.Channel, method: MethodDescriptor, messages: list[Message], example: Example
) -> list[Any]:
    """Call a method of any shape; of a stream without end as many replies as the page shows."""
    reply = GetMessageClass(method.output_type)
    shape = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, True): channel.stream_stream,
    }[method.client_streaming, method.server_streaming]
    make: Callable[..., Any] = shape
    stub = make(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=reply.FromString,
    )
    sent: Any = iter(messages) if method.client_streaming else messages[0]
    answer = stub(sent, timeout=_WITHIN_S)
    if not method.server_streaming:
        return [answer]
    if example.answer != "First replies:":
        replies = list(answer)
        return replies[-1:] if example.answer == "Last reply:" else replies
    first = list(itertools.islice(answer, len(example.replies)))
    answer.cancel()
    return first


def _differences(example: Example, actual: list[Any], known: Known) -> list[str]:
    orders = [tuple(actual)]
    if example.answer == "Replies, in any order:":
        orders = list(itertools.permutations(actual))
    found: list[tuple[list[str], Known]] = []
    for order in orders:
        met = dict(known)
        found.append((api_page.compare(example.replies, list(order), met), met))
    differences, met = min(found, key=lambda one: len(one[0]))
    known.update(met)
    if example.content is not None and not differences:
        content = json.loads(base64.b64decode(_content(actual)))
        differences = api_page.compare(example.content, content, known, "content")
        if not differences and list(content) != list(example.content):
            differences = [f"content: in the order {list(content)}"]
    return differences


def _content(replies: list[Any]) -> str:
    """The one signed content in a reply."""
    [one] = (part["content"] for part in replies[0].values() if "content" in part)
    return str(one)


def _drained(platform: Platform) -> bool:
    page = platform.taxpayers.ListTaxpayers(taxpayer_service_pb2.ListTaxpayersRequest())
    return all(platform.drained(Seller(tax_number=one.tax_number)) for one in page.taxpayers)


def _open_charity(platform: Platform, tax_number: str) -> None:
    charity = Seller(
        tax_number=tax_number,
        display_name="示例公益基金会",
        address_phone="北京市示例区公益路1号 010-00000001",
        bank_account="",
        types=("D01",),
        rates_ppm=(),
    )
    platform.register(charity)
    platform.supply(charity, "D01", 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offices:
    """The tax authority and the finance department, with a gateway between them and us."""

    gateway: GatewayProcess
    tax: SimulatorProcess


@pytest.fixture(scope="module")
def offices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Offices]:
    """A system nobody has used yet, since the pages name numbers from the first one on."""
    home = tmp_path_factory.mktemp("pages")
    with (
        SimulatorProcess(home / "tax") as tax,
        SimulatorProcess(home / "finance", arguments=["--office", "finance"]) as finance,
        GatewayProcess(
            home / "gateway",
            authority=tax.target,
            settings=f'[finance]\ntarget = "{finance.target}"\n',
        ) as gateway,
    ):
        yield Offices(gateway=gateway, tax=tax)


# --- the examples ---------------------------------------------------------------------------


def test_every_example_is_answered_as_the_page_says(offices: Offices) -> None:
    teller = Teller(offices.gateway, offices.tax)

    for step in STORY:
        if isinstance(step, Example):
            teller.tell(step)
        else:
            teller.let_happen(step)

    assert Platform(offices.gateway.channel).books().findings == []


def test_an_example_can_be_sent_with_the_command_on_the_page(
    offices: Offices, tmp_path: Path
) -> None:
    first = next(step for step in STORY if isinstance(step, Example))
    registration = json.dumps({**first.requests[0], "validateOnly": True}, ensure_ascii=False)
    (tmp_path / "request.json").write_text(registration, "utf-8")
    page = api_page.WAY_IN.read_text("utf-8")
    command = page[page.index("    buf curl") : page.index("    grpcurl")].replace("\\\n", " ")
    command = command.replace("127.0.0.1:50051", offices.gateway.target)
    service, method = first.method.split(".")
    command = command.replace(
        "taxcontrol.v1.InvoiceService/IssueInvoice", f"taxcontrol.admin.v1.{service}/{method}"
    )

    done = subprocess.run(
        [BIN / "buf", *shlex.split(command)[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["taxpayer"]["name"] == first.replies[0]["taxpayer"]["name"]


def test_every_method_has_an_example_under_its_own_heading() -> None:
    shown = {step.method for step in STORY if isinstance(step, Example) and step.replies}

    assert sorted(METHODS) == sorted(shown)
    assert sorted(METHODS) == sorted(api_page.sections())


def test_every_page_is_reached_from_the_way_in() -> None:
    assert sorted(api_page.pages()[1:]) == sorted((api_page.WAY_IN.parent / "api").glob("*.md"))


@pytest.mark.parametrize(
    ("expected", "actual", "differences"),
    [
        ({"a": "1"}, {"a": "1"}, 0),
        ({"a": "1"}, {"a": "2"}, 1),
        ({"a": 1}, {"a": "1"}, 1),
        ({"a": 1}, {"a": True}, 1),
        ({"a": "…"}, {"a": {"b": 2}}, 0),
        ({"a": "…"}, {}, 1),
        ({}, {"a": "…"}, 1),
        ({"…": "…"}, {"a": 1}, 0),
        ({"b": 1, "…": "…"}, {"a": 1}, 1),
        ([1, 2], [1], 1),
        ([{"a": "{x}-1"}, "{x}"], [{"a": "9-1"}, "9"], 0),
        ([{"a": "{x}-1"}, "{x}"], [{"a": "9-1"}, "8"], 1),
        ({"a": "{x}"}, {"a": ""}, 1),
    ],
)
def test_a_reply_that_differs_is_noticed(expected: Any, actual: Any, differences: int) -> None:
    assert len(api_page.compare(expected, actual, {})) == differences


# --- the errors -----------------------------------------------------------------------------


def test_the_tests_named_in_the_table_are_collected() -> None:
    named = sorted({reason.test for reason in REASONS.values()})

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *named],
        cwd=api_page.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("reason", REASONS.values(), ids=lambda reason: reason.name)
def test_the_test_of_a_reason_names_it(reason: api_page.Reason) -> None:
    file, _, name = reason.test.partition("::")
    tree = ast.parse((api_page.ROOT / file).read_text("utf-8"))
    [body] = [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    ]

    texts = [node.value for node in ast.walk(body) if isinstance(node, ast.Constant)]

    assert Path(file).parts[:2] in {("tests", "e2e"), ("tests", "faults")}
    assert reason.name in texts
