"""A watch misses nothing and repeats nothing, over gateways that go away and over its own restarts."""

import itertools
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
from google.rpc import code_pb2

from taxcontrol.v1.invoice_query_pb2 import WatchInvoicesRequest
from taxcontrol.v1.invoice_service_pb2 import Failure
from taxcontrol.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from taxctl.connection import Connection, connect
from taxctl.failure import CallFailed
from taxctl.watching import PAUSE_S_MAX, PAUSE_S_MIN, watch
from tests.taxctl.books import TAXPAYER
from tests.taxctl.conftest import Terminal
from tests.taxctl.desk import Trouble
from tests.taxctl.gateway import FakeGateway
from tests.taxctl.test_process import ended, start

SHUTTING_DOWN = Trouble(code=code_pb2.UNAVAILABLE, reason="SHUTTING_DOWN")
OWNER = TAXPAYER.removeprefix("taxpayers/")


class Watch:
    """``taxctl watch`` as a process; its lines come one by one."""

    running: ClassVar[list["subprocess.Popen[bytes]"]] = []

    def __init__(self, fake: FakeGateway, *arguments: str) -> None:
        begun = fake.office.watching
        self.process = start("watch", OWNER, *arguments, target=fake.target)
        self.running.append(self.process)
        fake.office.wait_for_watch(begun + 1)

    def line(self) -> str:
        """The next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode()

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Ctrl-C: exit code, what was left on standard output, standard error."""
        self.process.send_signal(number)
        return ended(self.process)


@pytest.fixture(autouse=True)
def ended_all() -> Iterator[None]:
    """A watch never ends by itself: those of a failed test are ended here."""
    yield
    for process in Watch.running:
        process.kill()
    Watch.running.clear()


@pytest.fixture
def connection(fake: FakeGateway) -> Iterator[Connection]:
    found = connect(fake.target)
    with found.channel:
        yield found


def numbered(line: str) -> int:
    """The running number of the invoice in a printed line."""
    return int(line.split()[4].rpartition("-")[2])


def unheard(_failure: Failure, _pause_s: float) -> None:
    """For tests that do not look at it."""


def test_each_change_is_a_line_and_ctrl_c_ends_cleanly(fake: FakeGateway) -> None:
    running = Watch(fake)

    for number in (1, 2):
        fake.books.issue(number)
    lines = [running.line(), running.line()]
    code, out, err = running.stop()

    assert [line.split() for line in lines] == [
        ["2026-11-22", "10:00:00", "issued", "026", f"011002600111-0000000{n}", "100.00"]
        for n in (1, 2)
    ]
    assert max(map(len, lines)) <= 80
    assert (code, out) == (0, "")
    assert "Traceback" not in err
    assert re.search(r"to go on: --resume-token \S+:2$", err.strip())


def test_with_json_each_change_is_a_document_with_its_token(fake: FakeGateway) -> None:
    first = Watch(fake, "--json")
    fake.books.issue(1)
    told = json.loads(first.line())
    fake.books.issue(2)
    code, *_ = first.stop()

    again = Watch(fake, "--json", "--resume-token", told["resume_token"])
    following = json.loads(again.line())
    again.stop()

    assert code == 0
    assert told["change"]["type"] == "TYPE_ISSUED"
    assert following["change"]["invoice"]["issued"]["number"] == "00000002"


