//go:build netns

package ipv6

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

// sysctlSet writes settings of the machine's kernel.
func (w *world) sysctlSet(settings ...string) {
	w.t.Helper()
	_, err := w.machine.Output(exec.Command("sysctl", append([]string{"-qw"}, settings...)...))
	must(w.t, err)
}

// waitShown waits until our client shows the service's IPv6 like this.
func (w *world) waitShown(lines ...string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error { return w.showsLines(clients()["ours"], lines) }))
}

// A kernel without IPv6, in all the ways in which that can be: the service
// lives on IPv4 alone, shows no IPv6, and the log says why.
func TestKernelWithoutIPv6(t *testing.T) {
	t.Parallel()
	for name, switchOff := range map[string]func(*world){
		"switched off for all links": func(w *world) { w.sysctlSet("net.ipv6.conf.all.disable_ipv6=1") },
		"started without": func(w *world) { // ipv6.disable=1 leaves no settings
			must(w.t, w.machine.Do(func() error { return unix.Mount("none", "/proc/sys/net/ipv6", "tmpfs", 0, "") }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			switchOff(w)
			w.dnsmasq(both)
			w.start()
			w.waitState("ready")
			if !strings.Contains(w.log(), "no IPv6") {
				t.Error("the log does not say why")
			}
			w.waitShown("  IPv6 = [  ]", "  IPv6.Configuration = [ Method=auto, Privacy=disabled ]")
			w.configure("off")
			w.waitShown("  IPv6 = [  ]", "  IPv6.Configuration = [ Method=off ]")
			w.waitState("ready")
		})
	}
}

// IPv6 that somebody switched off for the link before the daemon came is
// switched on for a service that is to use it, and off again at the end.
func TestIPv6WasOffOnTheLink(t *testing.T) {
	w := newWorld(t)
	w.sysctlSet("net.ipv6.conf.eth0.disable_ipv6=1")
	w.dnsmasq(both)
	w.start()
	w.waitAddress(slaac)
	w.waitState("ready")
	must(t, w.daemon.Stop(patience))
	if got := w.sysctl("disable_ipv6"); got != "1" {
		t.Errorf("disable_ipv6 is %s", got)
	}
}

// Somebody switches IPv6 off behind the daemon's back. For one link that is put
// back, as the service is to have IPv6; for all links it counts. IPv4 goes on.
func TestIPv6SwitchedOffMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.dnsmasq(both)
	w.start()
	w.waitAddress(slaac)
	w.waitShownIPv4()
	w.sysctlSet("net.ipv6.conf.eth0.disable_ipv6=1")
	w.waitAddress(slaac)
	w.waitGateways(w.linkLocal(w.bridge))
	w.waitState("ready")

	w.sysctlSet("net.ipv6.conf.all.disable_ipv6=1")
	w.waitShown("  IPv6 = [  ]", "  IPv6.Configuration = [ Method=auto, Privacy=disabled ]")
	w.waitShownIPv4()
	w.waitState("ready")
	if !strings.Contains(w.log(), "no IPv6") {
		t.Error("the log does not say why")
	}
	w.sysctlSet("net.ipv6.conf.all.disable_ipv6=0")
	must(t, w.port.Down())
	w.waitNoService()
	must(t, w.port.Up())
	w.waitAddress(slaac)
	if strings.Contains(w.log(), "error: ") {
		t.Error("something failed")
	}
}

// waitShownIPv4 waits until the service has its IPv4 address.
func (w *world) waitShownIPv4() {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		p, err := w.properties()
		if d, _ := p["IPv4"].Value().(map[string]dbus.Variant); err == nil && d["Method"].Value() != "dhcp" {
			err = fmt.Errorf("IPv4 is %v", d)
		}
		return err
	}))
}

// waitNoService waits until the service has gone with its cable.
func (w *world) waitNoService() {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		if _, err := w.properties(); err != nil {
			return nil
		}
		return errors.New("the service is still there")
	}))
}

// A cable with a bad contact costs nothing but the time that it is out.
func TestFlappingLink(t *testing.T) {
	const flaps = 200
	w := newWorld(t)
	w.dnsmasq(both)
	w.start()
	w.waitState("ready")
	w.waitAddress(slaac)
	memory, files := w.rss(), w.files()
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for range flaps {
		must(t, w.port.Down())
		<-pace.C
		must(t, w.port.Up())
		<-pace.C
	}
	w.waitAddress(slaac)
	w.waitState("ready")
	w.waitGateways(w.linkLocal(w.bridge))
	if list := w.addresses(); len(list) != 1 {
		t.Errorf("addresses %v", list)
	}
	if grown := w.rss() - memory; grown > 8<<10 {
		t.Errorf("%d KiB more in memory", grown)
	}
	must(t, lab.Eventually(patience, func() error {
		if now := w.files(); now > files {
			return fmt.Errorf("%d open files, %d before", now, files)
		}
		return nil
	}))
}

// files is how many files the daemon has open.
func (w *world) files() int {
	w.t.Helper()
	list, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(w.daemon.Pid()), "fd"))
	must(w.t, err)
	return len(list)
}

// A router that is no default router (lifetime 0) still gives an address; the
// service is ready with it and has no way out. (RFC 4861, 6.3.4)
func TestRouterThatIsNoDefault(t *testing.T) {
	w := newWorld(t)
	forward(t, w.gateway)
	w.radvd(w.gateway, advertise("medium", network, "AdvDefaultLifetime 0;"))
	w.start()
	w.waitAddress(slaac)
	w.waitState("ready")
	if list := w.gateways(); len(list) > 0 {
		t.Errorf("gateways %v", list)
	}
	w.waitShown("  IPv6 = [ Method=auto, Address="+slaac+", PrefixLength=64, Privacy=disabled ]",
		"  IPv6.Configuration = [ Method=auto, Privacy=disabled ]")
}
