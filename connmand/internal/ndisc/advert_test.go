package ndisc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"net.connman/connmand/internal/core"
)

var (
	router1 = netip.MustParseAddr("fe80::1")
	router2 = netip.MustParseAddr("fe80::2")
)

// packet wraps the body of an ICMPv6 message in an IPv6 header and gives it its
// checksum.
func packet(source netip.Addr, hopLimit byte, body []byte) []byte {
	body = bytes.Clone(body)
	p := make([]byte, ip6Header)
	p[0] = 6 << 4
	binary.BigEndian.PutUint16(p[4:], uint16(len(body)))
	p[6], p[7] = icmpProto, hopLimit
	copy(p[8:], source.AsSlice())
	copy(p[24:], []byte{0xff, 0x02, 15: 1})
	body[2], body[3] = 0, 0
	binary.BigEndian.PutUint16(body[2:], checksum(p[8:ip6Header], body))
	return append(p, body...)
}

// header is an advertisement's: hop limit 64, router lifetime 1800 s.
func header(flags byte) []byte {
	return []byte{typeAdvert, 0, 0, 0, 64, flags, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}
}

// prefixInfo is a prefix option with both flags.
func prefixInfo(prefix string, valid, preferred uint32) []byte {
	p := netip.MustParsePrefix(prefix)
	o := []byte{optPrefix, 4, byte(p.Bits()), 0xc0}
	o = binary.BigEndian.AppendUint32(o, valid)
	o = binary.BigEndian.AppendUint32(o, preferred)
	o = append(o, 0, 0, 0, 0)
	return append(o, p.Addr().AsSlice()...)
}

func advertisement(flags byte, options ...[]byte) []byte {
	return packet(router1, 255, append(header(flags), bytes.Join(options, nil)...))
}

