package dhcp6

import (
	"encoding/binary"

	"net.connman/connmand/internal/core"
)

// appendReply makes a server's message; options may be appended to it.
func appendReply(k kind, xid uint32, client, server core.DUID, id iaid, addresses ...given) []byte {
	b := binary.BigEndian.AppendUint32(nil, xid)
	b[0] = byte(k)
	b = appendOption(b, optClientID, []byte(client)...)
	b = appendOption(b, optServerID, []byte(server)...)
	if len(addresses) > 0 {
		b = appendOption(b, optIANA, associationBytes(id, 0, 0, addresses...)...)
	}
	return b
}

func associationBytes(id iaid, t1, t2 uint32, addresses ...given) []byte {
	v := binary.BigEndian.AppendUint32(id[:], t1)
	v = binary.BigEndian.AppendUint32(v, t2)
	for _, g := range addresses {
		v = appendOption(v, optIAAddress, addressBytes(g)...)
	}
	return v
}

func addressBytes(g given) []byte {
	v := binary.BigEndian.AppendUint32(g.address.AsSlice(), g.preferred)
	return binary.BigEndian.AppendUint32(v, g.valid)
}

func statusBytes(s status) []byte { return binary.BigEndian.AppendUint16(nil, uint16(s)) }
