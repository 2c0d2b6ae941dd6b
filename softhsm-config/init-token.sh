#!/bin/sh
# Usage: init-token.sh DIR LABEL
#
# Makes DIR/softhsm2.conf, DIR/tokens, DIR/pin and DIR/so-pin (mode 0400) where they are missing,
# and a token LABEL where there is none. Running it again changes nothing.
#
# softhsm2-util takes PINs as arguments, where every user of the machine can read them, or asks
# for them on a terminal. `script` (package bsdutils, on every Debian) is that terminal here, so
# no PIN is ever an argument or on the screen.
set -eu
umask 077

fail() {
    echo "init-token.sh: $1" >&2
    exit 1
}

[ $# -eq 2 ] || fail "usage: init-token.sh DIR LABEL"
label=$2
case $label in
"" | *[!0-9A-Za-z._-]*) fail "LABEL must be made of 0-9 A-Z a-z . _ -, not '$label'" ;;
esac
[ "${#label}" -le 32 ] || fail "LABEL has at most 32 characters"
command -v softhsm2-util >/dev/null 2>&1 || fail "softhsm2-util is missing; run install.sh first"
command -v script >/dev/null 2>&1 || fail "script is missing; install the package bsdutils"

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" || fail "cannot make $1"
dir=$(cd "$1" && pwd)
case $dir in
*[!0-9A-Za-z._/-]*) fail "DIR must be made of 0-9 A-Z a-z . _ - /, not '$dir'" ;;
esac
mkdir -p "$dir/tokens"

if [ ! -e "$dir/softhsm2.conf" ]; then
    sed "s|@TOKENDIR@|$dir/tokens|" "$here/softhsm2.conf.template" >"$dir/softhsm2.conf"
    echo "wrote $dir/softhsm2.conf"
fi
SOFTHSM2_CONF=$dir/softhsm2.conf
export SOFTHSM2_CONF

# 24 hexadecimal digits: 96 random bits, within the 255 characters SoftHSM takes.
random_pin() {
    [ -e "$1" ] && return
    od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$1.new"
    chmod 0400 "$1.new"
    mv "$1.new" "$1"
    echo "wrote $1"
}
has_token() {
    # The listing pads labels with blanks to 32 characters.
    slots=$(softhsm2-util --show-slots) || fail "softhsm2-util cannot list slots with $SOFTHSM2_CONF"
    printf '%s\n' "$slots" | sed -n 's/^ *Label: *//p' | sed 's/ *$//' | grep -Fqx -- "$label"
}
four_answers() {
    for file in so-pin so-pin pin pin; do
        cat "$dir/$file"
        echo
    done
}

if has_token; then
    [ -e "$dir/pin" ] || fail "token '$label' exists, but $dir/pin does not; nothing was changed"
    echo "token '$label' is there already"
    exit 0
fi
random_pin "$dir/so-pin"
random_pin "$dir/pin"
# The terminal may echo what is typed before the prompt: its output is dropped, and the slot list
# says whether it worked.
four_answers | script -qec "softhsm2-util --init-token --free --label $label" /dev/null >/dev/null 2>&1 ||
    fail "softhsm2-util could not initialise token '$label' in $dir/tokens"
has_token || fail "token '$label' is missing after its initialisation"
echo "initialised token '$label' in $dir/tokens"
