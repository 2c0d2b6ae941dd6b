"""``python -m sandbox serve``: gateway and simulators in the foreground, ready to be called."""

import time
from pathlib import Path
from typing import Final

from sandbox.invoices import counters
from sandbox.layout import GatewaySettings
from sandbox.process import CannotStart
from sandbox.system import System
from sandbox.taxpayers import register_samples, stock_up
from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer
from taxctl.connection import connect
from taxctl.failure import CallFailed, reason_name
from taxctl.screen import Screen

_STOCK_LOW: Final = 200
_STOCK: Final = 1000
_LOOK_S: Final = 0.5
# Of samples/fpkj/ok-railway-ticket-0.xml, whose seller is the first taxpayer.
_REQUEST_ID: Final = "RAI00700000000000001"

_HOW_TO = """
With buf (from this folder):
  .venv/bin/buf curl --protocol grpc --http2-prior-knowledge --schema proto \\
    -d '{{"parent": "{taxpayer}"}}' \\
    http://{target}/taxcontrol.v1.StockService/GetStock

With Python (.venv/bin/python):
  import grpc, fpkj
  from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
  stub = InvoiceServiceStub(grpc.insecure_channel("{target}"))
  [request] = fpkj.read(open("samples/fpkj/ok-railway-ticket-0.xml", "rb").read())
  print(stub.IssueInvoice(request, timeout=10).issued.name)

With taxctl:
  export TAXCTL_TARGET={target} PATH="$PWD/.venv/bin:$PATH"
  taxctl issue samples/fpkj samples/digital samples/donation
  taxctl get --request-id {request_id}
  taxctl list {tax_number} --newest-first --limit 5
  taxctl verify 'QR TEXT'                    # as get shows it
  taxctl reverse NAME --reason 退货          # the full red of a blue invoice
  taxctl void NAME --reason 开具有误         # within the month of its issue
  taxctl watch {tax_number} --from-beginning
  taxctl stock show {tax_number}    # also draw, assign, recall, return, segments
  taxctl void-blank {tax_number} --point 0 --type 026 --code CODE --number NEXT --reason 损坏
  taxctl upload status                       # also list, retry, pause, resume, rate
  taxctl top                                 # the whole desk, live; q leaves
  taxctl alerts list                         # also watch, ack, thresholds
  taxctl device list {tax_number}   # also monitor, rotate-key; period show, close
  taxctl audit                               # who did what, when and why
  taxctl doctor

Ctrl-C stops everything.
"""


def run(*, folder: Path, listen: str, simulator_listen: str, finance_listen: str) -> int:
    """Serve until stopped; the answer is the exit status. Raises ``KeyboardInterrupt``."""
    screen = Screen(as_json=False)
    try:
        with System(
            folder,
            gateway=GatewaySettings(listen=listen),
            simulator_listen=simulator_listen,
            finance_listen=finance_listen,
        ) as system:
            taxpayers = _prepare(system)
            _print_how_to(screen, system, taxpayers)
            return _watch(screen, system)
    except CallFailed as error:
        screen.note(f"serve: {reason_name(error.failure)}: {error.failure.message}")
    except CannotStart as error:
        screen.note(f"serve: {error}")
    except OSError as error:
        screen.note(f"serve: {error.filename}: {error.strerror}")
    return 1


def _prepare(system: System) -> list[Taxpayer]:
    connection = connect(system.target)
    with connection.channel:
        taxpayers = register_samples(connection)
        stock_up(connection, counters(taxpayers), low=_STOCK_LOW, count=_STOCK)
    return taxpayers


def _print_how_to(screen: Screen, system: System, taxpayers: list[Taxpayer]) -> None:
    screen.line(f"gateway:       {system.target} (log {system.layout.log('gateway')})")
    screen.line(f"tax authority: {system.simulator_target} (log {system.layout.log('simulator')})")
    screen.line(f"finance dept.: {system.finance_target} (log {system.layout.log('finance')})")
    names = ", ".join(taxpayer.tax_number for taxpayer in taxpayers)
    screen.line(f"taxpayers:     {names}, with stock at every point")
    first = taxpayers[0]
    how_to = _HOW_TO.format(
        target=system.target,
        taxpayer=first.name,
        tax_number=first.tax_number,
        request_id=_REQUEST_ID,
    )
    for line in how_to.splitlines():
        screen.line(line)


def _watch(screen: Screen, system: System) -> int:
    """Return when a server ended by itself."""
    while True:
        for process in (system.gateway, system.simulator, system.finance):
            if process.exit_status is not None:
                screen.note(
                    f"serve: the {process.name} {_ended(process.exit_status)}; its log: "
                    f"{system.layout.log(process.name)}. All are stopped."
                )
                return 1
        time.sleep(_LOOK_S)


def _ended(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
