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
openvpn:usr/sbin/openvpn
network-manager:usr/sbin/NetworkManager
isc-dhcp-server:usr/sbin/dhcpd
kea-common:usr/sbin/kea-lfc
kea-dhcp6-server:usr/sbin/kea-dhcp6
radvd:usr/sbin/radvd
wpasupplicant:sbin/wpa_supplicant
hostapd:usr/sbin/hostapd
iw:sbin/iw
busybox-static:bin/busybox
linux-image-amd64:kernel
wireless-regdb:lib/firmware/regulatory.db
unbound:usr/sbin/unbound
ocserv:usr/sbin/ocserv
libstrongswan:usr/lib/ipsec/libstrongswan.so
libcharon-extauth-plugins:usr/lib/ipsec/plugins/libstrongswan-xauth-generic.so
libcharon-extra-plugins:usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so
strongswan-charon:usr/lib/ipsec/charon
strongswan-libcharon:usr/lib/ipsec/libcharon.so
strongswan-swanctl:usr/sbin/swanctl
xl2tpd:usr/sbin/xl2tpd
pptpd:usr/sbin/pptpd
systemd-resolved:lib/systemd/systemd-resolved
'
# Installed: package, and a program or library that says it is there.
# systemd-networkd and systemd-analyze are parts of systemd.
install='
bind9-dnsutils:dig
dbus-daemon:dbus-daemon
dnsmasq-base:dnsmasq
dnsperf:dnsperf
iproute2:ip
openssl:openssl
qemu-system-x86:qemu-system-x86_64
iputils-ping:ping
musl-tools:musl-gcc
openconnect:openconnect
ppp:pppd
pptp-linux:pptp
vpnc:vpnc
systemd:systemd-analyze
tzdata:lib
tcpdump:tcpdump
fish:fish
zsh:zsh
libaudit1:lib
libcurl3-gnutls:lib
libdbus-1-3:lib
libev4:lib
libevent-2.1-7:lib
libglib2.0-0:lib
libgmp10:lib
libgnutls30:lib
libhttp-parser2.9:lib
liblog4cplus-2.0.5:lib
liblzo2-2:lib
libmariadb3:lib
libndp0:lib
libnghttp2-14:lib
liboath0:lib
libprotobuf-c1:lib
libnl-3-200:lib
libnl-genl-3-200:lib
libnl-route-3-200:lib
libpcap0.8:lib
libpcsclite1:lib
libpkcs11-helper1:lib
libpq5:lib
libpsl5:lib
libpython3.11:lib
libradcli4:lib
libreadline8:lib
libseccomp2:lib
libselinux1:lib
libssl3:lib
libsystemd0:lib
libtalloc2:lib
libudev1:lib
libwrap0:lib
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
	DEBIAN_FRONTEND=noninteractive apt-get install -o DPkg::Lock::Timeout=300 -qq -y --no-install-recommends $missing >/dev/null
fi

# unpack PACKAGE NAME: unpacks PACKAGE below a directory called NAME.
unpack() {
	(cd "$dir/download" && rm -f "$1"_*.deb && apt-get download -qq -o APT::Sandbox::User=root "$1")
	rm -rf "${dir:?}/$2"
	dpkg -x "$dir"/download/"$1"_*.deb "$dir/$2"
}

# kernel NAME: unpacks the kernel that the package NAME stands for, for virtual
# machines. The link "kernel" leads to its image, and its modules are indexed.
kernel() {
	image=$(apt-cache depends "$1" | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p')
	unpack "$image" "$1"
	version=${image#linux-image-}
	find "$dir/$1/lib/modules" -name '*.ko.xz' -exec unxz {} +
	"$dir/busybox-static/bin/busybox" depmod -b "$dir/$1" "$version"
	ln -s "boot/vmlinuz-$version" "$dir/$1/kernel"
}

# rules NAME: unpacks the rules for radios. The kernel believes those that were
# signed for it, which the package calls otherwise until it is installed.
rules() {
	unpack "$1" "$1"
	for file in regulatory.db regulatory.db.p7s; do
		ln -s "$file-debian" "$dir/$1/lib/firmware/$file"
	done
}

mkdir -p "$dir/download"
for package in $absent; do
	echo "peers: $package"
	case $package in
	linux-image-*) kernel "$package" ;;
	wireless-regdb) rules "$package" ;;
	*) unpack "$package" "$package" ;;
	esac
done
rm -rf "$dir/download"
