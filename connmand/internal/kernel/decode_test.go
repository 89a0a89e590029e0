package kernel

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"net.connman/pkg/netcfg"
)

func noLink(int) Link { return Link{} }

// message builds the payload of a message: its fixed part in hexadecimal and
// attributes of type and value.
func message(fixed string, attrs ...any) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(fixed, " ", ""))
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(attrs); i += 2 {
		b = append(b, attribute(attrs[i].(int), attrs[i+1].(string))...)
	}
	return b
}

func attribute(kind int, value string) []byte {
	size := 4 + len(value)
	b := append([]byte{byte(size), byte(size >> 8), byte(kind), byte(kind >> 8)}, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

const (
	ethUp  = "00 00 0100 02000000 43100100 ffffffff" // ARPHRD_ETHER, index 2, up, running, lower up
	port   = "07 00 0100 02000000 43100100 ffffffff" // of a bridge
	addr4  = "02 18 80 00 02000000"
	route4 = "02 00 00 00 fe 43 00 01 00000000"
)

func TestDecodeLink(t *testing.T) {
	mac := "\x02\x00\x00\x00\x00\x01"
	vlan := string(attribute(unix.IFLA_INFO_KIND, "vlan\x00")) +
		string(attribute(unix.IFLA_INFO_DATA|unix.NLA_F_NESTED, string(attribute(unix.IFLA_VLAN_ID, "\x1a\x00"))))
	for name, c := range map[string]struct {
		payload []byte
		want    Link
		ok      bool
	}{
		"port": {
			message(ethUp, unix.IFLA_IFNAME, "eth0\x00", unix.IFLA_ADDRESS, mac, unix.IFLA_MTU, "\xdc\x05\x00\x00", unix.IFLA_MASTER, "\x07\x00\x00\x00"),
			Link{Index: 2, Name: "eth0", Type: TypeEther, HardwareAddr: mac, Up: true, Carrier: true, Running: true, MTU: 1500, Master: 7}, true,
		},
		"vlan": {
			message(ethUp, unix.IFLA_IFNAME, "v\x00", unix.IFLA_LINK, "\x09\x00\x00\x00", unix.IFLA_LINKINFO, vlan),
			Link{Index: 2, Name: "v", Kind: "vlan", VLAN: 26, Parent: 9, Type: TypeEther, Up: true, Carrier: true, Running: true}, true,
		},
		"port leaving a bridge": {message(port, unix.IFLA_IFNAME, "eth0\x00"), Link{}, false},
		"wireless event":        {message(ethUp, unix.IFLA_IFNAME, "wlan0\x00", unix.IFLA_WIRELESS, "abcd"), Link{}, false},
		"no name":               {message(ethUp), Link{}, false},
	} {
		got, ok, err := decodeLink(c.payload, noLink)
		if err != nil || ok != c.ok || ok && got != c.want {
			t.Errorf("%s is %+v, %t, %v; want %+v, %t", name, got, ok, err, c.want, c.ok)
		}
	}
}

func TestDecodeAddr(t *testing.T) {
	want := Addr{Index: 2, Addr: netcfg.Addr{
		Prefix:    netip.MustParsePrefix("10.0.0.2/24"),
		Broadcast: netip.MustParseAddr("10.0.0.255"),
	}, Protocol: 67}
	got, ok, err := decodeAddr(message(addr4, unix.IFA_LOCAL, "\x0a\x00\x00\x02", unix.IFA_ADDRESS, "\x0a\x00\x00\x02",
		unix.IFA_BROADCAST, "\x0a\x00\x00\xff", ifaProto, "C"))
	if err != nil || !ok || got != want {
		t.Errorf("got %+v, %t, %v", got, ok, err)
	}
	want = Addr{Index: 2, Temporary: true, Addr: netcfg.Addr{
		Prefix: netip.MustParsePrefix("10.0.0.2/24"),
		Peer:   netip.MustParseAddr("10.9.9.9"),
	}}
	got, ok, err = decodeAddr(message("02 18 00 00 02000000", unix.IFA_LOCAL, "\x0a\x00\x00\x02", unix.IFA_ADDRESS, "\x0a\x09\x09\x09"))
	if err != nil || !ok || got != want {
		t.Errorf("got %+v, %t, %v", got, ok, err)
	}
}

func TestDecodeRoute(t *testing.T) {
	oif := "\x02\x00\x00\x00"
	want := Route{Index: 2, Protocol: 67, Route: netcfg.Route{
		Dst:     netip.MustParsePrefix("0.0.0.0/0"),
		Gateway: netip.MustParseAddr("10.0.0.1"),
		Metric:  5,
	}}
	got, ok, err := decodeRoute(message(route4, unix.RTA_OIF, oif, unix.RTA_GATEWAY, "\x0a\x00\x00\x01", unix.RTA_PRIORITY, "\x05\x00\x00\x00"))
	if err != nil || !ok || got != want {
		t.Errorf("got %+v, %t, %v", got, ok, err)
	}
	for name, payload := range map[string][]byte{
		"multicast":   message("02 00 00 00 fe 43 00 05 00000000", unix.RTA_OIF, oif),
		"copy":        message("02 00 00 00 fe 43 00 01 00020000", unix.RTA_OIF, oif),
		"local table": message("02 00 00 00 ff 43 00 01 00000000", unix.RTA_OIF, oif),
		"multipath":   message(route4, unix.RTA_MULTIPATH, "12345678"),
		"no link":     message(route4),
	} {
		if got, ok, err := decodeRoute(payload); ok || err != nil {
			t.Errorf("%s: got %+v, %t, %v", name, got, ok, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, datagram := range map[string][]byte{
		"a stump":            {1, 2, 3},
		"length below 16":    message("08000000 1000 0000 00000000 00000000"),
		"length beyond":      message("ff000000 1000 0000 00000000 00000000"),
		"payload too short":  message("14000000 1000 0000 00000000 00000000 00000000"),
		"attribute too long": message("24000000 1000 0000 00000000 00000000" + ethUp + "ff000300"),
	} {
		h, payload, _, err := nextMessage(datagram)
		if err == nil {
			_, err = decode(h, payload, noLink)
		}
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzDatagram(f *testing.F) {
	for _, kind := range []uint16{unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_NEWROUTE, unix.NLMSG_ERROR} {
		for _, payload := range [][]byte{
			message(ethUp, unix.IFLA_IFNAME, "eth0\x00", unix.IFLA_LINKINFO, string(attribute(unix.IFLA_INFO_KIND, "vlan\x00"))),
			message(addr4, unix.IFA_LOCAL, "\x0a\x00\x00\x02"),
			message(route4, unix.RTA_OIF, "\x02\x00\x00\x00"),
		} {
			b := append(make([]byte, unix.SizeofNlMsghdr), payload...)
			putHeader(b, header{kind: kind})
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			h, payload, rest, err := nextMessage(b)
			if err != nil {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			event, err := decode(h, payload, noLink)
			if err != nil && event != nil {
				t.Fatalf("both %+v and %v", event, err)
			}
			switch e := event.(type) {
			case AddrChanged:
				if !e.Addr.Prefix.IsValid() {
					t.Fatalf("invalid prefix in %+v", e)
				}
			case RouteAdded:
				if !e.Route.Dst.IsValid() {
					t.Fatalf("invalid destination in %+v", e)
				}
			}
			b = rest
		}
	})
}
