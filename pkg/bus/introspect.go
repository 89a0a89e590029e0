package bus

import "strings"

const doctype = `<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
`

const deprecated = `<annotation name="org.freedesktop.DBus.Deprecated" value="true"/>`

var introspectMethods = []Method{{
	Name:   "Introspect",
	Out:    []Arg{{"xml", "s"}},
	Handle: func(call *Call, _ []any) { call.Reply(call.conn.introspect(call.server.(*object))) },
}}

func introspectable(o *object) Interface {
	return Interface{Name: ifaceIntrospectable, Methods: introspectMethods, Server: o}
}

// introspect describes an object, in the layout that the reference's objects
// have.
func (c *Conn) introspect(o *object) string {
	var x strings.Builder
	x.WriteString(doctype + "<node>")
	for _, i := range o.interfaces {
		writeInterface(&x, i)
	}
	for _, child := range c.objects.children(o.path) {
		x.WriteString(`<node name="` + child + `"/>`)
	}
	x.WriteString("</node>")
	return x.String()
}

// introspectBare describes a path by its children only, in libdbus's layout.
func (c *Conn) introspectBare(path ObjectPath) string {
	var x strings.Builder
	x.WriteString(doctype + "<node>\n")
	for _, child := range c.objects.children(path) {
		x.WriteString("  <node name=\"" + child + "\"/>\n")
	}
	x.WriteString("</node>\n")
	return x.String()
}

func writeInterface(x *strings.Builder, i Interface) {
	x.WriteString(`<interface name="` + i.Name + `">`)
	for _, m := range i.Methods {
		x.WriteString(`<method name="` + m.Name + `">`)
		writeArgs(x, m.In, ` direction="in"`)
		writeArgs(x, m.Out, ` direction="out"`)
		if m.Deprecated {
			x.WriteString(deprecated)
		}
		x.WriteString(`</method>`)
	}
	for _, s := range i.Signals {
		x.WriteString(`<signal name="` + s.Name + `">`)
		writeArgs(x, s.Args, "")
		x.WriteString("</signal>\n")
	}
	x.WriteString(`</interface>`)
}

func writeArgs(x *strings.Builder, args []Arg, direction string) {
	for _, a := range args {
		x.WriteString(`<arg name="` + a.Name + `" type="` + a.Type + `"` + direction + "/>\n")
	}
}
