package dhcp4

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/rawsock"
	"net.connman/pkg/netcfg"
)

// acknowledgement is an ACK of addrOne/24 with more options, as bytes.
func acknowledgement(options ...dhcpv4.Option) []byte {
	q, err := dhcpv4.FromBytes(identity{addr: testMAC}.encode(query{kind: request, xid: 7}))
	if err != nil {
		panic(err)
	}
	return sent{DHCPv4: q}.answer(ack, serverOne, addrOne, options...)
}

// read takes a message through the door.
func read(t *testing.T, b []byte) (core.Lease, []error) {
	t.Helper()
	r, err := parseReply(b)
	if err != nil {
		t.Fatal(err)
	}
	c, warnings, err := leaseConfig(r)
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func route(dst, gateway string) netcfg.Route {
	r := netcfg.Route{Dst: netip.MustParsePrefix(dst)}
	if gateway != "" {
		r.Gateway = netip.MustParseAddr(gateway)
	}
	return r
}

func TestOptions(t *testing.T) {
	l, warnings := read(t, acknowledgement(
		rawOption(3, 10, 0, 0, 1, 10, 0, 0, 2),
		rawOption(6, 10, 0, 0, 1, 10, 0, 0, 1, 9, 9, 9, 9),
		rawOption(12, []byte("box.home\x00")...),
		rawOption(15, []byte("home.example")...),
		rawOption(26, 0x05, 0xdc),
		rawOption(28, 10, 0, 0, 255),
		rawOption(33, 192, 168, 0, 0, 10, 0, 0, 3, 172, 16, 0, 9, 10, 0, 0, 4),
		rawOption(42, 10, 0, 0, 6),
		rawOption(114, []byte("https://portal.example/api")...),
		rawOption(119, []byte("\x01a\x07example\x00\x01b\xc0\x02\xc0\x02")...),
		rawOption(252, []byte("http://wpad.example/p.dat\n")...),
	))
	want := core.Lease{
		IP: netcfg.IPConfig{
			Address:   netip.MustParsePrefix("10.0.0.5/24"),
			Broadcast: netip.MustParseAddr("10.0.0.255"),
			Gateway:   netip.MustParseAddr("10.0.0.1"),
			Routes:    []netcfg.Route{route("192.168.0.0/24", "10.0.0.3"), route("172.16.0.9/32", "10.0.0.4")},
			MTU:       1500,
		},
		DNS:         netcfg.DNSConfig{Servers: addrs("10.0.0.1", "9.9.9.9"), Domains: []string{"a.example", "b.example", "example"}},
		Timeservers: []string{"10.0.0.6"},
		Hostname:    "box.home", Domainname: "home.example",
		WPAD: "http://wpad.example/p.dat", Portal: "https://portal.example/api",
		Server: serverOne,
	}
	if got := fmt.Sprintf("%+v", l); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
	if len(warnings) != 0 {
		t.Errorf("warnings %v", warnings)
	}
}

func TestClasslessRoutes(t *testing.T) {
	router := rawOption(3, 10, 0, 0, 1)
	good := []byte{16, 192, 168, 10, 0, 0, 9, 0, 10, 0, 0, 2}
	for _, c := range []struct {
		name    string
		options []dhcpv4.Option
		gateway string
		routes  []netcfg.Route
		wrong   bool
	}{
		{"before routers and static routes", []dhcpv4.Option{rawOption(121, good...), router, rawOption(33, 192, 168, 1, 0, 10, 0, 0, 3)},
			"10.0.0.2", []netcfg.Route{route("192.168.0.0/16", "10.0.0.9")}, false},
		{"without default there is none", []dhcpv4.Option{rawOption(121, good[:7]...), router},
			"", []netcfg.Route{route("192.168.0.0/16", "10.0.0.9")}, false},
		{"on the link", []dhcpv4.Option{rawOption(121, 8, 11, 0, 0, 0, 0)}, "", []netcfg.Route{route("11.0.0.0/8", "")}, false},
		{"host", []dhcpv4.Option{rawOption(121, 32, 11, 1, 2, 3, 10, 0, 0, 9)}, "", []netcfg.Route{route("11.1.2.3/32", "10.0.0.9")}, false},
		{"bits beyond the width", []dhcpv4.Option{rawOption(121, 9, 11, 255, 10, 0, 0, 9)}, "", []netcfg.Route{route("11.128.0.0/9", "10.0.0.9")}, false},
		{"width 33", []dhcpv4.Option{rawOption(121, 33, 11, 1, 2, 3, 4, 10, 0, 0, 9), router}, "10.0.0.1", nil, true},
		{"cut", []dhcpv4.Option{rawOption(121, good[:9]...), router}, "10.0.0.1", nil, true},
		{"empty", []dhcpv4.Option{rawOption(121), router}, "10.0.0.1", nil, false},
		{"Microsoft's", []dhcpv4.Option{rawOption(249, good...), router}, "10.0.0.2", []netcfg.Route{route("192.168.0.0/16", "10.0.0.9")}, false},
		{"both", []dhcpv4.Option{rawOption(249, good...), rawOption(121, 0, 10, 0, 0, 7)}, "10.0.0.7", nil, false},
		{"loopback as router", []dhcpv4.Option{rawOption(121, 0, 127, 0, 0, 1)}, "", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, warnings := read(t, acknowledgement(c.options...))
			gateway := ""
			if l.IP.Gateway.IsValid() {
				gateway = l.IP.Gateway.String()
			}
			if gateway != c.gateway || !slices.Equal(l.IP.Routes, c.routes) || (len(warnings) > 0) != c.wrong {
				t.Errorf("gateway %q, routes %v, warnings %v", gateway, l.IP.Routes, warnings)
			}
		})
	}
}

