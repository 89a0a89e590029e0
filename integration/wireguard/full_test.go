//go:build vm

package wireguard

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/miekg/dns"

	"net.connman/integration/home"
	"net.connman/integration/lab"
)

// internet6 is an address in the Internet that the router has, and uplink6 the
// network of the home.
const (
	internet6 = "2001:db8:ffff::1"
	uplink6   = "2001:db8:77::"
)

// A full tunnel takes everything: neither a question to a name server nor a packet
// of either family leaves beside it, also while the peer is away and when it comes
// back, and even if the tunnel has no IPv6 of its own.
func TestFull(t *testing.T) {
	tests := []struct {
		name, address, allowed string
		six                    bool
	}{
		{"both families", "10.9.0.2/24, 2001:db8:9::2/64", "0.0.0.0/0, ::/0", true},
		{"IPv4 only", "10.9.0.2/24", "0.0.0.0/0", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.giveIPv6()
			office := w.peer("office", 51820, nil, machineAddresses, "10.9.0.1/24", "2001:db8:9::1/64")
			w.serveNames("10.9.0.1")
			c := w.create(w.settings(office, map[string]string{
				"WireGuard.Address": test.address, "WireGuard.AllowedIPs": test.allowed, "WireGuard.DNS": "10.9.0.1",
			}))
			must(t, w.ask("before.test", home.Address.Addr()))
			c.connect()
			w.reach("10.50.0.1")
			must(t, lab.Eventually(patience, func() error { return w.ask("tunnel.test", netip.MustParseAddr("10.50.0.1")) }))
			capture := w.capture()
			w.useAll(test.six)
			office.leave()
			if w.ask("away.test", netip.MustParseAddr("10.50.0.1")) == nil || w.ping(internet6) == nil || w.ping("10.50.0.1") == nil {
				t.Error("somebody answers while the peer is away")
			}
			office.comeBack()
			w.reach("10.50.0.1")
			w.useAll(test.six)
			if leaks := capture.end(); leaks != "" {
				t.Errorf("beside the tunnel went\n%s%s%s", leaks, w.ip("-4 route"), w.ip("-6 route"))
			}
			c.disconnect()
			w.reach(internet6)
			must(t, lab.Eventually(patience, func() error { return w.ask("after.test", home.Address.Addr()) }))
		})
	}
}

// giveIPv6 gives the home IPv6, with all of the Internet behind the router.
func (w *world) giveIPv6() {
	w.t.Helper()
	for link, address := range map[string]string{"lo": internet6 + "/128", "home": uplink6 + "1/64"} {
		l, err := w.Gateway.Netlink.LinkByName(link)
		must(w.t, err)
		must(w.t, lab.End{Host: w.Gateway, Link: l}.AddAddr(address))
	}
	configuration := map[string]dbus.Variant{
		"Method": dbus.MakeVariant("manual"), "Address": dbus.MakeVariant(uplink6 + "2"),
		"PrefixLength": dbus.MakeVariant(byte(64)), "Gateway": dbus.MakeVariant(uplink6 + "1"),
	}
	must(w.t, w.call("net.connman", servicePath(ethernet), "net.connman.Service.SetProperty",
		"IPv6.Configuration", dbus.MakeVariant(configuration)).Err)
	w.reach(internet6)
}

// useAll asks for a name and reaches for the Internet over both families.
func (w *world) useAll(six bool) {
	w.t.Helper()
	if err := w.ask(fmt.Sprintf("n%d.test", time.Now().UnixNano()), netip.MustParseAddr("10.50.0.1")); err != nil {
		w.t.Error(err)
	}
	if err := w.ping("10.50.0.1"); err != nil {
		w.t.Error(err)
	}
	if err := w.ping(internet6); (err == nil) != six {
		w.t.Errorf("IPv6 in the tunnel: %v", err)
	}
}

