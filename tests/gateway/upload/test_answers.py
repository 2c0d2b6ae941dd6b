"""Whatever the authority answers, every event ends accepted or rejected, once, and nobody else waits."""

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from structlog.testing import capture_logs

from invoice.errors import LedgerUnavailable
from tests.fakes import strict_authority, virtual_time
from tests.fakes.strict_authority import Call, StrictAuthority, lost, refused, throttled
from tests.fakes.upload_ledger import Shelf
from tests.fakes.upload_world import OTHER, TAXPAYER, World

WINDOWS = ((1.0, 10), (60.0, 30))
CODE = "031001800111"


def world_of(
    authority: StrictAuthority, count: int, *, windows: strict_authority.Windows = WINDOWS
) -> World:
    shelf = Shelf()
    for tax_number in (TAXPAYER, OTHER):
        shelf.register(tax_number, windows)
    shelf.issue(TAXPAYER, count)
    return World(authority, shelf)


def authority_with(**kwargs: object) -> StrictAuthority:
    made: StrictAuthority = StrictAuthority(windows=WINDOWS, round_trip_s=(0.0, 0.01), **kwargs)  # type: ignore[arg-type]
    return made


def share_of(
    fault_share: float, fault: Callable[[], Exception], when: str, seed: int = 1
) -> strict_authority.Fault:
    """A fault that hits a share of the calls."""
    rng = Random(seed)

    async def hit(moment: str, _: Call) -> None:
        if moment == when and rng.random() < fault_share:
            raise fault()

    return hit


async def delay(moment: str, _: Call) -> None:
    if moment == "after":
        await asyncio.sleep(5.0)


