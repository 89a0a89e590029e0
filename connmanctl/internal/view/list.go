package view

import (
	"io"
	"strings"

	"net.connman/connmanctl/internal/bus"
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

// Services writes an array of services, a line each without a newline behind
// the last, and then the paths of an array of removed services, if there is one.
func Services(w io.Writer, changed, removed bus.Value) {
	write(w, func(b *strings.Builder) { list(b, changed, removed, service, 24) })
}

// Peers writes peers as [Services] writes services.
func Peers(w io.Writer, changed, removed bus.Value) {
	write(w, func(b *strings.Builder) { list(b, changed, removed, peer, 0) })
}

// VPNConnections writes an array of VPN connections, a line each.
func VPNConnections(w io.Writer, connections bus.Value) {
	write(w, func(b *strings.Builder) {
		list(b, connections, bus.Value{}, vpnConnection, 0)
		b.WriteByte('\n')
	})
}

// TetheringClients writes an array of addresses, a line each without a newline
// behind the last, and then an array of those that left, if there is one.
func TetheringClients(w io.Writer, clients, left bus.Value) {
	write(w, func(b *strings.Builder) {
		lines(b, clients, func(v bus.Value) { b.WriteString(Safe(v.Text())) })
		lines(b, left, func(v bus.Value) { b.WriteString("\nremoved " + Safe(v.Text())) })
	})
}

// list writes objects by their entry function and, in a second part, the paths
// of those removed behind a word filled up to width.
func list(b *strings.Builder, changed, removed bus.Value,
	entry func(b *strings.Builder, id string, properties bus.Value), width int) {
	if changed.Kind() != 'a' {
		return
	}
	lines(b, changed, func(v bus.Value) {
		path, properties := v.Pair()
		if path.Kind() == 'o' && properties.Kind() == 'a' {
			entry(b, ID(path.Text()), properties)
		}
	})
	if removed.Kind() != 'a' {
		return
	}
	b.WriteString("\n}, {")
	for v := range removed.Elems() {
		b.WriteByte('\n')
		pad(b, "removed", width)
		b.WriteString(" " + Safe(v.Text()))
	}
}

// lines writes what each element gives, newlines between.
func lines(b *strings.Builder, array bus.Value, line func(bus.Value)) {
	first := true
	for v := range array.Elems() {
		if !first {
			b.WriteByte('\n')
		}
		first = false
		line(v)
	}
}

func service(b *strings.Builder, id string, properties bus.Value) {
	favorite, auto, state, name, known := byte(' '), byte(' '), byte(' '), "", false
	for key, v := range properties.Dict() {
		known = true
		switch key {
		case "Name":
			name = v.Text()
		case "State":
			state = letter(stateLetters, v, state)
		case "AutoConnect":
			auto = mark('A', v)
		case "Favorite":
			favorite = mark('*', v)
		}
	}
	if known {
		b.Write([]byte{favorite, auto, state, ' '})
		pad(b, Safe(name), 20)
	} else {
		pad(b, "unchanged", 24)
	}
	b.WriteString(" " + Safe(id))
}

func peer(b *strings.Builder, id string, properties bus.Value) {
	name, state, known := "", "", false
	for key, v := range properties.Dict() {
		known = true
		switch key {
		case "Name":
			name = v.Text()
		case "State":
			state = v.Text()
		}
	}
	if known {
		b.WriteString(Safe(name) + " " + Safe(state))
	} else {
		b.WriteString("unchanged")
	}
	b.WriteString(" " + Safe(id))
}

func vpnConnection(b *strings.Builder, id string, properties bus.Value) {
	state, name := byte(' '), ""
	for key, v := range properties.Dict() {
		switch key {
		case "Name":
			name = v.Text()
		case "State":
			state = letter(vpnLetters, v, state)
		}
	}
	b.Write([]byte{' ', ' ', state, ' '})
	pad(b, Safe(name), 20)
	b.WriteString(" vpn_" + Safe(id))
}

// letter returns the letter of a state, or what is there already.
func letter(letters map[string]byte, state bus.Value, otherwise byte) byte {
	if l, ok := letters[state.Text()]; ok {
		return l
	}
	return otherwise
}

func mark(letter byte, flag bus.Value) byte {
	if flag.Uint() != 0 {
		return letter
	}
	return ' '
}

// ID returns the last part of an object's path.
func ID(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
