package router

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

var (
	macA = net.HardwareAddr{2, 0, 0, 0, 0, 0xa}
	macB = net.HardwareAddr{2, 0, 0, 0, 0, 0xb}
)

func newServer() *Server {
	return &Server{
		config: Config{
			Address: netip.MustParsePrefix("192.0.2.1/24"),
			First:   netip.MustParseAddr("192.0.2.100"),
			Count:   2,
			Lease:   time.Hour,
			Domain:  "home.test",
		},
		leases: map[string]netip.Addr{},
		former: map[string]netip.Addr{},
		taken:  map[netip.Addr]bool{},
	}
}

func message(t *testing.T, mac net.HardwareAddr, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(mac), dhcpv4.WithMessageType(kind)}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func requested(address string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(address)))
}

func chosen(server string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(server)))
}

func TestServerAnswers(t *testing.T) {
	const silence = dhcpv4.MessageTypeNone
	steps := []struct {
		name    string
		request *dhcpv4.DHCPv4
		kind    dhcpv4.MessageType
		address string
	}{
		{"first comes first", message(t, macA, dhcpv4.MessageTypeDiscover), dhcpv4.MessageTypeOffer, "192.0.2.100"},
		{"the offer is taken", message(t, macA, dhcpv4.MessageTypeRequest, requested("192.0.2.100"), chosen("192.0.2.1")), dhcpv4.MessageTypeAck, "192.0.2.100"},
		{"renewal", message(t, macA, dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(net.IPv4(192, 0, 2, 100))), dhcpv4.MessageTypeAck, "192.0.2.100"},
		{"a reboot elsewhere", message(t, macA, dhcpv4.MessageTypeRequest, requested("198.51.100.7")), dhcpv4.MessageTypeNak, "0.0.0.0"},
		{"the second client", message(t, macB, dhcpv4.MessageTypeDiscover), dhcpv4.MessageTypeOffer, "192.0.2.101"},
		{"it finds the address in use", message(t, macB, dhcpv4.MessageTypeDecline, requested("192.0.2.101"), chosen("192.0.2.1")), silence, ""},
		{"no address left", message(t, macB, dhcpv4.MessageTypeDiscover), silence, ""},
		{"the first gives its own back", message(t, macA, dhcpv4.MessageTypeRelease, chosen("192.0.2.1")), silence, ""},
		{"which the second gets", message(t, macB, dhcpv4.MessageTypeDiscover), dhcpv4.MessageTypeOffer, "192.0.2.100"},
		{"but it takes another server's", message(t, macB, dhcpv4.MessageTypeRequest, requested("192.0.2.200"), chosen("192.0.2.2")), silence, ""},
		{"configuration without an address", message(t, macA, dhcpv4.MessageTypeInform, dhcpv4.WithClientIP(net.IPv4(192, 0, 2, 9))), dhcpv4.MessageTypeAck, "0.0.0.0"},
	}
	s := newServer()
	for _, step := range steps {
		reply := s.reply(step.request)
		if reply == nil {
			if step.kind != silence {
				t.Fatalf("%s: silence, want %v", step.name, step.kind)
			}
			continue
		}
		if reply.MessageType() != step.kind || reply.YourIPAddr.String() != step.address {
			t.Errorf("%s: %v of %v, want %v of %s", step.name, reply.MessageType(), reply.YourIPAddr, step.kind, step.address)
		}
		if got := reply.ServerIdentifier().String(); got != "192.0.2.1" {
			t.Errorf("%s: server identifier %s", step.name, got)
		}
	}
}

// Who gave an address back gets the same again, whoever asks first.
func TestServerRemembersClients(t *testing.T) {
	s := newServer()
	for _, step := range []struct {
		mac     net.HardwareAddr
		kind    dhcpv4.MessageType
		address string // offered; "" for silence
	}{
		{macA, dhcpv4.MessageTypeDiscover, "192.0.2.100"},
		{macB, dhcpv4.MessageTypeDiscover, "192.0.2.101"},
		{macA, dhcpv4.MessageTypeRelease, ""},
		{macB, dhcpv4.MessageTypeRelease, ""},
		{macB, dhcpv4.MessageTypeDiscover, "192.0.2.101"},
		{macA, dhcpv4.MessageTypeDiscover, "192.0.2.100"},
	} {
		got := ""
		if reply := s.reply(message(t, step.mac, step.kind, chosen("192.0.2.1"))); reply != nil {
			got = reply.YourIPAddr.String()
		}
		if got != step.address {
			t.Errorf("%v of %v: %q, want %q", step.kind, step.mac, got, step.address)
		}
	}
}

func TestGrantTellsEverything(t *testing.T) {
	reply := newServer().reply(message(t, macA, dhcpv4.MessageTypeDiscover))
	if got := reply.Router()[0].String(); got != "192.0.2.1" {
		t.Errorf("router %s", got)
	}
	if got := reply.DNS()[0].String(); got != "192.0.2.1" {
		t.Errorf("name server %s", got)
	}
	if ones, _ := reply.SubnetMask().Size(); ones != 24 {
		t.Errorf("prefix length %d", ones)
	}
	if got := reply.IPAddressLeaseTime(0); got != time.Hour {
		t.Errorf("lease time %v", got)
	}
	if got := reply.DomainName(); got != "home.test" {
		t.Errorf("domain %q", got)
	}
}

func TestDatagramChecksums(t *testing.T) {
	from, to := netip.MustParseAddrPort("192.0.2.1:67"), netip.MustParseAddrPort("255.255.255.255:68")
	for _, payload := range []string{"", "x", "even", "odd"} {
		packet := datagram(from, to, []byte(payload))
		// A header that holds its own checksum adds up to nothing.
		if sum := fold(add(0, packet[:ipHeader])); sum != 0 {
			t.Errorf("payload %q: IP checksum is off by %#x", payload, sum)
		}
		if got := int(binary.BigEndian.Uint16(packet[2:])); got != len(packet) {
			t.Errorf("payload %q: total length %d of %d", payload, got, len(packet))
		}
		udp := packet[ipHeader:]
		sum := add(add(17+uint32(len(udp)), packet[12:16]), packet[16:20])
		if sum := fold(add(sum, udp)); sum != 0 {
			t.Errorf("payload %q: UDP checksum is off by %#x", payload, sum)
		}
	}
}
