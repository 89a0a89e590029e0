package busapi

import (
	"errors"
	"strings"

	"net.connman/pkg/bus"
	"net.connman/vpnd/internal/core"
)

// connection serves net.connman.vpn.Connection.
type connection struct {
	*API
	c *core.Connection
}

// allProperties is the name under which SetProperty takes a dictionary of them.
const allProperties = "Properties"

func (c connection) GetProperties(call *bus.Call) { call.Reply(properties(c.c)) }

func (c connection) SetProperty(call *bus.Call, name string, value bus.Variant) {
	d, isDict := value.Value.(bus.Dict)
	c.confirm(call, c.c.Change(func() (bool, error) {
		if isDict && name == allProperties {
			return c.setAll(d)
		}
		return c.set(name, value.Value)
	}))
}

// set sets one property.
func (c connection) set(name string, value any) (changed bool, err error) {
	if core.IsReadOnly(name) {
		return false, core.ErrPermissionDenied
	}
	switch name {
	case core.PropSplitRouting:
		on, ok := value.(bool)
		if !ok {
			return false, core.ErrInvalidProperty
		}
		return c.c.SetSplitRouting(on), nil
	case core.PropUserRoutes:
		routes, err := parseRoutes(value)
		if err != nil {
			return false, invalidProperty(err)
		}
		return c.c.SetRoutes(routes)
	}
	text, ok := value.(string)
	if !ok {
		return false, core.ErrInvalidProperty
	}
	if text == "" {
		changed, err := c.c.Clear(name)
		if errors.Is(err, core.ErrInvalidProperty) && c.c.Knows(name) {
			return false, nil // it was clear
		}
		return changed, err
	}
	return c.c.SetText(name, text)
}

// setAll sets what can be set of d. The error names what cannot.
func (c connection) setAll(d bus.Dict) (changed bool, err error) {
	var invalid, denied []string
	for _, e := range d {
		one, err := c.set(e.Key, e.Value)
		changed = changed || one
		switch {
		case errors.Is(err, core.ErrPermissionDenied):
			denied = append(denied, e.Key)
		case err != nil:
			invalid = append(invalid, e.Key)
		}
	}
	switch names := strings.Join(append(invalid, denied...), ","); {
	case len(invalid) > 0:
		return changed, &bus.Error{Name: bus.ErrInvalidProperty.Name, Text: "Invalid properties " + names}
	case len(denied) > 0:
		return changed, &bus.Error{Name: bus.ErrPermissionDenied.Name, Text: "Permission denied " + names}
	}
	return changed, nil
}

func (c connection) ClearProperty(call *bus.Call, name string) {
	c.confirm(call, c.c.Change(func() (bool, error) { return c.c.Clear(name) }))
}

func (c connection) Connect(call *bus.Call) { c.Connect2(call, call.Sender) }

// Connect2 is for who passes another's wish on: sender's agents are asked.
func (c connection) Connect2(call *bus.Call, sender string) {
	if sender == "" {
		sender = call.Sender
	}
	c.c.Connect(sender, func(err error) { answer(call, err) })
}

func (c connection) Disconnect(call *bus.Call) {
	c.c.Disconnect()
	call.Reply()
}