// serveNames runs a name server at the far end of the tunnel: every name is
// 10.50.0.1.
func (w *world) serveNames(address string) {
	w.t.Helper()
	var packets net.PacketConn
	must(w.t, w.Gateway.Do(func() (err error) {
		packets, err = net.ListenPacket("udp", address+":53")
		return err
	}))
	s := &dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(writer dns.ResponseWriter, question *dns.Msg) {
		reply := new(dns.Msg).SetReply(question)
		if q := question.Question[0]; q.Qtype == dns.TypeA {
			reply.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(10, 50, 0, 1),
			}}
		}
		_ = writer.WriteMsg(reply)
	})}
	started, ended := make(chan struct{}), make(chan error, 1)
	s.NotifyStartedFunc = func() { close(started) }
	go func() { ended <- s.ActivateAndServe() }()
	<-started
	w.t.Cleanup(func() {
		_ = s.Shutdown()
		<-ended
	})
}

// ask asks the machine's resolver for a name's address.
func (w *world) ask(name string, want netip.Addr) error {
	var got *dns.Msg
	var conn net.Conn
	err := w.Machine.Do(func() (err error) {
		conn, err = net.Dial("udp", "127.0.0.1:53")
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	question := new(dns.Msg).SetQuestion(name+".", dns.TypeA)
	got, _, err = (&dns.Client{Timeout: 5 * time.Second}).ExchangeWithConn(question, &dns.Conn{Conn: conn})
	if err != nil {
		return err
	}
	if len(got.Answer) == 1 {
		if a, ok := got.Answer[0].(*dns.A); ok && a.A.Equal(want.AsSlice()) {
			return nil
		}
	}
	return fmt.Errorf("%s is %v, want %v", name, got.Answer, want)
}

// capture is what comes from the machine beside the tunnel.
type capture struct {
	w    *world
	dump *lab.Process
	file string
}

// leaks is what must not come: questions to name servers, and packets to or from
// other than the local network and the tunnel's server. Packets to the router
// itself mark the end.
const leaks = "(port 53) or (icmp and dst host 10.77.0.1)" +
	" or (ip6 and not src net fe80::/10 and not src host :: and not dst net ff00::/8 and not dst net fe80::/10)" +
	" or (ip and not dst host " + server + " and not dst net 10.77.0.0/20 and not dst host 255.255.255.255 and not dst net 224.0.0.0/4)"

func (w *world) capture() *capture {
	w.t.Helper()
	c := &capture{w: w, file: filepath.Join(w.t.TempDir(), "capture")}
	file, err := os.Create(c.file)
	must(w.t, err)
	defer file.Close()
	cmd := exec.Command("tcpdump", "-n", "-l", "-p", "-Q", "in", "-i", w.Ports[0].Name(), leaks)
	cmd.Stdout = file
	c.dump, err = w.Gateway.Start(cmd)
	must(w.t, err)
	c.mark()
	return c
}

// mark waits until the dump has shown one more packet that marks a time.
func (c *capture) mark() {
	c.w.t.Helper()
	text, err := os.ReadFile(c.file)
	must(c.w.t, err)
	before := strings.Count(string(text), "> 10.77.0.1: ICMP")
	must(c.w.t, lab.Eventually(patience, func() error {
		if err := c.w.ping("10.77.0.1"); err != nil {
			return err
		}
		text, err := os.ReadFile(c.file)
		if err == nil && strings.Count(string(text), "> 10.77.0.1: ICMP") == before {
			err = fmt.Errorf("nothing is captured: %q", text)
		}
		return err
	}))
}

// end returns what should not have come.
func (c *capture) end() (found string) {
	c.w.t.Helper()
	c.mark()
	must(c.w.t, c.dump.Stop(patience))
	text, err := os.ReadFile(c.file)
	must(c.w.t, err)
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) != "" && !strings.Contains(line, "> 10.77.0.1: ICMP") {
			found += line
		}
	}
	return found
}
