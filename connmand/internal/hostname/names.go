package hostname

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	maxName  = 64 // of the kernel, for either name
	maxLabel = 63 // RFC 1035
	unset    = "(none)"
)

// Names holds the machine's names. It implements core.Hostnames.
type Names struct {
	log    *slog.Logger
	kernel kernel
	host   name
	domain name

	onChange func(host, domain string) // may be nil
}

// name is one of the names.
type name struct {
	own     string // the machine's
	current string
}

// kernel is where the names are set.
type kernel struct {
	setHost, setDomain func([]byte) error
}

// New returns the machine's names. Its own host name is the one in
// /etc/hostname, which a killed daemon has not changed, or else the present
// one, or localhost.
func New(log *slog.Logger) (*Names, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("cannot read the host name: %w", err)
	}
	file, err := os.ReadFile("/etc/hostname")
	if err != nil && !os.IsNotExist(err) {
		log.Warn("the host name's file is not used", "error", err)
	}
	host, domain := unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Domainname[:])
	return newNames(log, kernel{unix.Sethostname, unix.Setdomainname}, host, domain, string(file)), nil
}

func newNames(log *slog.Logger, k kernel, host, domain, file string) *Names {
	n := &Names{log: log, kernel: k, host: name{host, host}, domain: name{domain, domain}}
	if configured := fileName(file); configured != "" {
		n.host.own = configured
	}
	if n.host.own == "" || n.host.own == unset {
		n.host.own = "localhost"
	}
	return n
}

// Begin calls a machine that has no host name by its own one.
func (n *Names) Begin() {
	if n.host.current == "" || n.host.current == unset {
		n.SetHostname("")
	}
}

// fileName returns the name that hostname(5) text holds, "" if none.
func fileName(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if valid(line) {
			return line
		}
		return ""
	}
	return ""
}

// Hostname returns the machine's own host name.
func (n *Names) Hostname() string { return n.host.own }

// OnChange calls fn with the present host name and domain name, now and whenever
// they are changed here; a name that the machine lacks is "".
func (n *Names) OnChange(fn func(host, domain string)) {
	n.onChange = fn
	n.tell()
}

func (n *Names) tell() {
	if n.onChange == nil {
		return
	}
	domain := n.domain.current
	if domain == unset {
		domain = ""
	}
	n.onChange(n.host.current, domain)
}

// SetHostname sets the host name to the first label of to; "" gives back the
// machine's own.
func (n *Names) SetHostname(to string) {
	if valid(to) {
		to, _, _ = strings.Cut(to, ".")
	}
	n.set(&n.host, "host name", to, n.kernel.setHost)
}

// SetDomainname sets the domain name; "" gives back the machine's own.
func (n *Names) SetDomainname(to string) {
	n.set(&n.domain, "domain name", to, n.kernel.setDomain)
}

func (n *Names) set(which *name, what, to string, set func([]byte) error) {
	if to == "" {
		to = which.own
	} else if !valid(to) {
		n.log.Warn("a bad "+what+" is not set", "name", fmt.Sprintf("%.80q", to))
		return
	}
	if to == which.current {
		return
	}
	if err := set([]byte(to)); err != nil {
		n.log.Warn("cannot set the "+what, "name", to, "error", err)
		return
	}
	n.log.Info("the "+what+" is set", "name", to)
	which.current = to
	n.tell()
}

// valid reports whether s consists of labels of letters, digits, hyphens and
// underscores, the last two not at a label's ends, and fits into the kernel.
func valid(s string) bool {
	if len(s) > maxName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

func validLabel(s string) bool {
	if s == "" || len(s) > maxLabel || strings.Trim(s, "-_") != s {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	})
}
