//go:build netns

package ipv6

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"net.connman/integration/lab"
)

// Addresses that servers give in these tests.
const (
	given1 = "2001:db8:1::100"
	given2 = "2001:db8:1::200"
)

// soon are the times of a lease that is renewed after 5 s, rebound after 8, and
// over after 20.
func soon(s stock) stock {
	s.t1, s.t2, s.preferred, s.valid = 5, 8, 18, 20
	return s
}

// waitLog waits until the daemon has logged something that the pattern matches
// so many times, and returns the last match.
func (w *world) waitLog(pattern string, times int) (last []string) {
	w.t.Helper()
	re := regexp.MustCompile(pattern)
	must(w.t, lab.Eventually(patience, func() error {
		all := re.FindAllStringSubmatch(w.log(), -1)
		if len(all) < times {
			return fmt.Errorf("%q is %d times in the log: %s", pattern, len(all), w.log())
		}
		last = all[len(all)-1]
		return nil
	}))
	return last
}

// waitNameserver waits until a name server is the service's only one.
func (w *world) waitNameserver(want string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		p, err := w.properties()
		if err != nil {
			return err
		}
		if got, _ := p["Nameservers"].Value().([]string); !slices.Equal(got, []string{want}) {
			return fmt.Errorf("name servers %v, want %s", got, want)
		}
		return nil
	}))
}

// share makes the machine one that shares its connection.
func (w *world) share() {
	w.t.Helper()
	must(w.t, w.machine.WriteFile("/etc/connman/main.conf",
		"[General]\nPersistentTetheringMode = true\nTetheringTechnologies = ethernet\n"))
	must(w.t, w.machine.WriteFile("/var/lib/connman/settings", "[Wired]\nEnable=true\nTethering=true\n"))
}

// A machine that shares its connection is delegated a prefix, beside an address
// or alone, keeps it over a restart and gives it back in the end. (RFC 8415,
// 6.3, 18.2.12 and 21.21)
func TestPrefixDelegation(t *testing.T) {
	t.Parallel()
	const delegated = `prefix delegated .*prefix=(2001:db8:100:(?:[0-9a-f]{0,2}00)?:?:/56) `
	for name, advertised := range map[string]string{"with an address": managed, "alone": informed} {
		t.Run(name, func(t *testing.T) {
			eachServer(t, func(w *world, s server) {
				w.share()
				s.run(w, stock{first: given1, last: given1, prefixes: true})
				w.radvd(w.gateway, advertised)
				w.start()
				prefix := w.waitLog(delegated, 1)[1]
				leases := w.gateway.Path(s.leases)
				w.waitFile(leases, strings.TrimSuffix(prefix, "/56"))
				if advertised == managed {
					w.waitAddress(given1)
				}
				w.waitNameserver("2001:db8:1::53")

				w.daemon.Signal(syscall.SIGUSR1)
				must(w.t, w.daemon.Wait(patience))
				w.start()
				if again := w.waitLog(delegated, 2)[1]; again != prefix {
					w.t.Errorf("delegated %s, then %s", prefix, again)
				}
				must(w.t, w.daemon.Stop(patience))
				w.waitFile(leases, s.released)
			})
		})
	}
}

// Nobody asks for a prefix where nothing is shared.
func TestNoPrefixWithoutUse(t *testing.T) {
	eachServer(t, func(w *world, s server) {
		s.run(w, stock{first: given1, last: given1, prefixes: true})
		w.radvd(w.gateway, managed)
		w.start()
		w.waitAddress(given1)
		if strings.Contains(w.read(w.gateway.Path(s.leases)), "2001:db8:100:") || strings.Contains(w.log(), "prefix delegated") {
			w.t.Error("was delegated a prefix")
		}
	})
}

// Stateless, from each server.
func TestInformation(t *testing.T) {
	eachServer(t, func(w *world, s server) {
		s.run(w, stock{})
		w.radvd(w.gateway, informed)
		w.start()
		w.waitAddress(slaac)
		w.waitNameserver("2001:db8:1::53")
	})
}

// An address of the server's at once, on a network that says nothing of who
// else is on the link. (RFC 8415, 18.2.1)
func TestRapidCommit(t *testing.T) {
	eachServer(t, func(w *world, s server) {
		s.run(w, stock{first: given1, last: given1, rapid: true})
		w.radvd(w.gateway, managed)
		w.start("-d", "connmand/internal/dhcp6/*")
		w.waitAddress(given1)
		w.waitState("ready")
		w.waitLog("from=soliciting to=bound", 1)
		if d := w.ipv6(); d["PrefixLength"].Value() != byte(128) {
			w.t.Errorf("IPv6 is %v", d)
		}
		if routes := w.ip("-6", "route", "show", network); routes != "" {
			w.t.Errorf("takes others to be on the link: %s", routes)
		}
	})
}

// A server that has no address left, and then has one. (RFC 8415, 18.2.9)
func TestServerWithoutAddresses(t *testing.T) {
	eachServer(t, func(w *world, s server) {
		p := s.run(w, stock{})
		w.radvd(w.gateway, managed)
		w.start("-d", "connmand/internal/dhcp6/*")
		w.waitLog("to=soliciting", 1)
		p.Kill()
		s.run(w, stock{first: given1, last: given1})
		w.waitAddress(given1)
	})
}

