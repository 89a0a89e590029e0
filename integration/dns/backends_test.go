//go:build netns

package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// occupants are name servers that have the port before us, by the ways in which
// programs take it.
var occupants = map[string]func(*world) (*lab.Process, error){
	"dnsmasq": func(w *world) (*lab.Process, error) {
		return dnsmasq(w.machine, "--address=/taken.test/192.0.2.99") // everywhere
	},
	// It would share the port with us.
	"unbound": func(w *world) (*lab.Process, error) {
		return unbound(w.machine, " so-reuseport: yes\n local-zone: \"taken.test\" redirect\n local-data: \"taken.test A 192.0.2.99\"\n", loopback)
	},
}

// TestPortTaken: who has the port keeps it. The log says so once, programs ask
// the networks' servers, and the proxy comes when it can.
func TestPortTaken(t *testing.T) {
	for name, take := range occupants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place{"home.test", []int{53}})
			w.nets[0].serve(53, answers(map[string]string{"www.test": "192.0.2.1"}))
			occupant, err := take(w)
			must(t, err)
			w.untilDig("192.0.2.99", "@127.0.0.1", "taken.test")
			w.start()
			w.untilResolv("search home.test", "nameserver 10.80.0.53")
			w.untilDig("192.0.2.1", "www.test")
			w.set(0, "Domains.Configuration", []string{"a.test"})
			w.untilResolv("search a.test", "nameserver 10.80.0.53")
			for range 20 {
				if out, err := w.dig("@127.0.0.1", "taken.test"); err != nil || out != "192.0.2.99" {
					t.Fatalf("the port's owner was asked and %q came, %v", out, err)
				}
			}
			if all, named := w.logged("no DNS proxy"), w.logged("no DNS proxy", name); all != 1 || named != 1 {
				t.Errorf("said %d times, %d times by whom", all, named)
			}
			must(t, stopped(occupant.Stop(patience)))
			w.set(0, "Domains.Configuration", []string{"b.test"})
			w.untilResolv("search b.test", proxy4, proxy6)
			w.untilDig("192.0.2.1", "www.test")
		})
	}
}

// stopped takes a program's end by our signal for a good one.
func stopped(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && (exit.Sys().(syscall.WaitStatus).Signaled() || exit.ExitCode() == 0) {
		return nil
	}
	return err
}

// TestNamesResolveBetweenRuns: while the daemon is away for an upgrade, programs
// ask the network's servers; its next run serves them again, after a kill as
// well. What resolv.conf held at first is there in the end.
func TestNamesResolveBetweenRuns(t *testing.T) {
	t.Parallel()
	const original = "nameserver 203.0.113.53\n"
	w := newWorld(t, place{"home.test", []int{53}})
	w.nets[0].serve(53, answers(map[string]string{"www.test": "192.0.2.1"}))
	must(t, w.machine.WriteFile("/etc/resolv.conf", original))
	w.start()
	for range 3 {
		w.untilResolv("search home.test", proxy4, proxy6)
		w.untilDig("192.0.2.1", "www.test")
		w.daemon.Signal(syscall.SIGUSR1)
		must(t, w.daemon.Wait(patience))
		w.untilResolv("search home.test", "nameserver 10.80.0.53")
		w.untilDig("192.0.2.1", "www.test")
		w.start()
		w.untilResolv("search home.test", proxy4, proxy6)
		w.daemon.Kill()
		w.start()
	}
	w.untilDig("192.0.2.1", "www.test")
	w.end()
	if got := w.resolv() + "\n"; got != original {
		t.Errorf("resolv.conf is %q, was %q", got, original)
	}
}

// TestForeignResolvConf: a link into another program's file is not written
// through, whatever else works.
func TestForeignResolvConf(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53}})
	w.nets[0].serve(53, answers(map[string]string{"www.test": "192.0.2.1"}))
	must(t, w.machine.WriteFile("/run/other/stub.conf", "nameserver 203.0.113.53\n"))
	must(t, os.Remove(w.machine.Path("/etc/resolv.conf")))
	must(t, os.Symlink("/run/other/stub.conf", w.machine.Path("/etc/resolv.conf")))
	w.start()
	w.untilDig("192.0.2.1", "@127.0.0.1", "www.test")
	w.until(func() error {
		if w.logged("/etc/resolv.conf", "/run/other/stub.conf") != 1 {
			return errors.New("the log does not say what is wrong with the file")
		}
		return nil
	})
	w.end()
	if got := w.resolv(); got != "nameserver 203.0.113.53" {
		t.Errorf("the other program's file is %q", got)
	}
}

