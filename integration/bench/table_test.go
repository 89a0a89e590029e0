package main

import (
	"strings"
	"testing"

	"net.connman/integration/lab"
)

func TestTable(t *testing.T) {
	ours, reference, nm := lab.Ours(), lab.Reference(), lab.NetworkManager()
	table := newTable(ours, []lab.Manager{ours, reference, nm})
	for _, value := range []float64{9, 1, 5} {
		table.less(ours, "start", "ms", value)
	}
	table.less(reference, "start", "ms", 10)
	table.less(nm, "start", "ms", 20)
	table.more(ours, "calls", "1/s", 100)
	table.more(reference, "calls", "1/s", 50)
	table.less(reference, "alone", "ms", 7)

	for i, want := range []float64{0.5, 0.5} {
		if got, ok := table.ratio(table.rows[i]); !ok || got != want {
			t.Errorf("%s: ratio %v, want %v", table.rows[i].name, got, want)
		}
	}
	if _, ok := table.ratio(table.rows[2]); ok {
		t.Error("a row without our value has a ratio")
	}
	var out strings.Builder
	table.print(&out)
	if lines := strings.Count(out.String(), "\n"); lines != 5 {
		t.Errorf("%d lines, want a head, a rule and 3 rows:\n%s", lines, out.String())
	}
}

func TestMedian(t *testing.T) {
	for _, step := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 5}, 5}} {
		if got := median(step.values); got != step.want {
			t.Errorf("median of %v is %v, want %v", step.values, got, step.want)
		}
	}
}
