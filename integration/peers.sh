#!/bin/sh
# Brings the programs that connmand is tested and measured against. Daemons
# are unpacked below a directory and never installed, so that none of them
# starts on this machine; tools and libraries are installed.
#
#   peers.sh DIR    fill DIR; what is there already is left alone
set -eu

dir=${1:?usage: peers.sh DIR}

# Unpacked: package, and a file that says it is there.
unpack='
connman:usr/sbin/connmand
connman-vpn:usr/sbin/connman-vpnd
network-manager:usr/sbin/NetworkManager
isc-dhcp-server:usr/sbin/dhcpd
radvd:usr/sbin/radvd
'
# Installed: package, and a program or library that says it is there.
# systemd-networkd and systemd-analyze are parts of systemd.
install='
dbus-daemon:dbus-daemon
dnsmasq-base:dnsmasq
iproute2:ip
systemd:systemd-analyze
tcpdump:tcpdump
libaudit1:lib
libcurl3-gnutls:lib
libdbus-1-3:lib
libglib2.0-0:lib
libgnutls30:lib
libndp0:lib
libpsl5:lib
libreadline8:lib
libselinux1:lib
libsystemd0:lib
libudev1:lib
libxtables12:lib
'

missing=
for line in $install; do
	package=${line%%:*} proof=${line#*:}
	if [ "$proof" = lib ]; then
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
	else
		PATH=$PATH:/usr/sbin:/sbin command -v "$proof" >/dev/null || missing="$missing $package"
	fi
done

absent=
for line in $unpack; do
	package=${line%%:*} proof=${line#*:}
	[ -e "$dir/$package/$proof" ] || absent="$absent $package"
done

if [ -z "$missing$absent" ]; then
	exit 0
fi
if ! command -v apt-get >/dev/null; then
	echo "peers: this is no Debian; missing:$missing$absent" >&2
	exit 1
fi
if [ -n "$missing" ] && [ "$(id -u)" != 0 ]; then
	echo "peers: not root; install these by hand:" >&2
	echo "  apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

if [ "$(id -u)" = 0 ]; then
	apt-get update -qq
fi
if [ -n "$missing" ]; then
	# shellcheck disable=SC2086 # a list of package names
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
fi
mkdir -p "$dir/download"
for package in $absent; do
	echo "peers: $package"
	(cd "$dir/download" && rm -f "${package}"_*.deb && apt-get download -qq -o APT::Sandbox::User=root "$package")
	rm -rf "${dir:?}/$package"
	dpkg -x "$dir"/download/"${package}"_*.deb "$dir/$package"
done
rm -rf "$dir/download"
