package bus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Interface is one interface of an exported object. Objects of a kind share
// Methods and Signals and differ in their Server.
type Interface struct {
	Name    string
	Methods []Method
	Signals []Signal
	Server  any // what the methods find in [Call.Server]
}

// Method is a method that callers may call. Handle runs on the loop with
// arguments whose types are exactly those of In; it or somebody later answers
// the call.
type Method struct {
	Name       string
	In, Out    []Arg
	Deprecated bool
	Handle     func(call *Call, args []any)
}

// Signal is a signal that an interface declares.
type Signal struct {
	Name string
	Args []Arg
}

// Arg is an argument of a method or signal.
type Arg struct {
	Name string
	Type string // a single complete type
}

func signatureOf(args []Arg) string {
	switch len(args) {
	case 0:
		return ""
	case 1:
		return args[0].Type
	}
	var sig strings.Builder
	for _, a := range args {
		sig.WriteString(a.Type)
	}
	return sig.String()
}

const (
	ifaceIntrospectable = "org.freedesktop.DBus.Introspectable"
	ifacePeer           = "org.freedesktop.DBus.Peer"
	ifaceObjectManager  = "org.freedesktop.DBus.ObjectManager"
)

type object struct {
	path       ObjectPath
	interfaces []Interface
	order      uint64 // of its export
	unseen     int    // interfaces at the end of the list that no signal announced yet
	hidden     bool   // no list of objects has it
}

// method returns a method and who serves it, nil if there is no such method.
func (o *object) method(iface, member string) (m *Method, server any) {
	for _, i := range o.interfaces {
		if i.Name != iface {
			continue
		}
		for j := range i.Methods {
			if i.Methods[j].Name == member {
				return &i.Methods[j], i.Server
			}
		}
	}
	return nil, nil
}

func (o *object) signal(iface, member string) *Signal {
	for _, i := range o.interfaces {
		if i.Name != iface {
			continue
		}
		for j := range i.Signals {
			if i.Signals[j].Name == member {
				return &i.Signals[j]
			}
		}
	}
	return nil
}

// objectTable holds what is exported.
type objectTable struct {
	byPath  map[ObjectPath]*object
	exports uint64
	unseen  []*object // objects with interfaces to be announced, in export order
	managed bool      // the object manager is on
}

// exists says whether path is an object or leads to one.
func (t *objectTable) exists(path ObjectPath) bool {
	if t.byPath[path] != nil {
		return true
	}
	for p := range t.byPath {
		if below(p, path) && !t.byPath[p].hidden {
			return true
		}
	}
	return false
}

// below says whether p lies under parent.
func below(p, parent ObjectPath) bool {
	if parent == "/" {
		return p != "/"
	}
	return len(p) > len(parent) && p[len(parent)] == '/' && strings.HasPrefix(string(p), string(parent))
}

