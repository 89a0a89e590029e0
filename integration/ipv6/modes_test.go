//go:build netns

package ipv6

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"net.connman/integration/lab"
)

// both is a router that gives addresses of both families, so that a service is
// there whatever becomes of its IPv6.
const both = slaacOnly + "dhcp-range=10.77.1.0,10.77.1.200,1h\n"

// clients are the programs of ours and of the reference.
func clients() map[string]string {
	return map[string]string{
		"ours":      filepath.Join(os.Getenv("CONNMAN_BIN"), "connmanctl"),
		"reference": filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "connman/usr/bin/connmanctl"),
	}
}

// client runs a client and returns what it prints.
func (w *world) client(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.bus.Address)
	out, err := w.machine.Output(cmd)
	return string(out), err
}

// shown are the lines about the service's IPv6 that a client prints.
func (w *world) shown(program string) (string, error) {
	out, err := w.client(program, "services", filepath.Base(string(service)))
	var lines strings.Builder
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "  IPv6") {
			lines.WriteString(line)
		}
	}
	return lines.String(), err
}

// mode is a way to configure IPv6 with a client, and what clients show then.
type mode struct {
	words      string // after "config SERVICE --ipv6"
	inUse      string
	configured string
	// differs says what the reference daemon does instead, "" if the same but
	// for Gateway, which it does not show.
	differs string
}

// modes are passed through in this order. GATEWAY is the router's address.
var modes = []mode{
	{"",
		"[ Method=auto, Address=" + slaac + ", PrefixLength=64, Gateway=GATEWAY, Privacy=disabled ]",
		"[ Method=auto, Privacy=disabled ]", ""},
	{"auto enable",
		"[ Method=auto, Address=" + slaac + ", PrefixLength=64, Gateway=GATEWAY, Privacy=enabled ]",
		"[ Method=auto, Privacy=enabled ]", "shows the temporary address"},
	{"auto preferred",
		"[ Method=auto, Address=" + slaac + ", PrefixLength=64, Gateway=GATEWAY, Privacy=prefered ]",
		"[ Method=auto, Privacy=prefered ]", "stays without IPv6 until the link goes down and up"},
	{"auto disable",
		"[ Method=auto, Address=" + slaac + ", PrefixLength=64, Gateway=GATEWAY, Privacy=disabled ]",
		"[ Method=auto, Privacy=disabled ]", "stays without IPv6 until the link goes down and up"},
	{"manual 2001:db8:1::99 64 " + router1,
		"[ Method=manual, Address=2001:db8:1::99, PrefixLength=64, Gateway=" + router1 + ", Privacy=disabled ]",
		"[ Method=manual, Address=2001:db8:1::99, PrefixLength=64, Gateway=" + router1 + ", Privacy=disabled ]", "may show what routers gave before"},
	{"manual 2001:db8:1::98 64 fe80::1",
		"[ Method=manual, Address=2001:db8:1::98, PrefixLength=64, Gateway=fe80::1, Privacy=disabled ]",
		"[ Method=manual, Address=2001:db8:1::98, PrefixLength=64, Gateway=fe80::1, Privacy=disabled ]", "may show what routers gave before"},
	{"off", "[  ]", "[ Method=off ]", ""},
	{"auto",
		"[ Method=auto, Address=" + slaac + ", PrefixLength=64, Gateway=GATEWAY, Privacy=disabled ]",
		"[ Method=auto, Privacy=disabled ]", ""},
}

var gateway = regexp.MustCompile(`, Gateway=[^,]*`)

// Every way to configure IPv6 with a client; both clients show the same, and
// with the reference daemon what it gets right.
func TestModes(t *testing.T) {
	t.Parallel()
	for _, m := range []lab.Manager{lab.Ours(), lab.Reference()} {
		t.Run(m.Name, func(t *testing.T) {
			w := newWorld(t)
			w.dnsmasq(both)
			router := w.linkLocal(w.bridge).String()
			w.run(m)
			for _, mode := range modes {
				w.configure(mode.words)
				want := []string{"  IPv6 = " + strings.ReplaceAll(mode.inUse, "GATEWAY", router), "  IPv6.Configuration = " + mode.configured}
				if m.Name == lab.Reference().Name {
					want[0] = gateway.ReplaceAllString(want[0], "")
					if mode.differs != "" {
						want = want[1:]
					}
				}
				for name, program := range clients() {
					if err := lab.Eventually(patience, func() error { return w.showsLines(program, want) }); err != nil {
						t.Fatalf("after %q client %s: %v", mode.words, name, err)
					}
				}
			}
		})
	}
}

// configure has our client set the service's IPv6, or do nothing without words.
func (w *world) configure(words string) {
	w.t.Helper()
	if words != "" {
		args := append([]string{"config", filepath.Base(string(service)), "--ipv6"}, strings.Fields(words)...)
		_, err := w.client(clients()["ours"], args...)
		must(w.t, err)
	}
}

// showsLines objects unless the client ends what it shows of IPv6 with the
// lines.
func (w *world) showsLines(program string, want []string) error {
	out, err := w.shown(program)
	if err == nil && !strings.HasSuffix(out, strings.Join(want, "\n")+"\n") {
		err = fmt.Errorf("shows\n%sand not\n%s", out, strings.Join(want, "\n"))
	}
	return err
}
