"""The gRPC server: where it listens, how large a message is, and in which order it stops."""

import socket
from typing import cast

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gateway.health import Readiness
from gateway.interceptor import Interceptor
from gateway.issuing import MESSAGE_BYTES_MAX
from gateway.parts import Parts, Workings
from gateway.servicers import NEEDS, add_servicers

# How long callers are turned away by name before the server closes.
_TURN_AWAY_S = 0.2
# For the last answers to leave.
_CLOSE_S = 0.5

_LOOKAHEAD_BYTES = 1024 * 1024

_OPTIONS = [
    # Two gateways must not share a port by accident: the second one fails to bind.
    ("grpc.so_reuseport", 0),
    # Twice what is served, so that a batch somewhat too large is refused by name, with advice.
    ("grpc.max_receive_message_length", 2 * MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", 2 * MESSAGE_BYTES_MAX),
    # What a stream sends ahead of its being read lies here, so it is bounded and not estimated.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
    # Callers may ping every 20 s (we allow half of it) without being struck off.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


class CannotListen(Exception):
    """The address cannot be bound; most often another process has the port."""


class Serving:
    """The gRPC server with its servicers, its one interceptor and its health."""

    def __init__(self, parts: Parts, workings: Workings) -> None:
        self._config = parts.config.server
        self._clock = parts.clock
        self._hubs = (workings.reading.hub, workings.desk.hub, workings.desk.alert_hub)
        self._interceptor = Interceptor(parts.measures, parts.tracer)
        self._server = grpc.aio.server(options=_OPTIONS)
        health_servicer = health.aio.HealthServicer()
        self._readiness = Readiness(
            servicer=health_servicer,
            needs=NEEDS,
            ledger=parts.ledger,
            signer=parts.signer,
            registry=workings.registry,
            clock=parts.clock,
            vitals=workings.desk.vitals,
        )
        # To generated code it is a server: all that code does is register handlers by name.
        registrar = cast("grpc.aio.Server", self._interceptor)
        add_servicers(registrar, parts, workings, draining=self._interceptor.draining)
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, registrar)
        names = (*NEEDS, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, registrar)
        self._server.add_generic_rpc_handlers((self._interceptor,))

    def ready(self) -> dict[str, bool]:
        """Which service is ready; ``""`` is the whole. From any thread."""
        return self._readiness.known()

    async def start(self) -> str:
        """Bind, look around, serve; the answer is ``host:port`` with the real port."""
        host, _, port = self._config.listen.rpartition(":")
        _try_to_bind(host, int(port))
        try:
            bound = self._server.add_insecure_port(self._config.listen)
        except RuntimeError as error:
            raise CannotListen(
                f"cannot listen on {host}:{port}: is another process using it?"
            ) from error
        await self._readiness.start()
        await self._server.start()
        return f"{host}:{bound}"

    async def stop(self) -> None:
        """Say so in health, refuse what is new, let running calls end within the grace."""
        await self._readiness.drain()
        self._interceptor.drain()
        for hub in self._hubs:
            hub.close()
        # gRPC cancels, without a word, what arrives while it shuts down; so callers under way are
        # first turned away by name.
        await self._clock.sleep(_TURN_AWAY_S)
        await self._interceptor.idle(wait_s=self._config.drain_s)
        # What still runs are watches: of health, and of a caller who does not take what he is sent.
        await self._server.stop(_CLOSE_S)


def _try_to_bind(host: str, port: int) -> None:
    """Raise ``CannotListen`` with the system's reason: gRPC keeps it, and writes to stderr itself."""
    bare = host.removeprefix("[").removesuffix("]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from error
    except ValueError as error:  # a label empty or too long to be looked up, or a NUL
        raise CannotListen(f"cannot listen on {host!r}: not a host name ({error})") from error
