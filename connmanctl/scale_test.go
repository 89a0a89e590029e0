package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

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

// TestManyServices lists them and completes a name.
func TestManyServices(t *testing.T) {
	address := crowd(t)
	cmd := client(deadline(t), address, "services")
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatal(err, complaints.String())
	}
	if lines := strings.Count(out.String(), "\n"); lines != manyServices {
		t.Errorf("%d lines", lines)
	}
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
