"""A gateway with a bug: the whole real one, but for a ledger that stumbles when asked for stock.

Takes the gateway's arguments.
"""

import argparse
import asyncio
import dataclasses
import signal
from pathlib import Path
from typing import Any, cast

import uvloop

from gateway import config, log, server
from ledger.port import Ledger


class StumblingLedger:
    """Everything is the real ledger's, except ``stock``."""

    def __init__(self, real: Ledger) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def stock(self, *_: object, **__: object) -> Any:
        """Raise what nobody expects."""
        raise ZeroDivisionError("nobody expects this")


async def _serve(settings: config.Config) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    parts = server.assemble(settings)
    faulty = dataclasses.replace(parts, ledger=cast("Ledger", StumblingLedger(parts.ledger)))
    async with server.running(faulty) as address:
        print(f"gateway: listening on {address}", flush=True)
        await stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    read = config.read(parser.parse_args().config)
    log.configure(read.log)
    uvloop.run(_serve(read))
