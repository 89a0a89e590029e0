package shell

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"net.connman/connmanctl/internal/bus"
	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/view"
)

const (
	daemon    = "net.connman"
	vpnDaemon = "net.connman.vpn"
	manager   = "net.connman.Manager"
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
	n.conn.OnSignal(n.signal)
	for _, daemon := range []string{daemon, vpnDaemon} {
		n.conn.AddMatch("type='signal',interface='"+daemon+".Manager'", nil)
		n.conn.AddMatch("type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='"+daemon+"'", nil)
	}
	for kind := range listings {
		n.learn(kind, complaints)
	}
}

func (n *names) learn(kind int, complaints io.Writer) {
	from := listings[kind]
	n.kinds[kind] = set{}
	n.conn.Call(from.daemon, "/", from.iface, from.method, func(reply *bus.Message, err *bus.Error) {
		if err != nil {
			fmt.Fprintf(complaints, "Error getting %s: %s\n", from.what, view.Safe(err.Text))
			return
		}
		n.add(kind, reply.Arg(0))
		n.publish()
	})
}

func (n *names) signal(m *bus.Message) {
	switch m.Interface + "." + m.Member {
	case manager + ".ServicesChanged":
		n.change(services, m)
	case manager + ".PeersChanged":
		n.change(peers, m)
	case manager + ".TechnologyAdded":
		n.kinds[technologies][view.ID(m.Arg(0).Text())] = true
	case manager + ".TechnologyRemoved":
		delete(n.kinds[technologies], view.ID(m.Arg(0).Text()))
	case vpn + ".ConnectionAdded":
		n.kinds[connections][view.ID(m.Arg(0).Text())] = true
	case vpn + ".ConnectionRemoved":
		delete(n.kinds[connections], view.ID(m.Arg(0).Text()))
	case "org.freedesktop.DBus.NameOwnerChanged":
		n.ownerChanged(m.Arg(0).Text(), m.Arg(2).Text() != "")
	default:
		return
	}
	n.publish()
}

// ownerChanged forgets the objects of a daemon and asks the one that came.
func (n *names) ownerChanged(daemon string, there bool) {
	for kind := range listings {
		if listings[kind].daemon != daemon {
			continue
		}
		n.kinds[kind] = set{}
		if there {
			n.learn(kind, io.Discard)
		}
	}
}

func (n *names) change(kind int, m *bus.Message) {
	n.add(kind, m.Arg(0))
	for removed := range m.Arg(1).Elems() {
		delete(n.kinds[kind], view.ID(removed.Text()))
	}
}

func (n *names) add(kind int, objects bus.Value) {
	for object := range objects.Elems() {
		path, _ := object.Pair()
		n.kinds[kind][view.ID(path.Text())] = true
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
