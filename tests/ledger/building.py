"""Data for tests of the ledger: a registered taxpayer, confirmed stock, drafts, signatures.

    from tests.ledger import building

    await building.open_shop(ledger)                      # taxpayer, 1,000 numbers at point 0
    entry = await building.issue(ledger, "request-1")     # reserved, signed, settled

Everything is real but the signature: :func:`seal` stands for the device, and :func:`verify`
knows its keys. The ledger never looks inside either.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha512

from invoice import content, marks, rates
from invoice.document import Draft, Kind, Line, Original, Party, Taxpayer, TypeGrant
from invoice.lifecycle import UploadState
from ledger.port import Ledger
from ledger.records import (
    Act,
    Binding,
    DeviceKeyRecord,
    DeviceRecord,
    Entry,
    EventVerdict,
    GrantRecord,
    GroupResult,
    OriginalRef,
    PointRecord,
    RateWindow,
    Reservation,
    SegmentRecord,
    Settlement,
    StatementRecord,
    TaxpayerRecord,
)
from ledger.values import Json, to_json
from quota.offline import OfflineLimits

TENANT = "default"
WORKER = "worker-1"
TAX_NUMBER = "91110000AYTLHUJ0ET"
OTHER_TAX_NUMBER = "91310115X12J2H3L4B"
MACHINE_NUMBERS = {TAX_NUMBER: "661000000001", OTHER_TAX_NUMBER: "661000000002"}
TYPE = "026"
SPECIAL_TYPE = "028"
CODE = "011002600111"
KEY_ID = "key-1"
ALGORITHM = "P-256"
NOW = 1_800_000_000.25
ACT = Act(actor="operator", reason="test", at=NOW)

_ids = itertools.count(1)


def public_key(machine_number: str) -> bytes:
    """Return the only key of a device."""
    return f"public key of {machine_number}".encode()


def seal(machine_number: str, signed: bytes, *, tag: bytes = content.INVOICE_TAG) -> bytes:
    """Sign a content the way the test device does: 64 bytes."""
    digest = content.digest(tag, signed)
    return sha512(public_key(machine_number) + digest).digest()


def verify(key: bytes, algorithm: str, digest: bytes, signature: bytes) -> bool:
    """Judge a seal; the judge that a ledger under test is given."""
    return algorithm == ALGORITHM and sha512(key + digest).digest() == signature


def binding(action: str, *, request_id: str = "", tenant: str = TENANT, **request: Json) -> Binding:
    """Bind an admin request; without an id it gets a fresh one."""
    return Binding(
        tenant=tenant,
        request_id=request_id or f"{action}-{next(_ids)}",
        action=action,
        request=to_json(request).encode(),
    )


def a_taxpayer(
    tax_number: str = TAX_NUMBER,
    *,
    tenant: str = TENANT,
    point_count: int = 2,
    holding_count_max: int = 1_000_000,
    types: Sequence[str] = (TYPE, SPECIAL_TYPE),
) -> TaxpayerRecord:
    """One device, two points, two types."""
    machine_number = MACHINE_NUMBERS.get(tax_number, "661000000099")
    key = DeviceKeyRecord(
        key_id=KEY_ID,
        label="label-1",
        algorithm=ALGORITHM,
        public_key=public_key(machine_number),
        certificate=b"certificate of " + machine_number.encode(),
    )
    return TaxpayerRecord(
        tenant=tenant,
        taxpayer=Taxpayer(
            tax_number=tax_number,
            name="示例铁路局集团有限公司",
            address_phone="北京市示例区铁道路1号 010-00000001",
            bank_account="示例银行北京分行 11000000000000001",
            grants={
                code: TypeGrant(
                    type=code, rates_ppm=frozenset({0, 60_000, 90_000}), invoice_limit_fen=10**7
                )
                for code in types
            },
        ),
        points=tuple(
            PointRecord(point=point, machine_number=machine_number) for point in range(point_count)
        ),
        devices=(DeviceRecord(machine_number=machine_number, kind="new-server", keys=(key,)),),
        holding_count_max=dict.fromkeys(types, holding_count_max),
        offline_limits=OfflineLimits(age_hours_max=72, amount_fen_max=500_000_000),
        windows=(RateWindow(period_s=1.0, call_count_max=10),),
        registered_at=NOW,
    )


async def register(
    ledger: Ledger,
    tax_number: str = TAX_NUMBER,
    *,
    tenant: str = TENANT,
    types: Sequence[str] = (TYPE, SPECIAL_TYPE),
    point_count: int = 2,
    holding_count_max: int = 1_000_000,
) -> None:
    """Register a taxpayer."""
    record = a_taxpayer(
        tax_number,
        tenant=tenant,
        types=types,
        point_count=point_count,
        holding_count_max=holding_count_max,
    )
    await ledger.register(record, binding("register", tenant=tenant, name=tax_number), ACT)


def a_wish(
    count: int,
    *,
    request_id: str = "",
    tax_number: str = TAX_NUMBER,
    type: str = TYPE,
    tenant: str = TENANT,
) -> tuple[GrantRecord, Binding]:
    """What a draw stores before the authority is asked."""
    bound = binding("draw", request_id=request_id, tenant=tenant, count=count, type=type)
    wish = GrantRecord(
        tenant=tenant,
        request_id=bound.request_id,
        authority_request_id=f"authority-{bound.request_id}",
        tax_number=tax_number,
        type=type,
        count=count,
        state="REQUESTED",
        requested_at=NOW,
    )
    return wish, bound


def granted(
    wish: GrantRecord, first: int, *, code: str = CODE, prefix: str = "", width: int = 8
) -> GrantRecord:
    """Answer a wish the way the authority does."""
    return replace(
        wish,
        state="GRANTED",
        grant_id=f"grant-{wish.request_id}",
        code=code,
        prefix=prefix,
        width=width,
        first=first,
    )


async def draw(
    ledger: Ledger,
    count: int,
    first: int = 1,
    *,
    code: str = CODE,
    prefix: str = "",
    width: int = 8,
    tax_number: str = TAX_NUMBER,
    type: str = TYPE,
    tenant: str = TENANT,
) -> GrantRecord:
    """Put ``count`` numbers into a taxpayer's pool: wished, granted, confirmed."""
    wish, bound = a_wish(count, tax_number=tax_number, type=type, tenant=tenant)
    await ledger.request_grant(wish, bound, ACT)
    await ledger.store_grant(granted(wish, first, code=code, prefix=prefix, width=width))
    return await ledger.confirm_grant(tenant, wish.request_id, NOW)


