"""What a gateway is made of: the parts with an outside, and the workings between them."""

from dataclasses import dataclass

from authority.client import GrpcAuthority
from gateway.authorities import Authorities
from gateway.clock import Clock
from gateway.config import Config
from gateway.draw import Drawer
from gateway.issue import Issuer
from gateway.periods import Summariser
from gateway.reading import Reading
from gateway.registry import Registry
from gateway.return_stock import Returner
from gateway.upload.uploader import Uploader
from gateway.voids import Voids
from hsm.port import Signer
from ledger.port import Ledger

# Until callers have identities every row carries this one.
TENANT = "default"


@dataclass(frozen=True, slots=True)
class Parts:
    """What is wired together; made by ``server.assemble``, or by a test with other devices."""

    config: Config
    ledger: Ledger
    signer: Signer
    authorities: Authorities
    channels: tuple[GrpcAuthority, ...]
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Workings:
    """What does the work, once it runs: what servicers hand their requests to."""

    registry: Registry
    issuer: Issuer
    voids: Voids
    drawer: Drawer
    returner: Returner
    summariser: Summariser
    uploader: Uploader
    reading: Reading
