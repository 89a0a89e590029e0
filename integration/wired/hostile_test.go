//go:build netns

package wired

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// guard begins to watch what an attack costs. What it returns ends that: the
// daemon must be alive, have grown by little, and rest once the attack is over.
func (w *world) guard() (end func()) {
	w.t.Helper()
	before, pid := usage(w.t, w.daemon.Pid()), w.daemon.Pid()
	return func() {
		w.t.Helper()
		select {
		case <-w.daemon.Done():
			w.t.Fatal("the daemon has ended")
		default:
		}
		// A daemon that has just answered its first call may still open the DNS
		// proxy's sockets.
		const observed, share, megabytes, descriptors = 5 * time.Second, 0.05, 4, 8
		start := usage(w.t, pid)
		watch(observed)
		after := usage(w.t, pid)
		if spin := (after.cpu - start.cpu).Seconds() / observed.Seconds(); spin > share {
			w.t.Errorf("%.0f %% of a processor while nothing is to be done", 100*spin)
		}
		if after.fds > before.fds+descriptors || after.anonymous > before.anonymous+megabytes {
			w.t.Errorf("descriptors %d → %d, anonymous memory %.1f → %.1f MB", before.fds, after.fds, before.anonymous, after.anonymous)
		}
		must(w.t, w.call(managerPath, "net.connman.Manager.GetProperties").Err)
	}
}

// TestHostileDHCPOptions puts into every answer what broke DHCP clients before:
// names for a shell, options of the wrong length, impossible routes. Nothing of
// it reaches the system, and nothing of it is sent back.
func TestHostileDHCPOptions(t *testing.T) {
	t.Parallel()
	names := []string{
		"a;touch /run/broken", "$(touch /run/broken)", "a\nnameserver 6.6.6.6", "../../etc/passwd",
		strings.Repeat("x", 255), "-rf", "\xff\xfe\x80", "a b", "", "..",
	}
	w, s := scripted(t, 1)
	var round atomic.Int32
	s.say(func(_, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if reply == nil {
			return nil
		}
		name := []byte(names[int(round.Load())%len(names)])
		short := name[:min(len(name), 40)] // all of them fit into a packet
		for code, value := range map[uint8][]byte{
			12: name, 15: name, 119: append([]byte{byte(len(name))}, short...), // host, domain, search list
			252: short, 114: short, // PAC, portal
			26: {1}, 28: {1, 2}, // MTU, broadcast
			42: {9}, 6: {10, 77, 0, 1, 0}, // time and name servers, cut
			121: {33, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 249: {0, 10}, 33: {1, 2, 3}, // routes
			108: {0, 0, 1, 0}, 58: {1}, 59: {}, 43: bytes.Repeat([]byte{1, 255}, 60),
		} {
			reply.Options[code] = value
		}
		return reply
	})
	w.start()
	guard := w.guard()
	for i := range names {
		round.Store(int32(i))
		must(t, w.Unplug())
		w.untilState(0, "")
		must(t, w.Plug())
		w.until("connected", w.allConnected)
	}
	must(t, expect("names", w.names(), "machine (none)"))
	if w.read("/run/broken") != "" || strings.Contains(w.resolv(), "6.6.6.6") {
		t.Error("a name was executed or written")
	}
	for _, m := range w.Router.DHCP.Heard() {
		for _, name := range names {
			if len(name) > 2 && bytes.Contains(m.ToBytes(), []byte(name)) {
				t.Errorf("%q came back in a %v", name, m.MessageType())
			}
		}
	}
	s.say(nil)
	must(t, w.Unplug())
	w.untilState(0, "")
	must(t, w.Plug())
	w.untilState(0, "online")
	guard()
}

// frames sends Ethernet frames with IPv4 in them out of a host's interface.
type frames struct{ fd, index int }

func (w *world) frames() frames {
	w.t.Helper()
	f := frames{index: w.Ports[0].Index()}
	must(w.t, w.Gateway.Do(func() (err error) {
		f.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}))
	w.t.Cleanup(func() { unix.Close(f.fd) })
	return f
}

func (f frames) send(t *testing.T, packet []byte) {
	t.Helper()
	to := &unix.SockaddrLinklayer{
		Ifindex: f.index, Halen: 6, Addr: [8]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		Protocol: binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP)),
	}
	must(t, unix.Sendto(f.fd, packet, 0, to))
}

// packet is an IPv4 packet with UDP to the client's port in it; edit may spoil
// it before the IP checksum is made.
func packet(payload []byte, edit func([]byte)) []byte {
	b := append(make([]byte, 28), payload...)
	b[0], b[8], b[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], net.IPv4(10, 77, 0, 1).To4())
	copy(b[16:], net.IPv4bcast.To4())
	binary.BigEndian.PutUint16(b[20:], 67)
	binary.BigEndian.PutUint16(b[22:], 68)
	binary.BigEndian.PutUint16(b[24:], uint16(len(b)-20))
	edit(b)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	return b
}

