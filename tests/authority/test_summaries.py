"""Summaries of months: taken once, in order, only with the figures that the simulator has itself."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from authority.client import GrpcAuthority
from authority.config import AuthorityConfig
from authority.port import PeriodSummary
from invoice.errors import AuthorityRefused, AuthorityUnavailable
from taxcontrol.authority.v1 import simulator_service_pb2
from tests.authority import material
from tests.authority.material import SHANGHAI, Trader, new_id, sign
from tests.fakes.simulator_process import SimulatorProcess

_DAY = timedelta(days=1)
_LINES = [
    {"rate_ppm": 60_000, "amount_fen": 4_000, "tax_fen": 240},
    {"rate_ppm": 130_000, "amount_fen": 7_060, "tax_fen": 1_060, "tax_inclusive": True},
]


@pytest.fixture
def simulator(tmp_path: Any) -> Any:
    with SimulatorProcess(tmp_path / "simulator", arguments=["--windows", ""]) as running:
        yield running


@pytest.fixture
async def authority(simulator: SimulatorProcess) -> AsyncIterator[GrpcAuthority]:
    client = GrpcAuthority(AuthorityConfig(target=simulator.target), on_time=lambda *_: None)
    yield client
    await client.close()


class _Month:
    """A month of one trader: what happened in it, and the summary that is right."""

    def __init__(self, simulator: SimulatorProcess, trader: Trader) -> None:
        self.simulator = simulator
        self.trader = trader
        self.period = f"{trader.issue_time:%Y-%m}"

    @classmethod
    async def open(cls, simulator: SimulatorProcess, authority: GrpcAuthority) -> "_Month":
        middle = datetime.now(tz=SHANGHAI).replace(day=15, hour=12, microsecond=0) + 31 * _DAY
        _go_to(simulator, middle)
        trader = await material.new_trader(authority)
        trader.issue_time = middle
        month = cls(simulator, trader)
        await month.hand_in(
            trader.issue(trader.number(0), lines=_LINES, net_fen=10_000, tax_fen=1300),
            trader.issue(trader.number(1), lines=[]),
            trader.void(trader.number(1), original=trader.issue(trader.number(1), lines=[])),
            trader.blank_void(trader.number(2)),
        )
        return month

    async def hand_in(self, *items: Any) -> None:
        for item in items:
            await self.trader.authority.submit(self.trader.submission(item))

    def end(self) -> None:
        """Let the month be over."""
        _go_to(self.simulator, self.trader.issue_time + 31 * _DAY)

    def types(self, **changed: Any) -> list[dict[str, Any]]:
        count = self.trader.grant.count
        right = {
            "type": self.trader.grant.type,
            "opening": 0,
            "drawn": count,
            "returned": 0,
            "blue": 2,
            "blue_void": 1,
            "red": 0,
            "red_void": 0,
            "blank_void": 1,
            "closing": count - 3,
            "totals": [_total(60_000, 1, 4_000, 240), _total(130_000, 1, 6_000, 1_060)],
        }
        return [right | changed]

    def summary(self, types: list[dict[str, Any]] | None = None, **changed: Any) -> PeriodSummary:
        members = {
            "schema": "taxcontrol.period.v1",
            "device": self.trader.machine_number,
            "taxpayer": self.trader.tax_number,
            "period": self.period,
            "summary_time": (self.trader.issue_time + 20 * _DAY).isoformat(),
            "types": self.types() if types is None else types,
        }
        content = json.dumps(members).encode()
        right = PeriodSummary(
            request_id=new_id(),
            tax_number=self.trader.tax_number,
            machine_number=self.trader.machine_number,
            period=self.period,
            content=content,
            signature=sign(self.trader.key, "taxcontrol.period.v1", content),
            certificate=self.trader.certificate,
        )
        return replace(right, **changed)

    async def take(self, summary: PeriodSummary) -> str:
        return await self.trader.authority.summarise_period(summary)

    async def refusal(self, summary: PeriodSummary) -> dict[str, str]:
        with pytest.raises(AuthorityRefused) as raised:
            await self.take(summary)
        return raised.value.facts


def _total(rate_ppm: int, invoices: int, net_fen: int, tax_fen: int) -> dict[str, Any]:
    sums = {"invoices": invoices, "net_fen": net_fen, "tax_fen": tax_fen}
    return {"group": "blue", "rate_ppm": rate_ppm, **sums}


def _go_to(simulator: SimulatorProcess, at: datetime) -> None:
    ahead = at - datetime.now(tz=SHANGHAI)
    simulator.control.SetPolicy(
        simulator_service_pb2.SetPolicyRequest(clock_ahead_ms=round(ahead.total_seconds() * 1000))
    )


async def test_a_right_summary_is_taken_once_and_kept_over_a_restart(
    simulator: SimulatorProcess, authority: GrpcAuthority
) -> None:
    month = await _Month.open(simulator, authority)
    month.end()
    summary = month.summary()

    serial = await month.take(summary)
    simulator.restart()

    assert await month.take(summary) == serial
    other = await month.refusal(month.summary())
    assert other["authority_reason"] == "PERIOD_SUMMARISED"
    (kept,) = [
        piece.summary
        for piece in simulator.record(month.trader.tax_number)
        if piece.HasField("summary")
    ]
    assert (kept.period, kept.summary_serial) == (month.period, serial)
    assert kept.content_digest == hashlib.sha256(summary.content).digest()


async def test_refusals_come_in_the_order_of_the_contract(
    simulator: SimulatorProcess, authority: GrpcAuthority
) -> None:
    month = await _Month.open(simulator, authority)
    wrong = month.types(blue=7)
    broken = replace(month.summary(), content=b"{}")
    steps = [
        (replace(broken, tax_number="nobody"), "TAXPAYER_UNKNOWN"),
        (replace(broken, machine_number="661999999999"), "DEVICE_UNKNOWN"),
        (broken, "CONTENT_INVALID"),
        (month.summary(wrong, signature=b"x" * 64), "SIGNATURE_INVALID"),
        (month.summary(wrong), "PERIOD_NOT_OVER"),
    ]

    found = [(await month.refusal(summary))["authority_reason"] for summary, _ in steps]
    month.end()
    mismatch = await month.refusal(month.summary(wrong))

    assert found == [reason for _, reason in steps]
    assert mismatch["authority_reason"] == "STATISTICS_MISMATCH"
    await month.take(month.summary(request_id="once"))
    reused = await month.refusal(month.summary(wrong, request_id="once"))
    assert reused["authority_reason"] == "REQUEST_ID_REUSED"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"blue": 1, "closing": 98}, "blue"),
        ({"blue_void": 0}, "blue_void"),
        ({"red": 1, "closing": 96}, "red"),
        ({"blank_void": 0, "closing": 98}, "blank_void"),
        ({"closing": 5}, "closing"),
        ({"drawn": 20_000, "closing": 19_997}, "drawn"),
        ({"returned": 1, "closing": 96}, "returned"),
        ({"opening": 1, "closing": 98}, "opening"),
        ({"totals": [_total(60_000, 1, 4_001, 240)]}, "totals.blue.60000.net_fen"),
        ({"totals": []}, "totals.blue.60000.invoices"),
    ],
)
async def test_each_wrong_figure_is_named(
    simulator: SimulatorProcess, authority: GrpcAuthority, changed: dict[str, Any], field: str
) -> None:
    month = await _Month.open(simulator, authority)
    month.end()
    count = month.trader.grant.count
    if "closing" in changed and field not in ("closing", "drawn"):
        changed = changed | {"closing": changed["closing"] + count - 100}

    refusal = await month.refusal(month.summary(month.types(**changed)))

    assert (refusal["authority_reason"], refusal["field"]) == ("STATISTICS_MISMATCH", field)


async def test_a_number_below_others_that_never_came_is_told(
    simulator: SimulatorProcess, authority: GrpcAuthority
) -> None:
    month = await _Month.open(simulator, authority)
    await month.hand_in(month.trader.issue(month.trader.number(4), lines=[]))
    month.end()
    count = month.trader.grant.count

    refusal = await month.refusal(month.summary(month.types(blue=4, closing=count - 5)))

    assert refusal["authority_reason"] == "PERIOD_INCOMPLETE"
    assert refusal["missing_numbers"] == month.trader.number(3)
    assert refusal["missing_count"] == "1"


async def test_months_come_in_their_order(
    simulator: SimulatorProcess, authority: GrpcAuthority
) -> None:
    month = await _Month.open(simulator, authority)
    month.end()
    await month.take(month.summary())
    due = f"{month.trader.issue_time.replace(day=1) + 32 * _DAY:%Y-%m}"
    month.trader.issue_time += 62 * _DAY
    month.period = f"{month.trader.issue_time:%Y-%m}"
    month.end()

    refusal = await month.refusal(month.summary([]))

    assert (refusal["authority_reason"], refusal["next_period"]) == ("PERIOD_OUT_OF_ORDER", due)


async def test_faults_befall_a_summary_too(
    simulator: SimulatorProcess, authority: GrpcAuthority
) -> None:
    month = await _Month.open(simulator, authority)
    month.end()
    summary = month.summary()
    simulator.set_faults(lost_answer_ppm=1_000_000)
    with pytest.raises(AuthorityUnavailable):
        await month.take(summary)
    simulator.set_faults()

    assert (await month.take(summary)).startswith("PS")
    assert sum(piece.HasField("summary") for piece in simulator.record()) == 1
