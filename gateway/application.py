"""What a registration asks for, read from the wire: everything that can be judged without the authority."""

from collections import Counter
from typing import Any

from authority.port import TypeAllowance
from gateway.authorities import office_of
from gateway.register import Application
from invoice.document import Party
from invoice.errors import InvalidRequest
from invoice.identifiers import POINT_MAX, social_credit_code_valid
from invoice.types import TYPES
from taxcontrol.admin.v1 import taxpayer_pb2

# Together they keep every answer about one taxpayer under gRPC's default of 4 MiB.
_POINT_COUNT_MAX = 5000
_RATE_COUNT_MAX = 100
_ORGANISATION_CHARACTERS_MAX = 100


def application(wire: taxpayer_pb2.Taxpayer) -> Application:
    """What a seller applies for; raise ``InvalidRequest`` naming the field."""
    _check_seller(wire)
    _check_grants(wire)
    _check_points(wire)
    return Application(
        seller=Party(
            tax_number=wire.tax_number,
            name=wire.display_name,
            address_phone=wire.address_phone,
            bank_account=wire.bank_account,
        ),
        wanted=tuple(map(_allowance, wire.type_grants)),
        points=tuple((point.number, point.organisation) for point in wire.points),
    )


def _allowance(wire: taxpayer_pb2.TypeGrant) -> TypeAllowance:
    if not TYPES[wire.type].vat:  # neither rates nor tiers: nothing of either to apply for
        return TypeAllowance(
            type=wire.type,
            rates_ppm=(),
            invoice_limit_fen=0,
            holding_count_max=wire.holding_count_max,
        )
    return TypeAllowance(
        type=wire.type,
        rates_ppm=tuple(sorted(set(wire.rates_ppm))),
        invoice_limit_fen=wire.invoice_limit_fen,
        holding_count_max=wire.holding_count_max,
    )


def _check_seller(wire: taxpayer_pb2.Taxpayer) -> None:
    if not social_credit_code_valid(wire.tax_number):
        raise InvalidRequest(
            "taxpayer.tax_number", "TAX_NUMBER_INVALID", "not a unified social credit code"
        )
    for name in ("display_name", "address_phone", "bank_account"):
        text = getattr(wire, name)
        if not text and name != "bank_account":
            raise InvalidRequest(f"taxpayer.{name}", "FIELD_REQUIRED", "must not be empty")
        try:
            size = len(text.encode("gbk"))
        except UnicodeEncodeError:
            raise InvalidRequest(f"taxpayer.{name}", "FIELD_FORMAT", "not in GBK") from None
        if size > 100:
            raise InvalidRequest(f"taxpayer.{name}", "FIELD_TOO_LONG", "at most 100 GBK bytes")


def _check_grants(wire: taxpayer_pb2.Taxpayer) -> None:
    if not wire.type_grants:
        raise InvalidRequest("taxpayer.type_grants", "FIELD_REQUIRED", "at least one type")
    for index, grant in enumerate(wire.type_grants):
        field = f"taxpayer.type_grants[{index}]"
        if grant.type not in TYPES:
            raise InvalidRequest(f"{field}.type", "FIELD_FORMAT", "no such invoice type")
        check_terms = _check_vat_terms if TYPES[grant.type].vat else _check_untaxed_terms
        check_terms(grant, field)
        if grant.holding_count_max < 0:
            raise InvalidRequest(
                f"{field}.holding_count_max", "FIELD_RANGE", "must not be negative"
            )
    _check_distinct("taxpayer.type_grants", [grant.type for grant in wire.type_grants])
    offices = {office_of(grant.type) for grant in wire.type_grants}
    if len(offices) > 1:
        raise InvalidRequest(
            "taxpayer.type_grants",
            "AUTHORITY_MIXED",
            "types of one authority only: " + ", ".join(sorted(offices)),
        )


def _check_vat_terms(grant: taxpayer_pb2.TypeGrant, field: str) -> None:
    if not grant.rates_ppm:
        raise InvalidRequest(f"{field}.rates_ppm", "FIELD_REQUIRED", "at least one rate")
    if not all(0 <= rate <= 1_000_000 for rate in grant.rates_ppm):
        raise InvalidRequest(f"{field}.rates_ppm", "FIELD_RANGE", "must be 0 to 1000000")
    if len(set(grant.rates_ppm)) > _RATE_COUNT_MAX:
        raise InvalidRequest(
            f"{field}.rates_ppm", "FIELD_RANGE", f"at most {_RATE_COUNT_MAX} rates"
        )
    if grant.invoice_limit_fen <= 0:
        raise InvalidRequest(f"{field}.invoice_limit_fen", "FIELD_RANGE", "must be above 0")


def _check_untaxed_terms(grant: taxpayer_pb2.TypeGrant, field: str) -> None:
    # 0 says the same as nothing; a tier (单张限额) is not known to these types, whatever is stated.
    if any(grant.rates_ppm):
        raise InvalidRequest(f"{field}.rates_ppm", "FIELD_NOT_ALLOWED", "the type states no tax")
    if grant.invoice_limit_fen < 0:
        raise InvalidRequest(f"{field}.invoice_limit_fen", "FIELD_RANGE", "must not be negative")


def _check_points(wire: taxpayer_pb2.Taxpayer) -> None:
    if not wire.points:
        raise InvalidRequest("taxpayer.points", "FIELD_REQUIRED", "at least point 0")
    if len(wire.points) > _POINT_COUNT_MAX:
        raise InvalidRequest("taxpayer.points", "FIELD_RANGE", f"at most {_POINT_COUNT_MAX} points")
    for index, point in enumerate(wire.points):
        field = f"taxpayer.points[{index}]"
        if not 0 <= point.number <= POINT_MAX:
            raise InvalidRequest(f"{field}.number", "FIELD_RANGE", f"must be 0 to {POINT_MAX}")
        if len(point.organisation) > _ORGANISATION_CHARACTERS_MAX:
            raise InvalidRequest(
                f"{field}.organisation",
                "FIELD_TOO_LONG",
                f"at most {_ORGANISATION_CHARACTERS_MAX} characters",
            )
    _check_distinct("taxpayer.points", [point.number for point in wire.points])


def _check_distinct(field: str, values: list[Any]) -> None:
    value, times = Counter(values).most_common(1)[0]
    if times > 1:
        raise InvalidRequest(field, "FIELD_DUPLICATE", f"{value} appears {times} times")
