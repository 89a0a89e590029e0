//go:build netns

package wired

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	"net.connman/integration/home"
	"net.connman/integration/lab"
)

// stream is a TCP connection from the machine to its router that carries data
// all the time.
type stream struct {
	conn  net.Conn
	ended chan error // by itself
}

// connect opens a stream through the link as it is now.
func (w *world) connect() *stream {
	w.t.Helper()
	var listener net.Listener
	must(w.t, w.Gateway.Do(func() (err error) {
		listener, err = net.Listen("tcp4", home.Address.Addr().String()+":0")
		return err
	}))
	go func() {
		defer listener.Close()
		if far, err := listener.Accept(); err == nil {
			_, _ = io.Copy(far, far) // until the stream ends
			far.Close()
		}
	}()
	s := &stream{ended: make(chan error, 1)}
	must(w.t, w.Machine.Do(func() (err error) {
		s.conn, err = net.Dial("tcp4", listener.Addr().String())
		return err
	}))
	go s.carry()
	return s
}

// carry sends a byte and waits for its echo, again and again.
func (s *stream) carry() {
	b := []byte{0}
	for {
		if _, err := s.conn.Write(b); err != nil {
			s.ended <- err
			return
		}
		if _, err := io.ReadFull(s.conn, b); err != nil {
			s.ended <- err
			return
		}
	}
}

// close ends the stream and objects when it had ended before.
func (s *stream) close() error {
	select {
	case err := <-s.ended:
		return fmt.Errorf("the TCP connection was interrupted: %w", err)
	default:
	}
	err := s.conn.Close()
	<-s.ended
	return err
}

// watchLosses collects the IPv4 addresses and routes that vanish from the
// machine until stop is called, which returns them.
func (w *world) watchLosses() (stop func() []string) {
	w.t.Helper()
	addresses, routes := make(chan netlink.AddrUpdate), make(chan netlink.RouteUpdate)
	var lost []string
	collected, done := make(chan struct{}), make(chan struct{})
	must(w.t, w.Machine.Do(func() error {
		return errors.Join(netlink.AddrSubscribe(addresses, done), netlink.RouteSubscribe(routes, done))
	}))
	go func() {
		defer close(collected)
		for addresses != nil || routes != nil {
			select {
			case a, open := <-addresses:
				if !open {
					addresses = nil
				} else if !a.NewAddr && a.LinkAddress.IP.To4() != nil {
					lost = append(lost, "address "+a.LinkAddress.String())
				}
			case r, open := <-routes:
				if !open {
					routes = nil
				} else if r.Type == unix.RTM_DELROUTE && r.Route.Family == netlink.FAMILY_V4 {
					lost = append(lost, "route "+r.Route.String())
				}
			}
		}
	}()
	return func() []string {
		close(done)
		<-collected
		return lost
	}
}

// nameservers are the servers that the user set for the service of link 0.
func (w *world) nameservers() []string {
	w.t.Helper()
	servers, _ := w.service(0)["Nameservers.Configuration"].Value().([]string)
	return servers
}

