package vpnimport

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"net.connman/pkg/keyfile"
)

// files are what profiles refer to.
var files = map[string]string{"ca.crt": "CA\n", "pki/client.crt": "CERT\n", "/etc/login": "user\npass\n", "ta.key": "TA\n",
	"id.p12": "\x30\x82\xff\x00"}

func open(name string) ([]byte, error) {
	if text, ok := files[name]; ok {
		return []byte(text), nil
	}
	return nil, fmt.Errorf("cannot read %s", name)
}

const wgQuick = `# home
[Interface]
PrivateKey = qKIj010hDdWSjQQyVCnEgthLXusBgm3I6HWrJUaJymc=
Address = 10.2.0.2/24, 2001:db8::2/64
address=10.3.0.2/24
DNS = 10.2.0.1
DNS = office.test
MTU = 1380
ListenPort = 4000
PostUp = iptables -A FORWARD -i %i -j ACCEPT # really
Table = off

[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
AllowedIPs = 10.9.0.0/16

[Peer]
PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
PresharedKey = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
AllowedIPs = 0.0.0.0/0
AllowedIPs = ::/0
Endpoint = [2001:db8:1::1]:51820
PersistentKeepalive = 25

[Peer]
PublicKey = gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=
AllowedIPs = 192.0.2.0/24
Endpoint = branch.test:1000
PersistentKeepalive = off
`

const wgConfig = `[provider_my_home]
Type = WireGuard
Name = my home
Host = 2001:db8:1::1
WireGuard.Address = 10.2.0.2/24, 2001:db8::2/64
WireGuard.PrivateKey = qKIj010hDdWSjQQyVCnEgthLXusBgm3I6HWrJUaJymc=
WireGuard.ListenPort = 4000
WireGuard.DNS = 10.2.0.1, office.test
VPN.MTU = 1380
WireGuard.PublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=
WireGuard.PresharedKey = AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
WireGuard.AllowedIPs = 0.0.0.0/0, ::/0
WireGuard.PersistentKeepalive = 25
WireGuard.EndpointPort = 51820
WireGuard.Peer2.PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
WireGuard.Peer2.AllowedIPs = 10.9.0.0/16
WireGuard.Peer3.PublicKey = gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=
WireGuard.Peer3.AllowedIPs = 192.0.2.0/24
WireGuard.Peer3.Endpoint = branch.test:1000
`

const ovpn = `client
dev tun
--proto udp
remote vpn.test 1194 tcp-client
remote other.test 443
ca ca.crt
cert "pki/client.crt"
<key>
-----BEGIN PRIVATE KEY-----
x # not a comment
-----END PRIVATE KEY-----
</key>
tls-auth ta.key 1
<tls-crypt>
TC
</tls-crypt>
auth-user-pass /etc/login   ; who
auth-nocache
cipher AES-256-GCM
data-ciphers AES-256-GCM:AES-128-GCM
verify-x509-name "C=XX, O=the \"server\"" subject
remote-cert-tls server
comp-lzo
route 10.9.0.0 255.255.0.0
route 10.8.0.1
route-ipv6 2001:db8:9::/48
route net_gateway
script-security 2
up /etc/openvpn/update-resolv-conf
plugin evil.so
<connection>
remote third.test
</connection>
frobnicate yes
verb 3
redirect-gateway def1
`

const ovpnConfig = `[provider_office]
Type = OpenVPN
Name = office
OpenVPN.Proto = tcp-client
Host = vpn.test
OpenVPN.Port = 1194
OpenVPN.CACert = /var/lib/connman-vpn/office/ca
OpenVPN.Cert = /var/lib/connman-vpn/office/cert
OpenVPN.Key = /var/lib/connman-vpn/office/key
OpenVPN.AuthUserPass = /var/lib/connman-vpn/office/auth-user-pass
OpenVPN.AuthNoCache = true
OpenVPN.Cipher = AES-256-GCM
OpenVPN.RemoteCertTls = server
OpenVPN.CompLZO = adaptive
Networks = 10.9.0.0/255.255.0.0,10.8.0.1/255.255.255.255,2001:db8:9::/48
OpenVPN.ConfigFile = /var/lib/connman-vpn/office/options.conf
`

