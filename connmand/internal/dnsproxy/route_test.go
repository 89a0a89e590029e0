package dnsproxy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func scope(addr netip.AddrPort) Scope { return Scope{Servers: []netip.AddrPort{addr}} }

func TestDomainsGoToTheirScope(t *testing.T) {
	home, vpn, lab := scope(serverA), scope(serverB), scope(serverC)
	home.Domains = []string{"home.arpa", "corp.example"}
	vpn.Domains, vpn.Split = []string{"Corp.Example.", "10.in-addr.arpa"}, true
	lab.Domains, lab.Split, lab.Search = []string{"*.lab.corp.example"}, true, []string{"rack.example"}
	r := newRig(t, Config{Scopes: []Scope{home, vpn, lab}})
	for name, want := range map[string]netip.AddrPort{
		"www.example.":            serverA,
		"corp.example.":           serverA, // the first of two that name it
		"lab.corp.example.":       serverC,
		"a.b.LAB.corp.example.":   serverC,
		"xlab.corp.example.":      serverA,
		"1.2.3.10.in-addr.arpa.":  serverB,
		"a.rack.example.":         serverC,
		"x.home.arpa.":            serverA,
		".":                       serverA,
		strings.Repeat("a.", 126): serverA,
		"deep.1.in-addr.arpa.":    serverA,
	} {
		r.ask(question(name))
		if a := one(t, r.asked()); a.to() != want {
			t.Errorf("%s goes to %s", name, a.to())
		}
	}
}

// TestSplitNamesStayInside: nobody but the scope's own servers hears of its
// names, even if they are dead, and the scope hears of no others.
func TestSplitNamesStayInside(t *testing.T) {
	vpn := scope(serverB)
	vpn.Domains, vpn.Split = []string{"corp.example"}, true
	r := newRig(t, Config{Scopes: []Scope{scope(serverA), vpn}})
	for name, want := range map[string]netip.AddrPort{"a.corp.example.": serverB, "a.example.": serverA} {
		r.ask(question(name))
		for range 10 {
			for _, a := range r.asked() {
				if a.to() != want {
					t.Errorf("%s was told %s", a.to(), name)
				}
			}
			r.pass(patience / 10)
		}
		if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure {
			t.Errorf("%v", m)
		}
	}
}

func TestFallbackServers(t *testing.T) {
	vpn := scope(serverB)
	vpn.Domains, vpn.Split = []string{"corp.example"}, true
	c := Config{Scopes: []Scope{{}, vpn}, Fallback: Scope{Servers: []netip.AddrPort{netip.MustParseAddrPort("[::]:53"), serverC}}}
	r := newRig(t, c)
	r.ask(question("www.example."))
	if a := one(t, r.asked()); a.to() != serverC {
		t.Errorf("asked %s", a.to())
	}
	c.Scopes[0].Servers = []netip.AddrPort{serverA}
	var epochs uint32 = 10
	r.set(c, &epochs)
	if a := one(t, r.asked()); a.to() != serverA {
		t.Errorf("with a service, asked %s", a.to())
	}
}

func TestNobodyToAsk(t *testing.T) {
	r := newRig(t, Config{})
	r.ask(question("www.example."))
	if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure || !m.RecursionAvailable {
		t.Errorf("%v", m)
	}
}

// TestWhatAChangeForgets: answers hold for as long as their way does.
func TestWhatAChangeForgets(t *testing.T) {
	vpn := scope(serverC)
	vpn.Domains, vpn.Split = []string{"corp.example"}, true
	before := Config{Scopes: []Scope{scope(serverA), vpn}}
	kept := []string{"www.example.", "a.corp.example."}
	for name, tt := range map[string]struct {
		after Config
		want  []string // still known
	}{
		"nothing":             {before, kept},
		"a second service":    {Config{Scopes: []Scope{scope(serverA), scope(serverB), vpn}}, kept},
		"another default":     {Config{Scopes: []Scope{scope(serverB), scope(serverA), vpn}}, kept[1:]},
		"the VPN goes":        {Config{Scopes: []Scope{scope(serverA)}}, kept[:1]},
		"another VPN server":  {Config{Scopes: []Scope{scope(serverA), {Servers: []netip.AddrPort{serverB}, Domains: vpn.Domains, Split: true}}}, kept[:1]},
		"another link":        {Config{Scopes: []Scope{{Servers: []netip.AddrPort{serverA}, Link: "lo"}, vpn}}, kept[1:]},
		"a narrower domain":   {Config{Scopes: []Scope{scope(serverA), vpn, {Servers: []netip.AddrPort{serverB}, Domains: []string{"www.example"}}}}, kept[1:]},
		"all":                 {Config{}, nil},
		"a cache of new size": {Config{Scopes: before.Scopes, CacheBytes: 1 << 20}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var epochs uint32 = 10
			r := newRig(t, Config{})
			r.set(before, &epochs)
			for _, n := range kept {
				r.ask(question(n))
				a := one(t, r.asked())
				r.reply(a, answer(t, a.Msg, n+" 300 IN A 192.0.2.1"))
				one(t, r.answers())
			}
			r.set(tt.after, &epochs)
			var known []string
			for _, n := range kept {
				r.ask(question(n))
				if got := r.answers(); len(got) == 1 && len(got[0].Answer) == 1 {
					known = append(known, n)
				}
			}
			if strings.Join(known, " ") != strings.Join(tt.want, " ") {
				t.Errorf("known: %v, want %v", known, tt.want)
			}
		})
	}
}

