"""Lanes as threads against lanes as processes, on a throwaway SoftHSM token. Takes about 20 s.

    python -m loadtests.hsm_lanes

Each row: signatures (P-256, every one verified) through the async port, in chunks, by several
callers at once. ``wall`` and ``CPU`` are microseconds per signature; CPU is that of all processes
together. With ``loop`` above 0 the event loop does so many microseconds of Python work per
signature itself, as the gateway does: that is where threads and the loop fight for the
interpreter, and where processes could pay. The figures of record are in
docs/decisions/0001-hsm-lanes.md.

The room rule lets load tests import generated stubs only. This one measures a room from inside,
so it imports ``hsm``, and nothing imports it.
"""

import asyncio
import hashlib
import itertools
import logging
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import structlog
import uvloop

from hsm.config import HsmConfig
from hsm.module import Module
from hsm.port import DeviceKey
from hsm.session import KeySession
from hsm.signer import Pkcs11Signer
from hsm.token import Token

INIT_TOKEN = Path(__file__).parents[1] / "softhsm-config" / "init-token.sh"
MEASURE_S = 0.5
CALLERS = {1: 64, 10: 16, 100: 4}

Sign = Callable[[Sequence[bytes]], Awaitable[list[bytes]]]


def serve(pipe: Connection, config: HsmConfig, key: DeviceKey) -> None:
    """Be a lane in a process of its own: chunks in, signatures out, "cpu" answers CPU seconds."""
    module = Module.open(config.module, config.softhsm2_conf)
    token = Token(module, label=config.token_label, pin_file=config.pin_file)
    session = KeySession(module, token, verify_every=1, wait_s=1)
    while (asked := pipe.recv()) is not None:
        pipe.send(time.process_time() if asked == "cpu" else session.sign(key, asked))
    module.release(wait_s=1)


class ProcessLane:
    """The loop's end of a lane process; answers come in the order of the chunks."""

    def __init__(self, config: HsmConfig, key: DeviceKey) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=serve, args=(theirs, config, key), daemon=True)
        self._process.start()
        self._waiting: deque[asyncio.Future[list[bytes]]] = deque()
        self.cpu_s()  # returns once the process has started

    def cpu_s(self) -> float:
        """Ask for the CPU the process has used; no chunk may be under way."""
        self._pipe.send("cpu")
        used: float = self._pipe.recv()
        return used

    def watch(self, watching: bool) -> None:  # noqa: FBT001 - a switch
        """Take answers on the running loop, or stop taking them there."""
        loop = asyncio.get_running_loop()
        if watching:
            loop.add_reader(self._pipe.fileno(), self._answer)
        else:
            loop.remove_reader(self._pipe.fileno())
            os.set_blocking(self._pipe.fileno(), True)  # uvloop left it non-blocking

    def leave(self) -> None:
        """Stop the process."""
        self._pipe.send(None)
        self._process.join(5)

    async def sign(self, digests: Sequence[bytes]) -> list[bytes]:
        """Hand over one chunk and wait for its signatures."""
        answer: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._pipe.send(digests)
        return await answer

    def _answer(self) -> None:
        self._waiting.popleft().set_result(self._pipe.recv())


def spin(microseconds: float) -> None:
    """Keep the interpreter busy for so much of this thread's own CPU time."""
    until = time.thread_time_ns() + int(microseconds * 1000)
    while time.thread_time_ns() < until:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One row: so many digests a call, so much work of the loop's own per digest."""

    chunk: int
    loop_us: float


LOADS = [Load(chunk=chunk, loop_us=loop_us) for loop_us in (0.0, 100.0) for chunk in CALLERS]


async def measure(sign: Sign, load: Load) -> tuple[int, float]:
    """Sign for a while; how many signatures in how many seconds."""
    digests = [hashlib.sha256(b"%d" % number).digest() for number in range(load.chunk)]
    signed_count = 0
    started = time.perf_counter()

    async def call() -> None:
        nonlocal signed_count
        while time.perf_counter() - started < MEASURE_S:
            spin(load.loop_us * load.chunk)
            signatures = await sign(digests)
            signed_count += len(signatures)

    await asyncio.gather(*(call() for _ in range(CALLERS[load.chunk])))
    return signed_count, time.perf_counter() - started


def show(kind: str, lanes: int, load: Load, *, count: int, wall_s: float, cpu_s: float) -> None:
    """Print one row."""
    wall_us, cpu_us = wall_s * 1e6 / count, cpu_s * 1e6 / count
    print(
        f"{kind:9} {lanes:5} {load.chunk:5} {load.loop_us:5.0f} "
        f"{wall_us:8.0f} {cpu_us:8.0f} {count / wall_s:10,.0f}",
        flush=True,
    )


async def measure_threads(config: HsmConfig) -> DeviceKey:
    """Print the rows of lanes as threads; the key, for the processes."""
    signer = Pkcs11Signer(config)
    await signer.start()
    key = await signer.ensure_key("bench")
    for load in LOADS:
        cpu_s = time.process_time()
        count, wall_s = await measure(lambda digests: signer.sign(key, digests), load)
        spent_s = time.process_time() - cpu_s
        show("threads", config.lanes, load, count=count, wall_s=wall_s, cpu_s=spent_s)
    await signer.close()
    return key


async def measure_processes(config: HsmConfig, key: DeviceKey) -> None:
    """Print the rows of lanes as processes; calls go round."""
    crew = [ProcessLane(config, key) for _ in range(config.lanes)]
    turns = itertools.cycle(crew)
    for load in LOADS:
        cpu_s = time.process_time() + sum(lane.cpu_s() for lane in crew)
        for lane in crew:
            lane.watch(True)
        count, wall_s = await measure(lambda digests: next(turns).sign(digests), load)
        for lane in crew:
            lane.watch(False)
        spent_s = time.process_time() + sum(lane.cpu_s() for lane in crew) - cpu_s
        show("processes", config.lanes, load, count=count, wall_s=wall_s, cpu_s=spent_s)
    for lane in crew:
        lane.leave()


def main() -> None:
    """Make a token in memory where the machine allows it, measure, throw it away."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    memory = Path("/dev/shm")  # noqa: S108 - the token lives and dies in a fresh folder there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        home = Path(folder)
        subprocess.run([INIT_TOKEN, home, "bench"], check=True, capture_output=True)
        print("lanes         n chunk  loop  wall us   CPU us   signed/s")
        for lanes in (1, 2):
            config = HsmConfig(
                softhsm2_conf=home / "softhsm2.conf",
                token_label="bench",  # noqa: S106 - a name, no secret
                pin_file=home / "pin",
                lanes=lanes,
                wait_s=10,
            )
            key = uvloop.run(measure_threads(config))
            uvloop.run(measure_processes(config, key))


if __name__ == "__main__":
    main()
