//go:build netns

package vpn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

// TestNoLeaks has programs ask for names and send IPv6 packets all the time, and
// hears what leaves by the cables: nothing of that, from the moment when a VPN
// that takes everything is connected until the user disconnects it, whatever
// happens to the VPN meanwhile.
func TestNoLeaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	must(t, w.Ports[1].Down())
	w.office.set("Host", "vpn.office.test")
	w.run(lab.Ours())
	w.until(w.cable(0), "online")
	w.giveIPv6(0)
	programs := w.startPrograms()
	wire := w.capture()

	// Without the VPN all of it leaves by the cable: the capture hears it.
	must(t, lab.Eventually(patience, func() error {
		if wire.queries.Load() == 0 || wire.ipv6.Load() == 0 {
			return fmt.Errorf("%d queries and %d IPv6 packets by the cable", wire.queries.Load(), wire.ipv6.Load())
		}
		return nil
	}))

	must(t, w.call(servicePath(office), "Service.Connect").Err)
	w.until(office, "ready", "online")
	w.untilRoutes(toOffice, "default dev vpn0 scope link", w.low(0), toServer, refused, "2001:db8:77::/64 dev eth0 metric 256")
	w.settled(programs)
	quiet := func(what string) {
		t.Helper()
		programs.round(t, 20)
		if leaks := wire.leaks(); leaks != "" {
			t.Errorf("%s: %s", what, leaks)
		}
	}
	wire.reset()
	before := w.vpnd.far.queries.Load()
	quiet("connected")
	if w.vpnd.far.queries.Load() == before {
		t.Error("no query came out of the tunnel")
	}

	hold := make(chan struct{})
	w.vpnd.setConnect(func(c *connection, _ string) *dbus.Error {
		c.set("State", "configuration")
		<-hold
		c.establish()
		return nil
	})
	w.office.end("failure")
	w.until(office, "association")
	quiet("while it connects anew")
	w.resolves("vpn.office.test") // the server itself can be found
	must(t, lab.Eventually(patience, func() error {
		if wire.server.Load() == 0 {
			return errors.New("the question for the server's address did not leave by the cable")
		}
		return nil
	}))
	close(hold)
	w.until(office, "ready", "online")
	quiet("connected anew")

	must(t, w.Ports[1].Up())
	w.until(w.cable(1), "ready")
	w.giveIPv6(1)
	must(t, w.Ports[0].Down())
	w.until(office, "ready", "online")
	quiet("by the other cable")
	must(t, w.Ports[0].Up())
	must(t, w.Ports[1].Down())
	quiet("and back")
	w.until(office, "ready", "online")

	w.vpnd.close()
	quiet("without the VPN daemon")
	w.startVPN()
	w.until(office, "ready", "online")
	quiet("with another VPN daemon")

	w.daemon.Kill()
	quiet("without our daemon")
	w.run(lab.Ours())
	w.until(office, "ready", "online")
	quiet("taken over")

	must(t, w.call(servicePath(office), "Service.Disconnect").Err)
	must(t, lab.Eventually(patience, func() error {
		if wire.queries.Load() == 0 || wire.ipv6.Load() == 0 {
			return fmt.Errorf("%d queries and %d IPv6 packets by the cable", wire.queries.Load(), wire.ipv6.Load())
		}
		return nil
	}))
}

// settled waits until the machine's programs are past what they began before.
func (w *world) settled(p *programs) {
	w.t.Helper()
	before := w.vpnd.far.queries.Load()
	must(w.t, lab.Eventually(patience, func() error {
		if w.vpnd.far.queries.Load() < before+3 {
			return errors.New("no queries come out of the tunnel")
		}
		return nil
	}))
	p.round(w.t, 5)
}

func (d *vpnd) setConnect(connect func(*connection, string) *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.connect = connect
}

// farIPv6 is a machine beyond the router.
var farIPv6 = netip.MustParseAddrPort("[2001:db8:f::1]:9")

// giveIPv6 gives link i an address and a router of IPv6.
func (w *world) giveIPv6(i int) {
	w.t.Helper()
	must(w.t, w.call(servicePath(w.cable(i)), "Service.SetProperty", "IPv6.Configuration", dbus.MakeVariant(map[string]dbus.Variant{
		"Method": dbus.MakeVariant("manual"), "Address": dbus.MakeVariant(fmt.Sprintf("2001:db8:77:%d::2", i)),
		"PrefixLength": dbus.MakeVariant(byte(64)), "Gateway": dbus.MakeVariant(fmt.Sprintf("2001:db8:77:%d::1", i)),
	})).Err)
	bridge := lab.End{Host: w.Gateway}
	var err error
	bridge.Link, err = w.Gateway.Netlink.LinkByName("home")
	must(w.t, err)
	must(w.t, bridge.AddAddr(fmt.Sprintf("2001:db8:77:%d::1/64", i)))
}

// programs ask for names and send packets, again and again.
type programs struct {
	rounds atomic.Int64
	asks   net.Conn // to the machine's resolver
	sends  int      // a socket of IPv6
	quit   chan struct{}
	ended  sync.WaitGroup
}

