package connman_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
)

// manager answers one method; nothing else is called here.
type manager struct{ connman.ManagerServer }

func (manager) GetServices(c *bus.Call) {
	c.Reply([]bus.Object{{Path: servicePath, Properties: bus.Dict{
		{Key: connman.ServiceType, Value: "ethernet"},
		{Key: connman.ServiceSecurity, Value: []string{}},
		{Key: connman.ServiceIPv4, Value: bus.Dict{{Key: connman.IPv4Method, Value: "dhcp"}}},
	}}})
}

func (manager) RegisterAgent(c *bus.Call, path bus.ObjectPath) {
	if path != "/agent" {
		c.Error(bus.ErrInvalidArguments)
		return
	}
	c.Reply()
}

const (
	servicePath    = "/net/connman/service/ethernet_027702000002_cable"
	technologyPath = "/net/connman/technology/ethernet"
)

func serve(t *testing.T) (*bustest.Bus, connman.ManagerClient) {
	b := bustest.Start(t)
	l, conn := b.Join(t)
	bustest.Do(l, func() {
		err := errors.Join(
			conn.ManageObjects(),
			conn.Export("/", connman.ServeManager(manager{}), connman.ServeClock(nil)),
			conn.Export(technologyPath, connman.ServeTechnology(nil)),
			conn.Export(servicePath, connman.ServeService(nil)),
			conn.Export("/net/connman/service/vpn_10_77_0_1_bench_test", connman.ServeService(nil)),
			conn.Export("/net/connman/service/vpn_10_77_0_3_bench_test", connman.ServeService(nil)),
			conn.Export("/net/connman/service/vpn_10_77_0_4_bench_test", connman.ServeService(nil)),
			conn.Export("/org/x", connman.ServeSession(nil)),
		)
		if err != nil {
			t.Error(err)
		}
	})
	bustest.Own(t, l, conn, "net.connman")
	_, client := b.Join(t)
	return b, connman.ManagerClient{Conn: client, Destination: "net.connman", Path: "/"}
}

// The introspection data is the reference's, byte for byte.
func TestIntrospectionEqualsTheReference(t *testing.T) {
	_, client := serve(t)
	for path, file := range map[bus.ObjectPath]string{
		"/":                    "root.xml",
		technologyPath:         "technology.xml",
		servicePath:            "service.xml",
		"/org/x":               "session.xml",
		"/net/connman/service": "service_parent.xml",
	} {
		want, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := bus.Result[string](client.Conn.Wait(t.Context(), bus.MethodCall{
			Destination: "net.connman", Path: path,
			Interface: "org.freedesktop.DBus.Introspectable", Member: "Introspect",
		}))
		if err != nil || strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
			t.Errorf("%s: %v\ngot\n%s\nwant\n%s", path, err, got, want)
		}
	}
}

func TestClientAndServer(t *testing.T) {
	b, client := serve(t)
	trace := b.Record(t)
	services, err := client.GetServices(t.Context())
	if err != nil || len(services) != 1 || services[0].Path != servicePath {
		t.Fatalf("%v, %v", services, err)
	}
	if services[0].Properties[2].Key != "IPv4" {
		t.Errorf("properties lost their order: %v", services[0].Properties)
	}
	if err := client.RegisterAgent(t.Context(), "/agent"); err != nil {
		t.Error(err)
	}
	if err := client.RegisterAgent(t.Context(), "/other"); !errors.Is(err, bus.ErrInvalidArguments) {
		t.Errorf("refusal: %v", err)
	}
	got := strings.Join(trace.WaitFor(t, "error RegisterAgent"), "\n")
	want := `call / net.connman.Manager.GetServices()
reply GetServices([(` + servicePath + `, {"Type": <"ethernet">, "Security": <[]>, "IPv4": <{"Method": <"dhcp">}>})])
call / net.connman.Manager.RegisterAgent(/agent)
reply RegisterAgent()
call / net.connman.Manager.RegisterAgent(/other)
error RegisterAgent net.connman.Error.InvalidArguments("Invalid arguments")`
	if got != want {
		t.Errorf("trace\n%s\nwant\n%s", got, want)
	}
}
