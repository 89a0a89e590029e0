package resolver

import (
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/loop"
	"net.connman/pkg/netcfg"
)

// TestHowServersAreAsked: what a link says counts more than the configuration.
func TestHowServersAreAsked(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	server := &fakeServer{}
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	r := New(Config{
		Loop: l, Log: log, Backend: Proxy, File: os.DevNull, Server: server, Service: &fakeService{},
		Asking: Asking{TLS: netcfg.Opportunistic, ServeStale: true, RandomCase: true, Names: map[netip.Addr]string{a: "a.example", b: "b.example"}},
	})
	r.Begin()
	strict := link("eth1", "192.0.2.1", "")
	strict.DNS.TLS, strict.DNS.Names = netcfg.Strict, map[netip.Addr]string{a: "own.example"}
	r.Set([]core.LinkDNS{link("eth0", "192.0.2.1", ""), strict}, []netip.Addr{b})
	l.Wait()
	c := server.config
	if !c.ServeStale || !c.Randomize0x20 || c.Fallback.TLS != netcfg.Opportunistic || c.Fallback.Names[b] != "b.example" {
		t.Errorf("the proxy has %+v", c)
	}
	if s := c.Scopes[0]; s.TLS != netcfg.Opportunistic || s.Names[a] != "a.example" {
		t.Errorf("a link that says nothing: %+v", s)
	}
	if s := c.Scopes[1]; s.TLS != netcfg.Strict || s.Names[a] != "own.example" || s.Names[b] != "b.example" {
		t.Errorf("a link that says how: %+v", s)
	}
}

func TestTLSNeedsTheProxy(t *testing.T) {
	for mode, warned := range map[netcfg.DNSOverTLS]bool{netcfg.Strict: true, netcfg.Opportunistic: true, netcfg.ClearText: false, "": false} {
		var logged strings.Builder
		log := slog.New(slog.NewTextHandler(&logged, nil))
		New(Config{Loop: loop.New(log), Log: log, Backend: Direct, Asking: Asking{TLS: mode}})
		if strings.Contains(logged.String(), "no DNS over TLS") != warned {
			t.Errorf("%q: logged %q", mode, logged.String())
		}
	}
}
