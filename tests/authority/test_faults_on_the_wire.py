"""Faults asked for: what the port says of them, and what they did to the record."""

import time

import pytest

from authority.client import GrpcAuthority
from authority.port import Throttled
from invoice.errors import AuthorityRefused, AuthorityUnavailable
from taxcontrol.authority.v1.simulator_service_pb2 import FaultPlan
from tests.authority.conftest import Connect
from tests.authority.material import (
    Trader,
    new_id,
    new_tax_number,
    new_trader,
    seller,
    wanted,
)
from tests.fakes.simulator_process import SimulatorProcess

ALWAYS = 1_000_000


@pytest.fixture
async def trader(authority: GrpcAuthority) -> Trader:
    return await new_trader(authority)


async def test_a_lost_answer_has_taken_effect_and_the_same_id_finds_it(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    submission = trader.submission(trader.issue(trader.number(0)))
    simulator.set_faults(lost_answer_ppm=ALWAYS)
    with pytest.raises(AuthorityUnavailable):
        await trader.authority.submit(submission)
    simulator.set_faults()

    found = await trader.authority.get_submission(
        tax_number=trader.tax_number, submission_id=submission.submission_id
    )

    assert found is not None
    again = await trader.authority.submit(submission)
    assert again.acceptance_serial == found.acceptance_serial
    assert len(simulator.events(trader.tax_number)) == 1


async def test_a_lost_grant_is_found_by_its_request(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    request_id = new_id()
    simulator.set_faults(lost_answer_ppm=ALWAYS)
    with pytest.raises(AuthorityUnavailable):
        await trader.authority.grant_stock(
            request_id=request_id, tax_number=trader.tax_number, type="026", count=3
        )
    simulator.set_faults()

    found = await trader.authority.get_grant(request_id)

    assert found is not None
    assert (found.count, found.confirmed) == (3, False)
    again = await trader.authority.grant_stock(
        request_id=request_id, tax_number=trader.tax_number, type="026", count=3
    )
    assert again == found


async def test_lost_registrations_are_answered_the_same_again(
    authority: GrpcAuthority, simulator: SimulatorProcess
) -> None:
    tax_number, request_id = new_tax_number(), new_id()
    simulator.set_faults(lost_answer_ppm=ALWAYS)
    with pytest.raises(AuthorityUnavailable):
        await authority.register_taxpayer(seller(tax_number), wanted("026"))
    with pytest.raises(AuthorityUnavailable):
        await authority.register_device(request_id=request_id, tax_number=tax_number, kind="x")
    simulator.set_faults()

    first = await authority.register_device(request_id=request_id, tax_number=tax_number, kind="x")

    # The lost call had registered it: the next device has the next number.
    second = await authority.register_device(request_id=new_id(), tax_number=tax_number, kind="x")
    assert int(second) == int(first) + 1


async def test_a_server_error_has_no_effect_and_still_counts(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    simulator.set_faults(server_error_ppm=ALWAYS)

    with pytest.raises(AuthorityUnavailable) as failure:
        await trader.submit(trader.issue(trader.number(0)))

    assert failure.value.facts["grpc_code"] == "INTERNAL"
    assert simulator.events(trader.tax_number) == []
    (call,) = simulator.calls(trader.tax_number)
    assert not call.throttled


async def test_an_injected_throttle_tells_its_wait_and_is_no_excess(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    simulator.set_faults(throttle_ppm=ALWAYS, throttle_retry_ms=2500)

    with pytest.raises(Throttled) as throttled:
        await trader.submit(trader.issue(trader.number(0)))
    await trader.authority.get_grant(new_id())

    assert throttled.value.retry_s == 2.5
    assert simulator.events(trader.tax_number) == []
    assert [call.throttled for call in simulator.calls(trader.tax_number)] == [False]


async def test_an_unreachable_authority_sees_nothing(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    simulator.set_faults(unreachable=True)

    with pytest.raises(AuthorityUnavailable) as failure:
        await trader.submit(trader.issue(trader.number(0)))
    with pytest.raises(AuthorityUnavailable):
        await trader.authority.get_grant(new_id())

    assert failure.value.facts["grpc_code"] == "UNAVAILABLE"
    assert simulator.calls(trader.tax_number) == []


async def test_a_poisoned_number_refuses_its_whole_submission(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    code, poison = trader.grant.code, trader.number(1)
    items = [trader.issue(trader.number(ordinal)) for ordinal in range(3)]
    simulator.set_faults(FaultPlan(poison=[f"{code}-{poison}"]))

    with pytest.raises(AuthorityRefused) as refusal:
        await trader.submit(*items)

    assert refusal.value.facts["authority_reason"] == "SUBMISSION_INVALID"
    assert simulator.events(trader.tax_number) == []
    assert await trader.verdicts(items[0], items[2]) == [("ACCEPTED", "")] * 2


async def test_a_submission_taken_before_the_poison_is_answered_the_same(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    submission = trader.submission(trader.issue(trader.number(0)))
    first = await trader.authority.submit(submission)
    poison = f"{trader.grant.code}-{trader.number(0)}"
    simulator.set_faults(FaultPlan(poison=[poison]))

    assert await trader.authority.submit(submission) == first


@pytest.mark.parametrize(
    ("plan", "verdict"),
    [
        (FaultPlan(refuse_item_ppm=ALWAYS), ("REJECTED", "REFUSED")),
        (FaultPlan(refuse_signature_ppm=ALWAYS), ("SIGNATURE_REJECTED", "SIGNATURE_INVALID")),
    ],
)
async def test_right_items_are_refused_on_request_but_not_after_they_were_accepted(
    trader: Trader, simulator: SimulatorProcess, plan: FaultPlan, verdict: tuple[str, str]
) -> None:
    accepted, refused = trader.issue(trader.number(0)), trader.issue(trader.number(1))
    assert await trader.verdicts(accepted) == [("ACCEPTED", "")]
    simulator.set_faults(plan)

    assert await trader.verdicts(accepted, refused) == [("ACCEPTED", ""), verdict]

    simulator.set_faults()
    assert await trader.verdicts(refused) == [("ACCEPTED", "")]
    recorded = [event.result.verdict for event in simulator.events(trader.tax_number)]
    assert len(recorded) == 3


async def test_a_share_of_the_items_is_refused(trader: Trader, simulator: SimulatorProcess) -> None:
    simulator.set_faults(seed=7, refuse_item_ppm=300_000)

    verdicts = await trader.verdicts(
        *(trader.issue(trader.number(ordinal)) for ordinal in range(100))
    )

    assert 10 < verdicts.count(("REJECTED", "REFUSED")) < 60
    assert verdicts.count(("ACCEPTED", "")) == 100 - verdicts.count(("REJECTED", "REFUSED"))


async def test_a_call_delayed_past_its_deadline_still_takes_effect(
    trader: Trader, simulator: SimulatorProcess, connect: Connect
) -> None:
    hasty = connect(simulator, timeout_s=0.1)
    submission = trader.submission(trader.issue(trader.number(0)))
    key = {"tax_number": trader.tax_number, "submission_id": submission.submission_id}
    simulator.set_faults(delay_ppm=ALWAYS, delay_ms=400)
    with pytest.raises(AuthorityUnavailable) as failure:
        await hasty.submit(submission)
    simulator.set_faults()

    found = await trader.authority.get_submission(**key)
    deadline = time.monotonic() + 10
    absent_first = found is None
    while found is None and time.monotonic() < deadline:
        found = await trader.authority.get_submission(**key)

    assert failure.value.facts["grpc_code"] == "DEADLINE_EXCEEDED"
    assert absent_first  # absent is not final
    assert found is not None


async def test_a_plan_out_of_range_is_refused(simulator: SimulatorProcess) -> None:
    with pytest.raises(Exception, match="ppm"):
        simulator.set_faults(lost_answer_ppm=1_000_001)
