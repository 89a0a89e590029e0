#!/bin/sh
# Lets systemd judge the units installed below PREFIX. The units that ours
# refer to are the machine's own; what systemd has to say about those is not
# our business.
set -eu

prefix=${1:?usage: verify-units.sh PREFIX}
units=$(mktemp -d)
trap 'rm -rf "$units"' EXIT
for unit in "$prefix"/lib/systemd/system/*.service; do
	# The programs are below PREFIX, too.
	sed "s|^ExecStart=/usr|ExecStart=$(realpath "$prefix")|" "$unit" >"$units/$(basename "$unit")"
done
complaints=$(systemd-analyze verify --man=no "$units"/*.service 2>&1 | grep connman || true)
if [ -n "$complaints" ]; then
	echo "$complaints" >&2
	exit 1
fi
