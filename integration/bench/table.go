package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"net.connman/integration/lab"
)

// table gathers measurements by row and manager.
type table struct {
	ours     lab.Manager
	managers []lab.Manager
	rows     []*row
	errs     []error
}

type row struct {
	name   string
	unit   string
	more   bool // more is better
	values map[string][]float64
}

func newTable(ours lab.Manager, managers []lab.Manager) *table {
	return &table{ours: ours, managers: managers}
}

// less and more add a value to a row, of which less or more is better.
func (t *table) less(m lab.Manager, name, unit string, value float64) {
	t.add(m, name, unit, false, value)
}

func (t *table) more(m lab.Manager, name, unit string, value float64) {
	t.add(m, name, unit, true, value)
}

func (t *table) add(m lab.Manager, name, unit string, more bool, value float64) {
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, &row{name: name, unit: unit, more: more, values: map[string][]float64{}})
	}
	t.rows[i].values[m.Name] = append(t.rows[i].values[m.Name], value)
}

// fail notes that a measurement did not come about.
func (t *table) fail(m lab.Manager, err error) {
	t.errs = append(t.errs, fmt.Errorf("%s: %w", m.Name, err))
}

// err is what went wrong with our own daemon. What others cannot do is a
// result, not an error.
func (t *table) err() error {
	var own []error
	for _, err := range t.errs {
		if strings.HasPrefix(err.Error(), t.ours.Name+":") {
			own = append(own, err)
		}
	}
	return errors.Join(own...)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// ratio says how the first manager, ours, stands to the best of the others:
// below 1 it leads, whether more or less is better.
func (t *table) ratio(r *row) (float64, bool) {
	own, ok := r.values[t.ours.Name]
	if !ok {
		return 0, false
	}
	best, found := 0.0, false
	for _, m := range t.managers {
		values, ok := r.values[m.Name]
		if !ok || m.Name == t.ours.Name {
			continue
		}
		value := median(values)
		if !found || (value > best) == r.more {
			best, found = value, true
		}
	}
	if !found || best == 0 || median(own) == 0 {
		return 0, false
	}
	if r.more {
		return best / median(own), true
	}
	return median(own) / best, true
}

// print writes the table as Markdown.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "| %-42s |", "")
	for _, m := range t.managers {
		fmt.Fprintf(w, " %16s |", m.Name)
	}
	fmt.Fprintf(w, " %7s |\n|%s|%s%s|\n", "to best", strings.Repeat("-", 44),
		strings.Repeat("-----------------:|", len(t.managers)), "--------:")
	for _, r := range t.rows {
		fmt.Fprintf(w, "| %-42s |", r.name+", "+r.unit)
		for _, m := range t.managers {
			cell := "–"
			if values, ok := r.values[m.Name]; ok {
				cell = figure(median(values))
			}
			fmt.Fprintf(w, " %16s |", cell)
		}
		cell := "–"
		if ratio, ok := t.ratio(r); ok {
			cell = fmt.Sprintf("%.2f", ratio)
		}
		fmt.Fprintf(w, " %7s |\n", cell)
	}
	for _, err := range t.errs {
		fmt.Fprintf(w, "\nfailed: %v\n", err)
	}
}

func figure(value float64) string {
	if value >= 100 || value == float64(int(value)) {
		return fmt.Sprintf("%.0f", value)
	}
	return fmt.Sprintf("%.1f", value)
}
