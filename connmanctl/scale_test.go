package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"net.connman/connmanctl/internal/lab"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

const manyServices = 10000

// crowd is a daemon with many services, each with about the properties that
// Ethernet has. Its answer is longer than the 4 MiB that daemons take.
func crowd(t testing.TB) *lab.Bus {
	address := lab.StartBus(t)
	l := loop.New(slog.New(slog.DiscardHandler))
	conn, err := bus.Dial(t.Context(), l, slog.New(slog.DiscardHandler), address.Address)
	if err != nil {
		t.Fatal(err)
	}
	var services []bus.EncodedObject
	for i := range manyServices {
		services = append(services, bus.EncodeObject(bus.Object{
			Path: bus.ObjectPath(fmt.Sprintf("/net/connman/service/ethernet_%012x_cable", i)),
			Properties: bus.Dict{
				{Key: "Type", Value: "ethernet"}, {Key: "Security", Value: []string{}}, {Key: "State", Value: "idle"},
				{Key: "Favorite", Value: true}, {Key: "Immutable", Value: false}, {Key: "AutoConnect", Value: true},
				{Key: "Name", Value: fmt.Sprintf("Wired %d", i)},
				{Key: "Ethernet", Value: bus.Dict{{Key: "Method", Value: "auto"}, {Key: "Interface", Value: "eth0"},
					{Key: "Address", Value: "02:77:02:00:00:02"}, {Key: "MTU", Value: uint16(1500)}}},
				{Key: "IPv4", Value: bus.Dict{}}, {Key: "IPv4.Configuration", Value: bus.Dict{{Key: "Method", Value: "dhcp"}}},
				{Key: "IPv6", Value: bus.Dict{}},
				{Key: "IPv6.Configuration", Value: bus.Dict{{Key: "Method", Value: "auto"}, {Key: "Privacy", Value: "disabled"}}},
				{Key: "Nameservers", Value: []string{}}, {Key: "Nameservers.Configuration", Value: []string{}},
				{Key: "Timeservers", Value: []string{}}, {Key: "Timeservers.Configuration", Value: []string{}},
				{Key: "Domains", Value: []string{}}, {Key: "Domains.Configuration", Value: []string{}},
				{Key: "Proxy", Value: bus.Dict{}}, {Key: "Proxy.Configuration", Value: bus.Dict{}},
				{Key: "Provider", Value: bus.Dict{}},
			},
		}))
	}
	err = conn.Export("/", bus.Interface{Name: "net.connman.Manager", Methods: []bus.Method{{
		Name: "GetServices", Out: []bus.Arg{{Name: "services", Type: "a(oa{sv})"}},
		Handle: func(c *bus.Call, _ []any) { c.Reply(services) },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	owned := make(chan error, 1)
	conn.RequestName("net.connman", func(err error) { owned <- err })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended; conn.Close() })
	go func() { l.Run(ctx); close(ended) }()
	if err := <-owned; err != nil {
		t.Fatal(err)
	}
	return address
}

// TestManyServices lists them, completes the name of one, and looks at what that
// costs.
func TestManyServices(t *testing.T) {
	address := crowd(t)
	t.Run("list", func(t *testing.T) {
		got := finish(t, client(deadline(t), address, "services"))
		if lines := strings.Count(got.Stdout, "\n"); lines != manyServices || got.Stderr != "" {
			t.Errorf("%d lines, %q", lines, got.Stderr)
		}
	})
	t.Run("complete", func(t *testing.T) {
		got := finish(t, client(deadline(t), address, "--complete", "connect", "ethernet_00000000270"))
		if lines := strings.Count(got.Stdout, "\n"); lines != 16 || got.Stderr != "" {
			t.Errorf("%d completions, %q", lines, got.Stderr)
		}
	})
	t.Run("cost", func(t *testing.T) { listCheaply(t, address) })
}

const (
	// listingTime is what the list may cost the client. On a busy machine only
	// its own time means something.
	listingTime = 200 * time.Millisecond
	// listingRatio to the reference in the same run; it is about 0.35.
	listingRatio = 0.7
	listingRuns  = 4
)

// listCheaply measures the client as it is delivered, in turn with the
// reference where there is one.
func listCheaply(t *testing.T, address *lab.Bus) {
	clients := []string{build(t)}
	if path := referenceClient(); path != "" {
		clients = append(clients, path)
	}
	least := make([]time.Duration, len(clients))
	for range listingRuns {
		for i, path := range clients {
			cmd := program(deadline(t), address, path, "services")
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			if least[i] == 0 || used < least[i] {
				least[i] = used
			}
		}
	}
	t.Logf("processor time: %v", least)
	if least[0] > listingTime {
		t.Errorf("the list takes %v of processor time, want %v at most", least[0], listingTime)
	}
	if len(clients) > 1 && float64(least[0]) > listingRatio*float64(least[1]) {
		t.Errorf("the list takes %v of processor time, the reference %v", least[0], least[1])
	}
}

// build returns the client without the race detector.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "connmanctl")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the client: %v\n%s", err, text)
	}
	return path
}

// BenchmarkManyServices measures the whole of it: start, question, answer and
// text; the daemon has the services encoded.
func BenchmarkManyServices(b *testing.B) {
	address := crowd(b)
	for b.Loop() {
		if err := client(b.Context(), address, "services").Run(); err != nil {
			b.Fatal(err)
		}
	}
}
