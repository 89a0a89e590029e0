package dhcp6

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"net.connman/connmand/internal/core"
)

// give is what a server says of an address.
func give(a netip.Addr, preferred, valid uint32) given {
	return given{addressBinding(a), preferred, valid}
}

// delegate is what a server says of a prefix.
func delegate(p netip.Prefix, preferred, valid uint32) given {
	return given{binding{p, true}, preferred, valid}
}

// appendReply makes a server's message; options may be appended to it.
func appendReply(k kind, xid uint32, client, server core.DUID, id iaid, all ...given) []byte {
	b := binary.BigEndian.AppendUint32(nil, xid)
	b[0] = byte(k)
	b = appendOption(b, optClientID, []byte(client)...)
	b = appendOption(b, optServerID, []byte(server)...)
	for _, delegation := range []bool{false, true} {
		list := slices.DeleteFunc(slices.Clone(all), func(g given) bool { return g.delegated != delegation })
		if len(list) > 0 {
			b = appendOption(b, sort(delegation), associationBytes(id, 0, 0, list...)...)
		}
	}
	return b
}

// sort is the option of an association.
func sort(delegation bool) code {
	if delegation {
		return optIAPD
	}
	return optIANA
}

func associationBytes(id iaid, t1, t2 uint32, all ...given) []byte {
	v := binary.BigEndian.AppendUint32(id[:], t1)
	v = binary.BigEndian.AppendUint32(v, t2)
	for _, g := range all {
		if g.delegated {
			v = appendOption(v, optIAPrefix, prefixBytes(g)...)
		} else {
			v = appendOption(v, optIAAddress, addressBytes(g)...)
		}
	}
	return v
}

func addressBytes(g given) []byte {
	v := binary.BigEndian.AppendUint32(g.prefix.Addr().AsSlice(), g.preferred)
	return binary.BigEndian.AppendUint32(v, g.valid)
}

func prefixBytes(g given) []byte {
	v := binary.BigEndian.AppendUint32(nil, g.preferred)
	v = append(binary.BigEndian.AppendUint32(v, g.valid), byte(g.prefix.Bits()))
	return append(v, g.prefix.Addr().AsSlice()...)
}

func statusBytes(s status) []byte { return binary.BigEndian.AppendUint16(nil, uint16(s)) }
