package command

import "strings"

// validID reports whether s can be the last part of an object path.
func validID(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != ""
}

// onOff reads the words for yes and no.
func onOff(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "no", "false", "off", "disable", "n", "f", "0":
		return false, true
	case "yes", "true", "on", "enable", "y", "t", "1":
		return true, true
	}
	return false, false
}

// arg returns argument i, or "" when there is none.
func arg(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return ""
}

// find returns the name of the option that word names, with or without dashes.
func find(options []option, word string) string {
	for _, o := range options {
		if word == o.name || word == "--"+o.name {
			return o.name
		}
	}
	return ""
}

// Secret reports whether a command line carries a passphrase.
func Secret(words []string) bool {
	return words[0] == "tether" && len(words) > 3
}

// Known reports whether there is a command of this name.
func Known(name string) bool { return lookup(name) != nil }
