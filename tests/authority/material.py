"""What the authority's tests hand in: taxpayers, devices with keys, signed contents."""

import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.x509.oid import NameOID
from stdnum.cn import uscc

from authority.client import GrpcAuthority
from authority.port import (
    Acceptance,
    Event,
    Grant,
    ItemResult,
    OriginalStatement,
    Submission,
    TypeAllowance,
    UploadItem,
)
from invoice.document import Party

SHANGHAI = timezone(timedelta(hours=8))
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_ordinals = itertools.count(1)


def new_tax_number(region: str = "310115") -> str:
    """Return a valid tax number that no test has had."""
    head = f"91{region}{next(_ordinals):09d}"
    return head + uscc.calc_check_digit(head)


def new_id() -> str:
    return f"request-{next(_ordinals)}"


def seller(tax_number: str) -> Party:
    return Party(
        tax_number=tax_number,
        name="示例商贸有限公司",
        address_phone="示例路1号 021-1",
        bank_account="示例银行 1",
    )


def wanted(*types: str, holding: int = 10_000) -> list[TypeAllowance]:
    return [
        TypeAllowance(
            type=type_,
            rates_ppm=(130_000, 60_000),
            invoice_limit_fen=10_000_000,
            holding_count_max=holding,
        )
        for type_ in types
    ]


def csr(key: PrivateKey, common_name: str) -> bytes:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, algorithm)
    return request.public_bytes(serialization.Encoding.DER)


def sign(key: PrivateKey, schema: str, content: bytes) -> bytes:
    digest = hashlib.sha256(schema.encode() + b"\x00" + content).digest()
    prehashed = utils.Prehashed(hashes.SHA256())
    match key:
        case ec.EllipticCurvePrivateKey():
            r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(prehashed)))
            return r.to_bytes(32) + s.to_bytes(32)
        case ed25519.Ed25519PrivateKey():
            return key.sign(digest)
        case rsa.RSAPrivateKey():
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            return key.sign(digest, pss, prehashed)