FAULTS: dict[str, strict_authority.Fault] = {
    "answers lost after their effect": share_of(0.3, lost, "after"),
    "server errors without effect": share_of(0.3, lost, "before"),
    "throttling with advice": share_of(0.3, lambda: throttled(2.0), "before"),
    "throttling without advice": share_of(0.3, lambda: throttled(None), "before"),
    "every answer late": delay,
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_event_is_accepted_once_in_spite_of(name: str) -> None:
    async def story() -> None:
        authority = authority_with(fault=FAULTS[name], result_delay_s=0.2)
        world = world_of(authority, 1000)

        await world.start()
        await world.until_finished(7200)

        assert set(world.shelf.states(TAXPAYER).values()) == {"ACCEPTED"}
        assert set(authority.recorded.values()) == {1}
        assert len(authority.recorded) == 1000
        assert authority.excesses == []

    virtual_time.run(story())


def test_a_partial_refusal_rejects_those_items_with_their_reasons() -> None:
    async def story() -> None:
        authority = authority_with(refuse_item={"00000003"}, refuse_signature={"00000005"})
        world = world_of(authority, 8)

        await world.start()
        await world.until_finished()

        expected = {f"{n:08d}": "ACCEPTED" for n in range(1, 9)}
        expected |= {"00000003": "REJECTED", "00000005": "SIGNATURE_REJECTED"}
        assert world.shelf.states(TAXPAYER) == expected
        reasons = {it.item.number: it.reason for it in world.shelf.events[TAXPAYER] if it.reason}
        assert reasons == {"00000003": "REFUSED", "00000005": "SIGNATURE_INVALID"}

    virtual_time.run(story())


def test_one_poisoned_of_300_is_isolated_in_few_calls_and_the_rest_arrives() -> None:
    async def story() -> None:
        authority = authority_with(poison={"00000123"})
        world = world_of(authority, 300)

        await world.start()
        await world.until_finished()

        states = world.shelf.states(TAXPAYER)
        assert states.pop("00000123") == "REJECTED"
        assert set(states.values()) == {"ACCEPTED"}
        assert sum(authority.recorded.values()) == 299
        # Two full batches, and at most two calls for each of the seven halvings of the third.
        assert sum(call.method == "submit" for call in authority.calls) <= 2 + 1 + 2 * 7

    virtual_time.run(story())


@pytest.mark.parametrize("step_s", [30.0, 86_400.0, -86_400.0])
def test_a_batch_that_is_split_while_the_clock_is_wrong_goes_on_when_it_is_set_right(
    step_s: float,
) -> None:
    async def story() -> None:
        authority = authority_with(poison={"00000003"})
        world = world_of(authority, 8)
        world.clock.step_s = step_s

        async def hook(point: str) -> None:
            if point == "release after":
                world.clock.step_s = 0.0

        world.hook = hook
        await world.start()
        await world.until_finished(20)

        states = world.shelf.states(TAXPAYER)
        assert states.pop("00000003") == "REJECTED"
        assert set(states.values()) == {"ACCEPTED"}

    virtual_time.run(story())


def test_a_submission_that_is_never_answered_does_not_hold_up_the_others() -> None:
    async def story() -> None:
        async def fault(moment: str, call: Call) -> None:
            if moment == "before" and "00000001" in call.numbers:
                raise lost()

        authority = authority_with(fault=fault)
        world = world_of(authority, 1)
        await world.start()
        await world.until(lambda: world.shelf.states(TAXPAYER)["00000001"] == "IN_DOUBT")

        world.shelf.issue(TAXPAYER, 100)
        world.uploader.wake(TAXPAYER)
        await world.until(lambda: len(world.shelf.backlog[TAXPAYER]) == 1, 120)

        assert world.shelf.states(TAXPAYER)["00000001"] == "IN_DOUBT"

    virtual_time.run(story())


def test_a_submission_that_is_never_answered_is_asked_about_less_and_less_often() -> None:
    async def story() -> None:
        async def fault(moment: str, call: Call) -> None:
            if moment == "before" and "00000001" in call.numbers:
                raise lost()

        authority = StrictAuthority(fault=fault)
        world = world_of(authority, 1, windows=())
        await world.start()
        for _ in range(300):
            world.shelf.issue(TAXPAYER, 1)
            world.uploader.wake(TAXPAYER)
            await world.clock.sleep(2.0)

        # Ten minutes of successes beside it: the cap of 30 s means one try in 15 s on average.
        assert sum(call.method == "get_submission" for call in authority.calls) < 80

    virtual_time.run(story())


def test_what_a_failed_stream_had_under_way_is_in_doubt() -> None:
    async def story() -> None:
        async def hook(point: str) -> None:
            if point == "submitted before":
                authority.fault = away
                raise LedgerUnavailable("disk full")

        async def away(_: str, __: Call) -> None:
            raise lost()

        authority = authority_with()
        world = world_of(authority, 1)
        world.hook = hook
        await world.start()
        await world.until(lambda: len(authority.calls) > 1)

        assert world.shelf.states(TAXPAYER) == {"00000001": "IN_DOUBT"}

    virtual_time.run(story())


def test_results_that_cannot_be_had_do_not_hold_up_new_events() -> None:
    async def story() -> None:
        async def fault(_: str, call: Call) -> None:
            if call.method == "get_results":
                raise lost()

        authority = authority_with(fault=fault)
        world = world_of(authority, 1)
        await world.start()
        await world.until(lambda: world.shelf.states(TAXPAYER)["00000001"] == "SUBMITTED")

        for _ in range(3):
            [event] = world.shelf.issue(TAXPAYER, 1)
            world.uploader.wake(TAXPAYER)
            sent = partial(authority.recorded.__contains__, (TAXPAYER, event.item.number))
            await world.until(sent, 120)

    virtual_time.run(story())


def test_one_taxpayers_trouble_is_not_anothers() -> None:
    async def story() -> None:
        async def fault(_: str, call: Call) -> None:
            if call.tax_number == TAXPAYER:
                raise lost()

        world = world_of(authority_with(fault=fault), 100)
        world.shelf.issue(OTHER, 100)

        await world.start()
        took_s = await world.until(lambda: world.shelf.finished(OTHER))

        assert took_s < 1.0
        assert not world.shelf.finished(TAXPAYER)

    virtual_time.run(story())


def test_a_refusal_of_the_sender_rejects_no_invoice() -> None:
    async def story() -> None:
        known = False

        async def fault(_: str, call: Call) -> None:
            if call.tax_number == TAXPAYER and not known:
                raise refused("TAXPAYER_UNKNOWN")

        authority = authority_with(fault=fault)
        world = world_of(authority, 3)
        await world.start()
        await world.clock.sleep(300)
        held = set(world.shelf.states(TAXPAYER).values())
        known = True
        await world.until_finished(120)

        assert held == {"PREPARED"}
        assert set(world.shelf.states(TAXPAYER).values()) == {"ACCEPTED"}

    virtual_time.run(story())


def test_a_lost_answer_is_asked_about_before_it_is_sent_again() -> None:
    async def story() -> None:
        losses = [lost()]

        async def fault(moment: str, _: Call) -> None:
            if moment == "after" and losses:
                raise losses.pop()

        authority = authority_with(fault=fault)
        world = world_of(authority, 1)

        await world.start()
        await world.until_finished()

        assert [it.method for it in authority.calls] == ["submit", "get_submission", "get_results"]

    virtual_time.run(story())


def test_absent_is_not_final_the_same_id_goes_again() -> None:
    async def story() -> None:
        losses = [lost()]

        async def fault(moment: str, _: Call) -> None:
            if moment == "before" and losses:
                raise losses.pop()

        authority = authority_with(fault=fault)
        world = world_of(authority, 1)

        await world.start()
        await world.until_finished()

        methods = [it.method for it in authority.calls]
        assert methods == ["submit", "get_submission", "submit", "get_results"]
        assert len(world.shelf.used_ids) == 1

    virtual_time.run(story())


def test_after_a_throttle_nothing_goes_for_as_long_as_told_and_then_half_as_fast() -> None:
    async def story() -> None:
        refusals = [throttled(7.0)]

        async def fault(moment: str, _: Call) -> None:
            if moment == "before" and refusals:
                raise refusals.pop()

        authority = authority_with(fault=fault)
        world = world_of(authority, 1)
        await world.start()
        await world.until(lambda: not refusals)
        await world.clock.sleep(0.1)
        status = await world.uploader.status(TAXPAYER)
        took_s = await world.until_finished()

        assert status.share == 0.5
        assert status.last_error == "too fast"
        assert status.next_call_at == pytest.approx(virtual_time.EPOCH_S + 7.0, abs=0.1)
        assert 6.8 < took_s < 7.5

    virtual_time.run(story())


def test_results_are_asked_for_when_they_are_worth_asking_for() -> None:
    async def story() -> None:
        authority = authority_with(result_delay_s=20.0)
        world = world_of(authority, 1)

        await world.start()
        took_s = await world.until_finished()

        assert [it.method for it in authority.calls] == ["submit", "get_results"]
        assert took_s == pytest.approx(20.0, abs=0.5)

    virtual_time.run(story())


def test_a_ledger_that_fails_now_and_then_loses_nothing() -> None:
    async def story() -> None:
        rng = Random(5)
        authority = authority_with(result_delay_s=0.1)
        world = world_of(authority, 500)

        async def hook(_: str) -> None:
            if rng.random() < 0.2:
                raise LedgerUnavailable("disk full")

        world.hook = hook
        await world.start()
        await world.until_finished(20_000)

        assert set(authority.recorded.values()) == {1}
        assert len(authority.recorded) == 500
        assert set(world.shelf.states(TAXPAYER).values()) == {"ACCEPTED"}
        assert authority.excesses == []

    virtual_time.run(story())


def test_a_bug_in_one_stream_is_logged_and_tried_again() -> None:
    async def story() -> None:
        bugs = [KeyError("ours")]

        async def hook(point: str) -> None:
            if point == "submitted before" and bugs:
                raise bugs.pop()

        world = world_of(authority_with(), 1)
        world.hook = hook
        with capture_logs() as logs:
            await world.start()
            took_s = await world.until_finished()

        assert took_s < 2.0  # its own restart, not the next discovery
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["upload.bug"]
        assert set(world.authority.recorded.values()) == {1}

    virtual_time.run(story())


def test_the_backlog_is_found_again_within_seconds_of_the_authoritys_return() -> None:
    async def story() -> None:
        away = True

        async def fault(_: str, __: Call) -> None:
            if away:
                raise lost()

        shelf = Shelf()
        taxpayers = [f"T{n:03d}" for n in range(200)]
        authority = authority_with(fault=fault)
        for tax_number in taxpayers:
            shelf.register(tax_number, WINDOWS)
            shelf.issue(tax_number, 5)
        world = World(authority, shelf)
        await world.start()
        await world.clock.sleep(300)
        away, calls_before, authority.in_flight_max = False, len(authority.calls), 0
        back_s = await world.until(lambda: len(authority.recorded) > 0)
        drained_s = await world.until_finished()

        # Of five minutes of absence: on average nobody asked more than once in 10 s.
        assert calls_before < 200 * 30
        assert back_s < 5.0
        assert drained_s < 10.0
        # Called back over 2 s: no stampede.
        assert authority.in_flight_max < 20
        assert authority.excesses == []

    virtual_time.run(story())


def test_logs_name_taxpayer_submission_and_counts_and_no_content() -> None:
    async def story() -> None:
        signatures = {f"{number:08}" for number in range(3, 11)}
        authority = authority_with(refuse_item={"00000002"}, refuse_signature=signatures)
        world = world_of(authority, 11)
        with capture_logs() as logs:
            await world.start()
            await world.until_finished()

        assert [line["event"] for line in logs] == [
            "upload.submitted",
            "upload.accepted",
            "upload.rejected",
            "upload.rejected",
        ]
        assert [line["log_level"] for line in logs] == ["info", "info", "warning", "error"]
        assert [line["count"] for line in logs] == [11, 2, 1, 8]
        assert all(line["tax_number"] == TAXPAYER and line["submission_id"] for line in logs)
        assert [line["reasons"] for line in logs[2:]] == [{"REFUSED": 1}, {"SIGNATURE_INVALID": 8}]
        assert logs[2]["invoices"] == [f"{CODE}-00000002"]
        assert logs[3]["invoices"] == [f"{CODE}-{number:08}" for number in range(3, 8)]
        assert all("content" not in line for line in logs)

    virtual_time.run(story())


def test_a_wake_starts_the_upload_at_once_and_a_stop_ends_it() -> None:
    async def story() -> None:
        world = world_of(authority_with(), 0)
        await world.start()
        await world.clock.sleep(1)
        world.shelf.issue(TAXPAYER, 1)
        for _ in range(1000):
            world.uploader.wake(TAXPAYER)
        took_s = await world.until_finished()
        await world.uploader.stop()
        world.shelf.issue(TAXPAYER, 1)
        world.uploader.wake(TAXPAYER)
        await world.clock.sleep(60)

        assert took_s < 0.1
        assert len(world.authority.recorded) == 1
        assert world.uploader._running == {}

    virtual_time.run(story())


def test_a_stop_lets_the_call_under_way_end_and_sends_no_other() -> None:
    async def story() -> None:
        async def slow(moment: str, _: Call) -> None:
            if moment == "after":
                await asyncio.sleep(3.0)

        authority = authority_with(fault=slow)
        world = world_of(authority, 1)
        await world.start()
        await world.until(lambda: authority.in_flight == 1)
        world.shelf.issue(TAXPAYER, 50)
        world.uploader.wake(TAXPAYER)
        await world.uploader.stop()

        assert authority.in_flight == 0
        assert len(authority.calls) == 1
        assert world.shelf.states(TAXPAYER)["00000001"] == "SUBMITTED"

    virtual_time.run(story())


def test_a_stop_does_not_wait_longer_than_its_grace() -> None:
    async def story() -> None:
        async def hang(_: str, __: Call) -> None:
            await asyncio.sleep(1e6)

        authority = authority_with(fault=hang)
        world = world_of(authority, 1)
        await world.start()
        await world.until(lambda: authority.in_flight == 1)
        began_at = world.clock.monotonic()
        await world.uploader.stop(grace_s=2.0)

        assert world.clock.monotonic() - began_at == pytest.approx(2.0, abs=0.1)
        assert authority.in_flight == 0

    virtual_time.run(story())
