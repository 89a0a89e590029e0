package agent

import (
	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/api/vpn"
	"net.connman/pkg/bus"
)

// Agent is what one daemon asks.
type Agent struct {
	desk     *Desk
	title    string // "Agent" or "VPN Agent"
	daemon   string // as people call it
	fields   []field
	canceled string // names of D-Bus errors
	retry    string
	released func()
}

// NewNetwork returns the agent for connmand. released is called when the daemon
// unregisters it.
func NewNetwork(d *Desk, released func()) *Agent {
	return &Agent{d, "Agent", "ConnMan", networkFields, connman.AgentErrorCanceled, connman.AgentErrorRetry, released}
}

// NewVPN returns the agent for connman-vpnd.
func NewVPN(d *Desk, released func()) *Agent {
	return &Agent{d, "VPN Agent", "ConnMan VPNd", vpnFields, vpn.AgentErrorCanceled, vpn.AgentErrorRetry, released}
}

// Gone drops what was asked, because whoever asked is gone.
func (a *Agent) Gone() {
	if a.desk.asked(a) {
		a.say("request cancelled by")
	}
	a.desk.drop(a)
}

func (a *Agent) say(what string) { a.desk.introduce("%s %s %s\n", a.title, what, a.daemon) }

// Release is called by the daemon when it unregisters the agent.
func (a *Agent) Release(call *bus.Call) {
	a.say("unregistered by")
	a.desk.drop(a)
	call.Reply()
	a.released()
}

// Cancel is called when the daemon no longer wants an answer.
func (a *Agent) Cancel(call *bus.Call) {
	a.say("request cancelled by")
	a.desk.drop(a)
	call.Reply()
}

// RequestInput asks for what a connection needs, such as a passphrase.
func (a *Agent) RequestInput(call *bus.Call, service bus.ObjectPath, fields bus.Dict) {
	a.put(call, a.input(service, fields))
}

func (a *Agent) input(service bus.ObjectPath, fields bus.Dict) func(*request) {
	return func(r *request) {
		a.list("RequestInput", service, fields)
		r.fill(a.wanted(fields))
	}
}

// RequestPeerAuthorization asks whether a peer may connect, or for what it needs.
func (a *Agent) RequestPeerAuthorization(call *bus.Call, peer bus.ObjectPath, fields bus.Dict) {
	a.put(call, a.authorization(peer, fields))
}

func (a *Agent) authorization(peer bus.ObjectPath, fields bus.Dict) func(*request) {
	return func(r *request) {
		a.list("RequestPeerAuthorization", peer, fields)
		if wanted := a.wanted(fields); len(wanted) > 0 {
			r.fill(wanted)
			return
		}
		r.confirm("Accept connection (yes/no)? ", func(answer confirmation) bool {
			switch answer {
			case yes:
				r.call.Reply(bus.Dict{})
			case no:
				r.call.Error(&bus.Error{Name: connman.AgentErrorRejected, Text: "Rejected"})
			default:
				r.call.Error(&bus.Error{Name: a.canceled, Text: "Canceled"})
			}
			return true
		})
	}
}

// RequestBrowser asks to log in at a page.
func (a *Agent) RequestBrowser(call *bus.Call, service bus.ObjectPath, url string) {
	a.put(call, func(r *request) {
		a.desk.introduce("%s RequestBrowser %s\n  %s\n", a.title, id(service), view.Safe(url))
		r.confirm("Connected (yes/no)? ", func(answer confirmation) bool {
			switch answer {
			case yes:
				call.Reply()
			case no:
				call.Error(&bus.Error{Name: a.canceled, Text: "Canceled"})
			}
			return answer != unclear
		})
	})
}

// ReportError tells of a failure and asks whether to try again.
func (a *Agent) ReportError(call *bus.Call, service bus.ObjectPath, text string) {
	a.report("ReportError", call, service, text)
}

// ReportPeerError is ReportError for a peer.
func (a *Agent) ReportPeerError(call *bus.Call, peer bus.ObjectPath, text string) {
	a.report("ReportPeerError", call, peer, text)
}

func (a *Agent) report(method string, call *bus.Call, object bus.ObjectPath, text string) {
	a.put(call, func(r *request) {
		a.desk.introduce("%s %s %s\n  %s\n", a.title, method, id(object), view.Safe(text))
		r.confirm("Retry (yes/no)? ", func(answer confirmation) bool {
			switch answer {
			case yes:
				call.Error(&bus.Error{Name: a.retry, Text: "Retry"})
			case no:
				call.Reply()
			}
			return answer != unclear
		})
	})
}

func (a *Agent) put(call answerable, begin func(*request)) {
	a.desk.add(&request{agent: a, call: call, begin: begin, reply: bus.Dict{}})
}

func (a *Agent) list(method string, object bus.ObjectPath, fields bus.Dict) {
	a.desk.introduce("%s %s %s\n", a.title, method, id(object))
	view.Properties(a.desk.out, []any{fields})
}

func id(path bus.ObjectPath) string { return view.Safe(view.ID(string(path))) }
