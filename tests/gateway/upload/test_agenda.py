"""What goes next: unaccepted first, then results, then new events; and how long calls linger."""

import math

import pytest

from gateway.upload.agenda import (
    AWAITED_COUNT_MAX,
    IN_FLIGHT_COUNT_MAX,
    POLL_COUNT_MAX,
    Agenda,
    Awaited,
    Unaccepted,
    Work,
)
from ledger.records import Submission

NOW = 100.0


def unaccepted(due_at: float = NOW) -> Unaccepted:
    submission = Submission(
        submission_id="s",
        tax_number="t",
        state="IN_DOUBT",
        created_at=0,
        items=(),
        certificates={},
    )
    return Unaccepted(submission, doubtful=True, due_at=due_at)


def waiting(due_at: float = NOW) -> Awaited:
    return Awaited(submission_id="s", acceptance_serial="1", event_ids={}, due_at=due_at)


PLENTY, SCARCE = 0.0, 4.0

TABLE = {
    "nothing at all": (Agenda(fresh=False), PLENTY, (None, math.inf)),
    "a lone invoice with plenty goes at once": (
        Agenda(last_call_at=NOW),
        PLENTY,
        (Work.CLAIM, NOW),
    ),
    "a lone invoice lingers from the last call on": (
        Agenda(last_call_at=99.0),
        SCARCE,
        (Work.CLAIM, 103.0),
    ),
    "it does not linger when the last call was long ago": (
        Agenda(last_call_at=90.0),
        SCARCE,
        (Work.CLAIM, NOW),
    ),
    "after a full batch the next does not linger": (
        Agenda(last_call_at=NOW, full=True),
        SCARCE,
        (Work.CLAIM, NOW),
    ),
    "the unaccepted come first": (
        Agenda(unaccepted=[unaccepted()], awaited=[waiting()]),
        SCARCE,
        (Work.RESOLVE, NOW),
    ),
    "one that is not due waits for its time": (
        Agenda(unaccepted=[unaccepted(130.0)], fresh=False),
        PLENTY,
        (Work.RESOLVE, 130.0),
    ),
    "results come before new events": (Agenda(awaited=[waiting()]), PLENTY, (Work.POLL, NOW)),
    "results that are not due do not": (Agenda(awaited=[waiting(101)]), PLENTY, (Work.CLAIM, NOW)),
    "when scarce, results wait for nine other calls": (
        Agenda(awaited=[waiting()], calls_since_poll=8, full=True),
        SCARCE,
        (Work.CLAIM, NOW),
    ),
    "and no longer": (
        Agenda(awaited=[waiting()], calls_since_poll=9, full=True),
        SCARCE,
        (Work.POLL, NOW),
    ),
    "a whole question's worth of results does not wait": (
        Agenda(awaited=[waiting() for _ in range(POLL_COUNT_MAX)], full=True),
        SCARCE,
        (Work.POLL, NOW),
    ),
    "without new events results only linger": (
        Agenda(awaited=[waiting()], fresh=False, last_call_at=99.0),
        SCARCE,
        (Work.POLL, 103.0),
    ),
    "too many in doubt: nothing new": (
        Agenda(unaccepted=[unaccepted(150.0)] * IN_FLIGHT_COUNT_MAX),
        PLENTY,
        (Work.RESOLVE, 150.0),
    ),
    "too many awaited: nothing new": (
        Agenda(awaited=[waiting(150.0)] * AWAITED_COUNT_MAX),
        PLENTY,
        (Work.POLL, 150.0),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_goes_next_and_when(name: str) -> None:
    agenda, linger_s, expected = TABLE[name]

    assert agenda.next_work(NOW, linger_s=linger_s, away=False) == expected


@pytest.mark.parametrize(
    ("agenda", "work"),
    [
        (Agenda(unaccepted=[unaccepted(130.0)], fresh=False), Work.RESOLVE),
        (Agenda(awaited=[waiting(130.0)], fresh=False), Work.POLL),
        (Agenda(unaccepted=[unaccepted(130.0)]), Work.CLAIM),
    ],
)
def test_while_the_authority_is_away_whatever_is_open_finds_out(agenda: Agenda, work: Work) -> None:
    assert agenda.next_work(NOW, linger_s=PLENTY, away=True) == (work, NOW)


def test_a_question_takes_the_longest_due_and_leaves_the_rest() -> None:
    agenda = Agenda(awaited=[waiting(NOW - n % 7) for n in range(150)] + [waiting(NOW + 1)])

    asked = agenda.take_due(NOW)

    assert len(asked) == POLL_COUNT_MAX
    assert max(it.due_at for it in asked) <= min(it.due_at for it in agenda.awaited)
    assert len(agenda.take_due(NOW)) == 50
    assert len(agenda.take_due(NOW)) == 1  # not due, but asked for all the same


def test_the_authoritys_return_ends_the_delays_its_absence_made() -> None:
    late, planned = unaccepted(130.0), waiting(130.0)
    late.failure_count = 3
    agenda = Agenda(unaccepted=[late], awaited=[planned])

    agenda.retry_now(NOW)

    assert (late.due_at, planned.due_at) == (NOW, 130.0)
