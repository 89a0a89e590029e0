package bus_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
)

// someServices returns services with about the properties that Ethernet has.
func someServices(n int) []bus.Object {
	var list []bus.Object
	for i := range n {
		list = append(list, bus.Object{
			Path: bus.ObjectPath(fmt.Sprintf("/net/connman/service/ethernet_0277020000%02d_cable", i)),
			Properties: bus.Dict{
				{Key: "Type", Value: "ethernet"}, {Key: "Security", Value: []string{}},
				{Key: "State", Value: "online"}, {Key: "Favorite", Value: true},
				{Key: "Immutable", Value: false}, {Key: "AutoConnect", Value: true}, {Key: "Name", Value: "Wired"},
				{Key: "Ethernet", Value: bus.Dict{{Key: "Method", Value: "auto"}, {Key: "Interface", Value: "eth0"},
					{Key: "Address", Value: "02:77:02:00:00:02"}, {Key: "MTU", Value: uint16(1500)}}},
				{Key: "IPv4", Value: bus.Dict{{Key: "Method", Value: "dhcp"}, {Key: "Address", Value: "10.77.0.154"},
					{Key: "Netmask", Value: "255.255.255.0"}, {Key: "Gateway", Value: "10.77.0.1"}}},
				{Key: "IPv4.Configuration", Value: bus.Dict{{Key: "Method", Value: "dhcp"}}},
				{Key: "IPv6", Value: bus.Dict{}},
				{Key: "IPv6.Configuration", Value: bus.Dict{{Key: "Method", Value: "auto"}, {Key: "Privacy", Value: "disabled"}}},
				{Key: "Nameservers", Value: []string{"10.77.0.1"}}, {Key: "Nameservers.Configuration", Value: []string{}},
				{Key: "Timeservers", Value: []string{}}, {Key: "Timeservers.Configuration", Value: []string{}},
				{Key: "Domains", Value: []string{"bench.test"}}, {Key: "Domains.Configuration", Value: []string{}},
				{Key: "Proxy", Value: bus.Dict{{Key: "Method", Value: "direct"}}},
				{Key: "Proxy.Configuration", Value: bus.Dict{}}, {Key: "Provider", Value: bus.Dict{}},
			},
		})
	}
	return list
}

// BenchmarkGetServices measures a call and its answer through a dbus-daemon,
// over 1 and 8 connections, with the properties encoded anew every time and
// with encoded objects kept.
func BenchmarkGetServices(b *testing.B) {
	for _, services := range []int{1, 4} {
		list := someServices(services)
		var kept []bus.EncodedObject
		for _, o := range list {
			kept = append(kept, bus.EncodeObject(o))
		}
		for _, connections := range []int{1, 8} {
			b.Run(fmt.Sprintf("%d/fresh/%d", services, connections), func(b *testing.B) { benchmarkReply(b, connections, list) })
			b.Run(fmt.Sprintf("%d/kept/%d", services, connections), func(b *testing.B) { benchmarkReply(b, connections, kept) })
		}
	}
}

func benchmarkReply(b *testing.B, connections int, reply any) {
	daemon := bustest.Start(b)
	serve(b, daemon, bus.Method{
		Name: "GetServices", Out: []bus.Arg{{Name: "services", Type: "a(oa{sv})"}},
		Handle: func(c *bus.Call, _ []any) { c.Reply(reply) },
	})
	var left atomic.Int64
	left.Store(int64(b.N))
	var callers sync.WaitGroup
	var conns []*bus.Conn
	for range connections {
		_, conn := daemon.Join(b)
		conns = append(conns, conn)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, conn := range conns {
		callers.Go(func() {
			for left.Add(-1) >= 0 {
				if _, err := conn.Wait(b.Context(), echo("/", "GetServices")); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkDial measures the way from nothing to an owned name.
func BenchmarkDial(b *testing.B) {
	daemon := bustest.Start(b)
	for n := range b.N {
		l, conn := daemon.Join(b)
		bustest.Own(b, l, conn, fmt.Sprintf("test.Dial%d", n))
		bustest.Do(l, conn.Close)
	}
}
