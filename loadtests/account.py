"""What a run came to: each process keeps its own account, and at the end they are added up.

A process writes every number it was answered to a file as it comes, so that one number given to two
processes is found; all else is one JSON file when the process ends. A process that leaves no such
file has died, and :func:`read` says so by the count.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hdrh.histogram import HdrHistogram

ISSUED: Final = "issued"
BLANK: Final = "blank"
# 1 µs to 10 minutes in three digits.
_LATENCY_US_MAX: Final = 600_000_000
_NUMBERS: Final = ".numbers"
_ENDED: Final = ".json"
# Enough to see what is wrong; the count has them all.
_TOLD_MAX: Final = 50


def histogram() -> HdrHistogram:
    """An empty histogram of microseconds."""
    return HdrHistogram(1, _LATENCY_US_MAX, 3)


def note(latencies: HdrHistogram, seconds: float) -> None:
    """Add a latency; what is beyond the scale counts as its end."""
    latencies.record_value(min(max(1, round(seconds * 1e6)), _LATENCY_US_MAX))


@dataclass(slots=True)
class Total:
    """Counts by name, latencies by operation; ``wrong`` are sentences, ``wrong_count`` is all."""

    process_count: int = 0
    done: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    verified_count: int = 0
    wrong_count: int = 0
    wrong: list[str] = field(default_factory=list)
    latencies: dict[str, HdrHistogram] = field(default_factory=dict)

    @property
    def request_count(self) -> int:
        """What was asked for and came to an end: each invoice of a batch is one."""
        return sum(self.done.values()) + sum(self.refused.values()) + self.failure_count

    @property
    def failure_count(self) -> int:
        """What failed for good."""
        return sum(self.failed.values())


class Account:
    """The account of one process, in ``folder`` under ``name``. Close it at the end."""

    def __init__(self, folder: Path, name: str) -> None:
        self.total = Total(process_count=1)
        self._ended = folder / f"{name}{_ENDED}"
        self._numbers = (folder / f"{name}{_NUMBERS}").open("w", encoding="utf-8")

    def done(self, operation: str, seconds: float, *, count: int = 1) -> None:
        """``count`` invoices or other effects by one call that took ``seconds``, retries included."""
        self.total.done[operation] += count
        self.took(operation, seconds)

    def took(self, operation: str, seconds: float) -> None:
        """A latency alone."""
        note(self.total.latencies.setdefault(operation, histogram()), seconds)

    def failed(self, operation: str, reason: str) -> None:
        """Failed for good."""
        self.total.failed[f"{operation}\t{reason}"] += 1

    def refused(self, operation: str, reason: str) -> None:
        """Refused as it has to be: another caller was first, or there is nothing to do."""
        self.total.refused[f"{operation}\t{reason}"] += 1

    def retried(self, operation: str, reason: str) -> None:
        """Sent again under the same id."""
        self.total.retried[f"{operation}\t{reason}"] += 1

    def verified(self) -> None:
        """A signature was looked at."""
        self.total.verified_count += 1

    def number(self, name: str, request_id: str, *, what: str = ISSUED) -> None:
        """The number in an invoice's ``name`` was answered to ``request_id``."""
        self._numbers.write(f"{what}\t{name.rpartition('/')[2]}\t{request_id}\n")

    def wrong(self, operation: str, subject: str, faults: Iterable[str]) -> None:
        """An answer that no right gateway gives; nothing happens without ``faults``."""
        said = "; ".join(faults)
        if not said:
            return
        self.total.wrong_count += 1
        if len(self.total.wrong) < _TOLD_MAX:
            self.total.wrong.append(f"{operation} {subject}: {said}")

    def close(self) -> None:
        """Write what is kept in memory."""
        self._numbers.close()
        total = self.total
        value = {
            "done": total.done,
            "failed": total.failed,
            "refused": total.refused,
            "retried": total.retried,
            "verified_count": total.verified_count,
            "wrong_count": total.wrong_count,
            "wrong": total.wrong,
            "latencies": {
                name: one.encode().decode("ascii") for name, one in total.latencies.items()
            },
        }
        self._ended.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def read(folder: Path) -> Total:
    """Add up the accounts of all processes that ended in order."""
    total = Total()
    for path in sorted(folder.glob(f"*{_ENDED}")):
        value = json.loads(path.read_text(encoding="utf-8"))
        total.process_count += 1
        for name in ("done", "failed", "refused", "retried"):
            getattr(total, name).update(value[name])
        total.verified_count += value["verified_count"]
        total.wrong_count += value["wrong_count"]
        total.wrong += value["wrong"]
        for name, encoded in value["latencies"].items():
            one = HdrHistogram.decode(encoded)
            total.latencies.setdefault(name, histogram()).add(one)
    return total


def numbers(folder: Path) -> tuple[int, list[str]]:
    """How many invoices were answered, over all processes, and a sentence for each one doubled.

    Doubled is a number that two requests were answered, and a request that was answered two numbers.
    A blank void owns its number as an invoice does.
    """
    owners: dict[str, str] = {}
    found: dict[str, str] = {}
    doubled: list[str] = []
    blank_count = 0
    for what, number, request_id in _answered(folder):
        blank_count += what == BLANK
        owner = owners.setdefault(number, request_id)
        if owner != request_id:
            doubled.append(f"{number} was answered to {owner} and to {request_id}")
        first = found.setdefault(request_id, number)
        if first != number:
            doubled.append(f"{request_id} was answered {first} and {number}")
    return len(owners) - blank_count, doubled


def _answered(folder: Path) -> Iterator[tuple[str, str, str]]:
    """What, number and request id of every answer."""
    for path in sorted(folder.glob(f"*{_NUMBERS}")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                # A process that was killed leaves half a line behind.
                if line.endswith("\n"):
                    what, number, request_id = line.rstrip("\n").split("\t")
                    yield what, number, request_id
