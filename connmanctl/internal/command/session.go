package command

import (
	"fmt"
	"io"
	"slices"

	"net.connman/connmanctl/internal/agent"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
)

// Bus names, paths and interfaces of the daemons, the interfaces by
// the names that the table uses.
const (
	daemon      = "net.connman"
	managerPath = "/"
	servicePath = "/net/connman/service/"
	techPath    = "/net/connman/technology/"
	peerPath    = "/net/connman/peer/"

	managerIface = connman.InterfaceManager
	clockIface   = connman.InterfaceClock
	serviceIface = connman.InterfaceService
	techIface    = connman.InterfaceTechnology
	peerIface    = connman.InterfacePeer

	diagnosticsIface = connman.InterfaceDiagnostics

	vpnDaemon          = "net.connman.vpn"
	vpnPath            = "/net/connman/vpn/connection/"
	vpnManagerIface    = "net.connman.vpn.Manager"
	vpnConnectionIface = "net.connman.vpn.Connection"
	provisioningIface  = "net.connman.vpn.Provisioning"
)

// Status is a process's exit status.
type Status int

// The statuses, the worse the higher. The reference client leaves with 0
// whatever the daemon says.
const (
	Worked   Status = iota
	Refused         // the daemon said no
	Misused         // unknown command, wrong or missing arguments
	NoDaemon        // nobody answered
)

// A usageError is a mistake in a command's arguments. The texts are the C
// library's for the errors that the reference client uses.
type usageError string

const (
	errInvalid usageError = "Invalid argument"
	errTooMany usageError = "Argument list too long"
	errAlready usageError = "Operation already in progress"
	errUnknown usageError = "Unknown command"
)

func (e usageError) Error() string { return string(e) }

// Session is one run of the client: a single command or a shell.
type Session struct {
	Out, Err    io.Writer
	Interactive bool
	Person      agent.Person // who can be asked; may be nil when not interactive
	Later       func(func()) // runs a function in a later turn

	conn    *bus.Conn
	open    int  // calls without an answer yet
	json    bool // what the command being started prints
	status  Status
	advised string // about the last command
	left    bool
	watched map[string]func() // what stops watching an interface
	live    live
	desk    *agent.Desk
	agents  [2]registration // as agentKinds
}

// NewSession returns a session that talks over conn.
func NewSession(conn *bus.Conn, out, err io.Writer, interactive bool) *Session {
	s := &Session{Out: out, Err: err, Interactive: interactive, conn: conn, watched: map[string]func(){}}
	s.live.client = s
	return s
}

// Execute starts the command that words name with its arguments.
func (s *Session) Execute(words []string) {
	s.status, s.advised = Worked, ""
	if err := s.start(words); err != nil {
		s.misuse(s.Err, words[0], err)
	}
}

func (s *Session) start(words []string) error {
	c := lookup(words[0])
	if c == nil {
		return errUnknown
	}
	args := words[1:]
	s.json = c.json && slices.Contains(args, "--json")
	if s.json {
		args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "--json" })
	}
	return c.run(s, args)
}

// Status returns how the last command went, as far as is known.
func (s *Session) Status() Status { return s.status }

// Left reports whether the user asked to leave.
func (s *Session) Left() bool { return s.left }

// Answered reports whether every call has been answered.
func (s *Session) Answered() bool { return s.open == 0 }

// Busy reports whether answers are due or signals are wanted.
func (s *Session) Busy() bool { return !s.Answered() || len(s.watched) > 0 || s.live.path != "" }

func (s *Session) note(status Status) { s.status = max(s.status, status) }

func (s *Session) misuse(w io.Writer, what string, err error) {
	s.note(Misused)
	fmt.Fprintf(w, "Error '%s': %s\n", what, err)
}
