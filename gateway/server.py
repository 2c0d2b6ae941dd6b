"""The wiring: which parts there are, how they know each other, in which order they live and die.

Stop order: readiness and new calls first, then running calls, the issuer, draws, the uploader, the
authority's channel, the device, and last the ledger, which everything before may still write.
"""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Iterable
from functools import partial
from random import SystemRandom

import structlog

from authority.client import GrpcAuthority
from authority.config import AuthorityConfig
from gateway.alerts.engine import NoDelivery
from gateway.authorities import Authorities, Bureau
from gateway.authority_time import AuthorityTime
from gateway.change_hub import ChangeHub
from gateway.clock import Clock, SystemClock
from gateway.config import Config, ConfigError
from gateway.desk.opening import Desk, open_desk
from gateway.draw import Drawer
from gateway.issue import Issuer
from gateway.metrics.gathering import Gathering
from gateway.metrics.listener import Listener
from gateway.metrics.measures import Measures
from gateway.metrics.sources import AlertCounts, IssueQueue, Sources
from gateway.parts import TENANT, Parts, Workings
from gateway.periods import Summariser
from gateway.reading import open_reading
from gateway.registry import Registry
from gateway.return_stock import Returner
from gateway.serving import Serving
from gateway.statements import Statements
from gateway.sweep import Sweep
from gateway.tracing.opening import tracer_for
from gateway.upload.uploader import Uploader
from gateway.voids import Voids
from gateway.webhooks.hooks import DeliveryState, Hooks
from gateway.webhooks.message import SecretUnusable
from gateway.webhooks.sending import ReceiverUnusable
from hsm.signer import Pkcs11Signer
from hsm.verify import verify
from ledger.port import Ledger
from ledger.sqlite import SqliteLedger

log = structlog.get_logger()


def assemble(config: Config) -> Parts:
    """Make the parts that ``config`` asks for; nothing is opened yet.

    Raises:
        ConfigError: An authority's root certificates or a webhook's files cannot be read, or tracing is
            not installed.
    """
    clock = SystemClock()
    channels: list[GrpcAuthority] = []

    def bureau(settings: AuthorityConfig) -> Bureau:
        time = AuthorityTime(clock)
        try:
            channels.append(GrpcAuthority(settings, on_time=time.observe))
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return Bureau(channels[-1], time)

    authorities = Authorities(
        tax=bureau(config.authority),
        finance=None if config.finance is None else bureau(config.finance),
    )
    measures = Measures()
    ledger = SqliteLedger(config.ledger.path, verify=verify, on_commit=measures.ledger_commit_s.add)
    signer = Pkcs11Signer(config.hsm)
    return Parts(
        config=config,
        ledger=ledger,
        signer=signer,
        authorities=authorities,
        channels=tuple(channels),
        clock=clock,
        measures=measures,
        device=signer.state,
        store=ledger.state,
        tracer=tracer_for(config.tracing),
        hooks=_hooks(config, ledger, clock),
    )


