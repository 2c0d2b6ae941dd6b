#!/bin/sh
# Installs SoftHSM (Debian package softhsm2) unless softhsm2-util is there already.
set -eu

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

if command -v softhsm2-util >/dev/null 2>&1; then
    echo "softhsm2 is installed: $(softhsm2-util --version)"
    exit 0
fi

command -v apt-get >/dev/null 2>&1 ||
    fail "softhsm2-util is missing and there is no apt-get; install SoftHSM 2.6 by hand"
[ "$(id -u)" -eq 0 ] ||
    fail "softhsm2-util is missing; run as root, or: sudo apt-get install softhsm2"

export DEBIAN_FRONTEND=noninteractive
apt-get update -q || fail "apt-get update failed; are the package sources reachable?"
apt-get install -q -y --no-install-recommends softhsm2 ||
    fail "apt-get could not install softhsm2"
command -v softhsm2-util >/dev/null 2>&1 || fail "softhsm2 is installed, yet softhsm2-util is not in PATH"
echo "softhsm2 installed: $(softhsm2-util --version)"
