package command

import (
	"slices"
	"strings"
)

// Names are the objects that there are to name on a command line.
type Names struct {
	Technologies, Services, Peers, Connections []string
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
	names := make([]string, len(table))
	for i, c := range table {
		names[i] = c.name
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
func connectionWord(n *Names, place int) []string { return at(place, 0, n.Connections) }

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
