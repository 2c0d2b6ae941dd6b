"""A relay in front of an authority that tells another time: what a wrong clock looks like.

    with ShiftedAuthority(simulator.target) as authority:
        gateway = GatewayProcess(folder, authority=authority.target)
        authority.ahead_s = 3600

Every call goes to the real one and its answer comes back as it is, but for ``authority_time``. A
machine whose clock is wrong and an authority whose clock is wrong look the same from a gateway.
"""

from concurrent import futures
from typing import Any, Self

import grpc
from google.protobuf.message_factory import GetMessageClass

from taxcontrol.authority.v1 import authority_service_pb2

_SERVICE = authority_service_pb2.DESCRIPTOR.services_by_name["AuthorityService"]
_WAIT_S = 10.0
_THREADS = 4


class ShiftedAuthority:
    """Use it as a context manager. ``ahead_s`` may be changed at any time; below 0 is behind."""

    def __init__(self, target: str) -> None:
        self.ahead_s = 0
        self._channel = grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])
        self._server = grpc.server(futures.ThreadPoolExecutor(_THREADS))
        handlers = {method.name: self._relay(method) for method in _SERVICE.methods}
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers)]
        )
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        """Serve."""
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.stop(0).wait(_WAIT_S)
        self._channel.close()

    def _relay(self, method: Any) -> Any:
        call: Any = self._channel.unary_unary(f"/{_SERVICE.full_name}/{method.name}")
        answer_type = GetMessageClass(method.output_type)

        def relay(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                body = call(request, timeout=_WAIT_S)
            except grpc.RpcError as error:
                trailers = [(one.key, one.value) for one in error.trailing_metadata() or ()]
                context.set_trailing_metadata(tuple(trailers))
                context.abort(error.code(), error.details() or "")
                raise
            answer: Any = answer_type.FromString(body)
            if "authority_time" in method.output_type.fields_by_name:
                answer.authority_time.seconds += self.ahead_s
            return bytes(answer.SerializeToString())

        return grpc.unary_unary_rpc_method_handler(relay)
