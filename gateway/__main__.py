"""``python -m gateway --config FILE``: run one gateway until SIGTERM or Ctrl-C.

Standard output carries one line, where it listens; log lines go to standard error. Whatever an
operator can mend ends in one sentence and exit code 1, without a traceback.
"""

import argparse
import asyncio
import gc
import signal
import sys
import time
from pathlib import Path

import uvloop

from gateway import config as configuration
from gateway import log, server, serving
from gateway.webhooks import hooks, message, sending
from hsm.errors import HsmError
from invoice.errors import InvoiceError
from ledger.errors import LedgerError

_YOUNG_COUNT = 50_000

# What an operator can mend. An InvoiceError at start is a ledger or device that fails on its first use.
_SAYABLE = (
    configuration.ConfigError,
    LedgerError,
    HsmError,
    InvoiceError,
    serving.CannotListen,
)


def main() -> int:
    """Parse, check, run; the answer is the exit code."""
    arguments = _arguments()
    try:
        config = configuration.read(arguments.config)
        if arguments.check:
            print(configuration.effective(config))  # noqa: T201 - the command's answer
            return 0
        if arguments.try_webhooks:
            return _try_webhooks(config)
        log.configure(config.log)
        uvloop.run(_serve(config))
    except _SAYABLE as error:
        print(f"gateway: {error}", file=sys.stderr)  # noqa: T201 - before there is a log
        return 1
    return 0


async def _serve(config: configuration.Config) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with server.running(server.assemble(config)) as address:
        _spare_collections()
        print(f"gateway: listening on {address}", flush=True)  # noqa: T201 - what scripts wait for
        await stopped.wait()


def _spare_collections() -> None:
    """Let the collector of cycles look seldom, and never at what lasts as long as the process.

    A call makes hundreds of objects and hardly a cycle; at Python's own threshold they are looked
    through several times a call, and now and then all the others with them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_COUNT, 20, 50)


def _try_webhooks(config: configuration.Config) -> int:
    if not config.webhook:
        raise configuration.ConfigError("there is no [[webhook]] to try")
    try:
        found = asyncio.run(hooks.try_webhooks(config.webhook, time.time()))
    except (message.SecretUnusable, sending.ReceiverUnusable) as error:
        raise configuration.ConfigError(str(error)) from error
    for name, wrong in found.items():
        print(f"webhook {name}: {wrong or 'has the test message'}")  # noqa: T201 - the answer
    return 1 if any(found.values()) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m gateway", description="The tax-control gateway."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML file")
    parser.add_argument(
        "--check", action="store_true", help="print the effective settings and exit"
    )
    parser.add_argument(
        "--try-webhooks", action="store_true", help="send each webhook a test message and exit"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
