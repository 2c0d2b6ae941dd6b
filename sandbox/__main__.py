"""``python -m sandbox demo``, ``serve``, ``console`` and ``screenshots``."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from sandbox import demo, page, screenshots, serve
from sandbox.layout import ROOT

_INTERRUPTED = 130
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run what is asked for; Ctrl-C, SIGTERM and a closed terminal all stop it in order."""
    arguments = _arguments()
    for number in _STOPPING:
        signal.signal(number, _interrupt)
    try:
        if arguments.what == "serve":
            return serve.run(
                folder=arguments.folder,
                listen=f"127.0.0.1:{arguments.port}",
                simulator_listen=f"127.0.0.1:{arguments.simulator_port}",
                finance_listen=f"127.0.0.1:{arguments.finance_port}",
            )
        if arguments.what == "console":
            return page.run(
                folder=arguments.folder,
                listen=f"127.0.0.1:{arguments.port}",
                console_listen=f"127.0.0.1:{arguments.console_port}",
            )
        if arguments.what == "screenshots":
            return screenshots.run()
        return demo.run(
            invoice_count=arguments.invoices, caller_count=arguments.callers, keep=arguments.keep
        )
    except KeyboardInterrupt:
        if arguments.what != "demo":
            print(f"{arguments.what}: stopped")
            return 0
        print(f"{arguments.what}: FAILED stopped before the end")
        return _INTERRUPTED


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Stop once: an impatient second Ctrl-C must not leave servers behind."""
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="A whole system on this machine."
    )
    parts = parser.add_subparsers(dest="what", required=True)
    part = parts.add_parser("demo", help="do the main job in a fresh folder and check the books")
    part.add_argument("--invoices", type=_count, default=1000, help="beside the samples")
    part.add_argument("--callers", type=_callers, default=8, help="at once")
    part.add_argument("--keep", action="store_true", help="leave the folder for a look")
    part = parts.add_parser("serve", help="gateway and simulators in the foreground")
    part.add_argument("--port", type=_port, default=50051, help="of the gateway")
    part.add_argument("--simulator-port", type=_port, default=50052, help="of the simulator")
    part.add_argument(
        "--finance-port", type=_port, default=50053, help="of the finance department's simulator"
    )
    part.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "serve", help="kept between runs"
    )
    part = parts.add_parser("console", help="the operator's page before a busy gateway")
    part.add_argument("--port", type=_port, default=0, help="of the gateway")
    part.add_argument("--console-port", type=_port, default=8080, help="of the page")
    part.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "console", help="kept between runs"
    )
    parts.add_parser("screenshots", help="take the pictures of the docs")
    return parser.parse_args()


def _count(text: str) -> int:
    return _between(text, 1, 900_000)


def _callers(text: str) -> int:
    return _between(text, 1, 256)


def _port(text: str) -> int:
    return _between(text, 0, 65535)


def _between(text: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be {least} to {most}, not {text!r}")
    return value


if __name__ == "__main__":
    sys.exit(main())
