"""What a gateway is made of: the parts with an outside, and the workings between them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from authority.client import GrpcAuthority
from gateway.authorities import Authorities
from gateway.clock import Clock
from gateway.config import Config
from gateway.desk.opening import Desk
from gateway.draw import Drawer
from gateway.issue import Issuer
from gateway.metrics.measures import Measures
from gateway.periods import Summariser
from gateway.reading import Reading
from gateway.registry import Registry
from gateway.return_stock import Returner
from gateway.tracing.port import Tracer
from gateway.upload.uploader import Uploader
from gateway.voids import Voids
from gateway.webhooks.hooks import Hooks
from hsm.port import Signer
from hsm.state import DeviceState
from ledger.port import Ledger
from ledger.state import StoreState

# Until callers have identities every row carries this one.
TENANT = "default"


@dataclass(frozen=True, slots=True)
class Parts:
    """What is wired together; made by ``server.assemble``, or by a test with other devices.

    ``device`` and ``store`` are what metrics look at; without them there are none of that kind. Without
    ``tracer`` nothing is traced, without ``hooks`` no alert is delivered.
    """

    config: Config
    ledger: Ledger
    signer: Signer
    authorities: Authorities
    channels: tuple[GrpcAuthority, ...]
    clock: Clock
    measures: Measures = field(default_factory=Measures)
    device: Callable[[], DeviceState] | None = None
    store: Callable[[], StoreState] | None = None
    tracer: Tracer | None = None
    hooks: Hooks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workings:
    """What does the work, once it runs: what servicers hand their requests to.

    ``alert_counts`` answers, from any thread and at once, which alerts stand.
    """

    registry: Registry
    issuer: Issuer
    voids: Voids
    drawer: Drawer
    returner: Returner
    summariser: Summariser
    uploader: Uploader
    reading: Reading
    desk: Desk
