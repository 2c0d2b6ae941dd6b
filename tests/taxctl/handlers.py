"""Serving the calls that a fake has; those it has not are UNIMPLEMENTED, as of an older gateway."""

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass


def add_service(server: grpc.Server, service: ServiceDescriptor, fake: object) -> None:
    """Serve the methods of ``service`` that ``fake`` has under their own names."""
    handlers = {
        method.name: _handler(method, fake)
        for method in service.methods
        if hasattr(fake, method.name)
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service.full_name, handlers)]
    )


def _handler(method: MethodDescriptor, fake: object) -> "grpc.RpcMethodHandler[Message, Message]":
    make = (
        grpc.unary_stream_rpc_method_handler
        if method.server_streaming
        else grpc.unary_unary_rpc_method_handler
    )
    return make(
        getattr(fake, method.name),
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
