package dhcp6

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"net.connman/connmand/internal/core"
)

// raw makes a message of a type and options, without checks.
func raw(k kind, list ...[]byte) []byte {
	b := []byte{byte(k), 0, 0, 1}
	return append(b, slices.Concat(list...)...)
}

func opt(c code, value ...byte) []byte { return appendOption(nil, c, value...) }

var (
	clientOption = opt(optClientID, []byte(testDUID)...)
	serverOption = opt(optServerID, []byte(serverOne)...)
)

func iaOption(list ...[]byte) []byte {
	return opt(optIANA, append(associationBytes(testID.iaid, 0, 0), slices.Concat(list...)...)...)
}

func pdOption(list ...[]byte) []byte {
	return opt(optIAPD, append(associationBytes(testID.iaid, 0, 0), slices.Concat(list...)...)...)
}

func TestMalformedMessages(t *testing.T) {
	// size is an option whose length field is not that of its value.
	size := func(c code, n uint16, value ...byte) []byte {
		b := opt(c, value...)
		binary.BigEndian.PutUint16(b[2:], n)
		return b
	}
	address, prefix := addressBytes(hour(addrOne)), prefixBytes(hourOf(prefixOne))
	long := slices.Clone(prefix)
	long[8] = 129
	for name, b := range map[string][]byte{
		"empty":                  {},
		"three bytes":            {7, 0, 0},
		"no server":              raw(response, clientOption),
		"from a client":          raw(solicit, clientOption, serverOption),
		"relayed":                raw(13, clientOption, serverOption),
		"two servers":            raw(response, clientOption, serverOption, serverOption),
		"two clients":            raw(response, clientOption, clientOption, serverOption),
		"empty server":           raw(response, opt(optServerID)),
		"type without server":    raw(response, opt(optServerID, 0, 1)),
		"long server":            raw(response, opt(optServerID, make([]byte, core.MaxDUID+1)...)),
		"long client":            raw(response, opt(optClientID, make([]byte, core.MaxDUID+1)...), serverOption),
		"length FFFC":            raw(response, clientOption, serverOption, size(optDNS, 0xfffc, 1)),
		"length FFFF":            raw(response, clientOption, serverOption, size(optIANA, 0xffff, 1)),
		"one too long":           raw(response, serverOption, size(optDNS, 17, addrOne.AsSlice()...)),
		"half a header":          append(raw(response, serverOption), 0, 1, 0),
		"IA of nothing":          raw(response, serverOption, opt(optIANA)),
		"IA of three bytes":      raw(response, serverOption, opt(optIANA, 1, 2, 3)),
		"IA of eleven bytes":     raw(response, serverOption, opt(optIANA, make([]byte, 11)...)),
		"address of 23 bytes":    raw(response, serverOption, iaOption(opt(optIAAddress, address[:23]...))),
		"address beyond its IA":  raw(response, serverOption, iaOption(size(optIAAddress, 0xfff0, address...))),
		"address with a stump":   raw(response, serverOption, iaOption(opt(optIAAddress, append(slices.Clone(address), 0, 13, 0)...))),
		"IA_PD of eleven bytes":  raw(response, serverOption, opt(optIAPD, make([]byte, 11)...)),
		"prefix of 24 bytes":     raw(response, serverOption, pdOption(opt(optIAPrefix, prefix[:24]...))),
		"prefix of 129 bits":     raw(response, serverOption, pdOption(opt(optIAPrefix, long...))),
		"prefix beyond its IA":   raw(response, serverOption, pdOption(size(optIAPrefix, 0xfffc, prefix...))),
		"prefix with a stump":    raw(response, serverOption, pdOption(opt(optIAPrefix, append(slices.Clone(prefix), 0, 13, 0)...))),
		"status of one byte":     raw(response, serverOption, opt(optStatus, 0)),
		"inner status of a byte": raw(response, serverOption, iaOption(opt(optStatus, 0))),
		"preference of nothing":  raw(response, serverOption, opt(optPreference)),
		"too many options":       raw(response, serverOption, bytes.Repeat(opt(200), maxOptions)),
	} {
		if r, err := parseReply(b); err == nil {
			t.Errorf("%s: accepted as %+v", name, r)
		}
	}
}

// A message cut anywhere is refused or has lost whole options.
func TestCutMessages(t *testing.T) {
	whole := raw(response, clientOption, serverOption, iaOption(opt(optIAAddress, addressBytes(hour(addrOne))...)))
	for n := range whole {
		if r, err := parseReply(whole[:n]); err == nil && len(r.associations) > 0 {
			t.Fatalf("cut at %d accepted", n)
		}
	}
}