// The machine comes back to a network that was renumbered meanwhile: the server
// says that the address is of another link. (RFC 8415, 18.2.3)
func TestLeaseOfAnotherLink(t *testing.T) {
	eachServer(t, func(w *world, s server) {
		p := s.run(w, stock{first: given1, last: given1})
		w.radvd(w.gateway, managed)
		w.start("-d", "connmand/internal/dhcp6/*")
		w.waitAddress(given1)
		w.waitState("ready") // services are remembered from then on
		must(w.t, w.port.Down())
		w.waitNoAddress()
		p.Kill()
		w.addAddr(w.bridge, "2001:db8:2::1/64")
		s.run(w, stock{subnet: "2001:db8:2::/64", first: "2001:db8:2::7", last: "2001:db8:2::7"})
		must(w.t, w.port.Up())
		w.waitAddress("2001:db8:2::7")
		w.waitLog("from=confirming to=soliciting", 1)
		if list := w.addresses(); len(list) != 1 {
			w.t.Errorf("addresses %v", list)
		}
	})
}

// A server that dies between T1 and T2 and is back before the lease ends: the
// address stays. One that stays away: it goes, and comes back with the server.
// (RFC 8415, 18.2.4 and 18.2.5)
func TestServerDies(t *testing.T) {
	eachServer(t, func(w *world, s server) {
		have := soon(stock{first: given1, last: given1})
		p := s.run(w, have)
		w.radvd(w.gateway, managed)
		w.start("-d", "connmand/internal/dhcp6/*")
		w.waitAddress(given1)
		p.Kill()
		w.waitLog("from=bound to=renewing", 1)
		w.waitLog("from=renewing to=rebinding", 1)
		p = s.run(w, have)
		w.waitLog("from=rebinding to=bound", 1)
		w.waitAddress(given1)
		if strings.Contains(w.log(), "from=rebinding to=soliciting") {
			w.t.Error("the lease was lost meanwhile")
		}
		p.Kill()
		w.waitLog("from=renewing to=rebinding", 2)
		w.waitLog("from=rebinding to=soliciting", 1)
		w.waitNoAddress()
		s.run(w, have)
		w.waitAddress(given1)
	})
}

// What the server says of the rest when a lease is renewed is taken over.
func TestRenewalBringsNews(t *testing.T) {
	eachServer(t, func(w *world, s server) {
		p := s.run(w, soon(stock{first: given1, last: given1}))
		w.radvd(w.gateway, managed)
		w.start()
		w.waitAddress(given1)
		w.waitNameserver("2001:db8:1::53")
		p.Kill()
		s.run(w, soon(stock{first: given1, last: given1, dns: "2001:db8:1::54"}))
		w.waitNameserver("2001:db8:1::54")
		w.waitAddress(given1)
	})
}

// The server takes the address back and gives another in the same breath.
// (RFC 8415, 18.2.10.1)
func TestServerRenumbers(t *testing.T) {
	w := newWorld(t)
	p := w.kea(soon(stock{first: given1, last: given1}))
	w.radvd(w.gateway, managed)
	w.start("-d", "connmand/internal/dhcp6/*")
	w.waitAddress(given1)
	p.Kill()
	w.kea(soon(stock{first: given2, last: given2}))
	w.waitAddress(given2)
	must(t, lab.Eventually(patience, func() error {
		if list := w.addresses(); len(list) != 1 {
			return fmt.Errorf("addresses %v", list)
		}
		return nil
	}))
	if strings.Contains(w.log(), "from=rebinding to=soliciting") {
		t.Error("the lease was lost meanwhile")
	}
	w.waitState("ready")
}

// Routers change their minds: stateless, stateful, stateless again. A lease is
// lived out; then the client asks only for what routers still speak of.
// (RFC 4861, 4.2; RFC 4862, 5.5.2)
func TestFlagsChangeDuringALease(t *testing.T) {
	eachServer(t, func(w *world, s server) {
		have := soon(stock{first: given1, last: given1})
		p := s.run(w, have)
		router := w.radvd(w.gateway, informed)
		w.start("-d", "connmand/internal/dhcp6/*")
		w.waitNameserver("2001:db8:1::53")
		router.Kill()
		router = w.radvd(w.gateway, informedToo)
		w.waitAddress(given1)
		router.Kill()
		w.radvd(w.gateway, informed)
		w.waitLog("from=renewing to=bound", 2)
		w.waitAddress(given1)
		p.Kill()
		w.waitLog("from=renewing to=rebinding", 1)
		w.waitLog("from=stopped to=informing", 2)
		have.dns = "2001:db8:1::54"
		s.run(w, have)
		w.waitNameserver("2001:db8:1::54")
		w.waitAddress(slaac)
		if list := w.addresses(); len(list) != 1 {
			w.t.Errorf("addresses %v", list)
		}
	})
}
