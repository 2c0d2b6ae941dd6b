"""Every write of an operator: tried it changes nothing; done it is on record, once, with who, what, why, when."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import apsw

from ledger.port import Ledger
from taxcontrol.admin.v1 import audit_service_pb2
from tests.e2e.admin_writes import WRITES, Scene, call, is_write, methods
from tests.e2e.sellers import Seller, new_tax_number
from tests.fakes.month_office import Desk, open_office, until

_MID_MARCH = "2027-03-15T12:00:00"
_WHY = "月末盘点，换班交接"
_SETTLED_S = 0.2
# What time alone moves: the sign of life of the process, and samples of what there is anyway.
_MOVED_BY_TIME = {"worker", "backlog_sample"}
_NEEDED = {"request_id", "reason", "validate_only"}
Tables = dict[str, list[tuple[Any, ...]]]


class ByHand:
    """A ledger in which no month is due by itself, so that the operator is the first to close one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def due_periods(self, *_: Any, **__: Any) -> list[Any]:
        return []


def tables(path: Path) -> Tables:
    """Every row of the ledger's file, but of what time alone moves."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name not in _MOVED_BY_TIME
        ]
        assert {"audit", "request_id", "invoice", "alert", "segment"} <= set(names)
        return {
            name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names
        }


async def settled(path: Path) -> Tables:
    """The tables as soon as nothing goes on any more."""
    seen: list[Tables] = [{}]

    async def stands() -> bool:
        await asyncio.sleep(_SETTLED_S)
        seen.append(await asyncio.to_thread(tables, path))
        return seen[-1] == seen[-2]

    await until(stands)
    return seen[-1]


def differences(before: Tables, after: Tables) -> dict[str, list[tuple[Any, ...]]]:
    """What is in one of two and not in the other, by table."""
    return {
        name: [row for row in before[name] + after[name] if before[name].count(row) != after[name].count(row)]
        for name in before
        if before[name] != after[name]
    }  # fmt: skip


async def records(desk: Desk, **asked: Any) -> list[Any]:
    """What is on record."""
    page = await desk.audit.ListAuditRecords(audit_service_pb2.ListAuditRecordsRequest(**asked))
    assert not page.next_page_token
    return list(page.records)


@asynccontextmanager
async def a_scene(folder: Path) -> AsyncIterator[Scene]:
    seller = Seller(tax_number=new_tax_number())
    with open_office(folder) as office:
        await office.go_to(_MID_MARCH)
        async with office.gateway(around=ByHand) as desk:
            device = await desk.open_shop(seller, 1000, 600)  # enough to be no alert
            await asyncio.to_thread(office.simulator.set_faults, refuse_item_ppm=1_000_000)
            await desk.issue(seller)
            await desk.drained(seller)
            await asyncio.to_thread(office.simulator.set_faults)
            yield Scene(office, desk, seller, device)
            assert await desk.findings() == []


def test_the_table_has_every_write_there_is() -> None:
    writes = {name for name, method in methods().items() if is_write(method)}

    assert writes == WRITES.keys()
    assert len(methods()) > len(writes) > 0


def test_every_write_can_be_tried_is_explained_and_has_an_id() -> None:
    lacking = {
        name: lacks
        for name, method in methods().items()
        if is_write(method) and (lacks := _NEEDED - set(method.input_type.fields_by_name))
    }
    untold = [
        name
        for name, method in methods().items()
        if is_write(method) and "replayed" not in method.output_type.fields_by_name
    ]

    assert lacking == {}
    assert untold == []


async def test_every_write_tried_changes_nothing_and_done_is_on_record_once(
    tmp_path: Path,
) -> None:
    done: list[str] = []
    async with a_scene(tmp_path) as scene:
        for name, build in WRITES.items():
            request, target = await build(scene)
            request.request_id, request.reason = f"write-{name}", f"{_WHY}: {name}"
            operator = f"li.wei/{name}"
            before = await settled(scene.office.path)
            at_authority = list(scene.office.simulator.record(scene.seller.tax_number))

            request.validate_only = True
            await call(scene.desk.channel, request, operator=operator)
            tried = await settled(scene.office.path)
            assert (name, differences(before, tried)) == (name, {})
            assert list(scene.office.simulator.record(scene.seller.tax_number)) == at_authority

            request.validate_only = False
            began_at = scene.office.clock.now()
            answer = await call(scene.desk.channel, request, operator=operator)
            ended_at = scene.office.clock.now()
            after = await settled(scene.office.path)
            [record] = await records(scene.desk, actor=operator)
            assert not answer.replayed, name
            assert record.action == re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()
            assert (record.actor, record.target) == (operator, target)
            assert (record.reason, record.request_id) == (request.reason, request.request_id)
            assert began_at - 0.001 <= record.act_time.ToMicroseconds() / 1e6 <= ended_at, name
            assert differences(before, after).keys() > {"audit", "request_id"}, name

            again = await call(scene.desk.channel, request, operator=operator)
            repeated = await settled(scene.office.path)
            assert again.replayed, name
            assert (name, differences(after, repeated)) == (name, {})
            assert await records(scene.desk, actor=operator) == [record]
            done.append(name)
            print(f"{name}: {record.action} of {record.target}")

    assert done == list(WRITES)
