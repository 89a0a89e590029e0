package core

import (
	"strings"
	"testing"

	"net.connman/pkg/netcfg"
)

// Of a VPN that takes everything and names no DNS server it is said, once, who is
// asked instead.
func TestVPNWithoutDNS(t *testing.T) {
	const warning = "names no DNS server"
	for _, test := range []struct {
		split, named bool
		want         int
	}{{false, false, 1}, {false, true, 0}, {true, false, 0}} {
		cfg := defaults()
		cfg.FallbackNameservers = []string{"192.0.2.53"}
		inWorld(t, cfg, func(w *world) {
			f := w.addVPN("office")
			w.online("eth0", "10.0.0.2/24", "10.0.0.1")
			w.do(func() {
				f.network.service.setSplit(test.split)
				f.network.service.Connect(":1.7", func(error) {})
			})
			for mtu := range 2 { // the second tells of a change
				tunnel := office()
				tunnel.MTU = 1400 + mtu
				if !test.named {
					tunnel.DNS = netcfg.DNSConfig{}
				}
				f.open(tunnel)
				f.want(Ready)
			}
			w.do(func() {
				said := w.said.warnings.String()
				if strings.Count(said, warning) != test.want || strings.Count(said, "192.0.2.53") != test.want {
					t.Errorf("split %t, server named %t: %s", test.split, test.named, said)
				}
			})
		})
	}
}
