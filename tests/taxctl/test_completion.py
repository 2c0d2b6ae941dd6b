"""Completion in bash, zsh and fish: commands, options and choices, and no gateway is asked."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.layout import ROOT

TAXCTL = str(Path(sys.executable).parent / "taxctl")
# Whoever called it would not be answered.
NOBODY = {"TAXCTL_TARGET": "127.0.0.1:1", "LC_ALL": "C.UTF-8"}


def run(*arguments: str, **environment: str) -> str:
    ran = subprocess.run(
        [TAXCTL, *arguments],
        cwd=ROOT,
        env={**os.environ, **NOBODY, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ran.stdout


def completed(shell: str, typed: str, **environment: str) -> str:
    """What a shell is told when this much was typed."""
    words = {
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split(" ")) - 1),
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TAXCTL_COMPLETE": f"complete_{shell}",
    }
    return run(**{**words, **environment})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("taxctl al", ["alerts"]),
        ("taxctl alerts ", ["list", "watch", "ack", "thresholds"]),
        ("taxctl stock threshold s", ["show", "set"]),
        ("taxctl alerts list --kind stock", ["stock-low", "stock-exhausted"]),
        ("taxctl list X --state partly", ["partly-reversed"]),
        ("taxctl top --on", ["--once"]),
        ("taxctl --lang ", ["zh", "en"]),
    ],
)
def test_what_may_follow_is_offered(shell: str, typed: str, offered: list[str]) -> None:
    told = completed(shell, typed)

    assert all(word in told for word in offered)
    assert "verify" not in told


def test_what_a_command_does_is_told_in_the_language_of_the_shell() -> None:
    told = completed("fish", "taxctl upload ", LC_ALL="zh_CN.UTF-8")

    assert "status\t显示上传情况和离线限制的余量" in told


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_asks_taxctl(shell: str) -> None:
    assert f"_TAXCTL_COMPLETE=complete_{shell}" in run(_TAXCTL_COMPLETE=f"source_{shell}")


def test_bash_completes_with_the_script_it_was_shown() -> None:
    script = run("--show-completion", SHELL="/bin/bash", _TAXCTL_COMPLETE="source_bash")
    asked = (
        f"{script}\nCOMP_WORDS=(taxctl per); COMP_CWORD=1; _taxctl_completion taxctl;"
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{Path(TAXCTL).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "--norc", "-c", asked],
        env={**os.environ, **NOBODY, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert ran.stdout.split() == ["period"]


def test_completion_is_installed_in_the_shell_one_is_in(tmp_path: Path) -> None:
    ran = subprocess.run(
        ["bash", "--norc", "-c", f"{shlex.quote(TAXCTL)} --install-completion; true"],
        env={**os.environ, **NOBODY, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "bash completion installed" in ran.stdout
    assert "taxctl" in (tmp_path / ".bashrc").read_text()