// What makes no sense is left out and named; the lease is used.
func TestRefusedOptions(t *testing.T) {
	for _, o := range []dhcpv4.Option{
		rawOption(12, []byte("a;touch /tmp/x")...),
		rawOption(12, []byte("$(reboot)")...),
		rawOption(12, []byte("a\nb")...),
		rawOption(12, []byte("../../etc/passwd")...),
		rawOption(12, []byte("-rf")...),
		rawOption(12, []byte("b\xff\xfex")...),
		rawOption(12, []byte(strings.Repeat("a", 64))...),
		rawOption(12, []byte(strings.Repeat("abcdefghi.", 30))...),
		rawOption(12, []byte("a\x00b")...),
		rawOption(12, []byte("..")...),
		rawOption(15, []byte("a b")...),
		rawOption(15, []byte("`id`.example")...),
		rawOption(3, 10, 0, 0),
		rawOption(6, 10, 0, 0, 1, 9),
		rawOption(6, 0, 0, 0, 0),
		rawOption(6, 127, 0, 0, 1),
		rawOption(6, 224, 0, 0, 1),
		rawOption(26, 5),
		rawOption(26, 0, 68),
		rawOption(28, 10, 0, 0),
		rawOption(28, 8, 8, 8, 8),
		rawOption(33, 10, 0, 0, 1),
		rawOption(33, 0, 0, 0, 0, 10, 0, 0, 1),
		rawOption(42, 10),
		rawOption(119, 0xc0, 0),
		rawOption(119, 1, 'a', 0xc0, 0),
		rawOption(119, 1, 'a', 0xc0, 9, 0),
		rawOption(119, 1, 'a'),
		rawOption(119, 63, 'a'),
		rawOption(119, 0x40, 'a', 0),
		rawOption(119, 3, 'a', ';', 'b', 0),
		rawOption(252, []byte("file:///etc/passwd")...),
		rawOption(252, []byte("http://a/\x01")...),
		rawOption(114, []byte("javascript:x")...),
	} {
		l, warnings := read(t, acknowledgement(o))
		plain, _ := read(t, acknowledgement())
		if fmt.Sprint(l) != fmt.Sprint(plain) || len(warnings) == 0 {
			t.Errorf("%v: lease %+v, warnings %v", o, l, warnings)
		}
	}
	for _, o := range []dhcpv4.Option{rawOption(252), rawOption(12), rawOption(119), rawOption(108, 0, 0, 7, 8)} {
		l, warnings := read(t, acknowledgement(o))
		if plain, _ := read(t, acknowledgement()); fmt.Sprint(l) != fmt.Sprint(plain) || len(warnings) > 0 {
			t.Errorf("%v: lease %+v, warnings %v", o, l, warnings)
		}
	}
}