// TestKillKeepsSettingsAndConnections kills the daemon at random moments of
// its life. The next run finds every setting whole, as it was before or after
// the change under way; the live link never loses its address, its route or a
// byte of an open connection.
func TestKillKeepsSettingsAndConnections(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.startOnline()
	s, losses := w.connect(), w.watchLosses()
	w.set(0, "Nameservers.Configuration", []string{"10.77.0.1", "10.77.14.1"})
	w.until("settings", func() error {
		return expect("saved", strings.Count(w.read(stateDir+w.serviceID(0)+"/settings"), "10.77.0.1;10.77.14.1;"), 1)
	})
	last := []string{"10.77.0.1", "10.77.14.1"}
	for round := range 40 {
		next := []string{"10.77.0.1", fmt.Sprintf("10.77.14.%d", round+2)}
		w.bus.Object("net.connman", w.servicePath(0)).Go("net.connman.Service.SetProperty", dbus.FlagNoReplyExpected,
			nil, "Nameservers.Configuration", dbus.MakeVariant(next))
		watch(rand.N(40 * time.Millisecond))
		w.daemon.Kill()

		if round%2 == 1 { // and once more while it starts
			var err error
			w.daemon, err = lab.Ours().Run(w.Machine, w.Bus)
			must(t, err)
			watch(rand.N(60 * time.Millisecond))
			w.daemon.Kill()
		}
		w.start()
		w.untilState(0, "online")
		got := w.nameservers()
		if !slices.Equal(got, last) && !slices.Equal(got, next) {
			t.Fatalf("round %d: name servers are %v, want %v or %v", round, got, last, next)
		}
		last = got
	}
	if n := count(w.logged(), "corrupt"); n > 0 {
		t.Errorf("%d files were found corrupt", n)
	}
	if lost := losses(); len(lost) > 0 {
		t.Errorf("taken away meanwhile: %v", lost)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// TestDetachLeavesTheNetworkForTheNextRun ends the daemon as an upgrade of its
// package does: everything stays, and the next run goes on with it.
func TestDetachLeavesTheNetworkForTheNextRun(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.startOnline()
	s, losses := w.connect(), w.watchLosses()
	asked := len(w.Router.DHCP.Heard())
	for range 5 {
		w.daemon.Signal(syscall.SIGUSR1)
		must(t, w.daemon.Wait(patience))
		must(t, withAddress(w.Links[0]))
		must(t, expect("resolv.conf", w.resolv(), "search home.test\nnameserver 10.77.0.1"))
		w.start()
		w.untilState(0, "online")
	}
	for _, message := range w.Router.DHCP.Heard()[asked:] {
		if kind := message.MessageType(); kind != dhcpv4.MessageTypeRequest {
			t.Errorf("the server heard a %v", kind)
		}
	}
	if lost := losses(); len(lost) > 0 {
		t.Errorf("taken away meanwhile: %v", lost)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

// TestTermTakesEverythingBack: the lease is released on the wire, address and
// routes go, the link goes down and resolv.conf is what it was.
func TestTermTakesEverythingBack(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			w := newWorld(t, 1, nil)
			const before = "nameserver 203.0.113.53\n"
			must(t, w.Machine.WriteFile("/etc/resolv.conf", before))
			w.startOnline()
			leased, err := addresses(w.Links[0])
			must(t, err)
			asked := len(w.Router.DHCP.Heard())

			w.daemon.Signal(signal)
			must(t, w.daemon.Wait(patience))
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			release, err := w.Router.DHCP.Wait(ctx, asked, func(m *dhcpv4.DHCPv4) bool {
				return m.MessageType() == dhcpv4.MessageTypeRelease
			})
			must(t, err)
			if got := release.ClientIPAddr.String() + "/20"; got != leased[0] {
				t.Errorf("released %s, had %s", got, leased[0])
			}
			must(t, w.gone(w.Links[0]))
			link, err := w.Machine.Netlink.LinkByName("eth0")
			must(t, err)
			if link.Attrs().Flags&net.FlagUp != 0 {
				t.Error("the link is still up")
			}
			must(t, expect("resolv.conf", w.read("/etc/resolv.conf"), before))
		})
	}
}

// TestForeignConfigurationSurvives starts and ends the daemon on a link that
// somebody else has set up, as for a root file system on the network: what the
// daemon did not bring it does not take.
func TestForeignConfigurationSurvives(t *testing.T) {
	w := newWorld(t, 1, nil)
	link := w.Links[0]
	must(t, link.Up())
	must(t, link.AddAddr("10.77.9.9/20"))
	_, storage, err := net.ParseCIDR("198.51.100.0/24")
	must(t, err)
	must(t, w.Machine.Netlink.RouteAdd(&netlink.Route{
		LinkIndex: link.Index(), Dst: storage, Gw: home.Address.Addr().AsSlice(), Protocol: unix.RTPROT_STATIC,
	}))
	s := w.connect()
	foreign := func(when string) {
		t.Helper()
		has, err := addresses(link)
		must(t, err)
		if !slices.Contains(has, "10.77.9.9/20") {
			t.Errorf("%s: the foreign address is gone, there is %v", when, has)
		}
		routes, err := w.Machine.Netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: storage}, netlink.RT_FILTER_DST)
		must(t, err)
		if len(routes) != 1 {
			t.Errorf("%s: the foreign route is gone", when)
		}
	}
	w.startOnline()
	foreign("online")
	w.daemon.Signal(syscall.SIGUSR1)
	must(t, w.daemon.Wait(patience))
	foreign("after SIGUSR1")
	w.start()
	w.untilState(0, "online")
	w.daemon.Kill()
	w.start()
	w.untilState(0, "online")
	foreign("after a kill")
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
