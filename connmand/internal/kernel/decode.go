package kernel

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"net.connman/pkg/netcfg"
)

var errShort = errors.New("netlink message too short")

// header is a struct nlmsghdr.
type header struct {
	kind, flags uint16
	seq         uint32
}

// nextMessage splits the first message from b.
func nextMessage(b []byte) (h header, payload, rest []byte, err error) {
	if len(b) < unix.SizeofNlMsghdr {
		return header{}, nil, nil, errShort
	}
	size := int(binary.NativeEndian.Uint32(b))
	if size < unix.SizeofNlMsghdr || size > len(b) {
		return header{}, nil, nil, errShort
	}
	h = header{
		kind:  binary.NativeEndian.Uint16(b[4:]),
		flags: binary.NativeEndian.Uint16(b[6:]),
		seq:   binary.NativeEndian.Uint32(b[8:]),
	}
	return h, b[unix.SizeofNlMsghdr:size], b[min(align(size), len(b)):], nil
}

// attributes calls each for every attribute in b.
func attributes(b []byte, each func(kind uint16, value []byte)) error {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return errShort
		}
		kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		each(kind, b[unix.SizeofRtAttr:size])
		b = b[min(align(size), len(b)):]
	}
	return nil
}

func align(n int) int { return (n + 3) &^ 3 }

// decodeLink reads an RTM_NEWLINK or RTM_DELLINK. It knows nothing of DevType.
// ok is false for messages that are not about the link itself: those of a
// bridge about its ports, and those of wireless extensions. Strings equal to
// known's are shared with it.
func decodeLink(b []byte, known func(index int) Link) (l Link, ok bool, err error) {
	if len(b) < unix.SizeofIfInfomsg {
		return Link{}, false, errShort
	}
	if b[0] != unix.AF_UNSPEC {
		return Link{}, false, nil
	}
	flags := binary.NativeEndian.Uint32(b[8:])
	l = Link{
		Type:    binary.NativeEndian.Uint16(b[2:]),
		Index:   int(int32(binary.NativeEndian.Uint32(b[4:]))),
		Up:      flags&unix.IFF_UP != 0,
		Carrier: flags&unix.IFF_LOWER_UP != 0,
		Running: flags&unix.IFF_RUNNING != 0,
		Slave:   flags&unix.IFF_SLAVE != 0,
	}
	old := known(l.Index)
	partial := false
	err = attributes(b[unix.SizeofIfInfomsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.Name = share(text(v), old.Name)
		case unix.IFLA_ADDRESS:
			l.HardwareAddr = share(v, old.HardwareAddr)
		case unix.IFLA_PERM_ADDRESS:
			l.Permanent = share(v, old.Permanent)
		case unix.IFLA_MTU:
			l.MTU = int(number(v))
		case unix.IFLA_MIN_MTU:
			l.MinMTU = int(number(v))
		case unix.IFLA_MAX_MTU:
			l.MaxMTU = int(number(v))
		case unix.IFLA_MASTER:
			l.Master = int(number(v))
		case unix.IFLA_LINK:
			l.Parent = int(number(v))
		case unix.IFLA_LINKINFO:
			decodeLinkInfo(v, &l, old.Kind)
		case unix.IFLA_WIRELESS:
			partial = true
		}
	})
	return l, err == nil && !partial && l.Index > 0 && l.Name != "", err
}

func decodeLinkInfo(b []byte, l *Link, oldKind string) {
	var data []byte
	_ = attributes(b, func(kind uint16, v []byte) {
		switch kind {
		case unix.IFLA_INFO_KIND:
			l.Kind = share(text(v), oldKind)
		case unix.IFLA_INFO_DATA:
			data = v
		}
	})
	if l.Kind != "vlan" {
		return
	}
	_ = attributes(data, func(kind uint16, v []byte) {
		if kind == unix.IFLA_VLAN_ID && len(v) >= 2 {
			l.VLAN = binary.NativeEndian.Uint16(v)
		}
	})
}

// ifaProto is IFA_PROTO of linux/if_addr.h.
const ifaProto = 11

