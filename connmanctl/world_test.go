package main

import (
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"net.connman/connmanctl/internal/lab"
)

// world is a bus with a scripted process on it that plays both daemons.
type world struct {
	*lab.Bus
	*lab.Daemon
}

const refused = "net.connman.Error."

func newWorld(t *testing.T) *world {
	bus := lab.StartBus(t)
	w := &world{bus, lab.StartDaemon(t, bus, "net.connman", "net.connman.vpn")}
	w.script()
	return w
}

// script gives the daemons their answers: objects that have it all, and one
// object of each kind that refuses.
func (w *world) script() {
	manager := func(method string, answer lab.Answer) { w.Answer("/ net.connman.Manager."+method, answer) }
	manager("GetProperties", lab.Properties(lab.Dict("State", "online", "OfflineMode", false, "SessionMode", false)))
	manager("GetServices", lab.Objects(someServices()...))
	manager("GetTechnologies", lab.Objects(someTechnologies()...))
	manager("GetPeers", lab.Objects(
		lab.Object{Path: "/net/connman/peer/peer_1", Properties: lab.Dict("Name", "tv", "State", "idle")},
		lab.Object{Path: "/net/connman/peer/peer_2", Properties: lab.Dict()},
	))
	manager("GetTetheringClients", lab.Answer{Signature: "as", Values: []any{[]string{"02:00:00:00:00:01", "02:00:00:00:00:02"}}})
	manager("SetProperty", lab.Answer{})
	manager("CreateSession", lab.Answer{Error: refused + "NotSupported", Text: "Not supported"})
	manager("RegisterPeerService", lab.Answer{})
	manager("UnregisterPeerService", lab.Answer{Error: refused + "NotFound", Text: "Not found"})
	w.Answer("/ net.connman.Diagnostics.GetServices", lab.Objects(lab.Object{
		Path:       "/net/connman/service/wifi_6",
		Properties: lab.Dict("BSSID", "02:00:00:00:01:00", "Frequency", uint32(5180), "Rate", uint32(300), "Why", "a DHCP server"),
	}))
	w.Answer("/ net.connman.Clock.GetProperties", lab.Properties(lab.Dict(
		"Time", uint64(1795334408), "TimeUpdates", "auto", "Timezone", "Europe/Zürich", "TimezoneUpdates", "auto",
		"Timeservers", []string{"192.0.2.1", "ntp.example.org"}, "TimeserverSynced", true)))

	for _, method := range []string{"Connect", "Disconnect", "Remove", "MoveBefore", "MoveAfter", "Scan", "SetProperty"} {
		w.Answer(method, lab.Answer{})
		for _, object := range []string{"service/locked", "technology/locked", "peer/peer_locked"} {
			kind := map[byte]string{'s': "Service", 't': "Technology", 'p': "Peer"}[object[0]]
			w.Answer("/net/connman/"+object+" net.connman."+kind+"."+method,
				lab.Answer{Error: refused + "PermissionDenied", Text: "Permission denied"})
		}
	}
	for _, object := range append(someServices(), someTechnologies()...) {
		kind := "Service"
		if strings.Contains(string(object.Path), "/technology/") {
			kind = "Technology"
		}
		w.Answer(string(object.Path)+" net.connman."+kind+".GetProperties", lab.Properties(object.Properties))
	}
	w.Answer("/net/connman/peer/peer_1 net.connman.Peer.GetProperties", lab.Properties(lab.Dict("Name", "tv",
		"State", "idle", "Services", []lab.Object{})))
	for object, name := range map[string]string{"done": "AlreadyEnabled", "undone": "AlreadyDisabled", "odd": "NotSupported"} {
		w.Answer("/net/connman/technology/"+object+" net.connman.Technology.SetProperty",
			lab.Answer{Error: refused + name, Text: "Text of " + name})
	}
	for object, name := range map[string]string{"nowhere": "UnknownObject", "silent": "NoReply"} {
		w.Answer("/net/connman/technology/"+object+" net.connman.Technology.SetProperty",
			lab.Answer{Error: "org.freedesktop.DBus.Error." + name, Text: "Text of " + name})
	}
	w.Answer("/ net.connman.vpn.Manager.GetConnections", lab.Objects(
		lab.Object{Path: "/net/connman/vpn/connection/a", Properties: lab.Dict("Name", "Büro", "State", "ready")},
		lab.Object{Path: "/net/connman/vpn/connection/b", Properties: lab.Dict("Name", "home", "State", "configuration")},
		lab.Object{Path: "/net/connman/vpn/connection/c", Properties: lab.Dict("State", "failure")},
		lab.Object{Path: "/net/connman/vpn/connection/d", Properties: lab.Dict()},
	))
	w.Answer("/net/connman/vpn/connection/a net.connman.vpn.Connection.GetProperties", lab.Properties(lab.Dict(
		"Type", "wireguard", "Name", "Büro", "Immutable", false, "Index", int32(7),
		"ServerRoutes", []map[string]string{{"Network": "10.0.0.0"}})))
}

func someServices() []lab.Object {
	service := func(id string, pairs ...any) lab.Object {
		return lab.Object{Path: dbus.ObjectPath("/net/connman/service/" + id), Properties: lab.Dict(pairs...)}
	}
	return []lab.Object{
		service("ethernet_027702000002_cable", "Type", "ethernet", "Security", []string{}, "State", "online",
			"Favorite", true, "Immutable", false, "AutoConnect", true, "Name", "Wired",
			"Ethernet", lab.Dict("Method", "auto", "Interface", "eth0", "Address", "02:77:02:00:00:02", "MTU", uint16(1500)),
			"IPv4", lab.Dict("Method", "dhcp", "Address", "192.0.2.154", "Netmask", "255.255.255.0"),
			"IPv6", lab.Dict("Method", "auto", "PrefixLength", byte(64), "Privacy", "disabled"),
			"Nameservers", []string{"192.0.2.1", "192.0.2.2"}, "Proxy", lab.Dict(), "Provider", lab.Dict()),
		service("wifi_1", "Name", "Käse & Brot", "State", "ready", "Favorite", true, "AutoConnect", false, "Strength", byte(70)),
		service("wifi_2", "Name", "a name longer than its column", "State", "association"),
		service("wifi_3", "Name", "配置", "State", "configuration", "AutoConnect", true),
		service("wifi_4", "State", "disconnect"),
		service("wifi_5", "Name", "", "State", "failure", "Favorite", true),
		service("wifi_6", "Name", "idle one", "State", "idle",
			"Odd", dbus.MakeVariant(dbus.MakeVariant("deep")), "Signed", int32(-5), "Unsigned", uint32(4294967295),
			"Wide", uint64(1<<63), "Short", int16(-3), "Long", int64(-7), "Double", 2.5,
			"Group", struct {
				A string
				B bool
			}{"x", true}, "Flags", []bool{true, false}, "Signature", dbus.ParseSignatureMust("as")),
		service("wifi_7"),
	}
}

func someTechnologies() []lab.Object {
	technology := func(id string, pairs ...any) lab.Object {
		return lab.Object{Path: dbus.ObjectPath("/net/connman/technology/" + id), Properties: lab.Dict(pairs...)}
	}
	return []lab.Object{
		technology("ethernet", "Name", "Wired", "Type", "ethernet", "Powered", true, "Connected", true,
			"Tethering", false, "TetheringFreq", int32(0)),
		technology("wifi", "Name", "WiFi", "Type", "wifi", "Powered", false, "Connected", false, "Tethering", false),
		technology("empty"),
	}
}
