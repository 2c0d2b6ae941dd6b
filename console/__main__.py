"""``python -m console``: serve the operator's page until SIGTERM or Ctrl-C.

Standard output carries one line, where it listens; warnings go to standard error. Addresses that were
asked for are not logged. Whatever an operator can mend ends in one sentence and exit code 1.
"""

import argparse
import asyncio
import dataclasses
import logging
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import uvicorn

from console import application, config
from console.config import Config, ConfigError

_STOP_S_MAX: Final = 5
_BACKLOG: Final = 128


def main() -> int:
    """Parse, check, run; the answer is the exit code."""
    arguments = _arguments()
    try:
        settings = _settings(arguments)
        if arguments.check:
            print(config.effective(settings))  # noqa: T201 - the command's answer
            return 0
        # A browser that hangs up in the middle of an event is no news.
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)
        asyncio.run(_serve(settings))
    except ConfigError as error:
        return _sorry(str(error))
    except OSError as error:
        return _sorry(
            f"cannot listen on {arguments.listen or 'the address given'}: {error.strerror}"
        )
    return 0


async def _serve(settings: Config) -> None:
    if not settings.loopback:
        _say(
            f"{settings.listen} is reached from other machines, and the console lets in whoever"
            " comes: put a proxy with TLS and authentication before it"
        )
    app = application.make(settings)
    with _listening(settings) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                access_log=False,
                log_level="warning",
                timeout_graceful_shutdown=_STOP_S_MAX,
                server_header=False,
                proxy_headers=False,
            )
        )
        port = listener.getsockname()[1]
        host = settings.listen.rpartition(":")[0]
        print(f"console: listening on {host}:{port}", flush=True)  # noqa: T201 - scripts wait for it
        await server.serve(sockets=[listener])


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """Being stopped is an orderly end; uvicorn raises the signal once more when it is done."""
    sys.exit(0)


def _listening(settings: Config) -> socket.socket:
    """Bind before anything is said, so that what is said is true: port 0 has its number by then."""
    family = socket.AF_INET6 if ":" in settings.listen_host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.listen_host, settings.listen_port))
    listener.listen(_BACKLOG)
    return listener


def _settings(arguments: argparse.Namespace) -> Config:
    """The file's settings, and over them those of the command line."""
    settings = config.read(arguments.config) if arguments.config else Config()
    given = {
        name: getattr(arguments, name)
        for name in ("target", "listen")
        if getattr(arguments, name) is not None
    }
    try:
        return dataclasses.replace(settings, **given)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m console", description="The operator's web page of a tax-control gateway."
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    parser.add_argument("--target", metavar="HOST:PORT", help="the gateway (127.0.0.1:50051)")
    parser.add_argument("--listen", metavar="HOST:PORT", help="for browsers (127.0.0.1:8080)")
    parser.add_argument(
        "--check", action="store_true", help="print the effective settings and exit"
    )
    return parser.parse_args()


def _say(text: str) -> None:
    print(f"console: {text}", file=sys.stderr)  # noqa: T201 - there is no other log


def _sorry(text: str) -> int:
    _say(text)
    return 1


if __name__ == "__main__":
    sys.exit(main())
