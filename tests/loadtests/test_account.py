"""Accounts of several processes add up, and a number given twice is found wherever it was answered."""

from pathlib import Path

from loadtests import account
from loadtests.account import BLANK, Account

NAME = "taxpayers/91110000AYTLHUJ0ET/invoices/011002600111-"


def test_a_number_answered_in_two_processes_is_found(tmp_path: Path) -> None:
    one, two = Account(tmp_path, "one"), Account(tmp_path, "two")
    one.number(f"{NAME}00000001", "a")
    two.number(f"{NAME}00000002", "b")
    two.number(f"{NAME}00000001", "c")
    one.close()
    two.close()

    count, doubled = account.numbers(tmp_path)

    assert count == 2
    assert doubled == ["011002600111-00000001 was answered to a and to c"]


def test_a_request_with_two_numbers_is_found(tmp_path: Path) -> None:
    one = Account(tmp_path, "one")
    one.number(f"{NAME}00000001", "a")
    one.number(f"{NAME}00000002", "a")
    one.close()

    assert account.numbers(tmp_path)[1] == [
        "a was answered 011002600111-00000001 and 011002600111-00000002"
    ]


def test_a_replay_doubles_nothing(tmp_path: Path) -> None:
    one, two = Account(tmp_path, "one"), Account(tmp_path, "two")
    one.number(f"{NAME}00000001", "a")
    two.number(f"{NAME}00000001", "a")
    one.close()
    two.close()

    assert account.numbers(tmp_path) == (1, [])


def test_a_blank_number_is_no_invoice_and_never_becomes_one(tmp_path: Path) -> None:
    one = Account(tmp_path, "one")
    one.number(f"{NAME}00000001", "a", what=BLANK)
    one.number(f"{NAME}00000002", "b")
    one.close()
    assert account.numbers(tmp_path) == (1, [])

    two = Account(tmp_path, "two")
    two.number(f"{NAME}00000001", "c")
    two.close()

    assert len(account.numbers(tmp_path)[1]) == 1


def test_half_a_line_of_a_killed_process_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "killed.numbers").write_text("issued\t1-1\ta\nissued\t1-", encoding="utf-8")

    assert account.numbers(tmp_path) == (1, [])
    assert account.read(tmp_path).process_count == 0


def test_accounts_add_up(tmp_path: Path) -> None:
    for name, seconds in (("one", 0.010), ("two", 0.030)):
        part = Account(tmp_path, name)
        part.done("ticket", seconds)
        part.done("batch", 1.0, count=25)
        part.failed("ticket", "OVERLOADED")
        part.refused("blank void", "NUMBER_NOT_BLANK")
        part.retried("ticket", "OVERLOADED")
        part.verified()
        part.wrong("ticket", "x", [])
        part.wrong("ticket", name, ["its number is another", "its sum too"])
        part.close()

    total = account.read(tmp_path)

    assert total.process_count == 2
    assert total.request_count == 2 + 50 + 2 + 2
    assert total.failure_count == 2
    assert total.retried["ticket\tOVERLOADED"] == 2
    assert total.verified_count == 2
    assert total.wrong_count == 2
    assert "ticket one: its number is another; its sum too" in total.wrong
    latencies = total.latencies["ticket"]
    assert latencies.total_count == 2
    assert 29_900 <= latencies.max_value <= 30_100
    assert latencies.get_value_at_percentile(50) <= 10_100


def test_a_wait_beyond_the_scale_counts_as_its_end() -> None:
    latencies = account.histogram()

    account.note(latencies, 1e6)
    account.note(latencies, 0.0)

    assert latencies.total_count == 2
