"""The programs on the pages of the API do what the pages say, as they stand there."""

import asyncio
import importlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.exceptions import InvalidSignature
from google.protobuf.descriptor import MethodDescriptor

from gateway.webhooks.config import WebhookConfig
from gateway.webhooks.hooks import try_webhooks
from taxcontrol.admin.v1 import stock_admin_service_pb2, upload_admin_service_pb2
from taxcontrol.v1 import invoice_reversal_pb2
from tests.e2e import api_page
from tests.e2e.platform import Platform
from tests.e2e.sellers import Seller, new_id, ticket
from tests.e2e.test_api_page import METHODS
from tests.e2e.wire import eventually
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.simulator_process import SimulatorProcess
from tests.fakes.webhook_receiver import WebhookReceiver

PROGRAMS = api_page.programs()
PROTO = api_page.ROOT / "proto"
_ALGORITHMS = ("P-256", "Ed25519", "RSA-3072")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(tmp_path_factory.mktemp("programs") / "authority") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, authority: SimulatorProcess
) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("programs") / "gateway"
    with GatewayProcess(folder, authority=authority.target) as process:
        yield process


def run(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the pages in ``folder``, as somebody who has copied it there."""
    program = folder / name
    program.write_text(PROGRAMS[name], "utf-8")
    if not (folder / ".venv").exists():
        (folder / ".venv").symlink_to(sys.prefix)
    shell = ["sh", "-eu"] if program.suffix == ".sh" else [sys.executable]
    return subprocess.run(
        [*shell, program, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def imported(name: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(PROGRAMS[name], name, "exec"), module.__dict__)
    return module


# --- signatures -----------------------------------------------------------------------------


def voided(platform: Platform, seller: Seller) -> list[str]:
    """The names of an invoice that is voided and of a number that is voided blank."""
    issued = platform.issue(ticket(seller))
    void = platform.invoices.VoidInvoice(
        invoice_reversal_pb2.VoidInvoiceRequest(
            request_id=new_id("void"), name=issued.name, reason="开票有误"
        )
    ).void_statement
    blank = platform.stock_admin.VoidBlankNumber(
        stock_admin_service_pb2.VoidBlankNumberRequest(
            request_id=new_id("blank"),
            point=seller.point(),
            type="026",
            code=issued.code,
            number=f"{int(issued.number) + 1:08}",
            reason="打印机故障",
        )
    ).void_statement
    return [void.invoice, blank.invoice]


@pytest.mark.parametrize("algorithm", _ALGORITHMS)
def test_the_function_on_the_page_checks_every_signed_content(
    authority: SimulatorProcess, tmp_path: Path, algorithm: str
) -> None:
    check = imported("signatures.py").check
    with GatewayProcess(
        tmp_path / "gateway", authority=authority.target, hsm={"algorithm": algorithm}
    ) as gateway:
        platform = Platform(gateway.channel)
        seller = platform.new_seller("026", stock=10)
        issued = platform.issue(ticket(seller))
        certificate = platform.get(name=issued.name).certificate
        signed = [("taxcontrol.invoice.v1", issued.content, issued.signature, certificate)]
        for schema, name in zip(
            ("taxcontrol.void.v1", "taxcontrol.blank-void.v1"),
            voided(platform, seller),
            strict=True,
        ):
            shown = platform.get(name=name)
            told = shown.void_statement
            signed.append((schema, told.content, told.signature, shown.void_certificate))

    for schema, content, signature, by in signed:
        check(schema, content, signature, by)
        with pytest.raises(InvalidSignature):
            check(schema, content + b" ", signature, by)
        with pytest.raises(InvalidSignature):
            check("taxcontrol.another.v1", content, signature, by)

    assert issued.signature_algorithm == algorithm


def test_the_commands_on_the_page_check_signature_and_certificate(
    gateway: GatewayProcess, authority: SimulatorProcess, tmp_path: Path
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=10)
    issued = platform.issue(ticket(seller))
    (tmp_path / "content").write_bytes(issued.content)
    (tmp_path / "signature").write_bytes(issued.signature)
    (tmp_path / "certificate.der").write_bytes(platform.get(name=issued.name).certificate)
    (tmp_path / "ca.pem").write_bytes((authority.store / "ca.pem").read_bytes())

    genuine = run("check_signature.sh", tmp_path)
    chain = run("check_chain.sh", tmp_path)
    (tmp_path / "content").write_bytes(issued.content + b" ")
    changed = run("check_signature.sh", tmp_path)

    assert genuine.returncode == 0, genuine.stderr
    assert changed.returncode == 1, changed.stdout
    assert chain.returncode == 0, chain.stderr
    for named in (": OK", f"CN = {issued.machine_number}", seller.tax_number):
        assert named in chain.stdout


# --- refusals -------------------------------------------------------------------------------


def test_a_refusal_is_read_as_the_pages_say(gateway: GatewayProcess, tmp_path: Path) -> None:
    page = api_page.WAY_IN.read_text("utf-8")
    [printed] = re.findall(r"(?m)^    \{\n(?:     .*\n)+    \}$", page)
    [readable] = re.findall(r"which prints\n\n```\n(.*)\n```", page)
    method = f"http://{gateway.target}/taxcontrol.v1.InvoiceService/GetInvoice"
    command = [str(Path(sys.prefix) / "bin" / "buf"), "curl", "--protocol", "grpc"]
    command += ["--http2-prior-knowledge", "-d", '{"requestId": "order-9999"}', method]

    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    decoded = run("read_detail.sh", tmp_path)
    explained = run("get_invoice.py", tmp_path, gateway.target, "order-9999")

    assert (asked.returncode, json.loads(asked.stderr)) == (5 * 8, json.loads(printed))
    assert json.loads(printed)["details"][0]["value"] in PROGRAMS["read_detail.sh"]
    assert decoded.stdout == readable, decoded.stderr
    assert explained.returncode == 1
    assert explained.stdout.startswith("INVOICE_NOT_FOUND {'request_id': 'order-9999'}")


def test_broken_fields_and_answers_are_told(gateway: GatewayProcess, tmp_path: Path) -> None:
    platform = Platform(gateway.channel)
    issued = platform.issue(ticket(platform.new_seller("026", stock=10)))

    malformed = run("get_invoice.py", tmp_path, gateway.target, "order 1")
    found = run("get_invoice.py", tmp_path, gateway.target, issued.request_id)
    unreached = run("get_invoice.py", tmp_path, "127.0.0.1:1", issued.request_id)

    assert malformed.stdout.splitlines()[1].startswith("request_id FIELD_FORMAT ")
    assert (found.returncode, found.stdout) == (0, f"{issued.name}\n")
    assert unreached.stdout.startswith("UNAVAILABLE ")


# --- watching -------------------------------------------------------------------------------


@contextmanager
def watching(gateway: GatewayProcess, seller: Seller, folder: Path) -> Iterator[Path]:
    """The program on the page watches; yields the file it prints to."""
    program, printed = folder / "watch_invoices.py", folder / f"{new_id('printed')}.txt"
    program.write_text(PROGRAMS["watch_invoices.py"], "utf-8")
    command = [sys.executable, str(program), gateway.target, seller.name, str(folder / "token")]
    with (
        printed.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield printed
        finally:
            process.kill()


def test_the_watch_on_the_page_misses_nothing_and_repeats_nothing(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    platform = Platform(gateway.channel)
    seller = platform.new_seller("026", stock=10)
    platform.uploads.PauseUploads(
        upload_admin_service_pb2.PauseUploadsRequest(
            request_id=new_id("pause"), parent=seller.name, reason="no changes but ours"
        )
    )
    token = tmp_path / "token"

    def issue() -> str:
        return f"TYPE_ISSUED {Platform(gateway.channel).issue(ticket(seller)).name}\n"

    with watching(gateway, seller, tmp_path) as printed:
        eventually(token.exists)
        position = token.read_text()
        first = issue()
        eventually(lambda: printed.read_text() == first)
        eventually(lambda: token.read_text() != position)  # else it may come again
    second = issue()
    with watching(gateway, seller, tmp_path) as printed:
        eventually(lambda: printed.read_text() == second)
        assert gateway.stop() == 0
        gateway.start()
        third = issue()
        eventually(lambda: printed.read_text() == second + third)


def test_the_receiver_of_the_page_hears_what_is_signed_and_nothing_else(tmp_path: Path) -> None:
    program = tmp_path / "receive_alerts.py"
    program.write_text(PROGRAMS["receive_alerts.py"], "utf-8")
    secret = WebhookReceiver().write_secret(tmp_path)
    with subprocess.Popen(
        [sys.executable, program, "0", secret], stdout=subprocess.PIPE, text=True
    ) as receiver:
        try:
            assert receiver.stdout is not None
            port = receiver.stdout.readline().split()[-1]
            config = WebhookConfig(
                name="ops", url=f"http://127.0.0.1:{port}/", secret_file=secret, source="//gw1/x"
            )
            now = time.time()
            for _ in range(2):  # the second is known by its id
                assert asyncio.run(try_webhooks([config], now)) == {"ops": ""}
            assert asyncio.run(try_webhooks([config], now - 600)) == {"ops": "HTTP 401"}
            other = tmp_path / "other"
            other.mkdir()
            wrong = WebhookReceiver().write_secret(
                other, "b3RoZXIgc2VjcmV0IG9mIHR3ZW50eS1mb3VyIGJ5dGVz"
            )
            forged = replace(config, secret_file=wrong)
            assert asyncio.run(try_webhooks([forged], now)) == {"ops": "HTTP 401"}
        finally:
            receiver.kill()
        assert receiver.stdout.read() == "taxcontrol.alert.test.v1 \n"


# --- modules --------------------------------------------------------------------------------


def _said(what: str, methods: Callable[[str], list[MethodDescriptor]]) -> set[str]:
    """The messages and enums that a row names, in backticks, or by their method or service."""
    named = set(re.findall(r"`(\w+)`", what))
    for word in re.findall(r"\w+", re.sub(r"`\w+`", "", what)):
        for method in methods(word):
            named |= {method.input_type.name, method.output_type.name}
    return named


def test_every_message_is_in_the_module_the_page_says() -> None:
    def methods(word: str) -> list[MethodDescriptor]:
        return [method for name, method in METHODS.items() if word in name.split(".")]

    rows = api_page.table("api/python.md", "Which module holds what")
    said = {module.strip("`"): _said(what, methods) for module, what in rows}
    files = {
        importlib.import_module(
            ".".join(path.relative_to(PROTO).with_suffix("").parts) + "_pb2"
        ).DESCRIPTOR
        for path in PROTO.rglob("*.proto")
        if "authority" not in path.parts
    }
    there = {
        file.name.removesuffix(".proto").replace("/", ".") + "_pb2": {
            *file.message_types_by_name,
            *file.enum_types_by_name,
        }
        for file in files
    }

    assert said == there


def test_every_program_is_run() -> None:
    tests = Path(__file__).read_text("utf-8")

    assert [name for name in PROGRAMS if f'"{name}"' not in tests] == []
