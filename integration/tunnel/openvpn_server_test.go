//go:build netns

package tunnel

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"net.connman/integration/lab"
)

const (
	insideNetwork = "10.99.0.0"
	insideServer  = "10.99.0.1"
)

// login is a client that wants in.
type login struct{ user, password, response string }

// The verdicts on a login: accept, refuse with a reason for the client, or ask.
const (
	accept = "accept"
	refuse = "refuse " // and the reason, maybe a challenge
	ask    = "ask "    // and what
)

// openvpnServer is an openvpn on the server's host.
type openvpnServer struct {
	w       *world
	process *lab.Process
	args    []string
	judge   func(login) string // nil: whoever has a certificate may come in

	mu     sync.Mutex // guards what follows
	logins []login
}

// openvpnPath is where the peers have it.
func openvpnPath() string {
	return filepath.Join(os.Getenv("CONNMAN_REFERENCE"), "openvpn/usr/sbin/openvpn")
}

// The daemon finds openvpn in the PATH that it gets from us.
func init() { os.Setenv("PATH", filepath.Dir(openvpnPath())+":"+os.Getenv("PATH")) }

const serverSocket = "/run/openvpn.socket"

// serveOpenVPN starts a server. More arguments follow the usual ones.
func (w *world) serveOpenVPN(pki *authority, judge func(login) string, more ...string) *openvpnServer {
	w.t.Helper()
	cert, key := pki.issue(serverIP, true)
	s := &openvpnServer{w: w, judge: judge, args: append([]string{
		"--server", insideNetwork, "255.255.255.0", "--topology", "subnet", "--dev", "tun",
		"--ca", pki.CA, "--cert", cert, "--key", key, "--dh", "none", "--duplicate-cn",
		"--keepalive", "2", "8", "--verb", "3",
	}, more...)}
	if judge != nil {
		s.args = append(s.args, "--verify-client-cert", "none", "--management-client-auth",
			"--management", w.server.Path(serverSocket), "unix")
	}
	s.start()
	return s
}

// start runs the server, until it says that clients may come.
func (s *openvpnServer) start() {
	t := s.w.t
	t.Helper()
	before := int64(0) // what earlier servers wrote
	if info, err := os.Stat(s.w.server.Path("openvpn.log")); err == nil {
		before = info.Size()
	}
	var err error
	s.process, err = s.w.server.Start(exec.Command(openvpnPath(), s.args...))
	must(t, err)
	if s.judge != nil {
		s.manage()
	}
	must(t, lab.Eventually(patience, func() error {
		log, err := os.ReadFile(s.process.Log)
		if !strings.Contains(string(log[min(before, int64(len(log))):]), "Initialization Sequence Completed") {
			err = fmt.Errorf("the server is not ready")
		}
		return err
	}))
}

// manage decides on logins, over the server's management interface.
func (s *openvpnServer) manage() {
	t := s.w.t
	t.Helper()
	var conn net.Conn
	must(t, lab.Eventually(patience, func() (err error) {
		conn, err = net.Dial("unix", s.w.server.Path(serverSocket))
		return err
	}))
	t.Cleanup(func() { conn.Close() })
	go func() {
		who, id, reply := login{}, "", false
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			kind, rest, _ := strings.Cut(lines.Text(), ",")
			switch {
			case kind == ">CLIENT:CONNECT" || kind == ">CLIENT:REAUTH":
				who, id, reply = login{}, strings.ReplaceAll(rest, ",", " "), true
			case kind == ">CLIENT:CR_RESPONSE":
				fields := strings.Split(rest, ",")
				answer, _ := base64.StdEncoding.DecodeString(fields[2])
				who, id, reply = login{response: string(answer)}, fields[0]+" "+fields[1], true
			case kind == ">CLIENT:ENV" && rest == "END" && reply:
				reply = false
				s.decide(conn, id, who)
			case kind == ">CLIENT:ENV":
				name, value, _ := strings.Cut(rest, "=")
				switch name {
				case "username":
					who.user = value
				case "password":
					who.password = value
				}
			}
		}
	}()
}

func (s *openvpnServer) decide(conn net.Conn, id string, who login) {
	s.mu.Lock()
	s.logins = append(s.logins, who)
	s.mu.Unlock()
	verdict := s.judge(who)
	switch {
	case strings.HasPrefix(verdict, refuse):
		fmt.Fprintf(conn, "client-deny %s \"no\" \"%s\"\n", id, strings.TrimPrefix(verdict, refuse))
	case strings.HasPrefix(verdict, ask):
		fmt.Fprintf(conn, "client-pending-auth %s \"%s\" 30\n", id, strings.TrimPrefix(verdict, ask))
	default:
		fmt.Fprintf(conn, "client-auth-nt %s\n", id)
	}
}

// seen are the logins so far.
func (s *openvpnServer) seen() []login {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]login(nil), s.logins...)
}

// child waits for the openvpn of the machine and returns its process ID.
func (w *world) child() int {
	w.t.Helper()
	pid := 0
	must(w.t, lab.Eventually(patience, func() error {
		out, err := exec.Command("pgrep", "-x", "openvpn", "-P", fmt.Sprint(w.daemon.Pid())).Output()
		if err == nil {
			_, err = fmt.Sscan(string(out), &pid)
		}
		return err
	}))
	return pid
}
