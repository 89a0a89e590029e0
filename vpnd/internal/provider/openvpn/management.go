package openvpn

import (
	"strings"

	"net.connman/vpnd/internal/core"
)

// event is what openvpn says on the management interface, as far as it concerns
// us: see management-notes.txt of its documentation.
type event any

type (
	// state says how far the connection is.
	state struct {
		name   string // "CONNECTED", "RECONNECTING", …
		detail string // why
	}
	// needed asks for a password, and mostly for a name with it.
	needed struct {
		what      string // "Auth", "Private Key", …
		user      bool
		challenge *challenge // to be answered together with the password
	}
	// refused says that what was given is wrong.
	refused struct {
		what string
		// reason is the server's, maybe "".
		reason string
		// challenge has the user asked, and his answer tried.
		challenge *dynamicChallenge
	}
	// pending is a challenge for someone whose password is right.
	pending struct{ challenge challenge }
	// fatal is why openvpn is about to end.
	fatal struct{ why string }
	// wanted asks for a confirmation or a word that we have nobody to ask for.
	wanted struct{ command, what string }
)

// challenge is a question of the server's to the user.
type challenge struct {
	text   string
	echo   bool // what the user types need not be hidden
	answer bool // it wants one, it is not for reading only
}

// dynamicChallenge is a challenge that is answered instead of the password.
type dynamicChallenge struct {
	challenge
	state string // for the server
	user  string
}

// parse reads a line; nil is for what does not matter.
func parse(line string) event {
	kind, rest, ok := strings.Cut(line, ":")
	if !ok {
		return nil
	}
	switch kind {
	case ">STATE":
		fields := strings.Split(rest, ",")
		if len(fields) < 3 {
			return nil
		}
		return state{name: fields[1], detail: fields[2]}
	case ">PASSWORD":
		return parsePassword(rest)
	case ">FATAL":
		return fatal{rest}
	case ">INFOMSG":
		if text, ok := strings.CutPrefix(rest, "CR_TEXT:"); ok {
			flags, text, _ := strings.Cut(text, ":")
			return pending{newChallenge(flags, text)}
		}
	case ">NEED-OK":
		what, _ := quoted(rest)
		return wanted{"needok", what}
	case ">NEED-STR":
		what, _ := quoted(rest)
		return wanted{"needstr", what}
	}
	return nil
}

func parsePassword(text string) event {
	if rest, ok := strings.CutPrefix(text, "Need "); ok {
		what, rest := quoted(rest)
		n := needed{what: what, user: strings.HasPrefix(rest, " username/password")}
		if _, asked, ok := strings.Cut(rest, " SC:"); ok {
			// The flags are a number: 1 is echo, 2 has the answer put right
			// behind the password.
			flags, text, _ := strings.Cut(asked, ",")
			n.challenge = &challenge{text: core.Readable(text), echo: flags == "1" || flags == "3", answer: true}
		}
		return n
	}
	rest, ok := strings.CutPrefix(text, "Verification Failed: ")
	if !ok {
		return nil
	}
	r := refused{}
	r.what, rest = quoted(rest)
	if inner, ok := strings.CutPrefix(strings.TrimSpace(rest), "["); ok {
		r.reason, _ = quotedToEnd(strings.TrimSuffix(inner, "]"))
	}
	if c, ok := parseDynamic(r.reason); ok {
		r.challenge, r.reason = c, ""
	}
	return r
}

// quoted takes a word in single quotes off the beginning of text.
func quoted(text string) (word, rest string) {
	_, text, ok := strings.Cut(text, "'")
	if !ok {
		return "", ""
	}
	word, rest, _ = strings.Cut(text, "'")
	return word, rest
}

// quotedToEnd is quoted for a word that may have quotes inside.
func quotedToEnd(text string) (string, bool) {
	text, ok := strings.CutPrefix(text, "'")
	return strings.TrimSuffix(text, "'"), ok
}
