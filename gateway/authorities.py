"""Which authority a taxpayer belongs to (docs/decisions/0006), and whose clock judges its invoices.

A registration holds types of one authority alone, so any of a taxpayer's types tells it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from authority.port import Authority
from gateway.authority_time import AuthorityTime
from invoice.errors import AuthorityUnavailable
from invoice.types import TYPES, Office


@dataclass(frozen=True, slots=True)
class Bureau:
    """One authority, and what it has told of the time."""

    authority: Authority
    time: AuthorityTime


class Authorities:
    """The tax authority and, where the gateway is told of it, the finance department (财政)."""

    def __init__(self, *, tax: Bureau, finance: Bureau | None = None) -> None:
        self._bureaus = {Office.TAX: tax}
        if finance is not None:
            self._bureaus[Office.FINANCE] = finance

    def serves(self, type_code: str) -> bool:
        """Whether there is an authority for a type."""
        return office_of(type_code) in self._bureaus

    def serves_office(self, office: Office) -> bool:
        """Whether the gateway is told of an authority."""
        return office in self._bureaus

    def clock_ahead_s(self) -> float | None:
        """By how much this machine's clock is ahead of the authority's that is furthest from it.

        None before any has told the time.
        """
        told = [bureau.time.skew_s() for bureau in self._bureaus.values() if bureau.time.known]
        return max(told, key=abs, default=None)

    def of_type(self, type_code: str) -> Authority:
        """The authority that grants and takes a type.

        Raises:
            AuthorityUnavailable: The gateway is not told of it, or not any more.
        """
        bureau = self._bureaus.get(office_of(type_code))
        if bureau is None:
            raise AuthorityUnavailable(f"no authority is configured for type {type_code}")
        return bureau.authority

    def of_types(self, type_codes: Iterable[str]) -> Authority:
        """The authority of a taxpayer that is granted these types; the tax authority for none."""
        return self.of_type(min(type_codes, default=""))

    def check_clock(self, type_codes: Iterable[str]) -> None:
        """Raise ``ClockSkew`` when these types may not be dated by this clock."""
        bureau = self._bureaus.get(office_of(min(type_codes, default="")))
        if bureau is not None:  # else nobody has told the time, as after a start
            bureau.time.check()

    def skew_s(self, type_codes: Iterable[str]) -> float:
        """Wall clock minus the clock of these types' authority; 0 while that is not known."""
        bureau = self._bureaus.get(office_of(min(type_codes, default="")))
        return 0.0 if bureau is None else bureau.time.skew_s()

    def clock_trusted(self, type_codes: Iterable[str]) -> bool:
        """Whether every authority concerned has told the time since the start."""
        known = {office for office, bureau in self._bureaus.items() if bureau.time.known}
        return {office_of(type_code) for type_code in type_codes} <= known


def office_of(type_code: str) -> Office:
    """The office of a type. One there is not is nobody's: its own rules refuse it."""
    known = TYPES.get(type_code)
    return Office.TAX if known is None else known.authority
