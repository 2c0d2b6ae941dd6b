"""Each receiver has every change it wants, in order, over failures and restarts: real HTTP, a real ledger."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import apsw
import pytest

from gateway.webhooks.config import WebhookConfig
from gateway.webhooks.hooks import Hooks
from invoice.errors import LedgerUnavailable
from ledger.alert_records import AlertChangeRecord, AlertNews, AlertPlace
from ledger.sqlite import SqliteLedger
from tests.fakes.webhook_receiver import SECRET, Answer, WebhookReceiver
from tests.gateway.hand_clock import HandClock
from tests.ledger import building
from tests.ledger.building import TAX_NUMBER, TENANT, TYPE, WORKER

HOUR_S = 3600.0
SEED = 20_261_201


class ForgetfulLedger(SqliteLedger):
    """The real ledger, which cannot be written when a delivery ends, so many times as it is told."""

    forgets_count = 0

    async def end_delivery(
        self, delivery_id: int, *, delivered: bool, error: str, now: float
    ) -> None:
        if self.forgets_count:
            self.forgets_count -= 1
            raise LedgerUnavailable("the disk is full")
        await super().end_delivery(delivery_id, delivered=delivered, error=error, now=now)


@dataclass(slots=True)
class Office:
    """Alerts, and who is told of them."""

    folder: Path
    receiver: WebhookReceiver
    ledger: ForgetfulLedger
    clock: HandClock = field(default_factory=HandClock)
    point: int = 0

    @asynccontextmanager
    async def delivering(self, *configs: WebhookConfig) -> AsyncIterator[Hooks]:
        """Deliver meanwhile."""
        print(f"seed {SEED}")
        hooks = Hooks(configs, ledger=self.ledger, clock=self.clock, rng=Random(SEED))
        await hooks.start()
        try:
            yield hooks
        finally:
            await hooks.close()

    def config(self, **more: Any) -> WebhookConfig:
        """A webhook to the receiver."""
        secret_file = self.receiver.write_secret(self.folder)
        settings: dict[str, Any] = {
            "name": "ops",
            "url": self.receiver.url,
            "secret_file": secret_file,
        } | more
        return WebhookConfig(**settings)

    async def tell(self, hooks: Hooks, what: str = "RAISED", **more: Any) -> AlertChangeRecord:
        """Store a change of an alert, each RAISED one of a new point."""
        self.point += what == "RAISED"
        settings: dict[str, Any] = {
            "what": what,
            "place": AlertPlace("STOCK_LOW", TAX_NUMBER, point=self.point, type=TYPE),
            "raised_at": self.clock.now(),
            "at": self.clock.now(),
            "severity": "WARNING",
            "message": "low",
            "message_zh": "不足",
        }
        [change] = await self.ledger.store_alerts(
            TENANT, [AlertNews(**settings | more)], targets=hooks.targets
        )
        hooks.wake()
        return change

    async def had(self, count: int) -> list[str]:
        """Wait for so many requests; the ids of their events."""
        posts = await asyncio.to_thread(self.receiver.wait_for, count)
        return [post.event["id"] for post in posts]

    async def idle(self) -> None:
        """Wait until nothing waits any more."""
        async with asyncio.timeout(30):
            while (await self.ledger.delivery_counts()).pending_count:  # noqa: ASYNC110 - a thread's work
                await asyncio.sleep(0.005)

    async def ends(self) -> list[tuple[str, int, str]]:
        """State, tries and last error of each delivery."""
        return await asyncio.to_thread(_ends, self.folder / "ledger.db")


def _ends(path: Path) -> list[tuple[str, int, str]]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute(
        "SELECT state, attempt_count, last_error FROM webhook_delivery ORDER BY delivery_id"
    ).fetchall()
    connection.close()
    return [(str(state), int(str(count)), str(error)) for state, count, error in rows]


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    ledger = ForgetfulLedger(tmp_path / "ledger.db", verify=building.verify)
    with WebhookReceiver() as receiver:
        office = Office(tmp_path, receiver, ledger)
        await ledger.start(WORKER, office.clock.now())
        yield office
        await ledger.close()
        found = [one for word in ledger.check_books() for one in word.findings]
        assert found == []


async def test_changes_come_in_their_order_signed(office: Office) -> None:
    async with office.delivering(office.config()) as hooks:
        for _ in range(20):
            await office.tell(hooks)
        await office.had(20)
        await office.idle()

    assert [post.event["id"] for post in office.receiver.posts] == [
        f"changes/{n}" for n in range(1, 21)
    ]
    assert all(post.is_signed_with(SECRET) for post in office.receiver.posts)
    assert not any(post.is_signed_with("b3RoZXI=") for post in office.receiver.posts)


async def test_what_fails_is_tried_again_and_nothing_overtakes_it(office: Office) -> None:
    office.receiver.script.extend([Answer(500), Answer(503), Answer(302, {"location": "/else"})])
    async with office.delivering(office.config()) as hooks:
        await office.tell(hooks)
        await office.tell(hooks)
        for count in (1, 2, 3):
            await office.had(count)
            await office.clock.asked()
            assert hooks.state.pending_count == 2
            await office.clock.move(HOUR_S)
        await office.idle()
        assert hooks.state.failed_count == 3

    ids = [post.event["id"] for post in office.receiver.posts]
    assert ids == ["changes/1"] * 4 + ["changes/2"]
    # The same id and body at each try, its time and so its signature anew.
    first, *_, last = office.receiver.posts[:4]
    assert first.body == last.body
    assert first.headers["webhook-id"] == last.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] < last.headers["webhook-timestamp"]
    assert await office.ends() == [("DELIVERED", 4, ""), ("DELIVERED", 1, "")]


async def test_pauses_grow_and_have_an_end(office: Office) -> None:
    office.receiver.stop()
    pauses = list[float]()
    async with office.delivering(office.config()) as hooks:
        await office.tell(hooks)
        for _ in range(12):
            await office.clock.asked()
            delivery = await office.ledger.next_delivery("ops")
            assert delivery is not None
            pauses.append(delivery.next_at - office.clock.now())
            await office.clock.move(pauses[-1] + 0.01)

    for n, pause_s in enumerate(pauses):
        assert 2.5 <= pause_s <= 2.5 + min(600, 5 * 2**n)
    assert max(pauses) > 60
    office.receiver.start()


@pytest.mark.parametrize(
    ("asked", "wait_s"),
    [("120", 120), ("999999999999", HOUR_S), ("Fri, 15 Jan 2027 08:10:00 GMT", 600), ("soon", 0)],
)
async def test_a_receiver_is_left_alone_as_long_as_it_asks(
    office: Office, asked: str, wait_s: float
) -> None:
    office.receiver.script.append(Answer(429, {"retry-after": asked}))
    async with office.delivering(office.config()) as hooks:
        await office.tell(hooks)
        await office.had(1)
        await office.clock.asked()

        delivery = await office.ledger.next_delivery("ops")

        assert delivery is not None
        assert max(wait_s, 2.5) <= delivery.next_at - office.clock.now() <= max(wait_s, 7.5)
        await office.clock.move(HOUR_S)
        await office.idle()


async def test_what_nobody_wants_or_takes_for_three_days_is_given_up(office: Office) -> None:
    office.receiver.script.extend([Answer(422)] * 5 + [Answer(410)] + [Answer(500)] * 2)
    async with office.delivering(office.config()) as hooks:
        for _ in range(4):
            await office.tell(hooks)
        for count in (1, 2, 3, 4):
            await office.had(count)
            await office.clock.asked()
            await office.clock.move(HOUR_S)
        # The fifth 422 gives the first up, the 410 the second; the third is tried until the end.
        await office.had(7)
        await office.clock.asked()
        await office.clock.move(73 * HOUR_S)
        await office.idle()

    assert await office.ends() == [
        ("GIVEN_UP", 5, "HTTP 422"),
        ("GIVEN_UP", 1, "HTTP 410"),
        ("GIVEN_UP", 2, "HTTP 500"),
        ("DELIVERED", 1, ""),
    ]


async def test_what_was_had_is_not_sent_again_when_the_ledger_could_not_note_it(
    office: Office,
) -> None:
    office.ledger.forgets_count = 2
    async with office.delivering(office.config()) as hooks:
        await office.tell(hooks)
        await office.had(1)
        async with asyncio.timeout(30):
            while (await office.ledger.delivery_counts()).pending_count:
                await office.clock.move(HOUR_S)
                await asyncio.sleep(0.005)

    assert office.ledger.forgets_count == 0
    assert len(office.receiver.posts) == 1


async def test_a_restart_goes_on_where_it_was(office: Office) -> None:
    office.receiver.stop()
    async with office.delivering(office.config()) as hooks:
        for _ in range(3):
            await office.tell(hooks)
        await office.clock.asked()
    office.receiver.start()
    await office.clock.move(HOUR_S)

    async with office.delivering(office.config()):
        await office.idle()

    assert [post.event["id"] for post in office.receiver.posts] == [
        "changes/1", "changes/2", "changes/3"
    ]  # fmt: skip


async def test_what_waits_for_a_receiver_that_is_gone_is_given_up(office: Office) -> None:
    office.receiver.stop()
    async with office.delivering(office.config()) as hooks:
        await office.tell(hooks)
        await office.clock.asked()
    office.receiver.start()

    async with office.delivering(office.config(name="others")):
        await office.idle()

    assert [state for state, *_ in await office.ends()] == ["GIVEN_UP"]
    assert office.receiver.posts == []


async def test_each_receiver_has_what_it_wants_and_waits_for_no_other(office: Office) -> None:
    with WebhookReceiver() as deaf:
        deaf.script.extend([Answer(500)] * 100)
        configs = (
            office.config(),
            office.config(name="deaf", url=deaf.url),
            office.config(name="serious", severity="SERIOUS"),
            office.config(name="device", kinds=("HSM_UNAVAILABLE",)),
            office.config(name="another", taxpayers=("91310115MA1FEXMP0M",)),
        )
        async with office.delivering(*configs) as hooks:
            mild = await office.tell(hooks)
            gone = await office.tell(hooks, "RESOLVED")
            bad = await office.tell(
                hooks, severity="CRITICAL", place=AlertPlace("HSM_UNAVAILABLE"), what="RAISED"
            )
            await office.had(3)

            assert hooks.targets(mild) == ["ops", "deaf"]
            assert hooks.targets(gone) == ["ops", "deaf", "serious"]
            assert hooks.targets(bad) == ["ops", "deaf", "serious", "device", "another"]


async def test_an_answer_without_end_does_not_hold_it_up(office: Office) -> None:
    office.receiver.script.append(Answer(200, body=b"x" * 5_000_000))
    async with office.delivering(office.config()) as hooks:
        await office.tell(hooks)
        await office.tell(hooks)
        await office.had(2)
        await office.idle()

    assert len(office.receiver.posts) == 2


async def test_secrets_may_change_while_it_runs(office: Office) -> None:
    config = office.config()
    async with office.delivering(config) as hooks:
        await office.tell(hooks)
        await office.had(1)
        new = "bmV3IHNlY3JldCBvZiB0aGlydHktdHdvIGJ5dGVzLi4="
        office.receiver.write_secret(office.folder, new, SECRET)
        await office.tell(hooks)
        await office.had(2)

    old_post, new_post = office.receiver.posts
    assert not old_post.is_signed_with(new)
    assert new_post.is_signed_with(new)
    assert new_post.is_signed_with(SECRET)


async def test_what_cannot_be_stored_is_sent_once(office: Office) -> None:
    async with office.delivering(office.config()) as hooks:
        change = await office.tell(hooks)
        await office.idle()
        unstored = AlertChangeRecord(
            change_number=0, what="RAISED", at=office.clock.now(), alert=change.alert
        )
        office.receiver.script.append(Answer(500))

        hooks.send_unstored(unstored)

        assert (await office.had(2))[1].startswith("unstored/STOCK_LOW/")
    assert len(office.receiver.posts) == 2