// TestChangeInFlight: a question is asked anew where its way changed, and what
// the former server says is not heard any more.
func TestChangeInFlight(t *testing.T) {
	var epochs uint32 = 10
	r := newRig(t, Config{})
	r.set(Config{Scopes: []Scope{scope(serverA)}}, &epochs)
	r.ask(question("www.example."))
	old := one(t, r.asked())
	r.set(Config{Scopes: []Scope{scope(serverB)}}, &epochs)
	a := one(t, r.asked())
	if a.to() != serverB {
		t.Fatalf("asked %s", a.to())
	}
	r.reply(old, answer(t, old.Msg, "www.example. 300 IN A 192.0.2.66"))
	none(t, r.answers())
	r.reply(a, answer(t, a.Msg, "www.example. 300 IN A 192.0.2.1"))
	if m := one(t, r.answers()); m.Answer[0].(*dns.A).A[3] != 1 {
		t.Errorf("%v", m)
	}
	r.ask(question("other.example."))
	one(t, r.asked())
	r.set(Config{}, &epochs)
	if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("with nobody left: %v", m)
	}
	if n := len(r.e.flights.active); n != 0 {
		t.Errorf("%d questions in flight", n)
	}
}

func TestSearchDomains(t *testing.T) {
	vpn := scope(serverB)
	vpn.Split, vpn.Search = true, []string{"corp.example"}
	home := scope(serverA)
	home.Search = []string{"home.arpa", "."}
	r := newRig(t, Config{Scopes: []Scope{home, vpn}})
	const soa = "home.arpa. 900 IN SOA ns.example. root.example. 1 1 1 1 60"

	q := question("Printer.")
	q.SetEdns0(1232, false)
	r.ask(q)
	a := one(t, r.asked())
	if a.Question[0].Name != "Printer.home.arpa." || a.to() != serverA || a.IsEdns0() == nil {
		t.Fatalf("asked %s: %v", a.to(), a.Msg)
	}
	no := answer(t, a.Msg, "", soa)
	no.Rcode = dns.RcodeNameError
	r.reply(a, no)
	a = one(t, r.asked())
	if a.Question[0].Name != "Printer.corp.example." || a.to() != serverB {
		t.Fatalf("asked %s: %v", a.to(), a.Msg)
	}
	m := answer(t, a.Msg, "Printer.corp.example. 300 IN CNAME lp1.corp.example.", "lp1.corp.example. 60 IN A 192.0.2.1")
	m.Compress = true
	r.reply(a, m)
	want := []string{"Printer. 60 IN CNAME Printer.corp.example.", "Printer.corp.example. 300 IN CNAME lp1.corp.example.", "lp1.corp.example. 60 IN A 192.0.2.1"}
	for i := range 2 {
		got := one(t, r.answers())
		if got.Question[0].Name != "Printer." || len(got.Answer) != len(want) || got.IsEdns0() == nil || got.Id != q.Id {
			t.Fatalf("%d: %v", i, got)
		}
		for j, s := range want {
			if got.Answer[j].String() != rr(t, s).String() {
				t.Errorf("%d: %v, want %s", i, got.Answer[j], s)
			}
		}
		if i == 0 {
			r.ask(q) // the second time from the cache
			none(t, r.asked())
		}
	}
}

