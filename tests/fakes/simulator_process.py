"""The authority's simulator as a process of its own, for tests of whatever talks to it."""

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import grpc

from taxcontrol.authority.v1 import authority_pb2, simulator_service_pb2
from taxcontrol.authority.v1.simulator_service_pb2_grpc import SimulatorServiceStub

_ROOT = Path(__file__).resolve().parents[2]
_WAIT_S = 20.0


class SimulatorProcess:
    """Runs ``python -m authority.simulator`` on a free port, which it keeps over restarts.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`. ``target`` is what a
    client connects to; ``control`` is the (blocking) stub of ``SimulatorService``.
    ``arguments`` are further command line options, such as ``["--windows", "10/1s"]``, or
    ``["--office", "finance"]`` for the finance department.
    """

    def __init__(self, store: Path, *, arguments: Sequence[str] = ()) -> None:
        self.store = store
        self.target = "127.0.0.1:0"
        self._arguments = list(arguments)
        self._process: subprocess.Popen[str] | None = None
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def control(self) -> SimulatorServiceStub:
        """The stub that sets faults and policy and reads the record."""
        assert self._channel is not None, "not started"
        return SimulatorServiceStub(self._channel)

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """Start, and return once calls are taken."""
        self.store.parent.mkdir(parents=True, exist_ok=True)
        with self._stderr.open("a") as stderr:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "authority.simulator"),
                    *("--listen", self.target, "--store", str(self.store)),
                    *self._arguments,
                ],
                cwd=_ROOT,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("simulator: listening on "):
            self._end(signal.SIGKILL)
            raise AssertionError(f"the simulator did not start: {self._stderr.read_text()}")
        self.target = line.split()[-1]
        # A channel of its own per start: an old one would wait out its reconnect backoff.
        self._channel = grpc.insecure_channel(
            self.target,
            options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)],
        )

    def stop(self) -> int:
        """Ask it to stop (SIGTERM); return its exit status. Does nothing when it does not run."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it (SIGKILL) and show that it died of it."""
        status = self._end(signal.SIGKILL)
        assert status == -signal.SIGKILL, f"exit status {status}"

    def restart(self) -> None:
        """Kill it and start it again on the same port and store."""
        self.kill()
        self.start()

    def set_faults(
        self, plan: simulator_service_pb2.FaultPlan | None = None, **fields: int | bool
    ) -> None:
        """Set a fault plan, whole or by its fields; none ends all faults."""
        plan = plan or simulator_service_pb2.FaultPlan(**fields)  # type: ignore[arg-type]
        self.control.SetFaults(
            simulator_service_pb2.SetFaultsRequest(plan=plan), timeout=_WAIT_S, wait_for_ready=True
        )

    def set_windows(self, *windows: tuple[int, int], result_delay_ms: int = 0) -> None:
        """Set the windows of all taxpayers, each (calls, milliseconds); none for no limit."""
        self.control.SetPolicy(
            simulator_service_pb2.SetPolicyRequest(
                windows=[
                    authority_pb2.RateWindow(call_count_max=calls, period_ms=period_ms)
                    for calls, period_ms in windows
                ],
                result_delay_ms=result_delay_ms,
            ),
            timeout=_WAIT_S,
            wait_for_ready=True,
        )

    def grants(self, tax_number: str = "") -> list[authority_pb2.Grant]:
        """Return the grants on record."""
        return [piece.grant for piece in self.record(tax_number) if piece.HasField("grant")]

    def returns(self, tax_number: str = "") -> list[authority_pb2.StockReturn]:
        """Return the returns on record."""
        pieces = self.record(tax_number)
        return [piece.stock_return for piece in pieces if piece.HasField("stock_return")]

    def events(self, tax_number: str = "") -> list[authority_pb2.RecordedEvent]:
        """Return the events on record: each accepted one once, and every refusal."""
        return [piece.event for piece in self.record(tax_number) if piece.HasField("event")]

    def calls(self, tax_number: str = "") -> list[authority_pb2.CountedCall]:
        """Return the calls on record, throttled ones included."""
        record = self.record(tax_number, calls=True)
        return [piece.call for piece in record if piece.HasField("call")]

    def record(
        self, tax_number: str = "", *, calls: bool = False
    ) -> Iterator[simulator_service_pb2.ExportRecordResponse]:
        """Stream the record: of one taxpayer, or of all."""
        request = simulator_service_pb2.ExportRecordRequest(tax_number=tax_number, calls=calls)
        yield from self.control.ExportRecord(request, timeout=_WAIT_S, wait_for_ready=True)

    @property
    def _stderr(self) -> Path:
        return self.store.with_name(f"{self.store.name}.stderr")

    def _end(self, number: signal.Signals) -> int:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            return process.wait(_WAIT_S)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def windows_exceeded(
    calls: Iterable[authority_pb2.CountedCall], windows: Sequence[tuple[int, int]]
) -> int:
    """Count the admitted calls that had no place in ``windows`` ((calls, milliseconds) each).

    Recomputed from the record alone: per taxpayer, call n and call n - max must lie at least a
    period apart.
    """
    arrivals: dict[str, list[int]] = {}
    for call in calls:
        if not call.throttled:
            arrivals.setdefault(call.tax_number, []).append(call.arrival_time.ToNanoseconds())
    return sum(
        later - earlier < period_ms * 1_000_000
        for taxpayer in arrivals.values()
        for call_count_max, period_ms in windows
        for earlier, later in zip(taxpayer, taxpayer[call_count_max:], strict=False)
    )
