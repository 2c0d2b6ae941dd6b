"""``python -m sandbox console``: the operator's page before a gateway on which something happens."""

import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final
from uuid import uuid4

from sandbox.invoices import Counter, counters, request
from sandbox.layout import GatewaySettings
from sandbox.process import CannotStart, Process
from sandbox.system import System
from sandbox.taxpayers import register_samples, stock_up
from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from taxctl.connection import connect
from taxctl.failure import CallFailed, reason_name
from taxctl.issuing import Issuing
from taxctl.screen import Screen

_STOCK_LOW: Final = 200
_STOCK: Final = 1000
# A few invoices a second, so that rates and forecasts have something to go by.
_TURN_S: Final = 1.0
_TURN_COUNT: Final = 4


def run(*, folder: Path, listen: str, console_listen: str) -> int:
    """Serve until stopped; the answer is the exit status. Raises ``KeyboardInterrupt``."""
    screen = Screen(as_json=False)
    try:
        with System(folder, gateway=GatewaySettings(listen=listen)) as system:
            return _serve(screen, system, console_listen)
    except CallFailed as error:
        screen.note(f"console: {reason_name(error.failure)}: {error.failure.message}")
    except CannotStart as error:
        screen.note(f"console: {error}")
    except OSError as error:
        screen.note(f"console: {error.filename}: {error.strerror}")
    return 1


def _serve(screen: Screen, system: System, console_listen: str) -> int:
    connection = connect(system.target)
    with connection.channel:
        taxpayers = register_samples(connection)
        places = counters(taxpayers)
        stock_up(connection, places, low=_STOCK_LOW, count=_STOCK)
        page = console(system, console_listen)
        try:
            screen.line(f"console: http://{page.start()}/")
            screen.line(f"gateway: {system.target} (log {system.layout.log('gateway')})")
            screen.line("Some invoices are issued every second. Ctrl-C stops everything.")
            return _keep_busy(screen, system, page, Issuing(connection), _wanted(places))
        finally:
            page.stop()


def console(system: System, listen: str) -> Process:
    """The page's process before a gateway, not started."""
    command = [sys.executable, "-m", "console", "--target", system.target, "--listen", listen]
    return Process("console", command, log=system.layout.log("console"))


def _wanted(places: list[Counter]) -> Iterator[IssueInvoiceRequest]:
    """Invoices without end: the first place gets every second one, so that its stock runs low."""
    run = uuid4().hex[:8]
    for n in count():
        place = places[0] if n % 2 else places[n // 2 % len(places)]
        yield request(place, n, request_id=f"page-{run}-{n}")


def _keep_busy(
    screen: Screen,
    system: System,
    page: Process,
    issuing: Issuing,
    wanted: Iterator[IssueInvoiceRequest],
) -> int:
    """Issue a few invoices every turn; return when a server ended by itself."""
    while True:
        for process in (system.gateway, system.simulator, system.finance, page):
            if process.exit_status is not None:
                screen.note(f"console: the {process.name} has ended; see its log")
                return 1
        # What is refused, for want of stock for one, is what the page is there to show.
        issuing.issue([next(wanted) for _ in range(_TURN_COUNT)])
        time.sleep(_TURN_S)
