"""The signing device over PKCS#11: lanes for speed, a breaker per key for honesty.

What a caller meets is HsmUnavailable or an answer. What an operator must mend is an HsmError at
start. In between stands the prober: while a breaker is open it asks for a real signature every
``probe_s``, resetting the module when nothing less helps, and closes the breaker when one arrives.
"""

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pkcs11
import structlog

from hsm import csr
from hsm.breaker import Breakers
from hsm.config import HsmConfig
from hsm.errors import DeviceAway, HsmError, PinRefused, SelfTestFailed, WrongSignature
from hsm.faults import sentence
from hsm.lanes import LaneLate, Lanes, LanesClosed, in_thread
from hsm.module import Cryptoki, Module
from hsm.port import DIGEST_BYTES, Algorithm, DeviceKey
from hsm.selftest import self_test
from hsm.session import KeySession
from hsm.state import DeviceState
from hsm.token import Token
from invoice.errors import HsmUnavailable

T = TypeVar("T")

_START_S = 30.0  # a network device may take long to greet
_MAKE_S = 30.0  # an RSA key in SoftHSM takes about a second, in a device much longer
_FRESH_S = 2.0  # a signature this young proves the device as well as a probe would
_PROBE_KEY_COUNT = 3  # one broken key, or two, say nothing about the device
_SAMPLE = 64  # `verify = sampled`: one in this many is checked in line

# A chunk is worth a second lane from about a millisecond of work on; see decision 0001.
_CHUNK_MIN: dict[Algorithm, int] = {"P-256": 16, "Ed25519": 8, "RSA-3072": 1}
_CHUNK_MAX = 64

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Counts:
    """What happened since start, for metrics."""

    calls: int = 0
    failures: int = 0
    late: int = 0
    wrong_signatures: int = 0
    breaks: int = 0
    probes: int = 0


