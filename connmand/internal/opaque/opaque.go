package opaque

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// Address makes an address in a prefix of 64 bits (RFC 7217, 5). network names
// the network and the link; each attempt gives another address. Identifiers
// that are reserved are passed over.
func (k Key) Address(p netip.Prefix, network string, attempt int) netip.Prefix {
	mac := hmac.New(sha256.New, []byte(k.secret.Reveal()))
	a := p.Addr().As16()
	for again := byte(0); ; again++ {
		mac.Reset()
		mac.Write(a[:8])
		mac.Write([]byte{byte(attempt), again})
		mac.Write([]byte(network))
		id := binary.BigEndian.Uint64(mac.Sum(nil))
		if !reserved(id) {
			binary.BigEndian.PutUint64(a[8:], id)
			return netip.PrefixFrom(netip.AddrFrom16(a), 64)
		}
	}
}

// reserved reports whether an interface identifier means something
// (RFC 5453 with IANA's registry): routers, proxies and other groups.
func reserved(id uint64) bool {
	return id == 0 ||
		id >= 0x02005EFF_FE000000 && id <= 0x02005EFF_FEFFFFFF ||
		id >= 0xFDFFFFFF_FFFFFF80 && id <= 0xFDFFFFFF_FFFFFFFF
}
