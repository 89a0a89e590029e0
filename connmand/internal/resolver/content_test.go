package resolver

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/netcfg"
)

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func link(name, servers, domains string) core.LinkDNS {
	return core.LinkDNS{
		Link: core.Link{Name: name},
		DNS:  netcfg.DNSConfig{Servers: addrs(strings.Fields(servers)...), Domains: strings.Fields(domains)},
	}
}

func split(l core.LinkDNS) core.LinkDNS {
	l.Split = true
	return l
}

func TestContent(t *testing.T) {
	tests := []struct {
		name     string
		links    []core.LinkDNS
		fallback string
		want     string // after the header
		named    bool
	}{
		{name: "nothing"},
		// As Debian's 1.41 with -r wrote it, given these servers and this domain.
		{name: "the reference's", links: []core.LinkDNS{link("e", "10.77.0.1 0.0.0.0 10.77.0.1 10.77.0.2 10.77.0.3 10.77.0.4", "lab.example")},
			want: "search lab.example \nnameserver 10.77.0.1\nnameserver 10.77.0.2\nnameserver 10.77.0.3\n", named: true},
		{name: "several links", links: []core.LinkDNS{link("e", "10.0.0.1", "a.example b.example"), link("w", "10.0.0.2 10.0.0.1", "b.example c.example")},
			want: "search a.example b.example c.example \nnameserver 10.0.0.1\nnameserver 10.0.0.2\n", named: true},
		{name: "split last", links: []core.LinkDNS{split(link("vpn", "10.9.0.1", "corp.example")), link("e", "10.0.0.1", "")},
			want: "search corp.example \nnameserver 10.0.0.1\nnameserver 10.9.0.1\n", named: true},
		{name: "for a host only", links: []core.LinkDNS{link("vpn", "10.9.0.1", "corp.example"), split(link("e", "10.0.0.1", ""))},
			want: "search corp.example \nnameserver 10.9.0.1\n", named: true},
		{name: "seven domains", links: []core.LinkDNS{link("e", "10.0.0.1", "a b c d e f g")},
			want: "search a b c d e f \nnameserver 10.0.0.1\n", named: true},
		{name: "no servers at all", links: []core.LinkDNS{link("e", "0.0.0.0 :: 224.0.0.251 ff02::fb 255.255.255.255 ::ffff:0.0.0.0", "")}},
		{name: "mapped", links: []core.LinkDNS{link("e", "::ffff:10.0.0.1 10.0.0.1", "")}, want: "nameserver 10.0.0.1\n", named: true},
		{name: "link-local", links: []core.LinkDNS{link("eth0", "fe80::1", "")}, want: "nameserver fe80::1%eth0\n", named: true},
		{name: "link-local with its zone", links: []core.LinkDNS{link("eth0", "fe80::1%br0", "")}, want: "nameserver fe80::1%br0\n", named: true},
		{name: "fallback", links: []core.LinkDNS{link("e", "::", "a.example")}, fallback: "1.1.1.1 0.0.0.0 fe80::1",
			want: "search a.example \nnameserver 1.1.1.1\n", named: true},
		{name: "no fallback beside a server", links: []core.LinkDNS{link("e", "10.0.0.1", "")}, fallback: "1.1.1.1", want: "nameserver 10.0.0.1\n", named: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, named := direct(tidy(tt.links), usableFallback(addrs(strings.Fields(tt.fallback)...)))
			if got != header+tt.want || named != tt.named {
				t.Errorf("got %q, %v\nwant %q, %v", got, named, header+tt.want, tt.named)
			}
		})
	}
}

// Whatever the domains are, no line begins that we did not mean.
func TestDomainsCannotAddLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := link("e", "10.0.0.1", "")
		l.DNS.Domains = rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"a\nnameserver 6.6.6.6", "a b", "", "#"}))).Draw(t, "domains")
		text, _ := direct(tidy([]core.LinkDNS{l}), nil)
		lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, header), "\n"), "\n")
		if len(lines) == 2 && strings.HasPrefix(lines[0], "search ") {
			lines = lines[1:]
		}
		if len(lines) != 1 || lines[0] != "nameserver 10.0.0.1" {
			t.Fatalf("wrote %q", text)
		}
	})
}
