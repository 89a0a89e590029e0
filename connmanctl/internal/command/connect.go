package command

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"net.connman/connmanctl/internal/agent"
	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
)

// connect connects a service or a peer. A single command answers what the
// daemon asks meanwhile: with what it was given, or by asking who sits at the
// terminal.
func connect(s *Session, args []string) error {
	if s.Interactive || len(args) < 2 && s.Person == nil {
		return s.link("connect", args, "Connect", "Connected")
	}
	given, rest, err := readGiven(args)
	if err != nil {
		return err
	}
	name, err := nameArg(rest)
	if err != nil {
		return err
	}
	if given.hidden {
		given.answers["Name"] = name
	}
	about := s.Out
	if s.Person == nil {
		about = io.Discard // it may tell the previous passphrase
	}
	s.desk = agent.NewDesk(about, &prepared{given.answers, s.Person, s.Later})
	if err := s.serveAgent(forNetworks); err != nil {
		return err
	}
	// Without an agent the daemon says itself what is missing.
	s.ask(manager, "RegisterAgent", []any{ownPath()}, func([]any, error) {})
	if given.hidden {
		s.hidden(name, given)
		return nil
	}
	return s.link("connect", rest, "Connect", "Connected")
}

// given is what the command line gives for connecting.
type given struct {
	answers  map[string]string // by the agent's fields, as sameAs has them
	hidden   bool
	security string // that it is for, the end of a service's identifier
}

// sameAs are fields of the agent that the same option answers: those of a login
// page and of the network itself.
var sameAs = map[string]string{"Username": "Identity", "Password": "Passphrase"}

// readGiven takes the options out of args.
func readGiven(args []string) (g given, rest []string, err error) {
	g.answers, g.security = map[string]string{}, "none"
	for len(args) > 0 {
		option, value, joined := strings.Cut(args[0], "=")
		used := 1
		if needed := option != "--hidden"; needed && strings.HasPrefix(option, "--") && !joined {
			value, used = arg(args, 1), 2
		}
		switch option {
		case "--hidden":
			g.hidden = true
		case "--identity":
			g.answers["Identity"] = value
			g.security = "ieee8021x"
		case "--passphrase-file", "--passphrase-fd":
			passphrase, err := readPassphrase(option, value)
			if err != nil {
				return g, nil, err
			}
			g.answers["Passphrase"] = passphrase
			if g.security == "none" {
				g.security = "psk"
			}
		default:
			rest, used = append(rest, args[0]), 1
		}
		args = args[min(used, len(args)):]
	}
	return g, rest, nil
}

// maxPassphrase is far more than any network takes.
const maxPassphrase = 1024

// readPassphrase reads a passphrase, which may end with one newline, from a
// file or a file descriptor.
func readPassphrase(option, value string) (string, error) {
	var file *os.File
	if option == "--passphrase-fd" {
		fd, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return "", errInvalid
		}
		file = os.NewFile(uintptr(fd), "file descriptor "+value)
	} else {
		var err error
		if file, err = os.Open(value); err != nil {
			return "", fmt.Errorf("cannot read the passphrase: %w", err)
		}
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxPassphrase+2))
	if err != nil {
		return "", fmt.Errorf("cannot read the passphrase: %w", err)
	}
	data = bytes.TrimSuffix(data, []byte("\n"))
	if len(data) == 0 || len(data) > maxPassphrase {
		return "", errors.New("the passphrase is empty or too long")
	}
	return string(data), nil
}

// hidden connects to the network that does not tell its name.
func (s *Session) hidden(name string, g given) {
	s.list(serviceList, []string{}, func(known []bus.Object, err error) {
		if err != nil {
			s.refused("", err)
			return
		}
		switch ids := hiddenNetworks(known, g.security); len(ids) {
		case 0:
			s.note(Refused)
			fmt.Fprintln(s.Err, "Error: No hidden network is in reach; 'connmanctl scan wifi' looks for more")
		case 1:
			s.connectTo(ids[0], "Connect", "Connected")
		default:
			s.ambiguous("connect", listing{what: "hidden networks"}, name, ids)
		}
	})
}

// hiddenNetworks returns the identifiers of the networks without a name, if
// there are any those with the security given.
func hiddenNetworks(known []bus.Object, security string) []string {
	var all, fitting []string
	for _, o := range known {
		id := view.ID(string(o.Path))
		if strings.Contains(id, "_hidden_") {
			all = append(all, id)
		}
		if strings.Contains(id, "_hidden_") && strings.HasSuffix(id, "_"+security) {
			fitting = append(fitting, id)
		}
	}
	if len(fitting) > 0 {
		return fitting
	}
	return all
}

// prepared answers with what it has, each once, and leaves the rest to a person
// if there is one.
type prepared struct {
	answers map[string]string
	person  agent.Person
	later   func(func())
}

// Ask implements agent.Person.
func (p *prepared) Ask(q agent.Question, answer func(line string, ok bool)) (withdraw func()) {
	field := cmp.Or(sameAs[q.Field], q.Field)
	line, ok := p.answers[field]
	delete(p.answers, field)
	if !ok && p.person != nil {
		return p.person.Ask(q, answer)
	}
	if !ok && q.Field == "" { // yes or no
		line, ok = "no", true
	}
	open := true
	p.later(func() {
		if open {
			answer(line, ok)
		}
	})
	return func() { open = false }
}