// children returns the names of the nodes right under path, sorted.
func (t *objectTable) children(path ObjectPath) []string {
	prefix := strings.TrimSuffix(string(path), "/") + "/"
	names := map[string]bool{}
	for p := range t.byPath {
		if below(p, path) && !t.byPath[p].hidden {
			name, _, _ := strings.Cut(string(p[len(prefix):]), "/")
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// newestFirst returns the objects except the root in the order in which the
// object manager lists them.
func (t *objectTable) newestFirst() []*object {
	var list []*object
	for path, o := range t.byPath {
		if path != "/" && !o.hidden {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *object) int { return int(b.order) - int(a.order) })
	return list
}

// Export offers interfaces at path, in addition to those already there. Every
// object is introspectable by itself.
func (c *Conn) Export(path ObjectPath, interfaces ...Interface) error {
	return c.export(path, false, interfaces)
}

// ExportHidden is Export for an object that only those find who were told its
// path: neither introspection of what lies above it nor the object manager has
// it.
func (c *Conn) ExportHidden(path ObjectPath, interfaces ...Interface) error {
	return c.export(path, true, interfaces)
}

func (c *Conn) export(path ObjectPath, hidden bool, interfaces []Interface) error {
	if !path.IsValid() {
		return fmt.Errorf("cannot export %q: not an object path", path)
	}
	t := &c.objects
	o := t.byPath[path]
	if o == nil {
		t.exports++
		o = &object{path: path, order: t.exports, hidden: hidden}
		o.interfaces = append(make([]Interface, 0, 1+len(interfaces)), introspectable(o))
		o.unseen = 1
		t.byPath[path] = o
	}
	for _, i := range interfaces {
		if slices.ContainsFunc(o.interfaces, func(have Interface) bool { return have.Name == i.Name }) {
			return fmt.Errorf("cannot export %s at %s: it is already there", i.Name, path)
		}
		o.interfaces = append(o.interfaces, i)
		o.unseen++
	}
	if path != "/" && !o.hidden && !slices.Contains(t.unseen, o) {
		t.unseen = append(t.unseen, o)
	}
	return nil
}

// Unexport takes the object at path away. Calls that it has not answered yet can
// still be answered.
func (c *Conn) Unexport(path ObjectPath) {
	t := &c.objects
	o := t.byPath[path]
	if o == nil {
		return
	}
	delete(t.byPath, path)
	t.unseen = slices.DeleteFunc(t.unseen, func(u *object) bool { return u == o })
	var seen []string
	for _, i := range o.interfaces[:len(o.interfaces)-o.unseen] {
		seen = append(seen, i.Name)
	}
	if !t.managed || path == "/" || o.hidden || len(seen) == 0 {
		return
	}
	slices.Reverse(seen[1:]) // the reference's order: Introspectable, then newest first
	c.queueSignal(&message{
		kind: kindSignal, path: "/", iface: ifaceObjectManager, member: "InterfacesRemoved",
	}, path, seen)
}

// announceObjects emits InterfacesAdded for what was exported and not taken
// away again since the last time.
func (c *Conn) announceObjects() {
	t := &c.objects
	for _, o := range t.unseen {
		added := o.interfaces[len(o.interfaces)-o.unseen:]
		o.unseen = 0
		if t.managed {
			c.queueSignal(&message{
				kind: kindSignal, path: "/", iface: ifaceObjectManager, member: "InterfacesAdded",
			}, o.path, bareInterfaces(added))
		}
	}
	t.unseen = t.unseen[:0]
}

// bareInterfaces lists interfaces with no properties, as a{sa{sv}}: ours keep
// their properties in methods of their own.
func bareInterfaces(list []Interface) Array {
	a := Array{Elem: "{sa{sv}}"}
	for _, i := range list {
		a.Items = append(a.Items, Struct{i.Name, Dict{}})
	}
	return a
}

// ManageObjects offers the object manager at "/" and lets it tell of every
// object exported from now on.
func (c *Conn) ManageObjects() error {
	c.objects.managed = true
	return c.Export("/", Interface{
		Name: ifaceObjectManager,
		Methods: []Method{{
			Name:   "GetManagedObjects",
			Out:    []Arg{{"objects", "a{oa{sa{sv}}}"}},
			Handle: func(call *Call, _ []any) { call.Reply(c.managedObjects()) },
		}},
		Signals: []Signal{
			{Name: "InterfacesAdded", Args: []Arg{{"object", "o"}, {"interfaces", "a{sa{sv}}"}}},
			{Name: "InterfacesRemoved", Args: []Arg{{"object", "o"}, {"interfaces", "as"}}},
		},
	})
}

func (c *Conn) managedObjects() Array {
	a := Array{Elem: "{oa{sa{sv}}}"}
	for _, o := range c.objects.newestFirst() {
		a.Items = append(a.Items, Struct{o.path, bareInterfaces(o.interfaces)})
	}
	return a
}

// Emit sends a signal of an exported object at the end of the turn. A signal
// that the object does not declare with these types is a programming error: it
// is logged and not sent.
func (c *Conn) Emit(path ObjectPath, iface, member string, args ...any) {
	var declared *Signal
	if o := c.objects.byPath[path]; o != nil {
		declared = o.signal(iface, member)
	}
	if declared == nil || signatureOf(declared.Args) != SignatureOf(args...) {
		c.log.Error("signal is not declared so", "path", path, "signal", iface+"."+member, "type", SignatureOf(args...))
		return
	}
	c.announceObjects()
	c.queueSignal(&message{kind: kindSignal, path: path, iface: iface, member: member}, args...)
}
