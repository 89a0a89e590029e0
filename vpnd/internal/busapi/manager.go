package busapi

import (
	"fmt"
	"strings"

	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

// manager serves net.connman.vpn.Manager.
type manager struct{ *API }

func (m manager) Create(call *bus.Call, properties bus.Dict) {
	d, err := parseDescription(properties)
	if err != nil {
		answer(call, err)
		return
	}
	c, err := m.core.Create(d)
	if err != nil {
		answer(call, err)
		return
	}
	path := pathOf(c)
	m.core.Persist(func() { call.Reply(path) })
}

// parseDescription checks what a connection is to be. A property of the wrong
// type is an error, which names it.
func parseDescription(d bus.Dict) (core.Description, error) {
	var out core.Description
	own := map[string]*string{
		core.PropType: &out.Type, core.PropName: &out.Name, core.PropHost: &out.Host,
		core.PropDomain: &out.Domain, legacyDomain: &out.Domain,
	}
	for _, e := range d {
		text, isText := e.Value.(string)
		switch {
		case core.IsReadOnly(e.Key):
			continue // copied from another connection's properties
		case e.Key == core.PropSplitRouting:
			split, ok := e.Value.(bool)
			if !ok {
				return out, wrongType(e.Key)
			}
			out.SplitRouting = &split
		case e.Key == core.PropUserRoutes:
			routes, err := parseRoutes(e.Value)
			if err != nil {
				return out, fmt.Errorf("%w: %s: %w", core.ErrInvalidArguments, e.Key, err)
			}
			out.Routes = routes
		case !isText:
			return out, wrongType(e.Key)
		case own[e.Key] != nil:
			*own[e.Key] = text
		default:
			out.Values = append(out.Values, core.Value{Key: e.Key, Text: logx.Secret(text)})
		}
	}
	return out, nil
}

// legacyDomain is another name that clients have for the Domain.
const legacyDomain = "VPN.Domain"

func wrongType(key string) error {
	return fmt.Errorf("%w: %.100q has the wrong type", core.ErrInvalidArguments, key)
}

func (m manager) Remove(call *bus.Call, path bus.ObjectPath) {
	id := string(path[strings.LastIndexByte(string(path), '/')+1:])
	m.confirm(call, m.core.Remove(id))
}

func (m manager) GetConnections(call *bus.Call) {
	list := []bus.Object{}
	for _, c := range m.core.Connections() {
		list = append(list, bus.Object{Path: pathOf(c), Properties: properties(c)})
	}
	call.Reply(list)
}

func (m manager) RegisterAgent(call *bus.Call, path bus.ObjectPath) {
	id := core.AgentID{Owner: call.Sender, Path: string(path)}
	if err := m.core.RegisterAgent(id); err != nil {
		answer(call, err)
		return
	}
	m.agents[id.Owner] = m.conn.WatchName(id.Owner, func(owner string) {
		if owner == "" {
			m.unregister(id.Owner)
		}
	})
	call.Reply()
}

func (m manager) UnregisterAgent(call *bus.Call, _ bus.ObjectPath) {
	answer(call, m.unregister(call.Sender))
}

func (a *API) unregister(owner string) error {
	if stop := a.agents[owner]; stop != nil {
		stop()
		delete(a.agents, owner)
	}
	return a.core.UnregisterAgent(owner)
}

// Importer writes provisioning files for clients.
type Importer interface {
	// Import writes the file called name, without ending, and files by name into a
	// directory beside it, and calls done with the connection that its first entry
	// makes.
	Import(name, content string, files map[string]string, done func(*core.Connection, error))
}

// provisioning serves net.connman.vpn.Provisioning. The files that it writes name
// programs and other files that root uses, so only root may have them written,
// whatever the bus's policy lets through.
type provisioning struct {
	*API
	importer Importer
}

func (p provisioning) Import(call *bus.Call, name, content string, files bus.Array) {
	p.conn.Credentials(call.Sender, func(who bus.Credentials, err error) {
		if err != nil || !mayProvision(who) {
			call.Error(bus.ErrPermissionDenied)
			return
		}
		p.write(call, name, content, files)
	})
}

func mayProvision(who bus.Credentials) bool { return who.UID == 0 }

func (p provisioning) write(call *bus.Call, name, content string, files bus.Array) {
	beside := make(map[string]string, len(files.Items))
	for _, item := range files.Items {
		file := item.(bus.Struct) // the signature was checked
		beside[file[0].(string)] = file[1].(string)
	}
	p.importer.Import(name, content, beside, func(c *core.Connection, err error) {
		if err != nil {
			answer(call, err)
			return
		}
		call.Reply(pathOf(c))
	})
}

var _ vpn.ProvisioningServer = provisioning{}