func TestRead(t *testing.T) {
	tests := []struct {
		file, text, name, config string
		files                    map[string]string
		warnings                 []string
	}{
		{"/home/u/my home.conf", wgQuick, "my_home", wgConfig, map[string]string{}, []string{
			"my home.conf:10: PostUp runs a program: left out",
			`my home.conf:11: "Table" is left out`,
			"my home.conf:2: a tunnel has one address of each family: 10.3.0.2/24 is left out",
		}},
		{"office.ovpn", ovpn, "office", ovpnConfig, map[string]string{
			"ca": "CA\n", "cert": "CERT\n", "auth-user-pass": "user\npass\n", "tls-auth": "TA\n", "tls-crypt": "TC\n",
			"key": "-----BEGIN PRIVATE KEY-----\nx # not a comment\n-----END PRIVATE KEY-----\n",
			"options.conf": "client\nnobind\npersist-key\ntls-auth /var/lib/connman-vpn/office/tls-auth 1\n" +
				"tls-crypt /var/lib/connman-vpn/office/tls-crypt\n" +
				"data-ciphers AES-256-GCM:AES-128-GCM\n" +
				`verify-x509-name "C=XX, O=the \"server\"" subject` + "\n",
		}, []string{
			`office.ovpn:5: a connection has one server: "other.test" is left out`,
			`office.ovpn:17: auth-user-pass takes "/etc/login", from outside the profile's directory`,
			"office.ovpn:27: a route by name is left out",
			"office.ovpn:28: script-security runs programs or writes files: left out",
			"office.ovpn:29: up runs programs or writes files: left out",
			"office.ovpn:30: plugin runs programs or writes files: left out",
			`office.ovpn:31: "<connection>" is left out`,
			`office.ovpn:34: "frobnicate" is left out`,
		}},
		{"x.conf", "remote vpn.test\r\nauth-user-pass\r\n", "x",
			"[provider_x]\nType = OpenVPN\nName = x\nHost = vpn.test\nOpenVPN.AuthUserPass = -\n", map[string]string{}, nil},
		{"nopull.ovpn", "<connection>\nremote vpn.test 443 tcp\nfrobnicate\n</connection>\n<connection>\nremote other.test\n</connection>\n" +
			"auth-user-pass\nroute-nopull\nroute 10.9.0.0 255.255.0.0\n", "nopull",
			"[provider_nopull]\nType = OpenVPN\nName = nopull\nHost = vpn.test\nOpenVPN.Port = 443\nOpenVPN.Proto = tcp\nOpenVPN.AuthUserPass = -\n" +
				"Networks = 10.9.0.0/255.255.0.0\nSplitRouting = true\nOpenVPN.ConfigFile = /var/lib/connman-vpn/nopull/options.conf\n",
			map[string]string{"options.conf": "client\nnobind\npersist-key\nroute-nopull\n"},
			[]string{`nopull.ovpn:3: "frobnicate" is left out`, `nopull.ovpn:5: "<connection>" is left out`}},
		{"file.ovpn", "remote vpn.test\npkcs12 id.p12\n", "file",
			"[provider_file]\nType = OpenVPN\nName = file\nHost = vpn.test\nOpenVPN.ConfigFile = /var/lib/connman-vpn/file/options.conf\n",
			map[string]string{"options.conf": "client\nnobind\npersist-key\n<pkcs12>\nMIL/AA==\n</pkcs12>\n"}, nil},
		{"block.ovpn", "remote vpn.test\n<pkcs12>\nMIL/\nAA==\n</pkcs12>\n", "block",
			"[provider_block]\nType = OpenVPN\nName = block\nHost = vpn.test\nOpenVPN.ConfigFile = /var/lib/connman-vpn/block/options.conf\n",
			map[string]string{"options.conf": "client\nnobind\npersist-key\n<pkcs12>\nMIL/AA==\n</pkcs12>\n"}, nil},
		{"all.ovpn", "remote vpn.test\nauth-user-pass\nroute-nopull\nredirect-gateway def1\n", "all",
			"[provider_all]\nType = OpenVPN\nName = all\nHost = vpn.test\nOpenVPN.AuthUserPass = -\n" +
				"OpenVPN.ConfigFile = /var/lib/connman-vpn/all/options.conf\n",
			map[string]string{"options.conf": "client\nnobind\npersist-key\nroute-nopull\n"}, nil},
	}
	for _, test := range tests {
		got, err := Read(test.file, []byte(test.text), open)
		if err != nil {
			t.Errorf("%s: %v", test.file, err)
			continue
		}
		if spaced := strings.ReplaceAll(got.Config, " = ", "="); spaced != strings.ReplaceAll(test.config, " = ", "=") {
			t.Errorf("%s (-want +got):\n%s", test.file, cmp.Diff(test.config, got.Config))
		}
		if got.Name != test.name || !maps.Equal(got.Files, test.files) || !slices.Equal(got.Warnings, test.warnings) {
			t.Errorf("%s is %q, with (-want +got)\n%s%s", test.file, got.Name, cmp.Diff(test.files, got.Files), cmp.Diff(test.warnings, got.Warnings))
		}
	}
}

