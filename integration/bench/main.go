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

var scenarios = []scenario{
	{"life", 0, everyone, measureLife},
	{"ipv6", 0, followsRouters, measureIPv6},
	{"profiles", 0, lab.Manager.Connman, measureProfiles},
	{"calls", 0, lab.Manager.Connman, measureCalls},
	{"idle", 1, everyone, measureIdle},
	{"links50", 1, everyone, measureLinks(50)},
	{"links200", 1, everyone, measureLinks(200)},
	{"links500", 1, everyone, measureLinks(500)},
}

func main() {
	runs := flag.Int("runs", 11, "how often each is measured")
	only := flag.String("only", "", "measure only these scenarios, such as life,idle")
	names := flag.String("managers", "", "measure only managers whose names begin so")
	flag.Parse()
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
	managers, err := choose(names)
	if err != nil {
		return err
	}
	t := newTable(managers)
	for _, s := range scenarios {
		if only != nil && !slices.Contains(only, s.name) {
			continue
		}
		times := runs
		if s.runs != 0 {
			times = s.runs
		}
		for i := range times {
			for _, m := range managers {
				if !s.applies(m) {
					continue
				}
				fmt.Fprintf(os.Stderr, "\r%-9s %2d/%-2d %-20s", s.name, i+1, times, m.Name)
				if err := s.measure(t, m); err != nil {
					t.fail(m, fmt.Errorf("%s, run %d: %w", s.name, i+1, err))
				}
			}
		}
	}
	fmt.Fprint(os.Stderr, "\r", strings.Repeat(" ", 40), "\r")
	t.print(os.Stdout)
	return t.err()
}

// choose finds the managers to measure. One that isn't installed is an error:
// a comparison with nobody proves nothing.
func choose(names []string) ([]lab.Manager, error) {
	var managers []lab.Manager
	var errs []error
	for _, m := range []lab.Manager{lab.Ours(), lab.Reference(), lab.NetworkManager(), lab.Networkd()} {
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
