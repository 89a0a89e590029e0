package dnsproxy

import (
	"net/netip"
	"strconv"
	"strings"
)

// What is answered without asking anybody: the names of this machine, names
// that are reserved for special use (RFC 6761, 7686), and the reverse zones of
// addresses that mean something else in every network (RFC 6303, 7793).

const (
	hostTTL  = 0     // seconds; names of this machine may change
	localTTL = 10800 // RFC 6303, section 3
)

// localZones are the zones that we know all about, by lower-case name on the
// wire. The value says what kind of zone it is.
var localZones = makeZones()

type zone int

const (
	emptyZone    zone = iota // holds nothing
	loopbackZone             // localhost and all names below
)

func makeZones() map[string]zone {
	text := `0 127 10 168.192 254.169 2.0.192 100.51.198 113.0.203 255.255.255.255 `
	for second := 16; second < 32; second++ {
		text += strconv.Itoa(second) + ".172 "
	}
	for second := 64; second < 128; second++ {
		text += strconv.Itoa(second) + ".100 "
	}
	zones := map[string]zone{}
	add := func(name string, z zone) {
		w, ok := wireName(name)
		if !ok {
			panic("a zone has an impossible name: " + name)
		}
		zones[string(w)] = z
	}
	for name := range strings.FieldsSeq(text) {
		add(name+".in-addr.arpa", emptyZone)
	}
	nothing := strings.Repeat("0.", 31)
	for name := range strings.FieldsSeq("0." + nothing + " 1." + nothing + " d.f. 8.e.f. 9.e.f. a.e.f. b.e.f. 8.b.d.0.1.0.0.2.") {
		add(name+"ip6.arpa", emptyZone)
	}
	add("invalid", emptyZone)
	add("onion", emptyZone)
	add("localhost", loopbackZone)
	return zones
}

var (
	loopback4, _ = wireName("1.0.0.127.in-addr.arpa")
	loopback6, _ = wireName("1." + strings.Repeat("0.", 31) + "ip6.arpa")
	localhost, _ = wireName("localhost")
)

// serveLocal answers from our own knowledge, if it has to do with the name.
func (e *engine) serveLocal(n *need) bool {
	if n.q.class != classIN {
		return false
	}
	name := n.key[:n.q.nameEnd()-headerLen]
	for _, h := range e.plan.hosts {
		if string(h) == string(name) {
			e.sendLocal(n, name, loopbackData(n.q.qtype), hostTTL, true)
			return true
		}
	}
	// A service that claims a zone knows better, but for localhost.
	for rest := name; rest[0] != 0; rest = rest[1+int(rest[0]):] {
		z, ok := localZones[string(rest)]
		switch {
		case !ok:
			continue
		case z == loopbackZone:
			e.sendLocal(n, rest, loopbackData(n.q.qtype), localTTL, true)
		case e.plan.claims(name):
			return false
		case n.q.qtype == typePTR && (string(name) == string(loopback4) || string(name) == string(loopback6)):
			e.sendLocal(n, rest, localhost, localTTL, true)
		default:
			isLoopback := string(name) == string(loopback4) || string(name) == string(loopback6)
			e.sendLocal(n, rest, nil, localTTL, isLoopback || len(rest) == len(name))
		}
		return true
	}
	return false
}

// claims reports whether a service has the name in one of its domains. The root
// is no claim.
func (p *plan) claims(name []byte) bool {
	for ; name[0] != 0; name = name[1+int(name[0]):] {
		if _, ok := p.domains[string(name)]; ok {
			return true
		}
	}
	return false
}

// loopbackData returns the data of a record of qtype for this machine, nil if
// it has none.
func loopbackData(qtype uint16) []byte {
	switch qtype {
	case typeA:
		return []byte{127, 0, 0, 1}
	case typeAAAA:
		ip := netip.IPv6Loopback().As16()
		return ip[:]
	}
	return nil
}

// sendLocal answers with data; without, that there is none of this type, or
// that the name does not exist, in the zone whose SOA record says for how long.
func (e *engine) sendLocal(n *need, zone, data []byte, ttl uint32, exists bool) {
	rcode := byte(0)
	if !exists {
		rcode = rcodeNXDomain
	}
	dst := appendEmpty(e.replies.room(e), n.msg, n.q, rcode)
	dst[2] |= flagAA
	name := uint16(0xc000 | n.q.nameEnd() - len(zone)) // the zone ends the name
	if data != nil {
		be.PutUint16(dst[6:], 1)
		dst = append(dst, 0xc0, headerLen)
		dst = be.AppendUint16(dst, n.q.qtype)
	} else {
		be.PutUint16(dst[8:], 1)
		dst = be.AppendUint16(dst, name)
		dst = be.AppendUint16(dst, typeSOA)
		data = soaData(name, ttl)
	}
	dst = be.AppendUint16(dst, classIN)
	dst = be.AppendUint32(dst, ttl)
	dst = be.AppendUint16(dst, uint16(len(data)))
	dst = append(dst, data...)
	if n.q.edns {
		dst = appendOPT(dst, n.q)
	}
	e.send(&n.client, dst)
}

// soaData returns the data that RFC 6303, section 3, gives for empty zones.
func soaData(zone uint16, ttl uint32) []byte {
	b := be.AppendUint16(nil, zone)
	b = append(b, "\x06nobody\x07invalid\x00"...)
	for _, v := range []uint32{1, 3600, 1200, 604800, ttl} {
		b = be.AppendUint32(b, v)
	}
	return b
}