// decodeAddr reads an RTM_NEWADDR or RTM_DELADDR. ok is false for families
// other than IPv4 and IPv6.
func decodeAddr(b []byte) (a Addr, ok bool, err error) {
	if len(b) < unix.SizeofIfAddrmsg {
		return Addr{}, false, errShort
	}
	family, bits := b[0], int(b[1])
	if family != unix.AF_INET && family != unix.AF_INET6 {
		return Addr{}, false, nil
	}
	a.Index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	flags := uint32(b[2])
	var local, address netip.Addr
	err = attributes(b[unix.SizeofIfAddrmsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.IFA_LOCAL:
			local = ip(family, v)
		case unix.IFA_ADDRESS:
			address = ip(family, v)
		case unix.IFA_BROADCAST:
			a.Broadcast = ip(family, v)
		case unix.IFA_FLAGS:
			flags = number(v) // the header has only the lowest eight
		case ifaProto:
			if len(v) > 0 {
				a.Protocol = v[0]
			}
		}
	})
	if !local.IsValid() {
		local = address
	} else if address.IsValid() && address != local {
		a.Peer = address
	}
	a.Prefix = netip.PrefixFrom(local, bits)
	a.Temporary = flags&unix.IFA_F_PERMANENT == 0
	if family == unix.AF_INET6 {
		a.Tentative = flags&unix.IFA_F_TENTATIVE != 0
		a.Duplicate = flags&unix.IFA_F_DADFAILED != 0
		a.Deprecated = flags&unix.IFA_F_DEPRECATED != 0
		a.Temporaries = flags&unix.IFA_F_MANAGETEMPADDR != 0
	}
	return a, err == nil && a.Index > 0 && a.Prefix.IsValid(), err
}

// decodeRoute reads an RTM_NEWROUTE or RTM_DELROUTE. ok is false for routes
// that neither lead out of exactly one link nor refuse, that match on more than
// the destination, or that are of the local table or a copy.
func decodeRoute(b []byte) (r Route, ok bool, err error) {
	if len(b) < unix.SizeofRtMsg {
		return Route{}, false, errShort
	}
	family, bits := b[0], int(b[1])
	if family != unix.AF_INET && family != unix.AF_INET6 {
		return Route{}, false, nil
	}
	sources, tos, table, kind := b[2], b[3], uint32(b[4]), b[7]
	r.Protocol = b[5]
	flags := binary.NativeEndian.Uint32(b[8:])
	r.Unreachable = kind == unix.RTN_UNREACHABLE
	ok = (kind == unix.RTN_UNICAST || r.Unreachable) && sources == 0 && tos == 0 && flags&unix.RTM_F_CLONED == 0

	dst := netip.IPv4Unspecified()
	if family == unix.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	err = attributes(b[unix.SizeofRtMsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.RTA_DST:
			dst = ip(family, v)
		case unix.RTA_GATEWAY:
			r.Gateway = ip(family, v)
		case unix.RTA_PREFSRC:
			r.Src = ip(family, v)
		case unix.RTA_OIF:
			r.Index = int(number(v))
		case unix.RTA_PRIORITY:
			r.Metric = number(v)
		case unix.RTA_TABLE:
			table = number(v)
		case unix.RTA_VIA, unix.RTA_MULTIPATH:
			ok = false
		}
	})
	r.Dst = netip.PrefixFrom(dst, bits)
	if table != unix.RT_TABLE_MAIN {
		r.Table = int(table)
	}
	ok = ok && err == nil && r.Index > 0 && r.Dst.IsValid() && table != unix.RT_TABLE_LOCAL
	return r, ok, err
}

// watched reports whether anybody asks for routes of this owner. The kernel's
// own follow from the addresses, and a routing daemon may have very many.
func watched(protocol uint8) bool {
	switch protocol {
	case Protocol, ProtocolBoot, ProtocolStatic, ProtocolRA, ProtocolDHCP:
		return true
	}
	return false
}

func ip(family byte, b []byte) netip.Addr {
	switch {
	case family == unix.AF_INET && len(b) == 4:
		return netip.AddrFrom4([4]byte(b))
	case family == unix.AF_INET6 && len(b) == 16:
		return netip.AddrFrom16([16]byte(b))
	}
	return netip.Addr{}
}

func number(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// text cuts b at its terminating NUL.
func text(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// share returns b as a string, old itself when it says the same.
func share(b []byte, old string) string {
	if string(b) == old {
		return old
	}
	return string(b)
}

// SameKey reports whether a and b compete for one place in a routing table.
func SameKey(a, b netcfg.Route) bool {
	return a.Dst == b.Dst && a.Metric == b.Metric && a.Table == b.Table
}

// putHeader writes h for a message that fills b.
func putHeader(b []byte, h header) {
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], h.kind)
	binary.NativeEndian.PutUint16(b[6:], h.flags)
	binary.NativeEndian.PutUint32(b[8:], h.seq)
}
