package wireguard

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

// Those of vpn-config-format.txt's example, and more.
const (
	privateKey = "qKIj010hDdWSjQQyVCnEgthLXusBgm3I6HWrJUaJymc="
	ownKey     = "zzqUfWGIil6QxrAGz77HE5BGUEdD2PgHYnCg3CDKagE=" // which the example has as its peer's
	publicKey  = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
	otherKey   = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
	sharedKey  = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
)

// example is the connection that the documentation shows, changed by pairs of
// keys and values; "" takes a key away.
func example(changes ...string) core.Settings {
	s := core.Settings{
		Text: map[string]string{
			"Host": "3.2.5.6", "WireGuard.Address": "10.2.0.2/24", "WireGuard.ListenPort": "47824",
			"WireGuard.DNS": "10.2.0.1", "WireGuard.PublicKey": publicKey,
			"WireGuard.AllowedIPs": "0.0.0.0/0, ::/0", "WireGuard.EndpointPort": "51820",
		},
		Secrets: map[string]logx.Secret{"WireGuard.PrivateKey": privateKey},
	}
	for i := 0; i < len(changes); i += 2 {
		key, value := changes[i], changes[i+1]
		delete(s.Text, key)
		delete(s.Secrets, key)
		switch {
		case value == "":
		case strings.HasSuffix(key, "PrivateKey"), strings.HasSuffix(key, "PresharedKey"):
			s.Secrets[key] = logx.Secret(value)
		default:
			s.Text[key] = value
		}
	}
	return s
}

