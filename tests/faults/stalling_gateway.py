"""A gateway that never comes to sign a void: whoever kills it has killed it between decision and signature.

The whole real gateway, but for a ledger in which no statement is ever settled. Takes the gateway's
arguments.
"""

import argparse
import asyncio
import dataclasses
import signal
from pathlib import Path
from typing import Any, NoReturn, cast

import uvloop

from gateway import config, log, server
from ledger.port import Ledger


class StallingLedger:
    """Everything is the real ledger's, except that settling a statement takes for ever."""

    def __init__(self, real: Ledger) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def settle_statement(self, *_: object, **__: object) -> NoReturn:
        """Wait for the kill."""
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody resolves it")


async def _serve(settings: config.Config) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    parts = server.assemble(settings)
    stalling = dataclasses.replace(parts, ledger=cast("Ledger", StallingLedger(parts.ledger)))
    async with server.running(stalling) as address:
        print(f"gateway: listening on {address}", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    read = config.read(parser.parse_args().config)
    log.configure(read.log)
    uvloop.run(_serve(read))
