"""What was measured, as JSON, as a table and as one line; and beside what was measured before.

The floor of an invoice is what nobody can leave out: the call with the same messages, one signature by
the module itself, one verification, one durable row. All CPU microseconds of the server.
"""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from loadtests.bench_loads import BATCH, UNARY, Figure, Load

UNARY_GOAL: Final = 1.5
BATCH_GOAL: Final = 1.6
"""How many times their floor invoices may cost, one by one with 64 callers and in batches of 100."""

_BOUND: Final = 0.9
"""From this part of a core on the client may be what is measured, as far as rates go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """The parts of an invoice, bare, once; ``insert_us`` by rows a transaction."""

    sign_us: float
    sign_by: str
    library_sign_us: float
    verify_us: float
    insert_us: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Everything once, one after the other: so each ratio is of the same minutes."""

    bare: Bare
    real: Mapping[str, Figure]
    empty: Mapping[str, Figure]

    def floor_us(self, load: Load) -> float:
        """The floor of an invoice of that load."""
        bare = self.bare
        row_us = bare.insert_us[str(load.group_count)]
        return self.empty[load.name].cpu_us + bare.sign_us + bare.verify_us + row_us

    def ratio(self, load: Load) -> float:
        """How many times its floor an invoice costs."""
        return self.real[load.name].cpu_us / self.floor_us(load)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A whole run. ``upload_per_s`` is what the backlog drained at."""

    at: str
    machine: str
    rounds: Sequence[Round]
    upload_per_s: float
    balanced: bool

    def ratio(self, load: Load) -> float:
        """The median over the rounds."""
        return median(one.ratio(load) for one in self.rounds)

    @property
    def loads(self) -> Sequence[str]:
        """Names of what was measured."""
        return list(self.rounds[0].real)


def machine() -> str:
    """The machine and what ran on it, in a sentence."""
    return (
        f"{os.cpu_count()} cores {platform.machine()}, Linux {platform.release().split('-')[0]},"
        f" Python {platform.python_version()}, grpcio {version('grpcio')}, client on the same machine"
    )


def table(result: Result, loads: Iterable[Load]) -> str:
    """Both tables, with median (least to most) over the rounds."""
    bare = [one.bare for one in result.rounds]
    rows = [
        "| bare, CPU µs | |",
        "|---|---:|",
        f"| signature, {bare[0].sign_by} | {_spread([one.sign_us for one in bare])} |",
        f"| signature, python-pkcs11 | {_spread([one.library_sign_us for one in bare])} |",
        f"| verification | {_spread([one.verify_us for one in bare])} |",
        *(
            f"| row, {count} a transaction | {_spread([one.insert_us[count] for one in bare])} |"
            for count in bare[0].insert_us
        ),
        "",
        (
            "| load | server CPU µs/invoice | empty call | floor | × floor | invoices/s | p50 ms | p90 | p99"
            " | p99.9 | client |"
        ),
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for load in loads:
        real = [one.real[load.name] for one in result.rounds]
        empty = [one.empty[load.name] for one in result.rounds]
        share = median(one.client_share for one in real)
        rows.append(
            f"| {load.name} | {_spread([one.cpu_us for one in real])}"
            f" | {median(one.cpu_us for one in empty):,.0f}"
            f" | {median(one.floor_us(load) for one in result.rounds):,.0f}"
            f" | {_spread([one.ratio(load) for one in result.rounds], digits=2)}"
            f" | {_spread([one.per_s for one in real])}"
            f" | {median(one.p50_ms for one in real):.1f} | {median(one.p90_ms for one in real):.1f}"
            f" | {median(one.p99_ms for one in real):.1f} | {median(one.p999_ms for one in real):.1f}"
            f" | {share:.0%}{', bound' if share >= _BOUND else ''} |"
        )
    rows += [
        "",
        (
            f"Uploads drained at {result.upload_per_s:,.0f}/s. Books balanced:"
            f" {'yes' if result.balanced else 'NO'}."
        ),
    ]
    return "\n".join(rows)


def line(result: Result) -> str:
    """The line for scripts: how many times their floor invoices cost."""
    real = [one.real for one in result.rounds]
    return (
        f"bench: unary={result.ratio(UNARY):.2f} batch={result.ratio(BATCH):.2f}"
        f" unary_per_s={median(one[UNARY.name].per_s for one in real):.0f}"
        f" batch_per_s={median(one[BATCH.name].per_s for one in real):.0f}"
        f" balanced={'yes' if result.balanced else 'no'}"
    )


def compared(result: Result, earlier: Result, loads: Iterable[Load]) -> str:
    """The change of each load against an earlier run, in CPU and in floors."""
    rows = [
        f"| load | CPU µs/invoice, {earlier.at} | now | | × floor | now | |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for load in loads:
        if load.name not in earlier.loads:
            continue
        before, now = (
            median(one.real[load.name].cpu_us for one in run.rounds) for run in (earlier, result)
        )
        then, ratio = earlier.ratio(load), result.ratio(load)
        rows.append(
            f"| {load.name} | {before:,.0f} | {now:,.0f} | {now / before - 1:+.0%}"
            f" | {then:.2f} | {ratio:.2f} | {ratio / then - 1:+.0%} |"
        )
    return "\n".join(rows)


def to_json(result: Result) -> str:
    """Everything, to compare with later."""
    return json.dumps(asdict(result), indent=1, ensure_ascii=False)


def from_json(path: Path) -> Result:
    """Read what :func:`to_json` wrote; raise ``ValueError`` when it is something else."""
    try:
        return _result(json.loads(path.read_text("utf-8")))
    except (KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no result of this benchmark: {error}") from error


def _result(read: Mapping[str, Any]) -> Result:
    rounds = [
        Round(
            bare=Bare(**one["bare"]),
            real={name: Figure(**figure) for name, figure in one["real"].items()},
            empty={name: Figure(**figure) for name, figure in one["empty"].items()},
        )
        for one in read["rounds"]
    ]
    return Result(**{**read, "rounds": rounds})


def _spread(values: Sequence[float], *, digits: int = 0) -> str:
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    low, high = min(values), max(values)
    return f"{median(values):,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"