func TestParseAdvert(t *testing.T) {
	name := []byte("\x04home\x04test\x00\x03lab\x04test\x00")
	domains := append([]byte{optDomains, 4, 0, 0, 0, 0, 0, 60}, name...)
	domains = append(domains, make([]byte, 32-len(domains))...)
	portal := append([]byte{optPortal, 4}, "https://portal.test/api\x00\x00\x00\x00\x00\x00\x00"...)
	got, err := parseAdvert(advertisement(0x80|0x40|0x08,
		prefixInfo("2001:db8:1::/64", 7200, 3600),
		prefixInfo("fd00:1::/64", 0xffffffff, 0xffffffff),
		[]byte{optMTU, 1, 0, 0, 0, 0, 0x05, 0x78},
		[]byte{optRoute, 2, 48, 0x18, 0, 0, 0, 60, 0x20, 0x01, 0x0d, 0xb8, 0, 0xaa, 0, 0},
		append([]byte{optServers, 3, 0, 0, 0, 0, 0, 60}, netip.MustParseAddr("fe80::53").AsSlice()...),
		domains, portal,
		[]byte{optSourceAddr, 1, 2, 0, 0, 0, 0, 1},
		[]byte{200, 1, 0, 0, 0, 0, 0, 0},
	), false)
	if err != nil {
		t.Fatal(err)
	}
	want := advert{
		router: router1, hopLimit: 64, managed: true, other: true, preference: 1, lifetime: 1800 * time.Second,
		prefixes: []prefixOption{
			{netip.MustParsePrefix("2001:db8:1::/64"), true, true, time.Hour, 2 * time.Hour},
			{netip.MustParsePrefix("fd00:1::/64"), true, true, core.Forever, core.Forever},
		},
		routes:  []routeOption{{netip.MustParsePrefix("2001:db8:aa::/48"), -1, time.Minute}},
		servers: []serverOption{{netip.MustParseAddr("fe80::53"), time.Minute}},
		domains: []domainOption{{"home.test", time.Minute}, {"lab.test", time.Minute}},
		mtu:     1400, portal: "https://portal.test/api",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
}

func TestRefusedPackets(t *testing.T) {
	good := advertisement(0)
	change := func(edit func(p []byte)) []byte {
		p := bytes.Clone(good)
		edit(p)
		return p
	}
	tests := []struct {
		name   string
		packet []byte
		want   error
	}{
		{"empty", nil, errNoAdvert},
		{"IPv4", change(func(p []byte) { p[0] = 0x45 }), errNoAdvert},
		{"payload length 0", change(func(p []byte) { p[4], p[5] = 0, 0 }), errShort},
		{"payload length too long", change(func(p []byte) { p[4], p[5] = 0xff, 0xff }), errShort},
		{"UDP", change(func(p []byte) { p[6] = 17 }), errNoAdvert},
		{"solicitation", change(func(p []byte) { p[40] = typeSolicit }), errNoAdvert},
		{"code 1", change(func(p []byte) { p[41] = 1 }), errNoAdvert},
		{"hop limit 254", packet(router1, 254, header(0)), errHopLimit},
		{"hop limit 64", packet(router1, 64, header(0)), errHopLimit},
		{"global source", packet(netip.MustParseAddr("2001:db8::1"), 255, header(0)), errSource},
		{"no source", packet(netip.IPv6Unspecified(), 255, header(0)), errSource},
		{"source with a subnet", packet(netip.MustParseAddr("fe80:0:0:1::1"), 255, header(0)), errSource},
		{"wrong checksum", change(func(p []byte) { p[42]++ }), errChecksum},
		{"option of length 0", advertisement(0, []byte{optMTU, 0, 0, 0, 0, 0, 0x05, 0x78}), errOption},
		{"unknown option of length 0", advertisement(0, []byte{99, 0}), errOption},
		{"half an option", advertisement(0, []byte{optMTU, 1, 0, 0}), errShort},
		{"one byte of an option", advertisement(0, []byte{optMTU}), errShort},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := parseAdvert(test.packet, false); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// What makes no sense is left out and the rest counts.
func TestIgnoredOptions(t *testing.T) {
	server := func(a string) []byte {
		return append([]byte{optServers, 3, 0, 0, 0, 0, 0, 60}, netip.MustParseAddr(a).AsSlice()...)
	}
	domain := func(text string) []byte {
		o := append([]byte{optDomains, 0, 0, 0, 0, 0, 0, 60}, text...)
		for len(o)%8 != 0 {
			o = append(o, 0)
		}
		o[1] = byte(len(o) / 8)
		return o
	}
	for name, option := range map[string][]byte{
		"link-local prefix":         prefixInfo("fe80::/64", 60, 60),
		"multicast prefix":          prefixInfo("ff02::/64", 60, 60),
		"prefix of everything":      prefixInfo("::/0", 60, 60),
		"preferred above valid":     prefixInfo("2001:db8::/64", 60, 61),
		"prefix of 129 bits":        append([]byte{optPrefix, 4, 129}, make([]byte, 29)...),
		"short prefix":              {optPrefix, 1, 64, 0xc0, 0, 0, 0, 60},
		"MTU of 1279":               {optMTU, 1, 0, 0, 0, 0, 0x04, 0xff},
		"MTU of 4 GB":               {optMTU, 1, 0, 0, 0xff, 0xff, 0xff, 0xff},
		"route of 129 bits":         append([]byte{optRoute, 3, 129, 0, 0, 0, 0, 60}, make([]byte, 16)...),
		"route longer than given":   {optRoute, 1, 64, 0, 0, 0, 0, 60},
		"route, reserved":           {optRoute, 2, 48, 0x10, 0, 0, 0, 60, 0x20, 1, 0, 0, 0, 0, 0, 0},
		"multicast server":          server("ff02::1"),
		"server of this machine":    server("::1"),
		"server without address":    server("::"),
		"IPv4 server in IPv6":       server("::ffff:10.0.0.1"),
		"servers without an entry":  {optServers, 1, 0, 0, 0, 0, 0, 60},
		"domain for a shell":        domain("\x0ea;touch /tmp/x\x00"),
		"domain with a newline":     domain("\x05a\nb.c\x00"),
		"domain that does not end":  domain("\x3fabcdefg"),
		"compressed domain":         domain("\xc0\x00"),
		"portal that is no address": append([]byte{optPortal, 2}, "file:///etc/pw"...),
		"portal of nothing":         {optPortal, 1, 0, 0, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseAdvert(advertisement(0, option, prefixInfo("2001:db8:9::/64", 60, 60)), false)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(got.prefixes); n != 1 || len(got.routes)+len(got.servers)+len(got.domains)+got.mtu+len(got.portal) != 0 {
				t.Errorf("taken in: %+v", got)
			}
		})
	}
}

func TestManyPrefixes(t *testing.T) {
	var options [][]byte
	for i := range 4000 {
		options = append(options, prefixInfo(fmt.Sprintf("2001:db8:%x::/64", i), 60, 60))
	}
	body := append(header(0), bytes.Join(options, nil)...)
	if len(body) > 0xffff {
		body = body[:advertHeader+2000*32]
	}
	got, err := parseAdvert(packet(router1, 255, body), false)
	if err != nil || len(got.prefixes) != maxPrefixes {
		t.Errorf("%d prefixes, %v", len(got.prefixes), err)
	}
}

func FuzzParseAdvert(f *testing.F) {
	f.Add(advertisement(0xc8, prefixInfo("2001:db8:1::/64", 7200, 3600), []byte{optMTU, 1, 0, 0, 0, 0, 0x05, 0x78}))
	f.Add(advertisement(0, []byte{optMTU, 0}))
	f.Add(advertisement(0, []byte{optDomains, 2, 0, 0, 0, 0, 0, 60, 3, 'a', 'b', 'c', 0, 0, 0, 0}))
	f.Add([]byte(strings.Repeat("\x60", 60)))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseAdvert(data, true)
		if err != nil {
			return
		}
		if !a.router.IsLinkLocalUnicast() || len(a.prefixes) > maxPrefixes || len(a.servers) > maxServers {
			t.Errorf("let in %+v", a)
		}
		for _, p := range a.prefixes {
			if p.preferred > p.valid || p.prefix != p.prefix.Masked() {
				t.Errorf("let in %+v", p)
			}
		}
	})
}