// Addresses that cannot be used are passed over, the others are kept.
func TestUnusableAddresses(t *testing.T) {
	var list [][]byte
	for _, g := range []given{
		give(netip.IPv6Unspecified(), 1, 1), give(netip.IPv6Loopback(), 1, 1), give(netip.MustParseAddr("ff02::1"), 1, 1),
		give(netip.MustParseAddr("fe80::1"), 1, 1), give(netip.MustParseAddr("::ffff:10.0.0.1"), 1, 1), give(addrTwo, 2, 1),
		hour(addrOne),
	} {
		list = append(list, opt(optIAAddress, addressBytes(g)...))
	}
	refusedOne := append(addressBytes(hour(addrTwo)), opt(optStatus, statusBytes(notOnLink)...)...)
	list = append(list, opt(optIAAddress, refusedOne...))
	r, err := parseReply(raw(response, serverOption, iaOption(list...)))
	if err != nil || !slices.Equal(r.associations[0].given, []given{hour(addrOne)}) {
		t.Errorf("got %+v, %v", r.associations, err)
	}
	many := bytes.Repeat(opt(optIAAddress, addressBytes(hour(addrOne))...), 100)
	if r, err := parseReply(raw(response, serverOption, iaOption(many))); err != nil || len(r.associations[0].given) != maxGiven {
		t.Errorf("of 100 addresses: %v", err)
	}
}

// What another implementation writes is read as it was meant.
func TestMessageOfAnotherImplementation(t *testing.T) {
	ip := func(s string) net.IP { return net.ParseIP(s) }
	m := dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: dhcpv6.TransactionID{0xab, 0xcd, 0xef}}
	m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr(testMAC)}))
	m.AddOption(dhcpv6.OptServerID(&dhcpv6.DUIDUUID{UUID: [16]byte{1, 2, 3}}))
	m.AddOption(&dhcpv6.OptIANA{IaId: testID.iaid, T1: 300 * time.Second, T2: 400 * time.Second, Options: dhcpv6.IdentityOptions{Options: dhcpv6.Options{
		&dhcpv6.OptIAAddress{IPv6Addr: ip("2001:db8::7"), PreferredLifetime: 500 * time.Second, ValidLifetime: 600 * time.Second},
		&dhcpv6.OptStatusCode{StatusMessage: "fine"},
	}}})
	m.AddOption(dhcpv6.OptDNS(ip("2001:db8::53"), ip("fe80::53"), ip("2001:db8::53"), ip("ff02::53")))
	m.AddOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"a.example", "$(id).example", "b.example", "a.example"}}))
	m.AddOption(dhcpv6.OptSNTP(ip("2001:db8::124")))
	address := dhcpv6.NTPSuboptionSrvAddr(ip("2001:db8::123"))
	m.AddOption(&dhcpv6.OptNTPServer{Suboptions: dhcpv6.Options{
		&dhcpv6.NTPSuboptionSrvFQDN{Labels: rfc1035label.Labels{Labels: []string{"ntp.example"}}}, &address,
	}})
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionCaptivePortal, OptionData: []byte("https://portal.example/api")})

	r, err := parseReply(m.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	want := association{id: testID.iaid, t1: 300, t2: 400, given: []given{give(netip.MustParseAddr("2001:db8::7"), 500, 600)}}
	list, _ := r.grants(testID.iaid, wishes{addresses: true})
	if r.kind != response || r.xid != 0xabcdef || !strings.HasPrefix(string(r.server), "\x00\x04\x01\x02\x03") ||
		!strings.HasSuffix(string(r.client), string(testMAC)) || len(list) != 1 || list[0].t1 != want.t1 ||
		list[0].t2 != want.t2 || !slices.Equal(list[0].given, want.given) {
		t.Errorf("read as %+v", r)
	}
	c, warnings := leaseConfig(r.options, "eth0")
	wantServers := []netip.Addr{netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("fe80::53%eth0")}
	if !slices.Equal(c.DNS.Servers, wantServers) || !slices.Equal(c.DNS.Domains, []string{"a.example", "b.example"}) ||
		!slices.Equal(c.Timeservers, []string{"2001:db8::123", "ntp.example", "2001:db8::124"}) ||
		c.Portal != "https://portal.example/api" {
		t.Errorf("config %+v", c)
	}
	if len(warnings) != 2 { // the multicast server and the domain that is none
		t.Errorf("warnings %v", warnings)
	}
}

