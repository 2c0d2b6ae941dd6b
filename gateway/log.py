"""Log lines: JSON for machines, readable on a terminal. No body, no buyer, no PIN is ever a fact.

Events are ``noun.verb`` constants. Lines go to standard error: standard output belongs to the
one line that says where the gateway listens.
"""

import logging
import sys
import time
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import Any, TextIO

import orjson
import structlog

from gateway.config import LogConfig

_LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(config: LogConfig) -> None:
    """Set up structlog for this process. Call once, before the first line."""
    pretty = config.format == "pretty" or (config.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        _Timestamp(),
    ]
    if pretty:
        processors = [
            *shared,
            _printable,
            structlog.dev.ConsoleRenderer(exception_formatter=_traceback),
        ]
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        # Traceback as one field: a line stays a line.
        processors = [
            *shared,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_json),
        ]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[config.level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


class _Timestamp:
    """Adds this machine's time with its offset: without it nobody elsewhere could place it.

    The text of a second is made once: it would cost as much as the rest of a line.
    """

    def __init__(self) -> None:
        self._second = -1
        self._date, self._offset = "", ""

    def __call__(self, _logger: Any, _name: str, event: MutableMapping[str, Any]) -> Any:
        second, microsecond = divmod(time.time_ns() // 1000, 1_000_000)
        if second != self._second:
            text = datetime.fromtimestamp(second).astimezone().isoformat()
            self._second, self._date, self._offset = second, text[:19], text[19:]
        event["timestamp"] = f"{self._date}.{microsecond:06d}{self._offset}"
        return event


def _printable(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> Any:
    """Let no fact move the cursor, colour the terminal or forge a line."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _escaped(value)
    return event


def _traceback(out: TextIO, exc_info: Any) -> None:
    """Write a plain traceback: structlog's own shows local variables, buyers among them."""
    told = "".join(traceback.format_exception(*exc_info))
    out.write("\n".join(_escaped(line) for line in told.splitlines()))


def _escaped(text: str) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _json(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