// Only an unusable mask makes a lease unusable.
func TestMasks(t *testing.T) {
	for mask, want := range map[string]string{
		"\xff\x00\x00\x00": "10.0.0.5/8", "\xff\xff\xff\xff": "10.0.0.5/32", "\xff\xff\xff\xfc": "10.0.0.5/30",
		"\x00\x00\x00\x00": "", "\xff\x00\xff\x00": "", "\xff\xff": "",
	} {
		r, err := parseReply(acknowledgement(rawOption(1, []byte(mask)...)))
		if err != nil {
			t.Fatal(err)
		}
		p, err := addressOf(r)
		if (err == nil) != (want != "") || err == nil && p.String() != want {
			t.Errorf("mask %x: %v, %v", mask, p, err)
		}
	}
	r := reply{address: netip.MustParseAddr("192.168.1.2")}
	if p, _ := addressOf(r); p.Bits() != 24 {
		t.Errorf("without a mask: %v", p)
	}
}

func TestLifetimes(t *testing.T) {
	for _, c := range []struct {
		name           string
		options        []dhcpv4.Option
		total, t1, t2s time.Duration
	}{
		{"defaults", []dhcpv4.Option{rawOption(51, be32(800)...)}, 800 * time.Second, 400 * time.Second, 700 * time.Second},
		{"given", []dhcpv4.Option{rawOption(51, be32(800)...), rawOption(58, be32(100)...), rawOption(59, be32(200)...)},
			800 * time.Second, 100 * time.Second, 200 * time.Second},
		{"T1 after T2", []dhcpv4.Option{rawOption(51, be32(800)...), rawOption(58, be32(300)...), rawOption(59, be32(200)...)},
			800 * time.Second, 400 * time.Second, 700 * time.Second},
		{"T2 after the end", []dhcpv4.Option{rawOption(51, be32(800)...), rawOption(59, be32(900)...)},
			800 * time.Second, 400 * time.Second, 700 * time.Second},
		{"T1 zero", []dhcpv4.Option{rawOption(51, be32(800)...), rawOption(58, be32(0)...)},
			800 * time.Second, 400 * time.Second, 700 * time.Second},
		{"none", nil, time.Hour, 30 * time.Minute, 3150 * time.Second},
		{"cut", []dhcpv4.Option{rawOption(51, 1, 2)}, time.Hour, 30 * time.Minute, 3150 * time.Second},
		{"zero", []dhcpv4.Option{rawOption(51, be32(0)...)}, 10 * time.Second, 5 * time.Second, 8750 * time.Millisecond},
		{"infinite", []dhcpv4.Option{rawOption(51, be32(infinite)...), rawOption(58, be32(9)...)}, 0, 0, 0},
	} {
		total, t1, t2 := lifetimes(dhcpv4.OptionsFromList(c.options...))
		if total != c.total || t1 != c.t1 || t2 != c.t2s {
			t.Errorf("%s: %v %v %v", c.name, total, t1, t2)
		}
	}
}

