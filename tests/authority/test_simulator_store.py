"""The simulator's store: jobs fail alone, a broken commit ends it, the record runs forward."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from authority.simulator import department_table, grant_table, policy_table, schema
from authority.simulator.call_table import count_call
from authority.simulator.counter_table import count_up
from authority.simulator.departments import Department
from authority.simulator.policy import Policy, Window
from authority.simulator.store import Store, StoreBroken, StoreUnusable

NUMBERS = """
WITH RECURSIVE number (value) AS
    (SELECT 1 UNION ALL SELECT value + 1 FROM number WHERE value < :count)
SELECT value FROM number WHERE value <= :count
"""
OLD_POLICY = {
    "windows": [],
    "offline_limits": {},
    "holding_count_max": 1000,
    "result_delay_ms": 0,
}
LAST = "SELECT coalesce(max(last), 0) FROM counter"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = Store(tmp_path)
    yield opened
    await opened.close()


def count(connection: apsw.Connection) -> int:
    return count_up(connection, "test")


def count_and_fail(connection: apsw.Connection) -> int:
    count_up(connection, "test")
    raise LookupError("refused after a write")


def lose_the_transaction(connection: apsw.Connection) -> None:
    connection.execute("ROLLBACK")


async def test_a_job_that_fails_leaves_nothing_and_spoils_no_other(store: Store) -> None:
    jobs = (count, count_and_fail, count, count_and_fail, count)

    answers = await asyncio.gather(*(store.run(job) for job in jobs), return_exceptions=True)

    assert [each for each in answers if isinstance(each, int)] == [1, 2, 3]
    assert sum(isinstance(each, LookupError) for each in answers) == 2


async def test_a_group_that_cannot_be_committed_ends_the_store(store: Store) -> None:
    await store.run(count)
    asked = [store.run(count), store.run(lose_the_transaction), store.run(count)]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert all(isinstance(each, StoreBroken) for each in answers)
    assert store.broken.is_set()
    with pytest.raises(StoreBroken):
        await store.run(count)


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    asked = [asyncio.ensure_future(store.run(count)) for _ in range(1000)]
    await asyncio.gather(*asked[:1])

    await store.close()

    assert [await each for each in asked] == list(range(1, 1001))
    again = Store(tmp_path)
    assert await again.run(count) == 1001
    await again.close()


@pytest.mark.parametrize("row_count", [0, 1, 499, 500, 501, 1000, 2345])
async def test_every_row_is_on_one_page(store: Store, row_count: int) -> None:
    async with store.snapshot() as snapshot:
        pages = [page async for page in snapshot.pages(NUMBERS, {"count": row_count})]

    assert [row[0] for page in pages for row in page] == list(range(1, row_count + 1))
    assert all(len(page) <= 500 for page in pages)


async def test_a_snapshot_is_of_one_instant(store: Store) -> None:
    await store.run(count)
    async with store.snapshot() as snapshot:
        await store.run(count)
        (before,) = [row async for page in snapshot.pages(LAST, {}) for row in page]
    async with store.snapshot() as snapshot:
        (after,) = [row async for page in snapshot.pages(LAST, {}) for row in page]

    assert (before, after) == ((1,), (2,))


def first_schema() -> apsw.Connection:
    """Return a store as the first simulator left it, with one taxpayer and one accepted blue."""
    connection = apsw.Connection(":memory:")
    connection.execute(schema.MIGRATIONS[0])
    connection.execute(
        """
        PRAGMA user_version = 1;
        INSERT INTO policy VALUES (1, :policy, 0);
        INSERT INTO taxpayer VALUES ('t', 'name', '', '', '{}');
        INSERT INTO allowance VALUES ('t', '026', 0, '[]', 1, 100, 10, 1);
        INSERT INTO stock_grant
        VALUES ('G000000000001', 'r1', 't', '026', 10, '031012600111', '', 8, 1, 10, 1);
        INSERT INTO number_use VALUES ('031012600111', '00000001', 'ISSUE', 't', x'00', 0, 1);
        """,
        {"policy": json.dumps(OLD_POLICY)},
    )
    return connection


def test_a_store_of_an_older_simulator_is_brought_up_to_date() -> None:
    connection = first_schema()

    schema.migrate(connection)

    policy = policy_table.load(connection)
    assert policy is not None
    assert policy[0].issue_days == 0
    assert department_table.settle(connection, None) is Department.TAX
    with pytest.raises(StoreUnusable, match="--office tax, not of --office finance"):
        department_table.settle(connection, Department.FINANCE)
    grant = grant_table.find_holder(connection, code="031012600111", number="00000010")
    assert grant is not None
    assert grant.issue_deadline == ""
    assert connection.execute("SELECT net_fen, original_number FROM number_use").get == (None, "")
    connection.close()


def test_a_clock_set_back_frees_no_place_and_the_record_runs_forward() -> None:
    connection = apsw.Connection(":memory:")
    schema.migrate(connection)
    policy = Policy(windows=(Window(period_ms=1000, call_count_max=1),))

    def arrive(arrival_ns: int) -> int:
        return count_call(
            connection,
            tax_number="t",
            method="GetResults",
            arrival_ns=arrival_ns,
            policy=policy,
            since_ns=0,
        )

    waits = [arrive(5_000_000_000), arrive(1_000_000_000), arrive(6_000_000_000)]

    assert waits == [0, 1_000_000_000, 0]
    arrivals = [row[0] for row in connection.execute("SELECT arrival_ns FROM call")]
    assert arrivals == [5_000_000_000, 5_000_000_000, 6_000_000_000]
    connection.close()