// An option that makes no sense is left out, the rest stays.
func TestUnusableOptions(t *testing.T) {
	good := opt(optDNS, addrOne.AsSlice()...)
	for name, bad := range map[string][]byte{
		"domain without end":     opt(optDomains, 3, 'a', 'b', 'c'),
		"label beyond its end":   opt(optDomains, 9, 'a', 0),
		"compressed name":        opt(optDomains, 1, 'a', 0, 0xc0, 0),
		"empty domain":           opt(optDomains, 0),
		"half a time server":     opt(optSNTP, 1, 2, 3),
		"multicast time server":  opt(optSNTP, netip.MustParseAddr("ff02::1").AsSlice()...),
		"stump in time servers":  opt(optNTP, 0, 1, 0),
		"half an NTP address":    opt(optNTP, opt(ntpAddress, 1)...),
		"portal that is no link": opt(optPortal, []byte("javascript:alert(1)")...),
		"portal with a newline":  opt(optPortal, []byte("http://a/\nb")...),
	} {
		r, err := parseReply(raw(response, serverOption, bad, good))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c, warnings := leaseConfig(r.options, "eth0")
		if len(warnings) != 1 || len(c.DNS.Servers) != 1 || len(c.DNS.Domains)+len(c.Timeservers)+len(c.Portal) != 0 {
			t.Errorf("%s: %+v, warnings %v", name, c, warnings)
		}
	}
	flood := raw(response, serverOption, bytes.Repeat(opt(optNTP, 0), 100))
	r, err := parseReply(flood)
	if err != nil {
		t.Fatal(err)
	}
	if _, warnings := leaseConfig(r.options, "eth0"); len(warnings) != maxWarnings {
		t.Errorf("%d warnings", len(warnings))
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(raw(response, clientOption, serverOption, iaOption(opt(optIAAddress, addressBytes(hour(addrOne))...))))
	f.Add(raw(response, clientOption, serverOption, pdOption(opt(optIAPrefix, prefixBytes(hourOf(prefixOne))...))))
	f.Add(raw(advertise, serverOption, opt(optPreference, 255), opt(optDomains, 1, 'a', 0), opt(optNTP, opt(ntpName, 1, 'a', 0)...)))
	f.Add(raw(response, serverOption, opt(optPortal, []byte("http://a")...), opt(optSNTP, addrOne.AsSlice()...), opt(optStatus, 0, 4)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReply(b)
		if err != nil {
			return
		}
		if len(r.server) < core.MinDUID || len(r.server) > core.MaxDUID {
			t.Fatalf("server %q passed", r.server)
		}
		l := lease{}
		l.update(r.associations, epoch)
		for _, a := range l.leased {
			if !unicast(a.prefix.Addr()) || a.prefix != a.prefix.Masked() || a.delegated != (a.prefix.Bits() < 128) || !a.valid.IsZero() && (!a.valid.After(epoch) || a.preferred.After(a.valid)) {
				t.Fatalf("address %+v passed", a)
			}
		}
		c, warnings := leaseConfig(r.options, "eth0")
		if len(warnings) > maxWarnings || len(c.DNS.Servers) > maxServers || len(c.DNS.Domains) > maxDomains || len(c.Timeservers) > maxServers {
			t.Fatalf("config %+v passed", c)
		}
		for _, s := range append(slices.Concat(c.DNS.Domains, c.Timeservers), c.Portal) {
			if strings.ContainsAny(s, " \n\x00$`\\\"'") {
				t.Fatalf("%q passed", s)
			}
		}
	})
}

// Whatever happens in whatever order, the machine neither spins nor floods and
// wants nothing once it has ended.
func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00\x04\x05\x06\x05\x01\x02\x03\x07"), true, false)
	f.Add([]byte("\x00\x14\x25\x36\x05\x91\xa2\xb3\x07\x00\x01"), false, true)
	f.Fuzz(func(t *testing.T, script []byte, addresses, prefixes bool) {
		s := newSim(t, silent)
		s.m.wants = wishes{addresses, prefixes}
		for i, b := range script {
			if i > 200 {
				return
			}
			before := len(s.sent)
			arg := b >> 4
			switch b & 7 {
			case 0:
				e := begin{last: addrOne, onLink: arg&1 != 0}
				if arg&2 != 0 {
					e.held = longLease(s)
				}
				s.step(e)
			case 1:
				s.run(time.Duration(arg) * time.Second)
			case 2:
				s.run(time.Duration(arg) * 5 * time.Minute)
			case 3:
				s.step(taken{addrOne})
			case 4:
				s.step(unsent{})
			case 5:
				if before > 0 {
					s.hear(s.last().refuse([]core.DUID{serverOne, serverTwo}[arg&1], status(arg>>1)))
				}
			case 6:
				if before > 0 {
					k := []kind{advertise, response}[arg&1]
					seconds := uint32(arg) * uint32(arg) * 10
					b := s.last().answer(k, []core.DUID{serverOne, serverTwo}[arg>>1&1],
						give(addrOne, seconds/2, seconds), delegate(prefixOne, seconds/3, seconds/2))
					s.hear(appendOption(b, optRapidCommit))
				}
			case 7:
				s.step(end{arg%2 == 0})
			}
			if n := len(s.sent) - before; n > 400 {
				t.Fatalf("%d messages in one step of the script", n)
			}
			if l := s.m.held; l != nil && (len(l.leased) == 0 || due(l.nextEnd(), s.now) && !due(s.m.wake(), s.now)) {
				t.Fatalf("%v uses a lease that ended at %v, now %v", s.m.state, l.nextEnd(), s.now)
			}
			if s.m.state == stopped && (s.m.listening() || !s.m.wake().IsZero()) {
				t.Fatal("wants something after its end")
			}
		}
	})
}

// What a message costs.
func BenchmarkDoor(b *testing.B) {
	message := raw(response, clientOption, serverOption, iaOption(opt(optIAAddress, addressBytes(hour(addrOne))...)),
		opt(optDNS, addrOne.AsSlice()...))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseReply(message); err != nil {
			b.Fatal(err)
		}
	}
}
