"""Who gets in when there is not room for all: work of priority BULK last, and never for ever."""

import pytest

from gateway.admission import Admission
from invoice.errors import Overloaded


def admits(admission: Admission, count: int, *, bulk: bool) -> bool:
    try:
        with admission.admitted(count, bulk=bulk):
            return True
    except Overloaded:
        return False


@pytest.mark.parametrize(
    ("busy", "count", "bulk", "others"),
    [
        (0, 75, True, True),
        (74, 1, True, True),
        (75, 1, False, True),
        (99, 1, False, True),
        (100, 1, False, False),
        # A batch that is larger than the part of BULK goes alone.
        (0, 100, True, True),
        (1, 99, False, True),
        (0, 101, False, False),
    ],
)
def test_bulk_has_three_quarters_of_the_room(
    busy: int, count: int, *, bulk: bool, others: bool
) -> None:
    admission = Admission(count_max=100, in_work=lambda: busy)

    assert admits(admission, count, bulk=True) == bulk
    assert admits(admission, count, bulk=False) == others


async def test_in_a_stream_bulk_waits_behind_all_others() -> None:
    busy = 8
    admission = Admission(count_max=8, in_work=lambda: busy)
    bulk = [admission.turn(bulk=True) for _ in range(2)]
    others = [admission.turn() for _ in range(2)]

    def granted() -> list[bool]:
        return [turn is not None and turn.done() for turn in (*bulk, *others)]

    busy = 7
    admission.freed()
    assert granted() == [False, False, True, False]
    admission.checked()
    assert granted() == [False, False, True, True]
    admission.checked()
    assert granted() == [False, False, True, True]
    busy = 5
    admission.freed()
    assert granted() == [True, False, True, True]


async def test_who_waits_at_a_counter_passes_bulk_that_waits() -> None:
    busy = 6
    admission = Admission(count_max=8, in_work=lambda: busy)

    waiting = admission.turn(bulk=True)

    assert waiting is not None
    assert admission.turn() is None
    assert not waiting.done()


async def test_of_one_place_that_is_free_bulk_gets_none_while_others_wait() -> None:
    admission = Admission(count_max=8, in_work=lambda: 0)
    assert [admission.turn() for _ in range(4)] == [None] * 4
    bulk, other = admission.turn(bulk=True), admission.turn()
    assert bulk is not None
    assert other is not None

    admission.ended()

    assert (bulk.done(), other.done()) == (False, True)
