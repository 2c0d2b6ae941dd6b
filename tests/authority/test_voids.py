"""Voids and blank voids on the wire: what they must say, and what they do to their number."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from authority.client import GrpcAuthority
from authority.port import Event, OriginalStatement, UploadItem
from invoice.errors import AuthorityRefused
from taxcontrol.authority.v1.simulator_service_pb2 import FaultPlan
from tests.authority.material import SHANGHAI, Trader, broken, csr, new_id, new_trader
from tests.fakes.simulator_process import SimulatorProcess

ACCEPTED = ("ACCEPTED", "")
WRONG = ("REJECTED", "CONTENT_INVALID")
UNSIGNED = ("SIGNATURE_REJECTED", "SIGNATURE_INVALID")
USED = ("REJECTED", "DUPLICATE_CONTENT")
MISSING = ("REJECTED", "ORIGINAL_MISSING")
ALWAYS = 1_000_000


@pytest.fixture
async def trader(authority: GrpcAuthority) -> Trader:
    return await new_trader(authority)


def carrying(void: UploadItem, **changed: Any) -> UploadItem:
    """Return ``void`` with what it carries changed."""
    assert void.original is not None
    return replace(void, original=replace(void.original, **changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"void_time": None},
        {"void_time": "2026-11-22T12:00:00Z"},
        {"taxpayer": "91310115000000001X"},
        {"point": None},
        {"point": -1},
        {"point": 65_536},
        {"point": True},
        {"point": "0"},
        {"type": ""},
        {"reason": ""},
        {"reason": " "},
        {"reason": 1},
        {"code": "044001900111"},
    ],
    ids=str,
)
async def test_a_void_that_is_wrong_in_itself_is_refused_blank_or_not(
    trader: Trader, changed: dict[str, Any]
) -> None:
    assert await trader.verdicts(trader.issue(trader.number(0))) == [ACCEPTED]

    void = trader.void(trader.number(0), **changed)
    blank = trader.blank_void(trader.number(1), **changed)

    assert await trader.verdicts(void, blank) == [WRONG, WRONG]
    assert await trader.verdicts(
        trader.void(trader.number(0)), trader.blank_void(trader.number(1))
    ) == [ACCEPTED, ACCEPTED]


@pytest.mark.parametrize("digest", [None, "", "0" * 63, "0" * 64])
async def test_a_void_names_the_digest_of_the_invoice_it_carries(
    trader: Trader, digest: str | None
) -> None:
    number = trader.number(0)
    right = trader.void(number)
    assert right.original is not None
    upper = hashlib.sha256(right.original.content).hexdigest().upper()

    items = [trader.void(number, invoice_digest=each) for each in (digest, upper)]

    assert await trader.verdicts(trader.issue(number), *items) == [ACCEPTED, WRONG, WRONG]


async def test_the_members_of_a_void_come_in_their_order(trader: Trader) -> None:
    number = trader.number(0)
    right = trader.void(number)
    assert right.original is not None
    members = trader.void_members(number, digest=hashlib.sha256(right.original.content).hexdigest())
    reordered = {name: members[name] for name in [*members][:-2]} | {
        "reason": members["reason"],
        "invoice_digest": members["invoice_digest"],
    }
    blank = trader.void_members(trader.number(1), digest=None)
    time_last = {name: blank[name] for name in blank if name != "void_time"} | {
        "void_time": blank["void_time"]
    }

    void = replace(trader.signed(Event.VOID, number, reordered), original=right.original)

    assert await trader.verdicts(
        trader.issue(number), void, trader.signed(Event.BLANK_VOID, trader.number(1), time_last)
    ) == [ACCEPTED, WRONG, WRONG]


async def test_a_void_that_carries_no_invoice_of_its_number_is_refused(
    trader: Trader, authority: GrpcAuthority
) -> None:
    number = trader.number(0)
    other = await new_trader(authority)
    right = trader.void(number)
    theirs = trader.issue(number, taxpayer=other.tax_number)
    items = {
        "nothing": replace(right, original=None),
        "garbage": trader.void(number, original=replace(trader.issue(number), content=b"\xff")),
        "a void": trader.void(number, original=right),
        "another number's": trader.void(number, original=trader.issue(trader.number(1))),
        "another taxpayer's": trader.void(number, original=theirs),
        "another type's": trader.void(number, original=trader.issue(number, type="028")),
        "another content": carrying(right, content=trader.issue(number, remark="x").content),
    }

    verdicts = await trader.verdicts(trader.issue(number), *items.values())

    assert verdicts == [ACCEPTED] + [WRONG] * len(items)
    assert await trader.verdicts(right) == [ACCEPTED]


async def test_only_a_void_carries_an_original(trader: Trader) -> None:
    carried = OriginalStatement(content=b"{}", signature=b"", key_id="")
    issue = replace(trader.issue(trader.number(0)), original=carried)
    blank = replace(
        trader.blank_void(trader.number(1)),
        original=OriginalStatement(content=b"", signature=b"", key_id="key-1"),
    )

    assert await trader.verdicts(issue, blank) == [WRONG, WRONG]


async def test_a_void_lies_in_the_month_of_its_invoice_and_not_before_it(trader: Trader) -> None:
    last_second = datetime(2026, 10, 31, 23, 59, 59, tzinfo=SHANGHAI)
    trader.issue_time = last_second - timedelta(hours=1)
    number = trader.number(0)
    original = trader.issue(number)
    assert await trader.verdicts(original) == [ACCEPTED]

    def void(at: datetime) -> UploadItem:
        return trader.void(number, original=original, void_time=at.isoformat())

    late, early = last_second + timedelta(seconds=1), trader.issue_time - timedelta(seconds=1)
    assert await trader.verdicts(void(late)) == [WRONG]
    assert await trader.verdicts(void(early)) == [WRONG]
    assert await trader.verdicts(void(last_second)) == [ACCEPTED]


async def test_a_void_time_may_be_a_little_ahead_and_no_more(trader: Trader) -> None:
    now = trader.issue_time
    trader.issue_time = now + timedelta(minutes=31)
    assert await trader.verdicts(trader.blank_void(trader.number(0))) == [WRONG]

    trader.issue_time = now + timedelta(minutes=29)

    assert await trader.verdicts(trader.blank_void(trader.number(0))) == [ACCEPTED]


async def test_another_device_of_the_taxpayer_may_void(
    trader: Trader, authority: GrpcAuthority
) -> None:
    number = trader.number(0)
    original = trader.issue(number)
    assert await trader.verdicts(original) == [ACCEPTED]
    machine_number = await authority.register_device(
        request_id=new_id(), tax_number=trader.tax_number, kind="new-server"
    )
    key = ec.generate_private_key(ec.SECP256R1())
    certified = await authority.issue_certificate(
        machine_number=machine_number, csr=csr(key, machine_number)
    )
    second = replace(
        trader,
        machine_number=machine_number,
        key=key,
        key_id="key-2",
        certificate=certified.certificate,
    )

    submission = second.submission(second.void(number, original=original))
    submission.certificates[trader.key_id] = trader.certificate
    accepted = await authority.submit(submission)

    assert [result.verdict.value for result in await trader.results(accepted)] == ["ACCEPTED"]


async def test_the_signature_a_void_carries_must_verify(trader: Trader) -> None:
    number = trader.number(0)
    right = trader.void(number)
    assert right.original is not None
    items = [
        carrying(right, signature=b""),
        carrying(right, signature=right.original.signature[:-1]),
        carrying(right, key_id="key-2"),
        broken(right),
    ]

    verdicts = await trader.verdicts(trader.issue(number), *items)

    assert verdicts == [ACCEPTED] + [UNSIGNED] * len(items)


async def test_a_void_cures_an_invoice_whose_signature_was_rejected(trader: Trader) -> None:
    number = trader.number(0)
    rejected = broken(trader.issue(number))
    cure = trader.void(number, original=rejected)

    assert await trader.verdicts(cure) == [UNSIGNED]
    assert await trader.verdicts(rejected, broken(cure), cure) == [UNSIGNED, UNSIGNED, ACCEPTED]


async def test_a_rejection_that_did_not_last_is_no_excuse_for_the_signature(
    trader: Trader,
) -> None:
    number = trader.number(0)
    right = trader.issue(number)
    cure = trader.void(number, original=broken(right))

    assert await trader.verdicts(broken(right), right, broken(right)) == [
        UNSIGNED,
        ACCEPTED,
        UNSIGNED,
    ]
    assert await trader.verdicts(cure) == [UNSIGNED]


async def test_an_invoice_refused_for_its_content_can_be_voided(trader: Trader) -> None:
    number = trader.number(0)
    refused = trader.issue(number, gross_fen=1)

    assert await trader.verdicts(refused, trader.void(number, original=refused)) == [
        WRONG,
        ACCEPTED,
    ]


async def test_an_invoice_refused_for_no_reason_can_be_voided(
    trader: Trader, simulator: SimulatorProcess
) -> None:
    number = trader.number(0)
    simulator.set_faults(FaultPlan(refuse_item_ppm=ALWAYS))
    assert await trader.verdicts(trader.issue(number)) == [("REJECTED", "REFUSED")]
    simulator.set_faults()

    assert await trader.verdicts(trader.void(number)) == [ACCEPTED]


async def test_a_void_of_another_invoice_than_the_one_on_record_is_refused(
    trader: Trader,
) -> None:
    number = trader.number(0)
    other = trader.issue(number, buyer={"name": "李四"})

    assert await trader.verdicts(
        trader.issue(number), other, trader.void(number, original=other)
    ) == [ACCEPTED, USED, USED]


async def test_after_a_void_no_other_invoice_is_taken_under_the_number(trader: Trader) -> None:
    number = trader.number(0)
    rejected = broken(trader.issue(number))
    assert await trader.verdicts(rejected, trader.void(number, original=rejected)) == [
        UNSIGNED,
        ACCEPTED,
    ]

    other = trader.issue(number, buyer={"name": "李四"})

    assert await trader.verdicts(other, trader.blank_void(number)) == [USED, USED]


async def test_a_blank_voided_number_cannot_be_voided(trader: Trader) -> None:
    number = trader.number(0)

    assert await trader.verdicts(
        trader.blank_void(number), trader.issue(number), trader.void(number)
    ) == [ACCEPTED, USED, USED]


async def test_a_blank_void_is_of_the_type_of_its_grant(trader: Trader) -> None:
    assert await trader.verdicts(trader.blank_void(trader.number(0), type="028")) == [
        ("REJECTED", "NUMBER_NOT_GRANTED")
    ]


async def test_a_void_of_a_number_nobody_was_granted_is_refused(trader: Trader) -> None:
    assert await trader.verdicts(trader.void(trader.number(100))) == [
        ("REJECTED", "NUMBER_NOT_GRANTED")
    ]


async def test_a_voided_number_is_held_no_more_whatever_became_of_its_invoice(
    authority: GrpcAuthority,
) -> None:
    trader = await new_trader(authority, count=10_000)
    rejected, right = broken(trader.issue(trader.number(0))), trader.issue(trader.number(1))
    await trader.submit(rejected, trader.void(trader.number(0), original=rejected))
    await trader.submit(right, trader.void(trader.number(1), original=right))

    async def draw(count: int) -> None:
        await authority.grant_stock(
            request_id=new_id(), tax_number=trader.tax_number, type="026", count=count
        )

    await draw(2)
    with pytest.raises(AuthorityRefused) as refusal:
        await draw(1)

    assert refusal.value.facts["authority_reason"] == "HOLDING_EXCEEDED"


async def test_another_original_under_a_submission_id_is_another_submission(
    trader: Trader,
) -> None:
    number = trader.number(0)
    void = trader.void(number)
    submission_id = new_id()
    first = await trader.submit(void, submission_id=submission_id)
    others = [
        carrying(void, key_id="key-2"),
        carrying(void, signature=b"another"),
        carrying(void, content=b"another"),
        replace(void, original=None),
    ]

    for other in others:
        with pytest.raises(AuthorityRefused) as refusal:
            await trader.submit(other, submission_id=submission_id)
        assert refusal.value.facts["authority_reason"] == "SUBMISSION_ID_REUSED"
    assert (await trader.submit(void, submission_id=submission_id)) == first
