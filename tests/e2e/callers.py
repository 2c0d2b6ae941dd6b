"""Many callers with one request, as a process of their own.

``python -m tests.e2e.callers --target HOST:PORT --count N``: reads a serialised request from
standard input, starts N threads that call at once, and prints one line per answer: whether it was
replayed, and the hexadecimal digest of everything else in it.
"""

import argparse
import hashlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from taxcontrol.v1.invoice_service_pb2 import IssueInvoiceRequest
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from tests.fakes.gateway_process import CHANNEL_OPTIONS

_WAIT_S = 30.0


def main() -> None:
    """Call, and print what was answered."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--count", type=int, required=True)
    given = parser.parse_args()
    request = IssueInvoiceRequest.FromString(sys.stdin.buffer.read())
    together = threading.Barrier(given.count)
    with grpc.insecure_channel(given.target, options=CHANNEL_OPTIONS) as channel:
        stub = InvoiceServiceStub(channel)
        grpc.channel_ready_future(channel).result(_WAIT_S)

        def call() -> str:
            together.wait(_WAIT_S)
            response = stub.IssueInvoice(request, timeout=_WAIT_S)
            answer = response.issued.SerializeToString(deterministic=True)
            return f"{response.replayed} {hashlib.sha256(answer).hexdigest()}\n"

        with ThreadPoolExecutor(given.count) as pool:
            answers = [pool.submit(call) for _ in range(given.count)]
            sys.stdout.write("".join(answer.result() for answer in answers))


if __name__ == "__main__":
    main()
