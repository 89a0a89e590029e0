//go:build netns

package ipv6

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

const opaqueConf = "[General]\nIPv6AddressGeneration = stable-privacy\n"

// opaque is the machine's address in the network that is not made of its
// hardware address.
func (w *world) opaque() (found string) {
	w.t.Helper()
	must(w.t, lab.Eventually(patience, func() error {
		list := w.addresses()
		if len(list) != 1 || list[0].IP.Equal(net.ParseIP(slaac)) {
			return fmt.Errorf("addresses %v", list)
		}
		found = list[0].IP.String()
		return nil
	}))
	return found
}

// Opaque addresses (RFC 7217) say nothing of the hardware, on a machine that has
// no state directory before the first of them, and are the next one when somebody
// has it.
func TestOpaqueAddresses(t *testing.T) {
	w := newWorld(t)
	w.dnsmasq(slaacOnly)
	must(t, w.machine.WriteFile("/etc/connman/main.conf", opaqueConf))
	if _, err := os.Stat(w.machine.Path("/var/lib/connman")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the machine is not new: %v", err)
	}
	w.start()
	w.waitState("ready")
	first := w.opaque()
	if !netip.MustParsePrefix(network).Contains(netip.MustParseAddr(first)) || strings.Contains(first, "ff:fe") {
		t.Errorf("address %s", first)
	}
	secret, err := os.ReadFile(w.machine.Path("/var/lib/connman/ipv6-secret"))
	must(t, err)
	if text := strings.TrimSpace(string(secret)); len(text) < 32 || strings.Contains(w.log(), text) {
		t.Errorf("a secret of %d digits, in the log %v", len(text), strings.Contains(w.log(), text))
	}
	must(t, w.daemon.Stop(patience))
	w.waitNoAddress()

	w.addAddr(w.bridge, first+"/64")
	w.start()
	w.waitConflict(first)
	w.waitState("ready")
	second := w.opaque()
	if second == first {
		t.Errorf("uses %s, which is the router's", second)
	}
}

// A restart that leaves the link alone finds the same opaque address.
func TestOpaqueAddressStays(t *testing.T) {
	w := newWorld(t)
	w.dnsmasq(slaacOnly)
	must(t, w.machine.WriteFile("/etc/connman/main.conf", opaqueConf))
	w.start()
	w.waitState("ready")
	first := w.opaque()
	w.daemon.Signal(syscall.SIGUSR1)
	must(t, w.daemon.Wait(patience))
	w.start()
	w.waitState("ready")
	if again := w.opaque(); again != first {
		t.Errorf("%s became %s", first, again)
	}
}

// The portal that a router announces is named as soon as the Internet is found
// to be out of reach (RFC 8910, 2.3).
func TestAnnouncedPortal(t *testing.T) {
	const url = "https://portal.test/api"
	w := newWorld(t)
	w.dnsmasq(slaacOnly)
	w.start()
	w.waitState("ready")
	option := append([]byte{37, 4}, url...)
	option = append(option, make([]byte, 32-len(option))...)
	w.send(seal(append(advertisement(w.linkLocal(w.bridge), alive), option...)))
	must(t, lab.Eventually(patience, func() error {
		if !strings.Contains(w.log(), url) {
			return fmt.Errorf("not named: %s", w.log())
		}
		return nil
	}))
}

// temporaries are the machine's temporary addresses; current says whether one
// of them is for new connections.
func (w *world) temporaries() (all []string, current bool) {
	w.t.Helper()
	for _, a := range w.addresses() {
		if a.Flags&unix.IFA_F_TEMPORARY != 0 {
			all = append(all, a.IP.String())
			current = current || a.Flags&unix.IFA_F_DEPRECATED == 0
		}
	}
	return all, current
}

// The kernel makes the temporary addresses and follows them up (RFC 8981, 3.4
// and 3.5), as the address beside them is ours and marked so: the next is there
// before the last one is deprecated, and old ones go. Routers that speak up all
// the time change nothing in that.
func TestTemporaryAddressesRotate(t *testing.T) {
	w := newWorld(t)
	forward(t, w.gateway)
	w.radvd(w.gateway, advertise("medium", network, ""))
	w.start()
	w.waitState("ready")
	for _, setting := range []string{"max_desync_factor=0", "temp_prefered_lft=12", "temp_valid_lft=18"} {
		_, err := w.machine.Output(exec.Command("sysctl", "-qw", "net.ipv6.conf.eth0."+setting))
		must(t, err)
	}
	w.set(map[string]any{"Method": "auto", "Privacy": "prefered"})
	must(t, lab.Eventually(patience, func() error {
		if all, current := w.temporaries(); !current {
			return fmt.Errorf("none to use among %v", all)
		}
		return nil
	}))
	seen, gone := make(map[string]bool), 0
	must(t, lab.Eventually(3*patience, func() error {
		all, current := w.temporaries()
		if !current {
			t.Fatalf("a moment without a temporary address to use: %v", w.addresses())
		}
		for _, a := range all {
			seen[a] = true
		}
		if gone = len(seen) - len(all); len(seen) < 4 || gone < 2 {
			return fmt.Errorf("%d addresses so far, %d of them gone", len(seen), gone)
		}
		return nil
	}))
	base := w.waitAddress(slaac)
	if base.Flags&unix.IFA_F_DEPRECATED != 0 {
		t.Errorf("%v", base)
	}
	if got := w.ipv6()["Address"].Value(); got != slaac {
		t.Errorf("the bus shows %v", got)
	}
}
