"""The test at start: many threads sign at once, and every signature is right.

Without OS locking eight threads break SoftHSM within some 25 signatures, so 400 are plenty.
"""

import hashlib
import threading

import pkcs11

from hsm import keys
from hsm.errors import SelfTestFailed
from hsm.faults import sentence
from hsm.port import DeviceKey
from hsm.token import Token
from hsm.verify import verifier

THREAD_COUNT = 8
SIGN_COUNT = 50  # per thread; 400 P-256 signatures with their checks take about 50 ms


def self_test(token: Token) -> None:
    """Sign with a throwaway key of this session from many threads; SelfTestFailed on any fault."""
    root = token.root()
    key = keys.make(root, "self-test", "P-256", store=False)
    failures: list[str] = []
    threads = [
        threading.Thread(target=_sign_many, args=(token, key, index, failures), daemon=True)
        for index in range(THREAD_COUNT)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys.destroy(root, key)
    if failures:
        raise SelfTestFailed(
            f"hsm: {len(failures)} of {THREAD_COUNT} threads failed the self-test: {failures[0]}"
        )


def _sign_many(token: Token, key: DeviceKey, index: int, failures: list[str]) -> None:
    try:
        _, session = token.session()
        sign = keys.sign_with(keys.private_half(session, key), key.algorithm)
        right = verifier(key.public_key, key.algorithm)
        for count in range(SIGN_COUNT):
            digest = hashlib.sha256(b"%d %d" % (index, count)).digest()
            if not right(digest, sign(digest)):
                failures.append("a signature is wrong")
                return
        session.close()
    except pkcs11.PKCS11Error as error:
        failures.append(sentence(error))