def _hooks(config: Config, ledger: Ledger, clock: Clock) -> Hooks:
    try:
        return Hooks(config.webhook, ledger=ledger, clock=clock)
    except (SecretUnusable, ReceiverUnusable) as error:
        raise ConfigError(str(error)) from error


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
        hub = ChangeHub(
            config.watch.count_max,
            watch_count_max_per_taxpayer=config.watch.count_max_per_taxpayer,
        )
        uploader = Uploader(
            ledger=parts.ledger,
            authorities=parts.authorities,
            clock=clock,
            rng=SystemRandom(),
            on_recorded=hub.stir,
            tracer=parts.tracer,
        )
        if parts.tracer is not None:
            stack.push_async_callback(parts.tracer.close)
        await parts.ledger.start(worker, clock.now())
        stack.push_async_callback(parts.ledger.close)
        await parts.signer.start()
        stack.push_async_callback(parts.signer.close)
        for channel in parts.channels:
            stack.push_async_callback(channel.close)
        await uploader.start()
        stack.push_async_callback(uploader.stop)
        drawer = Drawer(ledger=parts.ledger, authorities=parts.authorities, clock=clock)
        await drawer.start()
        stack.push_async_callback(drawer.close)
        returner = Returner(ledger=parts.ledger, authorities=parts.authorities, clock=clock)
        await returner.start()
        stack.push_async_callback(returner.close)
        registry = Registry(parts.ledger)
        summariser = Summariser(
            ledger=parts.ledger,
            registry=registry,
            signer=parts.signer,
            authorities=parts.authorities,
            clock=clock,
            worker=worker,
            tenant=TENANT,
        )
        await summariser.start()
        stack.push_async_callback(summariser.close)
        woken = partial(_wake, uploader, hub)
        issuer = Issuer(
            ledger=parts.ledger,
            signer=parts.signer,
            registry=registry,
            clock=clock,
            worker=worker,
            group_count_max=config.issue.group_count_max,
            waiting_count_max=config.issue.waiting_count_max,
            wait_s_max=config.issue.wait_s_max,
            on_issued=woken,
            clock_trusted=parts.authorities.clock_trusted,
            measures=parts.measures,
            tracer=parts.tracer,
        )
        await issuer.start()
        stack.push_async_callback(issuer.close, grace_s=config.server.drain_s)
        statements = Statements(
            ledger=parts.ledger,
            signer=parts.signer,
            registry=registry,
            clock=clock,
            on_settled=woken,
            tracer=parts.tracer,
        )
        stack.push_async_callback(statements.close, grace_s=config.server.drain_s)
        sweep = Sweep(
            ledger=parts.ledger,
            signer=parts.signer,
            registry=registry,
            issuer=issuer,
            statements=statements,
            clock=clock,
            worker=worker,
        )
        await sweep.start()
        stack.push_async_callback(sweep.close)
        if parts.hooks is not None:
            await parts.hooks.start()
            stack.push_async_callback(parts.hooks.close)
        desk = await open_desk(
            stack,
            config.desk,
            ledger=parts.ledger,
            signer=parts.signer,
            authorities=parts.authorities,
            clock=clock,
            measures=parts.measures,
            uploader=uploader,
            drawer=drawer,
            delivery=parts.hooks or NoDelivery(),
            tenant=TENANT,
        )
        workings = Workings(
            registry=registry,
            issuer=issuer,
            voids=Voids(
                statements=statements,
                ledger=parts.ledger,
                registry=registry,
                signer=parts.signer,
                authorities=parts.authorities,
                clock=clock,
                worker=worker,
                tenant=TENANT,
            ),
            drawer=drawer,
            returner=returner,
            summariser=summariser,
            uploader=uploader,
            reading=await open_reading(
                config, ledger=parts.ledger, registry=registry, hub=hub, clock=clock, tenant=TENANT
            ),
            desk=desk,
        )
        serving = Serving(parts, workings)
        if config.metrics is not None:
            listener = Listener(
                config.metrics.listen, Gathering(_sources(parts, workings, serving)).text
            )
            listener.start()
            stack.push_async_callback(listener.stop)
        address = await serving.start()
        stack.push_async_callback(serving.stop)
        log.info("gateway.started", address=address, worker=worker)
        yield address
        log.info("gateway.stopping")
    log.info("gateway.stopped")


def _sources(parts: Parts, workings: Workings, serving: Serving) -> Sources:
    """Where a scrape looks."""
    count_max, issuer = parts.config.issue.waiting_count_max, workings.issuer
    return Sources(
        measures=parts.measures,
        now=parts.clock.now,
        queue=lambda: IssueQueue(
            waiting_count=issuer.waiting_count,
            in_work_count=issuer.in_work_count,
            in_work_count_max=count_max,
        ),
        ready=serving.ready,
        device=parts.device,
        store=parts.store,
        survey=lambda: workings.desk.surveyor.latest,
        alerts=lambda: _alert_counts(workings.desk, parts.hooks),
        spans=None if parts.tracer is None else parts.tracer.counts,
    )


def _alert_counts(desk: Desk, hooks: Hooks | None) -> AlertCounts:
    delivery = DeliveryState() if hooks is None else hooks.state
    return AlertCounts(
        standing=desk.alerts.counts.by_kind,
        undelivered_count=delivery.pending_count,
        undelivered_since=delivery.oldest_at,
        failed_count=delivery.failed_count,
    )


def _wake(uploader: Uploader, hub: ChangeHub, tax_numbers: Iterable[str]) -> None:
    hub.stir(tax_numbers)
    for tax_number in tax_numbers:
        uploader.wake(tax_number)
