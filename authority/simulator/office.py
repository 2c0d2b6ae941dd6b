"""The counter for everything but uploads: registration, certificates, stock, policy."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import apsw

from authority.simulator import (
    applications,
    ca,
    grant_table,
    policy_table,
    registry_table,
    return_table,
)
from authority.simulator.departments import HOUSES, Department
from authority.simulator.grant_table import Grant, Terms
from authority.simulator.identifiers import request_id_valid
from authority.simulator.policy import Policy
from authority.simulator.refusal import Refusal, malformed
from authority.simulator.registry_table import Allowance, Registration, Seller
from authority.simulator.return_table import Numbers, StockReturn
from authority.simulator.store import Store

Clock = Callable[[], int]
"""ns since 1970."""

_SHANGHAI: Final = timezone(timedelta(hours=8))
_KIND_LENGTH_MAX: Final = 40
# What a 64-bit integer holds, whatever is counted from there.
_RUNNING_DIGITS_MAX: Final = 18


class PolicyInForce:
    """The policy that holds now. Changed by the store's writer alone, between two jobs."""

    def __init__(self, policy: Policy, since_ns: int) -> None:
        self.policy = policy
        self.since_ns = since_ns


class Office:
    """Registers, certifies, grants and takes back. Every method may raise :class:`Refusal`."""

    def __init__(
        self,
        *,
        store: Store,
        in_force: PolicyInForce,
        issuer: ca.Ca,
        department: Department,
        clock: Clock,
    ) -> None:
        self._store = store
        self._in_force = in_force
        self._issuer = issuer
        self._house = HOUSES[department]
        self._clock = clock

    @property
    def policy(self) -> Policy:
        """The policy that holds now."""
        return self._in_force.policy

    @property
    def ca_certificate(self) -> bytes:
        """The CA's own certificate, DER."""
        return self._issuer.certificate_der

    async def register_taxpayer(self, seller: Seller, wanted: Sequence[Allowance]) -> Registration:
        """Register a taxpayer, idempotent by tax number."""
        registration = applications.decide(seller, wanted, self.policy, self._house)
        return await self._store.run(
            lambda connection: registry_table.register_taxpayer(connection, registration)
        )

    async def register_device(self, *, request_id: str, tax_number: str, kind: str) -> str:
        """Return the machine number of a device, idempotent by request id."""
        _check_id("request_id", request_id)
        if not 1 <= len(kind) <= _KIND_LENGTH_MAX:
            raise malformed("kind", f"has 1 to {_KIND_LENGTH_MAX} characters")
        return await self._store.run(
            lambda connection: registry_table.register_device(
                connection,
                request_id=request_id,
                tax_number=tax_number,
                kind=kind,
                machine_first=self._house.machine_first,
            )
        )

    async def issue_certificate(self, *, machine_number: str, csr: bytes) -> bytes:
        """Return the certificate of a device key (DER), idempotent by public key."""
        return await self._store.run(
            lambda connection: self._certify(connection, machine_number, csr)
        )

    async def grant_stock(
        self, *, request_id: str, tax_number: str, type_: str, count: int
    ) -> Grant:
        """Grant numbers, idempotent by request id."""
        _check_id("request_id", request_id)
        if count < 1:
            raise malformed("count", "is 1 or more")
        terms = Terms(
            today=datetime.fromtimestamp(self._clock() / 1e9, tz=_SHANGHAI).date(),
            issue_days=self.policy.issue_days,
            deadline=self.policy.issue_deadline,
            initial=self._house.initial,
        )
        return await self._store.run(
            lambda connection: grant_table.grant_stock(
                connection,
                request_id=request_id,
                tax_number=tax_number,
                type_=type_,
                wanted_count=count,
                terms=terms,
            )
        )

    async def confirm_grant(self, grant_id: str) -> Grant:
        """Confirm a grant."""
        now_ns = self._clock()
        return await self._store.run(
            lambda connection: grant_table.confirm(connection, grant_id, now_ns=now_ns)
        )

    async def get_grant(self, request_id: str) -> Grant:
        """Find a grant by its request. Refused: GRANT_UNKNOWN."""
        grant = await self._store.run(
            lambda connection: grant_table.find_by_request(connection, request_id)
        )
        if grant is None:
            raise Refusal("GRANT_UNKNOWN", f"no grant was asked for by {request_id!r}")
        return grant

    async def return_stock(self, *, request_id: str, numbers: Numbers) -> StockReturn:
        """Take numbers back, idempotent by request id."""
        _check_id("request_id", request_id)
        _check_numbers(numbers)
        return await self._store.run(
            lambda connection: return_table.return_stock(
                connection,
                request_id=request_id,
                numbers=numbers,
                series=f"{self._house.initial}RT",
                now_ns=self._clock(),
            )
        )

    async def set_policy(self, policy: Policy) -> None:
        """Put a policy in force, durably."""

        def job(connection: apsw.Connection) -> None:
            self._in_force.since_ns = policy_table.save(connection, policy, time.time_ns())
            self._in_force.policy = policy

        await self._store.run(job)

    def _certify(self, connection: apsw.Connection, machine_number: str, csr: bytes) -> bytes:
        tax_number = registry_table.owner_of(connection, machine_number)
        key = ca.key_of_request(csr, machine_number)
        digest = ca.key_digest(key)
        present = registry_table.find_certificate(connection, digest)
        if present is not None:
            if present[0] != machine_number:
                raise Refusal("CSR_INVALID", "the key is another machine's")
            return present[1]
        now = datetime.fromtimestamp(self._clock() / 1e9, tz=UTC)
        certificate = self._issuer.certify(
            key,
            machine_number=machine_number,
            tax_number=tax_number,
            now=now,
            days=self.policy.certificate_days,
        )
        registry_table.add_certificate(
            connection, key_digest=digest, machine=machine_number, certificate=certificate
        )
        return certificate


def _check_id(field: str, text: str) -> None:
    if not request_id_valid(text):
        raise malformed(field, "is 1–120 of 0-9 A-Z a-z . _ : -")


def _check_numbers(numbers: Numbers) -> None:
    if numbers.prefix and not (numbers.prefix.isascii() and numbers.prefix.isdigit()):
        raise malformed("prefix", "has digits only")
    digits = numbers.width - len(numbers.prefix)
    if not 1 <= digits <= _RUNNING_DIGITS_MAX:
        raise malformed("width", f"is 1 to {_RUNNING_DIGITS_MAX} more than the prefix has")
    if numbers.count < 1:
        raise malformed("count", "is 1 or more")
    if not 0 <= numbers.first <= 10**digits - numbers.count:
        raise malformed("first", "and every number after it has that width")
