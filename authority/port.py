"""What the gateway needs from the tax authority, in plain records.

Rules of this file: no wire types. Every write is idempotent by the id it carries, so after
:class:`invoice.errors.AuthorityUnavailable` (effect unknown) the same call is made again, or asked
about; after :class:`invoice.errors.AuthorityRefused` nothing has happened, and its fact
``authority_reason`` says why. What is not found reads as None, and None is never final: a lost
request may still arrive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from invoice.document import Party
from invoice.errors import AuthorityRefused

# What the contract takes in one call; a submission that passes either is refused before it is sent.
SUBMIT_COUNT_MAX = 100
MESSAGE_BYTES_MAX = 8 * 1024 * 1024

TimeObserver = Callable[[float, float, float], None]
"""(authority's time in s since 1970, monotonic s when the call was sent, when it was answered)."""


class Throttled(AuthorityRefused):
    """The call passed a rate window. Effect: none; ``retry_s`` is when a place is free, if told."""


class Event(StrEnum):
    """What happened to a number."""

    ISSUE = "ISSUE"
    VOID = "VOID"
    BLANK_VOID = "BLANK_VOID"


class Verdict(StrEnum):
    """What the authority makes of one event."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    SIGNATURE_REJECTED = "SIGNATURE_REJECTED"  # 验签失败


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeAllowance:
    """What a taxpayer may issue of one type, or applies for.

    ``rates_ppm`` in parts per million; ``invoice_limit_fen`` (单张限额) on |net|;
    ``holding_count_max`` (最高持票量), 0 in an application for as many as may be had.
    """

    type: str
    rates_ppm: tuple[int, ...]
    invoice_limit_fen: int
    holding_count_max: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineLimits:
    """How long issuing may go on without upload. None is no limit; 0 is a limit."""

    age_hours_max: int | None = None
    amount_fen_max: int | None = None
    count_max: int | None = None
    lock_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateWindow:
    """At most ``call_count_max`` upload calls in any ``period_ms`` milliseconds."""

    period_ms: int
    call_count_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A taxpayer as registered, with what it is granted. ``batch_count_max``: events a submission."""

    seller: Party
    grants: tuple[TypeAllowance, ...]
    offline_limits: OfflineLimits
    windows: tuple[RateWindow, ...]
    batch_count_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCertificate:
    """The certificate of a device key and that of the CA that issued it; X.509 DER both."""

    certificate: bytes
    ca_certificate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Numbers granted: ``prefix`` + running part from ``first``, ``width`` digits in all.

    Not usable before ``confirmed``. ``count`` may be less than was asked for. ``issue_deadline`` is
    the last civil day on which its numbers may be issued, ``YYYY-MM-DD``, empty for no limit.
    """

    grant_id: str
    request_id: str
    tax_number: str
    type: str
    code: str
    prefix: str
    width: int
    first: int
    count: int
    confirmed: bool
    issue_deadline: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReturn:
    """Numbers given back for good (退回), under the authority's serial."""

    return_serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalStatement:
    """The invoice a void is about: its signed bytes and which certificate they verify under."""

    content: bytes
    signature: bytes
    key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadItem:
    """One event to upload: the signed bytes and which certificate they verify under.

    ``original`` goes with a VOID and with nothing else.
    """

    event: Event
    code: str
    number: str
    content: bytes
    signature: bytes
    key_id: str
    original: OriginalStatement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Events to upload together, at most ``SUBMIT_COUNT_MAX``; ``certificates``: key id → X.509 DER."""

    submission_id: str
    tax_number: str
    items: tuple[UploadItem, ...]
    certificates: dict[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A submission taken for checking (受理). ``result_delay_ms``: when results are worth asking for."""

    acceptance_serial: str
    result_delay_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """The verdict on one event; ``reason`` is empty when accepted."""

    event: Event
    code: str
    number: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionResult:
    """The results of a submission in the order submitted; empty while not ``done``."""

    acceptance_serial: str
    done: bool
    results: tuple[ItemResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSummary:
    """A month of one device to summarise (抄报), signed under ``certificate`` (X.509 DER)."""

    request_id: str
    tax_number: str
    machine_number: str
    period: str
    content: bytes
    signature: bytes
    certificate: bytes


class Authority(Protocol):
    """The tax authority (税务局, 电子底账). Any call may raise ``AuthorityUnavailable``."""

    async def register_taxpayer(
        self, seller: Party, wanted: Sequence[TypeAllowance]
    ) -> Registration:
        """Register a seller.

        Refused: TAX_NUMBER_INVALID, REGISTERED_OTHERWISE, TYPE_NOT_GRANTED (another authority's).
        """
        ...

    async def register_device(self, *, request_id: str, tax_number: str, kind: str) -> str:
        """Return the machine number (机器编号). Refused: TAXPAYER_UNKNOWN, REQUEST_ID_REUSED."""
        ...

    async def issue_certificate(self, *, machine_number: str, csr: bytes) -> DeviceCertificate:
        """Certify the key of a PKCS#10 DER request. Refused: DEVICE_UNKNOWN, CSR_INVALID."""
        ...

    async def grant_stock(
        self, *, request_id: str, tax_number: str, type: str, count: int
    ) -> Grant:
        """Ask for numbers, the first phase.

        Refused: TAXPAYER_UNKNOWN, HOLDING_EXCEEDED, TYPE_NOT_GRANTED, NO_STOCK, REQUEST_ID_REUSED.
        """
        ...

    async def confirm_grant(self, grant_id: str) -> Grant:
        """Take a grant, the second phase. Refused: GRANT_UNKNOWN."""
        ...

    async def get_grant(self, request_id: str) -> Grant | None:
        """Find a grant by the request that asked for it; None when it has not arrived."""
        ...

    async def return_stock(
        self,
        *,
        request_id: str,
        tax_number: str,
        type: str,
        code: str,
        prefix: str,
        width: int,
        first: int,
        count: int,
    ) -> StockReturn:
        """Give numbers back for good (退回): ``count`` of them from running part ``first`` on.

        Refused: TAXPAYER_UNKNOWN, REQUEST_ID_REUSED, NUMBER_NOT_GRANTED, ALREADY_RETURNED,
        NUMBER_USED.
        """
        ...

    async def submit(self, submission: Submission) -> Acceptance:
        """Hand in events; counted by the rate windows.

        Refused: BATCH_TOO_LARGE, SUBMISSION_INVALID, SUBMISSION_ID_REUSED, TAXPAYER_UNKNOWN;
        ``Throttled``.
        """
        ...

    async def get_submission(self, *, tax_number: str, submission_id: str) -> Acceptance | None:
        """Find a submission; None when it has not arrived. Counted; ``Throttled``."""
        ...

    async def get_results(
        self, *, tax_number: str, acceptance_serials: Sequence[str]
    ) -> tuple[SubmissionResult, ...]:
        """Return the results of up to 100 serials, unknown ones left out. Counted; ``Throttled``."""
        ...

    async def summarise_period(self, summary: PeriodSummary) -> str:
        """Hand in a month's summary; return its serial (清卡). Not counted by the windows.

        Refused: TAXPAYER_UNKNOWN, DEVICE_UNKNOWN, REQUEST_ID_REUSED, PERIOD_SUMMARISED,
        CONTENT_INVALID, SIGNATURE_INVALID, PERIOD_NOT_OVER, PERIOD_OUT_OF_ORDER (with
        ``next_period``), PERIOD_INCOMPLETE (with ``missing_count``, ``missing_numbers``),
        STATISTICS_MISMATCH (with ``type``, ``field``, ``stated``, ``known``).
        """
        ...