// TestHostileDHCPPackets answers each question with packets whose lengths lie,
// the right transaction in them, and with options cut after their length
// (CVE-2023-28488, CVE-2021-26676).
func TestHostileDHCPPackets(t *testing.T) {
	t.Parallel()
	w, s := scripted(t, 1)
	f := w.frames()
	s.say(func(request, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
		if reply == nil {
			return nil
		}
		good := reply.ToBytes()
		for _, total := range []uint16{0, 1, 19, 20, 27, 28, 0xffff} {
			f.send(t, packet(good, func(b []byte) { binary.BigEndian.PutUint16(b[2:], total) }))
		}
		for _, length := range []uint16{0, 7, 8, 0xffec, 0xffff} {
			f.send(t, packet(good, func(b []byte) { binary.BigEndian.PutUint16(b[24:], length) }))
		}
		f.send(t, packet(nil, func(b []byte) { b[0] = 0x4f }))
		for _, code := range []byte{1, 3, 6, 51, 53, 54, 121} {
			f.send(t, packet(append(bytes.Clone(good[:243]), code, 200), func([]byte) {}))
			f.send(t, packet(append(bytes.Clone(good[:243]), code), func([]byte) {}))
		}
		return reply
	})
	w.start()
	guard := w.guard()
	for range 3 {
		w.untilState(0, "online")
		w.untilAddress(0, "10.77.1.0/20")
		must(t, w.Unplug())
		w.untilState(0, "")
		must(t, w.Plug())
	}
	w.untilState(0, "online")
	for _, m := range w.Router.DHCP.Heard() {
		if id := m.ServerIdentifier(); id != nil && id.String() != "10.77.0.1" {
			t.Errorf("a %v names server %v, which never spoke", m.MessageType(), id)
		}
	}
	guard()
}

// TestForgedKernelMessages sends the daemon's netlink sockets news of links,
// addresses and routes that do not come from the kernel (CVE-2012-2320).
func TestForgedKernelMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	guard := w.guard()
	ports := w.netlinkPorts()
	if len(ports) == 0 {
		t.Fatal("the daemon has no route socket to attack")
	}
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index, link.Flags, link.Change = int32(w.Links[0].Index()), 0, 0xffffffff // down, without carrier
	must(t, w.Machine.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, kind := range []int{unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELROUTE} {
			request := nl.NewNetlinkRequest(kind, 0)
			request.AddData(link)
			for _, port := range ports {
				for range 100 {
					// A full queue is the sender's trouble.
					_ = unix.Sendto(fd, request.Serialize(), unix.MSG_DONTWAIT, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port})
				}
			}
		}
		return nil
	}))
	must(t, w.call(managerPath, "net.connman.Manager.GetProperties").Err)
	must(t, expect("state", text(w.service(0)["State"]), "online"))
	guard()
	must(t, w.Unplug()) // true news is still heard
	w.untilState(0, "")
}

// netlinkPorts are the addresses of the route sockets on the machine that hear
// multicasts.
func (w *world) netlinkPorts() (ports []uint32) {
	w.t.Helper()
	for _, columns := range w.netlinkTable() {
		var port uint32
		if _, err := fmt.Sscan(columns[2], &port); err == nil && columns[1] == "0" && port != 0 {
			ports = append(ports, port)
		}
	}
	return ports
}

// TestFloodOfWrongCalls: thousands of calls with wrong types and to wrong
// places are all answered with errors, in order, and the daemon is as before.
func TestFloodOfWrongCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	guard := w.guard()
	service := w.servicePath(0)
	calls := make(chan *dbus.Call, 10_000)
	for i := range cap(calls) / 5 {
		n := fmt.Sprint(i)
		for _, c := range []struct {
			path   dbus.ObjectPath
			method string
			args   []any
		}{
			{managerPath, "Manager.SetProperty", []any{"OfflineMode", val("yes")}},
			{service, "Service.SetProperty", []any{"IPv4.Configuration", val(map[string]dbus.Variant{"Method": val(uint32(7))})}},
			{service, "Service.SetProperty", []any{n}},
			{service, "Service.MoveBefore", []any{n}},
			{dbus.ObjectPath("/net/connman/service/x" + n), "Service.Connect", nil},
		} {
			w.bus.Object("net.connman", c.path).Go("net.connman."+c.method, 0, calls, c.args...)
		}
	}
	for range cap(calls) {
		select {
		case call := <-calls:
			if call.Err == nil {
				t.Errorf("%s %v succeeded", call.Method, call.Args)
			}
		case <-time.After(patience):
			t.Fatal("a call was never answered")
		}
	}
	must(t, expect("state", text(w.service(0)["State"]), "online"))
	guard()
}
