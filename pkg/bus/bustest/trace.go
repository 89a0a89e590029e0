package bustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"net.connman/pkg/bus"
)

// deadline is how long WaitFor waits.
const deadline = 10 * time.Second

// Trace is what went over the bus, one line per message:
//
//	call / net.connman.Manager.SetProperty("OfflineMode", <true>)
//	signal / net.connman.Manager.PropertyChanged("OfflineMode", <true>)
//	reply SetProperty()
//	error SetProperty net.connman.Error.InvalidArguments("Invalid arguments")
//
// Dictionaries keep the order in which they were sent. Names of connections and
// the talk with the bus itself are left out, so that traces compare.
type Trace struct {
	mu      sync.Mutex // guards what follows
	lines   []string
	changed chan struct{}      // closed and replaced at every line
	calls   map[callKey]string // member of each open call
}

type callKey struct {
	caller string
	serial uint32
}

// Record records everything from now until the test ends.
func (b *Bus) Record(t testing.TB) *Trace {
	t.Helper()
	tr := &Trace{changed: make(chan struct{}), calls: map[callKey]string{}}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- bus.Monitor(ctx, b.Address, func() { close(ready) }, tr.add) }()
	t.Cleanup(func() { cancel(); <-ended })
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("cannot record: %v", err)
	}
	return tr
}

func (tr *Trace) add(o bus.Observed) {
	const daemon = "org.freedesktop.DBus"
	if o.Sender == daemon || o.Destination == daemon {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	args := formatList(o.Args, "(", ")")
	var line string
	switch o.Kind {
	case "call":
		tr.calls[callKey{o.Sender, o.Serial}] = o.Member
		line = fmt.Sprintf("call %s %s.%s%s", o.Path, o.Interface, o.Member, args)
	case "signal":
		line = fmt.Sprintf("signal %s %s.%s%s", o.Path, o.Interface, o.Member, args)
	default:
		key := callKey{o.Destination, o.ReplySerial}
		member := tr.calls[key]
		delete(tr.calls, key)
		line = "reply " + member + args
		if o.Kind == "error" {
			line = "error " + member + " " + o.ErrorName + args
		}
	}
	tr.lines = append(tr.lines, line)
	close(tr.changed)
	tr.changed = make(chan struct{})
}

// Lines returns what was recorded so far.
func (tr *Trace) Lines() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.lines)
}

// WaitFor waits until a recorded line starts with prefix and returns all lines
// up to that one.
func (tr *Trace) WaitFor(t testing.TB, prefix string) []string {
	t.Helper()
	lines, err := tr.wait(prefix)
	if err != nil {
		t.Fatalf("%v; recorded:\n%s", err, strings.Join(lines, "\n"))
	}
	return lines
}

func (tr *Trace) wait(prefix string) ([]string, error) {
	timeout := time.After(deadline)
	for {
		tr.mu.Lock()
		lines, changed := tr.lines, tr.changed
		tr.mu.Unlock()
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, prefix) })
		if i >= 0 {
			return slices.Clone(lines[:i+1]), nil
		}
		select {
		case <-changed:
		case <-timeout:
			return lines, errors.New("nothing starts with " + prefix)
		}
	}
}

// format writes a value the way GVariant's text format does.
func format(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case bus.ObjectPath:
		return string(v)
	case bus.Variant:
		return "<" + format(v.Value) + ">"
	case bus.Dict:
		entries := make([]string, len(v))
		for i, e := range v {
			entries[i] = fmt.Sprintf("%q: <%s>", e.Key, format(e.Value))
		}
		return "{" + strings.Join(entries, ", ") + "}"
	case bus.Object:
		return "(" + string(v.Path) + ", " + format(v.Properties) + ")"
	case bus.Struct:
		return formatList(v, "(", ")")
	case bus.Array:
		return formatList(v.Items, "[", "]")
	case []string:
		return formatList(v, "[", "]")
	case []bus.ObjectPath:
		return formatList(v, "[", "]")
	case []bus.Object:
		return formatList(v, "[", "]")
	}
	return fmt.Sprint(value)
}

func formatList[T any](list []T, open, end string) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = format(v)
	}
	return open + strings.Join(texts, ", ") + end
}
