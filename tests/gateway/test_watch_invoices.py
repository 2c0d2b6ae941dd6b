"""A watch speaks first, tells of changes at once, of its position in silence, and ends when told to."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from invoice.errors import (
    InvalidRequest,
    Overloaded,
    PointNotFound,
    ShuttingDown,
    TaxpayerNotFound,
)
from taxcontrol.v1 import invoice_query_pb2 as pb2
from tests.gateway.reading_desk import PARENT, Desk, Watch, open_desk
from tests.ledger import building

SEED = 20_260_709


async def test_the_first_message_is_a_position(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        await building.issue(desk.ledger, "before")
        watch = Watch(desk)

        first = await watch.take()
        await building.issue(desk.ledger, "after")

        assert not first.HasField("change")
        assert await watch.told(1) == ["after"]
        await watch.close()


async def test_from_the_beginning_everything_is_told(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        await building.issue(desk.ledger, "a", "b")
        watch = Watch(desk, from_beginning=True)

        assert await watch.told(2) == ["a", "b"]
        await watch.close()


async def test_a_change_says_what_happened_and_when(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        (entry,) = await building.issue(desk.ledger, "a")
        await building.upload(desk.ledger, "s-1", now=building.NOW + 5)
        await building.void(desk.ledger, entry, now=building.NOW + 9)
        await building.upload(desk.ledger, "s-2", now=building.NOW + 10)
        await building.void_blank(desk.ledger, "00000002")
        watch = Watch(desk, from_beginning=True)
        await watch.take()

        changes = [(await watch.take()).change for _ in range(5)]

        kinds = pb2.InvoiceChange
        assert [change.type for change in changes] == [
            kinds.TYPE_ISSUED,
            kinds.TYPE_UPLOAD_ACCEPTED,
            kinds.TYPE_VOIDED,
            kinds.TYPE_UPLOAD_ACCEPTED,
            kinds.TYPE_BLANK_VOIDED,
        ]
        assert changes[1].change_time.ToMilliseconds() == int((building.NOW + 5) * 1000)
        assert changes[0].invoice == changes[3].invoice
        assert changes[0].invoice.void_statement.content
        assert not changes[0].invoice.certificate
        assert not changes[4].invoice.issued.signature
        await watch.close()


async def test_a_commit_of_this_process_wakes_at_once(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        watch = Watch(desk)
        await watch.take()
        taking = await watch.waiting()

        await building.issue(desk.ledger, "a")
        desk.hub.stir({building.TAX_NUMBER})
        message = await taking

        assert message.change.invoice.issued.request_id == "a"
        assert desk.clock.passed_s == 0
        await watch.close()


async def test_a_commit_of_another_process_is_seen_within_a_second(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        watch = Watch(desk)
        await watch.take()
        taking = await watch.waiting()

        await building.issue(desk.ledger, "a")
        await desk.clock.move(1.0)

        assert (await taking).change.invoice.issued.request_id == "a"
        await watch.close()


async def test_silence_is_broken_by_a_position(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        watch = Watch(desk)
        first = await watch.take()

        second = await watch.take()

        assert desk.clock.passed_s == 15
        assert second == first
        await watch.close()


async def test_the_token_of_an_idle_point_does_not_lag(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        idle = Watch(desk, parent=f"{PARENT}/points/1")
        first = await idle.take()
        await building.issue(desk.ledger, "a", "b", "c")

        later = await idle.take()

        assert not later.HasField("change")
        assert later.resume_token != first.resume_token
        await idle.close()
        again = Watch(desk, parent=f"{PARENT}/points/1", resume_token=later.resume_token)
        assert (await again.take()).resume_token == later.resume_token
        await again.close()


async def test_a_restart_between_any_two_messages_changes_nothing(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    rng = Random(SEED)
    told: list[str] = []
    token = ""
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
    for at in range(12):
        async with open_desk(tmp_path) as desk:
            await building.issue(desk.ledger, f"r-{at}-a", f"r-{at}-b")
            watch = Watch(desk, resume_token=token, from_beginning=True)
            await watch.take()
            told += await watch.told(rng.randrange(3))
            token = watch.token
            await watch.close()
    async with open_desk(tmp_path) as desk:
        watch = Watch(desk, resume_token=token)
        told += await watch.told(24 - len(told))
        await watch.close()

    assert Counter(told) == Counter(f"r-{at}-{one}" for at in range(12) for one in "ab")


async def test_a_type_granted_later_is_told_from_its_first_change(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        watch = Watch(desk)
        await watch.take()
        await watch.close()
        await building.draw(desk.ledger, 9, type=building.SPECIAL_TYPE, code="011002600113")
        await building.assign(desk.ledger, 9, type=building.SPECIAL_TYPE)
        special = building.a_reservation("special", type=building.SPECIAL_TYPE)
        await building.issue_all(desk.ledger, special)

        watch = Watch(desk, resume_token=watch.token)

        assert await watch.told(1) == ["special"]
        await watch.close()


async def test_draining_ends_every_watch_by_name(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        idle, other = Watch(desk), Watch(desk)
        await idle.take()
        await other.take()
        taking = [await idle.waiting(), asyncio.create_task(other._next())]

        desk.hub.close()

        for task in taking:
            with pytest.raises(ShuttingDown):
                await task
        with pytest.raises(ShuttingDown):
            await Watch(desk).told(1)


async def test_so_many_watches_and_no_more(tmp_path: Path) -> None:
    async with open_desk(tmp_path, watch_count_max=2) as desk:
        await building.open_shop(desk.ledger)
        watches = [Watch(desk), Watch(desk)]
        for watch in watches:
            await watch.take()

        with pytest.raises(Overloaded):
            await Watch(desk).take()

        await watches[0].close()
        watches[0] = Watch(desk)
        await watches[0].take()
        for watch in watches:
            await watch.close()
        assert desk.hub._watch_count == 0
        assert not desk.hub._audiences


async def test_one_taxpayers_watches_leave_room_for_anothers(tmp_path: Path) -> None:
    async with open_desk(tmp_path, watch_count_max_per_taxpayer=2) as desk:
        await building.open_shop(desk.ledger)
        await building.register(desk.ledger, building.OTHER_TAX_NUMBER)
        watches = [Watch(desk), Watch(desk)]
        for watch in watches:
            await watch.take()

        with pytest.raises(Overloaded) as refused:
            await Watch(desk).take()
        other = Watch(desk, parent=f"taxpayers/{building.OTHER_TAX_NUMBER}")
        await other.take()

        assert refused.value.retry_s
        assert refused.value.facts == {"waiting_count": "2"}
        for watch in (*watches, other):
            await watch.close()


async def test_a_watch_that_waits_to_read_hears_the_drain_too(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        await building.issue(desk.ledger, "a")
        token = await _token(desk)
        reading = Watch(desk, from_beginning=True)
        await reading.take()
        async with desk.ledger._turns.for_list("somebody"):
            taking = [
                asyncio.create_task(reading._next()),
                asyncio.create_task(Watch(desk, resume_token=token)._next()),
            ]
            await _until(lambda: desk.ledger._turns._watches._count == 2)

            desk.hub.close()

            for task in taking:
                with pytest.raises(ShuttingDown):
                    await task
            await _until(lambda: desk.ledger._turns._watches._count == 0)


async def test_watches_at_one_place_share_what_is_read(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        await building.issue(desk.ledger, "a", "b")
        first, second, third = (Watch(desk, from_beginning=True) for _ in range(3))
        for watch in (first, second, third):
            await watch.take()
        async with desk.ledger._turns.for_list("somebody"):
            taking = [asyncio.create_task(watch._next()) for watch in (first, second, third)]
            await _until(lambda: sum(_waiting(desk)) == 3)
            together = _waiting(desk)

            # Who began the reading leaves, and the others have it still.
            taking[0].cancel()
            await asyncio.wait([taking[0]])

        told = [await task for task in taking[1:]]
        assert together == [3]
        assert told[0] == told[1]
        assert told[0].change.invoice.issued.request_id == "a"
        assert [await second.told(1), await third.told(1)] == [["b"], ["b"]]
        for watch in (second, third):
            await watch.close()
        assert not desk.watcher._pieces._readings


async def test_what_began_before_a_commit_is_not_shared_after_it(tmp_path: Path) -> None:
    """It may have been read already, and the next look would be a second away."""
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        early, late = Watch(desk), Watch(desk)
        for watch in (early, late):
            await watch.take()
        async with desk.ledger._turns.for_list("somebody"):
            taking = [asyncio.create_task(early._next())]
            await _until(lambda: sum(_waiting(desk)) == 1)

            desk.hub.stir({building.TAX_NUMBER})
            taking.append(asyncio.create_task(late._next()))
            await _until(lambda: sum(_waiting(desk)) == 2)

            assert _waiting(desk) == [1, 1]
            for task in taking:
                task.cancel()
            await asyncio.wait(taking)


async def test_what_is_asked_wrongly_is_named(tmp_path: Path) -> None:
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        watch = Watch(desk)
        await watch.take()
        await watch.close()
        asked: list[tuple[dict[str, object], type[Exception], str]] = [
            ({"parent": ""}, InvalidRequest, "parent: FIELD_REQUIRED"),
            ({"parent": "taxpayers/x"}, InvalidRequest, "parent: FIELD_FORMAT"),
            (
                {"parent": f"taxpayers/{building.OTHER_TAX_NUMBER}"},
                TaxpayerNotFound,
                "not registered",
            ),
            ({"parent": f"{PARENT}/points/77"}, PointNotFound, "no point 77"),
            ({"type": "xyz"}, InvalidRequest, "type: FIELD_FORMAT"),
            ({"resume_token": "nonsense"}, InvalidRequest, "resume_token: FIELD_FORMAT"),
            (
                {"resume_token": watch.token, "type": "026"},
                InvalidRequest,
                "resume_token: TOKEN_MISMATCH",
            ),
            (
                {"resume_token": watch.token, "parent": f"{PARENT}/points/0"},
                InvalidRequest,
                "resume_token: TOKEN_MISMATCH",
            ),
        ]

        for request, kind, said in asked:
            with pytest.raises(kind, match=said):
                await Watch(desk, **request).take()


async def test_a_token_ahead_of_the_ledger_is_refused(tmp_path: Path) -> None:
    """As after a ledger was put back to an earlier time: going on would miss what comes now."""
    async with open_desk(tmp_path) as desk:
        await building.open_shop(desk.ledger)
        (early,) = await building.issue(desk.ledger, "a")
        watch = Watch(desk)
        await watch.take()
        await watch.close()
        ahead = desk.watcher._tokens.make(
            desk.watcher._bound(pb2.WatchInvoicesRequest(parent=PARENT)),
            b"\x01\x05",
        )

        assert early.number == "00000001"
        with pytest.raises(InvalidRequest, match=r"TOKEN_MISMATCH.*ahead"):
            await Watch(desk, resume_token=ahead).take()


async def _token(desk: Desk) -> str:
    watch = Watch(desk)
    await watch.take()
    await watch.close()
    return watch.token


def _waiting(desk: Desk) -> list[int]:
    """Of each piece that is being read, how many watches wait for it."""
    return [reading.waiting_count for reading in desk.watcher._pieces._readings.values()]


async def _until(happened: Callable[[], bool]) -> None:
    """Wait until it has; the test's own timeout ends it otherwise."""
    while not happened():  # noqa: ASYNC110 - counters, nothing to await
        await asyncio.sleep(0)