async def assign(
    ledger: Ledger,
    count: int,
    point: int = 0,
    *,
    tax_number: str = TAX_NUMBER,
    type: str = TYPE,
    tenant: str = TENANT,
) -> list[SegmentRecord]:
    """Move numbers from the pool to a point."""
    bound = binding("assign", tenant=tenant, point=point, count=count)
    made, _ = await ledger.assign(
        tax_number=tax_number, point=point, type=type, count=count, binding=bound, act=ACT
    )
    return made


async def open_shop(
    ledger: Ledger,
    count: int = 1_000,
    *,
    first: int = 1,
    code: str = CODE,
    prefix: str = "",
    width: int = 8,
    tax_number: str = TAX_NUMBER,
    tenant: str = TENANT,
) -> None:
    """Register a taxpayer with ``count`` numbers of type 026 at point 0."""
    await register(ledger, tax_number, tenant=tenant)
    await draw(
        ledger,
        count,
        first,
        code=code,
        prefix=prefix,
        width=width,
        tax_number=tax_number,
        tenant=tenant,
    )
    await assign(ledger, count, tax_number=tax_number, tenant=tenant)


async def open_family_shop(ledger: Ledger, count: int = 200) -> None:
    """Register a taxpayer with ``count`` numbers of each of 004, 007, 025, 026 and 028 at point 0."""
    types = ("004", "007", "025", "026", "028")
    await register(ledger, types=types)
    for type_code in types:
        await draw(ledger, count, type=type_code, code=f"0110026001{type_code[1:]}")
        await assign(ledger, count, type=type_code)