class Pkcs11Signer:
    """A :class:`hsm.port.Signer` over a PKCS#11 module."""

    def __init__(self, config: HsmConfig, *, module: Cryptoki | None = None) -> None:
        """``module`` None: the one ``config`` names is opened at start."""
        self._config = config
        self._module = module
        self._lanes: Lanes[KeySession] | None = None
        self._token: Token | None = None
        self._breakers = Breakers()
        self._prober: asyncio.Task[None] | None = None
        self._making = asyncio.Lock()
        self._signed_at = -math.inf
        self.counts = Counts()

    async def start(self) -> None:
        """Open module, token and lanes, and test them. Raises HsmError by name."""
        try:
            async with asyncio.timeout(_START_S):
                token, module = await in_thread(self._open)
        except TimeoutError:
            raise SelfTestFailed(f"hsm: the device did not open within {_START_S:g} s") from None
        config = self._config
        every = 1 if config.verify == "full" else _SAMPLE
        seat = partial(KeySession, module, token, verify_every=every, wait_s=config.wait_s)
        self._token = token
        self._lanes = Lanes(seat, count=config.lanes, wait_s=config.wait_s)
        self._lanes.start()
        _log.info("hsm.opened", token=config.token_label, lanes=config.lanes, verify=config.verify)

    async def close(self) -> None:
        """Let running calls end and leave the device. Idempotent."""
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.gather(self._prober, return_exceptions=True)
            self._prober = None
        if self._lanes is None or self._module is None:
            return
        lanes, module = self._lanes, self._module
        await lanes.close()
        self._module = None
        await in_thread(lambda: module.release(wait_s=self._config.wait_s))
        _log.info("hsm.closed", token=self._config.token_label)

    async def ensure_key(self, label: str, algorithm: Algorithm | None = None) -> DeviceKey:
        """Find the key named ``label``, or make it in the token and prove that it signs."""
        default = self._config.algorithm
        # One lane at a time: a second caller would make a second key of the same label.
        async with self._making:
            key = await self._run_one(
                lambda seat: seat.ensure_key(label, algorithm, default), wait_s=_MAKE_S
            )
        self._breakers.know(key)
        _log.info("hsm.key_ready", label=label, key_id=key.key_id, algorithm=key.algorithm)
        return key

    async def csr(self, key: DeviceKey, *, common_name: str, serial_number: str) -> bytes:
        """Build a certificate request for ``key``; ValueError for names it cannot hold."""
        csr.require_names(common_name, serial_number)
        return await self._run_one(lambda seat: seat.csr(key, common_name, serial_number))

    async def sign(self, key: DeviceKey, digests: Sequence[bytes]) -> list[bytes]:
        """Sign each digest; see :meth:`hsm.port.Signer.sign`."""
        broken = self._breakers.open.get(key.key_id)
        if broken is not None:
            raise HsmUnavailable(
                f"the signing device is away: {broken.cause}", retry_s=self._config.probe_s
            )
        if not digests:
            return []
        for digest in digests:
            if len(digest) != DIGEST_BYTES:
                raise ValueError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
        self._breakers.know(key)
        chunks = _chunks(digests, _CHUNK_MIN[key.algorithm], self._config.lanes)
        works = [partial(KeySession.sign, key=key, digests=chunk) for chunk in chunks]
        self.counts.calls += 1
        try:
            signed = await self._opened().run(works)
        except (DeviceAway, HsmError) as error:
            self.counts.failures += 1
            self._judge(key, error)
            raise HsmUnavailable(
                f"the signing device is away: {error}", retry_s=self._config.probe_s
            ) from error
        self._signed_at = time.monotonic()
        return signed[0] if len(signed) == 1 else [one for part in signed for one in part]

    async def probe(self) -> None:
        """Prove that the device signs; see :meth:`hsm.port.Signer.probe`."""
        if not self._opened().closed and time.monotonic() - self._signed_at < _FRESH_S:
            return
        served = self._breakers.served(_PROBE_KEY_COUNT)
        if not served:
            await self._prove_device()
            return
        for key in served:
            try:
                await self.sign(key, [self._probe_digest()])
            except HsmUnavailable as error:
                failure = error
            else:
                return
        raise failure

    def available(self, key_id: str) -> bool:
        """Say whether the key's breaker is closed, in an open device."""
        opened = self._lanes is not None and not self._lanes.closed
        return opened and key_id not in self._breakers.open

    def state(self) -> DeviceState:
        """What can be counted at this moment. From any thread; changes nothing."""
        counts, lanes = self.counts, self._lanes
        return DeviceState(
            call_count=counts.calls,
            failure_count=counts.failures,
            late_count=counts.late,
            wrong_signature_count=counts.wrong_signatures,
            break_count=counts.breaks,
            probe_count=counts.probes,
            key_count=self._breakers.known_count,
            open_breaker_count=len(self._breakers.open),
            lane_count=self._config.lanes,
            busy_lane_count=0 if lanes is None else lanes.busy_count,
            hanging_lane_count=0 if lanes is None else lanes.hanging_count,
        )

    def _open(self) -> tuple[Token, Cryptoki]:
        config = self._config
        if self._module is None:
            self._module = Module.open(config.module, config.softhsm2_conf)
        module = self._module
        token = Token(module, label=config.token_label, pin_file=config.pin_file)
        try:
            self_test(token)
        except pkcs11.PKCS11Error as error:
            module.release(wait_s=config.wait_s)
            raise SelfTestFailed(f"hsm: the device failed at start: {sentence(error)}") from error
        except HsmError:
            module.release(wait_s=config.wait_s)
            raise
        return token, module

    def _opened(self) -> Lanes[KeySession]:
        if self._lanes is None:
            raise HsmUnavailable("the signing device is not open yet")
        return self._lanes

    async def _prove_device(self) -> None:
        try:
            await self._opened().run([KeySession.prove_or_heal])
        except (DeviceAway, HsmError) as error:
            raise HsmUnavailable(f"the signing device is away: {error}") from error

    def _probe_digest(self) -> bytes:
        self.counts.probes += 1
        # A tag of its own, so that no probe's signature can pass for an invoice's.
        return hashlib.sha256(b"taxcontrol.probe.v1\0%d" % self.counts.probes).digest()

    async def _run_one(self, work: Callable[[KeySession], T], *, wait_s: float | None = None) -> T:
        try:
            return (await self._opened().run([work], wait_s=wait_s))[0]
        except (DeviceAway, PinRefused) as error:
            raise HsmUnavailable(f"the signing device is away: {error}") from error

    def _judge(self, key: DeviceKey, error: DeviceAway | HsmError) -> None:
        """Decide what a failed call says about the key."""
        if isinstance(error, LanesClosed):
            return
        if isinstance(error, LaneLate):
            self.counts.late += 1
            if not error.stuck:
                return  # too much work for the device, not a dead device
        if isinstance(error, WrongSignature):
            self.counts.wrong_signatures += 1
        if self._breakers.trip(key, str(error)):
            self.counts.breaks += 1
            _log.error("hsm.breaker_opened", key_id=key.key_id, label=key.label, cause=str(error))
        if self._prober is None or self._prober.done():
            self._prober = asyncio.create_task(self._mend(), name="hsm-prober")

    async def _mend(self) -> None:
        """Ask for real signatures until every breaker is closed; a refused PIN is never retried."""
        while self._breakers.open and self._token is not None and self._token.refused is None:
            await asyncio.sleep(self._config.probe_s)
            broken = [entry.key for entry in self._breakers.open.values()]
            await asyncio.gather(*(self._try(key) for key in broken))

    async def _try(self, key: DeviceKey) -> None:
        work = partial(
            KeySession.sign_or_heal,
            key=key,
            digest=self._probe_digest(),
            others_served=self._breakers.others_served,
        )
        try:
            await self._opened().run([work])
        except (DeviceAway, HsmError) as error:
            self._breakers.trip(key, str(error))
        except Exception as error:  # noqa: BLE001 - a bug must not end the probing, and with it the service
            self._breakers.trip(key, type(error).__name__)
            _log.exception("hsm.probe_bug", key_id=key.key_id)
        else:
            self._breakers.mend(key)
            _log.warning("hsm.breaker_closed", key_id=key.key_id, label=key.label)


def _chunks(digests: Sequence[bytes], chunk_min: int, lane_count: int) -> list[Sequence[bytes]]:
    """Cut ``digests`` into parts worth a lane each, in order."""
    count = len(digests)
    if count <= chunk_min:
        return [digests]
    size = min(_CHUNK_MAX, max(chunk_min, -(-count // lane_count)))
    return [digests[first : first + size] for first in range(0, count, size)]
