"""What answers questions about invoices: lists, watches, and strangers who hold one."""

from dataclasses import dataclass

from gateway.caller_limit import CallerLimit
from gateway.change_hub import ChangeHub
from gateway.clock import Clock
from gateway.config import Config
from gateway.list_invoices import Lister
from gateway.registry import Registry
from gateway.resume_token import Tokens
from gateway.verify_invoice import Verifier
from gateway.watch_invoices import Watcher
from ledger.port import Ledger
from ledger.secrets import RESUME_TOKEN


@dataclass(frozen=True, slots=True)
class Reading:
    """The parts, and the hub that wakes watches and ends them."""

    lister: Lister
    watcher: Watcher
    verifier: Verifier
    hub: ChangeHub
    tokens: Tokens


async def open_reading(
    config: Config, *, ledger: Ledger, registry: Registry, hub: ChangeHub, clock: Clock, tenant: str
) -> Reading:
    """Make the parts. The ledger is started: the key of the tokens is in it.

    Raises:
        LedgerUnavailable: It cannot be read.
    """
    tokens = Tokens(await ledger.secret(RESUME_TOKEN))
    return Reading(
        lister=Lister(ledger=ledger, registry=registry, tokens=tokens, tenant=tenant),
        watcher=Watcher(
            ledger=ledger, registry=registry, tokens=tokens, hub=hub, clock=clock, tenant=tenant
        ),
        verifier=Verifier(
            ledger=ledger, limit=CallerLimit(config.verify.calls_per_minute, clock=clock)
        ),
        hub=hub,
        tokens=tokens,
    )
