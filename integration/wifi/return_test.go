//go:build vm

package wifi

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
)

// become gives the house's router another hardware address: to the machine that is
// another router, though its network and its own address are called the same.
func (s *session) become(address net.HardwareAddr) {
	s.t.Helper()
	bridge, err := s.house.Netlink.LinkByName("home")
	must(s.t, err)
	must(s.t, s.house.Netlink.LinkSetHardwareAddr(bridge, address))
}

// question is who asks which station for somebody's hardware address (RFC 826).
type question struct {
	by, to string // hardware addresses
	who    netip.Addr
}

// questions hears what is asked in the house, until the test ends.
func (s *session) questions() <-chan question {
	s.t.Helper()
	var socket *os.File
	must(s.t, s.house.Do(func() error {
		// What is for others the bridge takes, except from who hears everything.
		const all = unix.ETH_P_ALL << 8 // in network order
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
		if err == nil {
			socket = os.NewFile(uintptr(fd), "ARP")
		}
		return err
	}))
	heard := make(chan question, 1<<12)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			frame := make([]byte, 1514)
			n, err := socket.Read(frame)
			if err != nil {
				return
			}
			const header, request = 14, 1
			if frame = frame[:n]; n >= header+28 && binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_ARP &&
				binary.BigEndian.Uint16(frame[header+6:]) == request {
				heard <- question{
					by: net.HardwareAddr(frame[6:12]).String(), to: net.HardwareAddr(frame[:6]).String(),
					who: netip.AddrFrom4([4]byte(frame[header+24:])),
				}
			}
		}
	}()
	s.t.Cleanup(func() {
		socket.Close()
		<-ended
	})
	return heard
}

// wantAsked waits until the machine asks a station for the router.
func (s *session) wantAsked(questions <-chan question, station net.HardwareAddr) {
	s.t.Helper()
	want := question{strings.ToLower(s.address()), station.String(), netip.MustParseAddr("10.77.0.1")}
	deadline := time.After(patience)
	for {
		select {
		case q := <-questions:
			if q == want {
				return
			}
		case <-deadline:
			s.t.Fatalf("not asked: %v", want)
		}
	}
}

// scans hears where the machine's kernel has looked for networks, scan by scan, until
// the test ends.
func (s *session) scans() <-chan string {
	s.t.Helper()
	read, write, err := os.Pipe()
	must(s.t, err)
	cmd := exec.Command(peer("iw/sbin/iw"), "event")
	cmd.Stdout = write
	p, err := s.machine.Start(cmd)
	write.Close()
	must(s.t, err)
	scans := make(chan string, 1<<10)
	go func() {
		defer close(scans)
		lines := bufio.NewScanner(read)
		for lines.Scan() {
			if _, what, ok := strings.Cut(lines.Text(), "scan finished: "); ok {
				scans <- what
			}
		}
	}()
	s.t.Cleanup(func() {
		p.Kill()
		read.Close()
	})
	return scans
}

// wantScan waits until the machine has looked at some frequencies.
func (s *session) wantScan(scans <-chan string, frequencies string) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case where := <-scans:
			if strings.HasPrefix(where, frequencies) {
				return
			}
		case <-deadline:
			s.t.Fatalf("no scan of %s", frequencies)
		}
	}
}

// request waits for a DHCP request that the house hears after those before from.
func (s *session) request(from int, match func(*dhcpv4.DHCPv4) bool) *dhcpv4.DHCPv4 {
	s.t.Helper()
	ctx, cancel := s.patient()
	defer cancel()
	request, err := s.router.DHCP.Wait(ctx, from, match)
	must(s.t, err)
	return request
}

// addresses are the machine's IPv4 addresses in the house.
func (s *session) addresses() (all []string) {
	s.t.Helper()
	wlan, err := s.machine.Netlink.LinkByName("wlan0")
	must(s.t, err)
	addrs, err := s.machine.Netlink.AddrList(wlan, netlink.FAMILY_V4)
	must(s.t, err)
	for _, a := range addrs {
		all = append(all, a.IP.String())
	}
	return all
}

// The machine looks first where known networks were. When an access point comes back,
// it asks the server to confirm the lease (RFC 2131, 3.2) and the router who it is: whose
// word is enough while the server is silent (RFC 4436). Of another router it takes no
// word for that.
func TestReturn(t *testing.T) {
	s := start(t)
	known, other := net.HardwareAddr{2, 0x77, 4, 0, 0, 1}, net.HardwareAddr{2, 0x77, 4, 0, 0, 2}
	t.Cleanup(func() { s.silent.Store(false) })
	config := pskNetwork("Harbour", "correct horse") + "channel=6\n"
	ap := s.accessPoint("wlan1", config)
	s.become(known)
	path := s.join("Harbour", "psk")
	s.wantState(path, "online") // by then the machine knows the router, too
	before := s.addresses()
	away := func() {
		t.Helper()
		s.silent.Store(true)
		ap.stop()
		s.wantSeen(path, false)
	}
	anything := func(*dhcpv4.DHCPv4) bool { return true }
	scans, questions := s.scans(), s.questions()

	from := len(s.router.DHCP.Heard())
	away()
	s.wantScan(scans, "2437, ") // and nothing else
	ap.start(config)
	s.wantAsked(questions, known)
	s.wantState(path, "ready", "online")
	first := s.request(from, anything)
	if first.MessageType() != dhcpv4.MessageTypeRequest || !slices.Equal(before, []string{first.RequestedIPAddress().String()}) ||
		first.ServerIdentifier() != nil || !first.ClientIPAddr.IsUnspecified() {
		t.Errorf("at first the server was asked %s", first.Summary())
	}
	if now := s.addresses(); !slices.Equal(now, before) {
		t.Errorf("the machine has %v, want %v", now, before)
	}

	away()
	s.become(other)
	from = len(s.router.DHCP.Heard())
	ap.start(config)
	s.wantAsked(questions, known)
	s.request(from, func(r *dhcpv4.DHCPv4) bool { return r.MessageType() == dhcpv4.MessageTypeDiscover })
	p, err := s.properties(path, "Service")
	must(t, err)
	if now := s.addresses(); len(now) > 0 || p["State"].Value() != "configuration" {
		t.Errorf("with another router the state is %v, the addresses are %v", p["State"], now)
	}
	s.silent.Store(false)
	s.connected("Harbour", "psk")

	must(t, s.daemon.Stop(patience))
	recorder := s.follow()
	s.run()
	ctx, cancel := s.patient()
	defer cancel()
	scan, err := recorder.Wait(ctx, 0, func(m *dbus.Message) bool {
		return m.Type == dbus.TypeMethodCall && lab.Header(m, dbus.FieldInterface) == wpaLink && lab.Header(m, dbus.FieldMember) == "Scan"
	})
	must(t, err)
	about := scan.Message.Body[0].(map[string]dbus.Variant)
	if where := fmt.Sprint(about["Channels"].Value()); where != "[[2437 20]]" {
		t.Errorf("after its start the daemon had %s looked at", where)
	}
	s.connected("Harbour", "psk")
}
