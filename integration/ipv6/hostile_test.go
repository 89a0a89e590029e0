//go:build netns

package ipv6

import (
	"encoding/binary"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

// evil marks what must not get from a packet to anywhere.
const evil = "touch"

// searchList is a DNS search list option (RFC 8106, 5.2) of one name with a
// single label.
func searchList(label string) []byte {
	o := append([]byte{31, 0, 0, 0, 0, 0, 0xff, 0xff, byte(len(label))}, label...)
	for o = append(o, 0); len(o)%8 != 0; {
		o = append(o, 0)
	}
	o[1] = byte(len(o) / 8)
	return o
}

// bent are advertisements that a machine must not follow, each of another
// router with another prefix, and each wrong in one way.
var bent = map[string]func(p []byte) []byte{
	"passed a router (RFC 4861, 6.1.2)": func(p []byte) []byte { p[hopLimitAt] = 254; return p },
	"from a global address": func(p []byte) []byte {
		copy(p[sourceAt:], netip.MustParseAddr(router1).AsSlice())
		return seal(p)
	},
	"from nobody": func(p []byte) []byte { clear(p[sourceAt : sourceAt+16]); return seal(p) },
	"from everybody": func(p []byte) []byte {
		copy(p[sourceAt:], netip.MustParseAddr("ff02::1").AsSlice())
		return seal(p)
	},
	"another code":       func(p []byte) []byte { p[bodyAt+1] = 1; return seal(p) },
	"wrong checksum":     func(p []byte) []byte { p[bodyAt+2] ^= 0xff; return p },
	"option of length 0": func(p []byte) []byte { return seal(append(p, 1, 0, 0, 0, 0, 0, 0, 0)) },
	"option that ends early": func(p []byte) []byte {
		return seal(append(p, 25, 200, 0, 0, 0, 0, 0xff, 0xff))
	},
	"half an option": func(p []byte) []byte { return seal(append(p, 5)) },
	"longer than it is": func(p []byte) []byte {
		binary.BigEndian.PutUint16(p[4:], 0xffff)
		return p
	},
	"no payload": func(p []byte) []byte { binary.BigEndian.PutUint16(p[4:], 0); return p },
	"a fragment (RFC 6980)": func(p []byte) []byte {
		p[6] = 44
		return slices.Insert(p, bodyAt, 58, 0, 0, 1, 0, 0, 0, 1)
	},
}

// absurd are advertisements of which machines leave out what makes no sense.
// The option begins at optionsAt.
var absurd = map[string]func(p []byte) []byte{
	"a prefix of 200 bits":            func(p []byte) []byte { p[optionsAt+2] = 200; return seal(p) },
	"preferred for longer than valid": func(p []byte) []byte { clear(p[optionsAt+4 : optionsAt+8]); return seal(p) },
	"the link-local prefix": func(p []byte) []byte {
		copy(p[optionsAt+16:], []byte{0xfe, 0x80, 15: 0})
		clear(p[optionsAt+18 : optionsAt+24])
		return seal(p)
	},
	"a multicast prefix": func(p []byte) []byte { p[optionsAt+16] = 0xff; return seal(p) },
	"no prefix at all":   func(p []byte) []byte { clear(p[optionsAt+16 : optionsAt+32]); return seal(p) },
	"commands for a shell": func(p []byte) []byte {
		p[optionsAt+2] = 0
		return seal(append(p, searchList("a;"+evil+" x")...))
	},
	"a line feed": func(p []byte) []byte {
		p[optionsAt+2] = 0
		return seal(append(p, searchList("a\n"+evil)...))
	},
}

// Packets that neighbours should not send leave no trace, and the next good one
// is heard. (RFC 4861, 6.1.2; RFC 4862, 5.5.3 a-c)
func TestBentAdvertisements(t *testing.T) {
	w := newWorld(t)
	w.dnsmasq(slaacOnly)
	w.start()
	w.waitState("ready")
	w.waitAddress(slaac)
	wire := w.sender()
	defer wire.close()
	var forgers []netip.Addr
	for _, cases := range []map[string]func([]byte) []byte{bent, absurd} {
		for _, bend := range cases {
			n := uint32(len(forgers) + 1)
			forgers = append(forgers, forger(n))
			wire.send(bend(advertisement(forger(n), alive, strange(n))))
		}
	}
	good := uint32(len(forgers) + 1)
	wire.send(advertisement(forger(good), alive, strange(good)))
	made := strange(good).Addr().As16()
	copy(made[8:], netip.MustParseAddr(slaac).AsSlice()[8:])
	w.waitAddress(netip.AddrFrom16(made).String())

	if list := w.addresses(); len(list) != 2 {
		t.Errorf("addresses %v", list)
	}
	for _, gateway := range w.gateways() {
		if i := slices.Index(forgers, gateway); i >= 0 && i < len(bent) {
			t.Errorf("%v became a router", gateway)
		}
	}
	p, err := w.properties()
	must(t, err)
	if domains, _ := p["Domains"].Value().([]string); strings.Contains(strings.Join(domains, ""), evil) {
		t.Errorf("domains %q", domains)
	}
	for _, path := range []string{"/etc/resolv.conf", "/run/connman/resolv.conf"} {
		if text, err := os.ReadFile(w.machine.Path(path)); err == nil && strings.Contains(string(text), evil) {
			t.Errorf("%s: %s", path, text)
		}
	}
	w.waitState("ready")
}
