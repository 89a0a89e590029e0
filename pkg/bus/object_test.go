package bus_test

import (
	"slices"
	"strings"
	"testing"

	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
)

func TestObjectManagerTellsOfObjects(t *testing.T) {
	b := bustest.Start(t)
	l, conn := serve(t, b)
	trace := b.Record(t)
	other := bus.Interface{Name: "test.Other"}
	bustest.Do(l, func() {
		conn.Export("/a", other)
		conn.Emit("/", testIface, "Changed", uint32(1))
		conn.Export("/brief", other)
		conn.Unexport("/brief") // nobody ever saw it
		conn.Export("/b", other)
	})
	if _, err := conn.Wait(t.Context(), bus.MethodCall{
		Destination: testName, Path: "/", Interface: "org.freedesktop.DBus.ObjectManager", Member: "GetManagedObjects",
	}); err != nil {
		t.Fatal(err)
	}
	bustest.Do(l, func() { conn.Unexport("/a"); conn.Unexport("/nowhere") })
	const (
		manager = "/ org.freedesktop.DBus.ObjectManager."
		added   = `[("org.freedesktop.DBus.Introspectable", {}), ("test.Other", {})]`
	)
	want := []string{
		"signal " + manager + "InterfacesAdded(/a, " + added + ")",
		"signal / test.Interface.Changed(1)",
		"signal " + manager + "InterfacesAdded(/b, " + added + ")",
		"call " + manager + "GetManagedObjects()",
		"reply GetManagedObjects([(/b, " + added + "), (/a, " + added + ")])",
		"signal " + manager + `InterfacesRemoved(/a, ["org.freedesktop.DBus.Introspectable", "test.Other"])`,
	}
	if got := trace.WaitFor(t, "signal "+manager+"InterfacesRemoved"); !slices.Equal(got, want) {
		t.Errorf("trace\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A hidden object answers who knows its path, and is in no list.
func TestHiddenObject(t *testing.T) {
	b := bustest.Start(t)
	l, conn := serve(t, b)
	trace := b.Record(t)
	bustest.Do(l, func() {
		conn.ExportHidden("/hidden/object", bus.Interface{Name: "test.Other"})
		conn.Export("/seen", bus.Interface{Name: "test.Other"})
	})
	ask := func(path bus.ObjectPath) (string, error) {
		return bus.Result[string](conn.Wait(t.Context(), bus.MethodCall{
			Destination: testName, Path: path, Interface: "org.freedesktop.DBus.Introspectable", Member: "Introspect",
		}))
	}
	if xml, err := ask("/hidden/object"); err != nil || !strings.Contains(xml, "test.Other") {
		t.Errorf("the object says %q, %v", xml, err)
	}
	if xml, err := ask("/"); err != nil || !strings.Contains(xml, "seen") || strings.Contains(xml, "hidden") {
		t.Errorf("the root says %q, %v", xml, err)
	}
	if xml, err := ask("/hidden"); err == nil && strings.Contains(xml, "object\"") {
		t.Errorf("what leads to the object says %q", xml)
	}
	if _, err := conn.Wait(t.Context(), bus.MethodCall{
		Destination: testName, Path: "/", Interface: "org.freedesktop.DBus.ObjectManager", Member: "GetManagedObjects",
	}); err != nil {
		t.Fatal(err)
	}
	bustest.Do(l, func() {
		conn.Unexport("/hidden/object")
		conn.Unexport("/seen")
	})
	for _, line := range trace.WaitFor(t, "signal / org.freedesktop.DBus.ObjectManager.InterfacesRemoved(/seen") {
		if strings.HasPrefix(line, "signal") && strings.Contains(line, "hidden") || strings.HasPrefix(line, "reply GetManaged") && strings.Contains(line, "hidden") {
			t.Error(line)
		}
	}
}

func TestExportRefusesMistakes(t *testing.T) {
	b := bustest.Start(t)
	l, conn := serve(t, b)
	bustest.Do(l, func() {
		if conn.Export("no/path", bus.Interface{Name: "a.B"}) == nil {
			t.Error("an invalid path was exported")
		}
		if conn.Export("/", bus.Interface{Name: testIface}) == nil {
			t.Error("an interface was exported twice")
		}
	})
}

// A process that floods us with arguments of any type gets errors and harms
// nobody.
func TestHostileArguments(t *testing.T) {
	b := bustest.Start(t)
	serve(t, b, bus.Method{
		Name: "Set", In: []bus.Arg{{Name: "name", Type: "s"}, {Name: "value", Type: "v"}},
		Handle: func(c *bus.Call, args []any) {
			if _, ok := args[1].(bus.Variant).Value.(string); !ok {
				c.Error(bus.ErrInvalidArguments)
				return
			}
			c.Reply()
		},
	})
	_, conn := b.Join(t)
	deep := any(bus.Variant{Value: "bottom"})
	for range 60 {
		deep = bus.Variant{Value: deep}
	}
	for _, args := range [][]any{
		{}, {"x"}, {uint32(1), bus.Variant{Value: "x"}}, {"x", "y"}, {"x", bus.Variant{Value: "y"}, byte(1)},
		{"x", bus.Variant{Value: deep}}, {"x", bus.Variant{Value: bus.Array{Elem: "(ay)", Items: []any{}}}},
		{"x", bus.Variant{Value: bus.Dict{{Key: "", Value: bus.Struct{bus.Signature(""), int64(1)}}}}},
		{"x", bus.Variant{Value: []byte{0, 1, 255}}}, {strings.Repeat("long", 100000), bus.Variant{Value: true}},
	} {
		call := echo("/", "Set", args...)
		if _, err := conn.Wait(t.Context(), call); err == nil {
			t.Errorf("%T was accepted", args)
		}
	}
	if _, err := conn.Wait(t.Context(), echo("/", "Set", "x", bus.Variant{Value: "y"})); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