@dataclass(kw_only=True)
class Trader:
    """A registered taxpayer with a certified device and a confirmed grant."""

    authority: GrpcAuthority
    tax_number: str
    machine_number: str
    key: PrivateKey
    certificate: bytes
    ca_certificate: bytes
    grant: Grant
    key_id: str = "key-1"
    issue_time: datetime = field(default_factory=lambda: datetime.now(tz=SHANGHAI))

    def number(self, ordinal: int) -> str:
        """Return the ``ordinal``-th number of the grant, from 0, as text."""
        grant = self.grant
        return f"{grant.prefix}{grant.first + ordinal:0{grant.width - len(grant.prefix)}d}"

    def members(self, number: str, **changed: Any) -> dict[str, Any]:
        """Return the members of a right content, those in ``changed`` replaced."""
        return {
            "schema": "taxcontrol.invoice.v1",
            "device": self.machine_number,
            "code": self.grant.code,
            "number": number,
            "issue_time": self.issue_time.isoformat(timespec="seconds"),
            "taxpayer": self.tax_number,
            "point": 0,
            "kind": "blue",
            "type": self.grant.type,
            "seller": {"tax_number": self.tax_number, "name": "示例商贸有限公司"},
            "buyer": {"name": "张三"},
            "lines": [],
            "net_fen": 10_000,
            "tax_fen": 1300,
            "gross_fen": 11_300,
        } | changed

    def issue(self, number: str, **changed: Any) -> UploadItem:
        """Return a signed issue of ``number``."""
        return self.signed(Event.ISSUE, number, self.members(number, **changed))

    def red(self, number: str, *, original: str, **changed: Any) -> UploadItem:
        """Return a signed red that reverses the whole of ``original``."""
        blue = {"code": self.grant.code, "number": original}
        amounts = {"net_fen": -10_000, "tax_fen": -1300, "gross_fen": -11_300}
        return self.issue(number, kind="red", original=blue, **(amounts | changed))

    def void_members(self, number: str, *, digest: str | None) -> dict[str, Any]:
        """Return the members of a right void, or blank void when ``digest`` is None."""
        kind = "blank-void" if digest is None else "void"
        return {
            "schema": f"taxcontrol.{kind}.v1",
            "device": self.machine_number,
            "code": self.grant.code,
            "number": number,
            "void_time": self.issue_time.isoformat(timespec="seconds"),
            "taxpayer": self.tax_number,
            "point": 0,
            "type": self.grant.type,
            **({} if digest is None else {"invoice_digest": digest}),
            "reason": "开票有误",
        }

    def void(
        self, number: str, *, original: UploadItem | None = None, **changed: Any
    ) -> UploadItem:
        """Return a signed void of ``number``; ``original`` is what :meth:`issue` makes of it."""
        original = original or self.issue(number)
        digest = hashlib.sha256(original.content).hexdigest()
        members = self.void_members(number, digest=digest) | changed
        carried = OriginalStatement(
            content=original.content, signature=original.signature, key_id=original.key_id
        )
        return replace(self.signed(Event.VOID, number, members), original=carried)

    def blank_void(self, number: str, **changed: Any) -> UploadItem:
        """Return a signed blank void of ``number``."""
        members = self.void_members(number, digest=None) | changed
        return self.signed(Event.BLANK_VOID, number, members)

    def signed(self, event: Event, number: str, members: dict[str, Any]) -> UploadItem:
        """Return an event whose content has these members, signed by the device."""
        content = json.dumps(members, ensure_ascii=False).encode()
        return UploadItem(
            event=event,
            code=self.grant.code,
            number=number,
            content=content,
            signature=sign(self.key, members["schema"], content),
            key_id=self.key_id,
        )

    def submission(self, *items: UploadItem, submission_id: str = "") -> Submission:
        """Return a submission of ``items``, under an id of its own unless told."""
        return Submission(
            submission_id=submission_id or new_id(),
            tax_number=self.tax_number,
            items=items,
            certificates={self.key_id: self.certificate},
        )

    async def submit(self, *items: UploadItem, submission_id: str = "") -> Acceptance:
        """Hand ``items`` in."""
        return await self.authority.submit(self.submission(*items, submission_id=submission_id))

    async def verdicts(self, *items: UploadItem) -> list[tuple[str, str]]:
        """Submit and return (verdict, reason) of each item."""
        accepted = await self.submit(*items)
        return [(result.verdict.value, result.reason) for result in await self.results(accepted)]

    async def results(self, accepted: Acceptance) -> tuple[ItemResult, ...]:
        """Return the results of a submission that has them."""
        (submission,) = await self.authority.get_results(
            tax_number=self.tax_number, acceptance_serials=[accepted.acceptance_serial]
        )
        assert submission.done
        return submission.results


async def new_trader(
    authority: GrpcAuthority,
    *,
    type_: str = "026",
    count: int = 100,
    make_key: Callable[[], PrivateKey] = lambda: ec.generate_private_key(ec.SECP256R1()),
) -> Trader:
    """Register a taxpayer with one device and draw its stock."""
    tax_number = new_tax_number()
    await authority.register_taxpayer(seller(tax_number), wanted(type_))
    machine_number = await authority.register_device(
        request_id=new_id(), tax_number=tax_number, kind="new-server"
    )
    key = make_key()
    certified = await authority.issue_certificate(
        machine_number=machine_number, csr=csr(key, machine_number)
    )
    grant = await authority.grant_stock(
        request_id=new_id(), tax_number=tax_number, type=type_, count=count
    )
    return Trader(
        authority=authority,
        tax_number=tax_number,
        machine_number=machine_number,
        key=key,
        certificate=certified.certificate,
        ca_certificate=certified.ca_certificate,
        grant=await authority.confirm_grant(grant.grant_id),
    )


def broken(item: UploadItem) -> UploadItem:
    """Return ``item`` with one bit of its signature turned."""
    turned = bytes([item.signature[0] ^ 1]) + item.signature[1:]
    return replace(item, signature=turned)
