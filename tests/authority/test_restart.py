"""What was answered survives kill -9: registrations, grants, verdicts, policy and windows."""

import pytest

from authority.port import Throttled
from invoice.errors import AuthorityUnavailable
from tests.authority.conftest import Connect
from tests.authority.material import csr, new_id, new_trader, seller, wanted
from tests.fakes.simulator_process import SimulatorProcess, windows_exceeded

WINDOWS = ((3, 3_600_000),)


async def test_everything_answered_is_still_there_after_kill(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator.start()
    authority = connect(own_simulator)
    trader = await new_trader(authority)
    pending = await authority.grant_stock(
        request_id=new_id(), tax_number=trader.tax_number, type="026", count=5
    )
    submission = trader.submission(trader.issue(trader.number(0)), trader.void(trader.number(1)))
    accepted = await authority.submit(submission)
    results = await trader.results(accepted)
    before = list(own_simulator.record(calls=True))

    own_simulator.restart()
    authority = connect(own_simulator)
    trader.authority = authority

    assert list(own_simulator.record(calls=True)) == before
    assert await authority.get_grant(pending.request_id) == pending
    again = await authority.issue_certificate(
        machine_number=trader.machine_number, csr=csr(trader.key, trader.machine_number)
    )
    assert (again.certificate, again.ca_certificate) == (
        trader.certificate,
        trader.ca_certificate,
    )
    registration = await authority.register_taxpayer(
        seller(trader.tax_number), wanted("028", holding=1)
    )
    assert [(grant.type, grant.holding_count_max) for grant in registration.grants] == [
        ("026", 10_000)
    ]
    assert (await authority.submit(submission)).acceptance_serial == accepted.acceptance_serial
    assert await trader.results(accepted) == results
    assert await trader.verdicts(trader.issue(trader.number(0), remark="other")) == [
        ("REJECTED", "DUPLICATE_CONTENT")
    ]


async def test_numbers_go_on_where_they_were(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator.start()
    first = (await new_trader(connect(own_simulator))).grant

    own_simulator.restart()

    second = (await new_trader(connect(own_simulator))).grant
    assert second.code == first.code
    assert second.first == first.first + first.count


async def test_a_restart_forgives_no_call(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator.start()
    own_simulator.set_windows(*WINDOWS)
    trader = await new_trader(connect(own_simulator))
    for ordinal in range(3):
        await trader.submit(trader.issue(trader.number(ordinal)))

    own_simulator.restart()
    trader.authority = connect(own_simulator)

    with pytest.raises(Throttled):
        await trader.submit(trader.issue(trader.number(3)))
    assert windows_exceeded(own_simulator.calls(), WINDOWS) == 0


async def test_the_same_windows_on_the_command_line_go_on_counting_and_others_begin_anew(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator._arguments = ["--windows", "1/1h"]
    own_simulator.start()
    trader = await new_trader(connect(own_simulator))
    await trader.submit(trader.issue(trader.number(0)))

    own_simulator.restart()
    trader.authority = connect(own_simulator)
    with pytest.raises(Throttled):
        await trader.submit(trader.issue(trader.number(1)))

    own_simulator.kill()
    own_simulator._arguments = ["--windows", "1/2h"]
    own_simulator.start()
    trader.authority = connect(own_simulator)
    await trader.submit(trader.issue(trader.number(1)))
    with pytest.raises(Throttled):
        await trader.submit(trader.issue(trader.number(2)))


async def test_a_set_policy_survives_and_faults_do_not(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator.start()
    own_simulator.set_windows(*WINDOWS, result_delay_ms=60_000)
    own_simulator.set_faults(unreachable=True)

    own_simulator.restart()

    trader = await new_trader(connect(own_simulator))
    accepted = await trader.submit(trader.issue(trader.number(0)))
    assert accepted.result_delay_ms > 50_000


async def test_a_client_finds_an_authority_that_comes_back(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator.start()
    authority = connect(own_simulator)
    trader = await new_trader(authority)
    own_simulator.kill()
    with pytest.raises(AuthorityUnavailable):
        await authority.get_grant(trader.grant.request_id)

    own_simulator.start()

    found = None
    while found is None:  # within the bounded backoff; the test's time limit is the judge
        try:
            found = await authority.get_grant(trader.grant.request_id)
        except AuthorityUnavailable:
            continue
    assert found == trader.grant


async def test_sigterm_ends_it_cleanly_with_what_it_was_asked(
    own_simulator: SimulatorProcess, connect: Connect
) -> None:
    own_simulator.start()
    trader = await new_trader(connect(own_simulator))

    status = own_simulator.stop()

    assert status == 0
    assert own_simulator.store.with_name("store.stderr").read_text() == ""
    own_simulator.start()
    assert own_simulator.grants()[0].grant_id == trader.grant.grant_id
