"""The simulator's small pure parts: tax numbers, options, policy, faults, certificates' days."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc

from authority.simulator.ca import Ca, open_ca
from authority.simulator.faults import FaultPlan, Mischief
from authority.simulator.identifiers import machine_number, tax_number_valid
from authority.simulator.options import parse
from authority.simulator.policy import OfflineLimits, Policy, Window, parse_windows
from authority.simulator.signatures import Verifier
from tests.authority.material import sign

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


@given(
    head=st.builds(
        "91{:06d}{}".format, st.integers(0, 999_999), st.text(ALPHABET, min_size=9, max_size=9)
    ),
    check=st.sampled_from(ALPHABET),
)
def test_check_characters_agree_with_another_library(head: str, check: str) -> None:
    assert tax_number_valid(head + check) == (uscc.calc_check_digit(head) == check)


def test_machine_numbers_have_twelve_digits() -> None:
    assert machine_number(1, machine_first=661_000_000_000) == "661000000001"


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("", ()),
        ("10/1s", (Window(period_ms=1000, call_count_max=10),)),
        (
            "3/50ms, 120/2m,5/1h",
            (
                Window(period_ms=50, call_count_max=3),
                Window(period_ms=120_000, call_count_max=120),
                Window(period_ms=3_600_000, call_count_max=5),
            ),
        ),
    ],
)
def test_windows_are_read_from_text(text: str, windows: tuple[Window, ...]) -> None:
    assert parse_windows(text) == windows


@pytest.mark.parametrize("text", ["10", "10/s", "10/1", "0/1s", "1/0s", "x/1s", "-1/1s", "1/32d"])
def test_a_slip_in_the_windows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="window"):
        parse_windows(text)


def test_options_change_what_is_given_and_keep_the_rest() -> None:
    present = Policy(
        windows=(), offline_limits=OfflineLimits(count_max=7, lock_day=15), result_delay_ms=9
    )
    options = parse(
        ["--listen", "[::1]:50061", "--store", "s", "--amount-yuan", "3", "--count", "-1"]
    )

    policy = options.policy(present)

    assert (options.host, options.port) == ("::1", 50061)
    assert policy.offline_limits == OfflineLimits(
        age_hours_max=72, amount_fen_max=300, count_max=None, lock_day=15
    )
    assert (policy.windows, policy.result_delay_ms) == ((), 9)


def test_minus_one_takes_a_limit_away() -> None:
    options = parse(["--listen", "127.0.0.1:0", "--store", "s", "--amount-yuan", "-1"])

    assert options.policy(Policy()).offline_limits.amount_fen_max is None


@pytest.mark.parametrize(
    "given_",
    [
        ["--windows", "10"],
        ["--lock-day", "32"],
        ["--holding", "0"],
        ["--result-delay-ms", "-1"],
        ["--issue-days", "-1"],
        ["--issue-days", "3651"],
        ["--office", "customs"],
        ["--age-hours", "-2"],
        ["--listen", "127.0.0.1"],
        ["--listen", "127.0.0.1:65536"],
    ],
)
def test_options_out_of_range_end_with_the_usage(
    given_: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--listen", "127.0.0.1:0", "--store", "s", *given_])

    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@given(seed=st.integers(), upload=st.lists(st.booleans(), max_size=30))
def test_the_same_seed_meets_the_same_faults(seed: int, upload: list[bool]) -> None:
    plan = FaultPlan(
        seed=seed, delay_ppm=300_000, throttle_ppm=300_000, lost_answer_ppm=300_000, delay_ms=5
    )
    one, other = Mischief(plan), Mischief(plan)

    assert [one.call(upload=each) for each in upload] == [
        other.call(upload=each) for each in upload
    ]


def test_only_upload_calls_are_throttled_and_shares_are_shares() -> None:
    mischief = Mischief(FaultPlan(seed=1, throttle_ppm=500_000, lost_answer_ppm=100_000))

    calls = [mischief.call(upload=ordinal % 2 == 0) for ordinal in range(2000)]

    assert all(call.throttle_retry_s is None for call in calls[1::2])
    assert 400 < sum(call.throttle_retry_s is not None for call in calls[::2]) < 600
    assert 130 < sum(call.lost_answer for call in calls) < 270


@pytest.mark.parametrize(
    "fields", [{"delay_ppm": -1}, {"refuse_item_ppm": 1_000_001}, {"delay_ms": -1}]
)
def test_a_fault_plan_out_of_range_is_refused(fields: Any) -> None:
    with pytest.raises(ValueError, match="is 0"):
        FaultPlan(**fields)


@pytest.fixture
def authority_ca(tmp_path: Path) -> Ca:
    return open_ca(tmp_path, NOW)


def test_a_ca_is_made_once(tmp_path: Path, authority_ca: Ca) -> None:
    again = open_ca(tmp_path, NOW + timedelta(days=1))

    assert again.certificate_der == authority_ca.certificate_der


@pytest.mark.parametrize(
    ("days", "valid"), [(-1, False), (0, True), (5 * 365, True), (5 * 365 + 1, False)]
)
def test_a_certificate_counts_within_its_days_only(
    authority_ca: Ca, days: int, *, valid: bool
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority_ca.certify(
        key.public_key(), machine_number="661000000001", tax_number="t", now=NOW, days=5 * 365
    )

    verified = Verifier(authority_ca.certificate).verifies(
        certificate=certificate,
        machine_number="661000000001",
        tax_number="t",
        schema="taxcontrol.invoice.v1",
        content=b"{}",
        signature=sign(key, "taxcontrol.invoice.v1", b"{}"),
        now=NOW + timedelta(days=days),
    )

    assert verified is valid


def test_a_certificate_of_another_ca_of_the_same_name_counts_for_nothing(
    authority_ca: Ca, tmp_path: Path
) -> None:
    impostor = open_ca(_made(tmp_path / "other"), NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = impostor.certify(
        key.public_key(), machine_number="661000000001", tax_number="t", now=NOW, days=5 * 365
    )
    assert x509.load_der_x509_certificate(certificate).issuer == authority_ca.certificate.subject

    verified = Verifier(authority_ca.certificate).verifies(
        certificate=certificate,
        machine_number="661000000001",
        tax_number="t",
        schema="taxcontrol.invoice.v1",
        content=b"{}",
        signature=sign(key, "taxcontrol.invoice.v1", b"{}"),
        now=NOW,
    )

    assert not verified


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
