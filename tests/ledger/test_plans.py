"""No question about invoices goes through a table, and none costs more in a larger ledger."""

from pathlib import Path

from tests.ledger import big_ledger, plans

SMALL, LARGE = 15_000, 75_000
# What the fixed number of rows a page looks at may still grow by when there are more of them; going
# through the 60,000 rows between the two would cost several times as much.
GROWTH_STEPS_MAX = 100_000
PAGE_STEPS_MAX = 200_000


async def test_costs_do_not_grow_with_the_ledger(tmp_path: Path) -> None:
    small_path = await big_ledger.make(tmp_path, rows=SMALL)
    large_path = await big_ledger.make(tmp_path, rows=LARGE)

    small = {cost.name: cost for cost in plans.measured(small_path, SMALL)}
    large = {cost.name: cost for cost in plans.measured(large_path, LARGE)}

    assert small.keys() == large.keys()
    for name, cost in large.items():
        grown = cost.vm_steps - small[name].vm_steps
        assert cost.scans() == [], (name, cost.plans)
        assert grown <= GROWTH_STEPS_MAX, (name, grown, cost.plans)
        assert cost.vm_steps <= PAGE_STEPS_MAX, (name, cost.vm_steps, cost.plans)
    assert sum(cost.found > 0 for cost in large.values()) > len(large) / 2