func (w *world) startPrograms() *programs {
	w.t.Helper()
	p := &programs{quit: make(chan struct{})}
	must(w.t, w.Machine.Do(func() (err error) {
		if p.asks, err = net.Dial("udp", "127.0.0.1:53"); err != nil {
			return err
		}
		p.sends, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	w.t.Cleanup(func() {
		close(p.quit)
		p.ended.Wait()
		p.asks.Close()
		unix.Close(p.sends)
	})
	p.ended.Add(1)
	go p.run()
	return p
}

// run asks for another name each time: nothing is answered by a cache.
func (p *programs) run() {
	defer p.ended.Done()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	to := &unix.SockaddrInet6{Port: int(farIPv6.Port()), Addr: farIPv6.Addr().As16()}
	for {
		select {
		case <-p.quit:
			return
		case <-tick.C:
		}
		question, err := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.example.", p.rounds.Load()), dns.TypeA).Pack()
		if err == nil {
			_, _ = p.asks.Write(question) // nobody may be there
		}
		_ = unix.Sendto(p.sends, []byte("leak"), 0, to) // it may be refused
		p.rounds.Add(1)
	}
}

// round waits until the programs have tried n times more.
func (p *programs) round(t *testing.T, n int64) {
	t.Helper()
	end := p.rounds.Load() + n
	must(t, lab.Eventually(patience, func() error {
		if p.rounds.Load() < end {
			return errors.New("the programs are stuck")
		}
		return nil
	}))
}

// resolves asks the machine's resolver for the address of a name.
func (w *world) resolves(name string) {
	w.t.Helper()
	var conn net.Conn
	must(w.t, w.Machine.Do(func() (err error) {
		conn, err = net.Dial("udp", "127.0.0.1:53")
		return err
	}))
	defer conn.Close()
	client := &dns.Client{Timeout: patience}
	reply, _, err := client.ExchangeWithConn(new(dns.Msg).SetQuestion(name+".", dns.TypeA), &dns.Conn{Conn: conn})
	must(w.t, err)
	if len(reply.Answer) == 0 {
		w.t.Errorf("%s: %s", name, dns.RcodeToString[reply.Rcode])
	}
}

// wire hears what leaves the machine by its cables.
type wire struct {
	queries, ipv6, server atomic.Int64
	last                  atomic.Value // what leaked last, in words
	ended                 sync.WaitGroup
	fd                    int
}

func (w *world) capture() *wire {
	w.t.Helper()
	c := &wire{}
	everything := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	must(w.t, w.Machine.Do(func() (err error) {
		if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(everything)); err != nil {
			return err
		}
		return unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}))
	quit := make(chan struct{})
	w.t.Cleanup(func() {
		close(quit)
		c.ended.Wait()
		unix.Close(c.fd)
	})
	cables := map[int]bool{}
	for _, l := range w.Links {
		cables[l.Index()] = true
	}
	c.ended.Add(1)
	go c.run(cables, quit)
	return c
}

func (c *wire) run(cables map[int]bool, quit chan struct{}) {
	defer c.ended.Done()
	packet := make([]byte, 2048)
	for {
		select {
		case <-quit:
			return
		default:
		}
		n, from, err := unix.Recvfrom(c.fd, packet, 0)
		if err != nil {
			continue // nothing for a while
		}
		if f, ok := from.(*unix.SockaddrLinklayer); ok && f.Pkttype == unix.PACKET_OUTGOING && cables[f.Ifindex] {
			c.note(packet[:n])
		}
	}
}

// note counts what must not leave. What IPv6 needs on the cable itself (neighbour
// and router discovery, listener reports) stays on it.
func (c *wire) note(p []byte) {
	switch {
	case len(p) >= 28 && p[0] == 0x45 && (p[9] == unix.IPPROTO_UDP || p[9] == unix.IPPROTO_TCP) && binary.BigEndian.Uint16(p[22:]) == 53:
		c.noteQuery(p[28:])
	case len(p) >= 40 && p[0]>>4 == 6:
		dst := netip.AddrFrom16([16]byte(p[24:40]))
		if dst.IsMulticast() || dst.IsLinkLocalUnicast() || p[6] == unix.IPPROTO_ICMPV6 {
			return
		}
		c.ipv6.Add(1)
		c.last.Store("IPv6 to " + dst.String())
	}
}

func (c *wire) noteQuery(data []byte) {
	question := new(dns.Msg)
	name := "something"
	if question.Unpack(data) == nil && len(question.Question) > 0 {
		name = question.Question[0].Name
	}
	if name == "vpn.office.test." {
		c.server.Add(1)
		return
	}
	c.queries.Add(1)
	c.last.Store("a question for " + name)
}

func (c *wire) reset() {
	c.queries.Store(0)
	c.ipv6.Store(0)
	c.server.Store(0)
}

// leaks says what left, "" for nothing.
func (c *wire) leaks() string {
	if q, p := c.queries.Load(), c.ipv6.Load(); q > 0 || p > 0 {
		return fmt.Sprintf("%d queries and %d IPv6 packets left, the last was %v", q, p, c.last.Load())
	}
	return ""
}
