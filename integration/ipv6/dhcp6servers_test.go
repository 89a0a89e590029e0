//go:build netns

package ipv6

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"net.connman/integration/lab"
)

// managed is a radvd configuration that sends machines to DHCPv6 and has
// nobody believe that others are on the link.
const managed = `interface home {
	AdvSendAdvert on;
	AdvManagedFlag on;
	MinRtrAdvInterval 3;
	MaxRtrAdvInterval 4;
	prefix 2001:db8:1::/64 { AdvOnLink off; AdvAutonomous off; };
};
`

// informed is one that has machines ask only for other configuration, and
// informedToo one that sends them to DHCPv6 for addresses of both kinds.
var (
	informed    = advertise("medium", network, "AdvOtherConfigFlag on;")
	informedToo = advertise("medium", network, "AdvManagedFlag on;")
)

// stock is what a DHCPv6 server has to give. Times are seconds; 0 is much.
type stock struct {
	subnet      string // "": 2001:db8:1::/64
	first, last string // addresses; "": none
	prefixes    bool   // some of 56 bits, out of 2001:db8:100::/48
	rapid       bool   // gives at once
	dns         string // "": 2001:db8:1::53
	t1, t2      int
	preferred   int
	valid       int
}

func (s stock) filled() stock {
	s.subnet, s.dns = cmp.Or(s.subnet, "2001:db8:1::/64"), cmp.Or(s.dns, "2001:db8:1::53")
	s.t1, s.t2 = cmp.Or(s.t1, 1000), cmp.Or(s.t2, 2000)
	s.preferred, s.valid = cmp.Or(s.preferred, 3000), cmp.Or(s.valid, 4000)
	return s
}

// A server is a DHCPv6 server that runs on the first router and keeps its
// leases in a file when it is run again.
type server struct {
	run      func(w *world, s stock) *lab.Process
	leases   string // where it keeps them
	released string // what stands there of a lease that was given back
}

var servers = map[string]server{
	"ISC": {(*world).dhcpd, "/etc/dhcpd6.leases", "binding state released"},
	"Kea": {(*world).kea, "/run/kea6.csv", ",0,"},
}

// dhcpd runs ISC's server.
func (w *world) dhcpd(s stock) *lab.Process {
	w.t.Helper()
	s = s.filled()
	var b strings.Builder
	fmt.Fprintf(&b, "default-lease-time %d; preferred-lifetime %d;\n", s.valid, s.preferred)
	fmt.Fprintf(&b, "option dhcp-renewal-time %d; option dhcp-rebinding-time %d;\n", s.t1, s.t2)
	fmt.Fprintf(&b, "option dhcp6.name-servers %s; option dhcp6.domain-search \"isc.test\";\n", s.dns)
	if s.rapid {
		b.WriteString("option dhcp6.rapid-commit;\n")
	}
	fmt.Fprintf(&b, "subnet6 %s {\n", s.subnet)
	if s.first != "" {
		fmt.Fprintf(&b, "range6 %s %s;\n", s.first, s.last)
	}
	if s.prefixes {
		b.WriteString("prefix6 2001:db8:100:: 2001:db8:100:ff00:: /56;\n")
	}
	b.WriteString("}\n")
	must(w.t, w.gateway.WriteFile("/etc/dhcpd6.conf", b.String()))
	leases := w.gateway.Path("/etc/dhcpd6.leases")
	if _, err := os.Stat(leases); err != nil {
		must(w.t, os.WriteFile(leases, nil, 0o644))
	}
	p, err := w.gateway.Start(exec.Command(peer("isc-dhcp-server/usr/sbin/dhcpd"),
		"-6", "-f", "-d", "-cf", "/etc/dhcpd6.conf", "-lf", "/etc/dhcpd6.leases", "--no-pid", "home"))
	must(w.t, err)
	return p
}

// kea runs ISC's newer server.
func (w *world) kea(s stock) *lab.Process {
	w.t.Helper()
	s = s.filled()
	subnet := map[string]any{"subnet": s.subnet, "interface": "home", "rapid-commit": s.rapid}
	if s.first != "" {
		subnet["pools"] = []any{map[string]any{"pool": s.first + " - " + s.last}}
	}
	if s.prefixes {
		subnet["pd-pools"] = []any{map[string]any{"prefix": "2001:db8:100::", "prefix-len": 48, "delegated-len": 56}}
	}
	text, err := json.Marshal(map[string]any{"Dhcp6": map[string]any{
		"interfaces-config": map[string]any{
			"interfaces":                  []string{"home"}, // it may not be ready yet
			"service-sockets-max-retries": 200, "service-sockets-retry-wait-time": 100,
		},
		"lease-database":     map[string]any{"type": "memfile", "name": "/run/kea6.csv", "lfc-interval": 0},
		"renew-timer":        s.t1,
		"rebind-timer":       s.t2,
		"preferred-lifetime": s.preferred,
		"valid-lifetime":     s.valid,
		"subnet6":            []any{subnet},
		"option-data": []any{
			map[string]any{"name": "dns-servers", "data": s.dns}, map[string]any{"name": "domain-search", "data": "kea.test"},
		},
		"loggers": []any{map[string]any{
			"name": "kea-dhcp6", "severity": "INFO", "output_options": []any{map[string]any{"output": "stdout"}},
		}},
	}})
	must(w.t, err)
	must(w.t, w.gateway.WriteFile("/etc/kea6.json", string(text)))
	must(w.t, os.MkdirAll(w.gateway.Path("/var/lib/kea"), 0o755))
	libraries, err := filepath.Glob(peer("kea-common/usr/lib/*/libkea-util.so.*"))
	must(w.t, err)
	if len(libraries) == 0 {
		w.t.Fatal("Kea is not among the peers")
	}
	cmd := exec.Command(peer("kea-dhcp6-server/usr/sbin/kea-dhcp6"), "-c", "/etc/kea6.json")
	cmd.Env = append(os.Environ(),
		"LD_LIBRARY_PATH="+filepath.Dir(libraries[0]), "KEA_PIDFILE_DIR=/run", "KEA_LOCKFILE_DIR=/run")
	p, err := w.gateway.Start(cmd)
	must(w.t, err)
	return p
}

// peer is the path of a program that was unpacked for tests.
func peer(path string) string { return filepath.Join(os.Getenv("CONNMAN_REFERENCE"), path) }

// eachServer runs a test with each server, side by side: leases take their time.
func eachServer(t *testing.T, test func(w *world, s server)) {
	t.Parallel()
	for name, s := range servers {
		t.Run(name, func(t *testing.T) {
			test(newWorld(t), s)
		})
	}
}

// waitFile waits until a file has text in it.
func (w *world) waitFile(path, text string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		data, err := os.ReadFile(path)
		if err == nil && !strings.Contains(string(data), text) {
			err = fmt.Errorf("no %q in %s", text, data)
		}
		return err
	}))
}
