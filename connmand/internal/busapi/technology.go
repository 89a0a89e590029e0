package busapi

import (
	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
)

// technology serves net.connman.Technology.
type technology struct {
	*API
	t *core.Technology
}

func pathOf(t *core.Technology) bus.ObjectPath {
	return technologyPath + bus.ObjectPath(t.Type())
}

func technologyProperties(t *core.Technology) bus.Dict {
	settings := t.Settings()
	d := bus.Dict{
		{Key: connman.TechnologyName, Value: t.Type().DisplayName()},
		{Key: connman.TechnologyType, Value: string(t.Type())},
		{Key: connman.TechnologyPowered, Value: t.Powered()},
		{Key: connman.TechnologyConnected, Value: t.Connected()},
		{Key: connman.TechnologyTethering, Value: false},
	}
	if settings.TetheringIdentifier != "" {
		d = append(d, bus.Entry{Key: connman.TechnologyTetheringIdentifier, Value: settings.TetheringIdentifier})
	}
	if settings.TetheringPassphrase != "" {
		d = append(d, bus.Entry{Key: connman.TechnologyTetheringPassphrase, Value: settings.TetheringPassphrase.Reveal()})
	}
	return append(d, bus.Entry{Key: connman.TechnologyTetheringFreq, Value: int32(settings.TetheringFreq)})
}

func (a *API) technologyAdded(t *core.Technology) {
	path := pathOf(t)
	connman.EmitManagerTechnologyAdded(a.conn, managerPath, path, technologyProperties(t))
	if err := a.conn.Export(path, connman.ServeTechnology(technology{a, t})); err != nil {
		a.log.Error("cannot show technology", "err", err)
	}
}

func (a *API) technologyRemoved(t *core.Technology) {
	path := pathOf(t)
	connman.EmitManagerTechnologyRemoved(a.conn, managerPath, path)
	a.conn.Unexport(path)
}

func (a *API) technologyChanged(t *core.Technology, p core.Property) {
	name, value := connman.TechnologyPowered, t.Powered()
	if p == core.PropConnected {
		name, value = connman.TechnologyConnected, t.Connected()
	}
	connman.EmitTechnologyPropertyChanged(a.conn, pathOf(t), name, bus.Variant{Value: value})
}

func (t technology) GetProperties(call *bus.Call) { call.Reply(technologyProperties(t.t)) }

func (t technology) SetProperty(call *bus.Call, name string, value bus.Variant) {
	switch name {
	case connman.TechnologyPowered:
		on, ok := value.Value.(bool)
		if !ok {
			answer(call, core.ErrInvalidArguments)
			return
		}
		t.t.SetPowered(on, func(err error) { t.confirm(call, err) })
	case connman.TechnologyTethering:
		answer(call, boolean(value, func(bool) error { return core.ErrNotSupported }))
	case connman.TechnologyTetheringFreq:
		if _, ok := value.Value.(int32); !ok {
			answer(call, core.ErrInvalidArguments)
			return
		}
		answer(call, core.ErrNotSupported)
	case connman.TechnologyTetheringIdentifier, connman.TechnologyTetheringPassphrase:
		answer(call, core.ErrNotSupported)
	default:
		answer(call, core.ErrInvalidProperty)
	}
}

func (t technology) Scan(call *bus.Call) {
	t.t.Scan(func(err error) { answer(call, err) })
}
