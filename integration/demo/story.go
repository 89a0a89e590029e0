package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

// story tells what the daemon announces, a line for each step.
type story struct {
	out     io.Writer
	began   time.Time
	plugged time.Time // when the cable was; told in its turn
}

func (s *story) tell(at time.Time, format string, args ...any) {
	fmt.Fprintf(s.out, "%7.1f ms  %s\n", float64(at.Sub(s.began).Microseconds())/1000, fmt.Sprintf(format, args...))
}

// follow tells every signal until the machine is online.
func (s *story) follow(ctx context.Context, recorder *lab.Recorder) error {
	for next := 0; ; next++ {
		record, err := recorder.Wait(ctx, next, func(*dbus.Message) bool { return true })
		if err != nil {
			return err
		}
		if !s.plugged.IsZero() && record.At.After(s.plugged) {
			s.tell(s.plugged, "the cable is plugged in")
			s.plugged = time.Time{}
		}
		if s.signal(record) {
			return nil
		}
	}
}

// signal tells one message, if it is worth a line; true is the end.
func (s *story) signal(r lab.Record) bool {
	m := r.Message
	if m.Type != dbus.TypeSignal {
		return false
	}
	switch lab.Header(m, dbus.FieldInterface) + "." + lab.Header(m, dbus.FieldMember) {
	case "org.freedesktop.DBus.NameOwnerChanged":
		if m.Body[0] == "net.connman" {
			s.tell(r.At, "it answers on the bus as net.connman")
		}
	case "net.connman.Manager.TechnologyAdded":
		properties, _ := m.Body[1].(map[string]dbus.Variant)
		s.tell(r.At, "it knows a technology: %v (%v)", properties["Name"].Value(), properties["Type"].Value())
	case "net.connman.Manager.ServicesChanged":
		s.services(r)
	case "net.connman.Manager.PropertyChanged":
		return s.manager(r)
	case "net.connman.Service.PropertyChanged":
		s.service(r)
	}
	return false
}

// services tells the services that are new: they come with all properties.
func (s *story) services(r lab.Record) {
	changed, _ := r.Message.Body[0].([][]any)
	for _, entry := range changed {
		properties, _ := entry[1].(map[string]dbus.Variant)
		if name, ok := properties["Name"]; ok {
			s.tell(r.At, "a service appears: %v, %v", name.Value(), properties["State"].Value())
		}
	}
}

func (s *story) service(r lab.Record) {
	value, _ := r.Message.Body[1].(dbus.Variant)
	switch r.Message.Body[0] {
	case "State":
		s.tell(r.At, "the service is now: %v", value.Value())
	case "IPv4":
		ip, _ := value.Value().(map[string]dbus.Variant)
		if address, ok := ip["Address"]; ok {
			s.tell(r.At, "it has the address %v, gateway %v", address.Value(), ip["Gateway"].Value())
		}
	case "Nameservers":
		s.tell(r.At, "name servers: %v", value.Value())
	}
}

func (s *story) manager(r lab.Record) bool {
	value, _ := r.Message.Body[1].(dbus.Variant)
	if r.Message.Body[0] != "State" {
		return false
	}
	s.tell(r.At, "the machine is: %v", value.Value())
	return value.Value() == "online"
}