func mustKey(t *testing.T, text string) wgtypes.Key {
	t.Helper()
	key, err := wgtypes.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParse(t *testing.T) {
	c, err := parse(example("WireGuard.Address", "10.2.0.2/24,2001:db8::2/64", "WireGuard.DNS", "10.2.0.1 2001:db8::1, office.test",
		"WireGuard.PresharedKey", sharedKey, "WireGuard.PersistentKeepalive", "25", "VPN.MTU", "1380",
		"WireGuard.Peer7.PublicKey", otherKey, "WireGuard.Peer7.AllowedIPs", "10.9.1.1/16",
		"WireGuard.Peer7.Endpoint", "[2001:db8:1::1]:1000"))
	if err != nil {
		t.Fatal(err)
	}
	if c.private != mustKey(t, privateKey) || c.port != 47824 || c.mtu != 1380 {
		t.Error("the link's own settings are wrong")
	}
	if got, want := fmt.Sprint(c.addresses.v4, c.addresses.v6), "10.2.0.2/24 2001:db8::2/64"; got != want {
		t.Errorf("addresses are %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(c.dns.Servers, c.dns.Domains), "[10.2.0.1 2001:db8::1] [office.test]"; got != want {
		t.Errorf("name service is %s, want %s", got, want)
	}
	if len(c.peers) != 2 {
		t.Fatalf("%d peers, want 2", len(c.peers))
	}
	first, second := c.peers[0], c.peers[1]
	if first.public != mustKey(t, publicKey) || *first.preshared != mustKey(t, sharedKey) ||
		first.keepalive != 25*time.Second || first.endpoint != (endpoint{"3.2.5.6", 51820}) {
		t.Error("the first peer is wrong")
	}
	if second.public != mustKey(t, otherKey) || second.preshared != nil || second.endpoint != (endpoint{"2001:db8:1::1", 1000}) ||
		fmt.Sprint(second.allowed) != "[10.9.0.0/16]" {
		t.Error("the second peer is wrong")
	}
}

// What is missing has the values that the original gives it.
func TestDefaults(t *testing.T) {
	c, err := parse(example("WireGuard.EndpointPort", "", "WireGuard.ListenPort", "", "WireGuard.DNS", ""))
	if err != nil || c.peers[0].endpoint.port != 51820 || c.port != 0 || len(c.dns.Servers) != 0 {
		t.Errorf("port %d, listens at %d, servers %v, error %v", c.peers[0].endpoint.port, c.port, c.dns.Servers, err)
	}
}

func TestWrongSettings(t *testing.T) {
	many := strings.Repeat("10.0.0.0/8,", maxAllowed+1)
	tests := []struct{ key, value, want string }{
		{"Host", "", "Host"},
		{"Host", "a b", "neither an address"},
		{"Host", "-x.test", "neither an address"},
		{"Host", "0.0.0.0", "no peer's address"},
		{"Host", strings.Repeat("a.", 126) + "a", ""},
		{"Host", strings.Repeat("a.", 127) + "aa", "neither an address"},
		{"WireGuard.Address", "", "is missing"},
		{"WireGuard.Address", ",", "no address"},
		{"WireGuard.Address", "10.2.0.2/33", "prefix length"},
		{"WireGuard.Address", "10.2.0.2/24/10.2.0.1", "prefix length"},
		{"WireGuard.Address", "10.2.0.2", ""},
		{"WireGuard.Address", "10.2.0.2/24 10.3.0.2/24", "too many"},
		{"WireGuard.Address", "::ffff:10.2.0.2/120", "prefix length"},
		{"WireGuard.Address", "fe80::1%lo/64", "prefix length"},
		{"WireGuard.Address", "224.0.0.1/24", "cannot be a machine's"},
		{"WireGuard.PrivateKey", "", "is missing"},
		{"WireGuard.PrivateKey", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "all zero"},
		{"WireGuard.PrivateKey", "secret", "want 32 bytes"},
		{"WireGuard.PublicKey", "c2hvcnQ=", "want 32 bytes"},
		{"WireGuard.PresharedKey", strings.Repeat("A", 1000), "want 32 bytes"},
		{"WireGuard.AllowedIPs", "", "is missing"},
		{"WireGuard.AllowedIPs", "10.0.0.0/8, x", "no address"},
		{"WireGuard.AllowedIPs", many, "are possible"},
		{"WireGuard.AllowedIPs", "10.0.0.0/8 10.0.0.0/8", ""},
		{"WireGuard.ListenPort", "0", "no number from 1"},
		{"WireGuard.EndpointPort", "65536", "to 65535"},
		{"WireGuard.EndpointPort", "99999999999999999999", "to 65535"},
		{"WireGuard.PersistentKeepalive", "-1", "no number"},
		{"WireGuard.PersistentKeepalive", "0", ""},
		{"WireGuard.DNS", "10.2.0.1;rm", "neither an address"},
		{"WireGuard.DNS", strings.Repeat("10.2.0.1 ", 9), "are possible"},
		{"VPN.MTU", "575", "no number from 576"},
		{"VPN.MTU", "65500", "to 65455"},
		{"WireGuard.Peer2.AllowedIPs", "10.0.0.0/8", ""}, // there is no such peer
		{"WireGuard.Peer2.PublicKey", otherKey, "Peer2.AllowedIPs: is missing"},
	}
	for _, test := range tests {
		_, err := parse(example(test.key, test.value))
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s = %.40q: %v", test.key, test.value, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s = %.40q: error %v, want one with %q", test.key, test.value, err, test.want)
		case err != nil && len(test.value) > 4 && strings.Contains(test.key, "PrivateKey") && strings.Contains(err.Error(), test.value):
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestPeersThatExcludeEachOther(t *testing.T) {
	tests := []struct {
		changes []string
		want    string
	}{
		{[]string{"WireGuard.Peer2.PublicKey", publicKey, "WireGuard.Peer2.AllowedIPs", "10.0.0.0/8"}, "is another peer's"},
		{[]string{"WireGuard.Peer2.PublicKey", otherKey, "WireGuard.Peer2.AllowedIPs", "0.0.0.0/0"}, "0.0.0.0/0 is another peer's"},
		{[]string{"WireGuard.Address", "2001:db8::1/64", "VPN.MTU", "1000"}, "too little for IPv6"},
	}
	for _, test := range tests {
		if _, err := parse(example(test.changes...)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error %v, want one with %q", test.changes, err, test.want)
		}
	}
}

func TestRoutes(t *testing.T) {
	tests := []struct {
		allowed string
		routes  []string
		split   bool
	}{
		{"0.0.0.0/0, ::/0", nil, false},
		{"0.0.0.0/0", nil, false},
		{"::/0", nil, false},
		{"0.0.0.0/1,128.0.0.0/1", nil, false},
		{"::/1 8000::/1 10.0.0.0/8", []string{"10.0.0.0/8"}, false},
		{"128.0.0.0/1", []string{"128.0.0.0/1"}, true},
		{"10.2.0.7/24,2001:db8::/32", []string{"10.2.0.0/24", "2001:db8::/32"}, true},
	}
	for _, test := range tests {
		c, err := parse(example("WireGuard.AllowedIPs", test.allowed))
		if err != nil {
			t.Fatal(err)
		}
		var want []core.Route
		for _, route := range test.routes {
			want = append(want, core.Route{Dst: netip.MustParsePrefix(route)})
		}
		routes, split := c.routes()
		if split != test.split || !cmp.Equal(routes, want, cmp.Comparer(func(a, b core.Route) bool { return a == b })) {
			t.Errorf("%s: routes %v, split %v", test.allowed, routes, split)
		}
	}
}

// The keys' own checks agree with what is read in the end, and secrets are
// declared to be.
func TestKeys(t *testing.T) {
	declared := map[string]core.Key{}
	for _, key := range keys() {
		if _, twice := declared[key.Name]; twice {
			t.Errorf("%s is declared twice", key.Name)
		}
		declared[key.Name] = key
	}
	for name := range example().Text {
		if err := declared[name].Check; name != "Host" && (err == nil || err(example().Text[name]) != nil) {
			t.Errorf("%s is not checked well", name)
		}
	}
	for _, name := range []string{"WireGuard.PrivateKey", "WireGuard.PresharedKey", "WireGuard.Peer32.PresharedKey"} {
		if key := declared[name]; !key.Secret || key.Check("x") == nil || key.Check(privateKey) != nil {
			t.Errorf("%s is not looked after", name)
		}
	}
	if _, more := declared["WireGuard.Peer33.PublicKey"]; more || declared["WireGuard.Peer32.Endpoint"].Check("h.test:1") != nil {
		t.Error("there are other peers than documented")
	}
}

// What is read either says what is wrong or can be told to the kernel.
func FuzzParse(f *testing.F) {
	f.Add("3.2.5.6", "10.2.0.2/24", "10.2.0.1", privateKey, publicKey, "0.0.0.0/0, ::/0", "51820", "25", "server.test:1")
	f.Add("[::1]", "2001:db8::1/64,10.0.0.1", "office.test.", "", "=", "10.0.0.0/8,", "0", "off", "[::1%lo]:1")
	f.Fuzz(func(t *testing.T, host, address, dns, private, public, allowed, port, keepalive, further string) {
		c, err := parse(example("Host", host, "WireGuard.Address", address, "WireGuard.DNS", dns, "WireGuard.PrivateKey", private,
			"WireGuard.PublicKey", public, "WireGuard.AllowedIPs", allowed, "WireGuard.EndpointPort", port,
			"WireGuard.PersistentKeepalive", keepalive, "WireGuard.Peer2.PublicKey", otherKey,
			"WireGuard.Peer2.AllowedIPs", "192.0.2.0/24", "WireGuard.Peer2.Endpoint", further))
		if err != nil {
			if len(private) > 8 && strings.Contains(err.Error(), private) && !strings.Contains(host+address+dns+public+allowed+port+keepalive+further, private) {
				t.Error("the error shows the private key")
			}
			return
		}
		device := c.device(make([]netip.AddrPort, len(c.peers)))
		for _, p := range device.Peers {
			for _, network := range p.AllowedIPs {
				if ones, bits := network.Mask.Size(); bits == 0 || ones > bits || len(network.IP)*8 != bits {
					t.Errorf("the kernel cannot take %v", network)
				}
			}
		}
		for _, server := range c.dns.Servers {
			if !server.IsValid() {
				t.Error("an invalid name server")
			}
		}
		c.routes()
	})
}
