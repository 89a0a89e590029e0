//go:build netns

package client

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"net.connman/integration/lab"
)

// take leads a client through the tour.
func (w *world) take(client string) []outcome {
	w.t.Helper()
	var outcomes []outcome
	for _, s := range tour {
		outcomes = append(outcomes, w.run(client, w.words(s.line)...))
		if s.until != nil {
			w.await(s.line, s.until)
		}
	}
	w.await("the end of the tour", settled)
	return outcomes
}

// TestSameOnReference: both clients on the reference's daemon.
func TestSameOnReference(t *testing.T) { same(t, lab.Reference()) }

// TestSameOnOurs: both clients on our daemon.
func TestSameOnOurs(t *testing.T) { same(t, lab.Ours()) }

func same(t *testing.T, daemon lab.Manager) {
	w := newWorld(t, daemon)
	theirs, our := w.take(reference()), w.take(ours())
	for i, s := range tour {
		want, got := theirs[i], our[i]
		got.Stderr = withoutHints(got.Stderr)
		failed := got.Stderr != "" || strings.HasPrefix(got.Stdout, "Error '")
		if failed != (got.Status != 0) {
			t.Errorf("%s: status %d, printed %q and %q", s.line, got.Status, got.Stdout, got.Stderr)
		}
		if !strings.Contains(got.Stdout, telling[s.line]) {
			t.Errorf("%s: printed %q and %q, without %q", s.line, got.Stdout, got.Stderr, telling[s.line])
		}
		want.Status, got.Status = 0, 0
		if slices.Contains(manyCalls, s.line) && strings.HasPrefix(got.Stderr, want.Stderr) {
			got.Stderr = want.Stderr
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-reference +ours)\n%s", s.line, diff)
		}
	}
}

// withoutHints drops what ours says behind the reference's errors.
func withoutHints(stderr string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(stderr, "\n"), func(line string) bool { return strings.HasPrefix(line, "Hint: ") })
	return strings.Join(lines, "")
}
