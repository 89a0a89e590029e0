package online

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

var (
	server1 = netip.MustParseAddr("192.0.2.53")
	server2 = netip.MustParseAddr("192.0.2.54")
)

// nameserver answers a query, which it may change and send back, with messages.
type nameserver func(query dnsmessage.Message) []dnsmessage.Message

func silent(dnsmessage.Message) []dnsmessage.Message { return nil }

func failing(m dnsmessage.Message) []dnsmessage.Message {
	m.Response, m.RCode = true, dnsmessage.RCodeServerFailure
	return []dnsmessage.Message{m}
}

func unknown(m dnsmessage.Message) []dnsmessage.Message {
	m.Response, m.RCode = true, dnsmessage.RCodeNameError
	return []dnsmessage.Message{m}
}

// with answers by resources.
func with(rr ...dnsmessage.Resource) nameserver {
	return func(m dnsmessage.Message) []dnsmessage.Message { return []dnsmessage.Message{reply(m, rr...)} }
}

func reply(m dnsmessage.Message, rr ...dnsmessage.Resource) dnsmessage.Message {
	m.Response = true
	m.Answers = rr
	return m
}

func resource(name string, t dnsmessage.Type, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Type: t, Class: dnsmessage.ClassINET},
		Body:   body,
	}
}

func a(name, address string) dnsmessage.Resource {
	return resource(name, dnsmessage.TypeA, &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()})
}

func aaaa(name, address string) dnsmessage.Resource {
	return resource(name, dnsmessage.TypeAAAA, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(address).As16()})
}

func cname(name, to string) dnsmessage.Resource {
	return resource(name, dnsmessage.TypeCNAME, &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(to)})
}

// serve runs servers behind a dialFunc: over UDP each write is one message,
// over TCP messages follow their length.
func serve(t *testing.T, servers map[string]nameserver) dialFunc {
	return func(_ context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		s := servers[network+" "+to.Addr().String()]
		if s == nil || to.Port() != dnsPort {
			return nil, errors.New("connection refused")
		}
		ours, theirs := net.Pipe()
		go serveOne(t, theirs, network, s)
		return ours, nil
	}
}

func serveOne(t *testing.T, c net.Conn, network string, s nameserver) {
	defer c.Close()
	packet := make([]byte, 512)
	n, err := c.Read(packet)
	if err != nil {
		return
	}
	packet = packet[:n]
	if network == "tcp" {
		packet = packet[2:]
	}
	var query dnsmessage.Message
	if err := query.Unpack(packet); err != nil {
		t.Errorf("malformed query: %v", err)
		return
	}
	for _, m := range s(query) {
		out, err := m.Pack()
		if err != nil {
			t.Errorf("cannot pack: %v", err)
		}
		if network == "tcp" {
			out = append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)
		}
		if _, err := c.Write(out); err != nil {
			return
		}
	}
	io.Copy(io.Discard, c) // until the client leaves
}

