#!/bin/sh
# Makes the virtual environment and installs what the project needs. Quick when nothing changed.
#
# Stamps say what an environment was made of; one that was cut off has none and is made again.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $1" >&2
    exit 1
}

python=
for candidate in python3.11 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python 3.11 is needed (Debian 12: apt-get install python3 python3-venv)"
"$python" -c 'import ensurepip' 2>/dev/null ||
    fail "Python's venv module is needed (Debian 12: apt-get install python3-venv)"

softhsm-config/install.sh

pip="$PWD/.venv/bin/python -m pip install --quiet --disable-pip-version-check"

packages=$(sha256sum <requirements-dev.lock)
if [ "$(cat .venv/packages.stamp 2>/dev/null)" != "$packages" ]; then
    echo "setup: installing Python packages into .venv (a minute or two the first time)"
    "$python" -m venv --clear .venv
    $pip --require-hashes -r requirements-dev.lock
    echo "$packages" >.venv/packages.stamp
fi

# The rooms themselves, editable: again only when the list of rooms may have changed.
rooms=$(sha256sum <pyproject.toml)
if [ "$(cat .venv/rooms.stamp 2>/dev/null)" != "$rooms" ]; then
    # The lock has setuptools, so building downloads nothing that has no hash.
    $pip --no-deps --no-build-isolation --editable .
    echo "$rooms" >.venv/rooms.stamp
    echo "setup: done"
fi
