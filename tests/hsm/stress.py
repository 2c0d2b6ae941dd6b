"""Signs from many threads at once and counts; run as a program, since it may crash.

    python -m tests.hsm.stress CONF LABEL PIN_FILE THREADS SIGNS locking|unlocked

``unlocked`` initialises the module as python-pkcs11 does by itself. Prints the right signatures.
"""

import hashlib
import os
import sys
import threading
from pathlib import Path

import pkcs11
from pkcs11 import _pkcs11

from hsm import keys
from hsm.config import HsmConfig
from hsm.module import load_lib
from hsm.verify import verifier


def main(conf: str, label: str, pin_file: str, *, threads: int, signs: int, mode: str) -> None:
    """Print how many of THREADS x SIGNS signatures were made and are right."""
    os.environ["SOFTHSM2_CONF"] = conf
    path = HsmConfig(token_label=label, pin_file=Path(pin_file)).module
    lib = load_lib(path) if mode == "locking" else _pkcs11.lib(str(path))
    token = lib.get_token(token_label=label)
    root = token.open(rw=True, user_pin=Path(pin_file).read_text())
    key = keys.make(root, "stress", "P-256", store=False)
    right = verifier(key.public_key, key.algorithm)
    made: list[tuple[bytes, bytes]] = []

    def sign_many(index: int) -> None:
        try:
            session = token.open()
            sign = keys.sign_with(keys.private_half(session, key), key.algorithm)
            for count in range(signs):
                digest = hashlib.sha256(b"%d %d" % (index, count)).digest()
                made.append((digest, sign(digest)))
        except pkcs11.PKCS11Error as error:
            sys.stderr.write(f"{type(error).__name__}\n")

    crowd = [threading.Thread(target=sign_many, args=(index,)) for index in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    sys.stdout.write(f"{sum(right(digest, signature) for digest, signature in made)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:4], threads=int(sys.argv[4]), signs=int(sys.argv[5]), mode=sys.argv[6])
