"""Token, simulators and gateway as one thing with a beginning and an end."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from sandbox.layout import FREE_PORT, ROOT, TOKEN_LABEL, GatewaySettings, Layout, config_text
from sandbox.process import CannotStart, Process

_GATEWAY: Final = "gateway"
_SIMULATOR: Final = "simulator"
_FINANCE: Final = "finance"
_INIT_TOKEN: Final = ROOT / "softhsm-config" / "init-token.sh"


class System:
    """A gateway with everything it needs, in ``folder``; a context manager.

    Two simulators stand beside it: the tax authority, and the finance department for donation
    receipts. All keep their ports over restarts, so a client of ``target`` finds the gateway again.
    ``simulator_options`` are further command line options of both simulators.
    """

    def __init__(
        self,
        folder: Path,
        *,
        gateway: GatewaySettings | None = None,
        simulator_listen: str = FREE_PORT,
        finance_listen: str = FREE_PORT,
        simulator_options: Sequence[str] = (),
    ) -> None:
        self.layout = Layout(folder.resolve())
        self._settings = gateway or GatewaySettings()
        self._simulator_listen = simulator_listen
        self._finance_listen = finance_listen
        self._simulator_options = list(simulator_options)
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Start everything; raise :class:`CannotStart`."""
        try:
            self.layout.folder.mkdir(parents=True, exist_ok=True)
            self._init_token()
            self.start_simulators()
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
        """Where the tax authority's simulator is called."""
        return self._simulator_listen

    @property
    def finance_target(self) -> str:
        """Where the finance department's simulator is called."""
        return self._finance_listen

    @property
    def gateway(self) -> Process:
        """The gateway's process."""
        return self._processes[_GATEWAY]

    @property
    def simulator(self) -> Process:
        """The process of the tax authority's simulator."""
        return self._processes[_SIMULATOR]

    @property
    def finance(self) -> Process:
        """The process of the finance department's simulator."""
        return self._processes[_FINANCE]

    def start_simulators(self) -> None:
        """Start both simulators, on the ports they had before if any."""
        for name, listen, store, office in (
            (_SIMULATOR, self._simulator_listen, self.layout.authority, "tax"),
            (_FINANCE, self._finance_listen, self.layout.finance, "finance"),
        ):
            command = ["authority.simulator", "--listen", listen, "--store", str(store)]
            self._launch(
                name, *command, "--office", office, *self._simulator_options, program=_SIMULATOR
            )
        self._simulator_listen = self._processes[_SIMULATOR].ready()
        self._finance_listen = self._processes[_FINANCE].ready()

    def start_gateway(self) -> None:
        """Start the gateway, on the port it had before if any."""
        text = config_text(
            self._settings, authority=self._simulator_listen, finance=self._finance_listen
        )
        self.layout.config.write_text(text, encoding="utf-8")
        gateway = self._launch(_GATEWAY, "gateway", "--config", str(self.layout.config))
        self._settings = replace(self._settings, listen=gateway.ready())

    def restart_gateway(self) -> None:
        """Stop the gateway in order and start it again."""
        self.gateway.stop()
        self.start_gateway()

    def stop(self) -> None:
        """Stop what runs: the gateway first, whose last uploads the simulators may still answer."""
        for name in (_GATEWAY, _FINANCE, _SIMULATOR):
            process = self._processes.pop(name, None)
            if process is not None:
                process.stop()

    def _launch(self, name: str, module: str, *arguments: str, program: str = "") -> Process:
        command = [sys.executable, "-m", module, *arguments]
        process = Process(name, command, log=self.layout.log(name), program=program)
        # Known before it runs: an interruption at any moment still finds it.
        self._processes[name] = process
        process.launch()
        return process

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
