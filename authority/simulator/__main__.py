"""Runs the simulator: ``python -m authority.simulator --listen 127.0.0.1:0 --store DIR``."""

import asyncio
import logging
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import grpc
import uvloop

from authority.simulator import department_table, policy_table
from authority.simulator.ca import open_ca
from authority.simulator.clock import AuthorityClock
from authority.simulator.control import SimulatorServicer
from authority.simulator.desk import Desk
from authority.simulator.intake import Intake
from authority.simulator.office import Office, PolicyInForce
from authority.simulator.options import Options, parse
from authority.simulator.policy import Policy
from authority.simulator.servicer import AuthorityServicer
from authority.simulator.signatures import Verifier
from authority.simulator.store import Store, StoreUnusable
from authority.simulator.summary_counter import SummaryCounter
from taxcontrol.authority.v1 import authority_service_pb2_grpc, simulator_service_pb2_grpc

_MESSAGE_BYTES_MAX: Final = 8 * 1024 * 1024
_OPTIONS: Final = (
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    # Two simulators on one port would share its calls in silence.
    ("grpc.so_reuseport", 0),
    # Half of what clients of ours ping at; the default would cut them off.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 15_000),
)
_GRACE_S: Final = 2.0


class _CannotListen(Exception):
    """The address cannot be listened on."""


async def _serve(options: Options) -> int:
    """Serve until told to stop; return the exit status."""
    async with AsyncExitStack() as lifetimes:
        store = Store(options.store)
        lifetimes.push_async_callback(store.close)
        issuer = open_ca(options.store, datetime.fromtimestamp(time.time(), tz=UTC))
        department = await store.run(
            lambda connection: department_table.settle(connection, options.office)
        )
        in_force = await _put_in_force(store, options)
        clock = AuthorityClock(in_force)
        office = Office(
            store=store,
            in_force=in_force,
            issuer=issuer,
            department=department,
            clock=clock,
        )
        intake = Intake(
            store=store,
            in_force=in_force,
            verifier=Verifier(issuer.certificate),
            clock=clock,
        )
        lifetimes.callback(intake.close)
        summaries = SummaryCounter(
            store=store,
            verifier=Verifier(issuer.certificate),
            department=department,
            clock=clock,
        )
        desk = Desk(intake=intake, clock=clock)
        lifetimes.push_async_callback(desk.close)

        server = grpc.aio.server(options=_OPTIONS)
        authority_service_pb2_grpc.add_AuthorityServiceServicer_to_server(
            AuthorityServicer(desk=desk, office=office, intake=intake, summaries=summaries), server
        )
        simulator_service_pb2_grpc.add_SimulatorServiceServicer_to_server(
            SimulatorServicer(desk=desk, office=office, store=store), server
        )
        port = _listen(server, options)
        await server.start()
        lifetimes.push_async_callback(server.stop, _GRACE_S)
        _announce(options, port)
        return await _until_stopped(store)


async def _put_in_force(store: Store, options: Options) -> PolicyInForce:
    """Put the stored policy in force, with what the command line says in its place."""
    present = await store.run(policy_table.load)
    policy = options.policy(Policy() if present is None else present[0])
    since_ns = await store.run(
        lambda connection: policy_table.save(connection, policy, time.time_ns())
    )
    return PolicyInForce(policy, since_ns)


def _listen(server: grpc.aio.Server, options: Options) -> int:
    """Bind and return the port. Tried with a plain socket first, since gRPC hides the reason."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    host = f"[{options.host}]" if family is socket.AF_INET6 else options.host
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((options.host, options.port))
        return server.add_insecure_port(f"{host}:{options.port}")
    except OSError as error:
        reason = error.strerror or str(error)
        raise _CannotListen(f"cannot listen on {host}:{options.port}: {reason}") from error
    except RuntimeError as error:
        raise _CannotListen(f"cannot listen on {host}:{options.port}") from error


def _announce(options: Options, port: int) -> None:
    sys.stdout.write(f"simulator: listening on {options.host}:{port}\n")
    sys.stdout.flush()
    if options.ready_file is not None:
        _write_whole(options.ready_file, f"{options.host}:{port}\n")


def _write_whole(path: Path, text: str) -> None:
    """Write a file that nobody finds half-written."""
    half = path.with_name(f"{path.name}.new")
    half.write_text(text)
    half.replace(path)


async def _until_stopped(store: Store) -> int:
    """Wait for a signal (status 0) or for the store to break (status 1)."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    waits = [asyncio.create_task(event.wait()) for event in (stopped, store.broken)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if store.broken.is_set():
        sys.stderr.write("simulator: the store could not be written; nothing more is taken\n")
        return 1
    return 0


def main() -> int:
    """Run the simulator and return its exit status."""
    options = parse(sys.argv[1:])
    logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
    try:
        return uvloop.run(_serve(options))
    except (StoreUnusable, _CannotListen) as error:
        sys.stderr.write(f"simulator: {error}\n")
    except OSError as error:
        sys.stderr.write(f"simulator: {error.filename or 'start'}: {error.strerror}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
