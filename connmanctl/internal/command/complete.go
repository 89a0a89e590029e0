package command

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
)

// Names are the objects that there are to name on a command line.
type Names struct {
	Technologies, Services, Peers, Connections []string
	Single                                     bool // the command line is a single command, which has more options
}

// candidates returns what may stand at a place behind a command, 0 the first.
type candidates func(n *Names, place int) []string

// Complete returns what the last of words may become: every continuation,
// sorted.
func Complete(n *Names, words []string) []string {
	last := len(words) - 1
	var found []string
	for _, word := range possible(n, words, last) {
		if strings.HasPrefix(word, words[last]) {
			found = append(found, word)
		}
	}
	slices.Sort(found)
	return found
}

// Complete prints what the last of words, which a shell is completing, may
// become. Without a daemon there are no names; none is started for them.
func (s *Session) Complete(words []string) {
	n := &Names{Single: true}
	if len(words) < 2 {
		WriteCompletions(s.Out, n, words)
		return
	}
	waiting := 0
	collect := func(l listing, names *[]string) {
		waiting++
		call := l.manager.method(l.method, nil)
		call.Properties, call.NoAutoStart = []string{}, true
		s.send(call, func(reply []any, _ error) {
			known, _ := first(reply).([]bus.Object)
			for _, o := range known {
				*names = append(*names, view.ID(string(o.Path)))
			}
			if waiting--; waiting == 0 {
				WriteCompletions(s.Out, n, words)
			}
		})
	}
	collect(technologyList, &n.Technologies)
	collect(serviceList, &n.Services)
	collect(peerList, &n.Peers)
	collect(connectionList, &n.Connections)
}

// WriteCompletions writes what the last of words may become, a word a line.
func WriteCompletions(w io.Writer, n *Names, words []string) {
	if len(words) == 0 {
		return
	}
	for _, word := range Complete(n, words) {
		fmt.Fprintln(w, view.Safe(word))
	}
}

func possible(n *Names, words []string, place int) []string {
	if place == 0 {
		return commandNames()
	}
	c := lookup(words[0])
	switch {
	case c == nil:
		return nil
	case c.json && strings.HasPrefix(words[place], "-"):
		return []string{"--json"}
	case c.words == nil:
		return nil
	}
	return c.words(n, place-1)
}

func commandNames() []string {
	var names []string
	for _, c := range slices.Concat(table, additions) {
		names = append(names, c.name)
	}
	return names
}

// at offers words at one place only.
func at(place, wanted int, words []string) []string {
	if place == wanted {
		return words
	}
	return nil
}

func technologyWord(n *Names, place int) []string { return at(place, 0, n.Technologies) }
func serviceWord(n *Names, place int) []string    { return at(place, 0, n.Services) }
func peerWord(n *Names, place int) []string       { return at(place, 0, n.Peers) }
func vpnWord(_ *Names, place int) []string        { return at(place, 0, []string{"import"}) }
func connectionWord(n *Names, place int) []string { return at(place, 0, n.Connections) }

func connectWord(n *Names, place int) []string {
	if place > 0 && n.Single {
		return connectOptions
	}
	return serviceOrPeer(n, place)
}

func serviceOrPeer(n *Names, place int) []string {
	return at(place, 0, slices.Concat(n.Services, n.Peers))
}

func technologyOrOffline(n *Names, place int) []string {
	return at(place, 0, append([]string{"offline"}, n.Technologies...))
}

func twoServices(n *Names, place int) []string {
	if place < 2 {
		return n.Services
	}
	return nil
}

func technologyThenSwitch(n *Names, place int) []string {
	if place == 0 {
		return n.Technologies
	}
	return switchWord(place, 1)
}

func configWord(n *Names, place int) []string {
	if place == 0 {
		return n.Services
	}
	return optionNames(configOptions)
}

func monitorWord(_ *Names, place int) []string {
	if place == 0 {
		return optionNames(monitorOptions)
	}
	return switchWord(place, 1)
}

func switchFirst(_ *Names, place int) []string { return switchWord(place, 0) }

func sessionWord(*Names, int) []string { return optionNames(sessionOptions) }

func switchWord(place, wanted int) []string { return at(place, wanted, []string{"on", "off"}) }

func optionNames(options []option) []string {
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.name
	}
	return names
}
