package agent

import (
	"slices"
	"strings"
	"unicode/utf8"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
)

// field is something that a daemon may want to know.
type field struct {
	name   string
	prompt string
	hidden bool
}

// The fields in the order in which they are asked for, whatever their order in
// the request. Prompts are the reference client's.
var (
	networkFields = []field{
		{"Name", "Hidden SSID name? ", false},
		{"Identity", "EAP username? ", false},
		{"Passphrase", "Passphrase? ", true},
		{"WPS", "WPS PIN (empty line for pushbutton)? ", false},
		{"Username", "WISPr username? ", false},
		{"Password", "WISPr password? ", true},
	}
	vpnFields = []field{
		{"OpenConnect.Cookie", "OpenConnect Cookie? ", true},
		{"OpenConnect.ServerCert", "OpenConnect server certificate hash? ", false},
		{"OpenConnect.VPNHost", "OpenConnect VPN server? ", false},
		{"OpenConnect.SecondPassword", "VPN one-time password? ", true},
		{"Username", "VPN username? ", false},
		{"Password", "VPN password? ", true},
	}
)

// maxSSID is the length of a network's name in bytes (IEEE 802.11, 9.4.2.2).
const maxSSID = 32

// wanted returns the fields to ask for: those that are known, unless they only
// inform, and behind them others that a connection cannot do without, which
// the reference client does not ask for.
func (a *Agent) wanted(request bus.Dict) []field {
	var wanted []field
	for _, f := range a.fields {
		if spec, ok := request.Get(f.name); ok && attribute(spec, "Requirement") != "informational" {
			wanted = append(wanted, f)
		}
	}
	for _, e := range request {
		known := slices.ContainsFunc(a.fields, func(f field) bool { return f.name == e.Key })
		if !known && attribute(e.Value, "Requirement") == "mandatory" && attribute(e.Value, "Type") != "boolean" {
			wanted = append(wanted, field{e.Key, view.Safe(e.Key) + "? ", attribute(e.Value, "Type") == "password"})
		}
	}
	return wanted
}

// attribute returns what a field's description says under key.
func attribute(spec any, key string) string {
	d, _ := spec.(bus.Dict)
	s, _ := bus.Lookup[string](d, key)
	return s
}

// fill asks for fields one after the other and answers the request with them.
func (r *request) fill(wanted []field) {
	if len(wanted) == 0 {
		r.call.Reply(r.reply)
		r.agent.desk.done(r)
		return
	}
	f, rest := wanted[0], wanted[1:]
	pin := slices.ContainsFunc(rest, func(f field) bool { return f.name == "WPS" })
	r.agent.desk.ask(r, Question{Field: f.name, Prompt: f.prompt, Hidden: f.hidden}, func(line string) bool {
		skip := f.name == "Passphrase" && line == "" && pin
		switch {
		case !skip && !f.accepts(line):
			return false
		case !skip:
			r.reply = append(r.reply, bus.Entry{Key: f.name, Value: line})
			if f.name == "Passphrase" { // a PIN would have been the alternative
				rest = slices.DeleteFunc(rest, func(f field) bool { return f.name == "WPS" })
			}
		}
		r.fill(rest)
		return true
	})
}

// accepts reports whether a line can be the value of the field. D-Bus takes
// nothing but UTF-8.
func (f field) accepts(line string) bool {
	switch {
	case !utf8.ValidString(line) || strings.IndexByte(line, 0) >= 0:
		return false
	case f.name == "Name":
		return line != "" && len(line) <= maxSSID
	case f.name == "Passphrase":
		return line != ""
	}
	return true
}

type confirmation int

const (
	unclear confirmation = iota
	yes
	no
)

// confirm asks for yes or no until answered takes the answer.
func (r *request) confirm(prompt string, answered func(confirmation) bool) {
	r.agent.desk.ask(r, Question{Prompt: prompt}, func(line string) bool {
		if !answered(confirmed(line)) {
			return false
		}
		r.agent.desk.done(r)
		return true
	})
}

func confirmed(line string) confirmation {
	switch strings.ToLower(strings.TrimLeft(line, " \t\n\v\f\r")) {
	case "yes", "y":
		return yes
	case "no", "n":
		return no
	}
	return unclear
}