func TestLookup(t *testing.T) {
	good := with(a("x.example.", "198.51.100.7"))
	forged := func(change func(*dnsmessage.Message)) nameserver {
		return func(m dnsmessage.Message) []dnsmessage.Message {
			bad := reply(m, a("x.example.", "203.0.113.66"))
			bad.Questions = slices.Clone(m.Questions)
			change(&bad)
			return append([]dnsmessage.Message{bad}, good(m)...)
		}
	}
	tests := []struct {
		name          string
		first, second nameserver
		tcp           nameserver
		v6            bool
		want          string // addresses, or a part of the error
		took          time.Duration
	}{
		{name: "an address", first: good, want: "198.51.100.7"},
		{name: "another case", first: with(a("X.Example.", "198.51.100.7")), want: "198.51.100.7"},
		{name: "IPv6", first: with(aaaa("x.example.", "2001:db8::7")), v6: true, want: "2001:db8::7"},
		{name: "several", first: with(a("x.example.", "198.51.100.7"), a("x.example.", "198.51.100.8")), want: "198.51.100.7 198.51.100.8"},
		{name: "an alias", first: with(cname("x.example.", "y.example."), a("y.example.", "198.51.100.7")), want: "198.51.100.7"},
		{name: "an alias of itself", first: with(cname("x.example.", "x.example.")), want: "no address"},
		{name: "another's address", first: with(a("bank.example.", "198.51.100.7")), want: "no address"},
		{name: "nothing", first: with(), want: "no address"},
		{name: "addresses of no server", first: with(a("x.example.", "127.0.0.1"), a("x.example.", "0.0.0.0"), a("x.example.", "224.0.0.1")), want: "no address"},
		{name: "a mapped address", first: with(aaaa("x.example.", "::ffff:127.0.0.1")), v6: true, want: "no address"},

		{name: "wrong id", first: forged(func(m *dnsmessage.Message) { m.ID++ }), want: "198.51.100.7"},
		{name: "wrong name", first: forged(func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("y.example.") }), want: "198.51.100.7"},
		{name: "wrong type", first: forged(func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX }), want: "198.51.100.7"},
		{name: "no question", first: forged(func(m *dnsmessage.Message) { m.Questions = nil }), want: "198.51.100.7"},
		{name: "not a reply", first: forged(func(m *dnsmessage.Message) { m.Response = false }), want: "198.51.100.7"},

		{name: "first refuses", second: good, want: "198.51.100.7"},
		{name: "first fails", first: failing, second: good, want: "198.51.100.7"},
		{name: "first is silent", first: silent, second: good, want: "198.51.100.7", took: tryTimeout},
		{name: "all are silent", first: silent, second: silent, want: "i/o timeout", took: 2 * rounds * tryTimeout},
		{name: "unknown is final", first: unknown, second: good, want: "no such name"},

		{name: "cut short", first: truncated, tcp: good, want: "198.51.100.7"},
		{name: "cut short, no TCP", first: truncated, second: good, want: "198.51.100.7"},
		{name: "cut short twice", first: truncated, tcp: truncated, want: "no address"},
		{name: "TCP is silent", first: truncated, tcp: silent, second: good, want: "198.51.100.7", took: tryTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := lookup{servers: []netip.Addr{server1, server2}, dial: serve(t, map[string]nameserver{
					"udp 192.0.2.53": tt.first, "udp 192.0.2.54": tt.second, "tcp 192.0.2.53": tt.tcp,
				})}
				begin := time.Now()
				addrs, err := l.addresses(t.Context(), "x.example", !tt.v6)
				if took := time.Since(begin); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if err != nil {
					if !strings.Contains(err.Error(), tt.want) {
						t.Errorf("error %q, want %q", err, tt.want)
					}
					return
				}
				var got []string
				for _, a := range addrs {
					got = append(got, a.String())
				}
				if strings.Join(got, " ") != tt.want {
					t.Errorf("got %v, want %s", got, tt.want)
				}
			})
		})
	}
}

func truncated(m dnsmessage.Message) []dnsmessage.Message {
	m.Response, m.Truncated = true, true
	return []dnsmessage.Message{m}
}

func TestLookupIDsDiffer(t *testing.T) {
	ids := make(map[uint16]bool)
	for range 20 {
		ids[newID()] = true
	}
	if len(ids) < 10 {
		t.Errorf("20 queries had %d ids", len(ids))
	}
}

func TestProbeResolvesThroughTheLink(t *testing.T) {
	dns := serve(t, map[string]nameserver{"udp 192.0.2.54": with(a("page.example.", "198.51.100.7"))})
	got := probeURL(t, "http://page.example:8080/", func(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
		if to.Port() == dnsPort {
			return dns(ctx, network, to)
		}
		if to.String() != "198.51.100.7:8080" {
			t.Errorf("connected to %s", to)
		}
		ours, theirs := net.Pipe()
		go answer("HTTP/1.1 200 OK\r\nX-ConnMan-Status: online\r\n\r\n")(theirs)
		return ours, nil
	})
	if !got.Online {
		t.Errorf("got %+v", got)
	}
}

func FuzzParseReply(f *testing.F) {
	q, err := newQuestion("x.example", true)
	if err != nil {
		f.Fatal(err)
	}
	query := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{q}}
	for _, s := range []nameserver{
		with(a("x.example.", "198.51.100.7")), with(cname("x.example.", "y.example."), a("y.example.", "10.0.0.1")), unknown, truncated,
	} {
		for _, m := range s(query) {
			packet, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packet)
			f.Add(packet[:len(packet)-3])
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		addrs, _, err := parseReply(packet, 7, q)
		if (err == nil) != (len(addrs) > 0) || len(addrs) > maxAddresses {
			t.Errorf("addresses %v with error %v", addrs, err)
		}
		for _, a := range addrs {
			if !a.Is4() || a.IsLoopback() {
				t.Errorf("accepted %s", a)
			}
		}
	})
}
