package busapi

import (
	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
)

// manager serves net.connman.Manager.
type manager struct{ *API }

func (a *API) managerChanged(p core.Property) {
	name, value := connman.ManagerState, any(a.core.State())
	if p == core.PropOfflineMode {
		name, value = connman.ManagerOfflineMode, a.core.OfflineMode()
	}
	connman.EmitManagerPropertyChanged(a.conn, managerPath, name, bus.Variant{Value: value})
}

func (m manager) GetProperties(call *bus.Call) {
	call.Reply(bus.Dict{
		{Key: connman.ManagerState, Value: m.core.State()},
		{Key: connman.ManagerOfflineMode, Value: m.core.OfflineMode()},
		{Key: connman.ManagerSessionMode, Value: m.core.SessionMode()},
	})
}

func (m manager) SetProperty(call *bus.Call, name string, value bus.Variant) {
	switch name {
	case connman.ManagerOfflineMode:
		m.confirm(call, boolean(value, func(on bool) error { m.core.SetOfflineMode(on); return nil }))
	case connman.ManagerSessionMode:
		answer(call, boolean(value, func(on bool) error { m.core.SetSessionMode(on); return nil }))
	default:
		answer(call, core.ErrInvalidProperty)
	}
}

func (m manager) GetTechnologies(call *bus.Call) {
	list := []bus.Object{}
	for _, t := range m.core.Technologies() {
		list = append(list, bus.Object{Path: pathOf(t), Properties: technologyProperties(t)})
	}
	call.Reply(list)
}

func (m manager) GetServices(call *bus.Call) { call.Reply(m.services.encoded()) }

// There are no peers and no tethering yet, hence none to list.

func (m manager) GetPeers(call *bus.Call) { call.Reply([]bus.Object{}) }

func (m manager) GetTetheringClients(call *bus.Call) { call.Reply([]string{}) }

func (m manager) RegisterAgent(call *bus.Call, path bus.ObjectPath) {
	answer(call, m.registerAgent(core.AgentID{Owner: call.Sender, Path: string(path)}))
}

func (m manager) UnregisterAgent(call *bus.Call, _ bus.ObjectPath) {
	answer(call, m.unregisterAgent(call.Sender))
}

// VPN connections are made and removed at net.connman.vpn: these two have long been
// deprecated.

func (m manager) ConnectProvider(call *bus.Call, _ bus.Dict) { answer(call, core.ErrNotSupported) }

func (m manager) RemoveProvider(call *bus.Call, _ bus.ObjectPath) { answer(call, core.ErrNotFound) }

// What follows belongs to capabilities that the daemon does not have yet. Each
// says so, or gives the error that fits a list with nothing in it.

func (m manager) RegisterCounter(call *bus.Call, _ bus.ObjectPath, _, _ uint32) {
	answer(call, core.ErrNotSupported)
}

func (m manager) UnregisterCounter(call *bus.Call, _ bus.ObjectPath) {
	answer(call, core.ErrNotRegistered)
}

func (m manager) CreateSession(call *bus.Call, _ bus.Dict, _ bus.ObjectPath) {
	answer(call, core.ErrNotSupported)
}

func (m manager) DestroySession(call *bus.Call, _ bus.ObjectPath) {
	answer(call, core.ErrInvalidArguments)
}

func (m manager) RequestPrivateNetwork(call *bus.Call) { answer(call, core.ErrNotSupported) }

func (m manager) ReleasePrivateNetwork(call *bus.Call, _ bus.ObjectPath) {
	answer(call, core.ErrPermissionDenied)
}

func (m manager) RegisterPeerService(call *bus.Call, _ bus.Dict, _ bool) {
	answer(call, core.ErrNotSupported)
}

func (m manager) UnregisterPeerService(call *bus.Call, _ bus.Dict) {
	answer(call, core.ErrNotRegistered)
}
