"""Token, simulator and gateway as one thing with a beginning and an end."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from sandbox.layout import FREE_PORT, ROOT, TOKEN_LABEL, GatewaySettings, Layout, config_text
from sandbox.process import CannotStart, Process

_INIT_TOKEN: Final = ROOT / "softhsm-config" / "init-token.sh"


class System:
    """A gateway with everything it needs, in ``folder``; a context manager.

    Both servers keep their ports over restarts, so a client of ``target`` finds the gateway again.
    ``simulator_options`` are further command line options of the simulator.
    """

    def __init__(
        self,
        folder: Path,
        *,
        gateway: GatewaySettings | None = None,
        simulator_listen: str = FREE_PORT,
        simulator_options: Sequence[str] = (),
    ) -> None:
        self.layout = Layout(folder.resolve())
        self._settings = gateway or GatewaySettings()
        self._simulator_listen = simulator_listen
        self._simulator_options = list(simulator_options)
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Start everything; raise :class:`CannotStart`."""
        try:
            self.layout.folder.mkdir(parents=True, exist_ok=True)
            self._init_token()
            self.start_simulator()
            self.start_gateway()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything, callers first."""
        self.stop()

    @property
    def target(self) -> str:
        """Where the gateway is called."""
        return self._settings.listen

    @property
    def simulator_target(self) -> str:
        """Where the simulator is called."""
        return self._simulator_listen

    @property
    def gateway(self) -> Process:
        """The gateway's process."""
        return self._processes["gateway"]

    @property
    def simulator(self) -> Process:
        """The simulator's process."""
        return self._processes["simulator"]

    def start_simulator(self) -> None:
        """Start the simulator, on the port it had before if any."""
        self._simulator_listen = self._start(
            "simulator",
            "authority.simulator",
            *("--listen", self._simulator_listen, "--store", str(self.layout.authority)),
            *self._simulator_options,
        )

    def start_gateway(self) -> None:
        """Start the gateway, on the port it had before if any."""
        text = config_text(self._settings, authority=self._simulator_listen)
        self.layout.config.write_text(text, encoding="utf-8")
        listen = self._start("gateway", "gateway", "--config", str(self.layout.config))
        self._settings = replace(self._settings, listen=listen)

    def stop(self) -> None:
        """Stop what runs: the gateway first, whose last uploads the simulator may still answer."""
        for name in ("gateway", "simulator"):
            process = self._processes.pop(name, None)
            if process is not None:
                process.stop()

    def _start(self, name: str, module: str, *arguments: str) -> str:
        command = [sys.executable, "-m", module, *arguments]
        process = Process(name, command, log=self.layout.log(name))
        # Known before it runs: an interruption at any moment still finds it.
        self._processes[name] = process
        return process.start()

    def _init_token(self) -> None:
        if shutil.which("softhsm2-util") is None:
            raise CannotStart("softhsm2-util is missing; run: make setup")
        done = subprocess.run(
            [_INIT_TOKEN, self.layout.token, TOKEN_LABEL],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise CannotStart(done.stderr.strip() or "init-token.sh failed")
