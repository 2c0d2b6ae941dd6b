#!/bin/sh
# Installs what only the tests need, unless it is there: promtool, Chromium, and a Chinese font for it.
#
# Debian's package `prometheus` brings promtool, and a server that starts with the machine. Only promtool is
# taken out of it, so nothing is left running.
set -eu

TOOL=/usr/local/bin/promtool

fail() {
    echo "install-test-tools.sh: $1" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

has_chinese_font() {
    # Chinese text in a screenshot is boxes without one.
    find /usr/share/fonts -name '*wqy*' -o -iname '*cjk*' 2>/dev/null | grep -q .
}

wanted=
has promtool || wanted="$wanted promtool"
has chromium || wanted="$wanted chromium"
has_chinese_font || wanted="$wanted fonts-wqy-microhei"
[ -n "$wanted" ] || exit 0

echo "test tools: installing$wanted"
has apt-get || fail "missing:$wanted; there is no apt-get, so install them by hand"
[ "$(id -u)" -eq 0 ] || fail "missing:$wanted; run scripts/install-test-tools.sh as root once"

export DEBIAN_FRONTEND=noninteractive
apt-get update -q || fail "apt-get update failed; are the package sources reachable?"

for package in $wanted; do
    if [ "$package" != promtool ]; then
        apt-get install -q -y --no-install-recommends "$package" ||
            fail "apt-get could not install $package"
        continue
    fi
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    (cd "$folder" && apt-get download -q -o APT::Sandbox::User=root prometheus) ||
        fail "apt-get could not download the package prometheus"
    dpkg-deb --extract "$folder"/prometheus_*.deb "$folder/package" ||
        fail "the package prometheus cannot be unpacked"
    install -m 755 "$folder/package/usr/bin/promtool" "$TOOL" ||
        fail "$TOOL cannot be written"
done

has promtool || fail "promtool is installed, yet not in PATH"
has chromium || fail "chromium is installed, yet not in PATH"
