"""Submissions through the port: every verdict and refusal by name, and once in effect."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from authority.client import GrpcAuthority
from authority.port import Event, Submission, Throttled, UploadItem
from invoice.errors import AuthorityRefused
from tests.authority.material import (
    PrivateKey,
    Trader,
    broken,
    new_id,
    new_tax_number,
    new_trader,
    sign,
)
from tests.fakes.simulator_process import SimulatorProcess, windows_exceeded

ACCEPTED = ("ACCEPTED", "")


@pytest.fixture
async def trader(authority: GrpcAuthority) -> Trader:
    return await new_trader(authority)


async def refusal_of(authority: GrpcAuthority, submission: Submission) -> tuple[str, str]:
    with pytest.raises(AuthorityRefused) as refusal:
        await authority.submit(submission)
    return refusal.value.facts["authority_reason"], refusal.value.facts["grpc_code"]


@pytest.mark.parametrize(
    "make_key",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072),
    ],
    ids=["P-256", "Ed25519", "RSA-3072"],
)
async def test_a_right_invoice_is_accepted_under_every_algorithm(
    authority: GrpcAuthority, make_key: Callable[[], PrivateKey]
) -> None:
    trader = await new_trader(authority, make_key=make_key)
    item = trader.issue(trader.number(0))

    assert await trader.verdicts(item) == [ACCEPTED]
    other = trader.issue(trader.number(1))
    assert await trader.verdicts(broken(other)) == [("SIGNATURE_REJECTED", "SIGNATURE_INVALID")]


@pytest.mark.parametrize("type_", ["004", "007", "025", "026", "028", "081", "082"])
async def test_an_invoice_of_every_type_is_accepted(authority: GrpcAuthority, type_: str) -> None:
    trader = await new_trader(authority, type_=type_)

    assert await trader.verdicts(trader.issue(trader.number(99))) == [ACCEPTED]
    assert await trader.verdicts(trader.issue(trader.number(100))) == [
        ("REJECTED", "NUMBER_NOT_GRANTED")
    ]


async def test_a_smaller_number_may_be_missing(trader: Trader) -> None:
    items = [trader.issue(trader.number(ordinal)) for ordinal in (50, 3, 99, 0)]

    assert await trader.verdicts(*items) == [ACCEPTED] * 4


async def test_the_same_submission_again_answers_the_same_serial(trader: Trader) -> None:
    submission = trader.submission(trader.issue(trader.number(0)))

    first = await trader.authority.submit(submission)
    again = await trader.authority.submit(submission)
    found = await trader.authority.get_submission(
        tax_number=trader.tax_number, submission_id=submission.submission_id
    )

    assert found is not None
    assert first.acceptance_serial == again.acceptance_serial == found.acceptance_serial


async def test_twenty_concurrent_submissions_of_one_id_take_effect_once(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    submission = trader.submission(*(trader.issue(trader.number(n)) for n in range(20)))

    answers = await asyncio.gather(*(trader.authority.submit(submission) for _ in range(20)))

    assert len({answer.acceptance_serial for answer in answers}) == 1
    assert len(simulator.events(trader.tax_number)) == 20


async def test_other_items_under_a_submission_id_are_refused(trader: Trader) -> None:
    submission_id = new_id()
    await trader.submit(trader.issue(trader.number(0)), submission_id=submission_id)

    other = trader.submission(trader.issue(trader.number(1)), submission_id=submission_id)

    assert await refusal_of(trader.authority, other) == ("SUBMISSION_ID_REUSED", "ALREADY_EXISTS")


async def test_a_submission_id_belongs_to_its_taxpayer(authority: GrpcAuthority) -> None:
    one, other = await new_trader(authority), await new_trader(authority)
    submission_id = new_id()
    await one.submit(one.issue(one.number(0)), submission_id=submission_id)

    found = await authority.get_submission(tax_number=other.tax_number, submission_id=submission_id)

    assert found is None
    await other.submit(other.issue(other.number(0)), submission_id=submission_id)


async def test_a_submission_that_has_not_arrived_reads_as_none(trader: Trader) -> None:
    found = await trader.authority.get_submission(
        tax_number=trader.tax_number, submission_id=new_id()
    )

    assert found is None


async def test_an_accepted_content_is_accepted_again_and_on_record_once(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    item = trader.issue(trader.number(0))
    resigned = replace(item, signature=sign(trader.key, "taxcontrol.invoice.v1", item.content))

    assert await trader.verdicts(item) == [ACCEPTED]
    assert await trader.verdicts(item, resigned) == [ACCEPTED, ACCEPTED]

    (event,) = simulator.events(trader.tax_number)
    assert event.content_digest == hashlib.sha256(item.content).digest()
    assert event.signature_digest == hashlib.sha256(item.signature).digest()


async def test_another_content_under_a_number_is_refused_and_changes_nothing(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    first, other = (
        trader.issue(trader.number(0)),
        trader.issue(trader.number(0), buyer={"name": "李四"}),
    )

    assert await trader.verdicts(first, other) == [ACCEPTED, ("REJECTED", "DUPLICATE_CONTENT")]
    assert await trader.verdicts(first) == [ACCEPTED]

    assert len(simulator.events(trader.tax_number)) == 2


async def test_a_signature_counts_only_under_a_certificate_of_the_named_device(
    trader: Trader, authority: GrpcAuthority
) -> None:
    item = trader.issue(trader.number(0))
    other = await new_trader(authority)
    wrong = ("SIGNATURE_REJECTED", "SIGNATURE_INVALID")
    submissions = {
        "unnamed key": trader.submission(replace(item, key_id="key-2")),
        "no certificate": replace(trader.submission(item), certificates={}),
        "garbled certificate": replace(trader.submission(item), certificates={"key-1": b"x"}),
        "the CA's own": replace(
            trader.submission(item), certificates={"key-1": trader.ca_certificate}
        ),
        "another device's": replace(
            trader.submission(item), certificates={"key-1": other.certificate}
        ),
        "empty signature": trader.submission(replace(item, signature=b"")),
        "turned bit": trader.submission(broken(item)),
        "turned content": trader.submission(
            replace(
                item, content=item.content.replace(b"10000", b"10001").replace(b"1300", b"1299", 1)
            )
        ),
        "wrong tag": trader.submission(
            replace(item, signature=sign(trader.key, "taxcontrol.void.v1", item.content))
        ),
    }

    for name, submission in submissions.items():
        accepted = await authority.submit(submission)
        (result,) = await trader.results(accepted)
        assert (name, result.verdict.value, result.reason) == (name, *wrong)
    assert await trader.verdicts(item) == [ACCEPTED]


async def test_a_device_of_another_taxpayer_cannot_sign(
    trader: Trader, authority: GrpcAuthority
) -> None:
    other = await new_trader(authority)
    trader.key, trader.certificate = other.key, other.certificate
    item = trader.issue(trader.number(0), device=other.machine_number)

    assert await trader.verdicts(item) == [("SIGNATURE_REJECTED", "SIGNATURE_INVALID")]


@pytest.mark.parametrize(
    "changed",
    [
        {"schema": "taxcontrol.void.v1"},
        {"schema": "taxcontrol.invoice.v2"},
        {"code": "044001900111"},
        {"number": "99999999"},
        {"number": "1"},
        {"taxpayer": "91310115000000001X"},
        {"taxpayer": None},
        {"device": ""},
        {"issue_time": "2026-11-22T12:00:00Z"},
        {"issue_time": "2026-11-22 12:00:00+08:00"},
        {"issue_time": "2026-02-30T12:00:00+08:00"},
        {"kind": "green"},
        {"kind": "red"},
        {"type": ""},
        {"gross_fen": 11_301},
        {"net_fen": "10000"},
        {"net_fen": 10_000.0},
    ],
)
async def test_a_content_that_contradicts_its_item_or_itself_is_refused(
    trader: Trader, changed: dict[str, Any]
) -> None:
    members = trader.members(trader.number(0)) | changed
    item = trader.signed(Event.ISSUE, trader.number(0), members)

    assert await trader.verdicts(item) == [("REJECTED", "CONTENT_INVALID")]
    assert await trader.verdicts(trader.issue(trader.number(0))) == [ACCEPTED]


async def test_an_issue_time_may_be_a_little_ahead_and_no_more(trader: Trader) -> None:
    now = trader.issue_time
    trader.issue_time = now + timedelta(minutes=29)
    assert await trader.verdicts(trader.issue(trader.number(0))) == [ACCEPTED]

    trader.issue_time = now + timedelta(minutes=31)

    assert await trader.verdicts(trader.issue(trader.number(1))) == [
        ("REJECTED", "CONTENT_INVALID")
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{",
        b'{"schema":"taxcontrol.invoice.v1"}',
        b'{"device":"1","schema":"taxcontrol.invoice.v1","code":"","number":""}',
        b'{"schema":"taxcontrol.invoice.v1","device":"1","code":"","number":5}',
        b'{"schema":"s","device":"1","code":"","number":"","number":""}',
        b"[" * 100_000,
        b" " * (1024 * 1024 + 1),
    ],
    ids=range(10),
)
async def test_one_unreadable_item_refuses_the_whole_submission_without_effect(
    trader: Trader, simulator: SimulatorProcess, content: bytes
) -> None:
    right = trader.issue(trader.number(0))
    submission = trader.submission(right, replace(trader.issue(trader.number(1)), content=content))

    refused = await refusal_of(trader.authority, submission)

    assert refused == ("SUBMISSION_INVALID", "INVALID_ARGUMENT")
    assert simulator.events(trader.tax_number) == []
    # The id was left free.
    await trader.submit(right, submission_id=submission.submission_id)


async def test_numbers_outside_a_confirmed_grant_of_that_taxpayer_and_type_are_refused(
    trader: Trader, authority: GrpcAuthority
) -> None:
    other = await new_trader(authority)
    unconfirmed = await authority.grant_stock(
        request_id=new_id(), tax_number=trader.tax_number, type="026", count=5
    )
    not_granted = ("REJECTED", "NUMBER_NOT_GRANTED")

    async def verdict(item: UploadItem) -> tuple[str, str]:
        (found,) = await trader.verdicts(item)
        return found

    assert await verdict(trader.issue(trader.number(0), type="028")) == not_granted
    trader.grant = other.grant
    assert await verdict(trader.issue(other.number(0))) == not_granted
    trader.grant = unconfirmed
    item = trader.issue(trader.number(0))
    assert await verdict(item) == not_granted
    await authority.confirm_grant(unconfirmed.grant_id)
    assert await verdict(item) == ACCEPTED


async def test_a_void_needs_its_invoice_and_then_counts_once(trader: Trader) -> None:
    number = trader.number(0)
    void = trader.void(number)

    assert await trader.verdicts(void) == [("REJECTED", "ORIGINAL_MISSING")]
    assert await trader.verdicts(trader.issue(number), void, void) == [ACCEPTED] * 3
    assert await trader.verdicts(trader.void(number, reason="other")) == [
        ("REJECTED", "DUPLICATE_CONTENT")
    ]


async def test_an_invoice_whose_signature_was_rejected_can_be_voided(trader: Trader) -> None:
    number = trader.number(0)
    rejected = broken(trader.issue(number))

    assert await trader.verdicts(rejected, trader.void(number, original=rejected)) == [
        ("SIGNATURE_REJECTED", "SIGNATURE_INVALID"),
        ACCEPTED,
    ]


async def test_a_blank_void_uses_the_number_up(trader: Trader) -> None:
    number = trader.number(0)
    blank = trader.blank_void(number)
    used = ("REJECTED", "DUPLICATE_CONTENT")

    assert await trader.verdicts(blank, trader.issue(number)) == [ACCEPTED, used]
    assert await trader.verdicts(
        trader.issue(trader.number(1)), trader.blank_void(trader.number(1))
    ) == [ACCEPTED, used]


async def test_a_red_needs_an_accepted_blue_that_is_not_voided(trader: Trader) -> None:
    blue, red, red_of_red, voided, late = (trader.number(ordinal) for ordinal in range(5))
    missing = ("REJECTED", "ORIGINAL_MISSING")
    item = trader.red(red, original=blue)

    assert await trader.verdicts(item) == [missing]
    assert await trader.verdicts(broken(trader.issue(blue)), item) == [
        ("SIGNATURE_REJECTED", "SIGNATURE_INVALID"),
        missing,
    ]
    assert await trader.verdicts(trader.issue(blue), item) == [ACCEPTED, ACCEPTED]
    assert await trader.verdicts(trader.red(red_of_red, original=red)) == [missing]
    assert await trader.verdicts(
        trader.issue(voided), trader.void(voided), trader.red(late, original=voided)
    ) == [ACCEPTED, ACCEPTED, missing]


async def test_a_red_of_another_taxpayers_blue_is_refused(
    trader: Trader, authority: GrpcAuthority
) -> None:
    other = await new_trader(authority)
    assert await other.verdicts(other.issue(other.number(0))) == [ACCEPTED]

    red = trader.red(trader.number(0), original=other.number(0))

    assert await trader.verdicts(red) == [("REJECTED", "ORIGINAL_MISSING")]


async def test_a_number_refused_for_its_original_is_bound_to_its_content(trader: Trader) -> None:
    blue, red = trader.number(0), trader.number(1)
    assert await trader.verdicts(trader.red(red, original=blue)) == [
        ("REJECTED", "ORIGINAL_MISSING")
    ]

    assert await trader.verdicts(trader.issue(red)) == [("REJECTED", "DUPLICATE_CONTENT")]


async def test_one_bad_item_does_not_spoil_the_others(trader: Trader) -> None:
    items = [trader.issue(trader.number(ordinal)) for ordinal in range(100)]
    items[40] = broken(items[40])
    items[41] = trader.issue(trader.number(41), gross_fen=0)

    verdicts = await trader.verdicts(*items)

    assert verdicts[40] == ("SIGNATURE_REJECTED", "SIGNATURE_INVALID")
    assert verdicts[41] == ("REJECTED", "CONTENT_INVALID")
    assert verdicts.count(ACCEPTED) == 98


async def test_results_come_in_the_order_asked_and_unknown_serials_are_left_out(
    trader: Trader, authority: GrpcAuthority
) -> None:
    other = await new_trader(authority)
    theirs = await other.submit(other.issue(other.number(0)))
    first = await trader.submit(trader.issue(trader.number(0)), trader.issue(trader.number(1)))
    second = await trader.submit(trader.issue(trader.number(2)))

    results = await authority.get_results(
        tax_number=trader.tax_number,
        acceptance_serials=[
            second.acceptance_serial,
            "SL0",
            theirs.acceptance_serial,
            first.acceptance_serial,
        ],
    )

    assert [result.acceptance_serial for result in results] == [
        second.acceptance_serial,
        first.acceptance_serial,
    ]
    numbers = [item.number for item in results[1].results]
    assert numbers == [trader.number(0), trader.number(1)]


async def test_results_are_withheld_for_as_long_as_the_policy_says(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    simulator.set_windows(result_delay_ms=3_600_000)
    accepted = await trader.submit(trader.issue(trader.number(0)))

    (pending,) = await trader.authority.get_results(
        tax_number=trader.tax_number, acceptance_serials=[accepted.acceptance_serial]
    )

    assert 3_590_000 < accepted.result_delay_ms <= 3_600_000
    assert (pending.done, pending.results) == (False, ())


@pytest.mark.parametrize("call", ["submit", "get_submission", "get_results"])
async def test_upload_calls_of_an_unknown_taxpayer_are_refused(
    authority: GrpcAuthority, simulator: SimulatorProcess, call: str
) -> None:
    trader = await new_trader(authority)
    stranger = new_tax_number()
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "submit": lambda: authority.submit(
            replace(trader.submission(trader.issue(trader.number(0))), tax_number=stranger)
        ),
        "get_submission": lambda: authority.get_submission(
            tax_number=stranger, submission_id=new_id()
        ),
        "get_results": lambda: authority.get_results(
            tax_number=stranger, acceptance_serials=["SL1"]
        ),
    }

    with pytest.raises(AuthorityRefused) as refusal:
        await calls[call]()

    assert refusal.value.facts["authority_reason"] == "TAXPAYER_UNKNOWN"
    assert refusal.value.facts["grpc_code"] == "NOT_FOUND"
    assert simulator.calls(stranger) == []


async def test_shapes_out_of_bounds_are_refused_by_name(trader: Trader) -> None:
    one = trader.issue(trader.number(0))

    async def results(*serials: str) -> object:
        return await trader.authority.get_results(
            tax_number=trader.tax_number, acceptance_serials=serials
        )

    too_many = trader.submission(*[one] * 101)
    assert (await refusal_of(trader.authority, too_many))[0] == "BATCH_TOO_LARGE"
    too_big = trader.submission(replace(one, content=b" " * (8 * 1024 * 1024)))
    assert (await refusal_of(trader.authority, too_big))[0] == "BATCH_TOO_LARGE"
    assert (await refusal_of(trader.authority, trader.submission()))[0] == "REQUEST_INVALID"
    bad_id = trader.submission(one, submission_id="no blanks")
    assert (await refusal_of(trader.authority, bad_id))[0] == "REQUEST_INVALID"
    for serials, reason in ((["SL1"] * 101, "BATCH_TOO_LARGE"), ([], "REQUEST_INVALID")):
        with pytest.raises(AuthorityRefused) as refusal:
            await results(*serials)
        assert refusal.value.facts["authority_reason"] == reason


async def test_every_upload_call_counts_in_the_windows_and_no_other_does(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    simulator.set_windows((3, 3_600_000))
    accepted = await trader.submit(trader.issue(trader.number(0)))
    await trader.results(accepted)
    await trader.authority.get_submission(tax_number=trader.tax_number, submission_id=new_id())

    with pytest.raises(Throttled) as throttled:
        await trader.results(accepted)
    await trader.authority.get_grant(new_id())

    assert throttled.value.facts["authority_reason"] == "THROTTLED"
    assert throttled.value.retry_s is not None
    assert 3_590 < throttled.value.retry_s < 3_600
    calls = simulator.calls(trader.tax_number)
    assert [(call.method, call.throttled) for call in calls] == [
        ("SubmitInvoices", False),
        ("GetResults", False),
        ("GetSubmission", False),
        ("GetResults", True),
    ]


async def test_windows_are_exact_to_the_instant(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    windows = ((5, 100), (12, 500))
    simulator.set_windows(*windows)
    serials = [(await trader.submit(trader.issue(trader.number(0)))).acceptance_serial]

    async def ask() -> bool:
        """Ask once, without any pacing; say whether it passed."""
        try:
            await trader.authority.get_results(
                tax_number=trader.tax_number, acceptance_serials=serials
            )
        except Throttled:
            return False
        return True

    passed_count = 0
    while passed_count < 40:
        passed_count += sum(await asyncio.gather(*(ask() for _ in range(4))))

    calls = simulator.calls(trader.tax_number)
    assert windows_exceeded(calls, windows) == 0
    # Strict the other way too: whoever was refused had no place, by the record alone.
    admitted: list[int] = []
    for call in calls:
        arrival = call.arrival_time.ToNanoseconds()
        full = any(
            len([past for past in admitted if past > arrival - period_ms * 1_000_000]) >= count_max
            for count_max, period_ms in windows
        )
        assert call.throttled == full
        if not call.throttled:
            admitted.append(arrival)
    assert any(call.throttled for call in calls)
    assert len(admitted) > 40


async def test_one_taxpayers_calls_leave_another_ones_windows_alone(
    authority: GrpcAuthority, simulator: SimulatorProcess
) -> None:
    one, other = await new_trader(authority), await new_trader(authority)
    simulator.set_windows((1, 3_600_000))
    await one.submit(one.issue(one.number(0)))

    await other.submit(other.issue(other.number(0)))

    with pytest.raises(Throttled):
        await one.submit(one.issue(one.number(1)))


async def test_the_record_is_in_order_and_whole(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    ordinals = [*range(99, 0, -2), *range(0, 100, 2)]
    await trader.submit(*(trader.issue(trader.number(ordinal)) for ordinal in ordinals))
    await trader.submit(trader.void(trader.number(7)))

    pieces = list(simulator.record(trader.tax_number, calls=True))

    kinds = [piece.WhichOneof("piece") for piece in pieces]
    assert kinds == ["grant"] + ["event"] * 101 + ["call"] * 2
    names = [
        (event.result.number, event.result.event) for event in simulator.events(trader.tax_number)
    ]
    assert names == sorted(names)
    assert pieces[0].grant.grant_id == trader.grant.grant_id
