package view

import (
	"io"
	"strings"

	"net.connman/pkg/bus"
)

// The properties that the lists show.
var (
	ServiceShown = []string{"Favorite", "AutoConnect", "State", "Name"}
	PeerShown    = []string{"Name", "State"}
	VPNShown     = []string{"State", "Name"}
)

// stateLetters are the letters that stand for a service's state.
var stateLetters = map[string]byte{
	"online":        'O',
	"ready":         'R',
	"association":   'a',
	"configuration": 'c',
	"disconnect":    'd',
}

// vpnLetters are the letters that stand for a VPN connection's state.
var vpnLetters = map[string]byte{
	"ready":         'R',
	"configuration": 'C',
	"failure":       'F',
}

// Services writes services, a line each, and behind them the paths of removed
// ones if the reply has them.
func Services(w io.Writer, reply []any) {
	write(w, func(b *strings.Builder) {
		objects(b, reply, service, 24)
		b.WriteByte('\n')
	})
}

// Peers writes peers as [Services] writes services.
func Peers(w io.Writer, reply []any) {
	write(w, func(b *strings.Builder) {
		objects(b, reply, peer, 0)
		b.WriteByte('\n')
	})
}

// VPNConnections writes VPN connections, a line each.
func VPNConnections(w io.Writer, reply []any) {
	write(w, func(b *strings.Builder) {
		objects(b, reply, vpnConnection, 0)
		b.WriteByte('\n')
	})
}

// ServicesChanged writes the signal that brings new and removed services.
func ServicesChanged(w io.Writer, source, what string, args []any) {
	changed(w, source, what, args, service, 24)
}

// PeersChanged writes the signal that brings new and removed peers.
func PeersChanged(w io.Writer, source, what string, args []any) {
	changed(w, source, what, args, peer, 0)
}

// TetheringClients writes addresses, a line each, and then those that left if
// the reply has them.
func TetheringClients(w io.Writer, reply []any) {
	clients, _ := arg(reply, 0).([]string)
	left, _ := arg(reply, 1).([]string)
	write(w, func(b *strings.Builder) {
		for i, address := range clients {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(Safe(address))
		}
		for _, address := range left {
			b.WriteString("\nremoved " + Safe(address) + "\n")
		}
		b.WriteByte('\n')
	})
}

// line writes the line of an object.
type line func(b *strings.Builder, id string, properties bus.Dict)

func changed(w io.Writer, source, what string, args []any, line line, width int) {
	write(w, func(b *strings.Builder) {
		head(b, source, what)
		b.WriteString("= {\n")
		objects(b, args, line, width)
		b.WriteString("\n}\n")
	})
}

// objects writes the lines of objects and, in a second part, the paths of those
// removed behind a word filled up to width. The last line has no newline.
func objects(b *strings.Builder, args []any, line line, width int) {
	known, ok := arg(args, 0).([]bus.Object)
	if !ok {
		return
	}
	for i, o := range known {
		if i > 0 {
			b.WriteByte('\n')
		}
		line(b, ID(string(o.Path)), o.Properties)
	}
	removed, ok := arg(args, 1).([]bus.ObjectPath)
	if !ok {
		return
	}
	b.WriteString("\n}, {")
	for _, path := range removed {
		b.WriteByte('\n')
		pad(b, "removed", width)
		b.WriteString(" " + Safe(string(path)))
	}
}

func service(b *strings.Builder, id string, properties bus.Dict) {
	if len(properties) == 0 {
		pad(b, "unchanged", 24)
	} else {
		b.Write([]byte{
			mark(properties, "Favorite", '*'),
			mark(properties, "AutoConnect", 'A'),
			letter(stateLetters, properties),
			' ',
		})
		pad(b, text(properties, "Name"), 20)
	}
	b.WriteString(" " + Safe(id))
}

func peer(b *strings.Builder, id string, properties bus.Dict) {
	if len(properties) == 0 {
		b.WriteString("unchanged")
	} else {
		b.WriteString(text(properties, "Name") + " " + text(properties, "State"))
	}
	b.WriteString(" " + Safe(id))
}

func vpnConnection(b *strings.Builder, id string, properties bus.Dict) {
	b.Write([]byte{' ', ' ', letter(vpnLetters, properties), ' '})
	pad(b, text(properties, "Name"), 20)
	b.WriteString(" vpn_" + Safe(id))
}

// text returns a property of type string, "" when there is none.
func text(properties bus.Dict, key string) string {
	s, _ := bus.Lookup[string](properties, key)
	return Safe(s)
}

func letter(letters map[string]byte, properties bus.Dict) byte {
	state, _ := bus.Lookup[string](properties, "State")
	if l, ok := letters[state]; ok {
		return l
	}
	return ' '
}

func mark(properties bus.Dict, key string, letter byte) byte {
	if set, _ := bus.Lookup[bool](properties, key); set {
		return letter
	}
	return ' '
}

// ID returns the last part of an object's path.
func ID(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
