package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Host is one machine: network, mount and UTS namespaces. Its /etc, /run and
// /var/lib are its own; the rest of the file system is the real one.
type Host struct {
	// Name is its host name.
	Name string
	// Netlink talks to the host's kernel. It may be used on any goroutine.
	Netlink *netlink.Handle

	dir   string
	calls chan func()
	ended chan struct{}

	mu        sync.Mutex // guards processes
	processes []*Process
}

// privateDirs are the directories that a host has for itself, besides /run. What
// the real ones hold is visible through symbolic links, except for the entries
// named: those start out missing.
var privateDirs = map[string][]string{
	"/etc":     {"resolv.conf", "hostname", "connman", "NetworkManager", "systemd", "dnsmasq.conf", "dnsmasq.d", "network"},
	"/var/lib": {"connman", "connman-vpn", "NetworkManager", "systemd", "misc"},
}

// realRoot is where a host sees the real directories behind its own.
const realRoot = "/run/real"

// Host adds a machine to the world. Its loopback interface is up.
func (l *Lab) Host(name string) (*Host, error) {
	h := &Host{
		Name:  name,
		dir:   filepath.Join(l.Dir, name),
		calls: make(chan func()),
		ended: make(chan struct{}),
	}
	if err := h.layOut(filepath.Join(l.run, name)); err != nil {
		return nil, fmt.Errorf("cannot lay out host %s: %w", name, err)
	}
	entered := make(chan error)
	go h.live(entered)
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("cannot make host %s: %w", name, err)
	}
	l.hosts = append(l.hosts, h)

	lo, err := h.Netlink.LinkByName("lo")
	if err == nil {
		err = h.Netlink.LinkSetUp(lo)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot bring up the loopback of %s: %w", name, err)
	}
	return h, nil
}

// layOut makes the directories that replace /etc, /run and /var/lib; that for
// /run is elsewhere.
func (h *Host) layOut(run string) error {
	if err := errors.Join(os.Mkdir(h.dir, 0o755), os.Mkdir(run, 0o755), os.Symlink(run, h.Path("/run"))); err != nil {
		return err
	}
	for dir, missing := range privateDirs {
		if err := os.MkdirAll(h.Path(dir), 0o755); err != nil {
			return err
		}
		if err := os.MkdirAll(h.Path(realRoot+dir), 0o755); err != nil {
			return err
		}
		if err := mirror(dir, h.Path(dir), missing); err != nil {
			return err
		}
	}
	return os.WriteFile(h.Path("/etc/resolv.conf"), nil, 0o644)
}

// mirror links everything of the real directory into own, except for missing.
func mirror(real, own string, missing []string) error {
	entries, err := os.ReadDir(real)
	if err != nil {
		return err
	}
	skip := map[string]bool{}
	for _, name := range missing {
		skip[name] = true
	}
	for _, entry := range entries {
		name := entry.Name()
		if skip[name] {
			continue
		}
		if err := os.Symlink(filepath.Join(realRoot, real, name), filepath.Join(own, name)); err != nil {
			return err
		}
	}
	return nil
}

// live is the host's thread. It never unlocks, so that the thread, which is
// of no use outside the host, ends with it.
func (h *Host) live(entered chan<- error) {
	runtime.LockOSThread()
	defer close(h.ended)
	if err := h.enter(); err != nil {
		entered <- err
		return
	}
	entered <- nil
	for call := range h.calls {
		call()
	}
	h.Netlink.Close()
}

func (h *Host) enter() error {
	// Threads share their root and working directory; CLONE_FS parts them,
	// which a new mount namespace asks for.
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Sethostname([]byte(h.Name)); err != nil {
		return fmt.Errorf("sethostname: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for dir := range privateDirs {
		if err := bind(dir, h.Path(realRoot+dir)); err != nil {
			return err
		}
		if err := bind(h.Path(dir), dir); err != nil {
			return err
		}
	}
	if err := bind(h.Path("/run"), "/run"); err != nil {
		return err
	}
	// sysfs shows the network namespace of whoever mounted it. Read-only, it
	// also tells daemons not to wait for udev. In a user namespace the kernel
	// may refuse; only /sys/class/net is then foreign.
	_ = unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, "")

	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open rtnetlink: %w", err)
	}
	h.Netlink = nl
	return nil
}

// bind takes what is mounted below from along: in a user namespace the kernel
// insists.
func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	return nil
}

// Do runs f inside the host and returns its error. Sockets that f opens stay
// in the host, whoever uses them later. f must not wait for another Do.
func (h *Host) Do(f func() error) error {
	result := make(chan error)
	h.calls <- func() { result <- f() }
	return <-result
}

// Path says where the test finds what the host knows as path, which must lie
// in /etc, /run or /var/lib.
func (h *Host) Path(path string) string { return filepath.Join(h.dir, path) }

// WriteFile writes a file of the host's own, for everyone to read, and the
// directories above it.
func (h *Host) WriteFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(h.Path(path)), 0o755); err != nil {
		return fmt.Errorf("cannot write %s on %s: %w", path, h.Name, err)
	}
	if err := os.WriteFile(h.Path(path), []byte(text), 0o644); err != nil {
		return fmt.Errorf("cannot write %s on %s: %w", path, h.Name, err)
	}
	return nil
}

// close ends the host's programs and its thread.
func (h *Host) close() error {
	h.mu.Lock()
	processes := h.processes
	h.mu.Unlock()
	for _, p := range processes {
		p.Kill()
	}
	h.sweep()
	close(h.calls)
	<-h.ended
	return nil
}

// sweep kills what the programs have started and left behind. It is known by its
// network namespace, which is nobody else's.
func (h *Host) sweep() {
	own := ""
	err := h.Do(func() (err error) {
		own, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return
	}
	all, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, path := range all {
		if netns, err := os.Readlink(path); err != nil || netns != own {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(path, "/")[2]); err == nil && pid != os.Getpid() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}