func TestWrong(t *testing.T) {
	peer := "[Peer]\nPublicKey=k\nAllowedIPs=::/0\nEndpoint=h:1\n"
	own := "[Interface]\nPrivateKey=k\nAddress=10.0.0.1\n"
	tests := []struct{ file, text, want string }{
		{"x.txt", own + peer, "neither in .ovpn nor in .conf"},
		{"---.conf", own + peer, "no letter"},
		{"x.conf", own + "[Peer]\nPublicKey=k\nAllowedIPs=::/0\n", "no peer has an Endpoint"},
		{"x.conf", own + strings.Repeat(peer, 33), "room for 32"},
		{"x.conf", own + "[Peer]\nEndpoint=h:1\nAllowedIPs=::/0\n", "x.conf:4: the peer has no PublicKey"},
		{"x.conf", own + "[Peer]\nEndpoint=h:1\nPublicKey=k\n", "x.conf:4: the peer has no AllowedIPs"},
		{"x.conf", own + "[Peer]\nEndpoint=h\nPublicKey=k\n", "not HOST:PORT"},
		{"x.conf", "[Interface]\nAddress=10.0.0.1\n" + peer, "no PrivateKey"},
		{"x.conf", "[Interface]\nPrivateKey=k\n" + peer, "no Address"},
		{"x.conf", peer, "no [Interface]"},
		{"x.conf", "a=b\n" + own + peer, "x.conf:1: this is in no section"},
		{"x.conf", own + "DNS\n" + peer, "x.conf:4: this says nothing"},
		{"x.conf", own + "DNS=\x01\n" + peer, "control characters"},
		{"x.conf", own + "\xff", "no text file"},
		{"x.conf", own + "\x00", "no text file"},
		{"x.ovpn", strings.Repeat("#", MaxSize+1), "longer than"},
		{"x.ovpn", "client\n", "no remote"},
		{"x.ovpn", "remote\n", "x.ovpn:1: remote names nobody"},
		{"x.ovpn", "remote h\n<ca>\n", "x.ovpn:2: the block does not end"},
		{"x.ovpn", "remote 'h\n", "x.ovpn:1: a quote does not end"},
		{"x.ovpn", "remote h\nca missing.crt\n", "x.ovpn:2: cannot read missing.crt"},
		{"x.ovpn", "remote h\nca\n", "ca names no file"},
		{"x.ovpn", "remote h\nca [inline]\n", "write it as a block"},
		{"x.ovpn", "remote h\ntls-crypt\n", "tls-crypt names no file"},
		{"x.ovpn", "remote h\npkcs12\n", "x.ovpn:2: pkcs12 names no file"},
		{"x.ovpn", "remote h\n<pkcs12>\n</ca>\nup x\n</pkcs12>\n", "x.ovpn:2: pkcs12 names no file, and no block in base64"},
		{"x.ovpn", "remote h\ncipher\n", "cipher says nothing"},
		{"x.ovpn", "remote \"a\x01b\"\n", "control characters"},
	}
	for _, test := range tests {
		if _, err := Read(test.file, []byte(test.text), open); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %.40q: error %v, want one with %q", test.file, test.text, err, test.want)
		}
	}
}

// Whatever a file says, the provisioning file describes one connection, which
// names no program, and refers to no files but its own.
func FuzzRead(f *testing.F) {
	f.Add("my home.conf", wgQuick)
	f.Add("office.ovpn", ovpn)
	f.Add("block.ovpn", "<connection>\nremote h\nup /bin/sh\n<connection>\n</connection>\nroute-nopull\n")
	f.Add("é.ovpn", "remote h 1 udp\n<ca>\n</ca>\ntls-auth ta.key\nsetenv UV_x y\n\\u\\p x\n\"up\" /bin/sh\n")
	f.Fuzz(func(t *testing.T, file, text string) {
		p, err := Read(file, []byte(text), open)
		if err != nil {
			return
		}
		if plain(p.Name) != p.Name || p.Name == "" {
			t.Errorf("the file is called %q", p.Name)
		}
		config, problems := keyfile.Parse([]byte(p.Config), keyfile.Comma)
		if groups := config.Groups(); len(problems) > 0 || len(groups) != 1 || groups[0] != "provider_"+p.Name {
			t.Fatalf("groups %q, problems %v in\n%s", config.Groups(), problems, p.Config)
		}
		for _, key := range config.Keys("provider_" + p.Name) {
			known := key == "Type" || key == "Name" || key == "Host" || key == "Networks" || key == "VPN.MTU" || key == "SplitRouting"
			if !known && !strings.HasPrefix(key, "WireGuard.") && !strings.HasPrefix(key, "OpenVPN.") {
				t.Errorf("key %q", key)
			}
		}
		for name := range p.Files {
			if strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") || !strings.Contains(p.Config+p.Files["options.conf"], StateDir+"/"+p.Name+"/"+name) {
				t.Errorf("file %q", name)
			}
		}
		for line := range strings.Lines(p.Files["options.conf"]) {
			words, err := split(strings.TrimSuffix(line, "\n"))
			if err != nil || len(words) == 0 || !slices.Contains(ovOwn, words[0]) && !slices.Contains(ovOptions, words[0]) && !slices.Contains(ovOptionFiles, words[0]) {
				t.Errorf("OpenVPN is told %q", line)
			}
		}
	})
}
