"""A run is right only when nothing is wrong, doubled, missing or out of balance."""

from pathlib import Path

import pytest

from loadtests.account import Total
from loadtests.run import RunFailed, Verdict
from taxcontrol.admin.v1.audit_service_pb2 import CheckBooksResponse

BOOKS = CheckBooksResponse(issued_count=10, balanced=True, done=True)
UNBALANCED = CheckBooksResponse(issued_count=10, balanced=False, done=True)


def test_refusals_alone_are_no_fault() -> None:
    total = Total()
    total.failed["ticket\tOVERLOADED"] = 5
    total.done["ticket"] = 10
    verdict = Verdict(total, 10, [], BOOKS)

    verdict.demand_right(Path())

    assert verdict.words == "requests=15 failures=5 wrong=0 duplicated=0 balanced=yes"


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict(Total(wrong_count=1), 10, [], BOOKS), "wrong=1 duplicated=0 balanced=yes"),
        (Verdict(Total(), 10, ["1-1"], BOOKS), "wrong=0 duplicated=1 balanced=yes"),
        (Verdict(Total(), 11, [], BOOKS), "wrong=0 duplicated=0 balanced=yes"),
        (Verdict(Total(), 10, [], UNBALANCED), "wrong=0 duplicated=0 balanced=no"),
    ],
    ids=["wrong", "doubled", "missing", "unbalanced"],
)
def test_what_is_not_right_fails_the_run(verdict: Verdict, words: str) -> None:
    with pytest.raises(RunFailed, match="is kept in kept"):
        verdict.demand_right(Path("kept"))

    assert verdict.words.endswith(words)
