"""A gateway as a process of its own, on a folder of its own: token, configuration, ledger.

    from tests.fakes.gateway_process import GatewayProcess

    with GatewayProcess(folder, authority=simulator.target) as gateway:
        stub = InvoiceServiceStub(gateway.channel)

``kill`` is SIGKILL, and shows that the process died of it. The port is kept over restarts.
``launch`` starts without waiting, for whoever wants to kill it on its way up.
"""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import grpc

_ROOT = Path(__file__).resolve().parents[2]
_INIT_TOKEN = _ROOT / "softhsm-config" / "init-token.sh"
_WAIT_S = 30.0
_MESSAGE_BYTES_MAX = 8 * 1024 * 1024

CHANNEL_OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 200),
]

CONFIG = """
[server]
listen = "{listen}"
drain_s = 5.0
[ledger]
path = "ledger/ledger.db"
[hsm]
softhsm2_conf = "token/softhsm2.conf"
token_label = "gateway"
pin_file = "token/pin"
{hsm}
[authority]
target = "{authority}"
timeout_s = 2.0
[log]
format = "json"
level = "{level}"
"""


class GatewayProcess:
    """Runs ``python -m gateway``.

    ``hsm`` are further settings of that section, ``settings`` further sections. ``prefix`` is a command to run it under, and
    ``module`` another program that takes the same arguments. ``printed`` is what it wrote to
    standard output so far; its log is in ``log``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authority: str,
        hsm: Mapping[str, object] | None = None,
        level: str = "info",
        settings: str = "",
        prefix: Sequence[str] = (),
        module: str = "gateway",
    ) -> None:
        self.folder = folder
        self.target = "127.0.0.1:0"
        self.config = folder / "gateway.toml"
        self.log = folder / "gateway.log"
        self._authority = authority
        self._hsm = "\n".join(f"{name} = {value!r}" for name, value in (hsm or {}).items())
        self._level = level
        self._settings = settings
        self._prefix = tuple(prefix)
        self._module = module
        self.printed = ""
        self._process: subprocess.Popen[str] | None = None
        self._channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def channel(self) -> grpc.Channel:
        """A blocking channel to it."""
        assert self._channel is not None, "not started"
        return self._channel

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None, "not started"
        return self._process.pid

    def prepare(self) -> None:
        """Make the folder, the token and the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [_INIT_TOKEN, self.folder / "token", "gateway"], check=True, capture_output=True
        )
        self.config.write_text(
            CONFIG.format(
                listen=self.target, authority=self._authority, hsm=self._hsm, level=self._level
            )
            + self._settings
        )

    def start(self) -> None:
        """Start, and return once calls are taken."""
        self.prepare()
        self.launch()
        line = self._first_line()
        if not line.startswith("gateway: listening on "):
            self._end(signal.SIGKILL)
            raise AssertionError(f"the gateway did not start: {self.log.read_text()[-4000:]}")
        self.target = line.split()[-1]
        self._channel = self.connect()

    def connect(self) -> grpc.Channel:
        """Open a further channel; the caller closes it."""
        return grpc.insecure_channel(self.target, options=CHANNEL_OPTIONS)

    def launch(self) -> None:
        """Start the process and leave it to it. The folder is prepared."""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self._command(), cwd=_ROOT, stdout=subprocess.PIPE, stderr=log, text=True
            )

    def refused(self) -> tuple[int, str]:
        """Start a gateway that is expected to refuse: its exit status and what it said."""
        done = subprocess.run(
            self._command(), cwd=_ROOT, capture_output=True, text=True, timeout=_WAIT_S, check=False
        )
        return done.returncode, done.stderr

    def stop(self) -> int:
        """Ask it to stop (SIGTERM); the exit status. Does nothing when it does not run."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it (SIGKILL) and show that it died of it."""
        status = self._end(signal.SIGKILL)
        assert status == -signal.SIGKILL, f"exit status {status}"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal and leave it to it."""
        assert self._process is not None, "not started"
        self._process.send_signal(number)

    def wait(self, wait_s: float = _WAIT_S) -> int:
        """Wait for its end; the exit status. ``subprocess.TimeoutExpired`` when it still runs."""
        assert self._process is not None, "not started"
        return self._process.wait(wait_s)

    def _first_line(self) -> str:
        assert self._process is not None, "not started"
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.printed += line
        return line

    def _command(self) -> list[str]:
        program = [sys.executable, "-m", self._module, "--config", str(self.config)]
        return [*self._prefix, *program]

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
                self.printed += process.stdout.read()
                process.stdout.close()
