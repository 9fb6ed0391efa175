#!/bin/sh
# Installs the Debian packages of a list beside it (apt.txt) that are missing; where it may not, it names the command.
set -eu
list=$(dirname "$0")/${1:-apt.txt}
command -v dpkg-query >/dev/null 2>&1 || { echo "not a Debian system: install the counterparts of $list yourself where the tests need them" >&2; exit 0; }
missing=
for package in $(cat "$list"); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "Debian packages are missing:$missing. Run: sudo apt-get update && sudo apt-get install --no-install-recommends$missing" >&2
    exit 2
fi
echo "installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends $missing >/dev/null
