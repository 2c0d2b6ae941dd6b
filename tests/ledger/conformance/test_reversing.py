"""A red takes of its blue in the transaction that gives it its number, and never more than is left."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest

from invoice.errors import (
    InvoiceError,
    InvoiceNotReversible,
    PointNotFound,
    RedExceedsBlue,
    RedNotFull,
    RedNoticeUsed,
    RedOriginalNotFound,
    RedTypeMismatch,
    RequestIdReused,
    StockExhausted,
    TaxpayerNotFound,
)
from invoice.lifecycle import InvoiceState
from ledger.port import Ledger
from ledger.records import Entry, EventVerdict, InvoiceRecord, OriginalRef, Reservation, Reserved
from tests.ledger import building
from tests.ledger.building import NOW, TAX_NUMBER, TENANT, a_red, a_reservation

BLUE_NET_FEN, BLUE_TAX_FEN = 20_000, 1_800


async def _blue(ledger: Ledger, type: str = "028", request_id: str = "blue") -> Entry:
    """One issued blue of 200.00 net and 18.00 tax."""
    (blue,) = await building.issue_all(ledger, a_reservation(request_id, type=type))
    return blue


async def _reserve(ledger: Ledger, *items: Reservation) -> list[Reserved]:
    result = await building.commit(ledger, (), items)
    return list(result.reserved)


async def _refusal(ledger: Ledger, item: Reservation) -> InvoiceError:
    (reserved,) = await _reserve(ledger, item)
    assert reserved.entry is None
    assert reserved.error is not None
    return reserved.error


async def _shown(ledger: Ledger, entry: Entry) -> InvoiceRecord:
    record = await ledger.find_invoice(TENANT, entry.tax_number, entry.code, entry.number)
    assert record is not None
    return record


async def _change_numbers(ledger: Ledger, *types: str) -> list[int]:
    backlog = await ledger.backlog(TENANT, TAX_NUMBER)
    numbers = {meter.type: meter.change_number for meter in backlog.meters}
    return [numbers[type_code] for type_code in types]


def _sums(reds: Iterable[Entry]) -> tuple[int, int]:
    taken = list(reds)
    return -sum(red.net_fen for red in taken), -sum(red.tax_fen for red in taken)


async def test_a_red_reverses_its_blue_when_it_settles(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger, "026")

    (red,) = await building.reserve(ledger, a_red("red", blue))
    waiting = await _shown(ledger, blue)
    (settled,) = (await building.commit(ledger, [building.signed(red)])).settled

    assert settled.state is InvoiceState.ISSUED
    assert (waiting.entry.state, waiting.reversed_net_fen) == (InvoiceState.ISSUED, 0)
    shown = await _shown(ledger, blue)
    assert shown.entry.state is InvoiceState.REVERSED
    assert (shown.reversed_net_fen, shown.reversed_tax_fen) == (BLUE_NET_FEN, BLUE_TAX_FEN)
    assert shown.original is None
    assert (await _shown(ledger, red)).original == OriginalRef(code=blue.code, number=blue.number)
    assert await _change_numbers(ledger, "026") == [3]


async def test_reds_in_part_show_what_they_leave(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    states = []

    for at, (net_fen, tax_fen) in enumerate([(5_000, 450), (5_000, 450), (10_000, 900)]):
        await building.issue_all(ledger, a_red(f"red-{at}", blue, net_fen, tax_fen))
        shown = await _shown(ledger, blue)
        states.append((shown.entry.state, shown.reversed_net_fen, shown.reversed_tax_fen))

    assert states == [
        (InvoiceState.PARTLY_REVERSED, 5_000, 450),
        (InvoiceState.PARTLY_REVERSED, 10_000, 900),
        (InvoiceState.REVERSED, 20_000, 1_800),
    ]


async def test_several_reds_of_one_blue_settle_in_one_group(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blues = [await _blue(ledger, request_id=f"blue-{at}") for at in range(3)]
    reds = [a_red(f"red-{at}-{part}", blue, 10_000, 900) for at, blue in enumerate(blues)
            for part in range(2)][:-1]  # fmt: skip

    await building.issue_all(ledger, *reds)

    states = [(await _shown(ledger, blue)).entry.state for blue in blues]
    assert states == ["REVERSED", "REVERSED", "PARTLY_REVERSED"]
    assert await _change_numbers(ledger, "028") == [3 + 2 * 5]


async def test_a_red_of_another_type_changes_both_meters(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger, "025")

    await building.issue_all(ledger, a_red("red", blue, type="026"))

    assert (await _shown(ledger, blue)).entry.state is InvoiceState.REVERSED
    assert await _change_numbers(ledger, "025", "026") == [2, 1]


@pytest.mark.parametrize(
    ("net_fen", "tax_fen"), [(20_001, 1_800), (20_000, 1_801), (1, 1_801), (20_001, 0)]
)
async def test_a_red_larger_than_its_blue_is_refused(
    ledger: Ledger, net_fen: int, tax_fen: int
) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)

    error = await _refusal(ledger, a_red("red", blue, net_fen, tax_fen))

    assert isinstance(error, RedExceedsBlue)
    assert error.facts == {"remaining_net_fen": "20000", "remaining_tax_fen": "1800"}


async def test_reserved_reds_count(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    await building.reserve(ledger, a_red("red-1", blue, 15_000, 1_350))

    error = await _refusal(ledger, a_red("red-2", blue, 5_001, 450))

    assert isinstance(error, RedExceedsBlue)
    assert error.facts == {"remaining_net_fen": "5000", "remaining_tax_fen": "450"}
    assert (await _reserve(ledger, a_red("red-3", blue, 5_000, 450)))[0].error is None


async def test_a_type_that_is_reversed_in_full_only(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger, "026")

    part = await _refusal(ledger, a_red("red-1", blue, 10_000, 900))
    untaxed = await _refusal(ledger, a_red("red-2", blue, BLUE_NET_FEN, 0))
    await building.reserve(ledger, a_red("red-3", blue))
    second = await _refusal(ledger, a_red("red-4", blue))

    assert isinstance(part, RedNotFull)
    assert part.facts == {"net_fen": "20000", "tax_fen": "1800"}
    assert isinstance(untaxed, RedNotFull)
    assert isinstance(second, RedExceedsBlue)
    assert second.facts == {"remaining_net_fen": "0", "remaining_tax_fen": "0"}


async def test_a_roll_is_reversed_in_part_by_an_electronic_one(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger, "025")

    await building.issue_all(ledger, a_red("red", blue, 10_000, 900, type="026"))

    assert (await _shown(ledger, blue)).entry.state is InvoiceState.PARTLY_REVERSED


@pytest.mark.parametrize(
    ("blue_type", "red_type", "right"),
    [
        ("028", "026", False),
        ("026", "028", False),
        ("004", "007", False),
        ("025", "007", True),
        ("025", "025", False),
        ("007", "026", True),
    ],
)
async def test_only_some_types_reverse_one_another(
    ledger: Ledger, blue_type: str, red_type: str, *, right: bool
) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger, blue_type)

    (reserved,) = await _reserve(ledger, a_red("red", blue, type=red_type))

    if right:
        assert reserved.entry is not None
        return
    assert isinstance(reserved.error, RedTypeMismatch)
    assert reserved.error.facts == {
        "type": red_type, "original_type": blue_type, "original_kind": "blue",
    }  # fmt: skip


async def test_a_red_reverses_no_red(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    (red,) = await building.issue_all(ledger, a_red("red", await _blue(ledger)))

    error = await _refusal(ledger, replace(a_red("again", red, 1, 0)))

    assert isinstance(error, RedTypeMismatch)
    assert error.facts["original_kind"] == "red"


async def test_an_original_that_is_not_there(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    await building.open_shop(ledger, tax_number=building.OTHER_TAX_NUMBER, code="031002600111")
    (foreign,) = await building.issue_all(
        ledger, a_reservation("foreign", tax_number=building.OTHER_TAX_NUMBER)
    )
    blue = await _blue(ledger, "026")

    unknown = await _refusal(ledger, a_red("red-1", replace(blue, number="99999999")))
    others = await _refusal(ledger, a_red("red-2", replace(foreign, tax_number=TAX_NUMBER)))
    nameless = await _refusal(ledger, replace(a_red("red-3", blue), original=None))

    assert isinstance(unknown, RedOriginalNotFound)
    assert unknown.facts == {"code": blue.code, "number": "99999999"}
    assert isinstance(others, RedOriginalNotFound)
    assert isinstance(nameless, RedOriginalNotFound)


@pytest.mark.parametrize("state", ["RESERVED", "VOIDED", "BLANK_VOIDED", "VOIDING"])
async def test_what_cannot_be_reversed_as_it_stands(ledger: Ledger, state: str) -> None:
    await building.open_family_shop(ledger)
    (blue,) = await building.reserve(ledger, a_reservation("blue", type="028"))
    if state == "BLANK_VOIDED":
        await building.decide_blank_void(
            ledger, blue.number, code=blue.code, type="028", now=NOW + 60
        )
    elif state != "RESERVED":
        await building.commit(ledger, [building.signed(blue)])
        statement = await building.decide_void(ledger, blue)
        if state == "VOIDED":
            await building.settle_statement(ledger, statement)

    error = await _refusal(ledger, a_red("red", blue))

    assert isinstance(error, InvoiceNotReversible)
    assert error.facts == {"code": blue.code, "number": blue.number, "state": state}


@pytest.mark.parametrize("verdict", ["REJECTED", "SIGNATURE_REJECTED"])
async def test_only_a_refused_signature_stands_in_the_way(ledger: Ledger, verdict: str) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    submission = await ledger.prepare_submission(TAX_NUMBER, "s-1", count_max=9, now=NOW)
    assert submission is not None
    (item,) = submission.items
    await ledger.record_verdicts(
        "s-1", [EventVerdict(event_id=item.event_id, state=verdict)], now=NOW  # type: ignore[arg-type]
    )  # fmt: skip

    (reserved,) = await _reserve(ledger, a_red("red", blue))

    if verdict == "REJECTED":
        assert reserved.error is None
    else:
        assert isinstance(reserved.error, InvoiceNotReversible)
        assert reserved.error.facts["state"] == "SIGNATURE_REJECTED"


async def test_each_red_of_a_group_sees_what_the_one_before_took(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)

    first, second, third = await _reserve(
        ledger,
        a_red("red-1", blue, 12_000, 1_000),
        a_red("red-2", blue, 12_000, 1_000),
        a_red("red-3", blue, 8_000, 800),
    )

    assert (first.error, third.error) == (None, None)
    assert isinstance(second.error, RedExceedsBlue)
    assert second.error.facts == {"remaining_net_fen": "8000", "remaining_tax_fen": "800"}
    assert third.entry is not None
    assert third.entry.number == "00000003"


async def test_a_blue_of_the_same_group_is_reserved(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger, "007")
    # The red of type 026 is served after the blue of 007, that of 007 in its turn behind it.
    coming = replace(blue, number="00000002")

    taken, same, other = await _reserve(
        ledger,
        a_reservation("next", type="007"),
        a_red("red-1", coming, type="007"),
        a_red("red-2", coming, type="026"),
    )

    assert taken.entry is not None
    assert taken.entry.number == coming.number
    for refused in (same, other):
        assert isinstance(refused.error, InvoiceNotReversible)
        assert refused.error.facts["state"] == "RESERVED"


async def test_a_blue_that_the_same_group_takes_later_is_reserved_too(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger, "026")

    red, taken = await _reserve(
        ledger,
        a_red("red", replace(blue, number="00000002"), type="007"),
        a_reservation("next", type="026"),
    )

    assert taken.entry is not None
    assert isinstance(red.error, InvoiceNotReversible)
    assert red.error.facts["state"] == "RESERVED"


async def test_the_blue_that_settles_in_the_same_group_can_be_reversed(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    (blue,) = await building.reserve(ledger, a_reservation("blue", type="028"))

    result = await building.commit(ledger, [building.signed(blue)], [a_red("red", blue)])

    assert result.reserved[0].error is None


async def test_a_red_refused_for_its_original_takes_no_number(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)

    answers = await _reserve(
        ledger,
        a_reservation("blue-2", type="028"),
        a_red("red-1", blue, 30_000, 0),
        a_red("red-2", blue, 10_000, 900),
        a_red("red-3", replace(blue, number="99999999")),
        a_reservation("blue-3", type="028"),
    )

    numbers = [answer.entry.number for answer in answers if answer.entry]
    assert numbers == ["00000002", "00000003", "00000004"]
    assert await ledger.find_request(TENANT, "red-1") is None


async def test_a_red_refused_for_stock_takes_nothing_of_its_blue(ledger: Ledger) -> None:
    await building.open_family_shop(ledger, 2)
    blue = await _blue(ledger)

    first, second, third, fourth = await _reserve(
        ledger,
        a_red("red-1", blue, 5_000, 450, notice="1000000000000001"),
        a_red("red-2", blue, 15_000, 1_350, notice="1000000000000002"),
        a_red("red-3", blue, 15_000, 1_350, notice="1000000000000002"),
        a_red("red-4", blue, 15_001, 0),
    )

    assert first.entry is not None
    assert isinstance(second.error, StockExhausted)
    assert isinstance(third.error, StockExhausted)
    assert isinstance(fourth.error, RedExceedsBlue)
    await building.draw(ledger, 5, 500, type="028", code="011002600128")
    await building.assign(ledger, 5, type="028")
    again = a_red("red-3", blue, 15_000, 1_350, notice="1000000000000002")
    assert (await _reserve(ledger, again))[0].error is None


async def test_what_is_judged_before_the_original(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    missing = a_red("red", replace(blue, number="99999999"))

    (stale,) = await _reserve(ledger, replace(missing, taxpayer_version=7))
    (nobody,) = await _reserve(ledger, replace(missing, tax_number="0" * 18))
    (nowhere,) = await _reserve(ledger, replace(missing, point=9))
    (bound,) = await _reserve(ledger, replace(missing, request_id="blue"))

    assert stale.stale
    assert isinstance(nobody.error, TaxpayerNotFound)
    assert isinstance(nowhere.error, PointNotFound)
    assert isinstance(bound.error, RequestIdReused)


async def test_a_red_is_replayed_though_nothing_remains(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    red = a_red("red", blue)
    (issued,) = await building.issue_all(ledger, red)

    again, twice = await _reserve(ledger, red, red)

    assert (again.entry, again.replayed) == (issued, True)
    assert (twice.entry, twice.replayed) == (issued, True)


async def test_a_red_twice_in_a_group_takes_once(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)

    first, second = await _reserve(ledger, *[a_red("red", blue, 15_000, 1_350)] * 2)

    assert (first.replayed, second.replayed) == (False, True)
    assert first.entry == second.entry
    assert (await _reserve(ledger, a_red("red-2", blue, 5_000, 450)))[0].error is None


async def test_a_red_notice_is_used_once(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue, other = await _blue(ledger), await _blue(ledger, request_id="other")
    notice = "1234567890123450"

    first, second = await _reserve(
        ledger,
        a_red("red-1", blue, 100, 9, notice=notice),
        a_red("red-2", other, 100, 9, notice=notice),
    )
    later = await _refusal(ledger, a_red("red-3", other, 100, 9, notice=notice))

    assert first.error is None
    for error in (second.error, later):
        assert isinstance(error, RedNoticeUsed)
        assert error.facts == {"red_notice_number": notice}


async def test_a_voided_red_frees_its_notice_and_gives_back(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    notice = "1234567890123450"
    (red,) = await building.issue_all(ledger, a_red("red-1", blue, notice=notice))

    await building.void(ledger, red)

    assert (await _reserve(ledger, a_red("red-2", blue, notice=notice)))[0].error is None


async def test_an_item_the_database_refuses_takes_nothing_of_its_blue(ledger: Ledger) -> None:
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    spoilt = replace(a_red("red-1", blue), fingerprint=b"short")

    refused, taken = await _reserve(ledger, spoilt, a_red("red-2", blue))

    assert refused.error is not None
    assert taken.error is None


@pytest.mark.parametrize("seed", [20_261_122, 7])
async def test_64_reds_in_groups_of_any_size_never_exceed_their_blue(
    ledger: Ledger, seed: int
) -> None:
    sys.stdout.write(f"seed {seed}\n")
    random = Random(seed)
    await building.open_family_shop(ledger)
    blue = await _blue(ledger)
    parts = [random.randint(100, 2_000) for _ in range(64)]
    reds = [a_red(f"red-{at}", blue, part, round(part * 0.09)) for at, part in enumerate(parts)]
    issued: list[Entry] = []
    waiting: list[Entry] = []

    while reds:
        count = random.randint(1, 16)
        group, reds = reds[:count], reds[count:]
        result = await building.commit(ledger, list(map(building.signed, waiting)), group)
        issued += result.settled
        waiting = [item.entry for item in result.reserved if item.entry]
        net_fen, tax_fen = _sums([*issued, *waiting])
        assert net_fen <= BLUE_NET_FEN
        assert tax_fen <= BLUE_TAX_FEN
        refused = [item.error for item in result.reserved if item.entry is None]
        assert all(isinstance(error, RedExceedsBlue) for error in refused)
    issued += (await building.commit(ledger, list(map(building.signed, waiting)))).settled

    net_fen, tax_fen = _sums(issued)
    shown = await _shown(ledger, blue)
    assert (shown.reversed_net_fen, shown.reversed_tax_fen) == (net_fen, tax_fen)
    left = BLUE_NET_FEN - net_fen, BLUE_TAX_FEN - tax_fen
    # What was refused was refused because nothing so large was left.
    assert all(part > left[0] or round(part * 0.09) > left[1]
               for at, part in enumerate(parts)
               if f"red-{at}" not in {red.request_id for red in issued})  # fmt: skip
