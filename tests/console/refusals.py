"""How a gateway refuses, and whom it hears, for the fake one."""

from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


def refuse(context: grpc.ServicerContext, code: int, reason: str, **facts: str) -> NoReturn:
    """End a call as the gateway does: one ErrorInfo, and the field where one is named."""
    details = [
        _packed(error_details_pb2.ErrorInfo(reason=reason, domain="taxcontrol", metadata=facts))
    ]
    if "field" in facts:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=facts["field"], reason="FIELD_RANGE", description="out of range"
        )
        details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    status = status_pb2.Status(code=code, message=f"refused as {reason}", details=details)
    context.abort_with_status(rpc_status.to_status(status))


def operator(context: grpc.ServicerContext) -> str:
    return str(dict(context.invocation_metadata()).get("operator", ""))


def _packed(message: Message) -> Packed:
    packed = Packed()
    packed.Pack(message)
    return packed
