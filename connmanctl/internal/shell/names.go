package shell

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
)

const (
	daemon    = "net.connman"
	vpnDaemon = "net.connman.vpn"
	manager   = connman.InterfaceManager
	vpn       = "net.connman.vpn.Manager"
)

// names knows the objects that the daemons have at the moment and completes
// words with them. The reader's goroutine reads the snapshot that the loop
// swaps.
type names struct {
	conn     *bus.Conn
	kinds    [4]set // as listings
	snapshot atomic.Pointer[command.Names]
}

type set map[string]bool

// Indexes into kinds.
const (
	services = iota
	connections
	peers
	technologies
)

// listings tell how to ask for the objects of each kind.
var listings = [4]struct{ daemon, iface, method, what string }{
	services:     {daemon, manager, "GetServices", "services"},
	connections:  {vpnDaemon, vpn, "GetConnections", "VPN connections"},
	peers:        {daemon, manager, "GetPeers", "peers"},
	technologies: {daemon, manager, "GetTechnologies", "technologies"},
}

func newNames(conn *bus.Conn) *names {
	n := &names{conn: conn}
	n.snapshot.Store(&command.Names{})
	return n
}

// follow learns the objects and keeps up with them, also when a daemon comes
// back. What cannot be learnt at the start is written to complaints.
func (n *names) follow(complaints io.Writer) {
	n.conn.Subscribe(bus.Match{Sender: daemon, Interface: manager}, n.signal)
	n.conn.Subscribe(bus.Match{Sender: vpnDaemon, Interface: vpn}, n.signal)
	for kind := range listings {
		n.learn(kind, complaints)
	}
	for _, name := range []string{daemon, vpnDaemon} {
		n.conn.WatchName(name, func(owner string) { n.ownerChanged(name, owner != "") })
	}
}

func (n *names) learn(kind int, complaints io.Writer) {
	from := listings[kind]
	n.kinds[kind] = set{}
	n.conn.Call(bus.MethodCall{Destination: from.daemon, Path: "/", Interface: from.iface, Member: from.method, Properties: []string{}},
		func(reply []any, err error) {
			if err != nil {
				fmt.Fprintf(complaints, "Error getting %s: %s\n", from.what, command.ErrorText(err))
				return
			}
			n.change(kind, reply)
			n.publish()
		})
}

func (n *names) signal(r bus.ReceivedSignal) {
	switch r.Member {
	case "ServicesChanged":
		n.change(services, r.Args)
	case "PeersChanged":
		n.change(peers, r.Args)
	case "TechnologyAdded":
		n.mark(technologies, r.Args, true)
	case "TechnologyRemoved":
		n.mark(technologies, r.Args, false)
	case "ConnectionAdded":
		n.mark(connections, r.Args, true)
	case "ConnectionRemoved":
		n.mark(connections, r.Args, false)
	}
	n.publish()
}

// ownerChanged forgets the objects of a daemon that left and asks one that came.
func (n *names) ownerChanged(daemon string, there bool) {
	for kind := range listings {
		switch {
		case listings[kind].daemon != daemon:
		case there:
			n.learn(kind, io.Discard)
		default:
			n.kinds[kind] = set{}
		}
	}
	n.publish()
}

// change takes in objects that are there and, in a second array, those that left.
func (n *names) change(kind int, args []any) {
	for i, arg := range args {
		switch list := arg.(type) {
		case []bus.Object:
			for _, o := range list {
				n.kinds[kind][view.ID(string(o.Path))] = true
			}
		case []bus.ObjectPath:
			for _, path := range list {
				n.mark(kind, []any{path}, i == 0)
			}
		}
	}
}

// mark takes in the object whose path is the first argument, or drops it.
func (n *names) mark(kind int, args []any, there bool) {
	if len(args) == 0 {
		return
	}
	path, ok := args[0].(bus.ObjectPath)
	switch id := view.ID(string(path)); {
	case ok && there:
		n.kinds[kind][id] = true
	case ok:
		delete(n.kinds[kind], id)
	}
}

func (n *names) publish() {
	list := func(kind int) []string { return slices.Collect(maps.Keys(n.kinds[kind])) }
	n.snapshot.Store(&command.Names{
		Services:     list(services),
		Connections:  list(connections),
		Peers:        list(peers),
		Technologies: list(technologies),
	})
}

// Do is called by readline: it returns what may follow the cursor, and how much
// of it is there already.
func (n *names) Do(line []rune, cursor int) (endings [][]rune, typed int) {
	typing := string(line[:cursor])
	words := append(split(typing), "")
	if typing != "" && !strings.HasSuffix(typing, " ") {
		words = words[:len(words)-1]
	}
	last := words[len(words)-1]
	for _, found := range command.Complete(n.snapshot.Load(), words) {
		endings = append(endings, []rune(found[len(last):]+" "))
	}
	return endings, len([]rune(last))
}