def a_draft(net_fen: int = 10_000, *, type: str = TYPE, line_count: int = 2) -> Draft:
    """A plain blue invoice; its content is 1.0 to 1.6 kB."""
    line = Line(
        name="*运输服务*客运服务费",
        unit="张",
        specification="二等座 G101 北京南-上海虹桥",
        quantity="1",
        unit_price=f"{net_fen / 100:.2f}",
        amount_fen=net_fen,
        tax_fen=round(net_fen * 0.09),
        rate_ppm=90_000,
        classification_code="3010101020100000000",
    )
    tax_fen = line.tax_fen * line_count
    return Draft(
        kind=Kind.BLUE,
        type=type,
        seller=Party(
            tax_number=TAX_NUMBER,
            name="示例铁路局集团有限公司",
            address_phone="北京市示例区铁道路1号 010-00000001",
            bank_account="示例银行北京分行 11000000000000001",
        ),
        buyer=Party(
            tax_number="91330102RH1NBN3K10",
            name="示例采购丙有限公司",
            address_phone="杭州市示例区买家路2号 0571-1000002",
            bank_account="示例银行杭州分行 33000000000000002",
        ),
        lines=(line,) * line_count,
        net_fen=net_fen * line_count,
        tax_fen=tax_fen,
        gross_fen=net_fen * line_count + tax_fen,
        clerk="开票员",
    )


def a_reservation(
    request_id: str,
    net_fen: int = 10_000,
    *,
    point: int = 0,
    type: str = TYPE,
    tax_number: str = TAX_NUMBER,
    tenant: str = TENANT,
    version: int = 1,
) -> Reservation:
    """One draft that wants a number."""
    draft = a_draft(net_fen, type=type)
    tail = content.tail(draft, taxpayer=tax_number, point=point)
    return Reservation(
        tenant=tenant,
        request_id=request_id,
        fingerprint=content.fingerprint(tail),
        tax_number=tax_number,
        taxpayer_version=version,
        point=point,
        type=type,
        kind=draft.kind,
        net_fen=draft.net_fen,
        tax_fen=draft.tax_fen,
        tail=tail,
        buyer_tax_number=draft.buyer.tax_number,
        rates=rates.of_lines(draft.lines),
    )


def a_red(
    request_id: str,
    blue: Entry,
    net_fen: int | None = None,
    tax_fen: int | None = None,
    *,
    type: str = "",
    point: int = 0,
    notice: str = "",
) -> Reservation:
    """One red of ``blue``: of so much net (all of it) and tax (9 % of the net), both positive."""
    net_fen = blue.net_fen if net_fen is None else net_fen
    if tax_fen is None:
        tax_fen = blue.tax_fen if net_fen == blue.net_fen else round(net_fen * 0.09)
    plain = a_draft(type=type or blue.type, line_count=1)
    line = replace(plain.lines[0], quantity="-1", amount_fen=-net_fen, tax_fen=-tax_fen)
    draft = replace(
        plain,
        kind=Kind.RED,
        lines=(line,),
        net_fen=-net_fen,
        tax_fen=-tax_fen,
        gross_fen=-net_fen - tax_fen,
        original=Original(code=blue.code, number=blue.number),
        red_notice_number=notice,
        red_reason="退货",
    )
    tail = content.tail(draft, taxpayer=blue.tax_number, point=point)
    return Reservation(
        tenant=blue.tenant,
        request_id=request_id,
        fingerprint=content.fingerprint(tail),
        tax_number=blue.tax_number,
        taxpayer_version=1,
        point=point,
        type=draft.type,
        kind=draft.kind,
        net_fen=draft.net_fen,
        tax_fen=draft.tax_fen,
        tail=tail,
        original=OriginalRef(code=blue.code, number=blue.number),
        red_notice_number=notice,
        buyer_tax_number=draft.buyer.tax_number,
        rates=rates.of_lines(draft.lines),
    )


def signed(entry: Entry) -> Settlement:
    """Sign a reserved entry, with the marks that follow from the signature."""
    signature = seal(entry.machine_number, entry.content)
    return Settlement(
        entry=entry,
        signature=signature,
        key_id=KEY_ID,
        check_code=marks.check_code(signature, entry.type),
        fiscal_code=marks.fiscal_code(signature, entry.type),
    )


async def commit(
    ledger: Ledger,
    settlements: Sequence[Settlement] = (),
    reservations: Sequence[Reservation] = (),
    *,
    now: float = NOW,
    worker: str = WORKER,
) -> GroupResult:
    """Commit a group."""
    return await ledger.commit(settlements, reservations, worker=worker, now=now)