// TestSearchEndsWithTheNameItself, whatever the domains' servers say.
func TestSearchEndsWithTheNameItself(t *testing.T) {
	home := scope(serverA)
	home.Search = []string{"a.example", "b.example", strings.Repeat("long.", 50) + "example"}
	r := newRig(t, Config{Scopes: []Scope{home}})
	r.ask(question("dk."))
	a := one(t, r.asked())
	m := answer(t, a.Msg)
	m.Rcode = dns.RcodeServerFailure
	r.reply(a, m)
	a = one(t, r.asked())
	r.reply(a, answer(t, a.Msg, "other.example. 60 IN A 192.0.2.66"))
	a = one(t, r.asked())
	if a.Question[0].Name != "dk." {
		t.Fatalf("asked for %v", a.Question)
	}
	r.reply(a, answer(t, a.Msg, "dk. 60 IN A 192.0.2.1"))
	if m := one(t, r.answers()); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}

	for name, q := range map[string]*dns.Msg{
		"two labels": question("www.dk."),
		"root":       question("."),
		"servers":    new(dns.Msg).SetQuestion("dk.", dns.TypeNS),
		"DNSSEC":     question("dk.").SetEdns0(1232, true),
	} {
		r.ask(q)
		if a := one(t, r.asked()); a.Question[0] != q.Question[0] {
			t.Errorf("%s: asked for %v", name, a.Question)
		}
	}
}

func TestLocalNames(t *testing.T) {
	vpn := scope(serverB)
	vpn.Split, vpn.Domains = true, []string{"168.192.in-addr.arpa", "d.f.ip6.arpa", "localhost", "."}
	r := newRig(t, Config{Scopes: []Scope{scope(serverA), vpn}, Hostname: "Box", Domain: "home.arpa"})
	const loopback6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  string // of the answer; "" none of this type; "-" no such name; "?" is asked
	}{
		{"localhost.", dns.TypeA, "127.0.0.1"},
		{"LocalHost.", dns.TypeAAAA, "::1"},
		{"a.b.localhost.", dns.TypeA, "127.0.0.1"},
		{"localhost.", dns.TypeMX, ""},
		{"box.", dns.TypeA, "127.0.0.1"},
		{"box.HOME.arpa.", dns.TypeAAAA, "::1"},
		{"box.home.arpa.", dns.TypeTXT, ""},
		{"other.home.arpa.", dns.TypeA, "?"},
		{"1.0.0.127.in-addr.arpa.", dns.TypePTR, "localhost."},
		{loopback6, dns.TypePTR, "localhost."},
		{"1.0.0.127.in-addr.arpa.", dns.TypeTXT, ""},
		{"2.0.0.127.in-addr.arpa.", dns.TypePTR, "-"},
		{"1.1.1.10.in-addr.arpa.", dns.TypePTR, "-"},
		{"10.in-addr.arpa.", dns.TypeSOA, ""},
		{"1.1.15.172.in-addr.arpa.", dns.TypePTR, "?"},
		{"1.1.16.172.in-addr.arpa.", dns.TypePTR, "-"},
		{"1.1.31.172.in-addr.arpa.", dns.TypePTR, "-"},
		{"1.1.32.172.in-addr.arpa.", dns.TypePTR, "?"},
		{"1.1.64.100.in-addr.arpa.", dns.TypePTR, "-"},
		{"1.1.168.192.in-addr.arpa.", dns.TypePTR, "?"}, // claimed
		{"1.d.f.ip6.arpa.", dns.TypePTR, "?"},           // claimed
		{"1.8.e.f.ip6.arpa.", dns.TypePTR, "-"},
		{"1.c.e.f.ip6.arpa.", dns.TypePTR, "?"},
		{"8.8.8.8.in-addr.arpa.", dns.TypePTR, "?"},
		{"a.onion.", dns.TypeA, "-"},
		{"a.invalid.", dns.TypeA, "-"},
		{"invalid.example.", dns.TypeA, "?"},
	} {
		for _, edns := range []bool{false, true} {
			q := new(dns.Msg).SetQuestion(tt.name, tt.qtype)
			if edns {
				q.SetEdns0(1232, false)
			}
			r.ask(q)
			asked := r.asked()
			if tt.want == "?" {
				if got := r.answers(); len(got) != 0 {
					t.Errorf("%s: %v", tt.name, got)
				}
				continue
			}
			none(t, asked)
			m := one(t, r.answers())
			if m.Question[0] != q.Question[0] || m.Id != q.Id || (m.IsEdns0() != nil) != edns {
				t.Errorf("%s: %v", tt.name, m)
			}
			switch {
			case tt.want == "" || tt.want == "-":
				if len(m.Answer) != 0 || len(m.Ns) != 1 || (m.Rcode == dns.RcodeNameError) != (tt.want == "-") || !dns.IsSubDomain(m.Ns[0].Header().Name, tt.name) {
					t.Errorf("%s: %v", tt.name, m)
				}
			case len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "\t"+tt.want) || !strings.EqualFold(m.Answer[0].Header().Name, tt.name):
				t.Errorf("%s: %v, want %s", tt.name, m, tt.want)
			}
		}
	}
}