// resolved runs systemd-resolved on the machine, with its stub on 127.0.0.53.
func (w *world) resolved() *lab.Process {
	w.t.Helper()
	// Its package makes the account; that of root has access to the bus here.
	passwd := w.machine.Path("/etc/passwd")
	_ = os.Remove(passwd) // a link to the real one
	must(w.t, os.WriteFile(passwd, []byte("root:x:0:0::/root:/bin/sh\nsystemd-resolve:x:0:0::/:/bin/false\n"), 0o644))
	must(w.t, os.MkdirAll(w.machine.Path("/run/systemd"), 0o755))
	must(w.t, w.machine.WriteFile("/etc/systemd/resolved.conf", "[Resolve]\nFallbackDNS=\nLLMNR=no\nMulticastDNS=yes\nDNSSEC=no\n"))
	cmd := exec.Command(filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "systemd-resolved/lib/systemd/systemd-resolved"))
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.bus.Address)
	p, err := w.machine.Start(cmd)
	must(w.t, err)
	return p
}

// resolvedLink are properties that systemd-resolved has of the link of network
// i.
func (w *world) resolvedLink(i int) (string, error) {
	const name = "org.freedesktop.resolve1"
	var path dbus.ObjectPath
	manager := w.conn.Object(name, "/org/freedesktop/resolve1")
	if err := manager.Call(name+".Manager.GetLink", 0, int32(w.nets[i].link.Index())).Store(&path); err != nil {
		return "", err
	}
	var all []string
	for _, property := range []string{"DNS", "Domains", "DefaultRoute", "MulticastDNS"} {
		v, err := w.conn.Object(name, path).GetProperty(name + ".Link." + property)
		if err != nil {
			return "", err
		}
		all = append(all, fmt.Sprint(v.Value()))
	}
	return strings.Join(all, " "), nil
}

func (w *world) untilResolvedLink(i int, want string) {
	w.t.Helper()
	w.until(func() error {
		got, err := w.resolvedLink(i)
		if err == nil && got != want {
			err = fmt.Errorf("systemd-resolved has %s, want %s", got, want)
		}
		return err
	})
}

// TestSystemdResolved: while it runs, names are its business: it is told about
// the links, also after a restart of its own, and the proxy has the port only
// when it is gone.
func TestSystemdResolved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53}}, place{"office.test", []int{53}})
	w.nets[0].serve(53, answers(map[string]string{"www.home.test": "10.80.0.80", "www.test": "192.0.2.1"}))
	w.nets[1].serve(53, answers(map[string]string{"www.office.test": "10.81.0.80", "www.test": "192.0.2.2"}))
	must(t, w.nets[1].port.Down())
	server := w.resolved()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, w.bus.WaitName(ctx, "org.freedesktop.resolve1", true))
	w.launch()
	w.untilConnected(1)
	must(t, w.nets[1].port.Up())
	w.untilConnected(2)

	const home, office = "[[2 [10 80 0 53]]] [[home.test false]] true no", "[[2 [10 81 0 53]]] [[office.test false]] false no"
	at := "@127.0.0.53"
	w.untilResolvedLink(0, home)
	w.untilResolvedLink(1, office)
	w.untilDig("10.80.0.80", at, "www.home.test")
	w.untilDig("10.81.0.80", at, "www.office.test")
	w.untilDig("192.0.2.1", at, "www.test")
	if out, err := w.dig("@127.0.0.1", "www.test"); err == nil {
		t.Errorf("the proxy answers %q beside systemd-resolved", out)
	}
	if got := w.resolv(); got != "" {
		t.Errorf("resolv.conf, which is systemd-resolved's business, is %q", got)
	}

	w.set(0, "mDNS.Configuration", true)
	w.untilResolvedLink(0, "[[2 [10 80 0 53]]] [[home.test false]] true yes")
	if p, err := w.service(0); err != nil || p["mDNS"].Value() != true {
		t.Errorf("mDNS is %v, %v", p["mDNS"], err)
	}
	w.set(0, "mDNS.Configuration", false)
	w.untilResolvedLink(0, home)

	// It goes, and comes back.
	server.Kill()
	w.untilDig("192.0.2.1", "@127.0.0.1", "www.test")
	w.untilResolv("search home.test office.test", proxy4, proxy6)
	w.set(1, "Domains.Configuration", []string{"office.test", "corp.test"})
	w.resolved()
	w.untilResolvedLink(0, home)
	w.untilResolvedLink(1, "[[2 [10 81 0 53]]] [[office.test false] [corp.test false]] false no")
	w.untilResolv("")
	w.untilDig("10.81.0.80", at, "www.office.test")

	// A link that goes is given back, and all are in the end.
	must(t, w.nets[0].port.Down())
	w.untilConnected(1)
	w.untilResolvedLink(0, "[] [] false no")
	w.end()
	w.untilResolvedLink(1, "[] [] false no")
}