async def reserve(ledger: Ledger, *reservations: Reservation, now: float = NOW) -> list[Entry]:
    """Reserve and answer the entries; an item without one is a failure of the test."""
    result = await commit(ledger, (), reservations, now=now)
    entries = [reserved.entry for reserved in result.reserved]
    errors = [reserved.error for reserved in result.reserved if reserved.error]
    assert not errors, errors
    return [entry for entry in entries if entry is not None]


async def issue(ledger: Ledger, *request_ids: str, now: float = NOW) -> list[Entry]:
    """Reserve, sign and settle one plain invoice for each id."""
    entries = await reserve(ledger, *map(a_reservation, request_ids), now=now)
    result = await commit(ledger, [signed(entry) for entry in entries], now=now)
    return list(result.settled)


async def issue_all(ledger: Ledger, *reservations: Reservation, now: float = NOW) -> list[Entry]:
    """Reserve, sign and settle these."""
    entries = await reserve(ledger, *reservations, now=now)
    result = await commit(ledger, [signed(entry) for entry in entries], now=now)
    return list(result.settled)


async def decide_void(
    ledger: Ledger,
    entry: Entry,
    *,
    request_id: str = "",
    now: float = NOW,
    worker: str = WORKER,
    dry_run: bool = False,
) -> StatementRecord:
    """Reserve the void of an invoice."""
    bound = binding("void_invoice", request_id=request_id, number=entry.number)
    statement, _ = await ledger.reserve_void(
        tax_number=entry.tax_number,
        code=entry.code,
        number=entry.number,
        reason="开票有误",
        binding=bound,
        act=ACT,
        worker=worker,
        now=now,
        dry_run=dry_run,
    )
    return statement


async def decide_blank_void(
    ledger: Ledger,
    number: str,
    *,
    request_id: str = "",
    code: str = CODE,
    type: str = TYPE,
    point: int = 0,
    now: float = NOW,
    worker: str = WORKER,
    dry_run: bool = False,
) -> StatementRecord:
    """Reserve the blank void of a number."""
    statement, _ = await ledger.reserve_blank_void(
        tax_number=TAX_NUMBER,
        point=point,
        type=type,
        code=code,
        number=number,
        reason="号码作废",
        binding=binding("void_blank_number", request_id=request_id, number=number),
        act=ACT,
        worker=worker,
        now=now,
        dry_run=dry_run,
    )
    return statement


async def settle_statement(
    ledger: Ledger, statement: StatementRecord, *, now: float = NOW
) -> StatementRecord:
    """Sign and settle a statement."""
    signature = seal(statement.machine_number, statement.content, tag=statement.kind.tag)
    return await ledger.settle_statement(statement, signature=signature, key_id=KEY_ID, now=now)


async def void(ledger: Ledger, entry: Entry, *, now: float = NOW) -> StatementRecord:
    """Void an invoice: decided, signed, settled."""
    return await settle_statement(ledger, await decide_void(ledger, entry, now=now), now=now)


async def void_blank(
    ledger: Ledger, number: str, *, code: str = CODE, type: str = TYPE, now: float = NOW
) -> StatementRecord:
    """Void a number blank: decided, signed, settled."""
    statement = await decide_blank_void(ledger, number, code=code, type=type, now=now)
    return await settle_statement(ledger, statement, now=now)


async def upload(
    ledger: Ledger,
    submission_id: str,
    *,
    count_max: int = 100,
    tax_number: str = TAX_NUMBER,
    rejected: Iterable[str] = (),
    now: float = NOW,
) -> int:
    """Submit what is due and record the verdicts: accepted but for the numbers ``rejected``."""
    submission = await ledger.prepare_submission(
        tax_number, submission_id, count_max=count_max, now=now
    )
    if submission is None:
        return 0
    refused = set(rejected)
    await ledger.mark_submitted(submission_id, f"serial-{submission_id}", poll_at=now + 1)
    verdicts = [
        EventVerdict(event_id=item.event_id, state=UploadState.REJECTED, reason="refused in a test")
        if item.number in refused
        else EventVerdict(event_id=item.event_id, state=UploadState.ACCEPTED)
        for item in submission.items
    ]
    await ledger.record_verdicts(submission_id, verdicts, now=now)
    return len(verdicts)