func TestOverloadAndLongOptions(t *testing.T) {
	b := acknowledgement(rawOption(52, 3), rawOption(15, []byte("a.")...))
	copy(b[108:], "\x0f\x07example\x06\x04\x09\x09\x09\x09\xff")
	copy(b[44:], "\x0c\x03box\xff")
	l, warnings := read(t, b)
	if l.Domainname != "a.example" || l.Hostname != "box" || len(l.DNS.Servers) != 1 || len(warnings) > 0 {
		t.Errorf("lease %+v, warnings %v", l, warnings)
	}
	for _, v := range [][]byte{{0}, {4}, {1, 1}} {
		if _, err := parseReply(acknowledgement(rawOption(52, v...))); err == nil {
			t.Errorf("overload %x accepted", v)
		}
	}
	b = acknowledgement(rawOption(52, 1))
	copy(b[108:], bytes.Repeat([]byte{15, 60}, 64))
	if _, err := parseReply(b); err == nil {
		t.Error("cut option in the file field accepted")
	}

	// RFC 3396: one list of routes over several options.
	var routes []byte
	for i := range 60 {
		routes = append(routes, 24, 11, 0, byte(i), 10, 0, 0, 9)
	}
	if l, _ = read(t, acknowledgement(rawOption(121, routes...))); len(l.IP.Routes) != 60 {
		t.Errorf("%d routes of 60", len(l.IP.Routes))
	}
}

