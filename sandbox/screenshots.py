"""``python -m sandbox screenshots``: the pictures of the docs, of a gateway that has had some work."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

from sandbox.invoices import Counter, counters, requests
from sandbox.layout import ROOT
from sandbox.page import console
from sandbox.process import CannotStart
from sandbox.system import System
from sandbox.taxpayers import register_samples, stock_up
from taxcontrol.admin.v1.desk_service_pb2 import WatchDeskRequest
from taxcontrol.admin.v1.desk_service_pb2_grpc import DeskServiceStub
from taxcontrol.admin.v1.stock_admin_service_pb2 import SetStockThresholdRequest
from taxcontrol.admin.v1.stock_admin_service_pb2_grpc import StockAdminServiceStub
from taxcontrol.admin.v1.stock_threshold_pb2 import StockThreshold
from taxcontrol.admin.v1.taxpayer_pb2 import Taxpayer
from taxcontrol.admin.v1.upload_admin_service_pb2 import PauseUploadsRequest
from taxcontrol.admin.v1.upload_admin_service_pb2_grpc import UploadAdminServiceStub
from taxctl import screenshot
from taxctl.connection import Connection, answers, connect
from taxctl.failure import CallFailed, reason_name
from taxctl.issuing import Issuing, batches

IMAGES: Final = ROOT / "docs" / "images"
_STOCK_LOW: Final = 100
_STOCK: Final = 120
# So few counters are busy that their stock nearly goes.
_BUSY_COUNT: Final = 6
_INVOICE_COUNT: Final = 660
_LOW: Final = 90


def run() -> int:
    """Take the pictures; the answer is the exit status. Raises ``KeyboardInterrupt``."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix="taxcontrol-") as folder,
            System(Path(folder) / "system") as system,
        ):
            return _take(system)
    except CallFailed as error:
        print(f"screenshots: {reason_name(error.failure)}: {error.failure.message}")
        return 1
    except CannotStart as error:
        print(f"screenshots: {error}")
        return 1


def _take(system: System) -> int:
    connection = connect(system.target, operator="sandbox")
    with connection.channel:
        taxpayers = register_samples(connection)
        places = counters(taxpayers)
        stock_up(connection, places, low=_STOCK_LOW, count=_STOCK)
        _make_work(connection, taxpayers, places)
        _wait_for_desk(connection, len(taxpayers))
        out = IMAGES / "taxctl-top.svg"
        screenshot.write(connection, out)
        print(f"screenshots: {out.relative_to(ROOT)}")
        page = console(system, "127.0.0.1:0")
        try:
            # Chromium is driven from a process of its own, as by anybody else.
            command = [sys.executable, "-m", "console.screenshot", "--out", str(IMAGES)]
            return subprocess.run(
                [*command, "--url", f"http://{page.start()}"], check=False
            ).returncode
        finally:
            page.stop()


def _make_work(
    connection: Connection, taxpayers: Sequence[Taxpayer], places: Sequence[Counter]
) -> None:
    """Use stock up, and let a backlog grow: a desk where nothing happens shows little."""
    first = taxpayers[0]
    pause = PauseUploadsRequest(
        request_id=str(uuid4()), parent=first.name, reason="line maintenance"
    )
    connection.call(UploadAdminServiceStub(connection.channel).PauseUploads, pause)
    threshold = StockThreshold(
        parent=first.name, type=places[0].grant.type, low_count=_LOW, target_count=_STOCK
    )
    request = SetStockThresholdRequest(
        request_id=str(uuid4()), threshold=threshold, reason="for the counter"
    )
    connection.call(StockAdminServiceStub(connection.channel).SetStockThreshold, request)
    issuing = Issuing(connection)
    for batch in batches(list(requests(places[:_BUSY_COUNT], _INVOICE_COUNT, prefix="screenshot"))):
        issuing.issue(batch)


def _wait_for_desk(connection: Connection, taxpayer_count: int) -> None:
    """Wait until the desk shows everybody, and that stock is low: it looks only every few seconds."""
    watch = connection.begin(DeskServiceStub(connection.channel).WatchDesk, WatchDeskRequest())
    for answer in answers(watch):
        counts = answer.view.alerts
        if len(answer.view.taxpayers) == taxpayer_count and (
            counts.warning_count + counts.serious_count
        ):
            watch.cancel()
            return
