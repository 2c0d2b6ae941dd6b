"""What is counted, and that counting is nearly for nothing."""

import timeit

import pytest

from gateway.metrics.measures import Calls, Measures, Spread, add_one
from gateway.metrics.ranking import Ranking


def test_a_value_on_a_bound_counts_below_it() -> None:
    spread = Spread((1.0, 2.0))

    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        spread.add(value)

    assert spread.buckets() == [("1", 2.0), ("2", 4.0), ("+Inf", 5.0)]
    assert (spread.count, spread.sum) == (5, 14.0)


def test_two_spreads_together_are_one_of_all_values() -> None:
    first, second = Spread((1.0,)), Spread((1.0,))
    first.add(0.5)
    second.add(3.0)

    first.merge(second)

    assert first.buckets() == [("1", 1.0), ("+Inf", 2.0)]
    assert first.sum == 3.5


def test_streams_are_counted_and_not_timed() -> None:
    calls = Calls()

    calls.ended("OK", 0.01)
    calls.ended("CANCELLED")

    assert calls.reasons == {"OK": 1, "CANCELLED": 1}
    assert calls.elapsed_s.count == 1


def test_calls_of_one_method_are_counted_in_one_place() -> None:
    measures = Measures()

    assert measures.calls_of("/a/b") is measures.calls_of("/a/b")
    assert measures.calls_of("/a/b") is not measures.calls_of("/a/c")


@pytest.mark.parametrize("count", [0, 1, 3, 10])
def test_a_ranking_keeps_the_lowest_and_folds_the_rest(count: int) -> None:
    folded: list[int] = []
    ranking: Ranking[int] = Ranking(3, folded.append)

    for value in (5, 1, 4, 2, 3, 9, 0, 8, 7, 6)[:count]:
        ranking.add(value, (float(value),))

    taken = sorted((5, 1, 4, 2, 3, 9, 0, 8, 7, 6)[:count])
    assert ranking.named() == taken[:3]
    assert sorted(folded) == taken[3:]
    assert ranking.folded_count == len(folded)


def test_among_equals_the_first_stays() -> None:
    ranking: Ranking[str] = Ranking(2, lambda _: None)

    for name in "abcd":
        ranking.add(name, (1.0,))

    assert ranking.named() == ["a", "b"]


def test_a_call_and_its_invoice_cost_two_microseconds_at_most() -> None:
    measures = Measures()
    calls = measures.calls_of("/taxcontrol.v1.InvoiceService/IssueInvoice")

    def one() -> None:
        calls.ended("OK", 0.0042)
        add_one(measures.issued, "026")

    # The best of many rounds: whoever else runs here can only make it slower.
    best_s = min(timeit.repeat(one, number=1000, repeat=50)) / 1000

    print(f"a call and its invoice: {best_s * 1e6:.2f} us")
    assert best_s < 2e-6
