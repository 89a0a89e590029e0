package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
)

// live is the session of net.connman that the client holds: a wish for a
// connection of some kind, about which the daemon keeps it informed.
type live struct {
	client    *Session
	path      string // "" when there is none
	notify    bus.ObjectPath
	connected bool
	json      bool // how what becomes of it is printed
}

// liveSession carries out on|off|connect|disconnect|config [SETTING...].
func liveSession(s *Session, args []string) error {
	if len(args) == 0 {
		return errInvalid
	}
	there := s.live.path != ""
	if on, ok := onOff(args[0]); ok {
		if on == there {
			return errAlready
		}
		if on {
			return s.live.create(args[1:], nothing)
		}
		s.live.destroy()
		return nil
	}
	switch args[0] {
	case "connect":
		if there {
			s.live.connect(nil)
			return nil
		}
		return s.live.create(args[1:], s.live.connect)
	case "disconnect", "config":
		return s.live.change(args, there)
	}
	return errInvalid
}

// change disconnects the session or changes its settings.
func (l *live) change(args []string, there bool) error {
	switch {
	case !there:
		fmt.Fprintln(l.client.Out, "Session does not exist")
	case args[0] == "disconnect":
		l.client.call(l.target(), "Disconnect", "", nothing)
	case len(args) == 1:
		return errInvalid
	default:
		settings, wrong := sessionSettings(args[1:])
		for _, e := range settings {
			l.client.call(l.target(), "Change", "setting session "+e.Key, nothing, e.Key, bus.Variant{Value: e.Value})
		}
		l.complain(wrong)
	}
	return nil
}

// ownPath is where the daemons find the client's objects.
func ownPath() bus.ObjectPath {
	return bus.ObjectPath("/net/connman/connmanctl" + strconv.Itoa(os.Getpid()))
}

func (l *live) target() target { return target{daemon, l.path, connman.InterfaceSession} }

// create makes a session and hands on to then.
func (l *live) create(words []string, then func([]any)) error {
	if l.notify == "" {
		if err := l.client.conn.Export(ownPath(), connman.ServeNotification(l)); err != nil {
			return err
		}
		l.notify = ownPath()
	}
	l.json = l.client.json
	settings, wrong := sessionSettings(words)
	l.complain(wrong)
	l.client.call(manager, "CreateSession", "creating session", func(reply []any) {
		path, ok := first(reply).(bus.ObjectPath)
		if !ok {
			l.client.note(Refused)
			fmt.Fprintln(l.client.Err, "Error creating session: No session path")
			return
		}
		l.path = string(path)
		l.tell("created")
		then(nil)
	}, settings, l.notify)
	return nil
}

// connect asks for the connection; a single command ends when that is refused.
func (l *live) connect([]any) {
	l.client.ask(l.target(), "Connect", nil, func(_ []any, err error) {
		if err != nil {
			l.client.refused("", err)
			l.client.left = !l.client.Interactive
		}
	})
}

func (l *live) destroy() {
	path := bus.ObjectPath(l.path)
	l.client.call(manager, "DestroySession", "destroying session", func([]any) {
		l.tell("ended")
		l.end()
	}, path)
}

// tell prints what happened to the session.
func (l *live) tell(event string) {
	if l.json {
		view.JSONSession(l.client.Out, l.path, event, nil)
	} else {
		fmt.Fprintf(l.client.Out, "Session %s %s\n", view.Safe(l.path), event)
	}
}

func (l *live) end() { l.path, l.connected = "", false }

func (l *live) complain(wrong string) {
	if wrong != "" {
		l.client.misuse(l.client.Out, wrong, errInvalid)
	}
}

// Release is called by the daemon when it ends the session.
func (l *live) Release(call *bus.Call) {
	l.tell("released")
	l.end()
	call.Reply()
}

// Update is called by the daemon with what changed.
func (l *live) Update(call *bus.Call, settings bus.Dict) {
	if l.json {
		view.JSONSession(l.client.Out, l.path, "update", settings)
		call.Reply()
		return
	}
	view.SessionUpdate(l.client.Out, settings)
	state, _ := bus.Lookup[string](settings, "State")
	switch {
	case !l.connected && (state == "connected" || state == "online"):
		l.connected = true
		l.tell("connected")
	case l.connected && state == "disconnected":
		l.connected = false
		l.tell("disconnected")
	}
	call.Reply()
}

// sessionSettings reads options with their values, up to one that it cannot
// read, which it returns as wrong.
func sessionSettings(words []string) (settings bus.Dict, wrong string) {
	settings = bus.Dict{}
	for len(words) > 0 {
		name := find(sessionOptions, words[0])
		value, used := sessionSetting(name, words[1:])
		if used == 0 {
			return settings, words[0]
		}
		settings = append(settings, bus.Entry{Key: sessionKeys[name], Value: value})
		words = words[min(used, len(words)):]
	}
	return settings, ""
}

var sessionKeys = map[string]string{
	"bearers":   "AllowedBearers",
	"type":      "ConnectionType",
	"ifname":    "AllowedInterface",
	"srciprule": "SourceIPRule",
	"ctxid":     "ContextIdentifier",
}

// sessionSetting reads the value of an option; used counts the option too and
// is 0 when there is no value for it.
func sessionSetting(name string, words []string) (value any, used int) {
	switch name {
	case "bearers":
		end := 0
		for end < len(words) && !strings.HasPrefix(words[end], "--") {
			end++
		}
		return append([]string{}, words[:end]...), 1 + end
	case "ifname":
		return arg(words, 0), 2
	case "type", "ctxid":
		if len(words) > 0 {
			return words[0], 2
		}
	case "srciprule":
		if on, ok := onOff(arg(words, 0)); ok {
			return on, 2
		}
	}
	return nil, 0
}

func first(values []any) any {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}
