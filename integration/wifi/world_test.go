//go:build vm

package wifi

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// patience is how long anything may take before it counts as failed. The machine
// is emulated.
const patience = 4 * time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a machine with a radio, a house full of access points and a cable
// between the two, unplugged.
type world struct {
	lab     *lab.Lab
	number  int
	machine *lab.Host
	house   *lab.Host
	bus     *lab.Bus
	router  *router.Router
	conn    *dbus.Conn
	news    chan *dbus.Signal // what the daemon says

	port lab.End // the far end of the machine's eth0

	supplicant *lab.Process
	silent     atomic.Bool // the house answers nobody who asks for an address
}

// worlds are those that no test has, as many as tests run side by side; nil stands
// for one that is yet to be made.
var worlds chan *world

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if err := unix.Mount("debugfs", "/sys/kernel/debug", "debugfs", 0, ""); err != nil {
		fmt.Fprintln(os.Stderr, "cannot reach into the simulator:", err)
		return 1
	}
	flag.Parse()
	most := flag.Lookup("test.parallel").Value.(flag.Getter).Get().(int)
	worlds = make(chan *world, most)
	for range most {
		worlds <- nil
	}
	status := m.Run()
	for range most {
		if w := <-worlds; w != nil {
			w.lab.Close()
		}
	}
	return status
}

// inWorld lends a world to a test.
func inWorld(t testing.TB) *world {
	t.Helper()
	w := <-worlds
	t.Cleanup(func() { worlds <- w })
	if w != nil {
		return w
	}
	l, err := lab.New()
	must(t, err)
	fresh, err := newWorld(l)
	if err != nil {
		must(t, errors.Join(err, l.Close()))
	}
	w = fresh
	return w
}

// made counts the worlds.
var made atomic.Int32

func newWorld(l *lab.Lab) (w *world, err error) {
	w = &world{lab: l, number: int(made.Add(1))}
	if w.machine, err = l.Host("machine"); err != nil {
		return nil, err
	}
	if w.house, err = l.Host("house"); err != nil {
		return nil, err
	}
	if err := w.makeRadios(); err != nil {
		return nil, err
	}
	if w.bus, err = w.machine.StartBus(); err != nil {
		return nil, err
	}
	if w.conn, err = w.bus.Connect(); err != nil {
		return nil, err
	}
	w.news = make(chan *dbus.Signal, 64)
	w.conn.Signal(w.news)
	if err := w.conn.AddMatchSignal(dbus.WithMatchSender("net.connman")); err != nil {
		return nil, err
	}
	address := netip.MustParsePrefix("10.77.0.1/20")
	bridge, err := w.house.Bridge("home", address.String())
	if err != nil {
		return nil, err
	}
	if _, w.port, err = l.Cable(w.machine, "eth0", nil, w.house, "port0"); err != nil {
		return nil, err
	}
	if err := w.house.Netlink.LinkSetMasterByIndex(w.port.Link, bridge.Index()); err != nil {
		return nil, err
	}
	if err := w.port.FullChecksums(); err != nil {
		return nil, err
	}
	err = w.house.Do(func() (err error) {
		w.router, err = router.Start(router.Config{
			Interface: bridge.Name(), Address: address, First: netip.MustParseAddr("10.77.1.0"),
			Count: 2000, Lease: time.Hour, Domain: "home.test",
			Answer: func(_, reply *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
				if w.silent.Load() {
					return nil
				}
				return reply
			},
		})
		return err
	})
	return w, err
}

// radios are how many each world has, those of the machine and of the house.
const radios = 4

// radio names the radio that was made n-th in the world; the machine's is the
// first.
func (w *world) radio(n int) string { return fmt.Sprintf("world%d-%d", w.number, n) }

func (w *world) radioAddress(n int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0x77, 0x03, 0, byte(w.number), byte(n)}
}

// makeRadios gives the house the radios wlan1 to wlan3, and the machine wlan0.
func (w *world) makeRadios() error {
	for n := range radios {
		if err := makeRadio(w.house, w.radio(n), w.radioAddress(n)); err != nil {
			return err
		}
	}
	return moveRadio(w.house, w.machine, w.radio(0))
}

// pull takes the machine's adapter away, and plug brings it back, or another one:
// the radio of that number.
func (w *world) pull(n int) error { return pullRadio(w.machine, w.radio(n)) }

func (w *world) plug(n int) error {
	if err := makeRadio(w.house, w.radio(n), w.radioAddress(n)); err != nil {
		return err
	}
	return moveRadio(w.house, w.machine, w.radio(n))
}

// hasten has a program served before others: the kernel repeats what it sends to
// an access point that takes longer than real ones do, which confuses hostapd.
func hasten(p *lab.Process) error {
	err := unix.SchedSetAttr(p.Pid(), &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0)
	if err != nil {
		return fmt.Errorf("cannot hasten a program: %w", err)
	}
	return nil
}

func peer(path string) string { return filepath.Join(os.Getenv("CONNMAN_REFERENCE"), path) }

// startSupplicant runs wpa_supplicant until stopSupplicant.
func (w *world) startSupplicant(t testing.TB) {
	t.Helper()
	cmd := exec.Command(peer("wpasupplicant/sbin/wpa_supplicant"), "-u", "-t")
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+w.bus.Address)
	var err error
	w.supplicant, err = w.machine.Start(cmd)
	must(t, err)
	must(t, hasten(w.supplicant))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, w.bus.WaitName(ctx, "fi.w1.wpa_supplicant1", true))
}
