package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"net.connman/integration/home"
	"net.connman/integration/lab"
	"net.connman/integration/router"
)

// Forwarders are name servers beside connmand's: caching, and asking one other
// server for what they don't know. Their caches and threads are as many as their
// authors chose: a larger cache makes dnsmasq slower where names are new.
var (
	dnsmasq = lab.Manager{Name: "dnsmasq", Path: "/usr/sbin/dnsmasq"}
	unbound = lab.Manager{Name: "unbound", Path: filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "unbound/usr/sbin/unbound")}
)

// quietConnman has connmand, ours or the original, not look for the Internet.
const quietConnman = "[General]\nOnlineCheckMode=none\nEnableOnlineCheck=false\n"

// forwardAll has unbound forward everything, without checking signatures.
const forwardAll = `server:
	chroot: ""
	directory: "/run"
	username: ""
	pidfile: ""
	use-syslog: no
	do-daemonize: no
	interface: 127.0.0.1
	access-control: 127.0.0.0/8 allow
	module-config: "iterator"
	local-zone: "test." nodefault
forward-zone:
	name: "."
	forward-addr: %s
`

// dnsStage is a machine with a forwarder, whose server is never the bottleneck.
type dnsStage struct {
	stage
	upstream *upstream
	at       netip.AddrPort // the upstream
	names    int            // that were made up
}

// serveDNS starts the forwarder and waits until it answers.
func serveDNS(m lab.Manager) (*dnsStage, error) {
	s := &dnsStage{stage: stage{manager: m}, at: netip.AddrPortFrom(home.Address.Addr(), 53)}
	var err error
	if s.lab, err = lab.New(); err != nil {
		return nil, err
	}
	if err = s.build(); err != nil {
		return nil, errors.Join(err, s.strike())
	}
	return s, nil
}

func (s *dnsStage) build() (err error) {
	if s.home, err = home.New(s.lab, 1, func(c *router.Config) { c.DHCPOnly = true }); err != nil {
		return err
	}
	if s.upstream, err = startUpstream(s.home.Gateway, s.at); err != nil {
		return err
	}
	if err := s.home.Machine.WriteFile("/etc/connman/main.conf", quietConnman); err != nil {
		return err
	}
	if err := s.plugAndRest(); err != nil {
		return err
	}
	if err := s.startForwarder(); err != nil {
		return err
	}
	return lab.Eventually(patience, func() error {
		_, err := latencies(s.home.Machine, s.fresh(1), false)
		return err
	})
}

func (s *dnsStage) strike() error {
	if s.upstream != nil {
		s.upstream.close()
	}
	return s.stage.strike()
}

func (s *dnsStage) startForwarder() (err error) {
	h := s.home.Machine
	if s.manager.Connman() {
		s.daemon, err = s.manager.Run(h, s.home.Bus)
		return err
	}
	link := s.home.Links[0]
	if err := errors.Join(link.Up(), link.AddAddr("10.77.1.0/20")); err != nil {
		return err
	}
	cmd := exec.Command(unbound.Path, "-d", "-c", "/etc/unbound-bench.conf")
	if s.manager.Name == dnsmasq.Name {
		cmd = exec.Command(dnsmasq.Path, "-k", "-C", "/dev/null", "-u", "root", "-R", "-h", "-x", "/run/dnsmasq.pid",
			"-S", s.at.Addr().String(), "--listen-address=127.0.0.1", "--bind-interfaces")
	} else if err := h.WriteFile("/etc/unbound-bench.conf", fmt.Sprintf(forwardAll, s.at.Addr())); err != nil {
		return err
	}
	s.daemon, err = h.Start(cmd)
	return err
}

// fresh makes names up that nobody has asked for.
func (s *dnsStage) fresh(count int) []string {
	names := make([]string, count)
	for i := range names {
		s.names++
		names[i] = fmt.Sprintf("n%d.bench.test", s.names)
	}
	return names
}

// load is what dnsperf found.
type load struct {
	rate float64 // answers per second
	cpu  float64 // µs of the forwarder's, for each answer
}

// dnsperf has the program ask the machine's forwarder for the names.
func (s *dnsStage) dnsperf(names []string, args ...string) (load, error) {
	if err := s.home.Machine.WriteFile("/run/names", strings.Join(names, " A\n")+" A\n"); err != nil {
		return load{}, err
	}
	before, err := cpuTime(s.daemon.Pid())
	if err != nil {
		return load{}, err
	}
	args = append([]string{"-s", "127.0.0.1", "-d", "/run/names", "-t", "1"}, args...)
	out, err := s.home.Machine.Output(exec.Command("dnsperf", args...))
	if err != nil {
		return load{}, err
	}
	after, err := cpuTime(s.daemon.Pid())
	if err != nil {
		return load{}, err
	}
	answers, errA := report(out, "Queries completed:")
	rate, errR := report(out, "Queries per second:")
	if err := errors.Join(errA, errR); err != nil {
		return load{}, err
	}
	if answers == 0 {
		return load{}, errors.New("dnsperf got no answer")
	}
	return load{rate, float64((after - before).Microseconds()) / answers}, nil
}

