"""What lists, watches and look-ups cost in a large ledger: plans, steps and time of each.

    python -m tests.ledger.plans --rows 1000000

Every filter alone and with each of the others, from the beginning, from the middle and from the end;
then a watch and the look-up of a printed invoice. ``measured`` is what the suite asserts upon.
"""

import argparse
import asyncio
import itertools
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import apsw

from invoice.lifecycle import InvoiceState, UploadState
from ledger import changes, listing, printed
from ledger.opening import connect_reader
from ledger.queries import InvoiceFilter, ListPosition
from tests.ledger import big_ledger
from tests.ledger.big_ledger import BUYERS, CODES, FIRST_TIME
from tests.ledger.building import TAX_NUMBER, TENANT

PAGE_COUNT = 20
BYTES_MAX = 4 * 1024 * 1024
ALL = InvoiceFilter(tax_number=TAX_NUMBER)

Work = Callable[[apsw.Connection], object]


@dataclass(slots=True)
class Cost:
    """What one question cost. ``plans`` maps each statement to how it was answered."""

    name: str
    found: int = 0
    vm_steps: int = 0
    elapsed_ms: float = 0.0
    plans: dict[str, list[str]] = field(default_factory=dict)

    def scans(self) -> list[str]:
        """Steps that go through a whole table or index."""
        return [step for plan in self.plans.values() for step in plan if step.startswith("SCAN")]


def filters(rows: int) -> Iterator[tuple[str, InvoiceFilter]]:
    """Every filter alone, and with each of the others, by name."""
    span_s = rows // 100 * 60
    parts: dict[str, dict[str, Any]] = {
        "point": {"point": 3},
        "type": {"type": "026"},
        "code": {"code": CODES["026"]},
        "numbers": {
            "code": CODES["026"],
            "first_number": f"{rows // 100:08}",
            "last_number": f"{rows - 1:08}",
        },
        "from": {"issued_from": FIRST_TIME + span_s // 8},
        "before": {"issued_before": FIRST_TIME + span_s * 7 // 8},
        "issued": {"state": InvoiceState.ISSUED},
        "voided": {"state": InvoiceState.VOIDED},
        "reversed": {"state": InvoiceState.REVERSED},
        "pending": {"upload_state": UploadState.PENDING},
        "accepted": {"upload_state": UploadState.ACCEPTED},
        "rejected": {"upload_state": UploadState.REJECTED},
        "buyer": {"buyer_tax_number": BUYERS[7]},
    }
    yield "all", ALL
    for (one, a), (other, b) in itertools.combinations_with_replacement(parts.items(), 2):
        name = one if one == other else f"{one} + {other}"
        yield name, replace(ALL, **(a | b))


def questions(rows: int) -> Iterator[tuple[str, Work]]:
    """Everything that is asked, by name."""
    middle = ListPosition(FIRST_TIME + rows // 2 // 100 * 60, rows // 2, f"{rows // 3:08}")
    for name, wanted in filters(rows):
        for where, after, newest_first in (
            ("", None, False),
            (", from the middle", middle, False),
            (", newest first", None, True),
        ):
            yield f"{name}{where}", _page(wanted, after, newest_first=newest_first)
    yield "watch: positions", lambda c: changes.positions(c, TENANT, TAX_NUMBER, "")
    for name, share in (("beginning", 0.0), ("middle", 0.5), ("end", 1.0)):
        yield f"watch: piece from the {name}", _piece(share)
    yield "verify: known", lambda c: [printed.find_printed(c, CODES["026"], f"{rows // 3 + 1:08}")]
    yield "verify: unknown", lambda c: [printed.find_printed(c, CODES["026"], "99999999")]


def measured(path: Path, rows: int) -> Iterator[Cost]:
    """Ask everything, each on a reader as the gateway has it."""
    connection = connect_reader(apsw.Connection, path)
    try:
        for name, work in questions(rows):
            yield _cost(connection, name, work)
    finally:
        connection.close()


def _page(wanted: InvoiceFilter, after: ListPosition | None, *, newest_first: bool) -> Work:
    return lambda connection: (
        listing.list_invoices(
            connection,
            TENANT,
            wanted,
            after=after,
            count_max=PAGE_COUNT,
            bytes_max=BYTES_MAX,
            newest_first=newest_first,
        ).records
    )


def _piece(share: float) -> Work:
    def work(connection: apsw.Connection) -> object:
        last = changes.positions(connection, TENANT, TAX_NUMBER, "")
        return changes.changes(
            connection,
            TENANT,
            TAX_NUMBER,
            after={meter: int(number * share) for meter, number in last.items()},
            type_code="",
            point=None,
            count_max=500,
            bytes_max=BYTES_MAX,
        )

    return work


def _cost(connection: apsw.Connection, name: str, work: Work) -> Cost:
    cost = Cost(name)
    statements: dict[str, None] = {}

    def note(traced: dict[str, Any]) -> None:
        cost.vm_steps += traced["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]
        statements[re.sub(r"\s+", " ", traced["sql"]).strip()] = None

    connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, note)
    began = time.perf_counter()
    answer: Any = work(connection)
    cost.elapsed_ms = (time.perf_counter() - began) * 1000
    connection.trace_v2(0, None)
    cost.found = len(answer)
    for statement in statements:
        values = (None,) * _place_count(statement)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
        cost.plans[statement] = [str(step[3]) for step in plan]
    return cost


def _place_count(statement: str) -> int:
    numbered = re.findall(r"\?(\d+)", statement)
    return max(map(int, numbered)) if numbered else statement.count("?")


def _report(costs: list[Cost], *, verbose: bool) -> None:
    print(f"{'question':44} {'found':>6} {'VM steps':>9} {'ms':>7}  led by")
    for cost in costs:
        led = next(
            (
                step.removeprefix("SEARCH ")
                for statement, plan in cost.plans.items()
                if "issue_time, i.invoice_id, i.number" in statement
                for step in plan
                if step.startswith(("SEARCH", "SCAN"))
            ),
            "",
        )
        print(f"{cost.name:44} {cost.found:6} {cost.vm_steps:9} {cost.elapsed_ms:7.2f}  {led}")
        if verbose:
            for statement, plan in cost.plans.items():
                print(f"    {statement[:150]}\n        " + "\n        ".join(plan))
    worst = max(costs, key=lambda cost: cost.vm_steps)
    slowest = max(costs, key=lambda cost: cost.elapsed_ms)
    print(
        f"most steps: {worst.name}, {worst.vm_steps}; slowest: {slowest.name}, "
        f"{slowest.elapsed_ms:.2f} ms; scans: {sum(len(cost.scans()) for cost in costs)}"
    )


def main() -> int:
    """Make the ledger, ask, print; 1 when anything goes through a whole table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="invoices in the ledger")
    parser.add_argument("--verbose", action="store_true", help="print every statement's plan")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        path = asyncio.run(big_ledger.make(Path(folder), rows=options.rows))
        size_mb = path.stat().st_size / 1e6
        print(
            f"{options.rows} invoices, {size_mb:.0f} MB, made in {time.perf_counter() - began:.0f} s"
        )
        costs = list(measured(path, options.rows))
    _report(costs, verbose=options.verbose)
    return 1 if any(cost.scans() for cost in costs) else 0


if __name__ == "__main__":
    sys.exit(main())
