"""What others wrote is what it was when it was taken, and nothing is loaded from elsewhere."""

import re
from hashlib import sha256
from pathlib import Path

STATIC = Path(__file__).parents[2] / "console" / "static"
VENDOR = STATIC / "vendor"
TEMPLATES = STATIC.parent / "templates"


def test_every_vendored_file_is_named_with_its_sum() -> None:
    lines = (VENDOR / "VERSIONS").read_text().splitlines()
    listed = dict(line.split()[2:] for line in lines if not line.startswith("#"))
    found = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "VERSIONS"
    }

    assert listed == found


def test_every_vendored_package_has_its_licence() -> None:
    lines = (VENDOR / "VERSIONS").read_text().splitlines()
    named = [line.split() for line in lines if not line.startswith("#")]
    packages = {name for name, *_ in named}

    assert {name for name, _, file, _ in named if file.endswith(".LICENSE")} == packages


def test_no_template_has_inline_script_or_style_or_another_origin() -> None:
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text("utf-8")
        assert re.search(r"\sstyle=|<style|\son[a-z]+=|https?://", text) is None, path
        assert re.search(r"<script(?! src=\"/static/)", text) is None, path
        assert "|safe" not in text, path