// report finds the number behind a label of dnsperf's report.
func report(out []byte, label string) (float64, error) {
	_, rest, ok := strings.Cut(string(out), label)
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, fmt.Errorf("dnsperf does not say %q", label)
	}
	return strconv.ParseFloat(fields[0], 64)
}

// over is how long dnsperf and the closed loop ask for what is in the cache.
const over = 2 * time.Second

var seconds = strconv.Itoa(int(over / time.Second))

// measureDNS measures a forwarder from a fresh start: first what it has to ask
// for, then what it knows.
func measureDNS(t *table, m lab.Manager) error {
	s, err := serveDNS(m)
	if err != nil {
		return err
	}
	steps := []func(*table) error{s.uncached, s.distinct, s.hot, s.streams}
	for _, step := range steps {
		if err = step(t); err != nil {
			break
		}
	}
	return errors.Join(err, s.strike())
}

// uncached asks for one new name after the other.
func (s *dnsStage) uncached(t *table) error {
	took, err := latencies(s.home.Machine, s.fresh(3000), false)
	if err != nil {
		return err
	}
	t.less(s.manager, "UDP uncached: p50", "µs", took[len(took)/2])
	t.less(s.manager, "UDP uncached: p99", "µs", took[len(took)*99/100])
	return nil
}

// distinct asks for many new names at once.
func (s *dnsStage) distinct(t *table) error {
	l, err := s.dnsperf(s.fresh(20000), "-n", "1", "-c", "8")
	if err != nil {
		return err
	}
	t.more(s.manager, "UDP, 20,000 distinct names", "queries/s", l.rate)
	t.less(s.manager, "UDP, 20,000 distinct names: CPU", "µs/query", l.cpu)
	return nil
}

// hot asks for what was asked before.
func (s *dnsStage) hot(t *table) error {
	for _, count := range []int{1, 100} {
		row := "UDP, one hot name"
		if count > 1 {
			row = fmt.Sprintf("UDP, %d hot names", count)
		}
		names := s.fresh(count)
		if _, err := latencies(s.home.Machine, names, false); err != nil {
			return err
		}
		l, err := s.dnsperf(names, "-l", seconds, "-c", "8")
		if err != nil {
			return err
		}
		t.more(s.manager, row, "queries/s", l.rate)
		t.less(s.manager, row+": CPU", "µs/query", l.cpu)
		rate, err := closedLoop(s.home.Machine, names, over)
		if err != nil {
			return err
		}
		t.more(s.manager, row+", closed loop", "queries/s", rate)
	}
	return nil
}

// streams asks for hot names over TCP.
func (s *dnsStage) streams(t *table) error {
	names := s.fresh(100)
	if _, err := latencies(s.home.Machine, names, false); err != nil {
		return err
	}
	l, err := s.dnsperf(names, "-l", seconds, "-m", "tcp", "-c", "4")
	if err != nil {
		return err
	}
	t.more(s.manager, "TCP pipelined, hot", "queries/s", l.rate)
	var all []string
	for range 10 {
		all = append(all, names...)
	}
	took, err := latencies(s.home.Machine, all, true)
	if err != nil {
		return err
	}
	t.less(s.manager, "TCP, a connection per query, hot: p50", "µs", took[len(took)/2])
	return nil
}

// measureDNSMemory fills the forwarder's cache and looks at its memory, then and
// a minute later.
func measureDNSMemory(t *table, m lab.Manager) error {
	s, err := serveDNS(m)
	if err != nil {
		return err
	}
	return errors.Join(s.memory(t), s.strike())
}

func (s *dnsStage) memory(t *table) error {
	const rest = time.Minute
	if _, err := s.dnsperf(s.fresh(200000), "-n", "1", "-c", "8"); err != nil {
		return err
	}
	full, err := memory(s.daemon.Pid())
	if err != nil {
		return err
	}
	time.Sleep(rest)
	later, err := memory(s.daemon.Pid())
	if err != nil {
		return err
	}
	t.less(s.manager, "DNS, 200,000 names asked: Rss", "MB", full.rss)
	t.less(s.manager, "DNS, a minute later: Rss", "MB", later.rss)
	return nil
}

// measureUpstream says what the upstream can do without a forwarder, the same
// for all.
func measureUpstream(t *table, m lab.Manager) error {
	s, err := serveDNS(m)
	if err != nil {
		return err
	}
	l, err := s.dnsperf(s.fresh(20000), "-l", seconds, "-c", "8", "-s", s.at.Addr().String())
	if err == nil {
		t.more(m, "the upstream alone, for comparison", "queries/s", l.rate)
	}
	return errors.Join(err, s.strike())
}
