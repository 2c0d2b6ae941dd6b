"""Without ``[tracing]`` nothing of it is imported; asked for and not installed, the start ends by name."""

import subprocess
import sys
from pathlib import Path

CONFIG = """
[ledger]
path = "ledger.db"
[hsm]
token_label = "t"
pin_file = "pin"
[authority]
target = "127.0.0.1:1"
"""
TRACED = CONFIG + '[tracing]\nendpoint = "http://127.0.0.1:4317"\n'
ASSEMBLE = """
import asyncio, sys
from pathlib import Path
from gateway import __main__, config, server
async def main():
    parts = server.assemble(config.read(Path(sys.argv[1])))
    if parts.tracer is not None:
        await parts.tracer.close()
asyncio.run(main())
print(sorted(name for name in sys.modules if name.partition(".")[0] == "opentelemetry"))
"""
HIDDEN = """
import sys
class Hidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
from gateway.__main__ import main
sys.exit(main())
"""


def ran(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def written(folder: Path, text: str) -> str:
    path = folder / "gateway.toml"
    path.write_text(text, "utf-8")
    return str(path)


def test_without_its_section_nothing_of_it_is_imported(tmp_path: Path) -> None:
    done = ran(ASSEMBLE, written(tmp_path, CONFIG))

    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_with_its_section_it_is(tmp_path: Path) -> None:
    done = ran(ASSEMBLE, written(tmp_path, TRACED))

    assert done.returncode == 0, done.stderr
    assert "'opentelemetry.sdk.trace'" in done.stdout


def test_asked_for_and_not_installed_it_ends_the_start_by_name(tmp_path: Path) -> None:
    done = ran(HIDDEN, "--config", written(tmp_path, TRACED))

    assert done.returncode == 1
    assert done.stderr.startswith(
        "gateway: [tracing] needs the extra otel (pip install 'taxcontrol[otel]')"
    )
    assert "Traceback" not in done.stderr


def test_not_installed_and_not_asked_for_it_is_not_missed(tmp_path: Path) -> None:
    done = ran(HIDDEN, "--config", written(tmp_path, CONFIG), "--check")

    assert done.returncode == 0, done.stderr
    assert "tracing = (none)" in done.stdout
