"""The wiring: which parts there are, how they know each other, in which order they live and die.

Stop order: readiness and new calls first, then running calls, the issuer, draws, the uploader, the
authority's channel, the device, and last the ledger, which everything before may still write.
"""

import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from random import SystemRandom

import grpc
import structlog
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from authority.client import GrpcAuthority
from gateway.audit_service import AuditServicer
from gateway.authority_time import AuthorityTime
from gateway.clock import Clock, SystemClock
from gateway.config import Config, ConfigError
from gateway.draw import Drawer
from gateway.health import Need, Readiness
from gateway.interceptor import Interceptor
from gateway.invoice_service import MESSAGE_BYTES_MAX, InvoiceServicer
from gateway.issue import Issuer
from gateway.register import Registrar
from gateway.registry import Registry
from gateway.stock_admin_service import StockAdminServicer
from gateway.stock_service import StockServicer
from gateway.sweep import Sweep
from gateway.taxpayer_service import TaxpayerServicer
from gateway.upload.uploader import Uploader
from gateway.upload_admin_service import UploadAdminServicer
from hsm.port import Signer
from hsm.signer import Pkcs11Signer
from hsm.verify import verify
from ledger.port import Ledger
from ledger.sqlite import SqliteLedger
from taxcontrol.admin.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    stock_admin_service_pb2,
    stock_admin_service_pb2_grpc,
    taxpayer_service_pb2,
    taxpayer_service_pb2_grpc,
    upload_admin_service_pb2,
    upload_admin_service_pb2_grpc,
)
from taxcontrol.v1 import (
    invoice_service_pb2,
    invoice_service_pb2_grpc,
    stock_service_pb2,
    stock_service_pb2_grpc,
)

log = structlog.get_logger()

# Until callers have identities every row carries this one.
TENANT = "default"

_NEEDS = {
    invoice_service_pb2.DESCRIPTOR.services_by_name["InvoiceService"].full_name: (
        Need.LEDGER_AND_DEVICE
    ),
    stock_service_pb2.DESCRIPTOR.services_by_name["StockService"].full_name: Need.LEDGER,
    taxpayer_service_pb2.DESCRIPTOR.services_by_name["TaxpayerService"].full_name: (
        Need.LEDGER_AND_DEVICE
    ),
    stock_admin_service_pb2.DESCRIPTOR.services_by_name["StockAdminService"].full_name: (
        Need.LEDGER
    ),
    upload_admin_service_pb2.DESCRIPTOR.services_by_name["UploadAdminService"].full_name: (
        Need.LEDGER
    ),
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name: Need.LEDGER,
}

# How long callers are turned away by name before the server closes.
_TURN_AWAY_S = 0.2
# For the last answers to leave.
_CLOSE_S = 0.5

