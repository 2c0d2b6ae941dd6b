"""A check of the books finds a wrong total, a wrong summary, and a meter that stands in another month."""

from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from invoice import content
from invoice.errors import PeriodNotClosable
from invoice.period_content import facts
from ledger.migrate import shipped
from ledger.period_records import DeviceName
from ledger.records import DeviceKeyRecord
from ledger.sqlite import SqliteLedger
from quota.period import end_of, period_of
from tests.ledger import building
from tests.ledger.building import ACT, NOW, TAX_NUMBER, TENANT, WORKER

MACHINE = "661000000001"
DEVICE = DeviceName(TAX_NUMBER, MACHINE)
PERIOD = period_of(NOW)
LATER = end_of(PERIOD) + 60.0


async def _ledger(path: Path) -> SqliteLedger:
    ledger = SqliteLedger(path, verify=building.verify)
    await ledger.start(WORKER, NOW)
    return ledger


async def _findings(ledger: SqliteLedger) -> list[str]:
    return [
        f"{one.check} {one.subject}: {one.message}"
        for word in ledger.check_books()
        for one in word.findings
    ]


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Books whose first month is summarised."""
    path = tmp_path / "ledger.db"
    ledger = await _ledger(path)
    await building.open_shop(ledger, 100)
    opened = apsw.Connection(str(path))
    first = str(opened.execute("SELECT min(open_period) FROM meter").get)
    opened.close()
    assert first <= PERIOD
    await building.issue(ledger, "r-1", "r-2", "r-3")
    await building.upload(ledger, "s-1")
    await _summarise(ledger, first)
    await ledger.close()
    return path


async def _summarise(ledger: SqliteLedger, period: str) -> None:
    wish = {"authority_request_id": f"authority-{period}", "worker": WORKER, "told_at": LATER}
    act = replace(ACT, at=LATER)
    closed, replayed = await ledger.close_period(
        DEVICE,
        period,
        binding=building.binding("summarise_period", period=period),
        act=act,
        **wish,  # type: ignore[arg-type]
    )
    assert (closed.state, replayed) == ("CLOSING", False)
    signature = building.seal(MACHINE, closed.content, tag=content.PERIOD_TAG)
    signed = await ledger.sign_period(closed, signature=signature, key_id=building.KEY_ID)
    done = await ledger.summarise_period(signed, summary_serial="PS1", now=LATER)
    assert done.state == "SUMMARISED"


async def test_a_summarised_month_balances(path: Path) -> None:
    ledger = await _ledger(path)
    assert await _findings(ledger) == []
    await ledger.close()


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (
            "UPDATE month_total SET invoice_count = invoice_count + 1 WHERE rate_ppm = -1",
            "I10_MONTHS",
        ),
        ("UPDATE month_total SET tax_fen = tax_fen + 1 WHERE rate_ppm > 0", "I10_MONTHS"),
        ("DELETE FROM month_total WHERE rate_ppm > 0", "I10_MONTHS"),
        ("UPDATE stock_grant SET confirmed_at = confirmed_at + 9000000", "I10_MONTHS"),
        ("UPDATE period SET content = CAST('{}' AS BLOB)", "I5_CONTENT"),
        ("UPDATE period SET signature = x'00'", "I5_SIGNED"),
        ("UPDATE period SET summary_serial = 'PS2'", "I9_AUDITED"),
        ("UPDATE period SET request_id = 'other'", "I3_EXACTLY_ONCE"),
        ("UPDATE period SET period = '2031-01'", "I7_PERIODS"),
        ("DELETE FROM period", "I7_PERIODS"),
        ("UPDATE meter SET open_period = '2031-01'", "I7_PERIODS"),
        ("UPDATE meter SET summarised_at = summarised_at + 1", "I7_PERIODS"),
        ("UPDATE meter SET issue_time_min = 0", "I7_PERIODS"),
        ("UPDATE device_key SET activated_at = 12", "I9_AUDITED"),
    ],
)
async def test_what_is_damaged_is_found(path: Path, damage: str, check: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(damage)
    connection.close()
    ledger = await _ledger(path)

    found = await _findings(ledger)

    assert any(one.startswith(check) for one in found), found
    await ledger.close()


async def test_a_ledger_from_before_is_counted_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = await _ledger(path)
    await building.open_shop(ledger, 100)
    await building.issue(ledger, "r-1", "r-2", "r-3")
    await ledger.close()
    step = next(one for one in shipped() if one.name == "periods")
    connection = apsw.Connection(str(path))
    before = connection.execute("SELECT * FROM month_total").fetchall()
    connection.execute(
        "DROP TABLE month_total; DROP TABLE period; DROP INDEX meter_open_period;"
        "DROP INDEX stock_grant_confirmed; DROP INDEX stock_return_returned;"
        "ALTER TABLE device_key DROP COLUMN activated_at"
    )
    connection.execute(step.script)
    after = connection.execute("SELECT * FROM month_total").fetchall()
    connection.close()

    assert after == before
    ledger = await _ledger(path)
    assert await _findings(ledger) == []
    await ledger.close()


async def test_a_reserved_number_stands_in_the_way_and_tried_dry_nothing_stays(
    tmp_path: Path,
) -> None:
    ledger = await _ledger(tmp_path / "ledger.db")
    await building.open_shop(ledger, 100)
    period = (await ledger.months(TENANT, DEVICE, now=NOW, count_max=24))[-1].period
    bound = building.binding("summarise_period", period=period)
    wish = {"authority_request_id": "a", "worker": WORKER, "told_at": LATER, "binding": bound}

    (entry,) = await building.reserve(ledger, building.a_reservation("r-1"))
    with pytest.raises(PeriodNotClosable) as raised:
        await ledger.close_period(DEVICE, period, act=ACT, **wish)  # type: ignore[arg-type]
    await building.commit(ledger, [building.signed(entry)], [])
    await building.upload(ledger, "s-1")
    dry, _ = await ledger.close_period(DEVICE, period, act=ACT, dry_run=True, **wish)  # type: ignore[arg-type]

    assert raised.value.facts["cause"] == "RESERVED"
    assert facts(dry.content).period == period
    assert await ledger.open_periods() == []
    assert await ledger.find_binding(TENANT, bound.request_id) is None
    assert await _findings(ledger) == []
    await ledger.close()


async def test_a_rotated_key_makes_the_record_stale(path: Path) -> None:
    ledger = await _ledger(path)
    record = await ledger.taxpayer(TENANT, TAX_NUMBER)
    assert record is not None
    key = DeviceKeyRecord(
        key_id="key-2", label="device-2", algorithm="P-256", public_key=b"p", certificate=b"c"
    )

    bound = building.binding("rotate_key")

    replayed = await ledger.rotate_key(DEVICE, key, binding=bound, act=replace(ACT, at=LATER))
    again = await ledger.rotate_key(DEVICE, key, binding=bound, act=replace(ACT, at=LATER + 9))
    stale = await building.commit(
        ledger, [], [building.a_reservation("r-9", version=record.taxpayer.version)]
    )

    assert (replayed, again) == (False, True)
    assert stale.reserved[0].stale
    assert await _findings(ledger) == []
    await ledger.close()
