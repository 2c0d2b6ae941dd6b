"""What the parts of one invoice cost bare, in CPU microseconds each: ``python -m loadtests.bench_bare``.

A signature by the module itself (a loop in C, compiled here; where there is no compiler, through
python-pkcs11), one through python-pkcs11, one verification, and one row of the ledger's size and
durability, in groups. A folder with a token in it is given; one JSON document comes out.

The room rule lets load tests import generated stubs only. This one measures a room from inside, so
it imports ``hsm``, and nothing imports it.
"""

import argparse
import asyncio
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import apsw
import structlog

from hsm.config import HsmConfig
from hsm.module import Module
from hsm.port import DeviceKey
from hsm.session import KeySession
from hsm.signer import Pkcs11Signer
from hsm.token import Token
from hsm.verify import verifier

SOURCE: Final = Path(__file__).with_name("bare_sign.c")
_LABEL: Final = "bare"
# A content of two lines and what is stored beside it, in one row.
_ROW_BYTES: Final = 1_600


def main() -> int:
    """Measure and print; the answer is the exit status."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench_bare", description=__doc__)
    parser.add_argument("folder", type=Path, help="with token/, made by init-token.sh, and room")
    parser.add_argument("--groups", type=int, nargs="+", required=True, help="rows a transaction")
    parser.add_argument("--seconds", type=float, default=0.5, help="of CPU for each figure")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    config = HsmConfig(
        softhsm2_conf=arguments.folder / "token" / "softhsm2.conf",
        token_label=_LABEL,
        pin_file=arguments.folder / "token" / "pin",
    )
    key = asyncio.run(_key(config))
    bare_us = _sign_in_c(config, arguments.folder, arguments.seconds)
    library_us, verify_us = _sign_and_verify(config, key, arguments.seconds)
    print(
        json.dumps(
            {
                "sign_us": library_us if bare_us is None else bare_us,
                "sign_by": "python-pkcs11" if bare_us is None else "C",
                "library_sign_us": library_us,
                "verify_us": verify_us,
                "insert_us": {
                    str(count): _insert(arguments.folder, count, arguments.seconds)
                    for count in arguments.groups
                },
            }
        )
    )
    return 0


async def _key(config: HsmConfig) -> DeviceKey:
    signer = Pkcs11Signer(config)
    await signer.start()
    try:
        return await signer.ensure_key("bare-1")
    finally:
        await signer.close()


def _sign_in_c(config: HsmConfig, folder: Path, seconds: float) -> float | None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    program = folder / "bare_sign"
    # Old-style function pointers: the module's functions differ in their arguments.
    subprocess.run([compiler, "-O2", "-w", "-std=gnu17", "-o", program, SOURCE, "-ldl"], check=True)
    done = subprocess.run(
        [program, str(config.module), _LABEL, config.pin_file, str(seconds)],
        env={**os.environ, "SOFTHSM2_CONF": str(config.softhsm2_conf)},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[1])


def _sign_and_verify(config: HsmConfig, key: DeviceKey, seconds: float) -> tuple[float, float]:
    module = Module.open(config.module, config.softhsm2_conf)
    token = Token(module, label=config.token_label, pin_file=config.pin_file)
    # So seldom verified that it does not count.
    session = KeySession(module, token, verify_every=1_000_000, wait_s=1)
    digests = [hashlib.sha256(bytes([n])).digest() for n in range(100)]
    signatures = session.sign(key, digests)
    sign_us = _cpu_us(lambda: session.sign(key, digests), seconds) / len(digests)
    right = verifier(key.public_key, key.algorithm)
    verify_us = _cpu_us(lambda: _verify(right, digests, signatures), seconds) / len(digests)
    session.close()
    module.release(wait_s=1)
    return sign_us, verify_us


def _verify(
    right: Callable[[bytes, bytes], bool], digests: Sequence[bytes], signatures: Sequence[bytes]
) -> None:
    assert all(right(*pair) for pair in zip(digests, signatures, strict=True))


def _insert(folder: Path, count: int, seconds: float) -> float:
    path = folder / f"rows-{count}.db"
    path.unlink(missing_ok=True)
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "full")
    connection.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, content BLOB) STRICT")
    content = bytes(_ROW_BYTES)
    statement = f"INSERT INTO row (content) VALUES {','.join(['(?)'] * count)}"  # noqa: S608 - places

    def write() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(statement, [content] * count)
        connection.execute("COMMIT")

    try:
        return _cpu_us(write, seconds) / count
    finally:
        connection.close()


def _cpu_us(work: Callable[[], object], seconds: float) -> float:
    """CPU of one ``work``, of all threads."""
    work()
    began, done = time.process_time(), 0
    while time.process_time() < began + seconds and done < 100_000:
        work()
        done += 1
    return 1e6 * (time.process_time() - began) / done


if __name__ == "__main__":
    sys.exit(main())