_OPTIONS = [
    # Two gateways must not share a port by accident: the second one fails to bind.
    ("grpc.so_reuseport", 0),
    # Twice what is served, so that a batch somewhat too large is refused by name, with advice.
    ("grpc.max_receive_message_length", 2 * MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", 2 * MESSAGE_BYTES_MAX),
    # Callers may ping every 20 s (we allow half of it) without being struck off.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
]


class CannotListen(Exception):
    """The address cannot be bound; most often another process has the port."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is wired together; made by ``assemble``, or by a test with other devices."""

    config: Config
    ledger: Ledger
    signer: Signer
    authority: GrpcAuthority
    authority_time: AuthorityTime
    clock: Clock


def assemble(config: Config) -> Parts:
    """Make the parts that ``config`` asks for; nothing is opened yet.

    Raises:
        ConfigError: The authority's root certificates cannot be read.
    """
    clock = SystemClock()
    authority_time = AuthorityTime(clock)
    try:
        authority = GrpcAuthority(config.authority, on_time=authority_time.observe)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return Parts(
        config=config,
        ledger=SqliteLedger(config.ledger.path, verify=verify),
        signer=Pkcs11Signer(config.hsm),
        authority=authority,
        authority_time=authority_time,
        clock=clock,
    )


@contextlib.asynccontextmanager
async def running(parts: Parts) -> AsyncIterator[str]:
    """Run a gateway; the value is ``host:port``. Leaving the context drains and stops it.

    Raises:
        LedgerError, HsmError, CannotListen: What an operator must mend; nothing runs then.
    """
    config, clock = parts.config, parts.clock
    # Unique per process, and readable in a row left behind.
    worker = f"{os.getpid()}-{secrets.token_hex(6)}"
    async with contextlib.AsyncExitStack() as stack:
        uploader = Uploader(
            ledger=parts.ledger, authority=parts.authority, clock=clock, rng=SystemRandom()
        )
        await parts.ledger.start(worker, clock.now())
        stack.push_async_callback(parts.ledger.close)
        await parts.signer.start()
        stack.push_async_callback(parts.signer.close)
        stack.push_async_callback(parts.authority.close)
        await uploader.start()
        stack.push_async_callback(uploader.stop)
        drawer = Drawer(ledger=parts.ledger, authority=parts.authority, clock=clock)
        await drawer.start()
        stack.push_async_callback(drawer.close)
        registry = Registry(parts.ledger)
        issuer = Issuer(
            ledger=parts.ledger,
            signer=parts.signer,
            registry=registry,
            clock=clock,
            worker=worker,
            group_count_max=config.issue.group_count_max,
            waiting_count_max=config.issue.waiting_count_max,
            on_issued=lambda tax_numbers: _wake(uploader, tax_numbers),
            clock_trusted=lambda: parts.authority_time.known,
        )
        await issuer.start()
        stack.push_async_callback(issuer.close, grace_s=config.server.drain_s)
        sweep = Sweep(ledger=parts.ledger, issuer=issuer, clock=clock, worker=worker)
        await sweep.start()
        stack.push_async_callback(sweep.close)
        serving = _Serving(
            parts, registry=registry, issuer=issuer, drawer=drawer, uploader=uploader
        )
        address = await serving.start()
        stack.push_async_callback(serving.stop)
        log.info("gateway.started", address=address, worker=worker)
        yield address
        log.info("gateway.stopping")
    log.info("gateway.stopped")


def _wake(uploader: Uploader, tax_numbers: Iterable[str]) -> None:
    for tax_number in tax_numbers:
        uploader.wake(tax_number)


class _Serving:
    """The gRPC server with its servicers, its one interceptor and its health."""

    def __init__(
        self,
        parts: Parts,
        *,
        registry: Registry,
        issuer: Issuer,
        drawer: Drawer,
        uploader: Uploader,
    ) -> None:
        self._config = parts.config.server
        self._clock = parts.clock
        self._interceptor = Interceptor()
        self._server = grpc.aio.server(interceptors=[self._interceptor], options=_OPTIONS)
        health_servicer = health.aio.HealthServicer()
        self._readiness = Readiness(
            servicer=health_servicer,
            needs=_NEEDS,
            ledger=parts.ledger,
            signer=parts.signer,
            registry=registry,
            clock=parts.clock,
        )
        _add_servicers(
            self._server, parts, registry=registry, issuer=issuer, drawer=drawer, uploader=uploader
        )
        health_pb2_grpc.add_HealthServicer_to_server(health_servicer, self._server)
        names = (*_NEEDS, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)

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
        # gRPC cancels, without a word, what arrives while it shuts down; so callers under way are
        # first turned away by name.
        await self._clock.sleep(_TURN_AWAY_S)
        await self._interceptor.idle(wait_s=self._config.drain_s)
        # What still runs are watches of health, which end only with the server.
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


def _add_servicers(
    server: grpc.aio.Server,
    parts: Parts,
    *,
    registry: Registry,
    issuer: Issuer,
    drawer: Drawer,
    uploader: Uploader,
) -> None:
    ledger, clock = parts.ledger, parts.clock
    invoice_service_pb2_grpc.add_InvoiceServiceServicer_to_server(
        InvoiceServicer(
            issuer=issuer,
            ledger=ledger,
            registry=registry,
            signer=parts.signer,
            authority_time=parts.authority_time,
            tenant=TENANT,
        ),
        server,
    )
    stock_service_pb2_grpc.add_StockServiceServicer_to_server(
        StockServicer(ledger=ledger, registry=registry, tenant=TENANT), server
    )
    registrar = Registrar(ledger=ledger, authority=parts.authority, signer=parts.signer)
    taxpayer_service_pb2_grpc.add_TaxpayerServiceServicer_to_server(
        TaxpayerServicer(
            registrar=registrar, registry=registry, ledger=ledger, clock=clock, tenant=TENANT
        ),
        server,
    )
    stock_admin_service_pb2_grpc.add_StockAdminServiceServicer_to_server(
        StockAdminServicer(
            drawer=drawer, ledger=ledger, registry=registry, clock=clock, tenant=TENANT
        ),
        server,
    )
    upload_admin_service_pb2_grpc.add_UploadAdminServiceServicer_to_server(
        UploadAdminServicer(uploader=uploader, ledger=ledger, registry=registry, tenant=TENANT),
        server,
    )
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(ledger=ledger), server)
