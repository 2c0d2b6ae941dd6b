"""``python -m taxctl``: the same as ``taxctl``."""

from taxctl.main import run

run()
