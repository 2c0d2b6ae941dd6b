"""The command line, checked."""

import argparse
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from authority.simulator.departments import Department
from authority.simulator.policy import OfflineLimits, Policy, Window, parse_windows

_FEN_PER_YUAN = 100
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says. A policy field is None unless it was given."""

    host: str
    port: int
    store: Path
    windows: tuple[Window, ...] | None
    age_hours: int | None
    amount_yuan: int | None
    count: int | None
    lock_day: int | None
    holding: int | None
    result_delay_ms: int | None
    issue_days: int | None
    office: Department | None
    ready_file: Path | None

    def policy(self, present: Policy) -> Policy:
        """Return ``present`` with what was given put in its place; ValueError when out of range."""
        limits = present.offline_limits
        return replace(
            present,
            windows=_given(self.windows, present.windows),
            offline_limits=OfflineLimits(
                age_hours_max=_limit(self.age_hours, limits.age_hours_max),
                amount_fen_max=_limit(_fen(self.amount_yuan), limits.amount_fen_max),
                count_max=_limit(self.count, limits.count_max),
                lock_day=_limit(self.lock_day, limits.lock_day),
            ),
            holding_count_max=_given(self.holding, present.holding_count_max),
            result_delay_ms=_given(self.result_delay_ms, present.result_delay_ms),
            issue_days=_given(self.issue_days, present.issue_days),
        )


def _fen(yuan: int | None) -> int | None:
    return yuan if yuan is None or yuan < 0 else yuan * _FEN_PER_YUAN


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; a mistake ends the program with its usage and status 2."""
    parser = _parser()
    given = parser.parse_args(arguments)
    host, port = given.listen
    if not given.allow_remote and not _loopback(host):
        parser.error(f"--listen {host}: this simulator is not for production; see --allow-remote")
    options = Options(
        host=host,
        port=port,
        store=given.store,
        windows=given.windows,
        age_hours=given.age_hours,
        amount_yuan=given.amount_yuan,
        count=given.count,
        lock_day=given.lock_day,
        holding=given.holding,
        result_delay_ms=given.result_delay_ms,
        issue_days=given.issue_days,
        office=given.office,
        ready_file=given.ready_file,
    )
    try:
        options.policy(Policy())
    except ValueError as error:
        parser.error(str(error))
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m authority.simulator",
        description="A strict stand-in for the tax authority, for development and tests only. "
        "What is not given keeps the value the store has, or in a new store the one shown.",
    )
    add = parser.add_argument
    add("--listen", type=_address, required=True, metavar="HOST:PORT", help="port 0: a free one")
    add("--store", type=Path, required=True, metavar="DIR", help="made if it is not there")
    add(
        "--windows",
        type=parse_windows,
        metavar="N/PERIOD,…",
        help='upload calls a taxpayer: 10/1s,120/60s,3600/3600s; "" for no limit',
    )
    add("--age-hours", type=int, metavar="N", help="offline limit: 72; -1 for none")
    add("--amount-yuan", type=int, metavar="N", help="offline limit: 5000000; -1 for none")
    add("--count", type=int, metavar="N", help="offline limit: none; -1 for none")
    add("--lock-day", type=int, metavar="N", help="0 to 31: none; -1 for none")
    add("--holding", type=int, metavar="N", help="most numbers held of one type: 1000000")
    add("--result-delay-ms", type=int, metavar="N", help="until results are there: 0")
    add("--issue-days", type=int, metavar="N", help="days a grant's numbers may be issued: 0, any")
    add(
        "--office",
        type=Department,
        choices=list(Department),
        metavar="tax|finance",
        help="tax; the finance department grants donation receipts (D01) alone",
    )
    add("--ready-file", type=Path, metavar="PATH", help="gets HOST:PORT once calls are taken")
    add("--allow-remote", action="store_true", help="listen on other than loopback addresses")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"not HOST:PORT: {text!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _given(value: _T | None, present: _T) -> _T:
    return present if value is None else value


def _limit(value: int | None, present: int | None) -> int | None:
    """Return the limit given; -1 lifts it."""
    if value == -1:
        return None
    return present if value is None else value
