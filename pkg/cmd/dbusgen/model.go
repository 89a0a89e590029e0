package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"strings"

	"net.connman/pkg/bus"
)

type node struct {
	Interfaces []iface `xml:"interface"`
}

type iface struct {
	Name    string      `xml:"name,attr"`
	Methods []method    `xml:"method"`
	Signals []signal    `xml:"signal"`
	Dicts   []dict      `xml:"net.connman dict"`
	Errors  []namedItem `xml:"net.connman error"`
}

type namedItem struct {
	Name string `xml:"name,attr"`
}

type method struct {
	Name        string       `xml:"name,attr"`
	Args        []arg        `xml:"arg"`
	Annotations []annotation `xml:"annotation"`
}

type signal struct {
	Name string `xml:"name,attr"`
	Args []arg  `xml:"arg"`
}

type arg struct {
	Name      string `xml:"name,attr"`
	Type      string `xml:"type,attr"`
	Direction string `xml:"direction,attr"`
}

type annotation struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type dict struct {
	Name string `xml:"name,attr"`
	Keys []key  `xml:"net.connman key"`
}

type key struct {
	Name   string `xml:"name,attr"`
	Type   string `xml:"type,attr"`
	Access string `xml:"access,attr"`
	Dict   string `xml:"dict,attr"`
}

// readInterfaces reads the interfaces of an XML file and checks them.
func readInterfaces(file string) ([]iface, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var n node
	if err := xml.Unmarshal(b, &n); err != nil {
		return nil, fmt.Errorf("cannot parse %s: %w", file, err)
	}
	for _, i := range n.Interfaces {
		if err := i.check(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, i.Name, err)
		}
	}
	return n.Interfaces, nil
}

func (i iface) check() error {
	for _, m := range i.Methods {
		for _, a := range m.Args {
			if a.Direction != "in" && a.Direction != "out" {
				return fmt.Errorf("method %s: argument %s has no direction", m.Name, a.Name)
			}
			if a.Direction == "in" && goType(a.Type) == "" {
				return fmt.Errorf("method %s: no Go type for %s of argument %s", m.Name, a.Type, a.Name)
			}
		}
	}
	for _, s := range i.Signals {
		for _, a := range s.Args {
			if goType(a.Type) == "" {
				return fmt.Errorf("signal %s: no Go type for %s of argument %s", s.Name, a.Type, a.Name)
			}
		}
	}
	for _, d := range i.Dicts {
		for _, k := range d.Keys {
			if err := k.check(); err != nil {
				return fmt.Errorf("key %s.%s: %w", d.Name, k.Name, err)
			}
		}
	}
	return nil
}

func (k key) check() error {
	switch k.Access {
	case "read", "write", "readwrite":
	default:
		return fmt.Errorf("access %q is none of read, write, readwrite", k.Access)
	}
	if !bus.IsType(k.Type) {
		return fmt.Errorf("%q is not a D-Bus type", k.Type)
	}
	return nil
}

// short returns the last part of the interface's name, as part of a Go name.
func (i iface) short() string {
	return exported(i.Name[strings.LastIndexByte(i.Name, '.')+1:])
}

// goName returns the method's name as an exported Go name: some begin small.
func (m method) goName() string { return exported(m.Name) }

func (m method) args(direction string) []arg {
	var list []arg
	for _, a := range m.Args {
		if a.Direction == direction {
			list = append(list, a)
		}
	}
	return list
}

func (m method) deprecated() bool {
	return slices.Contains(m.Annotations, annotation{"org.freedesktop.DBus.Deprecated", "true"})
}

// goTypes says which Go type stands for a D-Bus type among the arguments.
var goTypes = map[string]string{
	"y": "byte", "b": "bool", "n": "int16", "q": "uint16", "i": "int32", "u": "uint32",
	"x": "int64", "t": "uint64", "d": "float64", "s": "string", "o": "bus.ObjectPath",
	"g": "bus.Signature", "v": "bus.Variant", "as": "[]string", "ao": "[]bus.ObjectPath",
	"ay": "[]byte", "a{sv}": "bus.Dict", "a(oa{sv})": "[]bus.Object",
}

// goType returns the Go type of a D-Bus type, "" if none stands for it. Arrays
// of anything else have one Go type.
func goType(typ string) string {
	if t := goTypes[typ]; t != "" {
		return t
	}
	if strings.HasPrefix(typ, "a") {
		return "bus.Array"
	}
	return ""
}
