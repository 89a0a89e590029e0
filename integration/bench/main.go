package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"net.connman/integration/lab"
)

// scenario measures one manager once and adds what it found to the table.
type scenario struct {
	name string
	// runs is how often at least, whatever the -runs flag says; 0 leaves it
	// to the flag, and 1 means once.
	runs int
	// applies says which managers the scenario is for.
	applies func(lab.Manager) bool
	measure func(*table, lab.Manager) error
}

func everyone(lab.Manager) bool { return true }

// group is what is measured of the same daemons, in one table.
type group struct {
	managers  []lab.Manager // ours first
	scenarios []scenario
}

var groups = []group{
	{[]lab.Manager{lab.Ours(), lab.Reference(), lab.NetworkManager(), lab.Networkd()}, managing},
	{[]lab.Manager{lab.Ours(), lab.Reference(), dnsmasq, unbound}, forwarding},
	{[]lab.Manager{lab.VPN(), lab.ReferenceVPN()}, tunnelling},
}

var managing = []scenario{
	{"life", 0, everyone, measureLife},
	{"ipv6", 0, followsRouters, measureIPv6},
	{"profiles", 0, lab.Manager.Connman, measureProfiles},
	{"calls", 0, lab.Manager.Connman, measureCalls},
	{"idle", 1, everyone, measureIdle},
	{"links50", 1, everyone, measureLinks(50)},
	{"links200", 1, everyone, measureLinks(200)},
	{"links500", 1, everyone, measureLinks(500)},
}

var forwarding = []scenario{
	{"dnsrate", 0, everyone, measureDNS},
	{"dnsmemory", 1, everyone, measureDNSMemory},
	{"dnsupstream", 1, everyone, measureUpstream},
}

var tunnelling = []scenario{
	{"openvpn", 0, everyone, measureOpenVPN},
}

func main() {
	runs := flag.Int("runs", 11, "how often each is measured")
	only := flag.String("only", "", "measure only scenarios whose names begin so, such as life,idle")
	names := flag.String("managers", "", "measure only managers whose names begin so")
	inquire := flag.String("inquire", "", "not for people: be the one who asks the manager on this bus again and again")
	flag.Parse()
	if *inquire != "" {
		if err := runInquiry(*inquire, list(*names)); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := bench(*runs, list(*only), list(*names)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func bench(runs int, only, names []string) error {
	if _, err := lab.TakePrecedence(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	var errs []error
	for _, g := range groups {
		g.scenarios = slices.DeleteFunc(slices.Clone(g.scenarios), func(s scenario) bool {
			return only != nil && !slices.ContainsFunc(only, func(name string) bool { return strings.HasPrefix(s.name, name) })
		})
		if len(g.scenarios) > 0 {
			errs = append(errs, g.measure(runs, names))
		}
	}
	if errs == nil {
		errs = append(errs, errors.New("no such scenario"))
	}
	return errors.Join(errs...)
}

// measure measures the managers whose names begin with one of names, or all,
// and prints the table.
func (g group) measure(runs int, names []string) error {
	managers, err := choose(g.managers, names)
	if err != nil {
		return err
	}
	t := newTable(g.managers[0], managers)
	for _, s := range g.scenarios {
		times := runs
		if s.runs != 0 {
			times = s.runs
		}
		for i := range times {
			for _, m := range managers {
				if !s.applies(m) {
					continue
				}
				fmt.Fprintf(os.Stderr, "\r%-11s %2d/%-2d %-20s", s.name, i+1, times, m.Name)
				if err := s.measure(t, m); err != nil {
					t.fail(m, fmt.Errorf("%s, run %d: %w", s.name, i+1, err))
				}
			}
		}
	}
	fmt.Fprint(os.Stderr, "\r", strings.Repeat(" ", 40), "\r")
	t.print(os.Stdout)
	fmt.Println()
	return t.err()
}

// choose finds the managers to measure. One that isn't installed is an error:
// a comparison with nobody proves nothing.
func choose(all []lab.Manager, names []string) ([]lab.Manager, error) {
	var managers []lab.Manager
	var errs []error
	for _, m := range all {
		wanted := names == nil || slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(m.Name, name) })
		switch {
		case !wanted:
		case !m.Installed():
			errs = append(errs, fmt.Errorf("%s is not there: %s", m.Name, m.Path))
		default:
			managers = append(managers, m)
		}
	}
	if managers == nil && errs == nil {
		errs = append(errs, errors.New("no such manager"))
	}
	return managers, errors.Join(errs...)
}
