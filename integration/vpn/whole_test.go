//go:build netns

package vpn

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"net.connman/integration/lab"
	"net.connman/integration/pki"
)

// provisioned is a VPN that the VPN daemon finds in a file.
const provisioned = `[provider_office]
Type=OpenVPN
Name=Office
Host=` + serverAddress + `
Domain=office.test
OpenVPN.CACert=%s
OpenVPN.Cert=%s
OpenVPN.Key=%s
`

// service is the provisioned VPN's.
const service = "vpn_203_0_113_5_office_test"

// runWhole runs both daemons.
func (w *world) runWhole() {
	w.t.Helper()
	vpnd := exec.Command(filepath.Join(os.Getenv("CONNMAN_BIN"), "connman-vpnd"), "-n")
	vpnd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.Bus.Address)
	_, err := w.Machine.Start(vpnd)
	must(w.t, err)
	w.run(lab.Ours())
}

// TestEditedFile: a VPN whose file was edited is made anew, and what the user has set
// of its service stays.
func TestEditedFile(t *testing.T) {
	t.Parallel()
	w := newHome(t, 1)
	const file = "/var/lib/connman-vpn/office.config"
	content := fmt.Sprintf(provisioned, "/etc/ca.pem", "/etc/cert.pem", "/etc/key.pem")
	must(t, w.Machine.WriteFile(file, content))
	w.runWhole()
	w.until(service, "idle")
	domains := []string{"lab.test"}
	must(t, w.call(servicePath(service), "Service.SetProperty", "Domains.Configuration", dbus.MakeVariant(domains)).Err)
	must(t, w.Machine.WriteFile(file, strings.Replace(content, "Name=Office", "Name=Work", 1)))
	var p map[string]dbus.Variant
	must(t, lab.Eventually(patience, func() (err error) {
		if p, err = w.service(service); err == nil && p["Name"].Value() != "Work" {
			err = fmt.Errorf("its name is %v", p["Name"])
		}
		return err
	}))
	if got := p["Domains.Configuration"].Value(); !reflect.DeepEqual(got, domains) {
		t.Errorf("the user's domains are %v, want %v", got, domains)
	}
}

// connectWhole has both daemons, and openvpn on either side: the machine's is
// connected.
func connectWhole(t *testing.T, before func(*world)) *world {
	t.Helper()
	openvpn := filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "openvpn/usr/sbin/openvpn")
	t.Setenv("PATH", filepath.Dir(openvpn)+":"+os.Getenv("PATH"))
	w := newHome(t, 1)
	authority, err := pki.New(t.TempDir())
	must(t, err)
	w.serve(openvpn, authority)
	cert, key, err := authority.Client("machine")
	must(t, err)
	must(t, w.Machine.WriteFile("/var/lib/connman-vpn/office.config", fmt.Sprintf(provisioned, authority.CA, cert, key)))
	w.runWhole()
	w.until(w.cable(0), "online")
	w.until(service, "idle")
	before(w)
	must(t, w.call(servicePath(service), "Service.Connect").Err)
	w.until(service, "ready", "online")
	must(t, lab.Eventually(patience, w.tunnelled))
	return w
}

// killChild has openvpn die, and waits until there is a tunnel again.
func (w *world) killChild() {
	w.t.Helper()
	before := w.child()
	must(w.t, exec.Command("kill", "-9", before).Run())
	must(w.t, lab.Eventually(3*patience, func() error {
		if now := w.child(); now == "" || now == before {
			return fmt.Errorf("openvpn is %q", now)
		}
		return w.tunnelled()
	}))
	w.until(service, "ready", "online")
}

// TestOpenVPNLeaksNothing hears what leaves by the cable while a tunnel of openvpn's
// takes everything, dies and is made again: no question and nothing of IPv6, which
// the tunnel does not have.
func TestOpenVPNLeaksNothing(t *testing.T) {
	var p *programs
	var wire *wire
	w := connectWhole(t, func(w *world) {
		w.giveIPv6(0)
		p, wire = w.startPrograms(), w.capture()
		must(t, lab.Eventually(patience, func() error {
			if wire.queries.Load() == 0 || wire.ipv6.Load() == 0 {
				return fmt.Errorf("%d queries and %d IPv6 packets by the cable", wire.queries.Load(), wire.ipv6.Load())
			}
			return nil
		}))
	})
	quiet := func() error {
		wire.reset()
		p.round(t, 20)
		if leaks := wire.leaks(); leaks != "" {
			return errors.New(leaks)
		}
		return nil
	}
	must(t, lab.Eventually(patience, quiet)) // what was asked before may be asked once more
	wire.reset()
	w.killChild()
	if leaks := wire.leaks(); leaks != "" {
		t.Errorf("while openvpn was dead: %s", leaks)
	}
	must(t, quiet())
}

// TestWhole has both daemons and openvpn on either side: a tunnel from end to end,
// and nothing left of it when its program dies.
func TestWhole(t *testing.T) {
	w := connectWhole(t, func(*world) {})
	p, err := w.service(service)
	must(t, err)
	if got := p["Nameservers"].String(); !strings.Contains(got, "10.99.0.1") {
		t.Errorf("the name servers are %s", got)
	}
	if _, err := w.Machine.Output(exec.Command("ping", "-c", "1", "-W", "10", "10.99.0.1")); err != nil {
		t.Errorf("nothing comes through the tunnel: %v", err)
	}

	w.killChild()
	must(t, w.call(servicePath(service), "Service.Disconnect").Err)
	w.untilRoutes("default via 10.77.0.1 dev eth0")
	must(t, lab.Eventually(patience, func() error {
		if now := w.child(); now != "" {
			return fmt.Errorf("openvpn is still %s", now)
		}
		return nil
	}))
}

// serve runs an openvpn server at the VPN's address.
func (w *world) serve(openvpn string, authority *pki.Authority) {
	w.t.Helper()
	bridge := lab.End{Host: w.Gateway}
	var err error
	bridge.Link, err = w.Gateway.Netlink.LinkByName("home")
	must(w.t, err)
	must(w.t, bridge.AddAddr(serverAddress+"/32"))
	cert, key, err := authority.Server(serverAddress)
	must(w.t, err)
	server, err := w.Gateway.Start(exec.Command(openvpn, "--local", serverAddress, "--server", "10.99.0.0", "255.255.255.0", "--topology", "subnet",
		"--dev", "tun", "--ca", authority.CA, "--cert", cert, "--key", key, "--dh", "none", "--keepalive", "2", "8",
		"--push", "route 10.50.0.0 255.255.0.0", "--push", "dhcp-option DNS 10.99.0.1"))
	must(w.t, err)
	w.t.Cleanup(func() { _ = server.Stop(10 * time.Second) })
	must(w.t, lab.Eventually(patience, func() error {
		log, err := os.ReadFile(server.Log)
		if err == nil && !strings.Contains(string(log), "Initialization Sequence Completed") {
			err = fmt.Errorf("the server is not ready")
		}
		return err
	}))
}

// tunnelled objects unless everything goes into the tunnel, and only its own
// packets go around it.
func (w *world) tunnelled() error {
	got := strings.Join(w.ours(), "\n")
	for _, want := range []string{"10.50.0.0/16 via 10.99.0.1 dev ", "default dev ", w.low(0), toServer, refused} {
		if !strings.Contains(got, want) {
			return fmt.Errorf("no %q among\n%s", want, got)
		}
	}
	return nil
}

// child is the process id of the machine's openvpn, "" if there is none.
func (w *world) child() string {
	out, err := w.Machine.Output(exec.Command("pgrep", "-f", "openvpn.*--remote "+serverAddress))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