def test_it_begins_now_or_with_the_first_change(fake: FakeGateway) -> None:
    fake.books.issue(1)
    now, ever = Watch(fake), Watch(fake, "--from-beginning")
    fake.books.issue(2)

    lines = now.line(), ever.line()
    now.stop()
    ever.stop()

    assert ["-00000002" in lines[0], "-00000001" in lines[1]] == [True, True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_token_file_goes_on_where_the_last_watch_ended(
    fake: FakeGateway, tmp_path: Path, number: int
) -> None:
    file = tmp_path / "position"
    seed = 20261122
    print(f"seed {seed}")
    random, issued = Random(seed), itertools.count(1)
    seen: list[str] = []

    for round_ in range(3):
        # From the second round on these come while nobody watches.
        for _ in range(random.randrange(1, 4) if round_ else 0):
            fake.books.issue(next(issued))
        running = Watch(fake, "--token-file", str(file))
        for _ in range(random.randrange(1, 5)):
            fake.books.issue(next(issued))
        while len(seen) < len(fake.books.changes):
            seen.append(running.line())
        code, out, _ = running.stop(number)
        assert (code, out) == (0, "")

    assert list(map(numbered, seen)) == list(range(1, next(issued)))
    assert list(tmp_path.iterdir()) == [file]


def test_a_watch_that_is_killed_repeats_at_most_its_last_line(
    fake: FakeGateway, tmp_path: Path
) -> None:
    file = str(tmp_path / "position")
    running = Watch(fake, "--token-file", file)
    for number in range(1, 21):
        fake.books.issue(number)
    seen = [running.line() for _ in range(7)]
    code, rest, _ = running.stop(signal.SIGKILL)
    seen += rest.splitlines()

    again = Watch(fake, "--token-file", file)
    fake.books.issue(21)
    following = [again.line()]
    while "-00000021" not in following[-1]:
        following.append(again.line())
    again.stop()

    first = numbered(following[0])
    assert code == -signal.SIGKILL
    assert len(seen) <= first <= len(seen) + 1
    assert len(following) == 21 - first + 1


def test_a_gateway_that_goes_away_is_called_again(fake: FakeGateway) -> None:
    running = Watch(fake)
    fake.books.issue(1)
    lines = [running.line()]
    for number in (2, 3):
        begun = fake.office.watching
        fake.office.cut()
        fake.books.issue(number)
        fake.office.wait_for_watch(begun + 1)
        lines.append(running.line())
    code, _, err = running.stop()

    assert [line.split()[4][-1] for line in lines] == ["1", "2", "3"]
    assert code == 0
    assert err.count("SHUTTING_DOWN") == 2
    assert err.count("the watch goes on") == 2


@pytest.mark.parametrize("lasts", [1, 3, 7])
def test_every_change_comes_once_however_often_the_watch_ends(
    fake: FakeGateway, connection: Connection, lasts: int
) -> None:
    for number in range(1, 51):
        fake.books.issue(number)
    fake.office.lasts = lasts
    request = WatchInvoicesRequest(parent=TAXPAYER, from_beginning=True)
    found = watch(
        connection,
        InvoiceServiceStub(connection.channel).WatchInvoices,
        request,
        interrupted=unheard,
        sleep=lambda _: None,
    )

    changes = (message.change for message in found if message.HasField("change"))
    seen = [int(one.invoice.issued.number) for one in itertools.islice(changes, 50)]

    assert seen == list(range(1, 51))
    assert fake.office.watching >= 50 // lasts


def test_pauses_grow_to_their_limit_and_begin_anew_after_a_message(
    fake: FakeGateway, connection: Connection
) -> None:
    pauses: list[float] = []
    reasons: list[str] = []
    request = WatchInvoicesRequest(parent=TAXPAYER, from_beginning=True)
    fake.books.issue(1)
    found = watch(
        connection,
        InvoiceServiceStub(connection.channel).WatchInvoices,
        request,
        interrupted=lambda failure, _: reasons.append(failure.message),
        sleep=pauses.append,
    )
    next(found), next(found)

    fake.office.troubles.extend([SHUTTING_DOWN] * 8)
    fake.office.cut()
    fake.books.issue(2)
    messages = [next(found), next(found)]
    fake.office.cut()
    next(found)

    planned = [min(PAUSE_S_MIN * 2**n, PAUSE_S_MAX) for n in [*range(9), 0]]
    assert len(pauses) == len(reasons) == len(planned)
    for pause, least in zip(pauses, planned, strict=True):
        assert least <= pause <= least * 1.25
    assert messages[1].change.invoice.issued.number == "00000002"


def test_another_watchs_token_is_refused_and_the_file_stays(
    fake: FakeGateway, console: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "position"
    file.write_text("someone:1\n")

    ran = console.run("watch", OWNER, "--token-file", str(file))

    assert ran.code == 1
    assert "INVALID_REQUEST" in ran.err
    assert file.read_text() == "someone:1\n"


def test_a_refusal_later_ends_the_watch(fake: FakeGateway, connection: Connection) -> None:
    fake.office.after(1, Trouble(code=code_pb2.NOT_FOUND, reason="TAXPAYER_NOT_FOUND"))
    request = WatchInvoicesRequest(parent=TAXPAYER)
    found = watch(
        connection,
        InvoiceServiceStub(connection.channel).WatchInvoices,
        request,
        interrupted=unheard,
        sleep=lambda _: None,
    )
    next(found)
    fake.office.cut()

    with pytest.raises(CallFailed) as caught:
        next(found)

    assert caught.value.failure.code == code_pb2.NOT_FOUND


@pytest.mark.parametrize(
    ("arguments", "content", "said"),
    [
        (["--resume-token", "t", "--from-beginning"], None, "do not go together"),
        (["--resume-token", "t"], "stored", "holds a resume token; leave --resume-token out"),
        ([], "", "holds no resume token"),
    ],
)
def test_where_to_begin_is_said_once(
    fake: FakeGateway, tmp_path: Path, arguments: list[str], content: str | None, said: str
) -> None:
    file = tmp_path / "position"
    if content is not None:
        file.write_text(content)

    ran = Terminal(fake.target).run("watch", OWNER, "--token-file", str(file), *arguments)

    assert ran.code == 2
    assert said in ran.err
    assert fake.books.seen == []


def test_nobody_there_at_the_start_is_said_so() -> None:
    code, _, err = ended(start("watch", OWNER, target="127.0.0.1:1"))

    assert code == 3
    assert "no answer from the gateway at 127.0.0.1:1" in err


def test_a_line_that_nobody_took_is_printed_again(fake: FakeGateway, tmp_path: Path) -> None:
    file = str(tmp_path / "position")
    running = Watch(fake, "--token-file", file)
    assert running.process.stdout is not None
    running.process.stdout.close()
    assert running.process.stderr is not None

    fake.books.issue(1)
    err = running.process.stderr.read().decode()
    running.process.stderr.close()
    code = running.process.wait(30)
    again = Watch(fake, "--token-file", file)
    line = again.line()
    again.stop()

    assert code == 1
    assert "Traceback" not in err
    assert numbered(line) == 1