// A message cut anywhere is refused or gives what stood before the cut whole;
// never a byte that was not sent (CVE-2021-26676).
func TestCutMessages(t *testing.T) {
	whole := acknowledgement(rawOption(12, []byte("box")...), rawOption(15, []byte("home.example")...), rawOption(51, be32(800)...))
	end := bytes.LastIndexByte(whole, 255)
	for n := range end {
		r, err := parseReply(bytes.Clone(whole[:n:n]))
		if err != nil {
			continue
		}
		for code, v := range r.options {
			if !bytes.Contains(whole[:n], append([]byte{code, byte(len(v))}, v...)) {
				t.Fatalf("cut at %d: option %d is %x", n, code, v)
			}
		}
	}
	if _, err := parseReply(whole[:end]); err != nil {
		t.Errorf("without an end mark: %v", err)
	}
	if _, err := parseReply(append(bytes.Clone(whole[:end]), 12)); err == nil {
		t.Error("cut after an option's code accepted")
	}
	if _, err := parseReply(append(bytes.Clone(whole[:end]), 12, 1)); err == nil {
		t.Error("cut after an option's length accepted")
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(acknowledgement(rawOption(52, 3), rawOption(121, 0, 10, 0, 0, 1), rawOption(119, 1, 'a', 0, 0xc0, 0)))
	f.Add(acknowledgement(rawOption(12, []byte("$(x)")...), rawOption(33, 1, 2, 3, 4, 5, 6, 7, 8), rawOption(252)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReply(b)
		if err != nil {
			return
		}
		l, _, err := leaseConfig(r)
		if err != nil {
			return
		}
		for _, name := range append([]string{l.Hostname, l.Domainname}, l.DNS.Domains...) {
			if strings.ContainsAny(name, " \n\x00;/$`\\\"'") || strings.HasPrefix(name, "-") || len(name) > maxName {
				t.Fatalf("name %q passed", name)
			}
		}
		for _, r := range l.IP.Routes {
			if r.Dst != r.Dst.Masked() || r.Gateway.IsValid() && !unicast(r.Gateway) {
				t.Fatalf("route %+v passed", r)
			}
		}
		if !unicast(l.IP.Address.Addr()) || !unicast(l.Server) || len(l.DNS.Servers) > maxServers || l.IP.MTU < 0 || l.IP.MTU > 0xffff {
			t.Fatalf("lease %+v passed", l)
		}
		total, t1, t2 := lifetimes(r.options)
		if total != 0 && !(0 < t1 && t1 < t2 && t2 < total) {
			t.Fatalf("times %v %v %v", total, t1, t2)
		}
	})
}

func FuzzFrame(f *testing.F) {
	src, dst := netip.AddrPortFrom(serverOne, serverPort), netip.AddrPortFrom(addrOne, clientPort)
	frame := rawsock.AppendUDP(nil, rawsock.UDP{Source: src, Destination: dst, Payload: acknowledgement()})
	f.Add(frame, false)
	f.Add(frame[:30], true)
	f.Fuzz(func(t *testing.T, b []byte, partial bool) {
		in, err := (&packetWire{}).parse(rawsock.Packet{Link: 3, Data: b, PartialChecksum: partial})
		if err == nil && (in.link != 3 || !bytes.Contains(b, in.reply.raw)) {
			t.Fatalf("made up %x", in.reply.raw)
		}
	})
}

// Whatever happens in whatever order, the machine neither spins nor floods and
// wants nothing once it has ended.
func FuzzMachine(f *testing.F) {
	f.Add([]byte("\x00\x04\x05\x06\x05\x01\x02\x03\x07"), true)
	f.Add([]byte("\x00\x14\x25\x36\x05\x91\xa2\xb3\x07\x00\x01"), false)
	f.Fuzz(func(t *testing.T, script []byte, check bool) {
		s := newSim(t, silent)
		s.m.check = check
		for i, b := range script {
			if i > 200 {
				return
			}
			before := len(s.sent)
			var last sent
			if before > 0 {
				last = s.sent[before-1]
			}
			switch arg := time.Duration(b >> 4); b & 7 {
			case 0:
				s.step(begin{last: addrOne})
			case 1:
				s.run(arg * time.Second)
			case 2:
				s.run(arg * 5 * time.Minute)
			case 3:
				s.step(taken{core.Conflict{Address: addrOne}})
			case 4:
				s.step(free{})
			case 5, 6:
				if before > 0 {
					k := []kind{offer, ack, nak, ack}[arg%4]
					server := []netip.Addr{serverOne, serverTwo}[arg/4%2]
					s.hear(last.answer(k, server, addrOne, leaseTime(arg*arg*10*time.Second)))
				}
			case 7:
				s.step(end{arg%2 == 0})
			}
			if n := len(s.sent) - before; n > 400 {
				t.Fatalf("%d messages in one step of the script", n)
			}
			if l := s.m.held; l != nil && !l.expire.IsZero() && s.m.state != probing && l.expire.Before(s.now) {
				t.Fatalf("%v uses a lease that expired at %v, now %v", s.m.state, l.expire, s.now)
			}
			if s.m.state == stopped && (s.m.listening() || !s.m.wake().IsZero() || s.m.watched().IsValid()) {
				t.Fatal("wants something after its end")
			}
		}
	})
}

// What a message costs that the kernel's filter lets through.
func BenchmarkDoor(b *testing.B) {
	frame := rawsock.AppendUDP(nil, rawsock.UDP{
		Source:      netip.AddrPortFrom(serverOne, serverPort),
		Destination: netip.AddrPortFrom(addrOne, clientPort),
		Payload:     acknowledgement(leaseTime(time.Hour), rawOption(3, 10, 0, 0, 1), rawOption(6, 10, 0, 0, 1)),
	})
	for name, station := range map[string]core.HardwareAddr{"ours": testMAC, "another's": "\x02\x77\x00\x00\x00\x99"} {
		b.Run(name, func(b *testing.B) {
			var w packetWire
			w.stations.Store(3, station)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.parse(rawsock.Packet{Link: 3, Data: frame}); err != nil && station == testMAC {
					b.Fatal(err)
				}
			}
		})
	}
}

// A link at a switch hears what is broadcast to all others.
func TestOthersRepliesAreDroppedAtTheDoor(t *testing.T) {
	frame := rawsock.AppendUDP(nil, rawsock.UDP{
		Source:      netip.AddrPortFrom(serverOne, serverPort),
		Destination: netip.AddrPortFrom(addrOne, clientPort),
		Payload:     acknowledgement(),
	})
	var w packetWire
	w.stations.Store(3, testMAC)
	w.stations.Store(4, core.HardwareAddr("\x02\x77\x00\x00\x00\x99"))
	for link, want := range map[int]error{3: nil, 4: rawsock.ErrNotOurs, 5: nil} {
		if _, err := w.parse(rawsock.Packet{Link: link, Data: frame}); !errors.Is(err, want) {
			t.Errorf("link %d: %v, want %v", link, err, want)
		}
	}
}