func TestSolicitation(t *testing.T) {
	own := netip.MustParseAddr("fe80::7")
	for _, test := range []struct {
		source netip.Addr
		size   int
	}{{own, 16}, {netip.Addr{}, 8}} {
		p := solicitation(test.source, "\x02\x00\x00\x00\x00\x07")
		body := p[ip6Header:]
		if len(body) != test.size || int(binary.BigEndian.Uint16(p[4:])) != test.size || p[7] != 255 {
			t.Errorf("from %v: % x", test.source, p)
		}
		if checksum(p[8:ip6Header], body) != 0 {
			t.Errorf("from %v: checksum is wrong", test.source)
		}
	}
}

func TestFilter(t *testing.T) {
	vm, err := bpf.NewVM(advertFilter)
	if err != nil {
		t.Fatal(err)
	}
	fragment := advertisement(0)
	fragment[6] = 44
	solicit := solicitation(router1, "")
	for _, test := range []struct {
		packet []byte
		pass   bool
	}{{advertisement(0), true}, {fragment, false}, {solicit, false}, {nil, false}} {
		n, err := vm.Run(test.packet)
		if err != nil || n > 0 != test.pass {
			t.Errorf("% x: %d, %v", test.packet, n, err)
		}
	}
}

func TestFloodGate(t *testing.T) {
	gate, now := make(floodGate), time.Unix(1000, 0)
	passed := 0
	for i := range 100_000 { // 10,000 a second
		if gate.pass(7, now.Add(time.Duration(i)*100*time.Microsecond)) {
			passed++
		}
	}
	if most := floodBurst + int(10*time.Second/floodEvery); passed > most || passed < most-2 {
		t.Errorf("%d passed, want %d", passed, most)
	}
	if !gate.pass(8, now) || !gate.pass(7, now.Add(time.Hour)) {
		t.Error("others, or later ones, are kept out")
	}
}
